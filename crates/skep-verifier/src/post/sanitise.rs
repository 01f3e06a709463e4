//! What keeps a program within its bounds under speculation: instructions that mask the offset of a pointer, and where
//! barriers stand.
//!
//! Key type: [`Patches`], instructions to put around others, which `dead` does when it renumbers the program. What to do
//! was found on the walk (`insn/sanitize`). Kernel counterparts: `do_misc_fixups`, `convert_ctx_accesses`.

use crate::insn::{AluGuard, Mask, Order, TailMap};
use crate::reject::{Bug, Reject, SpecReject, VerifyError};
use crate::walk::Walk;
use skep_abi::insn::{AluOp, Insn, JmpOp, Reg, Src, Width};
use std::collections::BTreeMap;

/// Instructions around one that stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    /// Jumps to the instruction lead to the first of these.
    pub(super) before: Vec<Insn>,
    pub(super) after: Vec<Insn>,
}

/// Patches by slot.
pub(super) type Patches = BTreeMap<u32, Patch>;

/// Gives each guarded addition or subtraction an offset that cannot exceed what was proved.
pub(super) fn mask(walk: &Walk<'_>, insns: &mut [Insn]) -> Result<Patches, VerifyError> {
    let mut patches = Patches::new();
    for ((idx, insn), facts) in (0u32..).zip(insns).zip(&walk.facts) {
        if let Some(patch) = bound_tail_call(walk, idx, facts.tail_map)? {
            patches.insert(idx, patch);
        }
        let AluGuard::Masked(mask) = facts.guard else { continue };
        let Insn::Alu { width: Width::W64, op, dst, src: Src::Reg(src) } = *insn else {
            return Err(
                Bug { insn_idx: idx, what: "a masked offset of another instruction" }.into()
            );
        };
        let (patch, new) = guard(mask, op, dst, src);
        *insn = new;
        patches.insert(idx, patch);
    }
    Ok(patches)
}

fn alu(op: AluOp, dst: Reg, src: Src) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src }
}

/// The instructions around `dst op= src`, and what it becomes.
// SOUND: with `d` the offset's distance from zero, the sign of `-((limit - d) | d)` is set unless `d` is above the limit or
// has its own top bit set; spread over all bits and taken with `d`, what is left is `d` or zero. It is data flow, so
// no prediction gets around it. (A `d` of zero gives zero either way.)
fn guard(mask: Mask, op: AluOp, dst: Reg, src: Reg) -> (Patch, Insn) {
    let off = match mask.order {
        Order::PtrFirst => src,
        Order::PtrLast => dst,
    };
    let limit = mask.limit.cast_signed();
    let ax = Reg::AX;
    let flip_sign = || alu(AluOp::Mul, off, Src::Imm(-1));
    let mut patch = Patch::default();
    let load_limit = Insn::Alu { width: Width::W32, op: AluOp::Mov, dst: ax, src: Src::Imm(limit) };
    if mask.is_known {
        patch.before.push(load_limit);
    } else {
        if mask.is_negative {
            patch.before.push(flip_sign());
        }
        patch.before.extend([
            load_limit,
            alu(AluOp::Sub, ax, Src::Reg(off)),
            alu(AluOp::Or, ax, Src::Reg(off)),
            Insn::Neg { width: Width::W64, dst: ax },
            alu(AluOp::Arsh, ax, Src::Imm(63)),
            alu(AluOp::And, ax, Src::Reg(off)),
        ]);
    }
    if mask.order == Order::PtrLast {
        patch.before.push(alu(AluOp::Mov, dst, Src::Reg(src)));
    } else if mask.is_negative && !mask.is_known {
        patch.after.push(flip_sign());
    }
    let op = match (mask.is_negative, op) {
        (true, AluOp::Add) => AluOp::Sub,
        (true, _) => AluOp::Add,
        (false, op) => op,
    };
    (patch, alu(op, dst, Src::Reg(ax)))
}

/// The instructions before a tail call that keep its index within the program array.
// SOUND: an index that is too large skips the call, which may fail at any time; under speculation the mask holds.
fn bound_tail_call(walk: &Walk<'_>, idx: u32, map: TailMap) -> Result<Option<Patch>, VerifyError> {
    let map = match map {
        TailMap::None => return Ok(None),
        TailMap::One(_) | TailMap::Several if walk.rights.bypass_spec_v1 => return Ok(None),
        TailMap::Several => return Err(Reject::new(idx, SpecReject::TailCallMaps {}.into()).into()),
        TailMap::One(map) => map,
    };
    let bug = Bug { insn_idx: idx, what: "a tail call without its map" };
    let max = walk.prog.maps.get(map).ok_or(bug)?.props.max_entries;
    let mask = max.checked_next_power_of_two().map_or(u32::MAX, |n| n - 1);
    let (dst, max, mask) = (Reg::R3, Src::Imm(max.cast_signed()), Src::Imm(mask.cast_signed()));
    let before = vec![
        // Over the mask and the call; by the whole register, though the call looks at half of it, as the kernel does.
        Insn::JumpIf { width: Width::W64, op: JmpOp::Ge, dst, src: max, off: 2 },
        Insn::Alu { width: Width::W32, op: AluOp::And, dst, src: mask },
    ];
    Ok(Some(Patch { before, after: Vec::new() }))
}

/// Slots, as numbered in the program that is left, before which a barrier stands.
pub(super) fn barriers(walk: &Walk<'_>, live: &super::dead::Live) -> Vec<u32> {
    let mut slots = Vec::new();
    // SOUND: what no path executes is gone, with the only ways to it. Of what some path executes only jumps over nothing
    // are gone; a barrier before one is still needed, for what lies behind.
    for (idx, facts) in (0u32..).zip(&walk.facts).filter(|(_, f)| f.is_seen) {
        if facts.barrier_before {
            slots.push(live.slot_end(idx));
        }
        if facts.barrier_after {
            slots.push(live.slot_end(idx + 1));
        }
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}
