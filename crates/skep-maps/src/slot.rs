//! CPU slots: which per-CPU values a run owns.
//!
//! A thread that runs a program owns one [`Slot`] for that run, by preference the slot of the CPU that
//! it is on. No other run has the slot meanwhile, so per-CPU values need no atomics, as in the kernel.
//! [`acquire`] waits where all slots are taken. A run inside a run (a program that a helper of another
//! program runs on the same thread) gets the slot of the outer one, as a nested run on a CPU does: the
//! inner run may change per-CPU values under the outer one, and no deadlock can arise.

mod table;

use core::cell::Cell;
use core::marker::PhantomData;
use core::num::NonZeroU32;

use std::sync::OnceLock;
use table::Table;

/// A CPU slot: the index of per-CPU values that a run owns, below [`Slot::count`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(u32);

impl Slot {
    /// The slot with an index, for reading the values of a slot that one does not own.
    pub fn new(index: u32) -> Option<Slot> {
        (index < Slot::count()).then_some(Slot(index))
    }

    /// How many there are: the machine's possible CPUs, at least 1, the same for the process's life.
    pub fn count() -> u32 {
        static COUNT: OnceLock<u32> = OnceLock::new();
        *COUNT.get_or_init(possible_cpus)
    }

    /// Index.
    pub fn index(self) -> u32 {
        self.0
    }
}

/// More CPUs than any kernel is built for (`NR_CPUS` is 8192 at most).
const MAX_SLOTS: u32 = 8192;

/// As `num_possible_cpus()` of the kernel, which user space reads in the same place.
fn possible_cpus() -> u32 {
    let listed = if cfg!(all(target_os = "linux", not(miri))) {
        std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()
    } else {
        None
    };
    let count = listed.as_deref().and_then(count_of_list).unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
    });
    count.clamp(1, MAX_SLOTS)
}

/// Number of CPUs up to the highest of a list as in `0-3,8`.
fn count_of_list(list: &str) -> Option<u32> {
    let last = list.trim().rsplit([',', '-']).next()?;
    last.parse::<u32>().ok()?.checked_add(1)
}

/// The CPU that the thread is on, or 0.
fn current_cpu() -> u32 {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // SAFETY: takes no arguments and touches no memory of ours.
        let cpu = unsafe { libc::sched_getcpu() };
        u32::try_from(cpu).unwrap_or(0)
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    {
        0
    }
}

/// The slot whose free lists and the like suit the calling thread best; not owned.
pub(crate) fn nearest() -> Slot {
    Slot(current_cpu() % Slot::count())
}

/// A number of the calling thread, unique in the system for as long as the thread lives: what locks and
/// slots record as their owner.
pub(crate) fn thread_number() -> NonZeroU32 {
    thread_local! {
        static NUMBER: NonZeroU32 = os_thread_number();
    }
    NUMBER.with(|n| *n)
}

#[cfg(all(target_os = "linux", not(miri)))]
fn os_thread_number() -> NonZeroU32 {
    // SAFETY: takes no arguments and touches no memory of ours.
    let tid = unsafe { libc::gettid() };
    u32::try_from(tid).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn os_thread_number() -> NonZeroU32 {
    use std::sync::atomic::{AtomicU32 as Counter, Ordering::Relaxed};
    static NEXT: Counter = Counter::new(1);
    NonZeroU32::new(NEXT.fetch_add(1, Relaxed)).unwrap_or(NonZeroU32::MIN)
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(Slot::count()))
}

thread_local! {
    /// The slot that this thread owns and how many guards it has.
    static OWNED: Cell<Option<(Slot, u32)>> = const { Cell::new(None) };
}

/// Ownership of a slot for one run; the thread's outermost guard releases it. Stays on its thread.
#[derive(Debug)]
pub struct SlotGuard {
    slot: Slot,
    _thread: PhantomData<*const ()>,
}

impl SlotGuard {
    /// The slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }
}

/// Takes a slot for a run on this thread, waiting until one is free; inside another run, that run's.
pub fn acquire() -> SlotGuard {
    let (slot, depth) = match OWNED.get() {
        Some((slot, depth)) => (slot, depth.saturating_add(1)),
        None => (Slot(table().take(current_cpu(), thread_number())), 1),
    };
    OWNED.set(Some((slot, depth)));
    SlotGuard { slot, _thread: PhantomData }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        match OWNED.get() {
            Some((slot, depth)) if depth > 1 => OWNED.set(Some((slot, depth - 1))),
            Some((slot, _)) => {
                OWNED.set(None);
                table().release(slot.0);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn lists_of_cpus() {
        assert_eq!(count_of_list("0\n"), Some(1));
        assert_eq!(count_of_list("0-3"), Some(4));
        assert_eq!(count_of_list("0-3,8-11\n"), Some(12));
        assert_eq!(count_of_list(""), None);
        assert!(Slot::count() >= 1);
        assert_eq!(Slot::new(Slot::count()), None);
        assert_eq!(Slot::new(0).map(Slot::index), Some(0));
    }

    #[test]
    fn nested_runs_share_the_slot() {
        let outer = acquire();
        let inner = acquire();
        assert_eq!(outer.slot(), inner.slot());
        drop(outer);
        // Still owned: another thread gets another slot, or none.
        let mine = inner.slot();
        let other = std::thread::spawn(move || {
            table().try_take(mine.0, NonZeroU32::MAX).inspect(|&index| table().release(index))
        });
        assert_ne!(other.join().expect("thread"), Some(mine.0));
        drop(inner);
        assert_eq!(OWNED.get(), None);
    }

    #[test]
    fn many_threads_never_share_and_never_starve() {
        let rounds = if cfg!(miri) { 10 } else { 2000 };
        let table = Table::new(3);
        let busy: Vec<AtomicBool> = (0..3).map(|_| AtomicBool::new(false)).collect();
        std::thread::scope(|scope| {
            for thread in 1..=8u32 {
                let (table, busy) = (&table, &busy);
                scope.spawn(move || {
                    let owner = NonZeroU32::new(thread).expect("above 0");
                    for round in 0..rounds {
                        let slot = table.take(thread + round, owner);
                        let flag = &busy[slot as usize];
                        assert!(!flag.swap(true, Ordering::Relaxed), "slot {slot} has two owners");
                        if round % 16 == 0 {
                            std::thread::yield_now();
                        }
                        assert!(flag.swap(false, Ordering::Relaxed));
                        table.release(slot);
                    }
                });
            }
        });
        for slot in 0..3 {
            assert_eq!(table.try_take(slot, NonZeroU32::MIN), Some(slot), "given back");
        }
    }
}
