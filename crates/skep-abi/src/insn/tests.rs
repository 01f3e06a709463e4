//! Tests of the instruction table through all its consumers at once.

use proptest::prelude::*;

use super::asm::{AsmErrorKind, assemble, assemble_insns};
use super::disasm::{NoNames, disasm, disasm_program};
use super::*;

/// Field values at which the meaning of an instruction changes, and their neighbours.
const OFFS: [i16; 12] = [0, 1, 2, 7, 8, 16, 32, 64, -1, -8, i16::MAX, i16::MIN];
const IMMS: [i32; 24] = [
    0,
    1,
    2,
    0x10,
    16,
    32,
    64,
    0x40,
    0x41,
    0x50,
    0x51,
    0xa0,
    0xa1,
    0xe1,
    0xf1,
    0x100,
    0x110,
    0x10000,
    0x10001,
    -1,
    -3,
    8,
    i32::MAX,
    i32::MIN,
];

/// Calls `check` with every slot of the exhaustive grid.
fn every_slot(mut check: impl FnMut(RawInsn)) {
    for code in 0..=255 {
        for dst in [0, 1, 10, 11, 15] {
            for src in 0..16 {
                for off in OFFS {
                    for imm in IMMS {
                        check(RawInsn { code, dst, src, off, imm });
                    }
                }
            }
        }
    }
}

/// The slot as a program: a 64-bit immediate load gets a second half.
fn program(raw: RawInsn) -> Vec<RawInsn> {
    match raw.code {
        0x18 => vec![
            raw,
            RawInsn {
                imm: i32::from(raw.off == 0) * (i32::from(raw.src == 0) * 0x1234),
                ..RawInsn::default()
            },
        ],
        _ => vec![raw],
    }
}

#[test]
fn decode_encode_and_text_are_inverse_on_every_opcode() {
    let mut valid_opcodes = std::collections::BTreeSet::new();
    every_slot(|raw| {
        let raws = program(raw);
        let Ok(insns) = decode(&raws) else { return };
        valid_opcodes.insert(raw.code);
        assert_eq!(encode(&insns), canonical(&raws), "{insns:?}");
        assert_eq!(insns.len(), raws.len());
        let form = Form::of(&insns[0]);
        assert!(form.opcodes().contains(&raw.code), "{form:?} must own {:02x}", raw.code);
    });
    let listed: std::collections::BTreeSet<u8> =
        Form::ALL.iter().flat_map(|f| f.opcodes().iter().copied()).collect();
    assert_eq!(valid_opcodes, listed);
}

#[test]
fn text_is_read_back_to_the_same_slots() {
    let mut seen = 0u32;
    every_slot(|raw| {
        // The grid is large and text is slow: every register, but few of the other values together.
        if !matches!(raw.off, 0 | 1 | 8 | 32 | -8 | i16::MIN)
            || !matches!(raw.dst, 0 | 1 | 10)
            || raw.src > 10
        {
            return;
        }
        let raws = program(raw);
        let Ok(insns) = decode(&raws) else { return };
        seen += 1;
        let text = disasm(0, &insns[0], &NoNames).to_string();
        assert_eq!(assemble(&text), Ok(canonical(&raws)), "{text}");
    });
    assert!(seen > 10_000, "{seen}");
}

/// The one field that decoding ignores, as the kernel does, is 0 afterwards: `off` of an exit.
fn canonical(raws: &[RawInsn]) -> Vec<RawInsn> {
    raws.iter()
        .map(|raw| RawInsn { off: if raw.code == 0x95 { 0 } else { raw.off }, ..*raw })
        .collect()
}

fn any_raw() -> impl Strategy<Value = RawInsn> {
    let codes: Vec<u8> = Form::ALL.iter().flat_map(|f| f.opcodes().iter().copied()).collect();
    let code = prop_oneof![9 => prop::sample::select(codes), 1 => any::<u8>()];
    let off = prop_oneof![Just(0), prop::sample::select(OFFS.to_vec()), any::<i16>()];
    let imm = prop_oneof![Just(0), prop::sample::select(IMMS.to_vec()), any::<i32>()];
    (code, 0u8..12, 0u8..12, off, imm).prop_map(|(code, dst, src, off, imm)| RawInsn {
        code,
        dst,
        src,
        off,
        imm,
    })
}

