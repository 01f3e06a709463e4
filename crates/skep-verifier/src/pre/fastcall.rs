//! Spills and fills around calls that leave registers alone (`bpf_fastcall`): [`Fastcall`].
//!
//! A compiler saves the registers that a call may change around it, for kernels that do not know that the call leaves them
//! alone; one that knows takes these instructions out, and so their stack (`mark_fastcall_patterns`). Here they stay, but
//! their stack does not count: `post/stack` asks for [`Fastcall::stack_off`].

use super::{KfuncTable, MAX_KFUNC_ARGS, Subprog, successors};
use crate::env::{ArgType, Env, HelperLookup, HelperProto, KfuncFlags, RetType};
use skep_abi::insn::{CallTarget, Insn, Reg, Size, Src};
use skep_abi::uapi::BPF_FUNC_get_smp_processor_id;

/// R0 to R5, which an ordinary call changes.
const CLOBBERED: u16 = 0x3f;
/// Pairs around a call at the most.
const MAX_PAIRS: usize = 6;

/// What is known of one function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Stack {
    /// Offset below which only such spills and fills are, as far as the instructions tell.
    off: Option<i64>,
    /// Some call is not one that leaves registers alone here.
    keeps: bool,
    /// Some pairs can be taken out.
    removes: bool,
}

/// The spills and fills of a program.
#[derive(Debug, Default)]
pub(crate) struct Fastcall {
    is_part: Vec<bool>,
    functions: Vec<Stack>,
}

impl Fastcall {
    /// Whether the instruction at a slot is such a spill or fill.
    pub(crate) fn is_part(&self, slot: u32) -> bool {
        self.is_part.get(slot as usize).copied().unwrap_or(false)
    }

    /// The lowest offset that a function uses once they are gone, if they can go. `lowest` is the lowest offset that any
    /// other instruction uses.
    pub(crate) fn stack_off(&self, function: usize, lowest: i64) -> Option<i64> {
        let stack = self.functions.get(function)?;
        let off = stack.off?;
        (stack.removes && !stack.keeps && off <= lowest).then_some(off)
    }
}

/// A call that may leave registers alone.
struct Quiet {
    clobbers: u16,
    /// The call is taken out, or is otherwise known to keep the promise.
    is_inlined: bool,
}

fn helper(proto: &HelperProto) -> Quiet {
    let ret = u16::from(proto.ret != RetType::Void);
    let clobbers = (0..5)
        .filter(|&i| proto.args.get(i).is_some_and(|a| *a != ArgType::None))
        .fold(ret, |m, i| m | (2 << i));
    let is_known = proto.id.cast_unsigned() == BPF_FUNC_get_smp_processor_id;
    Quiet { clobbers, is_inlined: proto.fastcall && is_known }
}

fn quiet_call(insn: &Insn, kfuncs: &KfuncTable, env: &dyn Env) -> Option<Quiet> {
    match insn {
        Insn::Call(CallTarget::Helper(id)) => match env.helper(*id) {
            HelperLookup::Known(proto) => Some(helper(proto)),
            HelperLookup::NotAllowed(_)
            | HelperLookup::NotHere(_)
            | HelperLookup::Unsupported(_)
            | HelperLookup::Unknown => None,
        },
        Insn::Call(CallTarget::Kfunc { .. }) => {
            let k = kfuncs.of_insn(insn)?;
            k.flags?;
            let ret = u16::from(k.ret != super::KfuncRet::Void);
            let args = k.args.len().min(MAX_KFUNC_ARGS);
            let clobbers = (0..args).fold(ret, |m, i| m | (2 << i));
            Some(Quiet { clobbers, is_inlined: k.has(KfuncFlags::FASTCALL) })
        }
        _ => None,
    }
}

fn spill(insn: &Insn) -> Option<(Reg, i16)> {
    match *insn {
        Insn::Store { size: Size::DW, dst: Reg::R10, off, src: Src::Reg(r) } => Some((r, off)),
        _ => None,
    }
}

fn fill(insn: &Insn) -> Option<(Reg, i16)> {
    match *insn {
        Insn::Load { size: Size::DW, dst, src: Reg::R10, off, .. } => Some((dst, off)),
        _ => None,
    }
}

/// Finds them.
pub(super) fn find(
    insns: &[Insn],
    subprogs: &[Subprog],
    kfuncs: &KfuncTable,
    env: &dyn Env,
) -> Fastcall {
    let mut is_target = vec![false; insns.len()];
    for (idx, insn) in (0u32..).zip(insns) {
        let to = successors(insn, idx).jump.and_then(|t| usize::try_from(t).ok());
        if let Some(t) = to.and_then(|t| is_target.get_mut(t)) {
            *t = true;
        }
    }
    let mut found = Fastcall { is_part: vec![false; insns.len()], functions: Vec::new() };
    for s in subprogs {
        let (start, end) = (s.start as usize, s.end as usize);
        let slots = insns.get(start..end).unwrap_or_default();
        let lowest = slots.iter().filter_map(spill).map(|(_, off)| off).min();
        let mut stack = Stack::default();
        if let Some(lowest) = lowest.filter(|l| *l < 0) {
            for at in start..end {
                let Some(quiet) = insns.get(at).and_then(|i| quiet_call(i, kfuncs, env)) else {
                    continue;
                };
                let pairs = pairs_around(insns, &is_target, at, lowest, quiet.clobbers);
                if pairs == 0 {
                    continue;
                }
                for n in 1..=pairs {
                    for slot in [at.checked_sub(n), at.checked_add(n)].into_iter().flatten() {
                        if let Some(part) = found.is_part.get_mut(slot) {
                            *part = true;
                        }
                    }
                }
                stack.removes |= quiet.is_inlined;
                stack.keeps |= !quiet.is_inlined;
                let off = i64::from(lowest) + 8 * pairs as i64;
                stack.off = Some(stack.off.map_or(off, |o| o.min(off)));
            }
        }
        found.functions.push(stack);
    }
    found
}

/// How many pairs of a spill and its fill are around a call.
fn pairs_around(
    insns: &[Insn],
    is_target: &[bool],
    at: usize,
    lowest: i16,
    clobbers: u16,
) -> usize {
    let mut expected = CLOBBERED & !clobbers;
    let mut off = lowest;
    let mut pairs = 0;
    while pairs < MAX_PAIRS && expected != 0 {
        let n = pairs + 1;
        let Some(before) = at.checked_sub(n) else { break };
        let after = at + n;
        // A jump to the first spill is harmless.
        let is_entered =
            is_target.get(before + 1) == Some(&true) || is_target.get(after) == Some(&true);
        let (saved, restored) =
            (insns.get(before).and_then(spill), insns.get(after).and_then(fill));
        let (Some(saved), Some(restored)) = (saved, restored) else { break };
        let bit = 1u16 << saved.0.num();
        if is_entered || saved != restored || saved.1 != off || expected & bit == 0 {
            break;
        }
        expected &= !bit;
        let Some(next) = off.checked_add(8) else { break };
        off = next;
        pairs += 1;
    }
    pairs
}
