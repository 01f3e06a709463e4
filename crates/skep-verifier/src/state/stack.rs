//! [`StackSlot`]: eight bytes of a stack frame.

use super::ptr::{BtfType, DynptrKind};
use super::reg::{RegKind, RegState};

/// Slots of a frame at the most (`MAX_BPF_STACK / BPF_REG_SIZE`).
pub(crate) const STACK_SLOTS: usize = 64;

/// What is known of one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum ByteKind {
    /// Never written.
    Invalid,
    /// Part of a spilled register.
    Spill,
    /// Anything.
    Misc,
    /// Zero.
    Zero,
    /// Part of a dynptr.
    Dynptr,
    /// Part of an iterator.
    Iter,
    /// Part of a saved interrupt state.
    Irq,
}

/// A kernel object that a program keeps on its stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum SlotObject {
    /// None.
    None,
    /// One of the two slots of a dynptr; the slot's `reg` has its ids.
    Dynptr {
        /// What it points into.
        kind: DynptrKind,
        /// Whether this is the slot that its address names (the higher of the two slot numbers).
        is_first: bool,
    },
    /// One of the slots of an iterator; the slot's `reg` has its ids.
    Iter {
        /// The kernel's struct for it.
        ty: BtfType,
        /// Whether this is the slot that its address names.
        is_first: bool,
        /// Whether it has given its last element.
        state: IterState,
        /// How many elements it has given on this path.
        depth: u32,
    },
    /// A saved interrupt state.
    Irq {
        /// Saved by a resilient lock.
        is_res_lock: bool,
    },
}

/// State of an iterator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum IterState {
    /// It may give more.
    Active,
    /// It has ended.
    Drained,
}

/// Eight aligned bytes; index 0 is the lowest address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StackSlot {
    /// Byte by byte.
    pub(crate) bytes: [ByteKind; 8],
    /// What was spilled, while byte 0 is `Spill`.
    pub(crate) reg: RegState,
    /// What the program keeps here, while all bytes are `Dynptr`, `Iter` or `Irq`.
    pub(crate) object: SlotObject,
}

impl StackSlot {
    /// Never written.
    pub(crate) const INVALID: StackSlot = StackSlot {
        bytes: [ByteKind::Invalid; 8],
        reg: RegState::NOT_INIT,
        object: SlotObject::None,
    };

    /// Whether a register, or the low part of one, was spilled here.
    pub(crate) fn is_spill(&self) -> bool {
        self.bytes[0] == ByteKind::Spill
    }

    /// The spilled register.
    pub(crate) fn spill(&self) -> Option<&RegState> {
        self.is_spill().then_some(&self.reg)
    }

    /// A spilled number.
    pub(crate) fn scalar_spill(&self) -> Option<&RegState> {
        self.spill().filter(|r| r.kind == RegKind::Scalar)
    }

    /// How many bytes were spilled.
    pub(crate) fn spill_size(&self) -> u32 {
        self.bytes.iter().take_while(|b| **b == ByteKind::Spill).count() as u32
    }

    /// Part of the slot is overwritten: a spilled register or an object is lost, and every byte of the slot is
    /// anything (`scrub_spilled_slot`).
    // SOUND: zeros beside them are forgotten too, as the kernel does; its states are alike more often for that.
    pub(crate) fn scrub(&mut self) {
        let is_special = match self.bytes[0] {
            ByteKind::Spill | ByteKind::Dynptr | ByteKind::Iter | ByteKind::Irq => true,
            ByteKind::Invalid | ByteKind::Misc | ByteKind::Zero => false,
        };
        if is_special {
            for b in self.bytes.iter_mut().filter(|b| **b != ByteKind::Invalid) {
                *b = ByteKind::Misc;
            }
        }
        self.lose_value();
    }

    /// Forgets the spilled register or object: its bytes become anything.
    pub(crate) fn lose_value(&mut self) {
        for b in &mut self.bytes {
            if matches!(b, ByteKind::Spill | ByteKind::Dynptr | ByteKind::Iter | ByteKind::Irq) {
                *b = ByteKind::Misc;
            }
        }
        self.object = SlotObject::None;
        self.reg = RegState::NOT_INIT;
    }
}
