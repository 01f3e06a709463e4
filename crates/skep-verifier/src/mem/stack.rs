//! The stack: spills and fills at fixed offsets, and what stays known under variable ones.

use super::{Align, Direction, Exact, Extend, HelperMem, MemAccess, Value, ZeroSize};
use crate::domain::Scalar;
use crate::env::MemAccess as HelperAccess;
use crate::insn::MAX_VAR_OFF;
use crate::reject::{ObjectReject, RejectKind, SpecReject};
use crate::state::{ByteKind, Frame, Place, RegKind, RegState, Shift, SlotObject, StackSlot};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::{Reg, Size};

/// Bytes of a frame (`MAX_BPF_STACK`).
pub(crate) const MAX_STACK: i64 = 512;

/// Stack bytes that a helper fills, to be marked as written once the call is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawFill {
    frame: u8,
    off: i64,
    size: u64,
    /// All of it is filled, and only it.
    is_exact: bool,
}

/// Offsets from the top of the frame, `min..=max`, at which an access may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    min: i64,
    max: i64,
}

impl Span {
    fn fixed(self) -> Option<i64> {
        (self.min == self.max).then_some(self.min)
    }
}

/// Slot number and byte in it of an offset that was checked to be in the frame.
fn locate(off: i64) -> (usize, usize) {
    let from_bottom = (off + MAX_STACK).clamp(0, MAX_STACK - 1);
    let slot = 63 - from_bottom / 8;
    (slot as usize, (from_bottom % 8) as usize)
}

/// Slot number of an offset from the top of a frame, in bytes; what is out of the frame counts as its bottom.
pub(crate) fn slot_of(off: i64) -> usize {
    locate(off).0
}

fn byte_at(frame: &Frame, off: i64) -> ByteKind {
    let (slot, byte) = locate(off);
    frame.stack.get(slot).map_or(ByteKind::Invalid, |s| s.bytes[byte])
}

