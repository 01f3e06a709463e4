//! The synchronisation that [`crate::slot`] and `hash::chain` are built on. The loom model (`tests/loom.rs`)
//! compiles the same sources with loom's in its place.

pub(crate) use core::hint::spin_loop as pause;
pub(crate) use std::sync::atomic::{AtomicU32, Ordering};
pub(crate) use std::sync::{Condvar, Mutex};
