//! The states that are kept at prune points: [`Kept`], a slab with one list for each slot.

use super::loops::Waits;
use super::precision::Places;
use super::{SlotMasks, StepId};
use crate::state::{Place, VerifierState};
use core::cell::Cell;

/// A kept state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct StateId(u32);

/// A state at a prune point, and its place in the tree of paths.
#[derive(Debug)]
pub(crate) struct KeptState {
    /// What was known.
    pub(crate) state: VerifierState,
    /// Slot.
    pub(crate) idx: u32,
    /// Kept state that the path passed before.
    pub(crate) parent: Option<StateId>,
    /// Last instruction before it.
    pub(crate) last: StepId,
    /// Numbers that a proof depends on.
    pub(crate) precise: Places,
    /// What made the last comparison fail.
    pub(super) witness: Cell<Option<Place>>,
    /// Stack slots overwritten as a whole from there to here.
    pub(crate) written: SlotMasks,
    /// Stack slots that paths from here read before they overwrite them.
    pub(crate) read: SlotMasks,
    /// What its marks wait for, of its own or of a path below it.
    pub(super) waits: Waits,
    /// Paths from here that are not finished.
    pub(crate) branches: u32,
    /// Counts up over all states: an ancestor's is lower.
    pub(crate) serial: u64,
    pub(crate) hits: u32,
    pub(crate) misses: u32,
    is_listed: bool,
}

/// A state in the list of its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    /// Which.
    pub(crate) id: StateId,
    /// Where its function was called: only states of the same call are compared.
    pub(crate) callsite: u32,
}

/// All kept states.
#[derive(Debug)]
pub(crate) struct Kept {
    slab: Vec<Option<KeptState>>,
    free: Vec<u32>,
    lists: Vec<Vec<Listed>>,
    total: u64,
    live: u64,
    peak: u64,
    /// Longest list there was.
    pub(crate) max_per_insn: usize,
    /// Jumps and instructions processed when the last state was kept.
    pub(crate) last_jumps: u64,
    pub(crate) last_insns: u64,
    /// Cycles that are not finished.
    pub(crate) loops: super::loops::Loops,
}

impl Kept {
    /// For a program of so many slots.
    pub(crate) fn new(slots: usize) -> Kept {
        Kept {
            slab: Vec::new(),
            free: Vec::new(),
            lists: vec![Vec::new(); slots],
            total: 0,
            live: 0,
            peak: 0,
            max_per_insn: 0,
            last_jumps: 0,
            last_insns: 0,
            loops: super::loops::Loops::default(),
        }
    }

    /// Forgets all states, before another function is walked.
    pub(crate) fn clear(&mut self) {
        self.slab.clear();
        self.free.clear();
        self.lists.iter_mut().for_each(Vec::clear);
        self.live = 0;
        self.loops = super::loops::Loops::default();
    }

    /// States kept in all.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// States kept at the most at one time.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    pub(crate) fn get(&self, id: StateId) -> Option<&KeptState> {
        self.slab.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: StateId) -> Option<&mut KeptState> {
        self.slab.get_mut(id.0 as usize)?.as_mut()
    }

    /// The states at a slot, newest last.
    pub(crate) fn at(&self, idx: u32) -> &[Listed] {
        self.lists.get(idx as usize).map_or(&[], Vec::as_slice)
    }

    /// Keeps a state with one open path.
    pub(crate) fn add(
        &mut self,
        state: VerifierState,
        idx: u32,
        parent: Option<StateId>,
        last: StepId,
        written: SlotMasks,
    ) -> StateId {
        let callsite = state.cur().callsite;
        self.total += 1;
        self.live += 1;
        self.peak = self.peak.max(self.live);
        let kept = KeptState {
            state,
            idx,
            parent,
            last,
            precise: Places::default(),
            witness: Cell::new(None),
            written,
            read: SlotMasks::default(),
            waits: Waits::default(),
            branches: 1,
            serial: self.total,
            hits: 0,
            misses: 0,
            is_listed: true,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slab.push(None);
                self.slab.len() as u32 - 1
            }
        };
        if let Some(s) = self.slab.get_mut(slot as usize) {
            *s = Some(kept);
        }
        let id = StateId(slot);
        if let Some(list) = self.lists.get_mut(idx as usize) {
            list.push(Listed { id, callsite });
        }
        id
    }

    /// Another path is open below the state.
    pub(crate) fn add_branch(&mut self, id: Option<StateId>) {
        if let Some(k) = id.and_then(|id| self.get_mut(id)) {
            k.branches += 1;
        }
    }

    /// A path below the state is finished; gives how many are open still.
    pub(crate) fn end_branch(&mut self, id: StateId) -> u32 {
        let Some(k) = self.get_mut(id) else { return 0 };
        k.branches = k.branches.saturating_sub(1);
        let (open, unlisted) = (k.branches, !k.is_listed);
        if open == 0 && unlisted {
            self.drop_state(id);
        }
        open
    }

    /// Whether the state's marks are not complete though no path is open, since one below it ended at an unfinished
    /// cycle.
    pub(super) fn is_waiting(&self, id: StateId) -> bool {
        self.get(id).is_some_and(|k| self.loops.is_waiting(k.waits))
    }

    /// A path below the state ended where the marks are not known yet.
    pub(super) fn wait(&mut self, from: Option<StateId>) {
        let waits = self.loops.waits();
        let mut at = from;
        while let Some(k) = at.and_then(|id| self.get_mut(id)) {
            // Its ancestors wait too.
            if k.waits == waits {
                break;
            }
            k.waits = waits;
            at = k.parent;
        }
    }

    /// A path below a finished state of a cycle is taken up again, and so below all that are above it. It was counted
    /// by the start of the cycle till now, so that all open states are those that the path in hand has passed.
    pub(crate) fn reopen(&mut self, from: Option<StateId>, head: StateId) {
        let mut at = from;
        while let Some(k) = at.and_then(|id| self.get_mut(id)) {
            k.branches += 1;
            if k.branches > 1 {
                break;
            }
            at = k.parent;
        }
        // Only now, so that the way up ends there.
        if let Some(k) = self.get_mut(head) {
            k.branches = k.branches.saturating_sub(1);
        }
    }

    /// No longer compares with the state; it goes once no path needs it.
    pub(crate) fn evict(&mut self, id: StateId) {
        let Some(k) = self.get_mut(id) else { return };
        k.is_listed = false;
        let (idx, open) = (k.idx, k.branches);
        if let Some(list) = self.lists.get_mut(idx as usize) {
            list.retain(|s| s.id != id);
        }
        if open == 0 {
            self.drop_state(id);
        }
    }

    pub(super) fn drop_state(&mut self, id: StateId) {
        let Some(k) = self.get(id) else { return };
        if k.branches > 0 {
            return;
        }
        if self.loops.needs(k.serial) {
            // The marks of an unfinished cycle are still to be passed through it.
            self.loops.defer(id);
            return;
        }
        if let Some(slot) = self.slab.get_mut(id.0 as usize) {
            *slot = None;
            self.free.push(id.0);
            self.live = self.live.saturating_sub(1);
        }
    }
}
