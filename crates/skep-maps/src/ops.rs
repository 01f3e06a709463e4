//! [`MapOps`]: what every map does, for programs and for user space.

use crate::MapSpec;
use crate::kind::MapType;
use crate::prog_array::ProgArray;
use crate::slot::Slot;
use skep_abi::Errno;

/// Operations of one map.
///
/// Key slices are exactly `key_size` bytes; value slices are exactly `value_size` bytes for programs
/// and [`user_value_size`](Self::user_value_size) bytes for user space; any other length is `EINVAL`.
/// All operations may run at once in any number of threads.
///
/// Programs address values in place. An element that is deleted may be given to another key at once,
/// as in the kernel's preallocated maps: a program that still holds its address then sees the other
/// value, never unmapped memory.
///
/// Only this crate implements it: engines use the addresses that it answers without asking again.
pub trait MapOps: sealed::Sealed + Send + Sync + core::fmt::Debug {
    /// What it was created from.
    fn spec(&self) -> &MapSpec;

    /// What is known of its type.
    fn map_type(&self) -> &'static MapType;

    /// For programs: address of the live value (of `slot`, for per-CPU types), stable while the map lives.
    fn lookup(&self, key: &[u8], slot: Slot) -> Option<u64>;

    /// For programs: `bpf_map_update_elem`. `flags` are `BPF_ANY`, `NOEXIST`, `EXIST`.
    ///
    /// # Errors
    /// `EINVAL` unknown flags, `EEXIST`, `ENOENT` by flags, `E2BIG` full or index out of range.
    fn update(&self, key: &[u8], value: &[u8], flags: u64, slot: Slot) -> Result<(), Errno>;

    /// For programs: `bpf_map_delete_elem`.
    ///
    /// # Errors
    /// `ENOENT` no such element, `EINVAL` elements cannot be deleted (arrays).
    fn delete(&self, key: &[u8]) -> Result<(), Errno>;

    /// For programs: calls `each(key address, value address)` until it answers `false`; returns how
    /// many calls (`bpf_for_each_map_elem`). The key's `key_size` bytes are readable during that call
    /// only. Arrays go by index, hashes by bucket; `each` may update and delete.
    ///
    /// # Errors
    /// `EINVAL` where programs cannot iterate.
    fn for_each(&self, slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno>;

    /// Bytes of a value as user space sees it: `value_size`, or for per-CPU types
    /// `round_up(value_size, 8)` for each slot in turn.
    fn user_value_size(&self) -> usize {
        self.spec().value_size as usize
    }

    /// For user space: copies the value (all slots, for per-CPU types) out. Not `BPF_F_LOCK`.
    ///
    /// # Errors
    /// `ENOENT` no such element, `EINVAL` unknown flags.
    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno>;

    /// For user space: stores a value (all slots, for per-CPU types).
    ///
    /// # Errors
    /// As [`update`](Self::update); `EPERM` once frozen.
    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;

    /// For user space: removes an element.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); `EPERM` once frozen.
    fn user_delete(&self, key: &[u8]) -> Result<(), Errno>;

    /// For user space: copies the value out and removes the element, as one step.
    ///
    /// # Errors
    /// `ENOTSUPP` where the type cannot, `ENOENT`, `EINVAL` unknown flags, `EPERM` once frozen.
    fn user_lookup_and_delete(
        &self,
        key: &[u8],
        value: &mut [u8],
        flags: u64,
    ) -> Result<(), Errno> {
        let _ = (key, value, flags);
        Err(Errno::ENOTSUPP)
    }

    /// For user space: the key after `key`; the first for no key, and for one that is not there.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno>;

    /// Address and length of the value that programs may address directly (`BPF_PSEUDO_MAP_VALUE`):
    /// arrays of one element have one.
    fn direct_values(&self) -> Option<(u64, usize)> {
        None
    }

    /// Whether `len` bytes at `addr` lie within one value of this map (for checked execution).
    fn owns(&self, addr: u64, len: usize) -> bool;

    /// Makes writes of user space fail with `EPERM` from now on.
    ///
    /// # Errors
    /// `EPERM` already frozen, `EBUSY` while a write of user space is under way.
    fn freeze(&self) -> Result<(), Errno>;

    /// Whether [`freeze`](Self::freeze) succeeded once.
    fn is_frozen(&self) -> bool;

    /// Bytes of memory that the map has reserved (`memlock` of `/proc/*/fdinfo`).
    fn memory_usage(&self) -> usize;

    /// The program array that this is, if it is one.
    fn as_prog_array(&self) -> Option<&ProgArray> {
        None
    }
}

pub(crate) mod sealed {
    /// Keeps [`MapOps`](super::MapOps) from being implemented elsewhere.
    pub trait Sealed {}
}
