//! Programs that are hard to judge: for a pass that visits slots in the wrong order, for the walk over all paths, for
//! memory. Each ends with a verdict and a clear message, in bounded time and memory.

use crate::testenv::{TestEnv, Type};
use skep_abi::insn::asm::assemble;
use skep_abi::insn::{AluOp, Insn, JmpOp, Reg, Src, Width, encode};
use skep_verifier::env::Privilege;
use skep_verifier::{LoadRequest, Log, LogLevel, verify};
use std::time::{Duration, Instant};

/// Pairs of slots that are run from the last to the first.
const BLOCKS: i32 = 60_000;

/// What R6 holds at the end is needed by each block before, and each block runs after the one behind it.
#[test]
fn a_long_chain_of_backward_jumps() {
    let goto = |off| Insn::Goto { width: Width::W32, off };
    let set = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R6, src: Src::Imm(0) };
    let mut insns = vec![set, goto(2 * BLOCKS)];
    // Where the chain ends.
    insns.push(Insn::Alu {
        width: Width::W64,
        op: AluOp::Mov,
        dst: Reg::R0,
        src: Src::Reg(Reg::R6),
    });
    insns.push(Insn::Exit);
    for _ in 0..BLOCKS {
        let (op, dst, src) = (JmpOp::Eq, Reg::R6, Src::Imm(1));
        insns.push(Insn::JumpIf { width: Width::W64, op, dst, src, off: 0 });
        insns.push(goto(-4));
    }
    let env = TestEnv::new(Type::Tc, Privilege::Privileged);
    let req = LoadRequest {
        name: "chain".into(),
        insns: encode(&insns),
        license: "GPL".into(),
        ..LoadRequest::default()
    };
    let start = Instant::now();
    let verdict = verify(&req, &env, &mut Log::new(LogLevel::Off));
    let took = start.elapsed();
    assert!(verdict.is_ok(), "{:?}", verdict.err());
    assert!(took < Duration::from_secs(30), "took {took:?}");
}

/// The most memory that this process ever had, in MiB. Each test has a process of its own.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("peak memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib / 1024
}

/// Judges a program, within bounds; the message, or how many instructions were processed.
#[expect(clippy::print_stderr, reason = "the figures are published")]
fn judge(name: &str, text: &str) -> Result<u64, String> {
    let req = LoadRequest {
        name: name.into(),
        insns: assemble(text).expect("assembles"),
        license: "GPL".into(),
        ..LoadRequest::default()
    };
    let env = TestEnv::new(Type::Tc, Privilege::Privileged);
    let (before, start) = (peak_mib(), Instant::now());
    let verdict = verify(&req, &env, &mut Log::new(LogLevel::Off));
    let (took, peak) = (start.elapsed(), peak_mib());
    let stats = verdict.as_ref().map(|p| p.stats()).ok();
    eprintln!("{name}: {took:?}, {} MiB, {stats:?}", peak - before);
    assert!(took < Duration::from_secs(60), "{name} took {took:?}");
    assert!(peak - before < MAX_MIB, "{name} took {} MiB", peak - before);
    verdict.map(|p| p.stats().insns_processed).map_err(|e| e.to_string())
}

/// Memory that a verification may take, in MiB.
const MAX_MIB: u64 = 512;

fn too_large(verdict: Result<u64, String>) {
    let message = verdict.expect_err("too much for the limits");
    let limits = [
        "The sequence of 8192 jumps is too complex.",
        "BPF program is too large. Processed 1000001 insn",
    ];
    assert!(limits.iter().any(|l| message.contains(l)), "{message}");
}

/// Every round differs from all others in a number that the loop's end depends on.
#[test]
fn a_loop_of_a_million_steps() {
    too_large(judge("loop", "r6 = 0\nagain:\nr6 += 1\nif r6 < 1000000 goto again\nr0 = 0\nexit"));
}

/// As much as is allowed, on one path.
#[test]
fn a_million_instructions_in_a_row() {
    let text = "r0 = 0\n".repeat(999_999) + "exit";
    assert_eq!(judge("row", &text), Ok(1_000_000));
}

/// Each branch changes a number that a later check depends on, so that no two paths are alike.
#[test]
fn ten_thousand_branches_that_all_matter() {
    let mut text = String::from("call bpf_get_prandom_u32#7\nr7 = r0\nr6 = 0\n");
    for n in 0..10_000 {
        text += &format!("if r7 s> {n} goto l{n}\nr6 += 1\nl{n}:\nr7 *= 3\n");
    }
    text += "r1 = r10\nr6 &= 7\nr1 += r6\n*(u8 *)(r1 -8) = 0\nr0 = 0\nexit";
    too_large(judge("branches", &text));
}

/// Branches whose outcome nothing depends on, as many as may wait at one time: each is looked at once.
#[test]
fn eight_thousand_branches_that_do_not_matter() {
    let mut text = String::from("call bpf_get_prandom_u32#7\nr7 = r0\nr6 = 0\n");
    for n in 0..8_000 {
        text += &format!("if r7 s> {n} goto l{n}\nr6 += 1\nl{n}:\nr7 *= 3\n");
    }
    text += "r0 = 0\nexit";
    let processed = judge("unimportant", &text).expect("is safe");
    assert!(processed < 100_000, "{processed}");
}

/// Functions eight deep, each of which calls the next one twice, with states that differ.
#[test]
fn deep_calls() {
    let mut text = String::from("r1 = 0\ncall pc+2\nr0 = 0\nexit\n");
    for n in 0..7 {
        text += "r6 = r1\n*(u64 *)(r10 -8) = r1\ncall bpf_get_prandom_u32#7\n";
        text += &format!("if r0 > 5 goto l{n}\nr6 += 1\nl{n}:\n");
        if n < 6 {
            // The next function begins behind this one's sixteen instructions.
            text += "r1 = r6\ncall pc+9\nr1 = r6\nr1 += 100\ncall pc+6\n";
        }
        text += "r1 = r10\nr6 &= 7\nr1 += r6\n*(u8 *)(r1 -16) = 0\nr0 = 0\nexit\n";
    }
    match judge("deep", &text) {
        Ok(processed) => assert!(processed <= 1_000_000),
        Err(message) => assert!(message.contains("BPF program is too large."), "{message}"),
    }
}

/// A loop around branches, each round with a frame full of spilled numbers.
#[test]
fn a_loop_with_a_full_stack() {
    let mut text = String::from("r9 = r1\nr6 = 0\nagain:\nr6 += 1\n");
    for n in 1..=60 {
        text += &format!("*(u64 *)(r10 -{}) = r6\n", n * 8);
        if n % 6 == 0 {
            text += &format!("r0 = *(u32 *)(r9 +0)\nif r0 > {n} goto +1\nr7 = r0\n");
        }
    }
    text += "if r6 < 100000 goto again\nr0 = 0\nexit";
    too_large(judge("stack", &text));
}
