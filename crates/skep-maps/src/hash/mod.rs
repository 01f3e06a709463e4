//! [`Hash`]: `BPF_MAP_TYPE_HASH`, values by key. Lookups take no lock.
//!
//! Also the creation checks that hashes share. Neighbours: `table` is the storage, which
//! `percpu_hash` shares; `chain` says how readers and writers get along.

mod chain;
mod free;
mod jenkins;
pub(crate) mod table;

use crate::MapSpec;
use crate::error::CreateError;
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use crate::slot::{self, Slot};
use crate::uapi::*;
use skep_abi::Errno;
use std::sync::Arc;
use table::{Place, Table, Values};

const FLAGS: u32 = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | ACCESS_FLAGS;

pub(crate) const HASH: MapType = MapType {
    kind: MapKind::Hash,
    name: "hash",
    since: (3, 19),
    flags: FLAGS,
    alloc_check,
    create,
    support: Support::Partial("no special fields in values, no batch commands"),
};

/// Key and value together must be smaller (bytes): `KMALLOC_MAX_SIZE - sizeof(struct htab_elem)`.
const MAX_ELEM_SIZE: u64 = (4 << 20) - 48;

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    check_hash(spec, FLAGS)
}

/// What `htab_map_alloc_check` of the kernel checks.
pub(crate) fn check_hash(spec: &MapSpec, flags: u32) -> Result<(), CreateError> {
    spec.check_flags(flags)?;
    for (what, size) in [
        ("max_entries", spec.max_entries),
        ("key_size", spec.key_size),
        ("value_size", spec.value_size),
    ] {
        if size == 0 {
            return Err(CreateError::invalid(format!("{what} of a hash must not be 0")));
        }
    }
    let size = u64::from(spec.key_size) + u64::from(spec.value_size);
    if size >= MAX_ELEM_SIZE {
        return Err(CreateError::new(
            Errno::E2BIG,
            format!("key and value of {size} bytes: they must be below {MAX_ELEM_SIZE}"),
        ));
    }
    Ok(())
}

#[derive(Debug)]
struct Hash {
    table: Table,
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    Ok(Arc::new(Hash { table: Table::new(spec, Values::Inline)? }))
}

impl Hash {
    fn check_value(&self, value: &[u8]) -> Result<(), Errno> {
        if value.len() == self.spec().value_size as usize { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

impl crate::ops::sealed::Sealed for Hash {}

impl MapOps for Hash {
    fn spec(&self) -> &MapSpec {
        &self.table.core.spec
    }

    fn map_type(&self) -> &'static MapType {
        &HASH
    }

    fn lookup(&self, key: &[u8], _slot: Slot) -> Option<u64> {
        self.table.core.check_key(key).ok()?;
        let elem = self.table.read(key, |elem| elem)?;
        Some(self.table.core.meta.addr(self.table.value_off(elem)))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, slot: Slot) -> Result<(), Errno> {
        self.check_value(value)?;
        self.table.update(key, flags, slot, |place| match place {
            Place::New(elem) | Place::Existing(elem) => {
                self.table.core.meta.write(self.table.value_off(elem), value);
            }
        })
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.table.remove(key, slot::nearest(), |_| {})
    }

    fn for_each(&self, _slot: Slot, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno> {
        Ok(self
            .table
            .for_each(|key, elem| each(key, self.table.core.meta.addr(self.table.value_off(elem)))))
    }

    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        self.check_value(value)?;
        self.table.core.check_key(key)?;
        self.table
            .read(key, |elem| self.table.core.meta.read(self.table.value_off(elem), value))
            .ok_or(Errno::ENOENT)
    }

    fn user_update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let _write = self.table.core.user_write()?;
        self.update(key, value, flags, slot::nearest())
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
        self.check_value(value)?;
        let _write = self.table.core.user_write()?;
        self.table.remove(key, slot::nearest(), |elem| {
            self.table.core.meta.read(self.table.value_off(elem), value);
        })
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.table.next_key(key, next)
    }

    fn owns(&self, addr: u64, len: usize) -> bool {
        self.table.owns_inline(addr, len)
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.table.core.freeze()
    }

    fn is_frozen(&self) -> bool {
        self.table.core.is_frozen()
    }

    fn memory_usage(&self) -> usize {
        self.table.core.meta.len()
    }
}
