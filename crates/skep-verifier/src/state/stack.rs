//! [`StackSlot`]: eight bytes of a stack frame.

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
}

/// Eight aligned bytes; index 0 is the lowest address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StackSlot {
    /// Byte by byte.
    pub(crate) bytes: [ByteKind; 8],
    /// What was spilled, while byte 0 is `Spill`.
    pub(crate) reg: RegState,
}

impl StackSlot {
    /// Never written.
    pub(crate) const INVALID: StackSlot =
        StackSlot { bytes: [ByteKind::Invalid; 8], reg: RegState::NOT_INIT };

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

    /// Forgets the spilled register: its bytes become anything.
    pub(crate) fn scrub(&mut self) {
        for b in &mut self.bytes {
            if *b == ByteKind::Spill {
                *b = ByteKind::Misc;
            }
        }
        self.reg = RegState::NOT_INIT;
    }
}
