//! Which numbers a proof depended on, found by walking back along the path (`__mark_chain_precision`).
//!
//! A number matters if a branch was decided by it, or an offset, size or result was checked by it. Going back
//! through the instructions, [`Places`] says which registers and slots it came from; kept states on the way get their
//! marks.

use super::history::Step;
use super::kept::KeptState;
use super::{History, Kept, LinkSet, StateId, StepId};
use crate::log::{Masks, Trace};
use crate::pre::{Marks, Program};
use crate::state::stack::STACK_SLOTS;
use crate::state::{MAX_FRAMES, Place, RegState, StackSlot};
use crate::walk::{Res, Walk};
use skep_abi::insn::{AluOp, AtomicOp, CallTarget, Insn, Reg, Src};

/// R1 to R5.
const ARGS: u16 = 0x3e;

/// Registers and slots whose numbers matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places {
    regs: [u16; MAX_FRAMES],
    slots: [u64; MAX_FRAMES],
}

/// Going back does not tell where a number came from.
struct Lost;

impl Places {
    /// Whether only arguments of the outermost function are wanted.
    fn is_of_args(&self) -> bool {
        let mut regs = self.regs.iter();
        regs.next().is_some_and(|r| r & !ARGS == 0)
            && regs.all(|m| *m == 0)
            && self.slots.iter().all(|m| *m == 0)
    }

    fn is_empty(&self) -> bool {
        self.regs.iter().all(|m| *m == 0) && self.slots.iter().all(|m| *m == 0)
    }

    pub(super) fn add(&mut self, place: Place) {
        match place {
            Place::Reg(f, r) => {
                if let Some(m) = self.regs.get_mut(usize::from(f)) {
                    *m |= 1u16.checked_shl(r.into()).unwrap_or(0);
                }
            }
            Place::Slot(f, s) => {
                if let Some(m) = self.slots.get_mut(usize::from(f)) {
                    *m |= 1u64.checked_shl(s.into()).unwrap_or(0);
                }
            }
        }
    }

    /// Keeps of a frame only these registers and slots.
    fn restrict(&mut self, frame: usize, regs: u16, slots: u64) {
        if let (Some(r), Some(s)) = (self.regs.get_mut(frame), self.slots.get_mut(frame)) {
            *r &= regs;
            *s &= slots;
        }
    }

    pub(super) fn has(&self, place: Place) -> bool {
        match place {
            Place::Reg(f, r) => {
                self.regs.get(usize::from(f)).is_some_and(|m| m >> (r & 15) & 1 != 0)
            }
            Place::Slot(f, s) => {
                self.slots.get(usize::from(f)).is_some_and(|m| m >> (s & 63) & 1 != 0)
            }
        }
    }

    /// Removes a place; whether it was there.
    fn take(&mut self, place: Place) -> bool {
        let had = self.has(place);
        match place {
            Place::Reg(f, r) => {
                if let Some(m) = self.regs.get_mut(usize::from(f)) {
                    *m &= !1u16.checked_shl(r.into()).unwrap_or(0);
                }
            }
            Place::Slot(f, s) => {
                if let Some(m) = self.slots.get_mut(usize::from(f)) {
                    *m &= !1u64.checked_shl(s.into()).unwrap_or(0);
                }
            }
        }
        had
    }

    /// If one of the linked places matters, all of them do: they learned from each other.
    fn sync_links(&mut self, links: Option<&LinkSet>) {
        let Some(links) = links else { return };
        if links.places().any(|p| self.has(p)) {
            for p in links.places() {
                self.add(p);
            }
        }
    }

