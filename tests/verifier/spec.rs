//! Random programs of an unprivileged loader: Skep and the live kernel must agree on each, in the verdict, the message
//! and what is put into the program against speculation.
//!
//! Runs only while `kernel.unprivileged_bpf_disabled` is 0: a setting of the whole machine, so the test leaves it alone.

use crate::cases::unprivileged_may_load;
use crate::logs::{Pair, difference};
use crate::testenv::{TestEnv, Type, maps};
use skep_abi::insn::{
    AluOp, CallTarget, Imm64, Insn, JmpOp, RawInsn, Reg, Size, Src, Width, encode,
};
use skep_abi::uapi::BPF_FUNC_map_lookup_elem;
use skep_host::kernel::{KernelMap, KernelProg, LoadAttr, tainted, unprivileged};
use skep_maps::MapSpec;
use skep_tests::random::Rng;
use skep_verifier::env::Privilege;
use skep_verifier::{LoadRequest, Log, LogLevel, VerifiedProg, VerifyError, verify};

/// How many, unless `SKEP_PROGRAMS` says otherwise.
const PROGRAMS: u64 = 3000;
/// Index of the array in [`maps`].
const ARRAY: i32 = 1;
/// Opcode of a barrier in the kernel's own program (`BPF_ST | BPF_NOSPEC`).
const NOSPEC: u8 = 0xc2;

fn alu(op: AluOp, dst: Reg, src: Src) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

fn mov(dst: Reg, src: Src) -> Insn {
    alu(AluOp::Mov, dst, src)
}

fn load(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    Insn::Load { size, signed: false, dst, src, off }
}

fn store(size: Size, dst: Reg, off: i16, src: Src) -> Insn {
    Insn::Store { size, dst, off, src }
}

const POINTERS: [Reg; 3] = [Reg::R5, Reg::R7, Reg::R0];
const NUMBERS: [Reg; 4] = [Reg::R2, Reg::R3, Reg::R4, Reg::R8];

/// A value's address in R9, the context in R6, numbers in R2 to R4 and R8.
fn prologue() -> Vec<Insn> {
    let lookup = i32::try_from(BPF_FUNC_map_lookup_elem).expect("a small number");
    vec![
        mov(Reg::R6, Src::Reg(Reg::R1)),
        load(Size::W, Reg::R8, Reg::R1, 8),
        store(Size::DW, Reg::R10, -8, Src::Imm(0)),
        mov(Reg::R2, Src::Reg(Reg::R10)),
        alu(AluOp::Add, Reg::R2, Src::Imm(-4)),
        Insn::LdImm64 { dst: Reg::R1, imm: Imm64::MapIdx(ARRAY, 0) },
        Insn::Imm64Hi,
        Insn::Call(CallTarget::Helper(lookup)),
        Insn::JumpIf { width: Width::W64, op: JmpOp::Ne, dst: Reg::R0, src: Src::Imm(0), off: 2 },
        mov(Reg::R0, Src::Imm(0)),
        Insn::Exit,
        mov(Reg::R9, Src::Reg(Reg::R0)),
        mov(Reg::R7, Src::Reg(Reg::R0)),
        mov(Reg::R5, Src::Reg(Reg::R0)),
        load(Size::W, Reg::R2, Reg::R6, 0),
        load(Size::B, Reg::R3, Reg::R9, 0),
        mov(Reg::R4, Src::Imm(8)),
    ]
}

fn generate(rng: &mut Rng) -> Vec<Insn> {
    let mut insns = prologue();
    let first = insns.len();
    for _ in 0..4 + rng.below(14) {
        step(rng, &mut insns);
    }
    let end = insns.len();
    let result = if rng.chance(95) { Src::Imm(0) } else { Src::Reg(rng.pick(&NUMBERS)) };
    insns.push(mov(Reg::R0, result));
    insns.push(Insn::Exit);
    for (slot, insn) in insns.iter_mut().enumerate().take(end).skip(first) {
        if let Insn::JumpIf { off, .. } = insn {
            *off = (*off).min((end - slot - 1) as i16);
        }
    }
    insns
}

