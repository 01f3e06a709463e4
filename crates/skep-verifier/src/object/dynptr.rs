//! Dynptrs: two stack slots that name memory of a size known when the program runs.
//!
//! A dynptr has an id, which the slices of it carry, and a ring buffer's also the reference of the record. Overwriting one
//! of its slots destroys it. Neighbours: `call/` for helpers and kernel functions, `mem/stack` for overwriting.

use super::place::{NoPlace, ObjectPlace};
use crate::call::{KfuncCall, Special};
use crate::pre::Kfunc;
use crate::reject::ObjectReject;
use crate::state::ptr::DynptrKind;
use crate::state::{ByteKind, PtrFlags, RegKind, RegState, SlotObject, StackSlot};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use std::rc::Rc;

/// Slots of a dynptr (`BPF_DYNPTR_NR_SLOTS`).
const SLOTS: usize = 2;

/// A dynptr that a call was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DynptrInfo {
    /// What it points into.
    pub(crate) kind: DynptrKind,
    /// Its id, which its slices carry.
    pub(crate) id: u32,
    /// The reference that it stands for; 0 for none.
    pub(crate) ref_id: u32,
}

/// What a call does with a dynptr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DynptrUse {
    /// Uses it, whatever it points into.
    Read,
    /// Gives it back, which must point into that.
    Release(DynptrKind),
}

impl DynptrKind {
    /// The kernel's name, as in messages (`dynptr_type_str`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            DynptrKind::Local => "local",
            DynptrKind::Ringbuf => "ringbuf",
            DynptrKind::Skb => "skb",
            DynptrKind::Xdp => "xdp",
            DynptrKind::SkbMeta => "skb_meta",
        }
    }

    /// Whether it stands for a reference (`dynptr_type_refcounted`).
    pub(crate) fn is_referenced(self) -> bool {
        match self {
            DynptrKind::Ringbuf => true,
            DynptrKind::Local | DynptrKind::Skb | DynptrKind::Xdp | DynptrKind::SkbMeta => false,
        }
    }
}

