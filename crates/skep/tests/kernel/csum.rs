//! Checksum helpers.

use crate::both::{SCHED_CLS, TestMap, XDP, case};

#[test]
fn csum_diff() {
    let data: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37) ^ 0xa5).collect();
    for prog_type in [SCHED_CLS, XDP] {
        for (from, to) in
            [(0, 0), (4, 0), (0, 4), (4, 4), (8, 4), (32, 32), (3, 4), (4, 2), (20, 12)]
        {
            for seed in [0i64, 1, 0xffff, 0xffff_0000, 0xffff_ffff] {
                let pointer = |len: i32, off: i32, reg: &str| {
                    if len == 0 {
                        format!("{reg} = 0")
                    } else {
                        format!("{reg} = map[idx:0][0]+{off}")
                    }
                };
                case(
                    prog_type,
                    &format!(
                        "{}\nr2 = {from}\n{}\nr4 = {to}\nr5 = {seed} ll\ncall 28\n\
                         r6 = map[idx:1][0]+0\n*(u64 *)(r6 + 0) = r0\nexit",
                        pointer(from, 0, "r1"),
                        pointer(to, 32, "r3"),
                    ),
                )
                .map(TestMap::value(&data))
                .map(TestMap::value(&[0; 8]))
                .check();
            }
        }
    }
}

#[test]
fn csum_diff_of_zeros_and_ones() {
    for byte in [0u8, 0xff] {
        for (from, to) in [(4, 4), (4, 0), (0, 4)] {
            let r1 = if from == 0 { "r1 = 0" } else { "r1 = map[idx:0][0]+0" };
            let r3 = if to == 0 { "r3 = 0" } else { "r3 = map[idx:0][0]+0" };
            case(XDP, &format!("{r1}\nr2 = {from}\n{r3}\nr4 = {to}\nr5 = 0\ncall 28\nexit"))
                .map(TestMap::value(&[byte; 8]))
                .check();
        }
    }
}

#[test]
fn replace() {
    let values = [(0u64, 0x1234u64), (0xc0a8_0001, 0x0a00_0001), (0x3930, 0x5000), (0, 0)];
    for (helper, offset) in
        [(10, 24), (11, 40), (10, 25), (10, 58), (10, 59), (11, 60), (11, 0x10000), (10, 14)]
    {
        for (from, to) in values {
            for flags in [0, 1, 2, 4, 5, 8, 0x10, 0x12, 0x14, 0x22, 0x24, 0x64, 0x80, 0x84, 0x100] {
                case(
                    SCHED_CLS,
                    &format!(
                        "r2 = {offset}\nr3 = {from} ll\nr4 = {to} ll\nr5 = {flags}\ncall {helper}\nexit"
                    ),
                )
                .check();
            }
        }
    }
}

/// A UDP checksum of zero means that there is none.
#[test]
fn replace_keeps_the_absence_of_a_checksum() {
    let mut p = crate::both::packet();
    p[40..42].copy_from_slice(&[0, 0]);
    for flags in [0x24, 0x64, 4, 0x20, 0x60] {
        case(SCHED_CLS, &format!("r2 = 40\nr3 = 0\nr4 = 5\nr5 = {flags}\ncall 11\nexit"))
            .data(&p)
            .check();
    }
    // To become zero, the checksum is sent as ones.
    p[40..42].copy_from_slice(&[0x34, 0x12]);
    for flags in [0x22, 2] {
        case(SCHED_CLS, &format!("r2 = 40\nr3 = 0\nr4 = 0x1234\nr5 = {flags}\ncall 11\nexit"))
            .data(&p)
            .check();
    }
}

#[test]
fn update_and_level() {
    case(SCHED_CLS, "r2 = 5\ncall 40\nexit").check();
    for first in [0, 1, 2, 3, 4] {
        for second in [0, 1, 2, 3, -1] {
            case(
                SCHED_CLS,
                &format!(
                    "r6 = r1\nr2 = {first}\ncall 135\nr7 = r0\nr1 = r6\nr2 = {second}\ncall 135\n\
                     r7 <<= 8\nr7 += r0\nr1 = r6\nr2 = 0\ncall 135\nr7 <<= 8\nr0 += r7\nexit"
                ),
            )
            .check();
        }
    }
}
