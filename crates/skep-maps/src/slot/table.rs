//! [`Table`]: who owns which slot, and who waits for one.
//!
//! Its atomics and locks come from [`crate::sync`], which the loom model replaces.

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, SPINS, fence, pause};
use core::num::NonZeroU32;

/// One slot's owner, alone in its cache line: 0, or the owner's thread number.
#[repr(align(64))]
#[derive(Debug)]
struct Owner(AtomicU32);

/// Who owns which slot, and who waits for one.
#[derive(Debug)]
pub(crate) struct Table {
    owners: Box<[Owner]>,
    /// Threads that wait, or are about to.
    waiting: AtomicU32,
    lock: Mutex<()>,
    released: Condvar,
}

impl Table {
    pub(crate) fn new(count: u32) -> Table {
        Table {
            owners: (0..count.max(1)).map(|_| Owner(AtomicU32::new(0))).collect(),
            waiting: AtomicU32::new(0),
            lock: Mutex::new(()),
            released: Condvar::new(),
        }
    }

    /// Takes a free slot, starting the search at `preferred`.
    pub(crate) fn try_take(&self, preferred: u32, owner: NonZeroU32) -> Option<u32> {
        let count = self.owners.len() as u32;
        let first = preferred % count;
        for index in (first..count).chain(0..first) {
            let word = &self.owners[index as usize].0;
            if word.load(Ordering::Relaxed) == 0
                && word
                    .compare_exchange(0, owner.get(), Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return Some(index);
            }
        }
        None
    }

    pub(crate) fn take(&self, preferred: u32, owner: NonZeroU32) -> u32 {
        for _ in 0..SPINS {
            if let Some(slot) = self.try_take(preferred, owner) {
                return slot;
            }
            pause();
        }
        // A panic elsewhere cannot leave `()` inconsistent.
        let mut held = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence of `release`: either that sees this thread waiting, or this thread sees
        // the slot free.
        fence(Ordering::SeqCst);
        loop {
            if let Some(slot) = self.try_take(preferred, owner) {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return slot;
            }
            held = self.released.wait(held).unwrap_or_else(|e| e.into_inner());
        }
    }

    pub(crate) fn release(&self, slot: u32) {
        self.owners[slot as usize].0.store(0, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            // With the lock, a waiter is either before its search, which then finds the slot, or asleep.
            drop(self.lock.lock().unwrap_or_else(|e| e.into_inner()));
            self.released.notify_one();
        }
    }
}
