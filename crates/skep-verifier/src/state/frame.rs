//! [`Frame`]: one activation of a function.

use super::reg::RegState;
use super::stack::{STACK_SLOTS, StackSlot};
use skep_abi::insn::Reg;

/// What is special about an activation that a helper makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CallbackFrame {
    /// Inclusive range of its result.
    pub(crate) ret_range: (i64, i64),
    /// Whether the caller holds a lock meanwhile.
    pub(crate) is_locked: bool,
}

/// One activation of a function (`struct bpf_func_state`).
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Registers.
    pub(crate) regs: [RegState; Reg::COUNT],
    /// Slots, from the top of the frame down: slot `i` is at `fp - 8 * (i + 1)`.
    pub(crate) stack: Vec<StackSlot>,
    /// Slot of the call.
    pub(crate) callsite: u32,
    /// Which function.
    pub(crate) subprog: u16,
    /// Set when a helper made the call.
    pub(crate) callback: Option<CallbackFrame>,
    /// How often this frame's current helper call has called back.
    pub(crate) callback_depth: u32,
    /// How many `may_goto` this activation has passed without jumping.
    pub(crate) may_goto_depth: u32,
    /// Of a callback that is called later, after the program: which entry into one it is; 0 for none.
    pub(crate) async_entry: u32,
}

impl Frame {
    /// An activation with no register set but the frame pointer, which `fp` gives.
    pub(crate) fn new(subprog: u16, callsite: u32, fp: RegState) -> Frame {
        let mut regs = [RegState::NOT_INIT; Reg::COUNT];
        regs[Reg::R10.index()] = fp;
        Frame {
            regs,
            stack: Vec::new(),
            callsite,
            subprog,
            callback: None,
            callback_depth: 0,
            may_goto_depth: 0,
            async_entry: 0,
        }
    }

    /// Makes sure that the slot exists.
    pub(crate) fn grow(&mut self, slot: usize) {
        if slot < STACK_SLOTS && slot >= self.stack.len() {
            self.stack.resize(slot + 1, StackSlot::INVALID);
        }
    }

    /// All registers and spilled registers.
    pub(crate) fn values(&self) -> impl Iterator<Item = &RegState> {
        self.regs.iter().chain(self.stack.iter().filter_map(StackSlot::spill))
    }

    /// All registers and spilled registers, to change.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut RegState> {
        let spills = self.stack.iter_mut().filter(|s| s.is_spill()).map(|s| &mut s.reg);
        self.regs.iter_mut().chain(spills)
    }
}