    // SOUND: if the result of an instruction matters, so does every operand that it was computed from. What comes from
    // memory other than a spill is unknown in every state, so nothing before it matters.
    fn step_back(
        &mut self,
        prog: &Program,
        step: &Step,
        links: Option<&LinkSet>,
        next: Next,
    ) -> Result<(), Lost> {
        let f = step.depth;
        let reg = |r: Reg| Place::Reg(f, r.num());
        let Some(insn) = prog.insns.get(step.idx as usize) else { return Err(Lost) };
        self.sync_links(links);
        match *insn {
            Insn::Alu { op: AluOp::Mov, dst, src, .. } => {
                if self.take(reg(dst))
                    && let Src::Reg(r) = src
                    && r != Reg::R10
                {
                    self.add(reg(r));
                }
            }
            Insn::MovSx { dst, src, .. } | Insn::AddrSpaceCast { dst, src, .. } => {
                if self.take(reg(dst)) {
                    self.add(reg(src));
                }
            }
            Insn::Alu { dst, src, .. } => {
                if let Src::Reg(r) = src
                    && r != Reg::R10
                    && self.has(reg(dst))
                {
                    self.add(reg(r));
                }
            }
            Insn::Neg { .. }
            | Insn::Endian { .. }
            | Insn::Goto { .. }
            | Insn::MayGoto { .. }
            | Insn::Imm64Hi => {}
            Insn::LdImm64 { dst, .. } => {
                self.take(reg(dst));
            }
            Insn::LdAbs { .. } | Insn::LdInd { .. } => {
                self.take(reg(Reg::R0));
            }
            Insn::Load { dst, .. } | Insn::LoadAcquire { dst, .. } => {
                if self.take(reg(dst))
                    && let Some((fr, slot)) = step.stack()
                {
                    self.add(Place::Slot(fr, slot));
                }
            }
            Insn::Store { src, .. } => self.step_back_store(step, src),
            Insn::StoreRelease { src, .. } => self.step_back_store(step, Src::Reg(src)),
            Insn::Atomic { op, src, .. } => {
                // The new value of memory is unknown in every state; the old one may come from a spill.
                let loaded = match op {
                    AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => None,
                    AtomicOp::FetchAdd
                    | AtomicOp::FetchOr
                    | AtomicOp::FetchAnd
                    | AtomicOp::FetchXor
                    | AtomicOp::Xchg => Some(src),
                    AtomicOp::Cmpxchg => Some(Reg::R0),
                };
                if loaded.is_some_and(|r| self.take(reg(r)))
                    && let Some((fr, slot)) = step.stack()
                {
                    self.add(Place::Slot(fr, slot));
                }
            }
            Insn::JumpIf { dst, src: Src::Reg(r), .. } => {
                if self.has(reg(dst)) || self.has(reg(r)) {
                    self.add(reg(dst));
                    self.add(reg(r));
                }
                self.sync_links(links);
            }
            Insn::JumpIf { .. } => self.sync_links(links),
            Insn::Call(target) => self.step_back_call(prog, step, next, target)?,
            Insn::Exit => {
                // From behind a call back into the function that it called.
                let outer = next.depth;
                let is_call = next.idx.checked_sub(1).and_then(|i| prog.insns.get(i as usize));
                if matches!(is_call, Some(Insn::Call(CallTarget::Local(_))))
                    && self.take(Place::Reg(outer, 0))
                {
                    self.add(Place::Reg(f, 0));
                }
            }
        }
        Ok(())
    }

    fn step_back_store(&mut self, step: &Step, src: Src) {
        let Some((fr, slot)) = step.stack() else { return };
        if self.take(Place::Slot(fr, slot))
            && let Src::Reg(r) = src
        {
            self.add(Place::Reg(step.depth, r.num()));
        }
    }

