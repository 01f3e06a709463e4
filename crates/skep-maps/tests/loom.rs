//! Loom models: the sources of the chains, the free lists and the slots, with loom's atomics in place of
//! the standard ones, over every interleaving that its memory model allows.
#![cfg(not(miri))]

#[path = "../src/hash/chain.rs"]
mod chain;
#[path = "../src/hash/free.rs"]
mod free;
#[path = "../src/slot/table.rs"]
mod table;

/// In place of the crate's module of this name.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};
    pub(crate) use loom::sync::{Condvar, Mutex};
    pub(crate) use loom::thread::yield_now as pause;

    /// More would only repeat what sleeping explores.
    pub(crate) const SPINS: u32 = 1;
}

use chain::{Elem, Link, NIL};
use loom::sync::Arc;
use loom::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    fence,
};
use loom::thread;
use std::num::NonZeroU32;

const ELEMS: usize = 3;

/// Two buckets, three elements, one free list: as `hash::table` has them, with keys of one word.
struct Memory {
    heads: [AtomicU32; 2],
    versions: [AtomicU64; 2],
    next: [AtomicU32; ELEMS],
    keys: [AtomicU32; ELEMS],
    values: [AtomicU32; ELEMS],
    free: AtomicU64,
}

impl Memory {
    fn new() -> Memory {
        Memory {
            heads: std::array::from_fn(|_| AtomicU32::new(NIL)),
            versions: std::array::from_fn(|_| AtomicU64::new(0)),
            next: std::array::from_fn(|_| AtomicU32::new(NIL)),
            keys: std::array::from_fn(|_| AtomicU32::new(0)),
            values: std::array::from_fn(|_| AtomicU32::new(0)),
            free: AtomicU64::new(0),
        }
    }

    fn word(&self, at: Link) -> &AtomicU32 {
        match at {
            Link::Head(bucket) => &self.heads[bucket as usize],
            Link::Next(elem) => &self.next[elem as usize - 1],
        }
    }

    fn find(&self, bucket: u32, key: u32) -> Option<(Link, Elem)> {
        chain::find(self, bucket, |elem| self.keys[elem as usize - 1].load(Relaxed) == key)
    }

    /// As `Table::read`.
    fn get(&self, bucket: u32, key: u32) -> Option<u32> {
        chain::read(self, bucket, || {
            self.find(bucket, key).map(|(_, elem)| self.values[elem as usize - 1].load(Relaxed))
        })
    }

    /// As `Table::init`.
    fn init(&self, elem: Elem, key: u32, value: u32) {
        fence(Release);
        self.keys[elem as usize - 1].store(key, Relaxed);
        self.values[elem as usize - 1].store(value, Relaxed);
    }

    fn insert(&self, bucket: u32, key: u32, value: u32) {
        let elem = free::pop(self, ()).expect("a free element");
        self.init(elem, key, value);
        chain::insert(self, bucket, elem);
    }

    fn replace(&self, bucket: u32, key: u32, value: u32) {
        let (link, old) = self.find(bucket, key).expect("there");
        let new = free::pop(self, ()).expect("a free element");
        self.init(new, key, value);
        chain::replace(self, bucket, link, old, new);
        free::push(self, (), old);
    }

    fn remove(&self, bucket: u32, key: u32) {
        let (link, old) = self.find(bucket, key).expect("there");
        chain::remove(self, bucket, link, old);
        free::push(self, (), old);
    }
}

impl chain::Memory for Memory {
    fn link(&self, at: Link) -> Elem {
        self.word(at).load(Acquire)
    }

    fn set_link(&self, at: Link, to: Elem) {
        self.word(at).store(to, Release);
    }

    fn version(&self, bucket: u32) -> u64 {
        self.versions[bucket as usize].load(Acquire)
    }

    fn raise_version(&self, bucket: u32) {
        let version = &self.versions[bucket as usize];
        version.fetch_add(1, Release);
    }

    fn version_after(&self, bucket: u32) -> u64 {
        fence(Acquire);
        self.versions[bucket as usize].load(Relaxed)
    }
}

impl free::Memory for Memory {
    type List = ();

    fn head(&self, (): ()) -> u64 {
        self.free.load(Acquire)
    }

    fn exchange_head(&self, (): (), from: u64, to: u64) -> Result<(), u64> {
        self.free.compare_exchange(from, to, AcqRel, Acquire).map(drop)
    }

