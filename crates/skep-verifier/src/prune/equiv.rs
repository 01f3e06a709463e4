//! Whether a kept state covers another: every concrete machine of the new one is one of the old one, in all that the
//! proofs from the old one depended on.

use super::SlotMasks;
use super::precision::Places;
use crate::caps::Rights;
use crate::pre::Program;
use crate::state::held::HeldItem;
use crate::state::{
    ByteKind, Frame, Held, PacketRange, Place, RegKind, RegState, Shift, SlotObject, StackSlot,
    VerifierState,
};
use core::cell::Cell;

/// How closely states are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exactness {
    /// The same.
    Exact,
    /// Ranges within ranges, whether precise or not.
    Within,
    /// Ranges within ranges where a proof depended on them.
    Proved,
}

/// Ids of the old state and those of the new one that play their part.
#[derive(Debug, Default)]
pub(crate) struct IdMap {
    pairs: Vec<(u32, u32)>,
    temp: u32,
}

impl IdMap {
    fn clear(&mut self, first_temp: u32) {
        self.pairs.clear();
        self.temp = first_temp;
    }

    // SOUND: a bijection between ids: what is linked in the old state is linked in the new one. More links
    // in the new state would be harmless, but two old ids must not become one by accident either.
    fn matches(&mut self, old: u32, cur: u32) -> bool {
        if (old == 0) != (cur == 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for (o, c) in &self.pairs {
            if *o == old {
                return *c == cur;
            }
            if *c == cur {
                return false;
            }
        }
        self.pairs.push((old, cur));
        true
    }

    /// As [`IdMap::matches`], where no old id matches any, and no new id stands for one of its own.
    fn matches_scalar(&mut self, old: u32, cur: u32) -> bool {
        if old == 0 {
            return true;
        }
        if cur != 0 {
            return self.matches(old, cur);
        }
        self.temp = self.temp.saturating_add(1);
        self.matches(old, self.temp)
    }
}

/// What a comparison needs besides the states.
pub(crate) struct Compare<'a> {
    pub(crate) prog: &'a Program,
    pub(crate) rights: Rights,
    pub(crate) exact: Exactness,
    /// Numbers must be the same whatever depended on them.
    pub(crate) numbers_exactly: bool,
    /// Slots of the old state that may be read on a path from it.
    pub(crate) reads: SlotMasks,
    /// Numbers that proofs from the old state depended on.
    pub(super) precise: &'a Places,
    /// Where the last comparison with the old state failed.
    pub(super) witness: &'a Cell<Option<Place>>,
    pub(crate) ids: &'a mut IdMap,
}

