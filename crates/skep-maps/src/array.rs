//! [`Array`]: `BPF_MAP_TYPE_ARRAY`, values by index, all there from the start.
//!
//! The values are a region of their own, in the layout in which the kernel lets a client map an array
//! (`BPF_F_MMAPABLE`): value `i` at `i * round_up(value_size, 8)` from the start of a page.
//! Also the creation checks that all array types share. Neighbours: `percpu_array`, `prog_array`.

use crate::common::{Core, HEADER_SIZE, check_update_flags, region, sized};
use crate::error::CreateError;
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use crate::region::{Commit, Region};
use crate::slot::Slot;
use crate::uapi::*;
use crate::{MapSpec, slot};
use skep_abi::Errno;
use std::sync::Arc;

/// Flags of `array_map_alloc_check` that plain arrays take.
const FLAGS: u32 = BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_INNER_MAP | ACCESS_FLAGS;

pub(crate) const ARRAY: MapType = MapType {
    kind: MapKind::Array,
    name: "array",
    since: (3, 19),
    flags: FLAGS,
    alloc_check,
    create,
    support: Support::Partial("no special fields in values, no batch commands, no mmap by clients"),
};

/// Largest value, in bytes: `INT_MAX`.
const MAX_VALUE_SIZE: u32 = i32::MAX as u32;

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    check_array(spec, FLAGS)
}

/// What `array_map_alloc_check` of the kernel checks.
pub(crate) fn check_array(spec: &MapSpec, flags: u32) -> Result<(), CreateError> {
    if spec.max_entries == 0 {
        return Err(CreateError::invalid("max_entries of an array must not be 0"));
    }
    if spec.key_size != 4 {
        return Err(CreateError::invalid(format!(
            "keys of an array have 4 bytes, not {}",
            spec.key_size
        )));
    }
    if spec.value_size == 0 {
        return Err(CreateError::invalid("value_size of an array must not be 0"));
    }
    spec.check_flags(flags)?;
    if spec.value_size > MAX_VALUE_SIZE {
        return Err(CreateError::new(
            Errno::E2BIG,
            format!("values of {} bytes exceed {MAX_VALUE_SIZE}", spec.value_size),
        ));
    }
    Ok(())
}

#[derive(Debug)]
struct Array {
    core: Core,
    values: Region,
    stride: usize,
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    let stride = spec.padded_value_size();
    let len = sized(stride.checked_mul(spec.max_entries as usize))?;
    let values = region(len, Commit::Whole, "array values")?;
    let core = Core::new(spec, slot::Slot::count(), HEADER_SIZE, 0, Commit::Whole)?;
    Ok(Arc::new(Array { core, values, stride }))
}

impl Array {
    /// Offset of the value of a key, if there is one.
    fn offset(&self, key: &[u8]) -> Result<Option<usize>, Errno> {
        let index = self.core.index(key)?;
        Ok((index < self.core.spec.max_entries).then_some(index as usize * self.stride))
    }

    fn value_size(&self) -> usize {
        self.core.spec.value_size as usize
    }
}

impl crate::ops::sealed::Sealed for Array {}

impl MapOps for Array {
    fn spec(&self) -> &MapSpec {
        &self.core.spec
    }

    fn map_type(&self) -> &'static MapType {
        &ARRAY
    }

    fn lookup(&self, key: &[u8], _slot: Slot) -> Option<u64> {
        self.offset(key).ok().flatten().map(|off| self.values.addr(off))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, _slot: Slot) -> Result<(), Errno> {
        let off = updatable(self.offset(key)?, flags)?;
        if value.len() != self.value_size() {
            return Err(Errno::EINVAL);
        }
        // The verifier took such a value for constant: no program can ask for this, but a caller of this crate can.
        if self.core.spec.flags & BPF_F_RDONLY_PROG != 0 && self.core.is_frozen() {
            return Err(Errno::EPERM);
        }
        self.values.write(off, value);
        Ok(())
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn for_each(&self, _slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno> {
        Ok(for_each_index(self.core.spec.max_entries, each, |index| {
            self.values.addr(index as usize * self.stride)
        }))
    }

    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        if flags != 0 || value.len() != self.value_size() {
            return Err(Errno::EINVAL);
        }
        let off = self.offset(key)?.ok_or(Errno::ENOENT)?;
        self.values.read(off, value);
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        check_update_flags(flags)?;
        self.update(key, value, flags, slot::nearest())
    }

    fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        self.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.core.next_index(key, next)
    }

    fn direct_values(&self) -> Option<(u64, usize)> {
        (self.core.spec.max_entries == 1).then(|| (self.values.addr(0), self.value_size()))
    }

    fn owns(&self, addr: u64, len: usize) -> bool {
        self.values.offset_of(addr, len).is_some_and(|off| {
            off / self.stride < self.core.spec.max_entries as usize
                && off % self.stride + len <= self.value_size()
        })
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.core.freeze()
    }

    fn is_frozen(&self) -> bool {
        self.core.is_frozen()
    }

    fn memory_usage(&self) -> usize {
        self.core.meta.len() + self.values.len()
    }
}

/// The checks of a program's update of an array, in the order of `array_map_update_elem` of the kernel: an
/// element that is `there` can be overwritten only. `BPF_F_LOCK` comes last, and no value has a lock.
pub(crate) fn updatable<T>(there: Option<T>, flags: u64) -> Result<T, Errno> {
    check_update_flags(flags & !BPF_F_LOCK)?;
    let elem = there.ok_or(Errno::E2BIG)?;
    if flags & BPF_NOEXIST != 0 {
        return Err(Errno::EEXIST);
    }
    if flags & BPF_F_LOCK != 0 { Err(Errno::EINVAL) } else { Ok(elem) }
}

/// Calls `each` with the address of each index and of its value; returns how many calls.
pub(crate) fn for_each_index(
    max_entries: u32,
    each: &mut dyn FnMut(u64, u64) -> bool,
    value_addr: impl Fn(u32) -> u64,
) -> u64 {
    for index in 0..max_entries {
        // Each call has its own key, so that what the callback does to it cannot change the walk.
        // `mut`, since programs read it by atomic loads, which want memory that could be written.
        let mut key = index;
        let go_on = each((&raw mut key).expose_provenance() as u64, value_addr(index));
        if !go_on {
            return u64::from(index) + 1;
        }
    }
    u64::from(max_entries)
}
