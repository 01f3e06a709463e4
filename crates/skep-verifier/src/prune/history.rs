//! The instructions of all paths that may still be walked back: [`History`], a tree in one array.
//!
//! Paths share their beginnings, so each step names the one before it. Paths are taken up in the reverse order of
//! being put aside: what lies behind the place where one resumes belongs to finished paths and is dropped, unless an
//! unfinished cycle needs it still. Nothing is copied for a path that is put aside, nothing allocated for a step.

use super::LinkSet;

/// No step, no links.
const NONE: u32 = u32::MAX;
const NO_FRAME: u8 = u8::MAX;

/// One instruction of a path, as precision needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Slot.
    pub(crate) idx: u32,
    /// The step before it.
    prev: u32,
    links: u32,
    /// Frame that ran it.
    pub(crate) depth: u8,
    frame: u8,
    slot: u8,
    is_counted: bool,
}

impl Step {
    /// Stack slot that it spilled to or filled from: frame and slot number.
    pub(crate) fn stack(&self) -> Option<(u8, u8)> {
        (self.frame != NO_FRAME).then_some((self.frame, self.slot))
    }
}

/// A place in the tree: the end of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StepId(u32);

impl StepId {
    /// Before the first step.
    const START: StepId = StepId(NONE);
}

/// Where a path was put aside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume {
    last: StepId,
    /// Steps of paths that were put aside before.
    steps: u32,
    counted: u32,
    links: u32,
}

/// Steps of all paths.
#[derive(Debug)]
pub(crate) struct History {
    steps: Vec<Step>,
    links: Vec<LinkSet>,
    /// Last step of the path in hand.
    last: StepId,
    /// Its steps since the last kept state that the kernel would have recorded.
    counted: u32,
}

impl Default for History {
    fn default() -> History {
        History { steps: Vec::new(), links: Vec::new(), last: StepId::START, counted: 0 }
    }
}

impl History {
    /// An instruction is about to be executed; `is_target` if it is reached by a jump or behind a call.
    pub(crate) fn push(&mut self, idx: u32, depth: u8, is_target: IsTarget) {
        let is_counted = is_target == IsTarget::Yes;
        self.counted += u32::from(is_counted);
        let at = self.steps.len() as u32;
        self.steps.push(Step {
            idx,
            prev: self.last.0,
            links: NONE,
            depth,
            frame: NO_FRAME,
            slot: 0,
            is_counted,
        });
        self.last = StepId(at);
    }

    fn newest(&mut self) -> Option<&mut Step> {
        let step = self.steps.get_mut(self.last.0 as usize)?;
        if !step.is_counted {
            step.is_counted = true;
            self.counted += 1;
        }
        Some(step)
    }

    /// The instruction in hand spills to or fills from a slot.
    pub(crate) fn note_stack(&mut self, frame: u8, slot: u8) {
        if let Some(step) = self.newest() {
            (step.frame, step.slot) = (frame, slot);
        }
    }

    /// Places that learn from the instruction in hand.
    pub(crate) fn note_links(&mut self, links: LinkSet) {
        let at = self.links.len() as u32;
        if let Some(step) = self.newest() {
            step.links = at;
            self.links.push(links);
        }
    }

    /// Last step of the path in hand.
    pub(crate) fn last(&self) -> StepId {
        self.last
    }

    /// A step; none before the first one.
    pub(crate) fn get(&self, at: StepId) -> Option<&Step> {
        self.steps.get(at.0 as usize)
    }

    /// The step before one.
    pub(crate) fn before(&self, at: StepId) -> StepId {
        self.get(at).map_or(StepId::START, |s| StepId(s.prev))
    }

    /// Places that learned from a step's comparison.
    pub(crate) fn links(&self, step: &Step) -> Option<&LinkSet> {
        self.links.get(step.links as usize)
    }

    /// Steps since the last kept state that the kernel would have recorded: jump targets, spills and fills, links.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    /// A state is kept here.
    pub(crate) fn restart_count(&mut self) {
        self.counted = 0;
    }

    /// To put the path in hand aside.
    pub(crate) fn mark(&self) -> Resume {
        let steps = self.last.0.wrapping_add(1);
        Resume { last: self.last, steps, counted: self.counted, links: self.links.len() as u32 }
    }

    /// To put a path aside that begins here.
    pub(crate) fn mark_start(&self) -> Resume {
        Resume { last: StepId::START, counted: 0, ..self.mark() }
    }

    /// Takes a path up again.
    pub(crate) fn resume(&mut self, at: Resume, others: Others) {
        match others {
            Others::Dropped => {
                self.steps.truncate(at.steps as usize);
                self.links.truncate(at.links as usize);
            }
            Others::Needed => {}
        }
        (self.last, self.counted) = (at.last, at.counted);
    }
}

/// Whether a slot is reached otherwise than from the slot before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IsTarget {
    /// By a jump, or behind a call.
    Yes,
    /// From the slot before.
    No,
}

/// What becomes of the steps behind the place where a path is taken up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    /// No path that they belong to will be walked back again.
    Dropped,
    /// An unfinished cycle returns through them.
    Needed,
}
