//! [`Table`]: the hash table that plain and per-CPU hashes share: buckets, elements and free lists in
//! one region.
//!
//! Layout after the header: two free lists and a share of the unused elements for each CPU slot; buckets
//! of 16 bytes (head, lock, version); elements (link, hash, key padded to 8, value padded to 8), numbered
//! from 1. `max_entries` elements serve keys; when their free lists are empty, the map is full. Further
//! ones, the spares, serve replacements, which therefore succeed in a full map, as in the kernel.
//! Memory of elements that were never used is never touched.
//!
//! Neighbours: `chain` is the readers' protocol, `free` the lists, `jenkins` the hash.

use super::chain::{self, Elem, Link, NIL};
use super::{free, jenkins};
use crate::MapSpec;
use crate::common::{Core, HEADER_SIZE, check_update_flags, sized};
use crate::error::CreateError;
use crate::region::{Commit, Region};
use crate::slot::{self, Slot};
use crate::uapi::*;
use core::sync::atomic::{
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    fence,
};
use skep_abi::Errno;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A cache line for each slot: heads of its free lists, and how many elements of its share were used.
const OFF_LISTS: usize = HEADER_SIZE;
const LIST_SPARES: usize = 8;
const SHARE_USED: usize = 16;
const CACHE_LINE: usize = 64;

const BUCKET_SIZE: usize = 16;
const BUCKET_LOCK: usize = 4;
const BUCKET_VERSION: usize = 8;

const ELEM_HASH: usize = 4;
const ELEM_KEY: usize = 8;

/// The most buckets that the kernel makes (`U32_MAX / sizeof(struct bucket)`), as a power of two.
const MAX_BUCKETS: usize = 1 << 27;

/// Spares beyond one for each slot, for threads of user space, which have none.
const MORE_SPARES: u32 = 8;

/// Where the values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Values {
    /// In the elements; an update replaces the element.
    Inline,
    /// Elsewhere, by element number; an update changes them in place.
    Apart,
}

/// What an update is to fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// The value of a new element, which holds anything.
    New(Elem),
    /// The value of an element that programs may see.
    Existing(Elem),
}

/// The hash table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) core: Core,
    seed: u32,
    bucket_mask: u32,
    buckets_off: usize,
    elems_off: usize,
    elem_size: usize,
    value_off: usize,
    values: Values,
    /// All elements, spares included.
    elem_count: u32,
}

/// Which free list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Keys,
    Spares,
}

/// A slot's list for a purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct List(Purpose, u32);

impl Table {
    pub(crate) fn new(spec: &MapSpec, values: Values) -> Result<Table, CreateError> {
        let slots = Slot::count();
        let buckets = (spec.max_entries as usize).next_power_of_two();
        if buckets > MAX_BUCKETS {
            return Err(CreateError::new(
                Errno::E2BIG,
                format!("a hash has at most {MAX_BUCKETS} entries, not {}", spec.max_entries),
            ));
        }
        let spares = match values {
            Values::Inline => slots + MORE_SPARES,
            Values::Apart => 0,
        };
        // No overflow: at most 2^27 entries and 2^13 slots.
        let elem_count = spec.max_entries + spares;
        let value_off = ELEM_KEY + (spec.key_size as usize).next_multiple_of(8);
        let elem_size = match values {
            Values::Inline => value_off + spec.padded_value_size(),
            Values::Apart => value_off,
        };
        let buckets_off = OFF_LISTS + slots as usize * CACHE_LINE;
        let elems_off = buckets_off + buckets * BUCKET_SIZE;
        let len = sized(
            elem_size.checked_mul(elem_count as usize).and_then(|len| len.checked_add(elems_off)),
        )?;
        let seed = if spec.has(BPF_F_ZERO_SEED) { 0 } else { random_seed() };
        let core = Core::new(spec, slots, len, seed, commit_of(spec))?;
        let bucket_mask = buckets as u32 - 1;
        let table = Table {
            core,
            seed,
            bucket_mask,
            buckets_off,
            elems_off,
            elem_size,
            value_off,
            values,
            elem_count,
        };
        for spare in 0..spares {
            free::push(&table, List(Purpose::Spares, spare % slots), spec.max_entries + 1 + spare);
        }
        Ok(table)
    }

