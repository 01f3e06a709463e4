//! The synchronisation that [`crate::slot`] and `hash::chain` are built on. The loom models
//! (`tests/loom.rs`) compile the same sources with loom's in its place.

pub(crate) use core::hint::spin_loop as pause;
pub(crate) use std::sync::atomic::{AtomicU32, Ordering, fence};
pub(crate) use std::sync::{Condvar, Mutex};

/// How often a thread looks for a free slot before it sleeps; a run is often shorter than a sleep.
pub(crate) const SPINS: u32 = 64;