    fn step_back_call(
        &mut self,
        prog: &Program,
        step: &Step,
        next: Next,
        target: CallTarget,
    ) -> Result<(), Lost> {
        let f = usize::from(step.depth);
        if next.depth <= step.depth {
            // A call that returned at once: a helper. It sets R0 and loses R1 to R5.
            if let Some(m) = self.regs.get_mut(f) {
                *m &= !(ARGS | 1);
            }
            return Ok(());
        }
        let (Some(inner), Some(slots)) =
            (self.regs.get(f + 1).copied(), self.slots.get(f + 1).copied())
        else {
            return Err(Lost);
        };
        if inner & !ARGS != 0 || slots != 0 {
            return Err(Lost);
        }
        if let Some(m) = self.regs.get_mut(f + 1) {
            *m = 0;
        }
        let calls_back =
            prog.marks.get(step.idx as usize).is_some_and(|m| m.has(Marks::CALLS_CALLBACK));
        if let (CallTarget::Local(_), false, Some(m)) = (target, calls_back, self.regs.get_mut(f)) {
            *m |= inner;
        }
        Ok(())
    }

    pub(crate) fn masks(&self, frame: u8) -> Masks {
        let f = usize::from(frame);
        Masks {
            regs: self.regs.get(f).copied().unwrap_or(0),
            slots: self.slots.get(f).copied().unwrap_or(0),
        }
    }

    /// Marks what is wanted in a kept state, and goes on wanting only what was not marked there before.
    fn mark(&mut self, k: &mut KeptState, prog: &Program, trace: &mut Trace<'_>) -> bool {
        let mut changed = false;
        for (f, frame) in k.state.frames.iter().enumerate().rev() {
            let masks = (self.regs.get_mut(f), self.slots.get_mut(f));
            let marks = (k.precise.regs.get_mut(f), k.precise.slots.get_mut(f));
            let ((Some(regs), Some(slots)), (Some(marked_regs), Some(marked_slots))) =
                (masks, marks)
            else {
                continue;
            };
            *regs &= !*marked_regs;
            for n in bits((*regs).into()) {
                if !frame.regs.get(n).is_some_and(RegState::is_scalar) {
                    *regs &= !(1 << n);
                }
            }
            *slots &= !*marked_slots;
            for n in bits(*slots) {
                if frame.stack.get(n).and_then(StackSlot::scalar_spill).is_none() {
                    *slots &= !(1 << n);
                }
            }
            *marked_regs |= *regs;
            *marked_slots |= *slots;
            changed |= *regs != 0 || *slots != 0;
            let f = f as u8;
            trace.parent(&prog.maps, &k.state, f, (self.masks(f), k.precise.masks(f)));
        }
        changed
    }
}

/// Numbers of the bits that are set.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let n = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (n < u64::BITS).then_some(n as usize)
    })
}

/// The instruction that was executed after one.
#[derive(Clone, Copy)]
struct Next {
    idx: u32,
    depth: u8,
}

/// The end of a path that is walked back.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathEnd {
    /// Its last step that counts.
    pub(super) last: StepId,
    /// Kept state that it last passed.
    pub(super) parent: Option<StateId>,
    /// Slot and frame of the instruction behind it.
    pub(super) next: (u32, u8),
}

/// Walks back along a path and marks the kept states on it; whether a mark is new.
fn walk_back(
    kept: &mut Kept,
    history: &History,
    prog: &Program,
    mut wanted: Places,
    end: PathEnd,
    trace: &mut Trace<'_>,
) -> bool {
    let mut changed = false;
    let (mut at, mut parent) = (end.last, end.parent);
    let (idx, depth) = end.next;
    let mut next = Next { idx, depth };
    let first = |kept: &Kept, parent: Option<StateId>| {
        parent.and_then(|id| kept.get(id)).map_or(0, |k| k.idx)
    };
    trace.segment(depth, idx, first(kept, parent), None);
    loop {
        while let Some(k) = parent.and_then(|id| kept.get_mut(id)).filter(|k| k.last == at) {
            changed |= wanted.mark(k, prog, trace);
            if wanted.is_empty() {
                return changed;
            }
            next = Next { idx: k.idx, depth: k.state.cur_idx() as u8 };
            parent = k.parent;
            let last = history.get(at).map_or(0, |s| s.idx);
            trace.segment(next.depth, last, first(kept, parent), Some(next.idx));
        }
        let Some(step) = history.get(at) else {
            if wanted.is_of_args() {
                // SOUND: arguments of the function that is walked; they are unknown in every state.
                return changed;
            }
            break;
        };
        trace.step(prog, next.depth, wanted.masks(next.depth), step.idx);
        if wanted.step_back(prog, step, history.links(step), next).is_err() {
            break;
        }
        next = Next { idx: step.idx, depth: step.depth };
        if wanted.is_empty() {
            return changed;
        }
        at = history.before(at);
    }
    // SOUND: a number whose origin was not found may have come from anywhere.
    trace.lost(next.depth);
    mark_all(kept, end.parent, trace) || changed
}

