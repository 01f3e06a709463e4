//! What programs get from the map helpers, between operations of user space.

use super::arrays::filled;
use super::caller::{CallerMap, MapCaller};
use super::{Scenario, Trace, compare};
use skep_maps::MapSpec;

struct Helpers {
    map_type: u32,
    flags: u32,
}

/// A value with the parts of all CPUs in order of size: which CPU a program ran on is chance.
fn sorted(value: &[u8]) -> Vec<u64> {
    let (parts, _) = value.as_chunks::<8>();
    let mut parts: Vec<u64> = parts.iter().map(|p| u64::from_ne_bytes(*p)).collect();
    parts.sort_unstable();
    parts
}

impl Scenario for Helpers {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let &Helpers { map_type, flags } = self;
        let max_entries = 3;
        let spec = MapSpec {
            map_type,
            key_size: 4,
            value_size: 8,
            max_entries,
            flags,
            ..MapSpec::default()
        };
        let map = caller.create(&spec).expect("a sound spec");
        // The same on each CPU: which of them a program changes must not show.
        let all = |byte: u8| vec![byte; filled(map_type, 8, 0).len()];
        for round in ["", "frozen "] {
            for key in [0i32, 2, 3, -1] {
                for op_flags in [0, 1, 2, 3, 4, 5, 8, 16, i32::MAX, -1] {
                    let mut say = |what: &str, outcome: &dyn core::fmt::Debug| {
                        trace.note(format!("{round}{key}, {op_flags:#x}: {what}"), &outcome);
                    };
                    let bytes = key.to_ne_bytes();
                    let read = || map.lookup(&bytes, 0).map(|value| sorted(&value));
                    // One program a value: the next may run on another CPU, which has its own.
                    say("update", &map.program_update(key, 0x1234, op_flags));
                    say("user lookup", &read());
                    say("reset", &map.update(&bytes, &all(9), 0));
                    say("update again", &map.program_update(key, -5, op_flags));
                    say("user lookup", &read());
                    say("delete", &map.program_delete(key));
                    say("user lookup", &read());
                    say("delete", &map.program_delete(key));
                    say("set all", &map.update(&bytes, &all(7), 0));
                    say("lookup", &map.program_lookup(key, 0x77));
                    say("user lookup", &read());
                    say("user delete", &map.delete(&bytes));
                    say("lookup", &map.program_lookup(key, 0x78).signum());
                }
            }
            if round.is_empty() {
                for key in 0..=max_entries as i32 {
                    trace.note(format!("fill {key}"), &map.program_update(key, key, 0));
                }
            }
            trace.note(format!("{round}freeze"), &map.freeze());
        }
    }
}

#[test]
fn helpers_of_programs() {
    for map_type in [1, 2, 5, 6] {
        compare(&Helpers { map_type, flags: 0 }, 200);
    }
    for map_type in [1, 5] {
        compare(&Helpers { map_type, flags: 1 }, 200);
    }
}