proptest! {
    #[test]
    fn programs_survive_decode_encode_and_text(raws in prop::collection::vec(any_raw(), 0..12)) {
        // Keep what decodes, one slot at a time, so that whole programs are tested too.
        let mut valid = Vec::new();
        for raw in raws {
            let candidate = if raw.code == 0x18 { vec![raw, RawInsn { imm: raw.imm, ..RawInsn::default() }] } else { vec![raw] };
            if decode(&candidate).is_ok() {
                valid.extend(candidate);
            }
        }
        let insns = decode(&valid).unwrap();
        let valid = canonical(&valid);
        prop_assert_eq!(&encode(&insns), &valid);
        let text = disasm_program(&insns, &NoNames);
        prop_assert_eq!(assemble(&text), Ok(valid), "{}", text);
    }

    #[test]
    fn any_slots_decode_or_fail_with_a_place(raws in prop::collection::vec(any_raw(), 0..12)) {
        match decode(&raws) {
            Ok(insns) => prop_assert_eq!(encode(&insns), canonical(&raws)),
            Err(error) => {
                prop_assert!(error.slot < raws.len());
                prop_assert!(!error.kind.kernel_message().is_empty());
            }
        }
    }

    #[test]
    fn any_text_assembles_or_fails_with_a_place(text in "([a-z0-9%+\\-\\[\\](),*:# =<>]{0,24}\n){0,4}") {
        if let Err(error) = assemble(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count());
            prop_assert!(error.column >= 1);
        }
    }
}

#[test]
fn a_goto_that_is_too_far_becomes_the_long_form() {
    let goto = |width, off| encode(&[Insn::Goto { width, off }])[0];
    assert_eq!(goto(Width::W64, -32768), RawInsn { code: 0x05, off: -32768, ..RawInsn::default() });
    assert_eq!(goto(Width::W64, 32768), RawInsn { code: 0x06, imm: 32768, ..RawInsn::default() });
    assert_eq!(goto(Width::W32, 1), RawInsn { code: 0x06, imm: 1, ..RawInsn::default() });
}

#[test]
fn le_bytes_round_trip() {
    let raw = RawInsn { code: 0x7b, dst: 10, src: 3, off: -8, imm: 0 };
    assert_eq!(raw.to_le_bytes(), [0x7b, 0x3a, 0xf8, 0xff, 0, 0, 0, 0]);
    assert_eq!(RawInsn::from_le_bytes(raw.to_le_bytes()), raw);
}

#[test]
fn mnemonics_and_kernel_notation_give_the_same_slots() {
    let pairs = [
        ("mov %r0, -1", "(b7) r0 = -1"),
        ("mov32 %r0, 0xffffffff", "(b4) w0 = -1"),
        ("add %r1, %r2", "r1 += r2"),
        ("sdiv32 %r1, -3", "(34) w1 s/= -3"),
        ("smod %r1, %r3", "(9f) r1 s%= r3"),
        ("arsh %r1, 63", "r1 s>>= 63"),
        ("neg32 %r4", "(84) w4 = -w4"),
        ("le16 %r1", "(d4) r1 = le16 r1"),
        ("be64 %r1", "(dc) r1 = be64 r1"),
        ("swap32 %r1", "(d7) r1 = bswap32 r1"),
        ("bswap32 %r1", "(d7) r1 = bswap32 r1"),
        ("movsx832 %r1, %r2", "(bc) w1 = (s8)w2"),
        ("movsx3264 %r1, %r2", "(bf) r1 = (s32)r2"),
        ("addr_space_cast %r1, %r2, 0, 1", "(bf) r1 = addr_space_cast(r2, 0, 1)"),
        ("lddw %r1, 0x1122334455667788", "(18) r1 = 0x1122334455667788"),
        ("ldabsw 12", "(20) r0 = *(u32 *)skb[12]"),
        ("ldindb %r3, -5", "(50) r0 = *(u8 *)skb[r3 + -5]"),
        ("ldxdw %r1, [%r10-8]", "(79) r1 = *(u64 *)(r10 -8)"),
        ("ldxsb %r1, [%r2]", "(91) r1 = *(s8 *)(r2 +0)"),
        ("stxh [%r1+0x10], %r2", "(6b) *(u16 *)(r1 +16) = r2"),
        ("stb [%r1], -300", "(72) *(u8 *)(r1 +0) = -300"),
        ("lock add [%r10-8], %r1", "(db) lock *(u64 *)(r10 -8) += r1"),
        ("lock fetch xor32 [%r10-8], %r1", "(c3) r1 = atomic_fetch_xor((u32 *)(r10 -8), r1)"),
        ("lock xchg [%r10-8], %r1", "(db) r1 = atomic64_xchg((u64 *)(r10 -8), r1)"),
        ("lock cmpxchg32 [%r10-8], %r1", "(c3) r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1)"),
        ("load_acquireb %r1, [%r10-8]", "(d3) r1 = load_acquire((u8 *)(r10 -8))"),
        ("store_releasedw [%r10-8], %r1", "(db) store_release((u64 *)(r10 -8), r1)"),
        ("ja +3", "(05) goto pc+3"),
        ("ja32 -3", "(06) gotol pc-3"),
        ("may_goto +1", "(e5) may_goto pc+1"),
        ("jeq32 %r0, 0, +3", "(16) if w0 == 0x0 goto pc+3"),
        ("jslt %r1, %r2, -1", "(cd) if r1 s< r2 goto pc-1"),
        ("jset %r1, -3, +0", "(45) if r1 & 0xfffffffd goto pc+0"),
        ("call 7", "(85) call bpf_get_prandom_u32#7"),
        ("call local 5", "(85) call pc+5"),
        ("exit", "(95) exit"),
    ];
    for (mnemonic, kernel) in pairs {
        let expected = assemble(kernel).unwrap();
        assert_eq!(assemble(mnemonic).unwrap(), expected, "{mnemonic} / {kernel}");
        let insns = decode(&expected).unwrap();
        if !kernel.contains('#') && kernel.starts_with('(') {
            assert_eq!(disasm(0, &insns[0], &NoNames).to_string(), kernel);
        }
    }
}

