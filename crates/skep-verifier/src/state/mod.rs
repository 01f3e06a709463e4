//! What is known of the machine at one point of one path: [`VerifierState`].
//!
//! - [`reg`]: [`RegState`], what a register holds;
//! - [`link`]: [`Shift`](link::Shift), how linked numbers follow from each other;
//! - [`ptr`]: [`PtrFlags`], what is known of a pointer;
//! - [`held`]: [`Held`], what must be given back;
//! - [`stack`]: [`StackSlot`], eight bytes of a frame;
//! - [`frame`]: [`Frame`], one function activation.
//!
//! Frames are shared between states until written ([`std::rc::Rc::make_mut`]), so that a branch or a kept
//! state costs one copy only of the frames that change afterwards.

pub(crate) mod frame;
pub(crate) mod held;
pub(crate) mod link;
pub(crate) mod ptr;
pub(crate) mod reg;
pub(crate) mod stack;

pub(crate) use frame::{CallbackFrame, Frame};
pub(crate) use held::Held;
pub(crate) use link::Shift;
pub use ptr::TypeText;
pub(crate) use ptr::{BtfOwner, PtrFlags, SockKind};
pub(crate) use reg::{PacketRange, RegKind, RegState};
pub(crate) use stack::{ByteKind, SlotObject, StackSlot};

use skep_abi::insn::Reg;
use std::rc::Rc;

/// `MAX_CALL_FRAMES`.
pub(crate) const MAX_FRAMES: usize = 8;

/// A register of a frame, or a spilled one: what precision and links talk about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Register number in a frame.
    Reg(u8, u8),
    /// Stack slot number in a frame.
    Slot(u8, u8),
}

/// State of one path.
#[derive(Clone, Debug)]
pub(crate) struct VerifierState {
    /// Function activations, outermost first; never empty.
    pub(crate) frames: Vec<Rc<Frame>>,
    /// What must be given back; shared, since most programs hold nothing.
    pub(crate) held: Rc<Held>,
    /// Only a misprediction leads here.
    pub(crate) is_speculative: bool,
    /// How many `may_goto` were passed without jumping.
    pub(crate) may_goto_depth: u32,
    /// How many callbacks were entered on this path.
    pub(crate) callback_unroll_depth: u32,
    /// Whether the code may sleep where no section forbids it: callbacks that are called later differ from the program.
    pub(crate) in_sleepable: bool,
}

impl VerifierState {
    /// Index of the running frame.
    pub(crate) fn cur_idx(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// The running frame.
    pub(crate) fn cur(&self) -> &Frame {
        // A state always has a frame; the walk ends when the last one exits.
        &self.frames[self.frames.len() - 1]
    }

    /// The running frame, to change.
    pub(crate) fn cur_mut(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        Rc::make_mut(&mut self.frames[last])
    }

    /// A register of the running frame.
    pub(crate) fn reg(&self, r: Reg) -> &RegState {
        &self.cur().regs[r.index()]
    }

    /// A register of the running frame, to change.
    pub(crate) fn reg_mut(&mut self, r: Reg) -> &mut RegState {
        &mut self.cur_mut().regs[r.index()]
    }

    /// The frame that a stack pointer names.
    pub(crate) fn frame(&self, n: u8) -> Option<&Frame> {
        self.frames.get(usize::from(n)).map(|f| &**f)
    }

    /// The frame that a stack pointer names, to change.
    pub(crate) fn frame_mut(&mut self, n: u8) -> Option<&mut Frame> {
        self.frames.get_mut(usize::from(n)).map(Rc::make_mut)
    }

    /// Changes every register and spilled register, in all frames, for which `which` holds.
    pub(crate) fn update_regs(
        &mut self,
        which: impl Fn(&RegState) -> bool,
        change: impl Fn(&mut RegState),
    ) {
        for rc in &mut self.frames {
            // Look first: a shared frame without a match must not be copied.
            if !rc.values().any(&which) {
                continue;
            }
            let frame = Rc::make_mut(rc);
            for reg in frame.values_mut().filter(|r| which(r)) {
                change(reg);
            }
        }
    }

    /// What a place holds, if it is a register or a spill.
    pub(crate) fn at(&self, place: Place) -> Option<&RegState> {
        match place {
            Place::Reg(f, r) => self.frame(f)?.regs.get(usize::from(r)),
            Place::Slot(f, s) => self.frame(f)?.stack.get(usize::from(s))?.spill(),
        }
    }
}
