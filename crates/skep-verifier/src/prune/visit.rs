//! At a prune point: end the path, keep the state, or neither (`is_state_visited`).

use super::equiv::{Compare, Exactness};
use super::live::propagate_reads;
use super::loops::{Guess, Return, comes_nearer};
use super::precision::{PathEnd, propagate};
use super::{Kept, SlotMasks, StateId, Visit};
use crate::domain::Scalar;
use crate::log::{Masks, Trace};
use crate::object::depths_differ;
use crate::pre::{Marks, Program};
use crate::reject::RejectKind;
use crate::state::{Frame, RegState, VerifierState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Size;
use skep_abi::uapi::BPF_F_TEST_STATE_FREQ;
use std::rc::Rc;

/// States compared at a slot at the most, for the unprivileged (`BPF_COMPLEXITY_LIMIT_STATES`).
const MAX_STATES_UNPRIV: usize = 64;
/// Counted steps after which a state is kept whatever else says.
const MAX_HISTORY: u32 = 40;

/// What comparing with the kept states found.
enum Found {
    /// One covers the state.
    Covered { by: StateId, how: How },
    /// None does.
    Nothing { keep: bool },
}

/// What a state's covering another rests on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// All marks are known.
    Proved,
    /// It is wider in everything, but its marks are not known yet.
    ClosesLoop,
    /// Marks that are not complete.
    Guessed,
}

