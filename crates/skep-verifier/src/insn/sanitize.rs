//! Speculation: what the processor may do on a mispredicted branch or with an offset that is out of bounds for a moment.
//!
//! For a loader without CAP_PERFMON, arithmetic on a pointer with a variable is limited to the bounds that were proved
//! ([`AluGuard`]; `post/sanitise` makes instructions of it), and what only a misprediction reaches is walked too, as a
//! *speculative* path. Where such a path would do what is forbidden, it ends at a barrier ([`SlotFacts`]).
//! Kernel counterpart: `sanitize_ptr_alu` and its siblings.
//!
//! [`SlotFacts`]: crate::walk::SlotFacts

use super::pointer::Order;
use crate::pre::MapId;
use crate::reject::SpecReject;
use crate::state::{RegKind, RegState, VerifierState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::{AluOp, Reg, Src};

/// How an addition or subtraction is kept within bounds under speculation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum AluGuard {
    /// No path has said yet.
    #[default]
    None,
    /// It needs nothing: both operands are numbers.
    Numbers,
    /// The offset is masked to at most `limit`.
    Masked(Mask),
}

/// Which offset is masked, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask {
    /// Which operand is the offset.
    pub(crate) order: Order,
    /// The offset is below zero.
    pub(crate) is_negative: bool,
    /// The offset is a known number: `limit` is its distance from zero.
    pub(crate) is_known: bool,
    /// Largest distance from zero, in bytes.
    pub(crate) limit: u32,
}

/// The program arrays that one tail call is given on all paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum TailMap {
    /// No path has said yet.
    #[default]
    None,
    /// Always the same.
    One(MapId),
    /// Different ones, for which one mask will not do.
    Several,
}

/// Which way an operation moves the pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Towards {
    Start,
    End,
}

/// What was found before an operation, for the check after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    mask: Mask,
    towards: Towards,
}

/// Only additions and subtractions move pointers.
fn is_guarded(op: AluOp) -> bool {
    matches!(op, AluOp::Add | AluOp::Sub)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Pointer,
    Offset,
}

/// The number of the register that holds one of the operands.
fn operand(order: Order, dst: Reg, src: Src, which: Operand) -> u8 {
    match (src, (order == Order::PtrFirst) == (which == Operand::Pointer)) {
        (Src::Reg(r), false) => r.num(),
        (Src::Reg(_) | Src::Imm(_), _) => dst.num(),
    }
}

/// The name of the operation in messages.
fn verb(op: AluOp) -> &'static str {
    if op == AluOp::Add { "add" } else { "sub" }
}

