//! BPF maps in position-independent shared memory: one file for each type.
//!
//! `create` turns a [`MapSpec`] into a `Map`; programs and user space use it through [`MapOps`].

mod ops;
mod spec;

pub use ops::{MapOps, Slot};
pub use spec::MapSpec;
