//! `__sk_buff`: which fields can be read and written, and what they hold.

use crate::both::{Case, SCHED_CLS, SOCKET_FILTER, case, packet};

const TYPES: [u32; 2] = [SOCKET_FILTER, SCHED_CLS];

/// Fields that the kernel keeps in fewer than 32 bits. It gives a narrow load of their high bytes the low ones
/// (the shift is left out where the load covers the native field), which Skep does not imitate.
const SHORT_FIELDS: [u32; 10] = [4, 12, 16, 20, 24, 28, 44, 72, 164, 176];

fn is_quirk(off: u32, bytes: u32) -> bool {
    SHORT_FIELDS.iter().any(|f| off > *f && off < f + 4) && bytes < 4
}

/// Every offset and size, read: the same verdict and the same value.
#[test]
fn every_load() {
    // sk is a pointer to a socket, which Skep does not have.
    let sk = 168..176;
    for prog_type in TYPES {
        for off in (0..200).filter(|o| !sk.contains(o)) {
            for (size, bytes) in [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)] {
                if is_quirk(off, bytes) {
                    continue;
                }
                // Packet pointers differ, so they must not be the result.
                let pointers = [76, 80, 140];
                let hide = if pointers.contains(&off) && bytes == 4 { "r0 = 0\n" } else { "" };
                case(prog_type, &format!("r0 = *({size} *)(r1 + {off})\n{hide}exit")).check();
            }
        }
    }
}

/// Every offset and size, written.
#[test]
fn every_store() {
    for prog_type in TYPES {
        for off in 0..200 {
            for (size, bytes) in [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)] {
                let back = if bytes == 8 { "" } else { "r0 = 0\n" };
                case(
                    prog_type,
                    &format!("r2 = 0x1234\nr0 = 0\n*({size} *)(r1 + {off}) = r2\n{back}exit"),
                )
                .ctx(&[0; 192])
                .check();
            }
        }
    }
}

fn with_field(off: usize, value: &[u8]) -> Vec<u8> {
    let mut ctx = vec![0; 192];
    ctx[off..off + value.len()].copy_from_slice(value);
    ctx
}

#[test]
fn user_space_may_set_some() {
    for prog_type in TYPES {
        for off in (0..192).step_by(4) {
            for value in [1u32, 60, 70_000] {
                // Interfaces other than the loopback are the machine's.
                if off == 40 && value != 1 {
                    continue;
                }
                let field = with_field(off, &value.to_ne_bytes());
                case(prog_type, "r0 = *(u32 *)(r1 + 48)\nexit").ctx(&field).check();
            }
        }
        for wire_len in [45u32, 46, 59, 60, 65536, 65537] {
            let field = with_field(160, &wire_len.to_ne_bytes());
            case(prog_type, "r0 = 0\nexit").ctx(&field).check();
        }
        for len in [1, 4, 100, 188, 191, 192, 200, 256] {
            let mut ctx = with_field(0, &[]);
            ctx.resize(256, 0);
            case(prog_type, "r0 = 0\nexit").ctx(&ctx[..len]).check();
        }
        let mut ctx = vec![0; 193];
        ctx[192] = 1;
        case(prog_type, "r0 = 0\nexit").ctx(&ctx).check();
        let none = with_field(40, &9_999u32.to_ne_bytes());
        case(prog_type, "r0 = 0\nexit").ctx(&none).check();
    }
}

#[test]
fn addresses_and_types_of_frames() {
    let mut frames = Vec::new();
    for dst in [[0u8; 6], [0xff; 6], [1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0]] {
        for proto in [0x0800u16, 0x86dd, 0x0806, 0x8100, 0x05ff, 0x0600, 0x0030] {
            for sap in [[0xff, 0xff], [0xaa, 0xaa]] {
                let mut p = packet();
                p[..6].copy_from_slice(&dst);
                p[12..14].copy_from_slice(&proto.to_be_bytes());
                p[14..16].copy_from_slice(&sap);
                frames.push(p);
            }
        }
    }
    for prog_type in TYPES {
        for frame in &frames {
            let fields = "r0 = *(u32 *)(r1 + 16)\nr2 = *(u32 *)(r1 + 4)\nr0 <<= 4\nr0 |= r2\nexit";
            case(prog_type, fields).data(frame).check();
        }
    }
}

#[test]
fn lengths() {
    for prog_type in TYPES {
        for proto in [0x0800u16, 0x86dd, 0x0806] {
            for size in [1, 13, 14, 15, 33, 34, 53, 54, 1500, 3711, 3712, 3713, 5000] {
                let mut p = packet();
                p.resize(size.max(14), 0);
                p[12..14].copy_from_slice(&proto.to_be_bytes());
                p.truncate(size);
                case(prog_type, "r0 = *(u32 *)(r1 + 0)\nexit").data(&p).check();
                case(prog_type, "r0 = 0\nexit").data(&p).ctx(&[0; 192]).check();
            }
        }
    }
}

#[test]
fn legacy_loads() {
    let offsets = [
        0,
        1,
        12,
        14,
        43,
        44,
        45,
        46,
        47,
        56,
        58,
        59,
        60,
        61,
        100_000,
        -1,
        -14,
        -15,
        -0x10_0000,
        -0x10_0000 + 9,
        -0x10_0000 - 1,
        -0x20_0000,
        -0x20_0000 + 12,
        -0x20_0000 + 60,
        -0x20_0001,
        i32::MIN,
        i32::MAX,
    ];
    for prog_type in TYPES {
        for off in offsets {
            for size in ["u8", "u16", "u32"] {
                case(prog_type, &format!("r6 = r1\nr0 = 7\nr0 = *({size} *)skb[{off}]\nexit"))
                    .check();
                case(prog_type, &format!("r6 = r1\nr7 = {off}\nr0 = *({size} *)skb[r7 + 2]\nexit"))
                    .check();
            }
        }
    }
}

#[test]
fn repeated_runs_see_the_same_packet() {
    let count = "r2 = *(u32 *)(r1 + 48)\nr2 += 1\n*(u32 *)(r1 + 48) = r2\nr0 = r2\nexit";
    for prog_type in TYPES {
        Case { repeat: 5, ..case(prog_type, count) }.ctx(&[0; 192]).returns(5);
    }
}

#[test]
fn narrow_loads_of_what_was_written() {
    for (off, value) in [(8, 0x1234_5678), (32, -2), (44, 0x1234), (72, 0x4321), (12, 9)] {
        for (size, at) in [("u8", 0), ("u8", 1), ("u8", 3), ("u16", 0), ("u16", 2), ("u32", 0)] {
            let (at, bytes) = (off + at, if size == "u8" { 1 } else { 2 });
            if is_quirk(at, bytes) {
                continue;
            }
            case(
                SCHED_CLS,
                &format!(
                    "r2 = {value}\n*(u32 *)(r1 + {off}) = r2\nr0 = *({size} *)(r1 + {at})\nexit"
                ),
            )
            .ctx(&[0; 192])
            .check();
        }
    }
}
