//! Random programs that copy, spill, link and compare numbers: Skep's whole log must be the live kernel's.
//!
//! Where `bounds` compares single operations, this compares what becomes of numbers on their way: copies that learn from
//! each other, parts of spilled numbers, both edges of each jump, and what precision marks on the way back.

use crate::logs::{Pair, difference};
use crate::testenv::{TestEnv, Type};
use skep_abi::insn::{AluOp, CallTarget, Insn, JmpOp, Reg, Size, Src, Width, encode};
use skep_abi::uapi::BPF_FUNC_get_prandom_u32;
use skep_host::kernel::{KernelProg, LoadAttr, tainted};
use skep_tests::random::Rng;
use skep_verifier::env::Privilege;
use skep_verifier::{LoadRequest, Log, LogLevel, VerifyError, verify};

/// How many, unless `SKEP_PROGRAMS` says otherwise.
const PROGRAMS: u64 = 400;
const REGS: [Reg; 6] = [Reg::R6, Reg::R7, Reg::R8, Reg::R9, Reg::R2, Reg::R3];

fn generate(rng: &mut Rng) -> Vec<Insn> {
    let random = CallTarget::Helper(i32::try_from(BPF_FUNC_get_prandom_u32).expect("small"));
    let mut insns = Vec::new();
    for reg in [Reg::R6, Reg::R7, Reg::R8, Reg::R9] {
        insns.push(Insn::Call(random));
        insns.push(mov(reg, Src::Reg(Reg::R0)));
    }
    insns.push(mov(Reg::R2, Src::Reg(Reg::R6)));
    insns.push(mov(Reg::R3, Src::Imm(rng.imm())));
    for slot in 1..=3 {
        let src = if rng.chance(50) { Src::Imm(0) } else { Src::Reg(rng.pick(&REGS)) };
        insns.push(Insn::Store { size: Size::DW, dst: Reg::R10, off: -8 * slot, src });
    }
    let first = insns.len();
    for _ in 0..6 + rng.below(12) {
        step(rng, &mut insns);
    }
    let end = insns.len();
    for (slot, insn) in insns.iter_mut().enumerate().skip(first) {
        if let Insn::JumpIf { off, .. } = insn {
            *off = (*off).min((end - slot - 1) as i16);
        }
    }
    if rng.chance(60) {
        // What it depends on is looked for on the way back.
        let reg = rng.pick(&REGS);
        insns.push(alu(Width::W64, AluOp::And, reg, Src::Imm(rng.pick(&[7, 15]))));
        insns.push(mov(Reg::R1, Src::Reg(Reg::R10)));
        insns.push(alu(Width::W64, AluOp::Add, Reg::R1, Src::Reg(reg)));
        insns.push(Insn::Load {
            size: Size::B,
            signed: false,
            dst: Reg::R0,
            src: Reg::R1,
            off: -24,
        });
    }
    insns.push(mov(Reg::R0, Src::Imm(0)));
    insns.push(Insn::Exit);
    insns
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Src) -> Insn {
    Insn::Alu { width, op, dst, src }
}

fn mov(dst: Reg, src: Src) -> Insn {
    alu(Width::W64, AluOp::Mov, dst, src)
}