fn step(rng: &mut Rng, out: &mut Vec<Insn>) {
    let number = rng.pick(&NUMBERS);
    let other = rng.pick(&NUMBERS);
    let pointer = rng.pick(&POINTERS);
    let width = rng.pick(&[Width::W64, Width::W64, Width::W32]);
    let slot = -8 * (1 + rng.below(3) as i16);
    match rng.below(20) {
        0..=2 => out.push(alu(AluOp::And, number, Src::Imm(rng.pick(&[1, 7, 15, 31, 40])))),
        3 => out.push(alu(AluOp::Add, number, Src::Imm(rng.pick(&[1, 8, -8, 16, -1])))),
        4 => {
            let op = rng.pick(&[AluOp::Add, AluOp::Sub, AluOp::Mov, AluOp::Xor, AluOp::Arsh]);
            let src = if op == AluOp::Arsh { Src::Imm(31) } else { Src::Reg(other) };
            out.push(Insn::Alu { width, op, dst: number, src });
        }
        5 => out.push(mov(number, Src::Imm(rng.pick(&[0, 1, 8, 16, -8])))),
        6..=8 => {
            let op = rng.pick(JmpOp::ALL);
            let src = if rng.chance(80) {
                Src::Imm(rng.pick(&[0, 1, 7, 8, 16, -1]))
            } else {
                Src::Reg(other)
            };
            let off = 1 + rng.below(4) as i16;
            out.push(Insn::JumpIf { width, op, dst: number, src, off });
        }
        9 => out.push(mov(pointer, Src::Reg(rng.pick(&[Reg::R9, Reg::R9, Reg::R10, Reg::R7])))),
        10..=12 => {
            if rng.chance(70) {
                out.push(alu(AluOp::And, number, Src::Imm(rng.pick(&[7, 15, 31]))));
            }
            if rng.chance(70) {
                out.push(mov(pointer, Src::Reg(Reg::R9)));
            }
            let op = if rng.chance(85) { AluOp::Add } else { AluOp::Sub };
            out.push(alu(op, pointer, Src::Reg(number)));
        }
        13 => out.push(alu(AluOp::Add, pointer, Src::Imm(rng.pick(&[8, -8, 16, 4, -16])))),
        14 if rng.chance(50) => {
            // R1 is compared with nothing: the kernel would judge by its address what is asked of half of it.
            out.push(mov(Reg::R1, Src::Reg(number)));
            if rng.chance(60) {
                out.push(alu(AluOp::And, Reg::R1, Src::Imm(15)));
            }
            out.push(alu(AluOp::Add, Reg::R1, Src::Reg(pointer)));
            if rng.chance(60) {
                out.push(load(Size::B, number, Reg::R1, 0));
            }
        }
        14 => out.push(load(Size::B, number, Reg::R9, 3)),
        15..=16 => {
            let (size, off) = rng.pick(&[(Size::B, 0), (Size::W, 4), (Size::DW, 8), (Size::B, -1)]);
            let dst = if rng.chance(90) { number } else { pointer };
            let from = if rng.chance(50) { pointer } else { Reg::R9 };
            out.push(load(size, dst, from, off));
        }
        17 => {
            let size = rng.pick(&[Size::DW, Size::DW, Size::W]);
            let src = rng.pick(&[
                Src::Imm(0),
                Src::Reg(number),
                Src::Reg(pointer),
                Src::Reg(Reg::R10),
                Src::Reg(Reg::R9),
            ]);
            out.push(store(size, Reg::R10, slot, src));
        }
        18 => {
            let dst = if rng.chance(50) { Reg::R1 } else { pointer };
            out.push(load(rng.pick(&[Size::DW, Size::DW, Size::W]), dst, Reg::R10, slot));
        }
        _ => {
            let (op, off) = (rng.pick(&[JmpOp::Eq, JmpOp::Ne]), 1 + rng.below(4) as i16);
            out.push(Insn::JumpIf { width: Width::W64, op, dst: pointer, src: Src::Imm(0), off });
        }
    }
}

/// What is in the program against speculation: barriers, and instructions with the hidden register.
fn protection(insns: &[RawInsn]) -> Vec<RawInsn> {
    let ax = Reg::AX.num();
    let mut found = Vec::new();
    for (slot, insn) in insns.iter().enumerate() {
        // One behind an instruction and one before the next are the same to us.
        let repeats = insn.code == NOSPEC && slot > 0 && insns[slot - 1].code == NOSPEC;
        if (insn.code == NOSPEC && !repeats) || insn.dst == ax || insn.src == ax {
            found.push(*insn);
        }
    }
    found
}

/// Whether the kernel left jumps to themselves where only speculation leads. We leave nothing there, so that barriers
/// come to stand next to each other.
fn has_dead_code(insns: &[RawInsn]) -> bool {
    insns.iter().any(|i| (i.code, i.off) == (0x05, -1))
}

