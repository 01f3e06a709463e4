//! Registers live before each slot: what pruning need not compare is what no path reads again.

use super::successors;
use crate::env::{ArgType, Env, HelperLookup};
use skep_abi::insn::{AluOp, AtomicOp, CallTarget, Insn, Reg, Src};

/// Bit masks of registers that an instruction reads and writes.
struct UseDef {
    uses: u16,
    defs: u16,
}

fn bit(r: Reg) -> u16 {
    1 << r.num()
}

fn src_bit(s: Src) -> u16 {
    match s {
        Src::Reg(r) => bit(r),
        Src::Imm(_) => 0,
    }
}

/// R0 to R5, which a call destroys.
const CLOBBERED: u16 = 0x3f;
/// R1 to R5.
const ARGS: u16 = 0x3e;

// SOUND: whatever is not surely unread counts as read, so that a register called dead is dead.
fn use_def(insn: &Insn, env: &dyn Env) -> UseDef {
    match *insn {
        Insn::Alu { op: AluOp::Mov, dst, src, .. } => UseDef { uses: src_bit(src), defs: bit(dst) },
        Insn::Alu { dst, src, .. } => UseDef { uses: bit(dst) | src_bit(src), defs: bit(dst) },
        Insn::MovSx { dst, src, .. } | Insn::AddrSpaceCast { dst, src, .. } => {
            UseDef { uses: bit(src), defs: bit(dst) }
        }
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => {
            UseDef { uses: bit(dst), defs: bit(dst) }
        }
        Insn::LdImm64 { dst, .. } => UseDef { uses: 0, defs: bit(dst) },
        Insn::Imm64Hi | Insn::Goto { .. } | Insn::MayGoto { .. } => UseDef { uses: 0, defs: 0 },
        Insn::LdAbs { .. } => UseDef { uses: bit(Reg::R6), defs: CLOBBERED },
        Insn::LdInd { src, .. } => UseDef { uses: bit(Reg::R6) | bit(src), defs: CLOBBERED },
        Insn::Load { dst, src, .. } | Insn::LoadAcquire { dst, src, .. } => {
            UseDef { uses: bit(src), defs: bit(dst) }
        }
        Insn::Store { dst, src, .. } => UseDef { uses: bit(dst) | src_bit(src), defs: 0 },
        Insn::StoreRelease { dst, src, .. } => UseDef { uses: bit(dst) | bit(src), defs: 0 },
        Insn::Atomic { op, dst, src, .. } => {
            let uses = bit(dst) | bit(src);
            match op {
                AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {
                    UseDef { uses, defs: 0 }
                }
                AtomicOp::FetchAdd
                | AtomicOp::FetchOr
                | AtomicOp::FetchAnd
                | AtomicOp::FetchXor
                | AtomicOp::Xchg => UseDef { uses, defs: bit(src) },
                AtomicOp::Cmpxchg => UseDef { uses: uses | bit(Reg::R0), defs: bit(Reg::R0) },
            }
        }
        Insn::JumpIf { dst, src, .. } => UseDef { uses: bit(dst) | src_bit(src), defs: 0 },
        Insn::Call(CallTarget::Helper(id)) => {
            let uses = match env.helper(id) {
                HelperLookup::Known(p) => (0..5)
                    .filter(|&i| p.args.get(i).is_some_and(|a| *a != ArgType::None))
                    .fold(0, |m, i| m | (2 << i)),
                HelperLookup::NotAllowed(_)
                | HelperLookup::Unsupported(_)
                | HelperLookup::Unknown => ARGS,
            };
            UseDef { uses, defs: CLOBBERED }
        }
        Insn::Call(CallTarget::Local(_) | CallTarget::Kfunc { .. }) => {
            UseDef { uses: ARGS, defs: CLOBBERED }
        }
        Insn::Exit => UseDef { uses: bit(Reg::R0), defs: 0 },
    }
}

/// Registers live before each slot, by iteration to the least fixed point; and those that each slot touches.
pub(super) fn registers(insns: &[Insn], env: &dyn Env) -> (Vec<u16>, Vec<u16>) {
    let facts: Vec<UseDef> = insns.iter().map(|i| use_def(i, env)).collect();
    let mut live = vec![0u16; insns.len()];
    loop {
        let mut changed = false;
        for idx in (0..insns.len()).rev() {
            let (Some(insn), Some(f)) = (insns.get(idx), facts.get(idx)) else { continue };
            let succ = successors(insn, idx as u32);
            let out = [succ.next, succ.jump]
                .into_iter()
                .flatten()
                .filter_map(|t| live.get(usize::try_from(t).ok()?).copied())
                .fold(0, |a, b| a | b);
            let new = (out & !f.defs) | f.uses;
            if let Some(l) = live.get_mut(idx)
                && *l != new
            {
                *l = new;
                changed = true;
            }
        }
        if !changed {
            let touched = facts.iter().map(|f| f.uses | f.defs).collect();
            return (live, touched);
        }
    }
}