impl Walk<'_> {
    /// Compares with the kept states at the slot in hand.
    pub(crate) fn visit(&mut self) -> Res<Visit> {
        let marks = self.marks();
        let force = self.req.flags & BPF_F_TEST_STATE_FREQ != 0
            || marks.has(Marks::FORCE_CHECKPOINT)
            || self.history.counted() > MAX_HISTORY;
        let jumps = self.jumps_processed - self.kept.last_jumps;
        let insns = self.processed - self.kept.last_insns;
        let keep = force || (jumps >= 2 && insns >= 8);
        match self.find(marks, force, keep)? {
            Found::Covered { by, how } => {
                self.accept(by, how);
                Ok(Visit::Seen)
            }
            Found::Nothing { keep: true } => {
                self.keep();
                Ok(Visit::New)
            }
            Found::Nothing { keep: false } => Ok(Visit::New),
        }
    }

    fn covers(&mut self, id: StateId, exact: Exactness) -> bool {
        let first_temp = self.last_id();
        let Some(k) = self.kept.get(id) else { return false };
        let reads = if exact == Exactness::Proved { k.read } else { SlotMasks::ALL };
        let mut compare = Compare {
            prog: &self.prog,
            rights: self.rights,
            exact,
            numbers_exactly: self.compares_exactly,
            reads,
            precise: &k.precise,
            witness: &k.witness,
            ids: &mut self.id_map,
        };
        compare.covers(&k.state, &self.cur, k.idx, first_temp)
    }

    fn find(&mut self, marks: Marks, force: bool, mut keep: bool) -> Res<Found> {
        let mut left = self.kept.at(self.idx).len();
        let recent = self.jumps_processed - self.kept.last_jumps < 20
            && self.processed - self.kept.last_insns < 100;
        let mut compared = 0;
        let callsite = self.cur.cur().callsite;
        // From the newest on; a state that is evicted meanwhile only moves those already seen.
        while let Some(at) = left.checked_sub(1) {
            left = at;
            let Some(listed) = self.kept.at(self.idx).get(at).copied() else { continue };
            compared += 1;
            if listed.callsite != callsite {
                continue;
            }
            let id = listed.id;
            let Some(k) = self.kept.get(id) else { continue };
            let is_open = k.branches > 0;
            if is_open {
                let may_goto_moved = k.state.may_goto_depth != self.cur.may_goto_depth;
                let same_unroll = k.state.callback_unroll_depth == self.cur.callback_unroll_depth;
                // Another entry into a callback that is called later may well look like the one before.
                let async_entry = |s: &VerifierState| s.frames.first().map_or(0, |f| f.async_entry);
                let same_entry = async_entry(&k.state) == async_entry(&self.cur);
                let may_spin = same_entry
                    && !marks.has(Marks::CALLS_CALLBACK)
                    && !marks.has(Marks::ITER_NEXT)
                    && !may_goto_moved
                    && same_unroll
                    && !depths_differ(&k.state, &self.cur);
                // SOUND: an unfinished state may cover only where the loop is left by a bound of its own
                // (the budget of may_goto, the count of a helper), and that bound came nearer; see `loops`.
                // DEVIATION: the kernel lets bounds that begin anew in each round end a loop too.
                let is_bound = (marks.has(Marks::MAY_GOTO) && may_goto_moved)
                    || marks.has(Marks::CALLS_CALLBACK)
                    || (marks.has(Marks::ITER_NEXT) && self.is_iter_active());
                let bounded = is_bound && comes_nearer(&k.state, &self.cur);
                if bounded && self.covers(id, Exactness::Within) {
                    return Ok(Found::Covered { by: id, how: How::ClosesLoop });
                }
                if may_spin && self.covers(id, Exactness::Exact) {
                    let old = self.kept.get(id).map(|k| (k.state.clone(), k.precise));
                    if let Some((old, precise)) = old {
                        self.log_infinite_loop(&old, precise.masks(old.cur_idx() as u8));
                    }
                    return Err(RejectKind::InfiniteLoop { at: self.idx }.into());
                }
                if !force && recent {
                    keep = false;
                }
            } else {
                let (exact, how) = if !self.kept.is_waiting(id) {
                    (Exactness::Proved, How::Proved)
                } else if self.kept.loops.may_guess() {
                    (Exactness::Proved, How::Guessed)
                } else {
                    (Exactness::Within, How::ClosesLoop)
                };
                if self.covers(id, exact) {
                    return Ok(Found::Covered { by: id, how });
                }
            }
            self.count_miss(id, marks, keep);
        }
        self.kept.max_per_insn = self.kept.max_per_insn.max(compared);
        if !self.rights.bpf_capable && compared > MAX_STATES_UNPRIV {
            keep = false;
        }
        Ok(Found::Nothing { keep })
    }

    fn count_miss(&mut self, id: StateId, marks: Marks, keep: bool) {
        let Some(k) = self.kept.get_mut(id) else { return };
        if keep {
            k.misses += 1;
        }
        // States at checkpoints are what loops converge on: they stay longer.
        let n = if marks.has(Marks::FORCE_CHECKPOINT) && k.branches > 0 { 64 } else { 3 };
        if k.misses > k.hits.saturating_mul(n) + n {
            self.kept.evict(id);
        }
    }

    fn accept(&mut self, by: StateId, how: How) {
        if let Some(k) = self.kept.get_mut(by) {
            k.hits += 1;
        }
        let next = (self.idx, self.cur.cur_idx() as u8);
        let end = PathEnd { last: self.history.last(), parent: self.parent, next };
        let mut trace = Trace::new(self.log, &self.log_state, self.env);
        if !self.rights.bpf_capable {
            trace_all(&self.kept, &self.prog, by, &mut trace);
        }
        propagate(&mut self.kept, &self.history, &self.prog, by, end, &mut trace);
        propagate_reads(&mut self.kept, by, &self.written, self.parent);
        let guess = match how {
            How::Proved => return,
            How::ClosesLoop => None,
            How::Guessed => Some(Guess { state: self.cur.clone(), history: self.history.mark() }),
        };
        let open = self.kept.get(by).filter(|k| k.branches > 0).map(|k| (by, k.serial));
        self.kept.wait(self.parent);
        self.kept.loops.add(open, Return { covered_by: by, end, written: self.written, guess });
    }

    fn keep(&mut self) {
        self.kept.last_jumps = self.jumps_processed;
        self.kept.last_insns = self.processed;
        let mut state = self.cur.clone();
        self.drop_single_ids(&mut state);
        self.history.restart_count();
        let last = self.history.last();
        let written = core::mem::take(&mut self.written);
        let id = self.kept.add(state, self.idx, self.parent, last, written);
        self.parent = Some(id);
    }

    /// Numbers whose id no other shares lose it, so that more states are alike (`clear_singular_ids`).
    fn drop_single_ids(&mut self, state: &mut VerifierState) {
        let mut seen = core::mem::take(&mut self.id_counts);
        seen.clear();
        for r in state.frames.iter().flat_map(|f| f.values()) {
            if r.is_scalar() && r.id != 0 {
                match seen.iter_mut().find(|(id, _)| *id == r.id) {
                    Some((_, n)) => *n += 1,
                    None => seen.push((r.id, 1u32)),
                }
            }
        }
        if seen.iter().any(|(_, n)| *n == 1) {
            let is_single = |r: &RegState| {
                r.is_scalar() && r.id != 0 && seen.iter().any(|(id, n)| *id == r.id && *n == 1)
            };
            state.update_regs(is_single, RegState::unlink);
        }
        self.id_counts = seen;
    }

    /// The path in hand is finished: closes branches upwards, and cycles whose start is now finished.
    pub(crate) fn finish_path(&mut self) {
        let mut at = self.parent;
        while let Some(id) = at {
            let Some(k) = self.kept.get(id) else { break };
            let up = k.parent;
            if self.kept.end_branch(id) > 0 {
                break;
            }
            if self.kept.loops.is_head(id) && !self.finish_loop(id) {
                break;
            }
            at = up;
        }
    }

    /// The outermost start of a cycle has no open path; whether it is finished.
    // SOUND: what matters at the start of a cycle matters where the cycle returns to it; passed along all returns
    // until nothing changes; so does what is read of the stack. Each round marks a number or slot that was not marked,
    // so it ends. Then a guess that holds is as good as any other covering: it was compared with all marks that its
    // state will ever have. One that does not is walked from where its path ended, below the same start.
    fn finish_loop(&mut self, head: StateId) -> bool {
        let returns = self.kept.loops.take_returns();
        let mut trace = Trace::new(self.log, &self.log_state, self.env);
        let mut changed = true;
        while changed {
            changed = false;
            for r in returns.iter().rev() {
                let (kept, by) = (&mut self.kept, r.covered_by);
                changed |= propagate(kept, &self.history, &self.prog, by, r.end, &mut trace);
                changed |= propagate_reads(kept, by, &r.written, r.end.parent);
            }
        }
        let (mut hold, mut wrong) = (Vec::new(), Vec::new());
        for mut r in returns {
            let mut is_wrong = false;
            if let Some(g) = &mut r.guess {
                core::mem::swap(&mut self.cur, &mut g.state);
                is_wrong = !self.covers(r.covered_by, Exactness::Proved);
                core::mem::swap(&mut self.cur, &mut g.state);
            }
            if is_wrong { &mut wrong } else { &mut hold }.push(r);
        }
        if wrong.is_empty() {
            self.kept.finish_loop();
            return true;
        }
        for r in wrong {
            let Some(guess) = r.guess else { continue };
            self.kept.add_branch(Some(head));
            self.push_again(guess, r.end.next.0, r.end.parent, r.written, head);
        }
        self.kept.loops.go_on(hold);
        false
    }

    /// Makes what differs from the last unfinished visit of a slot (but `except`) unknown, so that a loop converges
    /// (`widen_imprecise_scalars`).
    // SOUND: knowing less of a number is always allowed.
    pub(crate) fn widen_to_previous(
        &self,
        idx: u32,
        except: Option<StateId>,
        state: &mut VerifierState,
    ) {
        let others = self.kept.at(idx).iter().rev().filter(|l| Some(l.id) != except);
        let previous = others.filter_map(|l| self.kept.get(l.id)).find(|k| {
            k.branches > 0
                && k.state.frames.len() == state.frames.len()
                && k.state.frames.iter().zip(&state.frames).all(|(a, b)| a.callsite == b.callsite)
        });
        let Some(previous) = previous else { return };
        let frames = previous.state.frames.iter().zip(&mut state.frames);
        for (f, (old, cur)) in (0u8..).zip(frames) {
            widen_frame(old, cur, previous.precise.masks(f));
        }
    }
}