fn with_barriers(prog: &VerifiedProg) -> Vec<RawInsn> {
    let mut out = Vec::new();
    for (slot, raw) in (0u32..).zip(encode(prog.insns())) {
        if prog.barriers().binary_search(&slot).is_ok() {
            out.push(RawInsn { code: NOSPEC, ..RawInsn::default() });
        }
        out.push(raw);
    }
    out
}

#[test]
fn unprivileged_programs_are_judged_as_by_the_kernel() {
    if !skep_tests::has_live_kernel() || !unprivileged_may_load() {
        return;
    }
    let programs = std::env::var("SKEP_PROGRAMS").ok().and_then(|n| n.parse().ok());
    let programs = programs.unwrap_or(PROGRAMS);
    let seed = std::env::var("SKEP_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x5bec);
    let mut rng = Rng::new(seed);
    let kernel_maps: Vec<KernelMap> = maps()
        .iter()
        .take(2)
        .map(|m| {
            let (map_type, key_size) = (m.map_type, m.key_size);
            let (value_size, max_entries) = (m.value_size, m.max_entries);
            let spec =
                MapSpec { map_type, key_size, value_size, max_entries, ..MapSpec::default() };
            KernelMap::create(&spec).expect("a map of the live kernel")
        })
        .collect();
    let fds: Vec<_> = kernel_maps.iter().map(KernelMap::fd).collect();
    let before = tainted().expect("the taint flags");
    let (mut accepted, mut protected) = (0u64, 0u64);
    let (mut differ, mut logs_differ) = (Vec::new(), 0u64);
    for number in 0..programs {
        let raw = encode(&generate(&mut rng));
        let attr = LoadAttr {
            prog_type: 1,
            insns: &raw,
            fd_array: &fds,
            log_level: 2,
            log_size_bytes: 1 << 20,
            ..LoadAttr::default()
        };
        let theirs = unprivileged(|| KernelProg::load(&attr)).expect("to drop capabilities");
        assert_eq!(tainted().expect("the taint flags"), before, "program {number}");
        let env = TestEnv::new(Type::Socket, Privilege::Unprivileged);
        let req =
            LoadRequest { insns: raw.clone(), license: "GPL".into(), ..LoadRequest::default() };
        let mut log = Log::new(LogLevel::Full);
        let ours = verify(&req, &env, &mut log);
        let wrong = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                accepted += 1;
                let theirs = theirs.xlated().expect("the kernel's program");
                let (has_dead, theirs) = (has_dead_code(&theirs), protection(&theirs));
                let ours = protection(&with_barriers(ours));
                protected += u64::from(!has_dead && ours.len() > 1);
                (!has_dead && theirs != ours)
                    .then(|| format!("protected by {ours:x?}, not {theirs:x?}"))
            }
            (Err(VerifyError::Rejected(ours)), Err(theirs)) => {
                let message = ours.kind.to_string();
                (!theirs.log.contains(&message)).then(|| format!("we say {message}"))
            }
            (Err(ours), _) => Some(format!("rejected: {ours}")),
            (Ok(_), Err(_)) => Some("accepted".into()),
        };
        let kernels = match &theirs {
            Ok(p) => p.log.clone(),
            Err(e) => e.log.clone(),
        };
        let pair = Pair { name: format!("program {number}"), ours: log.text().to_owned(), kernels };
        if let Some(what) = difference(&pair) {
            logs_differ += 1;
            if logs_differ <= 10 {
                println!("{}: {what}", pair.name);
            }
        }
        if let Some(wrong) = wrong {
            let theirs = match &theirs {
                Ok(p) => &p.log,
                Err(e) => &e.log,
            };
            if theirs.contains("REG INVARIANTS VIOLATION") {
                // The kernel has noticed that it contradicts itself, and has forgotten what it knew.
                continue;
            }
            differ.push(format!("program {number}: {wrong}\n{theirs}\n--- ours\n{}", log.text()));
        }
    }
    println!(
        "{programs} programs, {accepted} accepted, {protected} protected, {logs_differ} logs and {} verdicts differ",
        differ.len()
    );
    for text in differ.iter().take(3) {
        println!("{text}\n=====");
    }
    assert!(protected * 20 > programs, "only {protected} protected");
    assert!(accepted * 5 > programs, "only {accepted} accepted");
    assert!(differ.is_empty(), "{} differ", differ.len());
}
