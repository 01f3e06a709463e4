//! Subprograms, callbacks and tail calls.

use crate::both::{Case, SCHED_CLS, SOCKET_FILTER, SYSCALL, TestMap, XDP, case};
use skep_maps::MapSpec;

const ALL: [u32; 4] = [SOCKET_FILTER, SCHED_CLS, XDP, SYSCALL];

/// `bpf_loop` whose callback adds the index to a number on the caller's stack.
fn sum(count: &str, flags: i32, stop: i32) -> Case {
    let text = format!(
        "r1 = 1000\n*(u64 *)(r10 - 8) = r1\nr1 = {count}\nr2 = subprog[+9]\nr3 = r10\nr3 += -8\n\
         r4 = {flags}\ncall 181\nr1 = *(u64 *)(r10 - 8)\nr1 <<= 16\nr0 += r1\nexit\n\
         r0 = *(u64 *)(r2 + 0)\nr0 += r1\n*(u64 *)(r2 + 0) = r0\nr0 = 0\nif r1 != {stop} goto out\n\
         r0 = 1\nout:\nexit"
    );
    case(XDP, &text).funcs(&[0, 13])
}

#[test]
fn bpf_loop() {
    for count in ["0", "1", "5", "1000", "8388608", "8388609", "-1"] {
        for flags in [0, 1] {
            sum(count, flags, 500).check();
        }
    }
    let answer = sum("5", 0, -1).check();
    assert!(answer.is_none_or(|a| a.is_ok_and(|o| o.retval == (1010 << 16) + 5)));
}

fn array(map_type: u32, entries: u32) -> TestMap {
    TestMap {
        spec: MapSpec {
            map_type,
            key_size: 4,
            value_size: 8,
            max_entries: entries,
            name: "m".into(),
            ..MapSpec::default()
        },
        content: None,
        keys: (0..entries).map(|k| k.to_ne_bytes().to_vec()).collect(),
    }
}

/// Visits each element: adds the key to the value, counts in the caller's stack, stops at key 2 if asked to.
fn for_each(map: TestMap, stop: i32, flags: i32) -> Case {
    let fill: String = (0..map.spec.max_entries)
        .map(|key| {
            format!(
                "r1 = {key}\n*(u32 *)(r10 - 12) = r1\nr1 = {}\n*(u64 *)(r10 - 24) = r1\nr1 = map[idx:0]\n\
                 r2 = r10\nr2 += -12\nr3 = r10\nr3 += -24\nr4 = 0\ncall 2\n",
                key * 100
            )
        })
        .collect();
    let fill_slots = map.spec.max_entries * 12;
    let text = format!(
        "{fill}r1 = 0\n*(u64 *)(r10 - 8) = r1\nr1 = map[idx:0]\nr2 = subprog[+9]\nr3 = r10\nr3 += -8\n\
         r4 = {flags}\ncall 164\nr1 = *(u64 *)(r10 - 8)\nr1 <<= 16\nr0 += r1\nexit\n\
         r5 = *(u32 *)(r2 + 0)\nr0 = *(u64 *)(r3 + 0)\nr0 += r5\n*(u64 *)(r3 + 0) = r0\n\
         r0 = *(u64 *)(r4 + 0)\nr0 += 1\n*(u64 *)(r4 + 0) = r0\nr0 = 0\nif r5 != {stop} goto out\n\
         r0 = 1\nout:\nexit"
    );
    case(SCHED_CLS, &text).map(map).funcs(&[0, fill_slots + 14])
}

#[test]
fn for_each_map_elem() {
    for flags in [0, 1] {
        for stop in [-1, 2, 0] {
            assert!(for_each(array(2, 4), stop, flags).check().is_none_or(|a| a.is_ok()));
        }
        // A hash's order is its own: visit all.
        assert!(for_each(array(1, 4), -1, flags).check().is_none_or(|a| a.is_ok()));
    }
}

#[test]
fn subprograms() {
    let text = "r6 = 3\nr1 = 4\ncall pc+3\nr0 += r6\nexit\nr0 = 9\nr6 = r1\nr1 += 1\nr0 = r1\nexit";
    for prog_type in ALL {
        case(prog_type, text).check();
    }
    // Eight frames are allowed, nine are not; each has its own stack.
    for depth in [6, 7, 8] {
        let mut text = String::from("r1 = 1\n");
        for _ in 0..depth {
            text += "*(u64 *)(r10 - 8) = r1\nr1 += 1\ncall pc+3\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\nexit\n";
        }
        text += "r0 = r1\nexit";
        case(XDP, &text).check();
    }
}

/// A program array behind the other maps, with these programs in it.
fn tails(mut c: Case, programs: &[String], entries: u32) -> Case {
    let mut map = array(3, entries);
    map.spec.value_size = 4;
    map.keys.clear();
    c.maps.push(map);
    c.tails = programs.to_vec();
    c
}

/// Counts in map 0, then calls the program at an index of map 1.
fn count_and_go(index: i32) -> String {
    format!(
        "r6 = r1\nr7 = map[idx:0][0]+0\nr0 = *(u64 *)(r7 + 0)\nr0 += 1\n*(u64 *)(r7 + 0) = r0\nr1 = r6\n\
         r2 = map[idx:1]\nr3 = {index}\ncall 12\nr0 = *(u64 *)(r7 + 0)\nexit"
    )
}

#[test]
fn tail_calls() {
    for prog_type in [SOCKET_FILTER, SCHED_CLS, XDP] {
        let value = || TestMap::value(&[0; 8]);
        let into = |index: i32| case(prog_type, &count_and_go(index)).map(value());
        tails(into(0), &["r0 = 77\nexit".into()], 2).returns(77);
        tails(into(1), &["r0 = 77\nexit".into()], 2).returns(1);
        tails(into(2), &["r0 = 77\nexit".into()], 2).returns(1);
        // A program that calls itself: 33 tail calls and no more.
        tails(into(0), &[count_and_go(0)], 1).returns(34);
        // From a subprogram: the caller goes on afterwards.
        let sub =
            "r6 = r1\ncall pc+2\nr0 += 1\nexit\nr2 = map[idx:1]\nr3 = 0\ncall 12\nr0 = 5\nexit";
        let from_sub = case(prog_type, sub).map(value()).funcs(&[0, 4]);
        tails(from_sub.clone(), &["r0 = 77\nexit".into()], 1).returns(78);
        tails(from_sub, &[], 1).returns(6);
    }
}
