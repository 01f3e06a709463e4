//! Tests of classic BPF: libpcap's text, the kernel's validation, and the translation against a model of classic BPF.

use proptest::prelude::*;

use super::*;
use crate::insn::{self, CallTarget, EndianOp, Insn, JmpOp, Reg, Size, Src, Width, decode};

/// Shorthand for an instruction.
fn f(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// What the filters see: a packet, and fields of the `sk_buff` for the ancillary loads.
#[derive(Clone, Debug)]
struct Packet {
    data: Vec<u8>,
    /// Words of `struct __sk_buff` from offset 0 to 68.
    skb: [u32; 18],
}

/// What the helpers of the tests return.
const CPU: u32 = 3;
const RANDOM: u32 = 0xdead_beef;
const PAY_OFFSET: u32 = 42;

fn nlattr(a: u32, x: u32) -> u32 {
    a.wrapping_mul(7) ^ x
}

impl Packet {
    fn load(&self, off: u32, bytes: usize) -> Option<u32> {
        let off = usize::try_from(off as i32).ok()?;
        let slice = self.data.get(off..off.checked_add(bytes)?)?;
        Some(slice.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

/// Classic BPF as its manual describes it, by opcode number and independent of the table.
fn model(filter: &[SockFilter], packet: &Packet) -> u32 {
    let (mut a, mut x, mut m, mut pc) = (0u32, 0u32, [0u32; 16], 0usize);
    loop {
        let SockFilter { code, jt, jf, k } = filter[pc];
        pc += 1;
        let loaded = |off: u32, size: u16| packet.load(off, [4, 2, 1][usize::from(size >> 3 & 3)]);
        match code & 7 {
            0 if code & 0xe0 == 0x20 && k >= AD_OFF => {
                a = match k - AD_OFF {
                    0 => u32::from((packet.skb[4] as u16).swap_bytes()),
                    4 => packet.skb[1],
                    8 if packet.skb[10] == 0 => return 0,
                    8 => packet.skb[10],
                    12 | 16 => nlattr(a, x),
                    20 => packet.skb[2],
                    24 => packet.skb[3],
                    28 if packet.skb[10] == 0 => return 0,
                    28 => 772,
                    32 => packet.skb[17],
                    36 => CPU,
                    40 => a ^ x,
                    44 => packet.skb[6],
                    48 => packet.skb[5],
                    52 => PAY_OFFSET,
                    56 => RANDOM,
                    60 => u32::from((packet.skb[7] as u16).swap_bytes()),
                    other => panic!("ancillary {other}"),
                }
            }
            0 | 1 => {
                let value = match code & 0xe0 {
                    0x00 => k,
                    0x20 => match loaded(k, code) {
                        Some(value) => value,
                        None => return 0,
                    },
                    0x40 => match loaded(x.wrapping_add(k), code) {
                        Some(value) => value,
                        None => return 0,
                    },
                    0x60 => m[k as usize],
                    0x80 => packet.skb[0],
                    _ => match packet.load(k, 1) {
                        Some(value) => 4 * (value & 15),
                        None => return 0,
                    },
                };
                if code & 7 == 0 { a = value } else { x = value }
            }
            2 => m[k as usize] = a,
            3 => m[k as usize] = x,
            4 => {
                let right = if code & 8 != 0 { x } else { k };
                a = match code & 0xf0 {
                    0x00 => a.wrapping_add(right),
                    0x10 => a.wrapping_sub(right),
                    0x20 => a.wrapping_mul(right),
                    0x30 | 0x90 if right == 0 => return 0,
                    0x30 => a / right,
                    0x40 => a | right,
                    0x50 => a & right,
                    0x60 => a.wrapping_shl(right),
                    0x70 => a.wrapping_shr(right),
                    0x80 => a.wrapping_neg(),
                    0x90 => a % right,
                    _ => a ^ right,
                }
            }
            5 => {
                let right = if code & 8 != 0 { x } else { k };
                pc += match code & 0xf0 {
                    0x00 => k as usize,
                    op => {
                        let holds = match op {
                            0x10 => a == right,
                            0x20 => a > right,
                            0x30 => a >= right,
                            _ => a & right != 0,
                        };
                        usize::from(if holds { jt } else { jf })
                    }
                }
            }
            6 => return if code & 0x18 == 0x10 { a } else { k },
            _ => {
                if code & 0xf8 == 0x80 {
                    a = x
                } else {
                    x = a
                }
            }
        }
    }
}

/// Just enough of eBPF for translated filters; anything else is a defect of the translation.
fn run(insns: &[Insn], packet: &Packet) -> u32 {
    const CTX: u64 = 0x1000;
    let mut r = [0u64; 11];
    (r[1], r[10]) = (CTX, 0x2000);
    let mut written = [false; 11];
    (written[1], written[10]) = (true, true);
    let mut stack = [None; 65];
    let mut pc = 0;
    loop {
        let insn = insns[pc];
        pc += 1;
        let read = |reg: Reg| {
            assert!(written[reg.index()], "{reg} is read before it is written at {}", pc - 1);
            r[reg.index()]
        };
        let operand = |src| match src {
            Src::Reg(reg) => read(reg),
            Src::Imm(imm) => imm as u64,
        };
        let (dst, value) = match insn {
            Insn::Alu { width, op, dst, src } => {
                let right = operand(src);
                if width == Width::W64 {
                    assert_eq!(op, insn::AluOp::Mov);
                    (dst, right)
                } else {
                    let left = if op == insn::AluOp::Mov { 0 } else { read(dst) as u32 };
                    let right = right as u32;
                    let value = match op {
                        insn::AluOp::Mov => right,
                        insn::AluOp::Add => left.wrapping_add(right),
                        insn::AluOp::Sub => left.wrapping_sub(right),
                        insn::AluOp::Mul => left.wrapping_mul(right),
                        insn::AluOp::Div => left / right,
                        insn::AluOp::Mod => left % right,
                        insn::AluOp::And => left & right,
                        insn::AluOp::Or => left | right,
                        insn::AluOp::Xor => left ^ right,
                        insn::AluOp::Lsh => left.wrapping_shl(right),
                        insn::AluOp::Rsh => left.wrapping_shr(right),
                        other => panic!("{other:?}"),
                    };
                    (dst, value.into())
                }
            }
            Insn::Neg { width: Width::W32, dst } => (dst, (read(dst) as u32).wrapping_neg().into()),
            Insn::Endian { op: EndianOp::Be, size: Size::H, dst } => {
                (dst, u64::from((read(dst) as u16).swap_bytes()))
            }
            Insn::Load { size: Size::W, signed: false, dst, src: Reg::R6, off } => {
                assert_eq!(read(Reg::R6), CTX);
                (dst, packet.skb[off as usize / 4].into())
            }
            Insn::Load { size: Size::W, signed: false, dst, src: Reg::R10, off } => {
                (dst, stack[-off as usize].expect("a scratch word is read before it is written"))
            }
            Insn::Store { size: Size::W, dst: Reg::R10, off, src } => {
                stack[-off as usize] = Some(operand(src) & 0xffff_ffff);
                continue;
            }
            Insn::LdAbs { size, imm } => {
                assert_eq!(read(Reg::R6), CTX);
                match packet.load(imm as u32, size.bytes() as usize) {
                    Some(value) => {
                        written[1..6].fill(false);
                        (Reg::R0, value.into())
                    }
                    None => return 0,
                }
            }
            Insn::LdInd { size, src, imm } => {
                match packet
                    .load((read(src) as u32).wrapping_add(imm as u32), size.bytes() as usize)
                {
                    Some(value) => {
                        written[1..6].fill(false);
                        (Reg::R0, value.into())
                    }
                    None => return 0,
                }
            }
            Insn::Goto { off, .. } => {
                pc = (pc as i64 + i64::from(off)) as usize;
                continue;
            }
            Insn::JumpIf { width, op, dst, src, off } => {
                let (left, right) = match width {
                    Width::W32 => (u64::from(read(dst) as u32), u64::from(operand(src) as u32)),
                    Width::W64 => (read(dst), operand(src)),
                };
                let holds = match op {
                    JmpOp::Eq => left == right,
                    JmpOp::Ne => left != right,
                    JmpOp::Gt => left > right,
                    JmpOp::Ge => left >= right,
                    JmpOp::Lt => left < right,
                    JmpOp::Le => left <= right,
                    JmpOp::Set => left & right != 0,
                    JmpOp::Sge => left as i64 >= right as i64,
                    other => panic!("{other:?}"),
                };
                if holds {
                    pc = (pc as i64 + i64::from(off)) as usize;
                }
                continue;
            }
            Insn::Call(CallTarget::Helper(id)) => {
                assert_eq!(read(Reg::R1), CTX);
                // High halves that a filter must not see.
                let value = match id {
                    7 => u64::from(RANDOM) | 0xffff << 32,
                    8 => CPU.into(),
                    HELPER_PAY_OFFSET => PAY_OFFSET.into(),
                    HELPER_NLATTR | HELPER_NLATTR_NEST => {
                        nlattr(read(Reg::R2) as u32, read(Reg::R3) as u32).into()
                    }
                    HELPER_HATYPE => {
                        if packet.skb[10] == 0 {
                            u64::MAX
                        } else {
                            772
                        }
                    }
                    other => panic!("helper {other}"),
                };
                written[1..6].fill(false);
                (Reg::R0, value)
            }
            Insn::Exit => {
                let result = read(Reg::R0);
                assert_eq!(result >> 32, 0, "A must be zero-extended");
                return result as u32;
            }
            other => panic!("{other:?}"),
        };
        r[dst.index()] = value;
        written[dst.index()] = true;
    }
}

/// No instruction that no path leads to: the verifier rejects those.
fn assert_no_dead_code(insns: &[Insn]) {
    let mut reached = vec![false; insns.len()];
    reached[0] = true;
    for (at, insn) in insns.iter().enumerate() {
        assert!(reached[at], "slot {at} is dead: {insns:?}");
        match *insn {
            Insn::Exit => {}
            Insn::Goto { off, .. } => reached[(at as i64 + 1 + i64::from(off)) as usize] = true,
            Insn::JumpIf { off, .. } => {
                reached[at + 1] = true;
                reached[(at as i64 + 1 + i64::from(off)) as usize] = true;
            }
            _ => reached[at + 1] = true,
        }
    }
}

/// A valid filter from random words: opcode, jumps and constant of each instruction.
fn build(words: &[(u16, u8, u8, u32)], scratch_first: bool) -> Vec<SockFilter> {
    let mut filter = Vec::new();
    if scratch_first {
        filter.extend((0..16).map(|k| f(if k % 2 == 0 { 0x02 } else { 0x03 }, 0, 0, k)));
    }
    let total = filter.len() + words.len() + 1;
    for &(pick, jt, jf, k) in words {
        let (code, op) = OPCODES[usize::from(pick) % OPCODES.len()];
        let left = (total - filter.len() - 2) as u32;
        let within = |skip: u8| (u32::from(skip) % (left + 1)).min(255) as u8;
        let k = match op {
            Op::LdAbs(_) if k % 4 == 0 => Ancillary::ALL[k as usize / 4 % 16].offset(),
            Op::LdAbs(_) | Op::LdInd(_) | Op::LdxMsh => k % 40,
            Op::LdMem | Op::LdxMem | Op::St | Op::Stx => k % 16,
            Op::Ja => k % (left + 1),
            Op::Alu(AluOp::Lsh | AluOp::Rsh, Operand::K) => k % 32,
            Op::Alu(AluOp::Div | AluOp::Mod, Operand::K) => k.max(1),
            Op::Jump(..) | Op::LdImm | Op::LdxImm if k % 2 == 0 => k % 16,
            _ => k,
        };
        filter.push(match op {
            Op::Jump(..) => f(code, within(jt), within(jf), k),
            _ => f(code, 0, 0, k),
        });
    }
    filter.push(f(0x16, 0, 0, 0));
    filter
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn translation_has_the_meaning_of_the_filter(
        words in prop::collection::vec((any::<u16>(), 0u8..6, 0u8..6, any::<u32>()), 0..40),
        scratch_first in any::<bool>(),
        data in prop::collection::vec(any::<u8>(), 0..64),
        mut skb in any::<[u32; 18]>(),
        has_device in prop::bool::weighted(0.8),
    ) {
        let filter = build(&words, scratch_first);
        if check(&filter, Flavor::Socket).is_err() {
            // Only a scratch word that may be unwritten can be wrong with it.
            prop_assert!(!scratch_first);
            return Ok(());
        }
        skb[0] = data.len() as u32;
        skb[10] = u32::from(has_device);
        let packet = Packet { data, skb };
        let insns = decode(&translate(&filter, Flavor::Socket).unwrap()).unwrap();
        assert_no_dead_code(&insns);
        prop_assert_eq!(run(&insns, &packet), model(&filter, &packet), "{}", image_program(&filter));
    }

    #[test]
    fn any_filter_is_checked_and_translated_without_a_panic(
        words in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>(), any::<bool>()), 0..12),
    ) {
        let filter: Vec<_> = words.iter().map(|&(code, jt, jf, k, valid)| {
            let code = if valid { OPCODES[usize::from(code) % OPCODES.len()].0 } else { code };
            f(code, jt % 8, jf % 8, if valid { k % 16 } else { k })
        }).collect();
        for flavor in [Flavor::Socket, Flavor::Seccomp] {
            prop_assert_eq!(check(&filter, flavor).err(), translate(&filter, flavor).err());
        }
        prop_assert_eq!(image_program(&filter).lines().count(), filter.len());
    }

    #[test]
    fn any_text_parses_or_fails(text in "[0-9 ,\n-]{0,40}") {
        let _ = parse(&text);
    }
}

/// `tcpdump -i lo -d` and `-ddd` of libpcap 1.10.3 for the same expression.
const LIBPCAP: &[(&str, &str)] = &[
    (
        "4\n128 0 0 0\n37 0 1 100\n6 0 0 262144\n6 0 0 0\n",
        "(000) ld       #pktlen
(001) jgt      #0x64            jt 2\tjf 3
(002) ret      #262144
(003) ret      #0
",
    ),
    (
        "8,48 0 0 4294963248,21 4 0 1,40 0 0 12,21 2 0 33024,21 1 0 34984,21 0 1 37120,6 0 0 262144,6 0 0 0,",
        "(000) ldb      [vlanp]
(001) jeq      #0x1             jt 6\tjf 2
(002) ldh      [12]
(003) jeq      #0x8100          jt 6\tjf 4
(004) jeq      #0x88a8          jt 6\tjf 5
(005) jeq      #0x9100          jt 6\tjf 7
(006) ret      #262144
(007) ret      #0
",
    ),
    (
        "11,40 0 0 12,21 0 8 2048,48 0 0 23,21 0 6 6,40 0 0 20,69 4 0 8191,177 0 0 14,80 0 0 27,69 0 1 2,6 0 0 262144,6 0 0 0",
        "(000) ldh      [12]
(001) jeq      #0x800           jt 2\tjf 10
(002) ldb      [23]
(003) jeq      #0x6             jt 4\tjf 10
(004) ldh      [20]
(005) jset     #0x1fff          jt 10\tjf 6
(006) ldxb     4*([14]&0xf)
(007) ldb      [x + 27]
(008) jset     #0x2             jt 9\tjf 10
(009) ret      #262144
(010) ret      #0
",
    ),
];

#[test]
fn text_is_that_of_libpcap() {
    for (text, listing) in LIBPCAP {
        let filter = parse(text).unwrap();
        assert_eq!(image_program(&filter), *listing);
        check(&filter, Flavor::Socket).unwrap();
    }
}

/// `bpf_image` of libpcap 1.10.3 for every opcode, at index 7 with jt 1, jf 2, k 100, and at 0 with k -1.
#[test]
fn every_opcode_prints_as_in_libpcap() {
    let golden: &[(u16, &str, &str)] = &[
        (0x00, "ld       #0x64", "ld       #0xffffffff"),
        (0x01, "ldx      #0x64", "ldx      #0xffffffff"),
        (0x02, "st       M[100]", "st       M[-1]"),
        (0x03, "stx      M[100]", "stx      M[-1]"),
        (0x04, "add      #100", "add      #-1"),
        (0x05, "ja       108", "ja       0"),
        (0x06, "ret      #100", "ret      #-1"),
        (0x07, "tax      ", "tax      "),
        (0x0c, "add      x", "add      x"),
        (0x14, "sub      #100", "sub      #-1"),
        (0x15, "jeq      #0x64            jt 9\tjf 10", "jeq      #0xffffffff      jt 1\tjf 1"),
        (0x16, "ret      ", "ret      "),
        (0x1c, "sub      x", "sub      x"),
        (0x1d, "jeq      x                jt 9\tjf 10", "jeq      x                jt 1\tjf 1"),
        (0x20, "ld       [100]", "ld       [-1]"),
        (0x24, "mul      #100", "mul      #-1"),
        (0x25, "jgt      #0x64            jt 9\tjf 10", "jgt      #0xffffffff      jt 1\tjf 1"),
        (0x28, "ldh      [100]", "ldh      [-1]"),
        (0x2c, "mul      x", "mul      x"),
        (0x2d, "jgt      x                jt 9\tjf 10", "jgt      x                jt 1\tjf 1"),
        (0x30, "ldb      [100]", "ldb      [-1]"),
        (0x34, "div      #100", "div      #-1"),
        (0x35, "jge      #0x64            jt 9\tjf 10", "jge      #0xffffffff      jt 1\tjf 1"),
        (0x3c, "div      x", "div      x"),
        (0x3d, "jge      x                jt 9\tjf 10", "jge      x                jt 1\tjf 1"),
        (0x40, "ld       [x + 100]", "ld       [x + -1]"),
        (0x44, "or       #0x64", "or       #0xffffffff"),
        (0x45, "jset     #0x64            jt 9\tjf 10", "jset     #0xffffffff      jt 1\tjf 1"),
        (0x48, "ldh      [x + 100]", "ldh      [x + -1]"),
        (0x4c, "or       x", "or       x"),
        (0x4d, "jset     x                jt 9\tjf 10", "jset     x                jt 1\tjf 1"),
        (0x50, "ldb      [x + 100]", "ldb      [x + -1]"),
        (0x54, "and      #0x64", "and      #0xffffffff"),
        (0x5c, "and      x", "and      x"),
        (0x60, "ld       M[100]", "ld       M[-1]"),
        (0x61, "ldx      M[100]", "ldx      M[-1]"),
        (0x64, "lsh      #100", "lsh      #-1"),
        (0x6c, "lsh      x", "lsh      x"),
        (0x74, "rsh      #100", "rsh      #-1"),
        (0x7c, "rsh      x", "rsh      x"),
        (0x80, "ld       #pktlen", "ld       #pktlen"),
        (0x84, "neg      ", "neg      "),
        (0x87, "txa      ", "txa      "),
        (0x94, "mod      #100", "mod      #-1"),
        (0x9c, "mod      x", "mod      x"),
        (0xa4, "xor      #0x64", "xor      #0xffffffff"),
        (0xac, "xor      x", "xor      x"),
        (0xb1, "ldxb     4*([100]&0xf)", "ldxb     4*([-1]&0xf)"),
    ];
    // libpcap has no text for `ldx #pktlen`, which the kernel has.
    assert_eq!(golden.len(), OPCODES.len() - 1);
    assert_eq!(image(0, &f(0x81, 0, 0, 0)), "(000) ldx      #pktlen");
    for &(code, with_100, with_minus_1) in golden {
        assert_eq!(image(7, &f(code, 1, 2, 100)), format!("(007) {with_100}"));
        assert_eq!(image(0, &f(code, 0, 0, u32::MAX)), format!("(000) {with_minus_1}"));
    }
    assert_eq!(image(0, &f(0x1ff, 0, 0, 0)), "(000) unimp    0x1ff");
    assert_eq!(image(0, &f(0x28, 0, 0, AD_OFF + 1)), "(000) ldh      [-4095]");
    assert_eq!(
        image(0, &f(0x20, 0, 0, Ancillary::VlanTpid.offset())),
        "(000) ld       [vlan_tpid]"
    );
}

#[test]
fn check_refuses_what_the_kernel_refuses() {
    use CbpfErrorKind as E;
    let ret = f(0x06, 0, 0, 0);
    let cases: &[(&[SockFilter], usize, E)] = &[
        (&[], 0, E::Empty),
        (&[f(0x0e, 0, 0, 0), ret], 0, E::Opcode(0x0e)),
        (&[f(0x106, 0, 0, 0)], 0, E::Opcode(0x106)),
        (&[f(0x34, 0, 0, 0), ret], 0, E::DivisionByZero),
        (&[f(0x94, 0, 0, 0), ret], 0, E::DivisionByZero),
        (&[f(0x64, 0, 0, 32), ret], 0, E::Shift(32)),
        (&[f(0x02, 0, 0, 16), ret], 0, E::ScratchIndex(16)),
        (&[f(0x60, 0, 0, 3), ret], 0, E::ScratchUnwritten(3)),
        (&[f(0x15, 0, 1, 0), f(0x02, 0, 0, 3), f(0x60, 0, 0, 3), ret], 2, E::ScratchUnwritten(3)),
        (&[f(0x05, 0, 0, 1), ret], 0, E::JumpTarget(2)),
        (&[f(0x05, 0, 0, u32::MAX), ret], 0, E::JumpTarget(1 << 32)),
        (&[f(0x15, 1, 0, 0), ret], 0, E::JumpTarget(2)),
        (&[f(0x20, 0, 0, AD_OFF + 1), ret], 0, E::AncillaryOffset(AD_OFF + 1)),
        (&[f(0x20, 0, 0, AD_OFF + 64), ret], 0, E::AncillaryOffset(AD_OFF + 64)),
        (&[ret, f(0x00, 0, 0, 0)], 1, E::NoReturn),
    ];
    for (filter, insn, kind) in cases {
        let error = check(filter, Flavor::Socket).unwrap_err();
        assert_eq!((error.insn, error.kind), (*insn, *kind), "{error}");
        assert_eq!(error.errno(), Errno::EINVAL);
    }
    let long = vec![ret; MAX_INSNS + 1];
    assert_eq!(check(&long, Flavor::Socket).unwrap_err().kind, E::TooLong(MAX_INSNS + 1));
    check(&long[1..], Flavor::Socket).unwrap();

    let seccomp: &[(SockFilter, E)] = &[
        (f(0x20, 0, 0, 2), E::SeccompOffset(2)),
        (f(0x20, 0, 0, 64), E::SeccompOffset(64)),
        (f(0x20, 0, 0, Ancillary::Mark.offset()), E::SeccompOffset(Ancillary::Mark.offset())),
        (f(0x28, 0, 0, 0), E::NotInSeccomp(0x28)),
        (f(0x40, 0, 0, 0), E::NotInSeccomp(0x40)),
        (f(0xb1, 0, 0, 0), E::NotInSeccomp(0xb1)),
        (f(0x94, 0, 0, 3), E::NotInSeccomp(0x94)),
    ];
    for &(insn, kind) in seccomp {
        assert_eq!(check(&[insn, ret], Flavor::Seccomp).unwrap_err().kind, kind);
        check(&[insn, ret], Flavor::Socket)
            .unwrap_or_else(|error| assert!(matches!(error.kind, E::AncillaryOffset(_))));
    }
}

#[test]
fn seccomp_loads_its_data_and_knows_its_length() {
    // Kill unless the syscall number is 1.
    let filter = [
        f(0x20, 0, 0, 0),
        f(0x15, 0, 1, 1),
        f(0x06, 0, 0, 0x7fff_0000),
        f(0x06, 0, 0, 0x8000_0000),
    ];
    let insns = decode(&translate(&filter, Flavor::Seccomp).unwrap()).unwrap();
    let packet = |nr| Packet {
        data: Vec::new(),
        skb: core::array::from_fn(|i| if i == 0 { nr } else { 0 }),
    };
    assert_eq!(run(&insns, &packet(1)), 0x7fff_0000);
    assert_eq!(run(&insns, &packet(2)), 0x8000_0000);
    let length = [f(0x80, 0, 0, 0), f(0x16, 0, 0, 0)];
    assert_eq!(
        run(&decode(&translate(&length, Flavor::Seccomp).unwrap()).unwrap(), &packet(2)),
        64
    );
}

#[test]
fn the_longest_filters_translate() {
    // The form with the most slots, with jumps from the first instruction as far as they reach.
    let mut filter = vec![f(0xb1, 0, 0, 0); MAX_INSNS];
    filter[0] = f(0x15, 255, 254, 0);
    filter[1] = f(0x05, 0, 0, (MAX_INSNS - 3) as u32);
    filter[MAX_INSNS - 1] = f(0x06, 0, 0, 1);
    let raw = translate(&filter, Flavor::Socket).unwrap();
    assert!(raw.len() > 20_000);
    decode(&raw).unwrap();
}

#[test]
fn parse_errors_name_the_place() {
    let cases = [
        ("", "line 1: no text; expected the count of instructions"),
        ("x", "line 1: expected the count of instructions, 1 to 4096, found `x`"),
        ("5000\n", "line 1: expected the count of instructions, 1 to 4096, found `5000`"),
        ("2\n6 0 0 0\n", "line 2: the count says 2 instructions, but there are 1"),
        (
            "1\n6 0 0 0\n6 0 0 0\n",
            "line 3, instruction 1: the count says 1 instructions, but there are 2",
        ),
        (
            "1\n6 0 0\n",
            "line 2, instruction 0: expected four numbers `code jt jf k`, found `6 0 0`",
        ),
        (
            "1\n6 256 0 0\n",
            "line 2, instruction 0: expected `jt` as a number from 0 to 255, found `256`",
        ),
        (
            "1,6 0 0 4294967296",
            "line 1, instruction 0: expected `k` as a number from 0 to 4294967295, found `4294967296`",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }
}
