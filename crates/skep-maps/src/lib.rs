//! BPF maps in position-independent shared memory: one file for each type.
//!
//! [`create`] turns a [`MapSpec`] into a map; programs and user space use it through [`MapOps`], and
//! [`UserMap`] adds what a descriptor adds: access modes and the checks of the bpf(2) commands.
//!
//! - [`kind`]: [`MapKind`], every map type of Linux 6.18, and [`MapType`], what is known of each.
//! - [`ops`]: [`MapOps`], the operations; [`slot`]: CPU slots, which per-CPU values belong to.
//! - `array`, `percpu_array`, `prog_array`, `hash`, `percpu_hash`: the types.
//! - `region`: the memory; [`cells`]: how values are copied while programs change them.

mod array;
pub mod cells;
mod common;
mod error;
mod hash;
pub mod kind;
pub mod ops;
mod percpu_array;
mod percpu_hash;
mod prog_array;
mod region;
pub mod slot;
mod spec;
mod sync;
mod uapi;
mod unsupported;
mod user;

pub use error::CreateError;
pub use kind::{MapKind, MapType, Support, create, map_types};
pub use ops::MapOps;
pub use prog_array::{ProgArray, ProgCompat, ProgObject, ProgRef};
pub use slot::{Slot, SlotGuard};
pub use spec::MapSpec;
pub use user::{AccessMode, UserMap};