impl Walk<'_> {
    /// Whether the operation needs no guard: nobody asks for it, its offset is in the instruction, or a barrier stands
    /// before it.
    fn skips_guard(&self, src: Src) -> bool {
        self.rights.bypass_spec_v1
            || matches!(src, Src::Imm(_))
            || self.facts.get(self.idx as usize).is_some_and(|f| f.barrier_before)
    }

    fn note_guard(&mut self, dst: Reg, op: AluOp, guard: AluGuard) -> Res<()> {
        let Some(facts) = self.facts.get_mut(self.idx as usize) else { return Ok(()) };
        // SOUND: the instruction exists once, so all paths must agree on its guard.
        if facts.guard != AluGuard::None && facts.guard != guard {
            return Err(SpecReject::Paths { reg: dst.num(), verb: verb(op) }.into());
        }
        facts.guard = guard;
        Ok(())
    }

    /// An addition or subtraction of numbers must be one on all paths (`sanitize_val_alu`).
    pub(super) fn guard_numbers(&mut self, op: AluOp, dst: Reg, src: Src) -> Res<()> {
        if !is_guarded(op) || self.skips_guard(src) {
            return Ok(());
        }
        self.note_guard(dst, op, AluGuard::Numbers)
    }

    /// Before a pointer is moved: how far it may go, and the path on which the offset is masked to zero
    /// (`sanitize_ptr_alu`).
    // SOUND: the mask lets through offsets from zero to the limit, and makes any other zero. The first are what was proved;
    // the second is what the speculative path looks at.
    pub(super) fn guard_pointer(
        &mut self,
        op: AluOp,
        (dst, src): (Reg, Src),
        ptr: &RegState,
        off: &RegState,
        order: Order,
    ) -> Res<Option<Window>> {
        if !is_guarded(op) || self.skips_guard(src) {
            return Ok(None);
        }
        let is_known = off.num.const_value().is_some();
        let mut window = None;
        if !self.cur.is_speculative {
            let is_negative = off.num.smin() < 0;
            if !is_known && is_negative != (off.num.smax() < 0) {
                let reg = operand(order, dst, src, Operand::Offset);
                return Err(SpecReject::MixedBounds { reg }.into());
            }
            let towards =
                if (op == AluOp::Add) == is_negative { Towards::Start } else { Towards::End };
            let limit = self.limit(op, (dst, src, order), ptr, towards)?;
            window = Some(Window { mask: Mask { order, is_negative, is_known, limit }, towards });
            if !is_known {
                self.compares_exactly = true;
            }
        }
        if !is_known {
            let mut masked = self.cur.clone();
            *masked.reg_mut(dst) = *ptr;
            self.push_speculative(self.idx + 1, masked)?;
        }
        Ok(window)
    }

    /// After a pointer was moved: the guard of the instruction.
    pub(super) fn guard_moved(
        &mut self,
        op: AluOp,
        (dst, src): (Reg, Src),
        moved: &RegState,
        window: Option<Window>,
    ) -> Res<()> {
        let Some(Window { mask, towards }) = window else { return Ok(()) };
        // What the pointer moved at the most is the width of the window.
        let after = self.limit(op, (dst, src, mask.order), moved, towards)?;
        let guard = AluGuard::Masked(Mask { limit: mask.limit.abs_diff(after), ..mask });
        self.note_guard(dst, op, guard)
    }

    /// Where a moved pointer must lie, so that accesses through it can be kept within bounds (`sanitize_check_bounds`).
    pub(super) fn check_moved(&self, dst: Reg, moved: &RegState) -> Res<()> {
        if self.rights.bypass_spec_v1 {
            return Ok(());
        }
        let reg = dst.num();
        match moved.kind {
            RegKind::Stack(_) => {
                let off = i64::from(moved.off).wrapping_add(moved.num.var_off.value as i64);
                if moved.num.const_value().is_none() {
                    let var_off = moved.num.var_off;
                    return Err(SpecReject::StackVariable { reg, var_off, off }.into());
                }
                if !(-512..0).contains(&off) {
                    return Err(SpecReject::StackRange { reg, off }.into());
                }
                Ok(())
            }
            RegKind::MapValue(map) => match self.check_map_value_reach(map, moved, dst) {
                Err(Stop::Reject(inner)) => Err(SpecReject::MapValueRange { inner, reg }.into()),
                other => other,
            },
            // Only packets and the like, whose accesses are checked against bounds that the program compares with.
            _ => Ok(()),
        }
    }

    /// Distance to the end that the operation moves towards (`retrieve_ptr_limit`).
    fn limit(
        &self,
        op: AluOp,
        (dst, src, order): (Reg, Src, Order),
        ptr: &RegState,
        towards: Towards,
    ) -> Res<u32> {
        let is_left = towards == Towards::Start;
        let (max, limit) = match ptr.kind {
            RegKind::Stack(_) => {
                let off = i64::from(ptr.off).wrapping_add(ptr.num.var_off.value as i64);
                (512 + u32::from(is_left), off.wrapping_neg() as u32)
            }
            RegKind::MapValue(map) => {
                let var = if is_left { ptr.num.smin() } else { ptr.num.umax() as i64 };
                (self.map(map)?.value_size, var.wrapping_add(i64::from(ptr.off)) as u32)
            }
            _ => {
                let reg = operand(order, dst, src, Operand::Pointer);
                return Err(SpecReject::PointerKind { reg }.into());
            }
        };
        if limit >= max {
            return Err(SpecReject::Limit { reg: dst.num(), verb: verb(op) }.into());
        }
        Ok(limit)
    }

    /// The index of a tail call is masked to the size of its program array (`record_func_map`).
    pub(crate) fn guard_tail_call(&mut self, map: Option<MapId>) {
        let Some(facts) = self.facts.get_mut(self.idx as usize) else { return };
        facts.tail_map = match (facts.tail_map, map) {
            (TailMap::None, Some(map)) => TailMap::One(map),
            (TailMap::One(known), Some(map)) if known == map => TailMap::One(map),
            (TailMap::None | TailMap::One(_) | TailMap::Several, _) => TailMap::Several,
        };
    }

    /// The edge that a decided jump does not take may be predicted nonetheless (`sanitize_speculative_path`).
    // SOUND: nothing that the comparison says of its operands holds there.
    pub(super) fn push_mispredicted(&mut self, idx: u32, dst: Reg, src: Src) -> Res<()> {
        if self.rights.bypass_spec_v1 {
            return Ok(());
        }
        let mut state = self.cur.clone();
        *state.reg_mut(dst) = RegState::UNKNOWN;
        if let Src::Reg(r) = src {
            *state.reg_mut(r) = RegState::UNKNOWN;
        }
        self.push_speculative(idx, state)
    }

    /// Puts a path aside that only speculation takes.
    fn push_speculative(&mut self, idx: u32, mut state: VerifierState) -> Res<()> {
        state.is_speculative = true;
        self.push_path(idx, state)
    }
}
