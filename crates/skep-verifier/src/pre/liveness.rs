//! Registers live before each slot: what pruning need not compare is what no path reads again.

use super::{KfuncTable, MAX_KFUNC_ARGS, successors};
use crate::env::{ArgType, Env, HelperLookup};
use skep_abi::insn::{AluOp, AtomicOp, CallTarget, Insn, Reg, Src};

/// Bit masks of registers that an instruction reads and writes.
pub(crate) struct UseDef {
    pub(crate) uses: u16,
    pub(crate) defs: u16,
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
pub(crate) fn use_def(insn: &Insn, kfuncs: &KfuncTable, env: &dyn Env) -> UseDef {
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
                | HelperLookup::NotHere(_)
                | HelperLookup::Unsupported(_)
                | HelperLookup::Unknown => ARGS,
            };
            UseDef { uses, defs: CLOBBERED }
        }
        Insn::Call(CallTarget::Kfunc { .. }) => {
            let uses = match kfuncs.of_insn(insn) {
                Some(k) if k.flags.is_some() => {
                    (0..MAX_KFUNC_ARGS.min(k.args.len())).fold(0, |m, i| m | (2 << i))
                }
                // As in the kernel, which knows no arguments of what may not be called.
                Some(_) | None => ARGS,
            };
            UseDef { uses, defs: CLOBBERED }
        }
        Insn::Call(CallTarget::Local(_)) => UseDef { uses: ARGS, defs: CLOBBERED },
        Insn::Exit => UseDef { uses: bit(Reg::R0), defs: 0 },
    }
}

/// Which slots may run right before each slot: those of slot `i` are `from[start[i]..start[i + 1]]`.
struct Preds {
    start: Vec<u32>,
    from: Vec<u32>,
}

impl Preds {
    fn of(insns: &[Insn]) -> Preds {
        let edges = || {
            (0u32..).zip(insns).flat_map(|(idx, insn)| {
                let succ = successors(insn, idx);
                let inside = |t: i64| usize::try_from(t).ok().filter(|t| *t < insns.len());
                [succ.next, succ.jump]
                    .into_iter()
                    .flatten()
                    .filter_map(inside)
                    .map(move |t| (idx, t))
            })
        };
        let mut start = vec![0u32; insns.len() + 1];
        for (_, to) in edges() {
            start[to + 1] += 1;
        }
        for i in 0..insns.len() {
            start[i + 1] += start[i];
        }
        let mut fill = start.clone();
        let mut from = vec![0u32; start[insns.len()] as usize];
        for (idx, to) in edges() {
            from[fill[to] as usize] = idx;
            fill[to] += 1;
        }
        Preds { start, from }
    }

    fn get(&self, idx: usize) -> &[u32] {
        let at = |i: usize| self.start.get(i).map_or(0, |s| *s as usize);
        self.from.get(at(idx)..at(idx + 1)).unwrap_or_default()
    }
}

/// Registers live before each slot, the least fixed point; and those that each slot touches.
///
/// Each register of a slot becomes live once, so the work is linear in the program's length whatever its jumps.
pub(super) fn registers(
    insns: &[Insn],
    kfuncs: &KfuncTable,
    env: &dyn Env,
) -> (Vec<u16>, Vec<u16>) {
    let facts: Vec<UseDef> = insns.iter().map(|i| use_def(i, kfuncs, env)).collect();
    let preds = Preds::of(insns);
    let mut live: Vec<u16> = facts.iter().map(|f| f.uses).collect();
    // From the end, where most facts come from.
    let mut todo: Vec<u32> = (0..insns.len() as u32).collect();
    while let Some(idx) = todo.pop() {
        let after = live.get(idx as usize).copied().unwrap_or(0);
        for &before in preds.get(idx as usize) {
            let at = before as usize;
            let (Some(f), Some(l)) = (facts.get(at), live.get_mut(at)) else { continue };
            let new = *l | (after & !f.defs);
            if new != *l {
                *l = new;
                todo.push(before);
            }
        }
    }
    let touched = facts.iter().map(|f| f.uses | f.defs).collect();
    (live, touched)
}