#[test]
fn labels_comments_and_slot_numbers() {
    let text = "
        # a comment
        0: (18) r1 = 0x5   ; R1=5
        2: (15) if r1 == 0x5 goto done // another
        call local func
        done: exit
        func:
        r1 = func_is_no_keyword_here";
    let error = assemble(text).unwrap_err();
    assert_eq!((error.line, error.column), (8, 14), "{error}");

    let insns = assemble_insns(
        "lddw %r1, 1\njeq %r1, 1, done\ncall local f\ndone: exit\nf:\nmov %r0, 0\nja exit\nexit",
    )
    .unwrap();
    assert_eq!(
        insns[2],
        Insn::JumpIf { width: Width::W64, op: JmpOp::Eq, dst: Reg::R1, src: Src::Imm(1), off: 1 }
    );
    assert_eq!(insns[3], Insn::Call(CallTarget::Local(1)));
    assert_eq!(insns[6], Insn::Goto { width: Width::W64, off: 0 });
}

#[test]
fn assembler_errors_name_the_place() {
    let cases = [
        ("mov %r0", 1, 8, "line 1, column 8: expected `,`, found the end of the line"),
        ("\nmov %r11, 1", 2, 5, "line 2, column 5: expected a register, r0 to r10, found `%r11,`"),
        ("frobnicate %r0", 1, 1, "line 1, column 1: expected an instruction, found `frobnicate`"),
        (
            "ja nowhere",
            1,
            4,
            "line 1, column 4: label `nowhere` is not defined; add a line `nowhere:`",
        ),
        (
            "a:\na:",
            2,
            1,
            "line 2, column 1: label `a` was defined on line 1; a label must be unique",
        ),
        ("exit exit", 1, 6, "line 1, column 6: expected the end of the line, found `exit`"),
        (
            "3: exit",
            1,
            1,
            "line 1, column 1: this instruction is at slot 0; write that or no number",
        ),
        ("(95) r0 = 1", 1, 6, "line 1, column 6: expected `exit`, found `r0`"),
        (
            "(8d) exit",
            1,
            6,
            "line 1, column 6: expected an instruction with an opcode that exists, found `exit`",
        ),
        (
            "r0 = *(u32 *)(r1 8)",
            1,
            18,
            "line 1, column 18: expected `+` or `-` and an offset in bytes, found `8)`",
        ),
    ];
    for (text, line, column, message) in cases {
        let error = assemble(text).unwrap_err();
        assert_eq!(
            (error.line, error.column, error.to_string().as_str()),
            (line, column, message),
            "{text}"
        );
    }
    assert!(assemble("r1 = addr_space_cast(r2, 1, 1)").is_err());
    assert_eq!(assemble("call %r2").unwrap_err().kind, AsmErrorKind::CallRegister);
    let far = format!("ja end\n{}end:\nexit", "mov %r0, 0\n".repeat(40_000));
    assert_eq!(assemble(&far).unwrap_err().kind, AsmErrorKind::TooFar(40_000));
    assert!(assemble(&far.replacen("ja", "ja32", 1)).is_ok());
}