/// Tells that every number of a kept state that is read again is precise, as without CAP_BPF.
fn trace_all(kept: &Kept, prog: &Program, by: StateId, trace: &mut Trace<'_>) {
    let Some(k) = kept.get(by) else { return };
    let live = prog.live_before.get(k.idx as usize).copied().unwrap_or(u16::MAX);
    let Some(frame) = k.state.frames.last() else { return };
    let regs = frame.regs.iter().enumerate().filter(|(n, r)| live >> n & 1 != 0 && r.is_scalar());
    let regs = regs.fold(0u16, |mask, (n, _)| mask | 1 << n);
    trace.propagating(k.state.cur_idx() as u8, Masks { regs, slots: 0 });
}

fn must_widen(old: &RegState, cur: &RegState) -> bool {
    old.is_scalar()
        && cur.is_scalar()
        && (old.num != cur.num || old.shift != cur.shift || (old.id == 0) != (cur.id == 0))
}

/// Makes numbers of a frame unknown that are others than in the old one, but those that a proof depends on.
fn widen_frame(old: &Frame, cur: &mut Rc<Frame>, precise: Masks) {
    let is_free = |mask: u64, n: usize| mask >> (n & 63) & 1 == 0;
    let regs = old.regs.iter().zip(&cur.regs).enumerate();
    let regs = regs.filter(|(n, (o, c))| is_free(precise.regs.into(), *n) && must_widen(o, c));
    let regs = regs.fold(0u64, |mask, (n, _)| mask | 1 << n);
    let slots = old.stack.iter().zip(&cur.stack).enumerate();
    let slots = slots.filter(|(n, (o, c))| {
        let numbers = o.scalar_spill().zip(c.scalar_spill());
        is_free(precise.slots, *n) && numbers.is_some_and(|(o, c)| must_widen(o, c))
    });
    let slots = slots.fold(0u64, |mask, (n, _)| mask | 1 << (n & 63));
    if regs == 0 && slots == 0 {
        return;
    }
    let frame = Rc::make_mut(cur);
    for (n, c) in frame.regs.iter_mut().enumerate() {
        if !is_free(regs, n) {
            *c = RegState::UNKNOWN;
        }
    }
    for (n, c) in frame.stack.iter_mut().enumerate() {
        if !is_free(slots, n) {
            // What a narrow spill holds has no more bits than were spilled.
            let size = match c.spill_size() {
                8 => Size::DW,
                4 => Size::W,
                2 => Size::H,
                1 => Size::B,
                _ => continue,
            };
            c.reg = RegState::scalar(Scalar::UNKNOWN.truncate(size));
        }
    }
}