impl Walk<'_> {
    /// Where an access may begin, all of it inside the frame (`check_stack_access_within_bounds`).
    // SOUND: the ends of the variable part bound every place the access can touch.
    fn check_stack_bounds(
        &self,
        frame: u8,
        ptr: &RegState,
        reg: Reg,
        off: i64,
        size: u64,
        is_write: bool,
    ) -> Res<Span> {
        let reg = reg.num();
        let dir = if is_write { " write to" } else { " read from" };
        let is_const = ptr.num.const_value().is_some();
        let size_signed = i64::try_from(size).map_err(|_| Stop::Bug("size not checked"))?;
        if !is_const && (ptr.num.smax() >= MAX_VAR_OFF || ptr.num.smin() <= -MAX_VAR_OFF) {
            return Err(RejectKind::StackUnbounded { dir, reg }.into());
        }
        let (lo, hi) = match ptr.num.const_value() {
            Some(v) => (v as i64, v as i64),
            None => (ptr.num.smin(), ptr.num.smax()),
        };
        let (Some(min), Some(max)) = (lo.checked_add(off), hi.checked_add(off)) else {
            return Err(RejectKind::StackUnbounded { dir, reg }.into());
        };
        let allocated = self.cur.frame(frame).map_or(0, |f| f.stack.len() as i64 * 8);
        let lowest =
            if is_write || self.rights.allow_uninit_stack { -MAX_STACK } else { -allocated };
        if min >= lowest && min <= -1 && max.checked_add(size_signed).is_some_and(|e| e <= 0) {
            if let Some(f) = self.cur.frame(frame) {
                self.note_stack_used(f.subprog, min);
            }
            return Ok(Span { min, max });
        }
        if is_const {
            return Err(RejectKind::StackBounds { dir, reg, off: min, size }.into());
        }
        let var_off = ptr.num.var_off;
        Err(RejectKind::StackBoundsVar { dir, reg, var_off, off, size }.into())
    }

    /// A kernel function writes the eight bytes that a stack pointer names.
    pub(crate) fn access_stack_slot(&mut self, r: Reg) -> Res<()> {
        let ptr = *self.cur.reg(r);
        let RegKind::Stack(frame) = ptr.kind else { return Err(Stop::Bug("not a stack pointer")) };
        let access = MemAccess { base: r, off: 0, size: Size::DW, align: Align::Natural };
        self.access_stack(frame, &ptr, access, Direction::Write { value: Value::Unknown })
    }

    pub(super) fn access_stack(
        &mut self,
        frame: u8,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<()> {
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = u64::from(a.size.bytes());
        let span = self.check_stack_bounds(frame, ptr, a.base, off, size, dir.is_write())?;
        let first = locate(span.min).0;
        if let Some(f) = self.cur.frame_mut(frame) {
            f.grow(first);
        }
        match (dir, span.fixed()) {
            (Direction::Read { into, extend }, Some(at)) => {
                self.read_fixed(frame, at, a.size, into, extend)
            }
            (Direction::Read { into, extend }, None) => {
                self.read_variable(frame, span, a, into, extend)
            }
            (Direction::Write { value }, Some(at)) => self.write_fixed(frame, at, a.size, value),
            (Direction::Write { value }, None) => self.write_variable(frame, span, a.size, value),
        }
    }

    fn check_var_offset_allowed(&self, ptr: &RegState, r: Reg) -> Res<()> {
        if self.rights.bypass_spec_v1 || ptr.num.const_value().is_some() {
            return Ok(());
        }
        let var_off = ptr.num.var_off;
        Err(RejectKind::StackVarUnpriv { reg: r.num(), var_off }.into())
    }

    fn frame_ref(&self, frame: u8) -> Res<&Frame> {
        self.cur.frame(frame).ok_or(Stop::Bug("no such frame"))
    }

    // SOUND: a register comes back as it was spilled only from the byte where it was spilled, with no more bytes than
    // were spilled; zero only from bytes that all are zero; anything else is an unknown number.
    fn read_fixed(
        &mut self,
        frame: u8,
        at: i64,
        size: Size,
        into: Option<Reg>,
        extend: Extend,
    ) -> Res<()> {
        let (slot_idx, byte) = locate(at);
        self.note_slots_read(frame, slot_idx, slot_idx);
        self.log_state.note_slots(slot_idx, slot_idx);
        let slot = *self.frame_ref(frame)?.stack.get(slot_idx).unwrap_or(&StackSlot::INVALID);
        let whole = slot.spill_size() == 8 && size == Size::DW;
        if let Some(reg) = slot.spill().copied() {
            if !whole && !reg.is_scalar() {
                return Err(RejectKind::FillSize {}.into());
            }
            if into.is_none() && reg.is_pointer() && !self.rights.allow_ptr_leaks {
                return Err(RejectKind::StackLeak { off: at }.into());
            }
            if byte == 0 && size.bytes() <= slot.spill_size() {
                let Some(dst) = into else { return Ok(()) };
                return self.fill(frame, slot_idx, size, dst, extend);
            }
        }
        let bytes = slot.bytes.iter().skip(byte).take(size.bytes() as usize);
        let mut zeros = 0;
        let mut spilled = 0;
        for (i, b) in (0i64..).zip(bytes) {
            match b {
                ByteKind::Misc => {}
                ByteKind::Zero => zeros += 1,
                // A spilled pointer was refused above; bytes of a number are a number.
                ByteKind::Spill if slot.scalar_spill().is_some() => spilled += 1,
                ByteKind::Invalid if self.rights.allow_uninit_stack => {}
                ByteKind::Invalid
                | ByteKind::Spill
                | ByteKind::Dynptr
                | ByteKind::Iter
                | ByteKind::Irq => {
                    let size = size.bytes();
                    return Err(RejectKind::StackInvalidRead { off: at, i, size }.into());
                }
            }
        }
        let Some(dst) = into else { return Ok(()) };
        let spilled_zero = spilled == size.bytes() && slot.reg.is_null();
        let is_zero = zeros == size.bytes() || spilled_zero;
        if spilled_zero {
            self.note_stack(frame, slot_idx);
        }
        let value = if is_zero { Scalar::ZERO } else { Scalar::UNKNOWN };
        self.mark_loaded(dst, RegState::scalar(value), size, extend);
        Ok(())
    }

    fn fill(
        &mut self,
        frame: u8,
        slot_idx: usize,
        size: Size,
        dst: Reg,
        extend: Extend,
    ) -> Res<()> {
        let slot = *self.frame_ref(frame)?.stack.get(slot_idx).unwrap_or(&StackSlot::INVALID);
        let mut reg = slot.reg;
        let narrow = reg.is_scalar() && size != Size::DW;
        if narrow
            && self.rights.bpf_capable
            && size == Size::W
            && slot.spill_size() == 4
            && reg.width_bits() <= 32
            && extend == Extend::Zero
        {
            // The slot and the register now hold the same number: let comparisons of one teach the other.
            reg = self.link_spill(frame, slot_idx)?;
        }
        // SOUND: a fill that cuts bits off, or copies the sign into new ones, is another number.
        if narrow {
            let unchanged = match extend {
                Extend::Zero => reg.width_bits() <= size.bits(),
                Extend::Sign => reg.width_bits() < size.bits(),
            };
            if !unchanged {
                reg.unlink();
            }
        }
        self.note_stack(frame, slot_idx);
        self.mark_loaded(dst, reg, size, extend);
        Ok(())
    }

    /// Bytes may be read, from any place of a span on.
    // SOUND: each slot that a byte of it may lie in counts as read.
    fn note_span_read(&mut self, frame: u8, span: Span, size: u64) {
        let last = span.max.saturating_add_unsigned(size.saturating_sub(1));
        self.note_slots_read(frame, locate(span.min).0, locate(last).0);
    }

    fn link_spill(&mut self, frame: u8, slot_idx: usize) -> Res<RegState> {
        let id = self.new_id();
        let f = self.cur.frame_mut(frame).ok_or(Stop::Bug("no such frame"))?;
        let slot = f.stack.get_mut(slot_idx).ok_or(Stop::Bug("no such slot"))?;
        if slot.reg.shift != Shift::None {
            slot.reg.unlink();
        }
        if slot.reg.id == 0 && slot.reg.num.const_value().is_none() {
            slot.reg.id = id;
        }
        Ok(slot.reg)
    }

    /// Lets precision follow this instruction to or from a slot.
    fn note_stack(&mut self, frame: u8, slot_idx: usize) {
        self.history.note_stack(frame, slot_idx as u8);
    }

    fn read_variable(
        &mut self,
        frame: u8,
        span: Span,
        a: MemAccess,
        into: Option<Reg>,
        extend: Extend,
    ) -> Res<()> {
        let size = u64::from(a.size.bytes());
        self.note_span_read(frame, span, size);
        self.check_initialized(frame, a.base, span, size)?;
        let Some(dst) = into else { return Ok(()) };
        let f = self.frame_ref(frame)?;
        // SOUND: zero only if every byte that may be read is zero.
        let end = span.max + size as i64;
        let first_other = (span.min..end).find(|o| byte_at(f, *o) != ByteKind::Zero);
        let is_zero = first_other.is_none();
        self.log_state.note_slots(locate(first_other.unwrap_or(end - 1)).0, locate(span.min).0);
        let value = if is_zero { Scalar::ZERO } else { Scalar::UNKNOWN };
        self.mark_loaded(dst, RegState::scalar(value), a.size, extend);
        Ok(())
    }

    // SOUND: a whole or low part of a number is kept as such; a pointer only whole; any other write makes the bytes
    // it touches unknown or zero, and a spill that it touches is forgotten.
    fn write_fixed(&mut self, frame: u8, at: i64, size: Size, value: Value) -> Res<()> {
        let (slot_idx, byte) = locate(at);
        let n = size.bytes() as usize;
        self.log_state.note_slots(slot_idx, slot_idx);
        let old = *self.frame_ref(frame)?.stack.get(slot_idx).unwrap_or(&StackSlot::INVALID);
        let spilled_ptr = old.spill().is_some_and(|r| r.is_pointer());
        self.note_stale_load(value, (frame, slot_idx), &old, byte..byte + n);
        if size == Size::DW {
            self.note_slot_written(frame, slot_idx);
        }
        // SOUND: what is left of the pointer matters only to a path that reads it, and such a path marks the slot.
        if !self.rights.allow_ptr_leaks && spilled_ptr && size != Size::DW {
            return Err(RejectKind::CorruptSpill {}.into());
        }
        self.check_dynptr_overwrite(frame, slot_idx)?;
        self.mark_dynptr_overwritten(frame, slot_idx);
        let mut stored = match value {
            Value::Reg(r) => Some(*self.cur.reg(r)),
            Value::Imm(imm) => Some(RegState::scalar(Scalar::imm(imm))),
            Value::Unknown => None,
        };
        if let Some(reg) = &stored
            && reg.is_pointer()
        {
            if size != Size::DW {
                return Err(RejectKind::SpillSize {}.into());
            }
            let is_stack = matches!(reg.kind, crate::state::RegKind::Stack(_));
            if is_stack && usize::from(frame) != self.cur.cur_idx() {
                return Err(RejectKind::SpillIntoCaller {}.into());
            }
        }
        let is_spill = stored.is_some_and(|r| {
            r.is_pointer() || (byte == 0 && self.rights.bpf_capable && r.is_scalar())
        });
        if is_spill {
            if let (Value::Reg(r), Some(reg)) = (value, &mut stored)
                && reg.is_scalar()
            {
                // SOUND: cut to a narrower store, it is another number.
                if reg.width_bits() <= size.bits() {
                    self.link_before_copy(r);
                    *reg = *self.cur.reg(r);
                } else {
                    reg.unlink();
                }
            }
            self.note_stack(frame, slot_idx);
        }
        let writes_zero = !is_spill && stored.is_some_and(|r| r.is_null());
        if writes_zero && let Value::Reg(r) = value {
            // The bytes are zero for every state that is compared with this one.
            self.mark_precise(r)?;
        }
        let f = self.cur.frame_mut(frame).ok_or(Stop::Bug("no such frame"))?;
        f.grow(slot_idx);
        let Some(slot) = f.stack.get_mut(slot_idx) else {
            return Err(Stop::Bug("no such slot"));
        };
        match stored.filter(|_| is_spill) {
            Some(reg) => {
                slot.reg = reg;
                slot.object = SlotObject::None;
                for (i, b) in slot.bytes.iter_mut().enumerate() {
                    *b = match *b {
                        _ if i < n => ByteKind::Spill,
                        ByteKind::Zero => ByteKind::Zero,
                        ByteKind::Invalid => ByteKind::Invalid,
                        ByteKind::Spill
                        | ByteKind::Misc
                        | ByteKind::Dynptr
                        | ByteKind::Iter
                        | ByteKind::Irq => ByteKind::Misc,
                    };
                }
            }
            None => {
                slot.scrub();
                let kind = if writes_zero { ByteKind::Zero } else { ByteKind::Misc };
                for b in slot.bytes.iter_mut().skip(byte).take(n) {
                    *b = kind;
                }
            }
        }
        Ok(())
    }

    /// A load that passes this store in the processor would see what was there before (`nospec_result`).
    // SOUND: an older pointer read as a number, or an older number as a pointer, must not be used; a barrier behind the
    // store makes it visible first.
    fn note_stale_load(
        &mut self,
        value: Value,
        (frame, slot): (u8, usize),
        old: &StackSlot,
        bytes: core::ops::Range<usize>,
    ) {
        if self.rights.bypass_spec_v4 {
            return;
        }
        // SOUND: whether a barrier is needed depends on what was there, so no path may be left out that had other things
        // there.
        if bytes.len() == 8 {
            self.note_slots_read(frame, slot, slot);
        }
        let spills_pointer = match value {
            Value::Reg(r) => self.cur.reg(r).is_pointer(),
            Value::Imm(_) | Value::Unknown => false,
        };
        let is_plain = |b: &ByteKind| matches!(b, ByteKind::Misc | ByteKind::Zero);
        let reuses = old.bytes.get(bytes).is_none_or(|b| b.iter().any(|b| !is_plain(b)));
        if (spills_pointer || reuses)
            && let Some(f) = self.facts.get_mut(self.idx as usize)
        {
            f.barrier_after = true;
        }
    }

    // SOUND: every byte that may be written is no longer known, except that zero written over zero is zero.
    fn write_variable(&mut self, frame: u8, span: Span, size: Size, value: Value) -> Res<()> {
        let stored = match value {
            Value::Reg(r) => Some(*self.cur.reg(r)),
            Value::Imm(imm) => Some(RegState::scalar(Scalar::imm(imm))),
            Value::Unknown => None,
        };
        let writes_zero = stored.is_some_and(|r| r.is_null());
        let end = span.max + i64::from(size.bytes());
        for slot in locate(end - 1).0..=locate(span.min).0 {
            self.check_dynptr_overwrite(frame, slot)?;
            self.mark_dynptr_overwritten(frame, slot);
        }
        let mut zero_used = false;
        let (rights, insn) = (self.rights, self.idx);
        let f = self.cur.frame_mut(frame).ok_or(Stop::Bug("no such frame"))?;
        f.grow(locate(span.min).0);
        self.log_state.note_slots(locate(end - 1).0, locate(span.min).0);
        for off in span.min..end {
            let (slot_idx, byte) = locate(off);
            let Some(slot) = f.stack.get_mut(slot_idx) else { continue };
            // SOUND: what may not have been written must not be revealed later.
            match slot.bytes[byte] {
                ByteKind::Misc | ByteKind::Zero => {}
                ByteKind::Invalid
                | ByteKind::Spill
                | ByteKind::Dynptr
                | ByteKind::Iter
                | ByteKind::Irq
                    if !rights.allow_ptr_leaks =>
                {
                    return Err(SpecReject::WriteOverSpill { insn, off }.into());
                }
                ByteKind::Invalid if !rights.allow_uninit_stack => {
                    return Err(SpecReject::WriteOverUninit { insn, off }.into());
                }
                ByteKind::Invalid
                | ByteKind::Spill
                | ByteKind::Dynptr
                | ByteKind::Iter
                | ByteKind::Irq => {}
            }
            let spilled_zero = slot.bytes[byte] == ByteKind::Spill
                && slot.scalar_spill().is_some_and(|r| r.is_null());
            if writes_zero && (spilled_zero || slot.bytes[byte] == ByteKind::Zero) {
                zero_used = true;
                continue;
            }
            slot.lose_value();
            slot.bytes[byte] = ByteKind::Misc;
        }
        if zero_used && let Value::Reg(r) = value {
            self.mark_precise(r)?;
        }
        Ok(())
    }

    /// Every byte that may be read was written (`check_stack_range_initialized`).
    fn check_initialized(&self, frame: u8, base: Reg, span: Span, size: u64) -> Res<()> {
        let f = self.frame_ref(frame)?;
        let end = span.max + size as i64;
        for off in span.min..end {
            let (slot_idx, _) = locate(off);
            let ok = match byte_at(f, off) {
                ByteKind::Misc | ByteKind::Zero => true,
                ByteKind::Invalid => self.rights.allow_uninit_stack,
                ByteKind::Spill => {
                    self.rights.allow_ptr_leaks
                        || f.stack.get(slot_idx).is_some_and(|s| s.scalar_spill().is_some())
                }
                ByteKind::Dynptr | ByteKind::Iter | ByteKind::Irq => false,
            };
            if ok {
                continue;
            }
            let (reg, i) = (base.num(), off - span.min);
            let kind = match span.fixed() {
                Some(off) => RejectKind::StackIndirect { reg, off, i, size },
                None => {
                    let var_off = self.cur.reg(base).num.var_off;
                    RejectKind::StackIndirectVar { reg, var_off, i, size }
                }
            };
            return Err(kind.into());
        }
        Ok(())
    }

    /// A helper fills no dynptr, which it might be given as well.
    fn check_no_dynptr(&self, frame: u8, span: Span, size: u64) -> Res<()> {
        let f = self.frame_ref(frame)?;
        let end = span.max.saturating_add_unsigned(size);
        match (span.min..end).find(|o| byte_at(f, *o) == ByteKind::Dynptr) {
            Some(off) => Err(ObjectReject::HelperWritesDynptr { off }.into()),
            None => Ok(()),
        }
    }

    pub(super) fn check_helper_stack(
        &mut self,
        frame: u8,
        ptr: &RegState,
        r: Reg,
        m: HelperMem,
    ) -> Res<Option<RawFill>> {
        if m.size == 0 {
            return match m.zero {
                ZeroSize::Allowed => {
                    let is_write = m.access != HelperAccess::Read;
                    self.check_stack_bounds(frame, ptr, r, ptr.off.into(), 0, is_write)?;
                    Ok(None)
                }
                ZeroSize::Forbidden => Err(RejectKind::StackZeroRead {}.into()),
            };
        }
        let is_write = m.access.writes();
        let span = self.check_stack_bounds(frame, ptr, r, ptr.off.into(), m.size, is_write)?;
        if ptr.num.const_value().is_none() {
            self.check_var_offset_allowed(ptr, r)?;
        }
        let raw =
            m.access == HelperAccess::Write && m.exact == Exact::Yes && span.fixed().is_some();
        // SOUND: what a helper only fills is not read; nor does it count as overwritten, since a helper that fails may
        // leave it.
        if !raw {
            self.note_span_read(frame, span, m.size);
        }
        if !raw {
            self.check_initialized(frame, r, span, m.size)?;
        } else {
            self.check_no_dynptr(frame, span, m.size)?;
        }
        if raw && !self.rights.allow_ptr_leaks {
            // A helper that fails may leave the bytes as they were.
            let f = self.frame_ref(frame)?;
            let touches_pointer = (span.min..span.max + m.size as i64).any(|o| {
                f.stack.get(locate(o).0).and_then(StackSlot::spill).is_some_and(|r| r.is_pointer())
            });
            if touches_pointer {
                return Err(RejectKind::CorruptSpill {}.into());
            }
        }
        if !is_write {
            return Ok(None);
        }
        let size = m.size + (span.max - span.min).unsigned_abs();
        Ok(Some(RawFill { frame, off: span.min, size, is_exact: raw }))
    }

    /// The number that `size` stack bytes behind a pointer hold, if it is known (`get_constant_map_key`).
    // SOUND: whoever is given it relies on it, so the spill that it comes from matters from here on; bytes that are
    // zero are compared as such anyway.
    pub(crate) fn constant_on_stack(&mut self, r: Reg, size: u32) -> Res<Option<u64>> {
        let ptr = *self.cur.reg(r);
        let (RegKind::Stack(frame), Some(var), true) =
            (ptr.kind, ptr.num.const_value(), self.rights.bpf_capable)
        else {
            return Ok(None);
        };
        let at = i64::from(ptr.off).wrapping_add(var as i64);
        if !(-MAX_STACK..0).contains(&at) {
            return Ok(None);
        }
        let (slot_idx, byte) = locate(at);
        self.note_slots_read(frame, slot_idx, slot_idx);
        let slot = *self.frame_ref(frame)?.stack.get(slot_idx).unwrap_or(&StackSlot::INVALID);
        let bytes = slot.bytes.iter().skip(byte);
        let zeros = bytes.take_while(|b| **b == ByteKind::Zero).count() as u32;
        if zeros >= size {
            return Ok(Some(0));
        }
        let known = slot.scalar_spill().and_then(|r| r.num.const_value());
        let (Some(v), 0, true) = (known, byte, slot.spill_size() == size) else {
            return Ok(None);
        };
        self.mark_precise_place(Place::Slot(frame, slot_idx as u8));
        Ok(Some(v))
    }

    /// Marks stack bytes that a helper may have written.
    // SOUND: nothing is known of any byte that the helper may have touched.
    pub(crate) fn mark_filled(&mut self, fill: RawFill) {
        let Some(f) = self.cur.frame_mut(fill.frame) else { return };
        f.grow(locate(fill.off).0);
        if fill.is_exact {
            let last = (fill.off + fill.size as i64 - 1).max(fill.off);
            self.log_state.note_slots(locate(last).0, locate(fill.off).0);
        }
        for off in fill.off..fill.off + fill.size as i64 {
            let (slot_idx, byte) = locate(off);
            if let Some(slot) = f.stack.get_mut(slot_idx) {
                slot.scrub();
                slot.bytes[byte] = ByteKind::Misc;
            }
        }
    }
}