/// Marks every number in a state and its ancestors (`mark_all_scalars_precise`).
fn mark_all(kept: &mut Kept, from: Option<StateId>, trace: &mut Trace<'_>) -> bool {
    let mut changed = false;
    let mut at = from;
    while let Some(k) = at.and_then(|id| kept.get_mut(id)) {
        for (f, frame) in k.state.frames.iter().enumerate() {
            let marks = (k.precise.regs.get_mut(f), k.precise.slots.get_mut(f));
            let (Some(regs), Some(slots)) = marks else { continue };
            for (n, r) in frame.regs.iter().enumerate() {
                if r.is_scalar() && *regs >> n & 1 == 0 {
                    *regs |= 1 << n;
                    trace.forced(f as u8, format_args!("r{n}"));
                    changed = true;
                }
            }
            for (n, s) in frame.stack.iter().enumerate().take(STACK_SLOTS) {
                if s.scalar_spill().is_some() && *slots >> n & 1 == 0 {
                    *slots |= 1 << n;
                    trace.forced(f as u8, format_args!("fp-{}", (n + 1) * 8));
                    changed = true;
                }
            }
        }
        at = k.parent;
    }
    changed
}

impl Walk<'_> {
    /// The instruction in hand depends on the number in a register (`mark_chain_precision`).
    pub(crate) fn mark_precise(&mut self, r: Reg) -> Res<()> {
        if !self.rights.bpf_capable || !self.cur.reg(r).is_scalar() {
            // Without privilege every number counts as precise.
            return Ok(());
        }
        let depth = self.cur.cur_idx() as u8;
        self.mark_precise_place(Place::Reg(depth, r.num()));
        Ok(())
    }

    /// As [`Walk::mark_precise`], for a spilled number too.
    pub(crate) fn mark_precise_place(&mut self, place: Place) {
        if !self.rights.bpf_capable {
            return;
        }
        let depth = self.cur.cur_idx() as u8;
        let mut wanted = Places::default();
        wanted.add(place);
        // The last step is the instruction in hand, which has not changed the register yet.
        let last = self.history.before(self.history.last());
        let end = PathEnd { last, parent: self.parent, next: (self.idx, depth) };
        let mut trace = Trace::new(self.log, &self.log_state, self.env);
        walk_back(&mut self.kept, &self.history, &self.prog, wanted, end, &mut trace);
    }
}

/// What the proofs from a kept state depended on matters for a path that it covers (`propagate_precision`).
pub(super) fn propagate(
    kept: &mut Kept,
    history: &History,
    prog: &Program,
    from: StateId,
    end: PathEnd,
    trace: &mut Trace<'_>,
) -> bool {
    let Some(k) = kept.get(from) else { return false };
    let mut wanted = k.precise;
    // Where each frame goes on, from the innermost on.
    let mut at = k.idx;
    for (f, frame) in k.state.frames.iter().enumerate().rev() {
        // SOUND: a register or slot that no path from the kept state reads cannot matter, whatever mark it got on the way
        // to another.
        let live = prog.live_before.get(at as usize).copied().unwrap_or(u16::MAX);
        wanted.restrict(f, live, k.read.frame(f));
        at = frame.callsite;
        let f = f as u8;
        trace.propagating(f, wanted.masks(f));
    }
    if wanted.is_empty() {
        return false;
    }
    walk_back(kept, history, prog, wanted, end, trace)
}