    fn region(&self) -> &Region {
        &self.core.meta
    }

    #[inline]
    fn elem_off(&self, elem: Elem) -> usize {
        debug_assert!(
            elem != NIL && elem <= self.elem_count,
            "element {elem} of {}",
            self.elem_count
        );
        // Wrapping, since the region checks what comes out.
        self.elems_off.wrapping_add((elem as usize).wrapping_sub(1).wrapping_mul(self.elem_size))
    }

    #[inline]
    fn bucket_off(&self, bucket: u32) -> usize {
        self.buckets_off + (bucket & self.bucket_mask) as usize * BUCKET_SIZE
    }

    /// Offset of the element's inline value.
    pub(crate) fn value_off(&self, elem: Elem) -> usize {
        self.elem_off(elem) + self.value_off
    }

    fn hash(&self, key: &[u8]) -> u32 {
        jenkins::hash(key, self.seed)
    }

    #[inline]
    fn is_match(&self, elem: Elem, hash: u32, key: &[u8]) -> bool {
        let off = self.elem_off(elem);
        self.region().u32(off + ELEM_HASH).load(Relaxed) == hash
            && self.region().equal(off + ELEM_KEY, key)
    }

    #[inline]
    fn find(&self, bucket: u32, hash: u32, key: &[u8]) -> Option<(Link, Elem)> {
        chain::find(self, bucket, |elem| self.is_match(elem, hash, key))
    }

    /// Reads the element of `key` without a lock. `body` may run several times, also on an element that
    /// is being reused; only the result of a run during which it was the key's counts.
    #[inline]
    pub(crate) fn read<R>(&self, key: &[u8], mut body: impl FnMut(Elem) -> R) -> Option<R> {
        let hash = self.hash(key);
        let bucket = hash & self.bucket_mask;
        chain::read(self, bucket, || self.find(bucket, hash, key).map(|(_, elem)| body(elem)))
    }

    /// Stores a value: `write` fills it. `near` says whose free lists to prefer.
    ///
    /// # Errors
    /// `EINVAL`, `EEXIST`, `ENOENT` by flags; `E2BIG` when full.
    pub(crate) fn update(
        &self,
        key: &[u8],
        flags: u64,
        near: Slot,
        write: impl FnOnce(Place),
    ) -> Result<(), Errno> {
        check_update_flags(flags)?;
        self.core.check_key(key)?;
        let hash = self.hash(key);
        let lock = self.lock(hash & self.bucket_mask);
        let bucket = lock.bucket;
        match self.find(bucket, hash, key) {
            Some(_) if flags == BPF_NOEXIST => Err(Errno::EEXIST),
            None if flags == BPF_EXIST => Err(Errno::ENOENT),
            Some((link, old)) => {
                match self.values {
                    Values::Apart => write(Place::Existing(old)),
                    Values::Inline => {
                        let new = self.take_spare(near);
                        self.init(new, hash, key);
                        write(Place::New(new));
                        chain::replace(self, bucket, link, old, new);
                        free::push(self, List(Purpose::Spares, near.index()), old);
                    }
                }
                Ok(())
            }
            None => {
                let new = self.take_free(near).ok_or(Errno::E2BIG)?;
                self.init(new, hash, key);
                write(Place::New(new));
                chain::insert(self, bucket, new);
                Ok(())
            }
        }
    }

