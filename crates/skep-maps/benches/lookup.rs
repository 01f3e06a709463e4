//! Time of single operations, as programs and as user space, beside the standard hash table's in the same
//! run: `cargo bench -p skep-maps`. Keys come in a scattered order. The best of many short bursts counts,
//! which even a busy machine lets run undisturbed.
#![expect(clippy::print_stdout, reason = "a report")]

use skep_maps::{MapOps, MapSpec, create, slot};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const HASH: u32 = 1;
const ARRAY: u32 = 2;
const PERCPU_HASH: u32 = 5;
const PERCPU_ARRAY: u32 = 6;

/// Operations of a burst.
const OPS: u32 = 20_000;
const BURSTS: u32 = 100;

/// Nanoseconds for each call of `op`, with keys below `entries`.
fn time(entries: u32, mut op: impl FnMut(u32)) -> f64 {
    let mut best = f64::INFINITY;
    let mut key = 1u32;
    for _ in 0..BURSTS {
        let start = Instant::now();
        for _ in 0..OPS {
            // A full-period step, so that neighbours in time are none in memory.
            key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            op(((u64::from(key) * u64::from(entries)) >> 32) as u32);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(OPS));
    }
    best
}

fn filled(map_type: u32, key_size: u32, entries: u32) -> Arc<dyn MapOps> {
    let max_entries = entries;
    let spec = MapSpec { map_type, key_size, value_size: 8, max_entries, ..MapSpec::default() };
    let map = create(&spec).expect("a sound spec");
    let value = vec![1; map.user_value_size()];
    for number in 0..entries {
        map.user_update(&key(number)[..key_size as usize], &value, 0).expect("room");
    }
    map
}

fn key(number: u32) -> [u8; 64] {
    let mut key = [0; 64];
    key[..4].copy_from_slice(&number.to_ne_bytes());
    key
}

fn row(what: &str, ns: f64) {
    println!("{what:<44}{ns:>8.1} ns");
}

fn main() {
    let guard = slot::acquire();
    let slot = guard.slot();
    for entries in [1_000, 100_000] {
        println!("{entries} entries");
        let mut std_map: HashMap<u32, u64> = (0..entries).map(|k| (k, 1)).collect();
        row(
            "std HashMap<u32, u64> get",
            time(entries, |k| {
                black_box(std_map.get(&k));
            }),
        );
        row(
            "std HashMap<u32, u64> insert",
            time(entries, |k| {
                black_box(std_map.insert(k, 2));
            }),
        );
        for (name, map_type, key_sizes) in [
            ("array", ARRAY, &[4u32][..]),
            ("percpu_array", PERCPU_ARRAY, &[4]),
            ("hash", HASH, &[4, 8, 16, 64]),
            ("percpu_hash", PERCPU_HASH, &[4]),
        ] {
            for &key_size in key_sizes {
                let map = filled(map_type, key_size, entries);
                let len = key_size as usize;
                row(
                    &format!("{name}, keys of {key_size}: program lookup"),
                    time(entries, |k| {
                        black_box(map.lookup(&key(k)[..len], slot));
                    }),
                );
                row(
                    &format!("{name}, keys of {key_size}: program update"),
                    time(entries, |k| {
                        black_box(map.update(&key(k)[..len], &[3; 8], 0, slot)).expect("room");
                    }),
                );
                let mut value = vec![0; map.user_value_size()];
                row(
                    &format!("{name}, keys of {key_size}: user lookup"),
                    time(entries, |k| {
                        map.user_lookup(&key(k)[..len], &mut value, 0).expect("there");
                        black_box(&value);
                    }),
                );
            }
        }
    }
    drop(guard);
    row(
        "slot: acquire and release",
        time(1, |_| {
            black_box(slot::acquire());
        }),
    );
}
