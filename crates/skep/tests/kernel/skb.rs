//! Helpers on `sk_buff`.

use crate::both::{Case, SCHED_CLS, SOCKET_FILTER, TestMap, case, packet};

/// After a helper: the result, and the fields that describe the packet, in map 0.
const DESCRIBE: &str = "
r7 = r0
r8 = map[idx:0][0]+0
*(u64 *)(r8 + 0) = r7
r0 = *(u32 *)(r6 + 0)
*(u32 *)(r8 + 8) = r0
r0 = *(u32 *)(r6 + 16)
*(u32 *)(r8 + 12) = r0
r0 = *(u32 *)(r6 + 20)
*(u32 *)(r8 + 16) = r0
r0 = *(u32 *)(r6 + 24)
*(u32 *)(r8 + 20) = r0
r0 = *(u32 *)(r6 + 28)
*(u32 *)(r8 + 24) = r0
r0 = *(u32 *)(r6 + 4)
*(u32 *)(r8 + 28) = r0
r0 = r7
exit";

fn call(args: &str, helper: u32) -> String {
    format!("r6 = r1\n{args}\ncall {helper}")
}

fn again(args: &str, helper: u32) -> String {
    format!("r1 = r6\n{args}\ncall {helper}")
}

/// Runs, and reads where the headers are believed to be.
fn described(body: &str) -> Case {
    let headers = "r9 = r0\nr1 = r6\nr2 = 0\nr3 = map[idx:0][0]+32\nr4 = 16\nr5 = 1\ncall 68\n\
                   r1 = r6\nr2 = 0\nr3 = map[idx:0][0]+48\nr4 = 16\nr5 = 0\ncall 68\nr0 = r9\n";
    case(SCHED_CLS, &format!("{body}\n{headers}{DESCRIBE}")).map(TestMap::value(&[0; 64]))
}

fn ipv6_packet() -> Vec<u8> {
    let mut p = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 17, 64];
    p.extend(0..52);
    p
}

fn vlan_packet() -> Vec<u8> {
    let mut p = packet();
    p.splice(12..12, [0x81, 0, 0x20, 5, 0x88, 0xa8, 0, 7]);
    p
}

#[test]
fn load_bytes() {
    for prog_type in [SOCKET_FILTER, SCHED_CLS] {
        for (off, len) in [
            (0i64, 16),
            (44, 16),
            (45, 16),
            (30, 16),
            (31, 16),
            (60, 1),
            (0x7fff_ffff, 1),
            (-1, 1),
            (0x1_0000_0000, 4),
        ] {
            case(
                prog_type,
                &format!("r2 = {off} ll\nr3 = map[idx:0][0]+0\nr4 = {len}\ncall 26\nexit"),
            )
            .map(TestMap::value(&[0xee; 16]))
            .check();
        }
        for (off, start) in [
            (0, 0),
            (0, 1),
            (30, 0),
            (30, 1),
            (31, 1),
            (44, 0),
            (45, 0),
            (0, 2),
            (0x10000, 0),
            (-1, 0),
        ] {
            case(
                prog_type,
                &format!("r2 = {off}\nr3 = map[idx:0][0]+0\nr4 = 16\nr5 = {start}\ncall 68\nexit"),
            )
            .map(TestMap::value(&[0xee; 16]))
            .check();
        }
    }
}

#[test]
fn store_bytes() {
    for off in [0i64, 14, 44, 45, 60, -1, 0x7fff_ffff, 0x8000_0000] {
        for flags in [0, 1, 2, 3, 4] {
            described(&call(
                &format!("r2 = {off} ll\nr3 = map[idx:0][0]+0\nr4 = 16\nr5 = {flags}"),
                9,
            ))
            .check();
        }
    }
}

#[test]
fn hash() {
    let set = "r6 = r1\nr2 = 0x12345678\ncall 48\n";
    let read = "r0 = *(u32 *)(r6 + 68)\nexit";
    case(SCHED_CLS, &format!("{set}{read}")).returns(0x1234_5678);
    case(SCHED_CLS, &format!("{set}r1 = r6\ncall 34\nexit")).returns(0x1234_5678);
    case(SCHED_CLS, &format!("{set}r1 = r6\ncall 41\n{read}")).returns(0);
    let store = "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 0\n*(u64 *)(r10 - 8) = r4\nr4 = 8\nr5 = 2\ncall 9\n";
    case(SCHED_CLS, &format!("{set}{store}{read}")).returns(0);
    // What is computed is not the same, but it is there, and stays.
    let nonzero = "r6 = r1\ncall 34\nr7 = r0\nr1 = r6\ncall 34\nr1 = 1\nif r7 == r0 goto same\n\
                   r1 = 0\nsame:\nif r0 != 0 goto out\nr1 = 2\nout:\nr0 = r1\nexit";
    case(SCHED_CLS, nonzero).returns(1);
}

