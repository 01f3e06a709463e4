//! [`PercpuHash`]: `BPF_MAP_TYPE_PERCPU_HASH`, values by key for each CPU slot.
//!
//! Keys are in a [`Table`]; the values of an element are apart, at its number.

use crate::MapSpec;
use crate::error::CreateError;
use crate::hash::check_hash;
use crate::hash::table::{Place, Table, Values, commit_of};
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use crate::percpu_array::{PercpuValues, check_no_node, check_percpu_value};
use crate::slot::{self, Slot};
use crate::uapi::*;
use skep_abi::Errno;
use std::sync::Arc;

const FLAGS: u32 = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | ACCESS_FLAGS;

pub(crate) const PERCPU_HASH: MapType = MapType {
    kind: MapKind::PercpuHash,
    name: "percpu_hash",
    since: (4, 6),
    flags: FLAGS,
    alloc_check,
    create,
    support: Support::Partial("no special fields in values, no batch commands"),
};

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    spec.check_flags(FLAGS)?;
    check_no_node(spec)?;
    check_hash(spec, FLAGS)?;
    check_percpu_value(spec)
}

#[derive(Debug)]
struct PercpuHash {
    table: Table,
    values: PercpuValues,
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    let table = Table::new(spec, Values::Apart)?;
    let count = spec.max_entries as usize;
    let values = PercpuValues::new(spec, table.core.slots, count, commit_of(spec))?;
    Ok(Arc::new(PercpuHash { table, values }))
}

/// Where an element's values are; elements count from 1.
fn value_index(elem: u32) -> usize {
    elem as usize - 1
}

impl PercpuHash {
    fn check_user_value(&self, value: &[u8]) -> Result<(), Errno> {
        if value.len() == self.values.user_size() { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

impl crate::ops::sealed::Sealed for PercpuHash {}

impl MapOps for PercpuHash {
    fn spec(&self) -> &MapSpec {
        &self.table.core.spec
    }

    fn map_type(&self) -> &'static MapType {
        &PERCPU_HASH
    }

    fn lookup(&self, key: &[u8], slot: Slot) -> Option<u64> {
        self.table.core.check_key(key).ok()?;
        let elem = self.table.read(key, |elem| elem)?;
        Some(self.values.addr(value_index(elem), slot))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, slot: Slot) -> Result<(), Errno> {
        if value.len() != self.spec().value_size as usize {
            return Err(Errno::EINVAL);
        }
        self.table.update(key, flags, slot, |place| match place {
            Place::New(elem) => self.values.init_one(value_index(elem), slot, value),
            Place::Existing(elem) => self.values.write_one(value_index(elem), slot, value),
        })
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.table.remove(key, slot::nearest(), |_| {})
    }

    fn for_each(&self, slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno> {
        Ok(self.table.for_each(|key, elem| each(key, self.values.addr(value_index(elem), slot))))
    }

    fn user_value_size(&self) -> usize {
        self.values.user_size()
    }

    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        self.check_user_value(value)?;
        self.table.core.check_key(key)?;
        self.table
            .read(key, |elem| self.values.read_all(value_index(elem), value))
            .ok_or(Errno::ENOENT)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let _write = self.table.core.user_write()?;
        self.check_user_value(value)?;
        self.table.update(key, flags, slot::nearest(), |place| match place {
            Place::New(elem) | Place::Existing(elem) => {
                self.values.write_all(value_index(elem), value);
            }
        })
    }

    fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        let _write = self.table.core.user_write()?;
        self.delete(key)
    }

    fn user_lookup_and_delete(
        &self,
        key: &[u8],
        value: &mut [u8],
        flags: u64,
    ) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        self.check_user_value(value)?;
        let _write = self.table.core.user_write()?;
        self.table.remove(key, slot::nearest(), |elem| {
            self.values.read_all(value_index(elem), value);
        })
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.table.next_key(key, next)
    }

    fn owns(&self, addr: u64, len: usize) -> bool {
        self.values.owns(addr, len)
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.table.core.freeze()
    }

    fn is_frozen(&self) -> bool {
        self.table.core.is_frozen()
    }

    fn memory_usage(&self) -> usize {
        self.table.core.meta.len() + self.values.memory_usage()
    }
}