    fn next_free(&self, elem: Elem) -> Elem {
        self.next[elem as usize - 1].load(Relaxed)
    }

    fn set_next_free(&self, elem: Elem, next: Elem) {
        self.next[elem as usize - 1].store(next, Release);
    }
}

/// Runs `write` beside a reader of `bucket`'s `key` and gives what it read to `check`.
fn beside_a_reader(
    fill: fn(&Memory),
    write: fn(&Memory),
    (bucket, key): (u32, u32),
    check: fn(Option<u32>),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let memory = Memory::new();
        for elem in (1..=ELEMS as u32).rev() {
            free::push(&memory, (), elem);
        }
        fill(&memory);
        let memory = Arc::new(memory);
        // Loom looks for races from a load to the last store, so the writer must be the thread that it
        // lets run first.
        let reader = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || check(memory.get(bucket, key)))
        };
        write(&memory);
        reader.join().expect("the reader");
    });
}

#[test]
fn a_key_that_is_replaced_is_never_missed() {
    beside_a_reader(
        |m| m.insert(0, 7, 70),
        |m| {
            m.replace(0, 7, 71);
            m.replace(0, 7, 72);
        },
        (0, 7),
        |got| assert!(matches!(got, Some(70..=72)), "{got:?}"),
    );
}

#[test]
fn a_key_behind_one_that_moves_away_is_never_missed() {
    beside_a_reader(
        |m| {
            m.insert(0, 7, 70);
            m.insert(0, 8, 80);
        },
        // The element of 8, which a reader of 7 may stand on, goes to the other bucket.
        |m| {
            m.remove(0, 8);
            m.insert(1, 9, 90);
        },
        (0, 7),
        |got| assert_eq!(got, Some(70)),
    );
}

#[test]
fn a_key_behind_one_that_is_replaced_is_never_missed() {
    beside_a_reader(
        |m| {
            m.insert(0, 7, 70);
            m.insert(0, 8, 80);
        },
        // The old element of 8 takes the place of 7's, behind its own former place.
        |m| {
            m.replace(0, 8, 81);
            m.replace(0, 7, 71);
        },
        (0, 7),
        |got| assert!(matches!(got, Some(70 | 71)), "{got:?}"),
    );
}

#[test]
fn a_value_is_never_another_keys() {
    beside_a_reader(
        |m| m.insert(0, 7, 70),
        |m| {
            m.remove(0, 7);
            m.insert(0, 8, 80);
            m.remove(0, 8);
            m.insert(0, 7, 71);
        },
        (0, 7),
        |got| assert!(matches!(got, None | Some(70 | 71)), "{got:?}"),
    );
}

#[test]
fn an_element_has_one_owner() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let memory = Arc::new(Memory::new());
        for elem in (1..=ELEMS as u32).rev() {
            free::push(&*memory, (), elem);
        }
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || [free::pop(&*memory, ()), free::pop(&*memory, ())])
        };
        // The head becomes what the other may have read, with another element behind it.
        let first = free::pop(&*memory, ());
        let kept = free::pop(&*memory, ());
        if let Some(first) = first {
            free::push(&*memory, (), first);
        }
        let [a, b] = other.join().expect("the other");
        let mut all = vec![kept, a, b];
        all.extend(std::iter::from_fn(|| free::pop(&*memory, ()).map(Some)).take(ELEMS + 1));
        let mut owned: Vec<Elem> = all.into_iter().flatten().collect();
        owned.sort_unstable();
        assert_eq!(owned, [1, 2, 3]);
    });
}

#[test]
fn a_slot_has_one_owner_and_waiters_wake() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let table = Arc::new(table::Table::new(1));
        let inside = Arc::new(AtomicU32::new(0));
        let run = |table: &table::Table, inside: &AtomicU32, owner| {
            let slot = table.take(0, NonZeroU32::new(owner).expect("above 0"));
            assert_eq!(inside.fetch_add(1, Relaxed), 0, "two owners");
            inside.fetch_sub(1, Relaxed);
            table.release(slot);
        };
        let others: Vec<_> = (2..4)
            .map(|owner| {
                let (table, inside) = (Arc::clone(&table), Arc::clone(&inside));
                thread::spawn(move || run(&table, &inside, owner))
            })
            .collect();
        run(&table, &inside, 1);
        for other in others {
            other.join().expect("another");
        }
    });
}
