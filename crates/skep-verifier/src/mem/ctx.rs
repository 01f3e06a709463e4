//! The context: fields by the program type's layout, or plain memory of the caller.

use super::{Align, Direction, Extend, HelperMem, MemAccess, UNKNOWN, Value, ZeroSize};
use crate::env::{CtxField, CtxFieldKind, CtxLayout, CtxWrite, Narrow, Nullable, SockRet};
use crate::reject::RejectKind;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PacketRange, PtrFlags, RegKind, RegState, SockKind};
use crate::walk::{Res, Stop, Walk, unsupported};
use skep_abi::insn::{Reg, Size};
use skep_abi::uapi::*;
use skep_btf::Kind;

impl Walk<'_> {
    /// Whether the context is memory that a helper may be given as it is: no access to it is converted.
    pub(super) fn has_plain_context(&self) -> bool {
        matches!(
            self.props.prog_type,
            BPF_PROG_TYPE_KPROBE
                | BPF_PROG_TYPE_TRACEPOINT
                | BPF_PROG_TYPE_CGROUP_DEVICE
                | BPF_PROG_TYPE_RAW_TRACEPOINT
                | BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE
                | BPF_PROG_TYPE_LIRC_MODE2
                | BPF_PROG_TYPE_TRACING
                | BPF_PROG_TYPE_STRUCT_OPS
                | BPF_PROG_TYPE_LSM
                | BPF_PROG_TYPE_SYSCALL
                | BPF_PROG_TYPE_NETFILTER
        )
    }

    /// A helper is given the context as memory: its last byte is judged (the context in `check_helper_mem_access`).
    // SOUND: only contexts of which every byte up to an accessible one is accessible too are given as memory here.
    pub(super) fn check_helper_ctx(&mut self, r: Reg, m: HelperMem) -> Res<()> {
        let Some(last) = m.size.checked_sub(1) else {
            let size = RejectKind::CtxAccess { off: 0, size: 0 };
            return if m.zero == ZeroSize::Allowed { Ok(()) } else { Err(size.into()) };
        };
        let off = i32::try_from(last).map_err(|_| Stop::Bug("size not checked"))?;
        let access = MemAccess { base: r, off, size: Size::B, align: Align::Natural };
        self.access_memory(access, Direction::Read { into: None, extend: Extend::Zero })?;
        if m.access.writes() {
            self.access_memory(access, Direction::Write { value: Value::Unknown })?;
        }
        Ok(())
    }

    pub(super) fn check_ctx(
        &mut self,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
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
        let caps = self.env.caps();
        let ok = match dir {
            Direction::Read { extend, .. } => {
                // A pointer becomes a full load: it cannot be sign-extended.
                let is_plain =
                    extend == Extend::Zero || matches!(field.kind, CtxFieldKind::Scalar { .. });
                field.read
                    && is_plain
                    && caps.allows(field.read_needs)
                    && may_read(field, within, a.size)
            }
            Direction::Write { .. } => {
                caps.allows(field.write_needs) && may_write(field, within, a.size)
            }
        };
        if !ok {
            return Err(invalid.into());
        }
        if dir.is_write() {
            return Ok(UNKNOWN);
        }
        self.ctx_value(field.kind)
    }

    /// What a load of a field yields.
    fn ctx_value(&mut self, kind: CtxFieldKind) -> Res<RegState> {
        Ok(match kind {
            CtxFieldKind::Scalar { .. } => UNKNOWN,
            CtxFieldKind::PacketData => RegState::pointer(RegKind::Packet(PacketRange::Bytes(0))),
            CtxFieldKind::PacketMeta => {
                RegState::pointer(RegKind::PacketMeta(PacketRange::Bytes(0)))
            }
            CtxFieldKind::PacketEnd => RegState::pointer(RegKind::PacketEnd),
            CtxFieldKind::Socket(sort, nullable) => {
                let sort = match sort {
                    SockRet::Full => SockKind::Full,
                    SockRet::Common => SockKind::Common,
                    SockRet::Tcp => SockKind::Tcp,
                };
                match nullable {
                    Nullable::No => RegState::pointer(RegKind::Socket(sort)),
                    Nullable::Yes => {
                        RegState::pointer_or_null(RegKind::Socket(sort), self.new_id())
                    }
                }
            }
            CtxFieldKind::FlowKeys => RegState::pointer(RegKind::FlowKeys),
            CtxFieldKind::TpBuffer => RegState::pointer(RegKind::TpBuffer),
            CtxFieldKind::Object(name) => {
                let found = self
                    .env
                    .kernel_btf()
                    .and_then(|btf| btf.find_by_name_kind(name, Kind::Struct))
                    .map(|t| t.id().0);
                let Some(id) = found else {
                    return Err(unsupported(format!("struct {name} without the kernel's types")));
                };
                let object = RegKind::Btf(BtfType { btf: BtfOwner::Kernel, id });
                RegState { flags: PtrFlags::TRUSTED, ..RegState::pointer(object) }
            }
        })
    }
}

/// The field that covers a byte, and the byte's offset in it.
pub(crate) fn field_at(layout: &CtxLayout, off: u32) -> Option<(&'static CtxField, u32)> {
    let field = layout.fields.iter().find(|f| f.off <= off && off - f.off < f.size)?;
    Some((field, off - field.off))
}

/// Elements are aligned in the structure, not in the field.
fn inside(field: &CtxField, within: u32, size: Size) -> bool {
    (field.off + within).is_multiple_of(size.bytes())
        && within + size.bytes() <= field.size
        && size.bytes() <= field.max_access.bytes()
}

fn may_read(field: &CtxField, within: u32, size: Size) -> bool {
    let whole = size == field.max_access;
    match field.kind {
        CtxFieldKind::Scalar { narrow } => {
            inside(field, within, size)
                && match narrow {
                    Narrow::No => whole,
                    Narrow::Any => true,
                    Narrow::Start => within == 0,
                    Narrow::Halves => size != Size::B,
                    Narrow::LowHalf => whole || within + size.bytes() <= 2,
                }
        }
        CtxFieldKind::PacketData
        | CtxFieldKind::PacketEnd
        | CtxFieldKind::PacketMeta
        | CtxFieldKind::Socket(..)
        | CtxFieldKind::FlowKeys
        | CtxFieldKind::TpBuffer
        | CtxFieldKind::Object(_) => within == 0 && size.bytes() == field.size,
    }
}

fn may_write(field: &CtxField, within: u32, size: Size) -> bool {
    let is_scalar = matches!(field.kind, CtxFieldKind::Scalar { .. });
    is_scalar
        && inside(field, within, size)
        && match field.write {
            CtxWrite::No => false,
            CtxWrite::Whole => size == field.max_access,
            CtxWrite::Any => true,
            CtxWrite::Words => size.bytes() >= 4,
        }
}
