//! When a path may end early: it came to a state that is no wider than one from which all was proved safe.
//!
//! - [`kept`]: the states that are kept, their tree and its open branches;
//! - [`equiv`]: whether one state covers another ([`equiv::covers`]);
//! - [`history`]: the instructions of each path;
//! - [`live`]: which stack slots matter, since a path reads them;
//! - [`precision`]: which numbers a proof depended on, found by walking back;
//! - [`loops`]: states that close a cycle before their subtree is finished.

mod equiv;
mod history;
mod kept;
mod live;
mod loops;
mod precision;
mod visit;

pub(crate) use equiv::IdMap;
pub(crate) use history::{History, IsTarget, Others, Resume, Step, StepId};
pub(crate) use kept::{Kept, StateId};
pub(crate) use live::SlotMasks;
pub(crate) use loops::Guess;

use crate::state::Place;

/// Registers that are linked at most (`LINKED_REGS_MAX`).
const MAX_LINKS: usize = 6;

/// Places that hold the same number, or one that differs by a constant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkSet {
    places: [Option<Place>; MAX_LINKS],
    len: usize,
}

impl LinkSet {
    /// Adds a place; `false` if there is no room. Where both operands of a comparison are linked to it, it is added
    /// twice, as in the kernel.
    pub(crate) fn add(&mut self, place: Place) -> bool {
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
}

/// Whether a path goes on behind a prune point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visit {
    /// It ends: a kept state covers it.
    Seen,
    /// It goes on.
    New,
}
