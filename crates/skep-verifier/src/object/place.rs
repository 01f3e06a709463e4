//! Where on the stack an object of several slots lies: [`Walk::object_place`].

use crate::mem::{Align, Direction, MemAccess, Value};
use crate::reject::ObjectReject;
use crate::state::{RegKind, RegState, StackSlot};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::{Reg, Size};

/// First slot of an object; the others have the numbers below, down to `slot + 1 - count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ObjectPlace {
    /// Frame.
    pub(crate) frame: u8,
    /// Number of the slot that its address names.
    pub(crate) slot: usize,
    /// How many slots.
    pub(crate) count: usize,
}

impl ObjectPlace {
    /// The slots, the one that its address names first.
    pub(crate) fn slots(self) -> impl Iterator<Item = usize> {
        (0..self.count).filter_map(move |n| self.slot.checked_sub(n))
    }
}

/// Why a register names no place for an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPlace {
    /// It is not surely where it is.
    Variable,
    /// No slot begins there, or too few are left.
    Offset(i64),
    /// That part of the frame was never used.
    Unused,
}

impl NoPlace {
    /// A reason preceded by what is wrong with the place.
    pub(crate) fn before(self, what: &'static str, reason: ObjectReject) -> ObjectReject {
        let inner = Box::new(reason);
        match self {
            NoPlace::Variable => ObjectReject::NotConstant { what, inner },
            NoPlace::Offset(off) => ObjectReject::BadOffset { what, off, inner },
            NoPlace::Unused => *inner,
        }
    }
}

impl Walk<'_> {
    /// The slots that a stack pointer names (`stack_slot_obj_get_spi`).
    pub(crate) fn object_place(
        &self,
        reg: &RegState,
        count: usize,
    ) -> Result<ObjectPlace, NoPlace> {
        let RegKind::Stack(frame) = reg.kind else { return Err(NoPlace::Variable) };
        let Some(var) = reg.num.const_value() else { return Err(NoPlace::Variable) };
        let off = i64::from(reg.off).wrapping_add(var as i64);
        let from_top = usize::try_from(off.unsigned_abs()).unwrap_or(usize::MAX);
        if off % 8 != 0 || off >= 0 || from_top / 8 < count {
            return Err(NoPlace::Offset(off));
        }
        let slot = from_top / 8 - 1;
        let used = self.cur.frame(frame).map_or(0, |f| f.stack.len());
        if slot >= used {
            return Err(NoPlace::Unused);
        }
        Ok(ObjectPlace { frame, slot, count })
    }

    /// Overwrites the slots from a register on, as a call does that makes an object there.
    pub(crate) fn write_object(&mut self, r: Reg, count: usize) -> Res<ObjectPlace> {
        let mut off = 0;
        for _ in 0..count {
            let access = MemAccess { base: r, off, size: Size::DW, align: Align::Natural };
            self.access_memory(access, Direction::Write { value: Value::Unknown })?;
            off += 8;
        }
        let reg = *self.cur.reg(r);
        self.object_place(&reg, count).map_err(|_| Stop::Bug("an object was written nowhere"))
    }

    /// The slot of an object.
    pub(crate) fn slot_at_place(&self, place: ObjectPlace) -> Res<&StackSlot> {
        let slot = self.cur.frame(place.frame).and_then(|f| f.stack.get(place.slot));
        slot.ok_or(Stop::Bug("no such slot"))
    }

    /// Changes each slot of an object; the first is the one that its address names.
    pub(crate) fn update_place(
        &mut self,
        place: ObjectPlace,
        change: impl Fn(usize, &mut StackSlot),
    ) {
        let Some(f) = self.cur.frame_mut(place.frame) else { return };
        for (n, slot) in place.slots().enumerate() {
            if let Some(s) = f.stack.get_mut(slot) {
                change(n, s);
            }
        }
    }

    /// The call in hand looks at an object.
    pub(crate) fn note_object_read(&mut self, place: ObjectPlace) {
        let last = place.slot.saturating_sub(place.count.saturating_sub(1));
        self.note_slots_read(place.frame, last, place.slot);
        self.log_state.note_slots(last, place.slot);
    }
}
