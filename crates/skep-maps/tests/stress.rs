//! All threads on one map: programs and user space at once, for a bounded time.

use skep_abi::Errno;
use skep_maps::{MapOps, MapSpec, Slot, create, slot};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const HASH: u32 = 1;
const PERCPU_HASH: u32 = 5;
const PERCPU_ARRAY: u32 = 6;
const NO_PREALLOC: u32 = 1;

fn duration() -> Duration {
    Duration::from_millis(if cfg!(miri) { 1 } else { 400 })
}

fn map(map_type: u32, value_size: u32, max_entries: u32, flags: u32) -> Arc<dyn MapOps> {
    let spec =
        MapSpec { map_type, key_size: 4, value_size, max_entries, flags, ..MapSpec::default() };
    create(&spec).expect("a sound spec")
}

/// A value of 40 bytes that says which key it belongs to, in each word.
fn value_of(key: u32, version: u32) -> [u8; 40] {
    let word = (u64::from(key) << 32 | u64::from(version)).to_ne_bytes();
    std::array::from_fn(|i| word[i % 8])
}

/// That all words of a value are the same, and the key's.
fn check_value(key: u32, value: &[u8]) {
    let (words, _) = value.as_chunks::<8>();
    let first = u64::from_ne_bytes(words[0]);
    assert!(words.iter().all(|w| u64::from_ne_bytes(*w) == first), "torn: {value:x?}");
    assert_eq!((first >> 32) as u32, key, "the value of another key: {value:x?}");
}

/// Runs `work(thread)` again and again in `threads` threads for [`duration`]; returns the rounds.
fn hammer(threads: u32, work: impl Fn(u32, u64) + Sync) -> u64 {
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (stop, rounds, work) = (&stop, &rounds, &work);
            scope.spawn(move || {
                let mut round = 0;
                while !stop.load(Relaxed) {
                    work(thread, round);
                    round += 1;
                }
                rounds.fetch_add(round, Relaxed);
            });
        }
        let end = Instant::now() + duration();
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Relaxed);
    });
    rounds.load(Relaxed)
}

/// A cheap generator, so that threads take different ways.
fn random(thread: u32, round: u64) -> u64 {
    let mut x = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(thread) << 17;
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ x >> 27
}

/// Keys that are always there are always found, with a value of theirs that is whole, while the same few
/// elements are replaced, deleted and reused.
fn never_lost_never_torn(flags: u32) {
    const STABLE: u32 = 6;
    const KEYS: u32 = 12;
    const THREADS: u32 = 4;
    // An element that a thread deletes is free only a moment after its key is gone. Few buckets otherwise,
    // so that chains are long and share elements.
    const CAPACITY: u32 = KEYS + THREADS;
    let map = map(HASH, 40, CAPACITY, flags);
    for key in 0..STABLE {
        map.user_update(&key.to_ne_bytes(), &value_of(key, 0), 0).expect("room");
    }
    let rounds = hammer(THREADS, |thread, round| {
        let dice = random(thread, round);
        let key = (dice >> 8) as u32 % KEYS;
        let bytes = key.to_ne_bytes();
        match dice % 8 {
            0 | 1 => {
                let mut value = [0; 40];
                match map.user_lookup(&bytes, &mut value, 0) {
                    Ok(()) => check_value(key, &value),
                    Err(e) => assert!(e == Errno::ENOENT && key >= STABLE, "{key}: {e}"),
                }
            }
            2 => {
                let guard = slot::acquire();
                let found = map.lookup(&bytes, guard.slot());
                assert!(found.is_some() || key >= STABLE, "{key} is lost");
            }
            3 | 4 => {
                let guard = slot::acquire();
                map.update(&bytes, &value_of(key, dice as u32), 0, guard.slot()).expect("room");
            }
            5 => {
                let update = map.user_update(&bytes, &value_of(key, 1), 1);
                assert!(matches!(update, Ok(()) | Err(Errno::EEXIST)), "{update:?}");
            }
            6 if key >= STABLE => {
                let delete = map.delete(&bytes);
                assert!(matches!(delete, Ok(()) | Err(Errno::ENOENT)), "{delete:?}");
            }
            7 if key >= STABLE => {
                let mut value = [0; 40];
                if map.user_lookup_and_delete(&bytes, &mut value, 0).is_ok() {
                    check_value(key, &value);
                }
            }
            _ => {
                let mut seen = [0u32; KEYS as usize];
                map.for_each(Slot::new(0).expect("a slot"), &mut |key_addr, _| {
                    let at = core::ptr::with_exposed_provenance::<u32>(key_addr as usize);
                    // SAFETY: the key is readable during this call.
                    seen[unsafe { at.read_unaligned() } as usize] += 1;
                    true
                })
                .expect("hashes iterate");
                assert!(seen.iter().all(|&n| n <= 1), "visited twice: {seen:?}");
                assert!(seen[..STABLE as usize].iter().all(|&n| n == 1), "left out: {seen:?}");
            }
        }
    });
    assert!(rounds > 0);
    // Nothing leaked: the map still takes exactly its capacity.
    for key in 0..CAPACITY {
        map.user_update(&key.to_ne_bytes(), &value_of(key, 0), 0).expect("room for all keys");
    }
    let full = map.user_update(&CAPACITY.to_ne_bytes(), &value_of(CAPACITY, 0), 0);
    assert_eq!(full, Err(Errno::E2BIG));
}