#[test]
fn decode_errors_say_what_would_be_right_and_what_the_kernel_prints() {
    let insn = |code, dst, src, off, imm| RawInsn { code, dst, src, off, imm };
    // The messages of the kernel are those that Linux 6.18 gave for the same slots.
    let cases = [
        (insn(0x8d, 0, 0, 0, 0), "unknown opcode 8d"),
        (insn(0x01, 0, 0, 0, 0), "BPF_LDX uses reserved fields"),
        (insn(0x61, 0, 1, 0, 1), "BPF_LDX uses reserved fields"),
        (insn(0x99, 0, 1, 0, 0), "unknown opcode 99"),
        (insn(0x07, 0, 0, 1, 0), "BPF_ALU uses reserved fields"),
        (insn(0x37, 0, 0, 2, 1), "BPF_ALU uses reserved fields"),
        (insn(0xb7, 0, 0, 1, 0), "BPF_MOV uses reserved fields"),
        (insn(0xbc, 0, 1, 32, 0), "BPF_MOV uses reserved fields"),
        (
            insn(0xbf, 0, 1, 1, 3),
            "addr_space_cast insn can only convert between address space 1 and 0",
        ),
        (insn(0x84, 0, 0, 0, 1), "BPF_NEG uses reserved fields"),
        (insn(0xdc, 0, 0, 0, 8), "BPF_END uses reserved fields"),
        (insn(0x20, 1, 0, 0, 8), "BPF_LD_[ABS|IND] uses reserved fields"),
        (insn(0x7b, 10, 1, -8, 1), "BPF_STX uses reserved fields"),
        (insn(0x7a, 10, 1, -8, 1), "BPF_ST uses reserved fields"),
        (insn(0xdb, 10, 1, -8, 2), "BPF_ATOMIC uses invalid atomic opcode 02"),
        (insn(0xcb, 10, 1, -8, 0), "invalid atomic operand size"),
        (insn(0x05, 0, 0, 0, 1), "BPF_JA uses reserved fields"),
        (insn(0x06, 0, 0, 1, 0), "BPF_JA uses reserved fields"),
        (insn(0xe5, 0, 0, 0, 1), "invalid may_goto imm 1"),
        (insn(0x1d, 1, 1, 0, 5), "BPF_JMP/JMP32 uses reserved fields"),
        (insn(0x1d, 11, 12, 0, 0), "R11 is invalid"),
        (insn(0x2c, 11, 12, 0, 0), "R12 is invalid"),
        (insn(0x85, 0, 3, 0, 1), "BPF_CALL uses reserved fields"),
        (insn(0x95, 0, 0, 0, 1), "BPF_EXIT uses reserved fields"),
        (insn(0x18, 1, 0, 0, 1), "invalid bpf_ld_imm64 insn"),
    ];
    for (raw, message) in cases {
        let error = decode(&[RawInsn { code: 0xb7, ..RawInsn::default() }, raw]).unwrap_err();
        assert_eq!(
            (error.slot, error.kind.kernel_message().as_str()),
            (1, message),
            "{raw:?}: {error}"
        );
        assert!(error.to_string().starts_with("instruction 1: "), "{error}");
    }
    let hi = |imm| insn(0, 0, 0, 0, imm);
    for (src, imm) in [(1, 1), (5, 1), (7, 0), (15, 0)] {
        let error = decode(&[insn(0x18, 1, src, 0, 0), hi(imm)]).unwrap_err();
        assert_eq!(error.kind.kernel_message(), "unrecognized bpf_ld_imm64 insn");
    }
    let error = decode(&[insn(0x18, 1, 0, 3, 0), hi(0)]).unwrap_err();
    assert_eq!(error.kind.kernel_message(), "BPF_LD_IMM64 uses reserved fields");
    // The scan of all opcodes comes before the look at reserved fields.
    let error = decode(&[insn(0x07, 0, 0, 1, 0), insn(0x8d, 0, 0, 0, 0)]).unwrap_err();
    assert_eq!(error, DecodeError { slot: 1, kind: DecodeErrorKind::UnknownOpcode(0x8d) });
}

#[test]
fn names_reach_the_text() {
    struct Named;
    impl super::disasm::Names for Named {
        fn helper(&self, id: i32) -> Option<&str> {
            (id == 1).then_some("bpf_map_lookup_elem")
        }
        fn call(&self, slot: usize, target: CallTarget) -> Option<String> {
            matches!(target, CallTarget::Kfunc { .. }).then(|| format!("bpf_kfunc#{slot}"))
        }
        fn imm64(&self, _slot: usize, imm: Imm64) -> Option<String> {
            matches!(imm, Imm64::MapFd(..)).then(|| "map[id:5]".to_owned())
        }
    }
    let text = |insn| disasm(9, &insn, &Named).to_string();
    assert_eq!(text(Insn::Call(CallTarget::Helper(1))), "(85) call bpf_map_lookup_elem#1");
    assert_eq!(text(Insn::Call(CallTarget::Helper(1000))), "(85) call unknown#1000");
    assert_eq!(
        text(Insn::Call(CallTarget::Kfunc { btf_id: 3, btf_fd_idx: 0 })),
        "(85) call bpf_kfunc#9"
    );
    assert_eq!(
        text(Insn::LdImm64 { dst: Reg::R1, imm: Imm64::MapFd(7, 0) }),
        "(18) r1 = map[id:5]"
    );
    assert_eq!(
        text(Insn::LdImm64 { dst: Reg::R1, imm: Imm64::MapValue(7, 8) }),
        "(18) r1 = map[fd:7][0]+8"
    );
}