    /// Removes an element after `last_look` at it.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn remove(
        &self,
        key: &[u8],
        near: Slot,
        last_look: impl FnOnce(Elem),
    ) -> Result<(), Errno> {
        self.core.check_key(key)?;
        let hash = self.hash(key);
        let lock = self.lock(hash & self.bucket_mask);
        let (link, old) = self.find(lock.bucket, hash, key).ok_or(Errno::ENOENT)?;
        last_look(old);
        chain::remove(self, lock.bucket, link, old);
        drop(lock);
        free::push(self, List(Purpose::Keys, near.index()), old);
        Ok(())
    }

    /// The key after `key` in bucket order, or the first; after a key that is not there, the first.
    pub(crate) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
        self.core.check_key(next)?;
        let mut bucket = 0;
        if let Some(key) = key {
            self.core.check_key(key)?;
            let hash = self.hash(key);
            let own = hash & self.bucket_mask;
            let after = chain::read(self, own, || {
                self.find(own, hash, key).map(|(_, elem)| self.copy_key(Link::Next(elem), next))
            });
            match after {
                Some(KeyCopied::Yes) => return Ok(()),
                Some(KeyCopied::NoElement) => bucket = own + 1,
                None => {}
            }
        }
        while bucket <= self.bucket_mask {
            match chain::read(self, bucket, || self.copy_key(Link::Head(bucket), next)) {
                KeyCopied::Yes => return Ok(()),
                KeyCopied::NoElement => bucket += 1,
            }
        }
        Err(Errno::ENOENT)
    }

    fn copy_key(&self, link: Link, to: &mut [u8]) -> KeyCopied {
        match chain::Memory::link(self, link) {
            NIL => KeyCopied::NoElement,
            elem => {
                self.region().read(self.elem_off(elem) + ELEM_KEY, to);
                KeyCopied::Yes
            }
        }
    }

    /// Calls `each` with the address of a copy of each key and with its element; returns how many calls.
    ///
    /// A bucket's keys are noted before the first call for it, so that `each` may change the map: a key
    /// of the bucket that is gone when its turn comes is left out, and none comes twice.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u64, Elem) -> bool) -> u64 {
        let key_size = self.core.spec.key_size as usize;
        let stride = key_size.next_multiple_of(8);
        let mut keys: Vec<u8> = Vec::new();
        let mut calls = 0;
        for bucket in 0..=self.bucket_mask {
            chain::read(self, bucket, || {
                keys.clear();
                let mut link = Link::Head(bucket);
                while let elem @ 1.. = chain::Memory::link(self, link) {
                    let at = keys.len();
                    keys.resize(at + stride, 0);
                    self.region()
                        .read(self.elem_off(elem) + ELEM_KEY, &mut keys[at..at + key_size]);
                    link = Link::Next(elem);
                }
            });
            for key in keys.chunks_exact(stride) {
                let Some(elem) = self.read(&key[..key_size], |elem| elem) else { continue };
                calls += 1;
                if !each(key.as_ptr().expose_provenance() as u64, elem) {
                    return calls;
                }
            }
        }
        calls
    }

    /// Whether `len` bytes at `addr` lie within one inline value.
    pub(crate) fn owns_inline(&self, addr: u64, len: usize) -> bool {
        let Some(off) = self.region().offset_of(addr, len) else { return false };
        let Some(in_elems) = off.checked_sub(self.elems_off) else { return false };
        let (elem, within) = (in_elems / self.elem_size, in_elems % self.elem_size);
        elem < self.elem_count as usize
            && within
                .checked_sub(self.value_off)
                .is_some_and(|at| at + len <= self.core.spec.value_size as usize)
    }

    /// Makes a free element a key's. The fence is for readers that still stand on it: who reads one of
    /// the words written from here on will see the version that was raised before the element was freed.
    fn init(&self, elem: Elem, hash: u32, key: &[u8]) {
        fence(Release);
        let off = self.elem_off(elem);
        self.region().u32(off + ELEM_HASH).store(hash, Relaxed);
        self.region().write(off + ELEM_KEY, key);
    }

    /// A free element for a key: of the slot's list, of its share of those never used, and then of the
    /// other slots'. Whoever finds nothing in any of them finds the map full.
    fn take_free(&self, near: Slot) -> Option<Elem> {
        let slots = self.core.slots;
        (0..slots).map(|i| (near.index() + i) % slots).find_map(|slot| {
            free::pop(self, List(Purpose::Keys, slot)).or_else(|| self.take_unused(slot))
        })
    }

    /// Takes an element that was never used, of a slot's share.
    fn take_unused(&self, slot: u32) -> Option<Elem> {
        let end_of = |slot: u32| {
            let end = u64::from(self.core.spec.max_entries) * u64::from(slot)
                / u64::from(self.core.slots);
            end as u32
        };
        let (start, end) = (end_of(slot), end_of(slot + 1));
        let used = self.region().u32(line_off(slot) + SHARE_USED);
        let taken = used
            .fetch_update(Relaxed, Relaxed, |used| (used < end - start).then_some(used + 1))
            .ok()?;
        Some(start + taken + 1)
    }

    /// A spare. There is one unless as many replacements as there are spares are under way in other
    /// threads; each gives one back as soon as it goes on.
    fn take_spare(&self, near: Slot) -> Elem {
        loop {
            let slots = self.core.slots;
            let spare = (0..slots)
                .find_map(|i| free::pop(self, List(Purpose::Spares, (near.index() + i) % slots)));
            match spare {
                Some(elem) => return elem,
                None => std::thread::yield_now(),
            }
        }
    }

    fn lock(&self, bucket: u32) -> BucketGuard<'_> {
        let word = self.region().u32(self.bucket_off(bucket) + BUCKET_LOCK);
        let owner = slot::thread_number().get();
        let mut tries = 0u32;
        while word.compare_exchange_weak(0, owner, Acquire, Relaxed).is_err() {
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(SPINS) {
                std::thread::yield_now();
            } else {
                core::hint::spin_loop();
            }
        }
        BucketGuard { table: self, bucket }
    }
}

