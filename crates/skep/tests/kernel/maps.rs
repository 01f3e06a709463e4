//! Helpers on maps, and those that need nothing.

use crate::both::{Case, SCHED_CLS, SOCKET_FILTER, SYSCALL, TestMap, XDP, case};
use skep_maps::MapSpec;

const ALL: [u32; 4] = [SOCKET_FILTER, SCHED_CLS, XDP, SYSCALL];

fn map(map_type: u32, value_size: u32, max_entries: u32, flags: u32) -> TestMap {
    TestMap {
        spec: MapSpec {
            map_type,
            key_size: 4,
            value_size,
            max_entries,
            flags,
            name: "m".into(),
            ..MapSpec::default()
        },
        content: None,
        keys: (0..4u32).map(|k| k.to_ne_bytes().to_vec()).collect(),
    }
}

/// Stores `key` and `value` on the stack and calls `helper` on map 0.
fn op(helper: u32, key: i32, value: i32, flags: i32) -> String {
    format!(
        "r2 = {key}\n*(u32 *)(r10 - 4) = r2\nr3 = {value}\n*(u64 *)(r10 - 16) = r3\n\
         r1 = map[idx:0]\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = {flags}\ncall {helper}\n"
    )
}

#[test]
fn update_and_delete() {
    for prog_type in ALL {
        for m in
            [map(1, 8, 2, 0), map(1, 8, 2, 1), map(2, 8, 2, 0), map(5, 8, 2, 0), map(6, 8, 2, 0)]
        {
            // Per-CPU values depend on the CPU that the program ran on.
            let keys = if matches!(m.spec.map_type, 5 | 6) { Vec::new() } else { m.keys.clone() };
            let m = TestMap { keys, ..m };
            for flags in [0, 1, 2, 3, 4, -1] {
                for key in [0, 1, 2, 9] {
                    let text = format!("{}exit", op(2, key, 77, flags));
                    case(prog_type, &text).map(m.clone()).check();
                    let twice = format!("{}{}exit", op(2, key, 77, 0), op(2, key, 78, flags));
                    case(prog_type, &twice).map(m.clone()).check();
                }
            }
            let full = format!("{}{}{}exit", op(2, 5, 1, 0), op(2, 6, 2, 0), op(2, 7, 3, 0));
            case(prog_type, &full).map(m.clone()).check();
            let gone = format!("{}{}{}exit", op(2, 1, 1, 0), op(3, 1, 0, 0), op(3, 1, 0, 0));
            case(prog_type, &gone).map(m.clone()).check();
        }
    }
}

#[test]
fn lookup_and_change_in_place() {
    for map_type in [1, 2] {
        let text = format!(
            "{}{}if r0 == 0 goto none\nr1 = 5\nlock *(u64 *)(r0 + 0) += r1\n\
             r0 = *(u64 *)(r0 + 0)\nexit\nnone:\nr0 = -1\nexit",
            op(2, 1, 37, 0),
            op(1, 1, 0, 0)
        );
        case(XDP, &text).map(map(map_type, 8, 4, 0)).returns(42);
        let none =
            format!("{}if r0 == 0 goto none\nr0 = 1\nexit\nnone:\nr0 = 2\nexit", op(1, 9, 0, 0));
        case(XDP, &none).map(map(map_type, 8, 4, 0)).returns(2);
    }
}

#[test]
fn lookup_of_another_cpus_value() {
    for map_type in [5, 6] {
        for cpu in [0, 1, 9_999] {
            let text = format!(
                "{}r2 = 1\n*(u32 *)(r10 - 4) = r2\nr1 = map[idx:0]\nr2 = r10\nr2 += -4\nr3 = {cpu}\n\
                 call 195\nif r0 == 0 goto none\nr0 = 1\nexit\nnone:\nr0 = 2\nexit",
                op(2, 1, 3, 0)
            );
            let m = TestMap { keys: Vec::new(), ..map(map_type, 8, 4, 0) };
            case(SCHED_CLS, &text).map(m).check();
        }
    }
}

#[test]
fn direct_values() {
    let text = "r1 = map[idx:0][0]+8\nr0 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + 8) = r0\n\
                r0 += 1\n*(u8 *)(r1 - 8) = r0\nexit";
    for prog_type in ALL {
        case(prog_type, text).map(TestMap::value(&[1; 24])).check();
        case(prog_type, text).map(TestMap::value(&[1; 23])).check();
        case(prog_type, text).map(TestMap::rodata(&[1; 24])).check();
    }
}

