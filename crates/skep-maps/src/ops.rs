//! [`MapOps`]: what every map does, for programs and for user space.

use crate::MapSpec;
use skep_abi::Errno;

/// A CPU slot: the index of per-CPU values that a run owns, below [`Slot::count`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot(pub(crate) u32);

/// Operations of one map. Key and value slices are exactly `key_size` and `value_size` bytes, except
/// that user-space values of per-CPU types hold `round_up(value_size, 8)` bytes for each slot in turn.
pub trait MapOps: Send + Sync + core::fmt::Debug {
    /// What it was created from.
    fn spec(&self) -> &MapSpec;

    /// For programs: address of the live value (of `slot`, for per-CPU types), stable while the map lives.
    fn lookup(&self, key: &[u8], slot: Slot) -> Option<u64>;

    /// For programs: `bpf_map_update_elem`. `flags` are `BPF_ANY`, `NOEXIST`, `EXIST`.
    fn update(&self, key: &[u8], value: &[u8], flags: u64, slot: Slot) -> Result<(), Errno>;

    /// For both: removes an element.
    fn delete(&self, key: &[u8]) -> Result<(), Errno>;

    /// For programs: calls `each(key address, value address)` until it answers `false`; returns how many calls.
    fn for_each(&self, slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno>;

    /// For user space: copies the value (all slots, for per-CPU types) out.
    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno>;

    /// For user space: stores a value (all slots, for per-CPU types).
    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;

    /// For user space: the key after `key`, or the first; `ENOENT` after the last.
    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno>;

    /// Address and length of the whole value area, where programs may address it directly.
    fn direct_values(&self) -> Option<(u64, usize)>;

    /// Whether `len` bytes at `addr` lie within one value of this map (for checked execution).
    fn owns(&self, addr: u64, len: usize) -> bool;

    /// Makes user-space writes fail with `EPERM` from now on.
    fn freeze(&self) -> Result<(), Errno>;
}

impl Slot {
    /// The slot of this index.
    pub const fn new(index: u32) -> Option<Slot> {
        Some(Slot(index))
    }
}