impl Walk<'_> {
    /// An argument of a kernel function that is a dynptr.
    pub(crate) fn check_dynptr_arg_of(
        &mut self,
        k: &Kfunc,
        n: usize,
        is_uninit: bool,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let r = u8::try_from(n + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("no such argument"))?;
        if !is_uninit {
            call.dynptr = Some(self.check_dynptr(r, DynptrUse::Read)?);
            if n == 0 {
                call.target = call.dynptr;
            }
            return Ok(());
        }
        let (kind, parent) = match k.special {
            Special::DynptrFromSkb => (DynptrKind::Skb, 0),
            Special::DynptrFromXdp => (DynptrKind::Xdp, 0),
            Special::DynptrFromSkbMeta => (DynptrKind::SkbMeta, 0),
            Special::DynptrClone => {
                let of = call.dynptr.ok_or(Stop::Bug("a clone of no dynptr"))?;
                (of.kind, of.ref_id)
            }
            _ => return Err(Stop::Bug("a kernel function makes dynptrs of no known kind")),
        };
        self.make_dynptr(r, kind, parent).map(|_| ())
    }

    /// Makes a dynptr where a register points (the `MEM_UNINIT` case of `process_dynptr_func`). `parent` is the reference
    /// that it shares, 0 for none.
    // SOUND: its slots are overwritten like by any store, so that nothing else is known of them.
    pub(crate) fn make_dynptr(&mut self, r: Reg, kind: DynptrKind, parent: u32) -> Res<DynptrInfo> {
        let reg = *self.cur.reg(r);
        self.check_dynptr_pointer(&reg, r)?;
        if matches!(reg.kind, RegKind::Dynptr(_)) {
            return Err(ObjectReject::DynptrNotUninit {}.into());
        }
        match self.object_place(&reg, SLOTS) {
            Ok(_) | Err(NoPlace::Unused) => {}
            Err(fault) => {
                return Err(fault.before("dynptr", ObjectReject::DynptrNotUninit {}).into());
            }
        }
        let place = self.write_object(r, SLOTS)?;
        let id = self.new_id();
        let ref_id = match (kind.is_referenced(), parent) {
            (true, 0) => self.mark_acquired(),
            (true, parent) => parent,
            (false, _) => 0,
        };
        self.update_place(place, |n, slot| {
            slot.bytes = [ByteKind::Dynptr; 8];
            slot.reg = RegState { id, ref_id, ..RegState::NOT_INIT };
            slot.object = SlotObject::Dynptr { kind, is_first: n == 0 };
        });
        Ok(DynptrInfo { kind, id, ref_id })
    }

    fn check_dynptr_pointer(&self, reg: &RegState, r: Reg) -> Res<()> {
        if matches!(reg.kind, RegKind::Stack(_) | RegKind::Dynptr(_)) && !reg.may_be_null() {
            return Ok(());
        }
        Err(ObjectReject::NotDynptrPointer { arg: arg_no(r) }.into())
    }

    /// The dynptr that an argument is (the other cases of `process_dynptr_func`).
    pub(crate) fn check_dynptr(&mut self, r: Reg, used: DynptrUse) -> Res<DynptrInfo> {
        let reg = *self.cur.reg(r);
        let arg = arg_no(r);
        self.check_dynptr_pointer(&reg, r)?;
        let info = match reg.kind {
            RegKind::Dynptr(_) if used != DynptrUse::Read => {
                return Err(ObjectReject::ConstDynptr {}.into());
            }
            RegKind::Dynptr(kind) => DynptrInfo { kind, id: reg.id, ref_id: reg.ref_id },
            _ => {
                let expected = ObjectReject::ExpectedDynptr { arg };
                let place = match self.object_place(&reg, SLOTS) {
                    Ok(place) => place,
                    Err(fault) => return Err(fault.before("dynptr", expected).into()),
                };
                let Some(info) = self.dynptr_at(place) else { return Err(expected.into()) };
                self.note_object_read(place);
                info
            }
        };
        match used {
            DynptrUse::Release(kind) if info.kind != kind => {
                Err(ObjectReject::DynptrKind { kind: kind.name(), arg }.into())
            }
            DynptrUse::Release(_) | DynptrUse::Read => Ok(info),
        }
    }

    /// The dynptr whose first slot is at a place (`is_dynptr_reg_valid_init`).
    fn dynptr_at(&self, place: ObjectPlace) -> Option<DynptrInfo> {
        let frame = self.cur.frame(place.frame)?;
        let whole = |n: usize| {
            frame.stack.get(n).filter(|s| s.bytes.iter().all(|b| *b == ByteKind::Dynptr))
        };
        let first = whole(place.slot)?;
        whole(place.slot.checked_sub(1)?)?;
        match first.object {
            SlotObject::Dynptr { kind, is_first: true } => {
                Some(DynptrInfo { kind, id: first.reg.id, ref_id: first.reg.ref_id })
            }
            SlotObject::Dynptr { .. }
            | SlotObject::None
            | SlotObject::Iter { .. }
            | SlotObject::Irq { .. } => None,
        }
    }

    /// The reference of whatever lies where a stack pointer points; 0 for none.
    pub(crate) fn stack_reference(&self, reg: &RegState) -> u32 {
        let Ok(place) = self.object_place(reg, SLOTS) else { return 0 };
        let slot = self.cur.frame(place.frame).and_then(|f| f.stack.get(place.slot));
        slot.map_or(0, |s| s.reg.ref_id)
    }

    /// A dynptr's reference is given back: it, its clones and their slices are gone (`unmark_stack_slots_dynptr`).
    // SOUND: whatever carries the reference is found in every frame.
    // DEVIATION: the kernel looks for clones in one frame only.
    pub(crate) fn mark_dynptr_released(&mut self, ref_id: u32) -> bool {
        let is_it = |s: &StackSlot| s.reg.ref_id == ref_id && is_dynptr(s);
        for rc in &mut self.cur.frames {
            if !rc.stack.iter().any(is_it) {
                continue;
            }
            for slot in Rc::make_mut(rc).stack.iter_mut().filter(|s| is_it(s)) {
                *slot = StackSlot::INVALID;
            }
        }
        self.mark_released(ref_id)
    }

    /// A slot is about to be overwritten: a dynptr that it is part of must not be referenced
    /// (`destroy_if_dynptr_stack_slot`).
    pub(crate) fn check_dynptr_overwrite(&self, frame: u8, slot: usize) -> Res<()> {
        match self.slot_dynptr(frame, slot) {
            Some((kind, _)) if kind.is_referenced() => {
                Err(ObjectReject::ReferencedDynptr {}.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A slot is overwritten: the dynptr that it was part of is gone, with its slices.
    // SOUND: slices of a packet stay with the packet, and slices that are only read with what they are of: a map's value
    // or a packet, since those of a record carry its reference.
    pub(crate) fn mark_dynptr_overwritten(&mut self, frame: u8, slot: usize) {
        let Some((_, is_first)) = self.slot_dynptr(frame, slot) else { return };
        let first = if is_first { slot } else { slot + 1 };
        let id = self.cur.frame(frame).and_then(|f| f.stack.get(first)).map_or(0, |s| s.reg.id);
        let place = ObjectPlace { frame, slot: first, count: SLOTS };
        self.update_place(place, |_, s| *s = StackSlot::INVALID);
        let lost = self.lost_register();
        let is_plain = |r: &RegState| r.flags.without(PtrFlags::MAYBE_NULL) == PtrFlags::NONE;
        self.cur.update_regs(
            |r| matches!(r.kind, RegKind::Mem(_)) && is_plain(r) && r.dynptr_id == id && id != 0,
            |r| *r = lost,
        );
    }

    fn slot_dynptr(&self, frame: u8, slot: usize) -> Option<(DynptrKind, bool)> {
        let slot = self.cur.frame(frame)?.stack.get(slot)?;
        match slot.object {
            SlotObject::Dynptr { kind, is_first } => Some((kind, is_first)),
            SlotObject::None | SlotObject::Iter { .. } | SlotObject::Irq { .. } => None,
        }
    }
}

fn is_dynptr(slot: &StackSlot) -> bool {
    matches!(slot.object, SlotObject::Dynptr { .. })
}

/// The argument's number in messages.
fn arg_no(r: Reg) -> u32 {
    u32::from(r.num()).saturating_sub(1)
}
