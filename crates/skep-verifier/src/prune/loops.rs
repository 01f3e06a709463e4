//! Cycles that close before their start is finished: `may_goto` and callbacks.
//!
//! A path that comes back to an unfinished state ends there, although what that state's proofs depend on is not known
//! yet. Until it is, states on the cycle are compared as if every number mattered, and the returns are remembered
//! ([`Loops`]); when the outermost start is finished, precision and read stack slots are passed along them until nothing
//! changes.

use super::{SlotMasks, StateId, Step};

/// A path that ended at a state of an unfinished cycle.
#[derive(Debug)]
pub(super) struct Return {
    /// The state that covers it.
    pub(super) covered_by: StateId,
    pub(super) depth: u8,
    pub(super) parent: Option<StateId>,
    pub(super) history: Vec<Step>,
    pub(super) written: SlotMasks,
    pub(super) idx: u32,
}

/// That paths below a state ended at a cycle that was not finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Waits {
    /// Frames of the state that the cycle starts with.
    frames: usize,
    /// Which unfinished cycles: it says nothing once they are finished.
    round: u64,
}

/// Unfinished cycles.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    /// Outermost start, and its serial.
    head: Option<(StateId, u64)>,
    returns: Vec<Return>,
    /// Counts outermost cycles that were finished.
    finished: u64,
}

impl Loops {
    /// Whether a state of that serial may lie on an unfinished cycle.
    pub(super) fn needs(&self, serial: u64) -> bool {
        self.head.is_some_and(|(_, head)| serial >= head)
    }

    /// A wait for marks of so many frames.
    pub(super) fn waits(&self, frames: usize) -> Waits {
        Waits { frames, round: self.finished }
    }

    /// How many frames it waits for still.
    pub(super) fn frames(&self, waits: Waits) -> usize {
        if waits.round == self.finished { waits.frames } else { 0 }
    }

    /// A path ended at an unfinished state.
    pub(super) fn add(&mut self, head: Option<(StateId, u64)>, ret: Return) {
        // All starts lie on the path in hand, so the lower serial is the outer one.
        self.head = match (self.head, head) {
            (Some(a), Some(b)) => Some(if b.1 < a.1 { b } else { a }),
            (a, b) => a.or(b),
        };
        self.returns.push(ret);
    }

    /// The returns, if `id` is the outermost start and now finished.
    pub(super) fn finish(&mut self, id: StateId) -> Vec<Return> {
        if self.head.is_some_and(|(head, _)| head == id) {
            self.head = None;
            self.finished += 1;
            return core::mem::take(&mut self.returns);
        }
        Vec::new()
    }
}
