//! Open-coded iterators: stack slots that `bpf_iter_*_new` makes, `_next` moves on and `_destroy` gives back.
//!
//! At each `next` the path forks: it gives an element, or NULL and is drained from then on. The fork that got an element
//! forgets numbers that the loop changes, so that it comes back to `next` in a state that was seen; see `prune/loops`.

use super::place::{NoPlace, ObjectPlace};
use crate::call::KfuncCall;
use crate::domain::Scalar;
use crate::env::KfuncFlags;
use crate::pre::Kfunc;
use crate::reject::ObjectReject;
use crate::state::ptr::BtfType;
use crate::state::stack::IterState;
use crate::state::{ByteKind, PtrFlags, RegKind, RegState, SlotObject, StackSlot, VerifierState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::TypeId;

/// Where an iterator lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IterPlace {
    /// Frame.
    pub(crate) frame: u8,
    /// First slot.
    pub(crate) slot: usize,
}

impl IterPlace {
    /// The iterator's first slot in a state.
    fn slot_in(self, state: &VerifierState) -> Option<&StackSlot> {
        state.frame(self.frame)?.stack.get(self.slot)
    }
}

/// Why slots hold no iterator that may be used.
enum Fault {
    Invalid,
    OutsideRcu,
}

impl Walk<'_> {
    /// An argument that is an iterator (`process_iter_arg`).
    pub(crate) fn exec_iter_arg(
        &mut self,
        k: &Kfunc,
        n: usize,
        ty: Option<TypeId>,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let arg = n as u32;
        let r = u8::try_from(n + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("no such argument"))?;
        let reg = *self.cur.reg(r);
        if !matches!(reg.kind, RegKind::Stack(_)) {
            return Err(ObjectReject::NotIterPointer { arg }.into());
        }
        let ty = ty.map(|id| self.canonical_type(BtfType { btf: k.func.btf, id: id.0 }));
        let described = ty.and_then(|ty| {
            let btf = self.btf_at(ty.btf)?;
            let def = btf.type_by_id(TypeId(ty.id))?;
            let slots = usize::try_from(def.as_composite()?.size / 8).ok()?;
            Some((ty, slots, def.name().strip_prefix("bpf_iter_")?.to_owned()))
        });
        let Some((ty, slots, name)) = described else {
            return Err(ObjectReject::NotIterType { arg }.into());
        };
        if k.has(KfuncFlags::ITER_NEW) {
            let expected = ObjectReject::IterNotUninit { name, arg };
            return self.make_iter(k, r, ty, slots, expected);
        }
        let expected = ObjectReject::IterNotInit { name, arg };
        let place = match self.object_place(&reg, slots) {
            Ok(place) => place,
            Err(fault) => return Err(fault.before("iter", expected).into()),
        };
        match self.check_iter(place, ty) {
            Ok(()) => {}
            Err(Fault::Invalid) => return Err(expected.into()),
            Err(Fault::OutsideRcu) => {
                return Err(ObjectReject::IterOutsideRcu { func: k.name.clone() }.into());
            }
        }
        self.note_object_read(place);
        call.iter = Some(IterPlace { frame: place.frame, slot: place.slot });
        call.ref_id = self.slot_at_place(place)?.reg.ref_id;
        if k.has(KfuncFlags::ITER_DESTROY) {
            self.mark_released(call.ref_id);
            self.update_place(place, |_, slot| *slot = StackSlot::INVALID);
        }
        Ok(())
    }

    /// Makes an iterator (`mark_stack_slots_iter`).
    fn make_iter(
        &mut self,
        k: &Kfunc,
        r: Reg,
        ty: BtfType,
        slots: usize,
        expected: ObjectReject,
    ) -> Res<()> {
        let reg = *self.cur.reg(r);
        match self.object_place(&reg, slots) {
            Err(NoPlace::Unused) => {}
            Err(fault) => return Err(fault.before("iter", expected).into()),
            Ok(place) => {
                let frame = self.cur.frame(place.frame).ok_or(Stop::Bug("no such frame"))?;
                let is_iter = |s: usize| {
                    frame.stack.get(s).is_some_and(|s| s.bytes.contains(&ByteKind::Iter))
                };
                if place.slots().any(is_iter) {
                    return Err(expected.into());
                }
            }
        }
        let place = self.write_object(r, slots)?;
        let ref_id = self.mark_acquired();
        let flags = if k.has(KfuncFlags::RCU_PROTECTED) {
            if self.in_rcu() { PtrFlags::RCU } else { PtrFlags::UNTRUSTED }
        } else {
            PtrFlags::NONE
        };
        self.update_place(place, |n, slot| {
            let ref_id = if n == 0 { ref_id } else { 0 };
            slot.bytes = [ByteKind::Iter; 8];
            slot.reg = RegState { flags, ref_id, ..RegState::NOT_INIT };
            let (is_first, state) = (n == 0, IterState::Active);
            slot.object = SlotObject::Iter { ty, is_first, state, depth: 0 };
        });
        Ok(())
    }

    /// The slots hold an iterator of that type (`is_iter_reg_valid_init`).
    fn check_iter(&self, place: ObjectPlace, ty: BtfType) -> Result<(), Fault> {
        let frame = self.cur.frame(place.frame).ok_or(Fault::Invalid)?;
        for (n, at) in place.slots().enumerate() {
            let slot = frame.stack.get(at).ok_or(Fault::Invalid)?;
            let SlotObject::Iter { ty: have, is_first, .. } = slot.object else {
                return Err(Fault::Invalid);
            };
            if slot.reg.flags.has(PtrFlags::UNTRUSTED) {
                return Err(Fault::OutsideRcu);
            }
            let is_whole = slot.bytes.iter().all(|b| *b == ByteKind::Iter);
            if is_first != (n == 0) || have != ty || !is_whole {
                return Err(Fault::Invalid);
            }
        }
        Ok(())
    }

    /// What an element's pointer is worth.
    pub(crate) fn iter_element_flags(&self, call: &KfuncCall) -> PtrFlags {
        let slot = call.iter.and_then(|p| p.slot_in(&self.cur));
        match slot {
            Some(s) if s.reg.flags.has(PtrFlags::RCU) => PtrFlags::RCU,
            Some(_) | None => PtrFlags::TRUSTED,
        }
    }

    /// The path forks: an element, or none any more (`process_iter_next_call`).
    // SOUND: both outcomes are walked. The one with an element knows less of the numbers that the loop changes, which is
    // always allowed.
    pub(super) fn fork_iter_next(&mut self, place: IterPlace) -> Res<()> {
        let slot = place.slot_in(&self.cur).ok_or(Stop::Bug("no iterator"))?;
        let SlotObject::Iter { state, .. } = slot.object else {
            return Err(Stop::Bug("no iterator"));
        };
        if state == IterState::Active {
            let mut more = self.cur.clone();
            set_state(&mut more, place, |depth| (IterState::Active, depth.saturating_add(1)));
            self.widen_to_previous(self.idx, self.parent, &mut more);
            let element = more.reg_mut(Reg::R0);
            element.flags = element.flags.without(PtrFlags::MAYBE_NULL);
            self.push_path(self.idx + 1, more)?;
        }
        set_state(&mut self.cur, place, |depth| (IterState::Drained, depth));
        self.log_state.note_slots(place.slot, place.slot);
        *self.cur.reg_mut(Reg::R0) = RegState::scalar(Scalar::ZERO);
        Ok(())
    }

    pub(crate) fn exec_iter_next(&mut self, call: &KfuncCall) -> Res<()> {
        let place = call.iter.ok_or(Stop::Bug("next without an iterator"))?;
        self.fork_iter_next(place)
    }

    /// Whether the iterator that R1 names may still give elements.
    pub(crate) fn is_iter_active(&self) -> bool {
        let reg = self.cur.reg(Reg::R1);
        let Ok(place) = self.object_place(reg, 1) else { return false };
        let slot = self.cur.frame(place.frame).and_then(|f| f.stack.get(place.slot));
        slot.is_some_and(|s| matches!(s.object, SlotObject::Iter { state: IterState::Active, .. }))
    }
}

fn set_state(state: &mut VerifierState, place: IterPlace, next: impl Fn(u32) -> (IterState, u32)) {
    let slot = state.frame_mut(place.frame).and_then(|f| f.stack.get_mut(place.slot));
    if let Some(slot) = slot
        && let SlotObject::Iter { state, depth, .. } = &mut slot.object
    {
        (*state, *depth) = next(*depth);
    }
}

/// Whether an iterator gave more elements on one path than on the other (`iter_active_depths_differ`).
pub(crate) fn depths_differ(old: &VerifierState, cur: &VerifierState) -> bool {
    let frames = old.frames.iter().zip(&cur.frames);
    frames.flat_map(|(o, c)| o.stack.iter().zip(&c.stack)).any(|(o, c)| {
        matches!(
            (o.object, c.object),
            (
                SlotObject::Iter { state: IterState::Active, depth: a, .. },
                SlotObject::Iter { depth: b, .. },
            ) if a != b
        )
    })
}
