//! [`ProgArray`]: `BPF_MAP_TYPE_PROG_ARRAY`, programs by index, for tail calls.
//!
//! Programs of the process are held by reference in slots that are swapped atomically; the array knows
//! of a program only what [`ProgObject`] says. Neighbours: the virtual machine downcasts.

use crate::MapSpec;
use crate::array::check_array;
use crate::common::{Core, HEADER_SIZE};
use crate::error::CreateError;
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use crate::region::Commit;
use crate::slot::Slot;
use crate::uapi::*;
use arc_swap::ArcSwapOption;
use core::any::Any;
use skep_abi::Errno;
use std::sync::{Arc, OnceLock};

const FLAGS: u32 = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;

pub(crate) const PROG_ARRAY: MapType = MapType {
    kind: MapKind::ProgArray,
    name: "prog_array",
    since: (4, 2),
    flags: FLAGS,
    alloc_check,
    create,
    support: Support::Full,
};

/// What a program in a map looks like from here.
pub trait ProgObject: Any + Send + Sync + core::fmt::Debug {
    /// The program's id, which user space reads back.
    fn id(&self) -> u32;

    /// What programs of one array have in common.
    fn compat(&self) -> ProgCompat;

    /// For the virtual machine, to get its program back.
    fn as_any(&self) -> &dyn Any;
}

/// A reference to a program.
pub type ProgRef = Arc<dyn ProgObject>;

/// What all programs that share a program array have in common (`map->owner` of the kernel): the first
/// program that uses the array, or is put into it, decides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProgCompat {
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// Attach type, for the program types whose context depends on it; else 0.
    pub expected_attach_type: u32,
    /// Anything else that must be equal: the engine, XDP with fragments and the like.
    pub token: u64,
}

/// A sized holder for the fat pointer, which is what can be swapped atomically.
#[derive(Debug)]
struct Entry(ProgRef);

/// Slots that are made together, when the first of them is set.
const CHUNK: u32 = 4096;

/// Neighbouring slots.
type Chunk = Box<[ArcSwapOption<Entry>]>;

/// The slots, in chunks that take memory only once used: the capacity is the creator's word, the entries are not.
#[derive(Debug)]
struct Slots {
    count: u32,
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Slots {
    fn new(count: u32) -> Option<Slots> {
        let len = count.div_ceil(CHUNK) as usize;
        let mut chunks = Vec::new();
        chunks.try_reserve_exact(len).ok()?;
        chunks.resize_with(len, OnceLock::new);
        Some(Slots { count, chunks: chunks.into_boxed_slice() })
    }

    /// The slot, if the index is in range and one near it was ever set.
    fn get(&self, index: u32) -> Option<&ArcSwapOption<Entry>> {
        self.chunks.get((index / CHUNK) as usize)?.get()?.get((index % CHUNK) as usize)
    }

    /// The slot to set, if the index is in range.
    fn make(&self, index: u32) -> Option<&ArcSwapOption<Entry>> {
        if index >= self.count {
            return None;
        }
        let new = || (0..CHUNK.min(self.count)).map(|_| ArcSwapOption::empty()).collect();
        let chunk = self.chunks.get((index / CHUNK) as usize)?.get_or_init(new);
        chunk.get((index % CHUNK) as usize)
    }

    /// All that may be set.
    fn made(&self) -> impl Iterator<Item = &ArcSwapOption<Entry>> {
        self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter())
    }
}

/// The program array.
#[derive(Debug)]
pub struct ProgArray {
    core: Core,
    slots: Slots,
    owner: OnceLock<ProgCompat>,
}

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    if spec.value_size != 4 {
        return Err(CreateError::invalid(format!(
            "values of a program array have 4 bytes, not {}",
            spec.value_size
        )));
    }
    check_array(spec, FLAGS)
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    let count = spec.max_entries;
    let slots = Slots::new(count).ok_or_else(|| {
        CreateError::new(Errno::ENOMEM, format!("no memory for {count} program slots"))
    })?;
    let core = Core::new(spec, Slot::count(), HEADER_SIZE, 0, Commit::Whole)?;
    Ok(Arc::new(ProgArray { core, slots, owner: OnceLock::new() }))
}

impl ProgArray {
    /// The program at `index`, for a tail call.
    pub fn get(&self, index: u32) -> Option<ProgRef> {
        self.slots.get(index)?.load().as_ref().map(|entry| Arc::clone(&entry.0))
    }