/// Frozen values are constants: the branch that is never taken may be as wrong as it likes.
#[test]
fn constants_prune() {
    let text = "r1 = map[idx:0][0]+0\nr2 = *(u32 *)(r1 + 0)\nr0 = 5\nif r2 == 7 goto out\n\
                r0 = *(u64 *)(r0 + 0)\nout:\nexit";
    case(XDP, text).map(TestMap::rodata(&7u32.to_ne_bytes())).returns(5);
    case(XDP, text).map(TestMap::rodata(&8u32.to_ne_bytes())).check();
    case(XDP, text).map(TestMap::value(&7u32.to_ne_bytes())).check();
}

#[test]
fn helpers_without_arguments() {
    for prog_type in ALL {
        case(prog_type, "call 42\nexit").returns(0);
        for helper in [5, 125, 160, 208, 118] {
            // Time goes on.
            let text = format!(
                "call {helper}\nr6 = r0\ncall {helper}\nr1 = 1\nif r0 >= r6 goto out\nr1 = 0\nout:\nr0 = r1\nexit"
            );
            case(prog_type, &text).check();
        }
        let cpu = "call 8\nr1 = r0\nr0 = 1\nif r1 < 4096 goto out\nr0 = 0\nout:\nexit";
        case(prog_type, cpu).returns(1);
        case(prog_type, "call 7\nr0 >>= 32\nexit").returns(0);
    }
}

/// Which helpers a program type may call, and which ask for a GPL-compatible licence.
#[test]
fn who_may_call_what() {
    use skep::Support;
    for prog_type in ALL {
        for h in skep::helper::helpers() {
            if matches!(h.support, Support::No(..)) {
                continue;
            }
            for license in ["GPL", "Proprietary"] {
                // Without arguments most calls are refused anyway; the errno tells why.
                let text = format!("call {}\nr0 = 0\nexit", h.id);
                // Allowed to syscall programs on a tracing pointer, which programs that run do not have.
                if (h.name, prog_type) == ("xdp_get_buff_len", SYSCALL) {
                    continue;
                }
                let bare = Case { license: Some(license), ..case(prog_type, &text) };
                let ((_, ours), (_, theirs)) = (bare.skep(), bare.kernel());
                for reason in ["cannot use helper", "GPL"] {
                    assert_eq!(
                        ours.contains(reason),
                        theirs.contains(reason),
                        "{} for type {prog_type}, {license}, {reason}\nSkep: {ours}\nkernel: {theirs}",
                        h.name
                    );
                }
            }
        }
    }
}

#[test]
fn tail_calls_into_nothing_go_on() {
    let m = TestMap { keys: Vec::new(), ..map(3, 4, 2, 0) };
    for index in [0, 1, 2, -1] {
        let text = format!("r6 = r1\nr2 = map[idx:0]\nr3 = {index}\ncall 12\nr0 = 9\nexit");
        for prog_type in [SOCKET_FILTER, SCHED_CLS, XDP] {
            case(prog_type, &text).map(m.clone()).returns(9);
        }
    }
}

#[test]
fn loops_check_their_arguments() {
    // With no iterations the callback is never called, but the call is the same.
    for (count, flags) in [(0, 0), (0, 1), (9_000_000, 0)] {
        let text = format!("r1 = {count}\nr2 = 0\nr3 = 0\nr4 = {flags}\ncall 181\nexit");
        // A number is not a callback: both refuse it.
        case(XDP, &text).check();
    }
}

#[test]
fn syscall_contexts() {
    let text = "r0 = *(u32 *)(r1 + 4)\nr0 += 1\n*(u32 *)(r1 + 0) = r0\n*(u8 *)(r1 + 9) = 3\nexit";
    for len in [0usize, 4, 9, 10, 16, 1000, 65_535, 65_536] {
        let ctx: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let c = case(SYSCALL, text).ctx(&ctx);
        let ((ours, _), (theirs, _)) = (c.skep(), c.kernel());
        let ret = |a: &crate::both::Answer| a.as_ref().map(|o| o.retval).map_err(Clone::clone);
        assert_eq!(ret(&ours), ret(&theirs), "{len}");
    }
    Case { repeat: 1, ..case(SYSCALL, "r0 = 0\nexit") }.check();
    case(SYSCALL, "r0 = 3\nexit").data(&[0; 14]).check();
    case(SYSCALL, "r0 = 3\nexit").check();
}
