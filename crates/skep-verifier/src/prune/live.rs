//! Which stack slots matter: those that some path reads before it overwrites them.
//!
//! Every kept state has a mask of the slots that a continuation from it was seen to read ([`super::kept::KeptState`]'s
//! `read`), every stretch of path between two kept states one of the slots that it overwrote (`written`); both are
//! [`SlotMasks`]. A read goes up from the path in hand to each kept state in turn, until a stretch has overwritten the
//! slot or a state knows of it already. `equiv` skips the slots that are not marked once a state is finished, and
//! `visit` passes marks on from a state to the paths that it ended.
//!
// SOUND: take a finished state S and a machine M that S covers in everything but slots that S does not call read.
// Change those slots of M to what S allows: that machine is one of S, and every run of it was proved safe. M runs the
// same way, instruction by instruction: by induction all that differs is in slots that no continuation of S reads before
// it overwrites them. This speaks of concrete machines, so it does not matter that an unmarked slot may hold a number
// that is called precise or linked to another: no run looks at it.

use super::{Kept, StateId};
use crate::state::MAX_FRAMES;
use crate::walk::Walk;

/// A set of stack slots of every frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SlotMasks([u64; MAX_FRAMES]);

impl SlotMasks {
    /// The slots of one frame.
    pub(crate) fn frame(&self, frame: usize) -> u64 {
        self.0.get(frame).copied().unwrap_or(0)
    }

    /// Every slot: while paths from a state are open it is not known which they read.
    pub(super) const ALL: SlotMasks = SlotMasks([u64::MAX; MAX_FRAMES]);

    fn add(&mut self, frame: usize, slots: u64) {
        if let Some(m) = self.0.get_mut(frame) {
            *m |= slots;
        }
    }

    /// A frame is entered anew.
    // SOUND: what this activation reads says nothing of an earlier one at the same depth, so all its slots count as
    // overwritten. A read through a pointer to this frame is always of this activation: pointers to a frame that has
    // ended are neither returned nor stored in an outer frame.
    pub(crate) fn enter(&mut self, frame: usize) {
        self.add(frame, u64::MAX);
    }
}

/// The slots between two, both included.
fn span(a: usize, b: usize) -> u64 {
    let (low, high) = (a.min(b).min(63), a.max(b).min(63));
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

/// Marks slots of a frame as read on a path that overwrote `written` since `parent`; whether a mark is new.
// SOUND: a slot overwritten as a whole before the read was not read from anything kept before that. A state that knows
// of the read has passed it on already, by the same rule. A state without that frame cannot know its slots; one with
// another activation at that depth is marked more than it need be, or screened by `SlotMasks::enter`.
fn mark_read(
    kept: &mut Kept,
    parent: Option<StateId>,
    written: &SlotMasks,
    frame: usize,
    slots: u64,
) -> bool {
    let mut left = slots & !written.frame(frame);
    let mut at = parent;
    let mut changed = false;
    while let Some(k) = at.and_then(|id| kept.get_mut(id)) {
        left &= !k.read.frame(frame);
        if left == 0 || frame >= k.state.frames.len() {
            break;
        }
        k.read.add(frame, left);
        changed = true;
        left &= !k.written.frame(frame);
        at = k.parent;
    }
    changed
}

/// What paths from a kept state read, a path that it ended would have read; whether a mark is new.
pub(super) fn propagate_reads(
    kept: &mut Kept,
    from: StateId,
    written: &SlotMasks,
    parent: Option<StateId>,
) -> bool {
    let Some(read) = kept.get(from).map(|k| k.read) else { return false };
    let mut changed = false;
    for (frame, slots) in read.0.iter().enumerate() {
        changed |= mark_read(kept, parent, written, frame, *slots);
    }
    changed
}

impl Walk<'_> {
    /// The instruction in hand reads, or may read, bytes of the slots between two of a frame.
    pub(crate) fn note_slots_read(&mut self, frame: u8, a: usize, b: usize) {
        mark_read(&mut self.kept, self.parent, &self.written, frame.into(), span(a, b));
    }

    /// The instruction in hand overwrites all eight bytes of a slot, on every run.
    pub(crate) fn note_slot_written(&mut self, frame: u8, slot: usize) {
        self.written.add(frame.into(), span(slot, slot));
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_include_both_ends_in_any_order() {
        assert_eq!(span(0, 0), 1);
        assert_eq!(span(2, 4), 0b11100);
        assert_eq!(span(4, 2), 0b11100);
        assert_eq!(span(0, 63), u64::MAX);
        assert_eq!(span(63, 63), 1 << 63);
        assert_eq!(span(70, 62), 3 << 62);
    }
}