/// Looks at a lock before a waiter lets others run; its holders never sleep.
const SPINS: u32 = 128;

enum KeyCopied {
    Yes,
    NoElement,
}

/// The lock of a bucket: a word with the number of the thread that has it, so that a lock whose owner
/// died with its process can be told from one that is held.
struct BucketGuard<'a> {
    table: &'a Table,
    bucket: u32,
}

impl Drop for BucketGuard<'_> {
    fn drop(&mut self) {
        let off = self.table.bucket_off(self.bucket) + BUCKET_LOCK;
        self.table.region().u32(off).store(0, Release);
    }
}

impl chain::Memory for Table {
    #[inline]
    fn link(&self, at: Link) -> Elem {
        let off = match at {
            Link::Head(bucket) => self.bucket_off(bucket),
            Link::Next(elem) => self.elem_off(elem),
        };
        self.region().u32(off).load(Acquire)
    }

    fn set_link(&self, at: Link, to: Elem) {
        let off = match at {
            Link::Head(bucket) => self.bucket_off(bucket),
            Link::Next(elem) => self.elem_off(elem),
        };
        self.region().u32(off).store(to, Release);
    }

    #[inline]
    fn version(&self, bucket: u32) -> u64 {
        self.region().u64(self.bucket_off(bucket) + BUCKET_VERSION).load(Acquire)
    }

    fn raise_version(&self, bucket: u32) {
        let version = self.region().u64(self.bucket_off(bucket) + BUCKET_VERSION);
        version.store(version.load(Relaxed).wrapping_add(1), Release);
    }

    #[inline]
    fn version_after(&self, bucket: u32) -> u64 {
        fence(Acquire);
        self.region().u64(self.bucket_off(bucket) + BUCKET_VERSION).load(Relaxed)
    }
}

impl free::Memory for Table {
    type List = List;

    fn head(&self, list: List) -> u64 {
        self.region().u64(list_off(list)).load(Acquire)
    }

    fn exchange_head(&self, list: List, from: u64, to: u64) -> Result<(), u64> {
        self.region().u64(list_off(list)).compare_exchange_weak(from, to, AcqRel, Acquire).map(drop)
    }

    fn next_free(&self, elem: Elem) -> Elem {
        self.region().u32(self.elem_off(elem)).load(Relaxed)
    }

    fn set_next_free(&self, elem: Elem, next: Elem) {
        self.region().u32(self.elem_off(elem)).store(next, Release);
    }
}

/// The cache line of a slot.
fn line_off(slot: u32) -> usize {
    OFF_LISTS + slot as usize * CACHE_LINE
}

fn list_off(List(purpose, slot): List) -> usize {
    match purpose {
        Purpose::Keys => line_off(slot),
        Purpose::Spares => line_off(slot) + LIST_SPARES,
    }
}

/// How a hash's memory is reserved.
pub(crate) fn commit_of(spec: &MapSpec) -> Commit {
    if spec.has(BPF_F_NO_PREALLOC) { Commit::AsUsed } else { Commit::Whole }
}

fn random_seed() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
