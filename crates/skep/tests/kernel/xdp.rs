//! XDP helpers.

use crate::both::{Case, TestMap, XDP, case, packet};

/// Calls an `xdp_adjust_*` helper; the result is its result.
fn adjust(helper: u32, delta: i32) -> Case {
    case(XDP, &format!("r2 = {delta}\ncall {helper}\nexit"))
}

#[test]
fn adjust_head() {
    for delta in [-300, -256, -217, -216, -215, -64, -1, 0, 1, 45, 46, 47, 60, 1000] {
        adjust(44, delta).check();
        Case { repeat: 3, ..adjust(44, delta) }.check();
    }
    adjust(44, -216).returns(0);
    adjust(44, -217).returns(-22);
    adjust(44, 47).returns(-22);
}

#[test]
fn adjust_tail() {
    for delta in [-100, -60, -47, -46, -45, -1, 0, 1, 3459, 3460, 3461, 65536] {
        adjust(65, delta).check();
        Case { repeat: 2, ..adjust(65, delta) }.check();
    }
    adjust(65, 3460).returns(0);
    adjust(65, 3461).returns(-22);
}

#[test]
fn adjust_meta() {
    for delta in [-256, -252, -220, -216, -212, -64, -33, -32, -31, -4, -3, 0, 4] {
        adjust(54, delta).check();
    }
    adjust(54, -3).returns(-13);
    adjust(54, 4).returns(-22);
    // Metadata moves with the head, and limits it.
    for head in [-216, -212, -208, -4, 0, 4, 46, 47] {
        case(XDP, &format!("r6 = r1\nr2 = -4\ncall 54\nr1 = r6\nr2 = {head}\ncall 44\nexit"))
            .check();
    }
}

#[test]
fn metadata_from_user_space() {
    for (data, end) in
        [(0u32, 60u32), (4, 60), (3, 60), (32, 60), (44, 60), (48, 60), (60, 60), (4, 61)]
    {
        let mut ctx = [0u8; 24];
        ctx[..4].copy_from_slice(&data.to_ne_bytes());
        ctx[4..8].copy_from_slice(&end.to_ne_bytes());
        let lengths = "r2 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 4)\nr3 = *(u32 *)(r1 + 8)\n\
                       r0 -= r2\nr0 <<= 16\nr2 -= r3\nr0 |= r2\nexit";
        case(XDP, lengths).ctx(&ctx).check();
        for (helper, delta) in [(44, 4), (44, -4), (54, -4), (54, 4), (65, 4)] {
            adjust(helper, delta).ctx(&ctx).check();
        }
    }
}

#[test]
fn context_of_user_space() {
    let fields = "r0 = *(u32 *)(r1 + 12)\nr2 = *(u32 *)(r1 + 16)\nr0 <<= 8\nr0 |= r2\nexit";
    case(XDP, fields).check();
    for (off, val) in [(8usize, 1u32), (12, 1), (12, 9999), (16, 1), (20, 1), (24, 1), (28, 0)] {
        let mut ctx = vec![0u8; 32];
        ctx[4..8].copy_from_slice(&60u32.to_ne_bytes());
        ctx[off..off + 4].copy_from_slice(&val.to_ne_bytes());
        if val == 0 {
            ctx.truncate(28);
        }
        case(XDP, fields).ctx(&ctx).check();
    }
    // egress_ifindex is for device maps only; nothing can be written; no narrow loads.
    for text in [
        "r0 = *(u32 *)(r1 + 20)\nexit",
        "r0 = 0\n*(u32 *)(r1 + 16) = r0\nexit",
        "r0 = *(u16 *)(r1 + 12)\nexit",
        "r0 = *(u64 *)(r1 + 8)\nr0 = 0\nexit",
        "r0 = *(u32 *)(r1 + 24)\nexit",
        "r0 = *(u32 *)(r1 + 2)\nexit",
    ] {
        case(XDP, text).check();
    }
}

#[test]
fn sizes() {
    for size in [1, 13, 14, 15, 60, 1500, 3519, 3520] {
        let mut data = packet();
        data.resize(size, 7);
        case(XDP, "call 188\nexit").data(&data).check();
    }
}

#[test]
fn load_and_store_bytes() {
    for (off, len) in
        [(0, 16), (44, 16), (45, 16), (59, 1), (60, 1), (0xffff, 1), (0x10000, 1), (-1, 4)]
    {
        case(
            XDP,
            &format!(
                "r6 = r1\nr3 = map[idx:0][0]+0\nr2 = {off}\nr4 = {len}\ncall 189\nr7 = r0\n\
                 r1 = r6\nr3 = map[idx:0][0]+16\nr2 = {off}\nr4 = {len}\ncall 190\n\
                 r0 <<= 8\nr0 += r7\nexit"
            ),
        )
        .map(TestMap::value(b"0123456789abcdefABCDEFGHIJKLMNOP"))
        .check();
    }
}

#[test]
fn direct_access_reads_and_writes() {
    let text = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = 1\nr4 = r2\nr4 += 60\n\
                if r4 > r3 goto out\nr0 = *(u16 *)(r2 + 12)\n*(u8 *)(r2 + 59) = 99\n\
                *(u32 *)(r2 + 0) = r0\nout:\nexit";
    case(XDP, text).returns(8);
    let mut short = packet();
    short.truncate(59);
    case(XDP, text).data(&short).returns(1);
}

#[test]
fn redirect() {
    for flags in [0, 1] {
        case(XDP, &format!("r1 = 1\nr2 = {flags}\ncall 23\nexit")).check();
    }
}
