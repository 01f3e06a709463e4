//! Programs that are hard for a pass that visits slots in the wrong order: judged in time that is linear in their length.

use crate::testenv::{TestEnv, Type};
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
