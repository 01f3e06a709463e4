//! [`Core`]: what every map has: its spec, the header of its region, and whether it is frozen.
//!
//! The header opens the region that holds a map's metadata; array data, which a client may map, is in
//! a region of its own. All numbers are native-endian.

use crate::MapSpec;
use crate::error::CreateError;
use crate::region::{Commit, Region};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use skep_abi::Errno;

/// "SKEPMAP" and a NUL.
const MAGIC: u64 = u64::from_le_bytes(*b"SKEPMAP\0");
/// Changes with each incompatible layout.
const LAYOUT_VERSION: u32 = 1;

const OFF_MAGIC: usize = 0;
const OFF_VERSION: usize = 8;
const OFF_TYPE: usize = 12;
const OFF_KEY_SIZE: usize = 16;
const OFF_VALUE_SIZE: usize = 20;
const OFF_MAX_ENTRIES: usize = 24;
const OFF_FLAGS: usize = 28;
const OFF_SLOTS: usize = 32;
const OFF_SEED: usize = 36;
const OFF_STATE: usize = 40;

/// Bytes that the header takes; what follows is the type's.
pub(crate) const HEADER_SIZE: usize = 128;

/// In the state word: user space may not write any more. The other bits count its writes under way.
const FROZEN: u32 = 1 << 31;

/// What every map has.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) spec: MapSpec,
    /// Header, then index and elements as the type lays them out.
    pub(crate) meta: Region,
    /// CPU slots that per-CPU parts are laid out for.
    pub(crate) slots: u32,
}

/// A write of user space under way: a freeze fails with `EBUSY` meanwhile.
#[derive(Debug)]
pub(crate) struct UserWrite<'a>(&'a Core);

impl Core {
    /// Makes the region of a map with `meta_size` bytes of metadata, header included.
    pub(crate) fn new(
        spec: &MapSpec,
        slots: u32,
        meta_size: usize,
        seed: u32,
        commit: Commit,
    ) -> Result<Core, CreateError> {
        let meta = region(meta_size.max(HEADER_SIZE), commit, "metadata and elements")?;
        for (off, word) in [
            (OFF_VERSION, LAYOUT_VERSION),
            (OFF_TYPE, spec.map_type),
            (OFF_KEY_SIZE, spec.key_size),
            (OFF_VALUE_SIZE, spec.value_size),
            (OFF_MAX_ENTRIES, spec.max_entries),
            (OFF_FLAGS, spec.flags),
            (OFF_SLOTS, slots),
            (OFF_SEED, seed),
        ] {
            meta.u32(off).store(word, Relaxed);
        }
        // Last, so that a region with a magic has a header.
        meta.u64(OFF_MAGIC).store(MAGIC, Release);
        Ok(Core { spec: spec.clone(), meta, slots })
    }

    /// `EINVAL` unless `key` has the map's key size.
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<(), Errno> {
        if key.len() == self.spec.key_size as usize { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// The index that the key of an array names.
    pub(crate) fn index(&self, key: &[u8]) -> Result<u32, Errno> {
        key.try_into().map(u32::from_ne_bytes).map_err(|_| Errno::EINVAL)
    }

    /// The next index after the one that `key` names (`array_map_get_next_key` of the kernel): the
    /// first after none and after an index out of range.
    pub(crate) fn next_index(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        let max = self.spec.max_entries;
        let index = match key {
            Some(key) => self.index(key)?,
            None => u32::MAX,
        };
        let following = if index >= max {
            0
        } else if index == max - 1 {
            return Err(Errno::ENOENT);
        } else {
            index + 1
        };
        if next.len() != size_of::<u32>() {
            return Err(Errno::EINVAL);
        }
        next.copy_from_slice(&following.to_ne_bytes());
        Ok(())
    }

    /// Announces a write of user space; `EPERM` once frozen.
    pub(crate) fn user_write(&self) -> Result<UserWrite<'_>, Errno> {
        let state = self.meta.u32(OFF_STATE);
        let mut now = state.load(Relaxed);
        loop {
            if now & FROZEN != 0 {
                return Err(Errno::EPERM);
            }
            match state.compare_exchange_weak(now, now + 1, Acquire, Relaxed) {
                Ok(_) => return Ok(UserWrite(self)),
                Err(other) => now = other,
            }
        }
    }

    /// As `map_freeze` of the kernel: `EPERM` when already frozen, `EBUSY` while a write is under way.
    pub(crate) fn freeze(&self) -> Result<(), Errno> {
        match self.meta.u32(OFF_STATE).compare_exchange(0, FROZEN, Acquire, Relaxed) {
            Ok(_) => Ok(()),
            Err(state) if state & FROZEN != 0 => Err(Errno::EPERM),
            Err(_) => Err(Errno::EBUSY),
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.meta.u32(OFF_STATE).load(Acquire) & FROZEN != 0
    }
}

impl Drop for UserWrite<'_> {
    fn drop(&mut self) {
        self.0.meta.u32(OFF_STATE).fetch_sub(1, Release);
    }
}

/// A region for part of a map, with the part's name in the error.
pub(crate) fn region(len: usize, commit: Commit, part: &str) -> Result<Region, CreateError> {
    Region::anonymous(len, commit)
        .map_err(|errno| CreateError::new(errno, format!("no {len} bytes of memory for {part}")))
}

/// `len` as computed with checked arithmetic, or the error for a size that has no number.
pub(crate) fn sized(len: Option<usize>) -> Result<usize, CreateError> {
    len.ok_or_else(|| CreateError::new(Errno::ENOMEM, "the map's size exceeds the address space"))
}

/// `EINVAL` for flags of an update that no type knows without special fields.
///
/// `BPF_F_LOCK` needs a `bpf_spin_lock` in the value, which Skep does not support yet; the kernel
/// answers `EINVAL` for a value that has none, and so do we.
pub(crate) fn check_update_flags(flags: u64) -> Result<(), Errno> {
    if flags > crate::uapi::BPF_EXIST { Err(Errno::EINVAL) } else { Ok(()) }
}
