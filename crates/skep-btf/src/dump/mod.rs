//! BTF as text: [`c`] as C definitions, [`raw`] type by type in bpftool's notation.
//!
//! - `order`: which definition must come before which.
//! - `layout`: padding and attributes that give a struct its layout back.
//! - `decl`: C declarators.
//! - `names`: one name for each type, with `___2` where names conflict.

mod c;
mod decl;
mod layout;
mod names;
mod order;
mod raw;

pub use c::{c, vmlinux_h};
pub use raw::raw;
