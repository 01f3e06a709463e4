//! When a path may end early: it came to a state that is no wider than one from which all was proved safe.
//!
//! - [`kept`]: the states that are kept, their tree and its open branches;
//! - [`equiv`]: whether one state covers another ([`equiv::covers`]);
//! - [`live`]: which stack slots matter, since a path reads them;
//! - [`precision`]: which numbers a proof depended on, found by walking back;
//! - [`loops`]: states that close a cycle before their subtree is finished.

mod equiv;
mod kept;
mod live;
mod loops;
mod precision;
mod visit;

pub(crate) use equiv::IdMap;
pub(crate) use kept::{Kept, StateId};
pub(crate) use live::SlotMasks;

use crate::state::Place;
use std::rc::Rc;

/// Registers that are linked at most (`LINKED_REGS_MAX`).
const MAX_LINKS: usize = 6;

/// Places that hold the same number, or one that differs by a constant.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkSet {
    places: [Option<Place>; MAX_LINKS],
    len: usize,
}

impl LinkSet {
    /// Adds a place; `false` if there is no room.
    pub(crate) fn add(&mut self, place: Place) -> bool {
        if self.places().any(|p| p == place) {
            return true;
        }
        match self.places.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(place);
                self.len += 1;
                true
            }
            None => false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.places.iter().flatten().copied()
    }

    /// For the history.
    pub(crate) fn share(&self) -> Rc<[Place]> {
        self.places().collect()
    }
}

/// One instruction of a path, as precision needs it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Slot.
    pub(crate) idx: u32,
    /// Frame that ran it.
    pub(crate) depth: u8,
    /// Stack slot that it spilled to or filled from: frame and slot number.
    pub(crate) stack: Option<(u8, u8)>,
    /// Places that learned from its comparison.
    pub(crate) links: Option<Rc<[Place]>>,
}

impl Step {
    /// An instruction about to be executed.
    pub(crate) fn new(idx: u32, depth: u8) -> Step {
        Step { idx, depth, stack: None, links: None }
    }
}

/// Whether a path goes on behind a prune point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visit {
    /// It ends: a kept state covers it.
    Seen,
    /// It goes on.
    New,
}