impl Compare<'_> {
    /// Whether `old`, kept at `idx`, covers `cur` there (`states_equal`).
    pub(crate) fn covers(
        &mut self,
        old: &VerifierState,
        cur: &VerifierState,
        idx: u32,
        first_temp_id: u32,
    ) -> bool {
        if old.frames.len() != cur.frames.len() || old.in_sleepable != cur.in_sleepable {
            return false;
        }
        // SOUND: what was proved of a speculative path leaves out what a barrier would stop.
        if old.is_speculative && !cur.is_speculative {
            return false;
        }
        let at = |n: usize| old.frames.get(n + 1).map_or(idx, |f| f.callsite);
        if let Some(place) = self.witness.get() {
            // What differed last time most often differs again.
            self.ids.clear(first_temp_id);
            if !self.place_covers(old, cur, place, at) {
                return false;
            }
        }
        self.ids.clear(first_temp_id);
        if !self.held_covers(&old.held, &cur.held) {
            return false;
        }
        old.frames.iter().zip(&cur.frames).enumerate().all(|(n, (o, c))| {
            o.callsite == c.callsite
                && o.subprog == c.subprog
                && o.callback == c.callback
                && self.frame_covers(o, c, n, at(n))
        })
    }

    /// Whether a single place is no reason against it.
    fn place_covers(
        &mut self,
        old: &VerifierState,
        cur: &VerifierState,
        place: Place,
        at: impl Fn(usize) -> u32,
    ) -> bool {
        let (Place::Reg(f, n) | Place::Slot(f, n)) = place;
        let (Some(o), Some(c)) = (old.frame(f), cur.frame(f)) else { return true };
        let (f, n) = (usize::from(f), usize::from(n));
        let precise = self.precise.masks(f as u8);
        match place {
            Place::Reg(..) => {
                let (Some(o), Some(c)) = (o.regs.get(n), c.regs.get(n)) else { return true };
                self.live_at(at(f)) >> n & 1 == 0
                    || self.reg_covers(o, c, precise.regs >> n & 1 != 0)
            }
            Place::Slot(..) => {
                let none = StackSlot::INVALID;
                let Some(o) = o.stack.get(n) else { return true };
                self.reads.frame(f) >> n & 1 == 0
                    || self.slot_covers(
                        o,
                        c.stack.get(n).unwrap_or(&none),
                        precise.slots >> n & 1 != 0,
                    )
            }
        }
    }

    fn live_at(&self, idx: u32) -> u16 {
        self.prog.live_before.get(idx as usize).copied().unwrap_or(u16::MAX)
    }

    // SOUND: the same is held, under ids that play the same parts.
    fn held_covers(&mut self, old: &Held, cur: &Held) -> bool {
        let same = |o: &HeldItem, c: &HeldItem| o.kind == c.kind && o.owner == c.owner;
        old.rcu == cur.rcu
            && old.preempt == cur.preempt
            && old.items.len() == cur.items.len()
            && self.ids.matches(old.irq_id, cur.irq_id)
            && old
                .items
                .iter()
                .zip(&cur.items)
                .all(|(o, c)| same(o, c) && self.ids.matches(o.id, c.id))
    }

    fn frame_covers(&mut self, old: &Frame, cur: &Frame, number: usize, at: u32) -> bool {
        if old.callback_depth > cur.callback_depth {
            return false;
        }
        let live = self.live_at(at);
        let precise = self.precise.masks(number as u8);
        for (n, (o, c)) in old.regs.iter().zip(&cur.regs).enumerate() {
            // SOUND: a register that no path from here reads cannot matter.
            if live & (1 << n) != 0 && !self.reg_covers(o, c, precise.regs >> n & 1 != 0) {
                self.witness.set(Some(Place::Reg(number as u8, n as u8)));
                return false;
            }
        }
        self.stack_covers(old, cur, number, precise.slots)
    }

    fn reg_covers(&mut self, old: &RegState, cur: &RegState, is_precise: bool) -> bool {
        if self.exact == Exactness::Exact {
            return self.same(old, cur);
        }
        if old.kind == RegKind::NotInit {
            // SOUND: the old proofs never read it.
            return self.exact == Exactness::Proved || cur.kind == RegKind::NotInit;
        }
        match (old.kind, cur.kind) {
            (RegKind::Scalar, RegKind::Scalar) => self.scalar_covers(old, cur, is_precise),
            (RegKind::MapValue(a), RegKind::MapValue(b))
            | (RegKind::MapKey(a), RegKind::MapKey(b)) => {
                a == b
                    && old.flags == cur.flags
                    && old.off == cur.off
                    && cur.num.is_subset_of(&old.num)
                    && self.ids.matches(old.id, cur.id)
                    && self.ids.matches(old.map_uid, cur.map_uid)
            }
            (RegKind::Packet(a), RegKind::Packet(b))
            | (RegKind::PacketMeta(a), RegKind::PacketMeta(b)) => {
                range_covers(a, b)
                    && old.flags == cur.flags
                    && old.off == cur.off
                    && self.ids.matches(old.id, cur.id)
                    && cur.num.is_subset_of(&old.num)
            }
            _ => self.same(old, cur),
        }
    }

    fn same(&mut self, old: &RegState, cur: &RegState) -> bool {
        old.kind == cur.kind
            && old.flags == cur.flags
            && old.off == cur.off
            && old.shift == cur.shift
            && old.num == cur.num
            && self.ids.matches(old.id, cur.id)
            && self.ids.matches(old.ref_id, cur.ref_id)
            && self.ids.matches(old.dynptr_id, cur.dynptr_id)
            && self.ids.matches(old.map_uid, cur.map_uid)
    }

    // SOUND: a number that no proof depended on may be any number. One that did must lie within the old bounds, and be
    // linked to what the old one was linked to, since a comparison of one taught the others.
    fn scalar_covers(&mut self, old: &RegState, cur: &RegState, is_precise: bool) -> bool {
        if self.numbers_exactly {
            return old.shift == cur.shift
                && old.off == cur.off
                && old.num == cur.num
                && self.ids.matches_scalar(old.id, cur.id);
        }
        let matters = is_precise || self.exact != Exactness::Proved || !self.rights.bpf_capable;
        if !matters {
            return true;
        }
        // SOUND: a number that was linked to none in the old state may be linked to any.
        let links = old.id == 0
            || (old.shift == cur.shift && (old.shift == Shift::None || old.off == cur.off));
        links && self.ids.matches_scalar(old.id, cur.id) && cur.num.is_subset_of(&old.num)
    }

    fn stack_covers(&mut self, old: &Frame, cur: &Frame, number: usize, precise: u64) -> bool {
        let read = self.reads.frame(number);
        if self.exact == Exactness::Exact && old.stack.len() != cur.stack.len() {
            return false;
        }
        let none = StackSlot::INVALID;
        for (n, o) in old.stack.iter().enumerate() {
            // SOUND: a slot that no path from the old state reads cannot matter (see `live`).
            if read >> (n & 63) & 1 == 0 {
                continue;
            }
            let c = cur.stack.get(n).unwrap_or(&none);
            if !self.slot_covers(o, c, precise >> (n & 63) & 1 != 0) {
                self.witness.set(Some(Place::Slot(number as u8, n as u8)));
                return false;
            }
        }
        true
    }

    fn slot_covers(&mut self, old: &StackSlot, cur: &StackSlot, is_precise: bool) -> bool {
        if self.exact == Exactness::Exact && old.bytes != cur.bytes {
            return false;
        }
        // SOUND: an object on the stack is compared as it is; its ids play the same parts.
        if (old.object, cur.object) != (SlotObject::None, SlotObject::None) {
            return same_object(old.object, cur.object)
                && old.bytes == cur.bytes
                && self.same(&old.reg, &cur.reg);
        }
        if let (Some(o), Some(c)) = (self.as_scalar(old), self.as_scalar(cur)) {
            return self.reg_covers(&o, &c, is_precise);
        }
        let mut compares_spill = false;
        for (o, c) in old.bytes.iter().zip(&cur.bytes) {
            let ok = match (o, c) {
                // SOUND: never read by the old proofs, or only as what it may be anyway.
                (ByteKind::Invalid, _) => true,
                // SOUND: read as any number by the old proofs; and only who may see addresses gets here.
                (ByteKind::Misc, _) if self.rights.allow_uninit_stack => true,
                (ByteKind::Misc, ByteKind::Zero | ByteKind::Misc) => true,
                (ByteKind::Zero, ByteKind::Zero) => true,
                (ByteKind::Spill, ByteKind::Spill) => {
                    compares_spill = true;
                    true
                }
                (
                    ByteKind::Misc
                    | ByteKind::Zero
                    | ByteKind::Spill
                    | ByteKind::Dynptr
                    | ByteKind::Iter
                    | ByteKind::Irq,
                    _,
                ) => false,
            };
            if !ok {
                return false;
            }
        }
        // SOUND: what was spilled is at least as long as in the old state; a load that was wider than that there gave any
        // number, and one that was not takes the same low part of both.
        !compares_spill || self.reg_covers(&old.reg, &cur.reg, is_precise)
    }

    /// A slot that a whole load reads as a number: a spilled one, or bytes that may be anything.
    fn as_scalar(&self, slot: &StackSlot) -> Option<RegState> {
        if slot.spill_size() == 8 {
            return slot.scalar_spill().copied();
        }
        let any = |b: &ByteKind| {
            *b == ByteKind::Misc || (*b == ByteKind::Invalid && self.rights.allow_uninit_stack)
        };
        slot.bytes.iter().all(any).then_some(RegState::UNKNOWN)
    }
}

// SOUND: at least as many bytes known to be in the packet; being at its end is compared exactly, since it decides
// branches.
fn range_covers(old: PacketRange, cur: PacketRange) -> bool {
    match (old, cur) {
        (PacketRange::Bytes(o), PacketRange::Bytes(c)) => o <= c,
        (PacketRange::AtEnd, PacketRange::AtEnd)
        | (PacketRange::BeyondEnd, PacketRange::BeyondEnd) => true,
        (PacketRange::Bytes(_) | PacketRange::AtEnd | PacketRange::BeyondEnd, _) => false,
    }
}

// SOUND: how many elements an iterator gave decides nothing of what follows.
fn same_object(old: SlotObject, cur: SlotObject) -> bool {
    match (old, cur) {
        (
            SlotObject::Iter { ty: a, is_first: f, state: s, .. },
            SlotObject::Iter { ty: b, is_first: g, state: t, .. },
        ) => a == b && f == g && s == t,
        (
            SlotObject::None
            | SlotObject::Dynptr { .. }
            | SlotObject::Iter { .. }
            | SlotObject::Irq { .. },
            _,
        ) => old == cur,
    }
}
