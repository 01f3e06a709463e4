//! Operations of arrays and per-CPU arrays.

use super::caller::{CallerMap, MapCaller};
use super::{Scenario, Trace, compare};
use skep_host::kernel::possible_cpus;
use skep_maps::MapSpec;

const ARRAY: u32 = 2;
const PERCPU_ARRAY: u32 = 6;

/// Flags of operations: the known ones, unknown ones, and those of later kernels.
pub(super) const OP_FLAGS: [u64; 11] = [0, 1, 2, 3, 4, 5, 6, 8, 16, 1 << 32, u64::MAX];

/// A value for user space, with everything in it set: padding too.
pub(super) fn filled(map_type: u32, value_size: u32, seed: u8) -> Vec<u8> {
    let len = match map_type {
        PERCPU_ARRAY | 5 => (value_size as usize).next_multiple_of(8) * possible_cpus(),
        _ => value_size as usize,
    };
    (0..len).map(|i| seed.wrapping_add((i * 7) as u8) | 0x80).collect()
}

struct Arrays {
    map_type: u32,
    value_size: u32,
}

impl Scenario for Arrays {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let &Arrays { map_type, value_size } = self;
        let spec =
            MapSpec { map_type, key_size: 4, value_size, max_entries: 5, ..MapSpec::default() };
        let indices = [0u32, 4, 5, 6, 0x7fff_ffff, u32::MAX];
        let map = caller.create(&spec).expect("a sound spec");
        for index in indices {
            let key = index.to_ne_bytes();
            for flags in OP_FLAGS {
                let value = filled(map_type, value_size, flags as u8);
                trace.note(format!("update {index} {flags:#x}"), &map.update(&key, &value, flags));
                trace.note(format!("lookup {index} {flags:#x}"), &map.lookup(&key, flags));
                let taken = map.lookup_and_delete(&key, flags);
                trace.note(format!("take {index} {flags:#x}"), &taken);
            }
            trace.note(format!("delete {index}"), &map.delete(&key));
            trace.note(format!("lookup {index} again"), &map.lookup(&key, 0));
            trace.note(format!("next of {index}"), &map.next_key(Some(&key)));
        }
        trace.note("first", &map.next_key(None));
        all_keys(&map, trace);
    }
}

/// Notes the walk over all keys.
pub(super) fn all_keys(map: &impl CallerMap, trace: &mut Trace) {
    let mut key: Option<Vec<u8>> = None;
    for _ in 0..200 {
        let next = map.next_key(key.as_deref());
        trace.note(format!("next of {key:?}"), &next);
        match next {
            Ok(next) => key = Some(next),
            Err(_) => return,
        }
    }
}

#[test]
fn array_operations() {
    for value_size in [1, 5, 8, 17, 64] {
        compare(&Arrays { map_type: ARRAY, value_size }, 200);
    }
}

#[test]
fn percpu_array_operations() {
    for value_size in [1, 5, 8, 17, 64] {
        compare(&Arrays { map_type: PERCPU_ARRAY, value_size }, 200);
    }
}

/// Access of the descriptor and freezing, for every type.
struct Access {
    map_type: u32,
}

impl Scenario for Access {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let map_type = self.map_type;
        for bit in [None, Some(3), Some(4), Some(7), Some(8)] {
            let flags = bit.map_or(0, |bit: u32| 1 << bit);
            let spec = MapSpec {
                map_type,
                key_size: 4,
                value_size: 12,
                max_entries: 3,
                flags,
                ..MapSpec::default()
            };
            let map = caller.create(&spec).expect("a sound spec");
            let key = 1u32.to_ne_bytes();
            for round in ["", "frozen ", "frozen twice "] {
                for flags in OP_FLAGS {
                    let mut say = |what: &str, outcome: &dyn core::fmt::Debug| {
                        trace.note(format!("{flags:#x} {round}{what} {bit:?}"), &outcome);
                    };
                    let value = filled(map_type, 12, 3);
                    say("update", &map.update(&key, &value, flags));
                    say("lookup", &map.lookup(&key, flags));
                    say("take", &map.lookup_and_delete(&key, flags));
                    say("next", &map.next_key(None));
                    say("next of", &map.next_key(Some(&key)));
                    say("delete", &map.delete(&key));
                    say("update again", &map.update(&key, &value, 0));
                }
                trace.note(format!("{round}freeze {bit:?}"), &map.freeze());
            }
        }
    }
}

#[test]
fn access_and_freezing() {
    for map_type in [1, 2, 5, 6] {
        compare(&Access { map_type }, 200);
    }
}