    /// For user space: puts a program in (`bpf_fd_array_map_update_elem` of the kernel), where `prog` is
    /// what the value, a descriptor, names.
    ///
    /// # Errors
    /// `EINVAL` flags other than `BPF_ANY`, or a program that does not suit the others; `E2BIG` index out
    /// of range; the error that `prog` gives; `EPERM` once frozen.
    pub fn set(
        &self,
        key: &[u8],
        prog: impl FnOnce() -> Result<ProgRef, Errno>,
        flags: u64,
    ) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        if flags != BPF_ANY {
            return Err(Errno::EINVAL);
        }
        let index = self.core.index(key)?;
        let slot = self.slots.make(index).ok_or(Errno::E2BIG)?;
        let prog = prog()?;
        self.check_compat(prog.compat())?;
        slot.store(Some(Arc::new(Entry(prog))));
        Ok(())
    }

    /// Whether a program may use this array; the first that asks decides for all.
    ///
    /// # Errors
    /// `EINVAL` if it differs from the first.
    pub fn check_compat(&self, compat: ProgCompat) -> Result<(), Errno> {
        if *self.owner.get_or_init(|| compat) == compat { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// What the programs have in common, once there was one.
    pub fn owner(&self) -> Option<ProgCompat> {
        self.owner.get().copied()
    }

    /// Drops all programs: what happens when user space holds the array no more, so that a program that
    /// refers to the array that it is in does not live for ever.
    pub fn clear(&self) {
        for slot in self.slots.made() {
            slot.store(None);
        }
    }
}

impl crate::ops::sealed::Sealed for ProgArray {}

impl MapOps for ProgArray {
    fn spec(&self) -> &MapSpec {
        &self.core.spec
    }

    fn map_type(&self) -> &'static MapType {
        &PROG_ARRAY
    }

    /// Programs cannot look into one.
    fn lookup(&self, _key: &[u8], _slot: Slot) -> Option<u64> {
        None
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, _slot: Slot) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let index = self.core.index(key)?;
        if index >= self.core.spec.max_entries {
            return Err(Errno::E2BIG);
        }
        let slot = self.slots.get(index).ok_or(Errno::ENOENT)?;
        slot.swap(None).map(drop).ok_or(Errno::ENOENT)
    }

    fn for_each(&self, _slot: Slot, _each: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Errno> {
        Err(Errno::EINVAL)
    }

    /// The value is the program's id.
    fn user_lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<(), Errno> {
        if flags != 0 || value.len() != size_of::<u32>() {
            return Err(Errno::EINVAL);
        }
        let prog = self.get(self.core.index(key)?).ok_or(Errno::ENOENT)?;
        value.copy_from_slice(&prog.id().to_ne_bytes());
        Ok(())
    }

    /// `EBADF` for every value: descriptors mean nothing here. [`ProgArray::set`] takes programs.
    fn user_update(&self, key: &[u8], _value: &[u8], flags: u64) -> Result<(), Errno> {
        self.set(key, || Err(Errno::EBADF), flags)
    }

    fn user_delete(&self, key: &[u8]) -> Result<(), Errno> {
        let _write = self.core.user_write()?;
        self.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.core.next_index(key, next)
    }

    fn owns(&self, _addr: u64, _len: usize) -> bool {
        false
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.core.freeze()
    }

    fn is_frozen(&self) -> bool {
        self.core.is_frozen()
    }

    fn memory_usage(&self) -> usize {
        self.core.meta.len() + self.slots.count as usize * size_of::<ArcSwapOption<Entry>>()
    }

    fn as_prog_array(&self) -> Option<&ProgArray> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Prog;

    impl ProgObject for Prog {
        fn id(&self) -> u32 {
            7
        }

        fn compat(&self) -> ProgCompat {
            ProgCompat { prog_type: 6, expected_attach_type: 0, token: 0 }
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    fn array(max_entries: u32) -> Arc<dyn MapOps> {
        let spec =
            MapSpec { map_type: 3, key_size: 4, value_size: 4, max_entries, ..MapSpec::default() };
        crate::create(&spec).unwrap()
    }

    #[test]
    fn the_largest_takes_memory_only_where_it_is_used() {
        let map = array(u32::MAX);
        let progs = map.as_prog_array().unwrap();
        for index in [0, 4095, 4096, u32::MAX - 1] {
            let key = index.to_ne_bytes();
            assert_eq!(map.delete(&key), Err(Errno::ENOENT));
            progs.set(&key, || Ok(Arc::new(Prog)), 0).unwrap();
            assert!(progs.get(index).is_some(), "{index}");
            assert!(progs.get(index ^ 1).is_none(), "{index}");
            map.delete(&key).unwrap();
            assert!(progs.get(index).is_none(), "{index}");
        }
        let beyond = u32::MAX.to_ne_bytes();
        assert_eq!(progs.set(&beyond, || Ok(Arc::new(Prog)), 0), Err(Errno::E2BIG));
        assert_eq!(map.delete(&beyond), Err(Errno::E2BIG));
    }

    #[test]
    fn a_small_one_has_no_more_slots_than_it_says() {
        let map = array(3);
        let progs = map.as_prog_array().unwrap();
        progs.set(&2u32.to_ne_bytes(), || Ok(Arc::new(Prog)), 0).unwrap();
        assert!(progs.get(2).is_some() && progs.get(3).is_none());
        progs.clear();
        assert!(progs.get(2).is_none());
    }
}
