//! Operations of program arrays.

use super::arrays::{OP_FLAGS, all_keys};
use super::caller::{CallerMap, MapCaller, Prog};
use super::{Scenario, Trace, compare};
use skep_maps::MapSpec;

struct Programs {
    flags: u32,
}

impl Scenario for Programs {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        let spec = MapSpec {
            map_type: 3,
            key_size: 4,
            value_size: 4,
            max_entries: 3,
            flags: self.flags,
            ..MapSpec::default()
        };
        let map = caller.create(&spec).expect("a sound spec");
        let indices = [0u32, 2, 3, u32::MAX];
        for round in ["", "frozen "] {
            for index in indices {
                let key = index.to_ne_bytes();
                for flags in OP_FLAGS {
                    let mut say = |what: &str, outcome: &dyn core::fmt::Debug| {
                        trace.note(format!("{round}{index} {flags:#x} {what}"), &outcome);
                    };
                    say("empty", &map.program(&key, flags));
                    say("take", &map.lookup_and_delete(&key, flags));
                    say("delete empty", &map.delete(&key));
                    say("bad fd", &map.put(&key, Prog::BadFd, flags));
                    say("put", &map.put(&key, Prog::First, flags));
                    say("get", &map.program(&key, flags));
                    say("get plain", &map.program(&key, 0));
                    say("other type", &map.put(&key, Prog::OtherType, flags));
                    say("replace", &map.put(&key, Prog::Second, flags));
                    say("get plain", &map.program(&key, 0));
                    say("bad fd", &map.put(&key, Prog::BadFd, flags));
                    say("get plain", &map.program(&key, 0));
                    say("delete", &map.delete(&key));
                }
                trace.note("put", &map.put(&key, Prog::Second, 0));
            }
            all_keys(&map, trace);
            trace.note(format!("{round}freeze"), &map.freeze());
        }
    }
}

#[test]
fn prog_array_operations() {
    for flags in [0, 1 << 3, 1 << 4] {
        compare(&Programs { flags }, 200);
    }
}
