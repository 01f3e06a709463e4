//! The context: fields by the program type's layout, or plain memory of the caller.

use super::{Direction, Extend, MemAccess, UNKNOWN};
use crate::env::{CtxField, CtxFieldKind, CtxLayout, CtxWrite};
use crate::reject::RejectKind;
use crate::state::{PacketRange, RegKind, RegState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Size;

impl Walk<'_> {
    pub(super) fn check_ctx(&self, ptr: &RegState, a: MemAccess, dir: Direction) -> Res<RegState> {
        self.check_leak(dir, |reg| RejectKind::LeakIntoCtx { reg })?;
        self.check_unmoved(a.base)?;
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = a.size.bytes();
        let invalid = RejectKind::CtxAccess { off, size };
        let layout = &self.props.ctx;
        if let Some(limit) = layout.raw_memory {
            let aligned = off.rem_euclid(i64::from(size)) == 0;
            let inside = off >= 0 && off + i64::from(size) <= i64::from(limit);
            return if aligned && inside { Ok(UNKNOWN) } else { Err(invalid.into()) };
        }
        let Some((field, within)) = u32::try_from(off).ok().and_then(|o| field_at(layout, o))
        else {
            return Err(invalid.into());
        };
        let ok = match dir {
            // A packet pointer becomes a full load: it cannot be sign-extended.
            Direction::Read { extend: Extend::Sign, .. } => {
                field.read
                    && matches!(field.kind, CtxFieldKind::Scalar { .. })
                    && may_read(field, within, a.size)
            }
            Direction::Read { extend: Extend::Zero, .. } => {
                field.read && may_read(field, within, a.size)
            }
            Direction::Write { .. } => may_write(field, within, a.size),
        };
        if !ok {
            return Err(invalid.into());
        }
        if dir.is_write() {
            return Ok(UNKNOWN);
        }
        Ok(match field.kind {
            CtxFieldKind::Scalar { .. } => UNKNOWN,
            CtxFieldKind::PacketData => RegState::pointer(RegKind::Packet(PacketRange::Bytes(0))),
            CtxFieldKind::PacketMeta => {
                RegState::pointer(RegKind::PacketMeta(PacketRange::Bytes(0)))
            }
            CtxFieldKind::PacketEnd => RegState::pointer(RegKind::PacketEnd),
        })
    }
}

/// The field that covers a byte, and the byte's offset in it.
pub(crate) fn field_at(layout: &CtxLayout, off: u32) -> Option<(&'static CtxField, u32)> {
    let field = layout.fields.iter().find(|f| f.off <= off && off - f.off < f.size)?;
    Some((field, off - field.off))
}

fn inside(field: &CtxField, within: u32, size: Size) -> bool {
    within.is_multiple_of(size.bytes())
        && within + size.bytes() <= field.size
        && size.bytes() <= field.max_access.bytes()
}

fn may_read(field: &CtxField, within: u32, size: Size) -> bool {
    match field.kind {
        CtxFieldKind::Scalar { narrow: true } => inside(field, within, size),
        CtxFieldKind::Scalar { narrow: false } => {
            inside(field, within, size) && size == field.max_access
        }
        CtxFieldKind::PacketData | CtxFieldKind::PacketEnd | CtxFieldKind::PacketMeta => {
            within == 0 && size.bytes() == field.size
        }
    }
}

fn may_write(field: &CtxField, within: u32, size: Size) -> bool {
    let is_scalar = matches!(field.kind, CtxFieldKind::Scalar { .. });
    is_scalar
        && match field.write {
            CtxWrite::No => false,
            CtxWrite::Whole => inside(field, within, size) && size == field.max_access,
            CtxWrite::Any => inside(field, within, size),
        }
}
