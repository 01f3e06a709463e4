//! Operations of hashes and per-CPU hashes.

use super::arrays::{OP_FLAGS, all_keys, filled};
use super::caller::{CallerMap, MapCaller};
use super::{Scenario, Trace, compare};
use skep_maps::MapSpec;

const HASH: u32 = 1;
const PERCPU_HASH: u32 = 5;
const NO_PREALLOC: u32 = 1;
const ZERO_SEED: u32 = 1 << 6;

fn key(key_size: u32, number: u32) -> Vec<u8> {
    let mut key: Vec<u8> = (0..key_size).map(|i| (i * 31) as u8).collect();
    for (byte, part) in key.iter_mut().zip(number.to_le_bytes()) {
        *byte = part;
    }
    key
}

/// Every operation with every flag, on a key that is there and on one that is not, not full and full.
struct Operations {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    flags: u32,
}

impl Scenario for Operations {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let &Operations { map_type, key_size, value_size, flags } = self;
        let max_entries = 4;
        let spec =
            MapSpec { map_type, key_size, value_size, max_entries, flags, ..MapSpec::default() };
        let map = caller.create(&spec).expect("a sound spec");
        let value = |seed| filled(map_type, value_size, seed);
        for others in 0..=max_entries {
            // Keys 100.. fill the map so that `others` of the four places are taken.
            for other in 0..others {
                let fill = map.update(&key(key_size, 100 + other), &value(other as u8), 0);
                trace.note(format!("{others} others: fill {other}"), &fill);
            }
            let there = key(key_size, 7);
            for op_flags in OP_FLAGS {
                let mut say = |what: &str, outcome: &dyn core::fmt::Debug| {
                    trace.note(format!("{others} others, {op_flags:#x}: {what}"), &outcome);
                };
                say("update absent", &map.update(&there, &value(1), op_flags));
                say("lookup", &map.lookup(&there, op_flags));
                say("lookup plain", &map.lookup(&there, 0));
                say("update present", &map.update(&there, &value(2), op_flags));
                say("lookup plain", &map.lookup(&there, 0));
                say("take", &map.lookup_and_delete(&there, op_flags));
                say("lookup plain", &map.lookup(&there, 0));
                say("put back", &map.update(&there, &value(3), 0));
                say("update put back", &map.update(&there, &value(4), op_flags));
                say("delete", &map.delete(&there));
                say("delete again", &map.delete(&there));
                say("next of absent", &map.next_key(Some(&there)).is_ok());
            }
        }
        for other in (0..max_entries).rev() {
            let old = map.update(&key(key_size, 100 + other), &value(40), 0);
            trace.note(format!("update {other} when full"), &old);
            let new = map.update(&key(key_size, 200), &value(40), 0);
            trace.note(format!("insert when full {other}"), &new);
            trace.note("new one", &map.lookup(&key(key_size, 200), 0));
            trace.note(format!("delete {other}"), &map.delete(&key(key_size, 100 + other)));
        }
        trace.note("delete", &map.delete(&key(key_size, 200)));
        trace.note("first of none", &map.next_key(None));
    }
}

fn operations(map_type: u32) {
    for flags in [0, NO_PREALLOC] {
        for (key_size, value_size) in [(4, 8), (1, 1), (13, 5), (16, 40)] {
            compare(&Operations { map_type, key_size, value_size, flags }, 200);
        }
    }
}

#[test]
fn hash_operations() {
    operations(HASH);
}

#[test]
fn percpu_hash_operations() {
    operations(PERCPU_HASH);
}

/// With `BPF_F_ZERO_SEED` keys come in the same order as in the kernel, while keys come and go.
struct Order {
    map_type: u32,
    key_size: u32,
    flags: u32,
}

impl Scenario for Order {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let &Order { map_type, key_size, flags } = self;
        let spec = MapSpec {
            map_type,
            key_size,
            value_size: 8,
            max_entries: 60,
            flags: flags | ZERO_SEED,
            ..MapSpec::default()
        };
        let map = caller.create(&spec).expect("a sound spec");
        for number in 0..60 {
            let value = filled(map_type, 8, number as u8);
            trace.note("insert", &map.update(&key(key_size, number * 3), &value, 0));
        }
        all_keys(&map, trace);
        for number in (0..60).step_by(4) {
            trace.note("delete", &map.delete(&key(key_size, number * 3)));
        }
        all_keys(&map, trace);
        // What was deleted sends the walk back to the start.
        trace.note("after deleted", &map.next_key(Some(&key(key_size, 0))));
        for number in 0..10 {
            let value = filled(map_type, 8, number as u8);
            trace.note("insert", &map.update(&key(key_size, number * 3 + 1), &value, 1));
        }
        all_keys(&map, trace);
        // Deleting behind, at and before the walk.
        let mut at: Option<Vec<u8>> = None;
        while let Ok(next) = map.next_key(at.as_deref()) {
            trace.note("delete on the way", &map.delete(&next));
            trace.note("next", &map.next_key(at.as_deref()));
            at = map.next_key(at.as_deref()).ok();
            if at.is_none() {
                break;
            }
        }
        all_keys(&map, trace);
    }
}

#[test]
fn order_of_keys() {
    for key_size in [1, 2, 3, 4, 5, 8, 11, 12, 13, 16, 23, 24, 25, 40] {
        for map_type in [HASH, PERCPU_HASH] {
            for flags in [0, NO_PREALLOC] {
                compare(&Order { map_type, key_size, flags }, 100);
            }
        }
    }
}
