//! Pointer arithmetic: a pointer and a number, added or subtracted.

use super::alu::op_text;
use crate::domain::{Range, Scalar};
use crate::reject::RejectKind;
use crate::state::{PacketRange, RegKind, RegState, TypeText};
use crate::walk::{Res, Walk};
use skep_abi::insn::{AluOp, Reg, Src, Width};

/// Offsets stay below this, in either direction (`BPF_MAX_VAR_OFF`).
pub(crate) const MAX_VAR_OFF: i64 = 1 << 29;

/// Which operand is the pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// `pointer op= number`.
    PtrFirst,
    /// `number op= pointer`.
    PtrLast,
}

impl Walk<'_> {
    /// `dst = ptr op off`, or the other way round (`adjust_ptr_min_max_vals`).
    pub(super) fn adjust_pointer(
        &mut self,
        width: Width,
        op: AluOp,
        (dst, src): (Reg, Src),
        ptr: RegState,
        off: RegState,
        order: Order,
    ) -> Res<()> {
        let reg = dst.num();
        let known = off.num.const_value().map(|v| v as i64);
        if off.num.is_empty() {
            // Bounds from a path that cannot be; whatever it is, it is a number.
            *self.cur.reg_mut(dst) = RegState::UNKNOWN;
            return Ok(());
        }
        if width == Width::W32 {
            if op == AluOp::Sub && self.rights.allow_ptr_leaks {
                *self.cur.reg_mut(dst) = RegState::scalar(Scalar::loaded(skep_abi::insn::Size::W));
                return Ok(());
            }
            return Err(RejectKind::PointerArithmetic32 { reg }.into());
        }
        check_kind(reg, &ptr, op, known)?;
        check_sane(&off, ptr.type_text())?;
        check_sane(&ptr, ptr.type_text())?;
        let window = self.guard_pointer(op, (dst, src), &ptr, &off, order)?;
        let mut new = match op {
            AluOp::Add => add(&ptr, &off, known),
            AluOp::Sub => {
                if order == Order::PtrLast {
                    return Err(RejectKind::PointerFromScalar { reg }.into());
                }
                if matches!(ptr.kind, RegKind::Stack(_)) {
                    return Err(RejectKind::SubFromStack { reg }.into());
                }
                sub(&ptr, &off, known)
            }
            AluOp::And | AluOp::Or | AluOp::Xor => {
                return Err(RejectKind::PointerBitwise { reg, op: op_text(op) }.into());
            }
            AluOp::Mul
            | AluOp::Div
            | AluOp::Sdiv
            | AluOp::Lsh
            | AluOp::Rsh
            | AluOp::Arsh
            | AluOp::Mod
            | AluOp::Smod
            | AluOp::Mov => {
                return Err(RejectKind::PointerOperator { reg, op: op_text(op) }.into());
            }
        };
        if new.off == ptr.off && known != Some(0) && new.kind.is_packet() {
            // A new variable part: what was known of the packet behind the old one is not of this one.
            new.id = self.new_id();
        }
        check_sane(&new, ptr.type_text())?;
        self.check_moved(dst, &new)?;
        self.guard_moved(op, (dst, src), &new, window)?;
        *self.cur.reg_mut(dst) = new;
        Ok(())
    }
}

fn fixed(ptr: &RegState, delta: Option<i64>) -> Option<i32> {
    i32::try_from(i64::from(ptr.off).checked_add(delta?)?).ok()
}

/// The pointer at another fixed offset.
///
// SOUND: bytes known to be in the packet are counted from the variable part, so they stay; that this very pointer
// is at the packet's end does not hold for another one.
fn moved(ptr: &RegState, off: i32) -> RegState {
    let kind = match ptr.kind.packet_range() {
        Some(PacketRange::AtEnd | PacketRange::BeyondEnd) if off != ptr.off => {
            ptr.kind.with_range(PacketRange::Bytes(0))
        }
        _ => ptr.kind,
    };
    RegState { off, kind, ..*ptr }
}

/// Bounds of the variable part, from its 64-bit bounds only: pointers carry no 32-bit ones.
fn variable(num: Scalar) -> Scalar {
    Scalar { u32: Range::FULL, s32: Range::FULL, ..num }.synced()
}

// SOUND: a constant goes to the fixed part; else the variable parts add, and a packet pointer loses its range,
// since the range counts from the end of the variable part.
fn add(ptr: &RegState, off: &RegState, known: Option<i64>) -> RegState {
    if let Some(fixed) = fixed(ptr, known) {
        return moved(ptr, fixed);
    }
    RegState {
        num: variable(ptr.num.alu(Width::W64, AluOp::Add, &off.num)),
        kind: ptr.kind.with_range(PacketRange::Bytes(0)),
        ..*ptr
    }
}

// SOUND: as for `add`; going back by a number that is not negative, the pointer reaches at least as far as before.
fn sub(ptr: &RegState, off: &RegState, known: Option<i64>) -> RegState {
    if let Some(fixed) = fixed(ptr, known.and_then(i64::checked_neg)) {
        return moved(ptr, fixed);
    }
    let kind = match ptr.kind.packet_range() {
        Some(PacketRange::Bytes(_)) if off.num.smin() >= 0 => ptr.kind,
        Some(_) => ptr.kind.with_range(PacketRange::Bytes(0)),
        None => ptr.kind,
    };
    RegState { num: variable(ptr.num.alu(Width::W64, AluOp::Sub, &off.num)), kind, ..*ptr }
}

/// Kinds of pointers that may be moved.
fn check_kind(reg: u8, ptr: &RegState, op: AluOp, known: Option<i64>) -> Res<()> {
    let is_nop = known == Some(0) && op == AluOp::Add;
    let ty = ptr.type_text();
    if ptr.may_be_null() {
        return Err(RejectKind::PointerMaybeNull { reg, ty }.into());
    }
    match ptr.kind {
        RegKind::Ctx
        | RegKind::MapValue(_)
        | RegKind::MapKey(_)
        | RegKind::Stack(_)
        | RegKind::Packet(_)
        | RegKind::PacketMeta(_)
        | RegKind::Func(_)
        | RegKind::TpBuffer
        | RegKind::Mem(_)
        | RegKind::Buf
        | RegKind::Arena
        | RegKind::Btf(_)
        | RegKind::Dynptr(_) => Ok(()),
        RegKind::Map(_) if is_nop => Ok(()),
        RegKind::Map(_)
        | RegKind::PacketEnd
        | RegKind::NotInit
        | RegKind::Scalar
        | RegKind::FlowKeys
        | RegKind::Socket(_) => Err(RejectKind::PointerKind { reg, ty }.into()),
    }
}

/// Offsets that cannot overflow when they are added up (`check_reg_sane_offset`).
fn check_sane(r: &RegState, ty: TypeText) -> Res<()> {
    let too_far = |v: i64| v >= MAX_VAR_OFF || v <= -MAX_VAR_OFF;
    let smin = r.num.smin();
    if let Some(val) = r.num.const_value().map(|v| v as i64).filter(|v| too_far(*v)) {
        return Err(RejectKind::PointerMath { ty, val }.into());
    }
    if r.is_pointer() && too_far(i64::from(r.off)) {
        return Err(RejectKind::PointerOffset { ty, off: r.off }.into());
    }
    if smin == i64::MIN {
        return Err(RejectKind::PointerUnbounded { ty }.into());
    }
    if too_far(smin) {
        return Err(RejectKind::PointerOutOfBounds { ty, val: smin }.into());
    }
    Ok(())
}
