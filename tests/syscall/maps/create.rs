//! Creation: sizes, flags, names and nodes of each type.

use super::caller::MapCaller;
use super::{Scenario, Trace, compare};
use skep_maps::MapSpec;

/// Hash, array, program array, per-CPU hash, per-CPU array.
const TYPES: [u32; 5] = [1, 2, 3, 5, 6];

fn spec(map_type: u32) -> MapSpec {
    let (key_size, value_size, max_entries) = (4, if map_type == 3 { 4 } else { 8 }, 4);
    MapSpec { map_type, key_size, value_size, max_entries, ..MapSpec::default() }
}

fn try_create<C: MapCaller>(caller: &C, trace: &mut Trace, spec: &MapSpec) {
    trace.note(format!("create {spec:?}"), &caller.create(spec).map(drop));
}

struct Flags;

impl Scenario for Flags {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        for map_type in TYPES {
            // Above bit 13 lie flags about other attributes (tokens, BTF objects), which commands handle.
            for bit in (0..14).chain([19, 25, 31]) {
                try_create(caller, trace, &MapSpec { flags: 1 << bit, ..spec(map_type) });
            }
            let pairs = [(3, 4), (7, 8), (3, 8), (4, 7), (0, 6), (2, 3), (10, 7), (10, 12), (0, 7)];
            for (a, b) in pairs {
                try_create(caller, trace, &MapSpec { flags: 1 << a | 1 << b, ..spec(map_type) });
            }
            for numa_node in [0, 1, 2, 63, 64, 1 << 20, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                let with = MapSpec { numa_node, flags: 1 << 2, ..spec(map_type) };
                try_create(caller, trace, &with);
                try_create(caller, trace, &MapSpec { flags: 0, ..with });
            }
            for map_extra in [1, 1 << 32] {
                try_create(caller, trace, &MapSpec { map_extra, ..spec(map_type) });
            }
            for name in
                ["a", "map_name.1", "exactly15_bytes", "a b", "a/b", "a-b", "\u{fc}", "\x01"]
            {
                try_create(caller, trace, &MapSpec { name: name.into(), ..spec(map_type) });
            }
        }
        // No such types. (What the kernel has and Skep does not yet is in `skep features`.)
        for map_type in [0, 34, 35, 1000, u32::MAX] {
            try_create(caller, trace, &spec(map_type));
        }
    }
}

#[test]
fn flags_nodes_and_names() {
    compare(&Flags, 200);
}

struct Sizes;

impl Scenario for Sizes {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace) {
        for map_type in TYPES {
            let base = spec(map_type);
            for key_size in [0, 1, 3, 4, 5, 8, 64, 512, 513, 65536] {
                try_create(caller, trace, &MapSpec { key_size, ..base.clone() });
            }
            for value_size in [0, 1, 3, 4, 7, 8, 9, 64, 4096, 32760, 32761, 32768, 32769, 65536] {
                try_create(caller, trace, &MapSpec { value_size, ..base.clone() });
            }
            for max_entries in [0, 1, 2, 3, 1000] {
                try_create(caller, trace, &MapSpec { max_entries, ..base.clone() });
            }
            // Beyond any limit, and refused before the kernel allocates.
            for value_size in [0x8000_0000, 0xffff_fff8, u32::MAX] {
                try_create(caller, trace, &MapSpec { value_size, ..base.clone() });
            }
        }
        // Nothing that the kernel would really allocate by the gigabyte.
        for (map_type, key_size, value_size, max_entries, flags) in [
            (2, 4, 0x7fff_ffff, u32::MAX, 0),
            (2, 4, 8, u32::MAX, 0),
            (2, 4, 0x7fff_ffff, u32::MAX, 1 << 10),
            (2, 4, 4096, 1 << 30, 0),
            (6, 4, 8, u32::MAX, 0),
            (1, 4, 8, u32::MAX, 0),
            (1, 4, 8, (1 << 31) + 1, 0),
            (1, 4, 8, 1 << 31, 0),
            (1, 4, 8, (1 << 27) + 1, 0),
            (1, 4, 8, (1 << 27) + 1, 1),
            (5, 4, 8, (1 << 27) + 1, 0),
            (5, 4, 8, u32::MAX, 1),
            (1, 4, 65536, 1 << 20, 0),
            (1, 4, 65536, 1 << 20, 1),
            (1, 4, 1 << 20, 1 << 20, 1),
            (1, u32::MAX, u32::MAX, 1, 0),
            (1, 4, u32::MAX, 1, 0),
            (1, u32::MAX, 4, 1, 0),
            (5, u32::MAX, 4, 1, 0),
        ] {
            let absurd = MapSpec {
                map_type,
                key_size,
                value_size,
                max_entries,
                flags,
                ..MapSpec::default()
            };
            try_create(caller, trace, &absurd);
        }
        // The limit of a hash's element, to the byte.
        for size in (4u32 << 20) - 80..(4 << 20) - 24 {
            let limit = MapSpec { key_size: 16, value_size: size - 16, max_entries: 1, ..spec(1) };
            try_create(caller, trace, &limit);
            try_create(caller, trace, &MapSpec { flags: 1, ..limit });
        }
    }
}

#[test]
fn sizes() {
    compare(&Sizes, 200);
}