fn step(rng: &mut Rng, out: &mut Vec<Insn>) {
    let (dst, other) = (rng.pick(&REGS), rng.pick(&REGS));
    let width = rng.pick(&[Width::W64, Width::W64, Width::W32]);
    let size = rng.pick(&[Size::DW, Size::DW, Size::W, Size::H, Size::B]);
    let part = size.bytes() as i16;
    let off = -8 * (1 + rng.below(3) as i16) + part * rng.below(8 / part as usize) as i16;
    match rng.below(18) {
        0..=2 => out.push(alu(width, AluOp::Mov, dst, Src::Reg(other))),
        3 => {
            let from = rng.pick(&[Size::B, Size::H, Size::W]);
            let width = if from == Size::W { Width::W64 } else { width };
            out.push(Insn::MovSx { width, from, dst, src: other });
        }
        4..=5 => out.push(alu(width, AluOp::Add, dst, Src::Imm(rng.pick(&[1, 8, 100, -1, -8])))),
        6 => out.push(alu(width, AluOp::And, dst, Src::Imm(rng.pick(&[1, 7, 0xff, 0xffff, -8])))),
        7 => {
            let op = rng.pick(&[AluOp::Arsh, AluOp::Rsh, AluOp::Lsh]);
            let count = rng.pick(&[1, 8, 16, 31, 31]);
            out.push(alu(width, op, dst, Src::Imm(count)));
        }
        8 => {
            let op = rng.pick(&[AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Or, AluOp::Xor]);
            out.push(alu(width, op, dst, Src::Reg(other)));
        }
        9..=10 => {
            let src = if rng.chance(80) { Src::Reg(dst) } else { Src::Imm(rng.imm()) };
            out.push(Insn::Store { size, dst: Reg::R10, off, src });
        }
        11..=12 => {
            let signed = size != Size::DW && rng.chance(25);
            out.push(Insn::Load { size, signed, dst, src: Reg::R10, off });
        }
        _ => {
            let op = rng.pick(JmpOp::ALL);
            let src = if rng.chance(70) { Src::Imm(rng.imm()) } else { Src::Reg(other) };
            out.push(Insn::JumpIf { width, op, dst, src, off: 1 + rng.below(4) as i16 });
        }
    }
}

/// Whether the first difference is where a path ends, since one of the two found it covered.
fn is_about_pruning(difference: &str) -> bool {
    let lines = difference.lines().skip(1).filter_map(|l| l.split_once(':'));
    let mut texts = lines.map(|(_, text)| text.trim());
    texts.any(|l| l.is_empty() || l.contains(": safe") || l.contains("propagating"))
}

#[test]
fn numbers_are_followed_as_by_the_kernel() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let given = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let programs = given("SKEP_PROGRAMS").unwrap_or(PROGRAMS);
    let mut rng = Rng::new(given("SKEP_SEED").unwrap_or(0x7a1));
    let before = tainted().expect("the taint flags");
    let (mut accepted, mut contradicted, mut pruned) = (0u64, 0u64, 0u64);
    let mut differ = Vec::new();
    for number in 0..programs {
        let raw = encode(&generate(&mut rng));
        let attr = LoadAttr {
            prog_type: 1,
            insns: &raw,
            log_level: 2,
            log_size_bytes: 8 << 20,
            ..LoadAttr::default()
        };
        let theirs = KernelProg::load(&attr);
        assert_eq!(tainted().expect("the taint flags"), before, "program {number}");
        let env = TestEnv::new(Type::Socket, Privilege::Privileged);
        let req = LoadRequest { insns: raw, license: "GPL".into(), ..LoadRequest::default() };
        let mut log = Log::new(LogLevel::Full);
        let ours = verify(&req, &env, &mut log);
        accepted += u64::from(ours.is_ok());
        if let Err(VerifyError::Internal(bug)) = &ours {
            panic!("program {number}: {bug}");
        }
        let kernels = match theirs {
            Ok(p) => p.log.clone(),
            Err(e) => e.log,
        };
        if kernels.contains("REG INVARIANTS VIOLATION") {
            // The kernel has noticed that it contradicts itself, and has forgotten what it knew.
            contradicted += 1;
            continue;
        }
        let pair = Pair { name: format!("program {number}"), ours: log.text().to_owned(), kernels };
        let Some(what) = difference(&pair) else { continue };
        if is_about_pruning(&what) {
            pruned += 1;
        } else {
            differ
                .push(format!("{}: {what}\n{}\n--- ours\n{}", pair.name, pair.kernels, pair.ours));
        }
    }
    println!(
        "{programs} programs, {accepted} accepted, {contradicted} left out, {pruned} pruned elsewhere, {} differ",
        differ.len()
    );
    for text in differ.iter().take(3) {
        println!("{text}\n=====");
    }
    assert!(accepted * 2 > programs, "only {accepted} accepted");
    assert!(pruned * 20 < programs, "{pruned} are pruned elsewhere");
    assert!(contradicted * 5 < programs, "{contradicted} left out");
    // Now and then an id has another number, or a path that ends shows less.
    assert!(differ.len() as u64 * 50 < programs, "{} differ", differ.len());
}
