//! [`PercpuArray`]: `BPF_MAP_TYPE_PERCPU_ARRAY`, a value by index for each CPU slot.
//!
//! Also [`PercpuValues`], the storage of per-CPU values, which `percpu_hash` shares.

use crate::MapSpec;
use crate::array::{check_array, for_each_index, updatable};
use crate::common::{Core, HEADER_SIZE, check_update_flags, region, sized};
use crate::error::CreateError;
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use crate::region::{Commit, PAGE_SIZE, Region};
use crate::slot::Slot;
use crate::uapi::*;
use skep_abi::Errno;
use std::sync::Arc;

const FLAGS: u32 = BPF_F_NUMA_NODE | ACCESS_FLAGS;

pub(crate) const PERCPU_ARRAY: MapType = MapType {
    kind: MapKind::PercpuArray,
    name: "percpu_array",
    since: (4, 6),
    flags: FLAGS,
    alloc_check,
    create,
    support: Support::Partial("no special fields in values, no batch commands"),
};

/// Largest per-CPU value in bytes, rounded up to 8 (`PCPU_MIN_UNIT_SIZE` of the kernel).
const MAX_PERCPU_VALUE_SIZE: usize = 32 << 10;

/// What the kernel checks of values that are allocated for each CPU.
pub(crate) fn check_percpu_value(spec: &MapSpec) -> Result<(), CreateError> {
    if spec.padded_value_size() > MAX_PERCPU_VALUE_SIZE {
        return Err(CreateError::new(
            Errno::E2BIG,
            format!("per-CPU values of {} bytes exceed {MAX_PERCPU_VALUE_SIZE}", spec.value_size),
        ));
    }
    Ok(())
}

/// Per-CPU memory is on each CPU's own node: a map cannot ask for one.
pub(crate) fn check_no_node(spec: &MapSpec) -> Result<(), CreateError> {
    if spec.asks_for_node() {
        return Err(CreateError::invalid("a per-CPU map cannot be put on one NUMA node"));
    }
    Ok(())
}

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    check_array(spec, FLAGS)?;
    check_no_node(spec)?;
    check_percpu_value(spec)
}

/// Values of `count` elements for each slot: the values of one slot lie together, from a page of their
/// own on, so that slots never share a cache line.
#[derive(Debug)]
pub(crate) struct PercpuValues {
    region: Region,
    slots: u32,
    count: usize,
    value_size: usize,
    /// `value_size` rounded up to 8.
    stride: usize,
    slot_stride: usize,
}

impl PercpuValues {
    pub(crate) fn new(
        spec: &MapSpec,
        slots: u32,
        count: usize,
        commit: Commit,
    ) -> Result<PercpuValues, CreateError> {
        let stride = spec.padded_value_size();
        let slot_stride = sized(
            stride.checked_mul(count).and_then(|len| len.checked_next_multiple_of(PAGE_SIZE)),
        )?;
        let len = sized(slot_stride.checked_mul(slots as usize))?;
        let region = region(len, commit, "per-CPU values")?;
        let value_size = spec.value_size as usize;
        Ok(PercpuValues { region, slots, count, value_size, stride, slot_stride })
    }

    fn offset(&self, index: usize, slot: u32) -> usize {
        assert!(index < self.count && slot < self.slots, "value {index} of slot {slot}");
        slot as usize * self.slot_stride + index * self.stride
    }

    pub(crate) fn addr(&self, index: usize, slot: Slot) -> u64 {
        self.region.addr(self.offset(index, slot.index()))
    }

    /// Bytes that user space sees for one element.
    pub(crate) fn user_size(&self) -> usize {
        self.stride * self.slots as usize
    }

    /// Copies the values of all slots out, padding included.
    pub(crate) fn read_all(&self, index: usize, to: &mut [u8]) {
        for (slot, part) in (0..self.slots).zip(to.chunks_exact_mut(self.stride)) {
            self.region.read(self.offset(index, slot), part);
        }
    }

    /// Copies values for all slots in, padding included: the kernel keeps what user space puts there.
    pub(crate) fn write_all(&self, index: usize, from: &[u8]) {
        for (slot, part) in (0..self.slots).zip(from.chunks_exact(self.stride)) {
            self.region.write(self.offset(index, slot), part);
        }
    }

    /// Stores the value of one slot.
    pub(crate) fn write_one(&self, index: usize, slot: Slot, value: &[u8]) {
        self.region.write(self.offset(index, slot.index()), value);
    }

    /// Stores the value of one slot and zeroes all others, and all padding.
    pub(crate) fn init_one(&self, index: usize, slot: Slot, value: &[u8]) {
        for each in 0..self.slots {
            self.region.zero(self.offset(index, each), self.stride);
        }
        self.write_one(index, slot, value);
    }

    pub(crate) fn owns(&self, addr: u64, len: usize) -> bool {
        self.region.offset_of(addr, len).is_some_and(|off| {
            let in_slot = off % self.slot_stride;
            in_slot / self.stride < self.count && in_slot % self.stride + len <= self.value_size
        })
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.region.len()
    }
}

#[derive(Debug)]
struct PercpuArray {
    core: Core,
    values: PercpuValues,
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    let slots = Slot::count();
    let values = PercpuValues::new(spec, slots, spec.max_entries as usize, Commit::Whole)?;
    let core = Core::new(spec, slots, HEADER_SIZE, 0, Commit::Whole)?;
    Ok(Arc::new(PercpuArray { core, values }))
}

impl PercpuArray {
    fn index(&self, key: &[u8]) -> Result<Option<usize>, Errno> {
        let index = self.core.index(key)?;
        Ok((index < self.core.spec.max_entries).then_some(index as usize))
    }
}

impl crate::ops::sealed::Sealed for PercpuArray {}

impl MapOps for PercpuArray {
    fn spec(&self) -> &MapSpec {
        &self.core.spec
    }

    fn map_type(&self) -> &'static MapType {
        &PERCPU_ARRAY
    }

    fn lookup(&self, key: &[u8], slot: Slot) -> Option<u64> {
        self.index(key).ok().flatten().map(|index| self.values.addr(index, slot))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, slot: Slot) -> Result<(), Errno> {
        let index = updatable(self.index(key)?, flags)?;
        if value.len() != self.core.spec.value_size as usize {
            return Err(Errno::EINVAL);
        }
        self.values.write_one(index, slot, value);
        Ok(())
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn for_each(&self, slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno> {
        Ok(for_each_index(self.core.spec.max_entries, each, |index| {
            self.values.addr(index as usize, slot)
        }))
    }

    fn user_value_size(&self) -> usize {
        self.values.user_size()
    }

    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        if flags != 0 || value.len() != self.values.user_size() {
            return Err(Errno::EINVAL);
        }
        let index = self.index(key)?.ok_or(Errno::ENOENT)?;
        self.values.read_all(index, value);
        Ok(())
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        check_update_flags(flags)?;
        let index = updatable(self.index(key)?, flags)?;
        if value.len() != self.values.user_size() {
            return Err(Errno::EINVAL);
        }
        self.values.write_all(index, value);
        Ok(())
    }

    fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        self.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.core.next_index(key, next)
    }

    fn owns(&self, addr: u64, len: usize) -> bool {
        self.values.owns(addr, len)
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.core.freeze()
    }

    fn is_frozen(&self) -> bool {
        self.core.is_frozen()
    }

    fn memory_usage(&self) -> usize {
        self.core.meta.len() + self.values.memory_usage()
    }
}