#[test]
fn change_type() {
    for first in [0, 1, 2, 3, 4, 5, 7] {
        described(&call(&format!("r2 = {first}"), 32)).check();
        described(&format!("{}\n{}", call("r2 = 0", 32), again(&format!("r2 = {first}"), 32)))
            .check();
    }
}

#[test]
fn pull_data() {
    for len in [0, 1, 60, 61, 4096, -1] {
        described(&call(&format!("r2 = {len}"), 39)).check();
    }
}

#[test]
fn change_tail() {
    for len in
        [0, 1, 13, 14, 15, 33, 34, 59, 60, 61, 1500, 4000, 15_000, 16_064, 16_065, 16_384, -1]
    {
        for flags in [0, 1] {
            described(&call(&format!("r2 = {len}\nr3 = {flags}"), 38)).check();
        }
    }
    described(&format!("{}\n{}", call("r2 = 30\nr3 = 0", 38), again("r2 = 60\nr3 = 0", 38)))
        .check();
}

#[test]
fn change_head() {
    for more in [0, 1, 14, 64, 200, 1000, 16_004, 16_005, -1] {
        for flags in [0, 1] {
            described(&call(&format!("r2 = {more}\nr3 = {flags}"), 43)).check();
        }
    }
}

#[test]
fn vlan() {
    for data in [packet(), vlan_packet(), ipv6_packet()] {
        for proto in ["0x81", "0xa888", "0", "0x8100"] {
            let push = |tci: i32| format!("r2 = {proto}\nr3 = {tci}");
            described(&call(&push(5), 18)).data(&data).check();
            described(&format!("{}\n{}", call(&push(5), 18), again(&push(0x6007), 18)))
                .data(&data)
                .check();
            described(&format!("{}\n{}", call(&push(5), 18), again("", 19))).data(&data).check();
            let three =
                format!("{}\n{}\n{}", call(&push(5), 18), again(&push(6), 18), again(&push(7), 18));
            described(&three).data(&data).check();
            described(&format!("{three}\n{}\n{}", again("", 19), again("", 19)))
                .data(&data)
                .check();
        }
        described(&call("", 19)).data(&data).check();
        described(&format!("{}\n{}", call("", 19), again("", 19))).data(&data).check();
    }
}

#[test]
fn change_proto() {
    for data in [packet(), ipv6_packet(), vlan_packet()] {
        for proto in ["8", "0xdd86", "0x608", "0"] {
            for flags in [0, 1] {
                described(&call(&format!("r2 = {proto}\nr3 = {flags}"), 31)).data(&data).check();
            }
        }
    }
}

#[test]
fn adjust_room() {
    for data in [packet(), ipv6_packet(), vlan_packet()] {
        for diff in [
            -100, -46, -41, -27, -26, -25, -20, -8, -1, 0, 1, 8, 20, 40, 64, 200, 4095, 4096, -4096,
        ] {
            for mode in [0, 1, 2] {
                for flags in [0u64, 1, 0x20, 0x200] {
                    described(&call(&format!("r2 = {diff}\nr3 = {mode}\nr4 = {flags}"), 50))
                        .data(&data)
                        .check();
                }
            }
        }
    }
}

#[test]
fn adjust_room_for_tunnels() {
    let flags = [
        0x2,
        0x4,
        0x6,
        0xa,
        0x12,
        0x1a,
        0x8,
        0x42,
        0x0e00_0000_0000_0042,
        0x0d00_0000_0000_0042,
        0x1400_0000_0000_0002,
        0x1500_0000_0000_0002,
        0x0400_0000_0000_0012,
        0x80,
        0x100,
        0x180,
        0x82,
        0x0e00_0000_0000_0000,
        0xff00_0000_0000_0000u64,
    ];
    for data in [packet(), ipv6_packet()] {
        for diff in [-20, -8, 8, 20, 28, 40, 64] {
            for mode in [0, 1] {
                for flags in flags {
                    let args = format!("r2 = {diff}\nr3 = {mode}\nr4 = {flags:#x} ll");
                    described(&call(&args, 50)).data(&data).check();
                }
            }
        }
        let encap = "r2 = 20\nr3 = 1\nr4 = 2";
        described(&format!("{}\n{}", call(encap, 50), again(encap, 50))).data(&data).check();
        described(&format!("{}\n{}", call(encap, 50), again("r2 = 70\nr3 = 0", 38)))
            .data(&data)
            .check();
    }
}

#[test]
fn redirect() {
    for flags in [0, 1, 2] {
        case(SCHED_CLS, &format!("r1 = 1\nr2 = {flags}\ncall 23\nexit")).check();
    }
}

#[test]
fn direct_access_reads_and_writes() {
    let text = "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr0 = 1\nr4 = r2\nr4 += 60\n\
                if r4 > r3 goto out\nr0 = *(u16 *)(r2 + 12)\n*(u8 *)(r2 + 59) = 99\nout:\nexit";
    case(SCHED_CLS, text).returns(8);
    case(SCHED_CLS, text).data(&packet()[..59]).returns(1);
}