#[test]
fn hash() {
    never_lost_never_torn(0);
}

#[test]
fn hash_without_preallocation() {
    never_lost_never_torn(NO_PREALLOC);
}

/// Runs that own a slot count in per-CPU values without atomics: no count is lost.
fn percpu_counts(map_type: u32) {
    const KEYS: u32 = 4;
    let map = map(map_type, 8, KEYS, 0);
    let zeros = vec![0; map.user_value_size()];
    for key in 0..KEYS {
        map.user_update(&key.to_ne_bytes(), &zeros, 0).expect("room");
    }
    let rounds = hammer(2 * Slot::count() + 1, |thread, round| {
        let key = (random(thread, round) as u32 % KEYS).to_ne_bytes();
        let guard = slot::acquire();
        let addr = map.lookup(&key, guard.slot()).expect("there");
        let at = core::ptr::with_exposed_provenance_mut::<u64>(addr as usize);
        // SAFETY: an aligned value of the map, which only the owner of the slot writes, and which user
        // space does not read meanwhile.
        unsafe { at.write(at.read() + 1) };
    });
    let mut sum = 0;
    for key in 0..KEYS {
        let mut values = zeros.clone();
        map.user_lookup(&key.to_ne_bytes(), &mut values, 0).expect("there");
        let (words, _) = values.as_chunks::<8>();
        sum += words.iter().map(|w| u64::from_ne_bytes(*w)).sum::<u64>();
    }
    assert_eq!(sum, rounds);
}

#[test]
fn percpu_array() {
    percpu_counts(PERCPU_ARRAY);
}

#[test]
fn percpu_hash() {
    percpu_counts(PERCPU_HASH);
}

/// All capacity goes to whoever asks first, and comes back, whichever thread frees it.
#[test]
fn capacity_is_exact_across_threads() {
    const CAPACITY: u32 = 100;
    for map_type in [HASH, PERCPU_HASH] {
        let map = map(map_type, 8, CAPACITY, 0);
        let value = vec![1; map.user_value_size()];
        for round in 0..if cfg!(miri) { 1 } else { 50 } {
            let taken = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..4u32 {
                    let (map, value, taken) = (&map, &value, &taken);
                    scope.spawn(move || {
                        for i in 0..CAPACITY {
                            let key = (thread * CAPACITY + i).to_ne_bytes();
                            match map.user_update(&key, value, 1) {
                                Ok(()) => {
                                    taken.fetch_add(1, Relaxed);
                                }
                                Err(e) => assert_eq!(e, Errno::E2BIG),
                            }
                        }
                    });
                }
            });
            assert_eq!(taken.load(Relaxed), u64::from(CAPACITY), "round {round}");
            for key in 0..4 * CAPACITY {
                let _ = map.user_delete(&key.to_ne_bytes());
            }
            assert_eq!(map.next_key(None, &mut [0; 4]), Err(Errno::ENOENT));
        }
    }
}
