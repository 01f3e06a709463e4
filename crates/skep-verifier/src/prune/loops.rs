//! Cycles that close before their start is finished: `may_goto` and callbacks.
//!
//! A path that comes back to an unfinished state ends there, although what that state's proofs depend on is not known
//! yet: it is compared as if every number and slot mattered. States on the cycle lack the same marks once their own
//! paths are done. What they cover is a guess, made by the marks that they have; it is remembered with its state
//! ([`Return`]). When the outermost start is finished, marks are passed along all returns until nothing changes, and
//! guesses that no longer hold are walked after all.

use super::precision::PathEnd;
use super::{Kept, Resume, SlotMasks, StateId};
use crate::state::stack::IterState;
use crate::state::{SlotObject, StackSlot, VerifierState};

/// States of guesses that are remembered at the most: more, and states are compared in everything instead.
const MAX_GUESSES: usize = 2048;
/// Times that guesses of one cycle may turn out wrong before no more are made.
const MAX_ROUNDS: u32 = 16;

/// Whether something bounded moved on between two states of one path: one call that calls back, one activation's budget
/// of `may_goto`, or one iterator.
// SOUND: a call, an activation and an iterator that are made anew have all of their bound before them again, so that a
// loop that makes one in each round may never end. Those that both states have are the same: a call is counted
// from zero when it is begun, and an iterator has a reference of its own.
pub(super) fn comes_nearer(old: &VerifierState, cur: &VerifierState) -> bool {
    old.frames.iter().zip(&cur.frames).any(|(o, c)| {
        c.callback_depth > o.callback_depth
            || c.may_goto_depth > o.may_goto_depth
            || o.stack.iter().zip(&c.stack).any(|(o, c)| is_further(o, c))
    })
}

/// Whether a slot has the same iterator in both, further on in the second.
fn is_further(old: &StackSlot, cur: &StackSlot) -> bool {
    let depth = |s: &StackSlot| match s.object {
        SlotObject::Iter { is_first: true, state: IterState::Active, depth, .. } => Some(depth),
        SlotObject::Iter { .. }
        | SlotObject::None
        | SlotObject::Dynptr { .. }
        | SlotObject::Irq { .. } => None,
    };
    let depths = depth(old).zip(depth(cur));
    old.reg.ref_id == cur.reg.ref_id && depths.is_some_and(|(old, cur)| cur > old)
}

/// A path that ended at a state of an unfinished cycle.
#[derive(Debug)]
pub(crate) struct Return {
    /// The state that covers it.
    pub(super) covered_by: StateId,
    pub(super) end: PathEnd,
    /// Stack slots overwritten since its parent.
    pub(crate) written: SlotMasks,
    /// What was guessed to be covered; nothing if it is for sure.
    pub(super) guess: Option<Guess>,
}

/// A state that was guessed to be covered.
#[derive(Debug)]
pub(crate) struct Guess {
    pub(crate) state: VerifierState,
    pub(crate) history: Resume,
}

/// That paths below a state ended at a cycle that was not finished. It says nothing once that one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Waits(Option<u64>);

/// Unfinished cycles.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    /// Outermost start, and its serial.
    head: Option<(StateId, u64)>,
    returns: Vec<Return>,
    /// How many of them are guesses.
    guesses: usize,
    /// How often guesses turned out wrong since the outermost cycle was begun.
    rounds: u32,
    /// Counts outermost cycles that were finished.
    finished: u64,
    /// States that nothing but the unfinished cycle needs.
    deferred: Vec<StateId>,
}

impl Loops {
    /// Whether a state of that serial may lie on an unfinished cycle.
    pub(super) fn needs(&self, serial: u64) -> bool {
        self.head.is_some_and(|(_, head)| serial >= head)
    }

    /// Whether a cycle is unfinished.
    pub(crate) fn is_open(&self) -> bool {
        self.head.is_some() || !self.returns.is_empty()
    }

    /// Whether another guess may be made.
    pub(super) fn may_guess(&self) -> bool {
        self.guesses < MAX_GUESSES && self.rounds < MAX_ROUNDS
    }

    /// A wait for the marks of what is unfinished now.
    pub(super) fn waits(&self) -> Waits {
        Waits(Some(self.finished))
    }

    /// Whether it waits still.
    pub(super) fn is_waiting(&self, waits: Waits) -> bool {
        waits.0 == Some(self.finished)
    }

    /// A path ended at a state of an unfinished cycle; `open` is that state if it is unfinished itself.
    pub(super) fn add(&mut self, open: Option<(StateId, u64)>, ret: Return) {
        // All starts lie on the path in hand, so the lower serial is the outer one.
        self.head = match (self.head, open) {
            (Some(a), Some(b)) => Some(if b.1 < a.1 { b } else { a }),
            (a, b) => a.or(b),
        };
        self.guesses += usize::from(ret.guess.is_some());
        self.returns.push(ret);
    }

    /// The state goes when the cycle is finished.
    pub(super) fn defer(&mut self, id: StateId) {
        self.deferred.push(id);
    }

    /// Whether it is the outermost start.
    pub(super) fn is_head(&self, id: StateId) -> bool {
        self.head.is_some_and(|(head, _)| head == id)
    }

    pub(super) fn take_returns(&mut self) -> Vec<Return> {
        self.guesses = 0;
        core::mem::take(&mut self.returns)
    }

    /// Guesses were wrong: the cycle goes on with the other returns.
    pub(super) fn go_on(&mut self, returns: Vec<Return>) {
        self.rounds += 1;
        self.guesses = returns.iter().filter(|r| r.guess.is_some()).count();
        self.returns = returns;
    }
}

impl Kept {
    /// The outermost cycle is finished, its marks are complete.
    pub(super) fn finish_loop(&mut self) {
        self.loops.head = None;
        self.loops.rounds = 0;
        self.loops.finished += 1;
        for id in core::mem::take(&mut self.loops.deferred) {
            self.drop_state(id);
        }
    }
}
