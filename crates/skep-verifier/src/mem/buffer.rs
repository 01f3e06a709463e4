//! Buffers whose size is known when the program runs: of iterators (`PTR_TO_BUF`) and raw tracepoints that are
//! writable (`PTR_TO_TP_BUFFER`).
//!
//! The kernel compares the farthest access with the size when the program is attached or run.

use super::{Direction, HelperMem, MemAccess, UNKNOWN};
use crate::reject::{HelperReject, RejectKind};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Reg;

fn buffer_name(ptr: &RegState) -> &'static str {
    match ptr.kind {
        RegKind::TpBuffer => "tracepoint",
        _ if ptr.flags.has(PtrFlags::RDONLY) => "rdonly",
        _ => "rdwr",
    }
}

/// The access is at a known offset that is not negative (`__check_buffer_access`).
// SOUND: the end is not known here; whoever runs the program has to compare it.
fn check_buffer_offset(ptr: &RegState, r: Reg, off: i64, size: u64) -> Res<()> {
    let (reg, buf) = (r.num(), buffer_name(ptr));
    if off < 0 {
        return Err(HelperReject::BufferAccess { reg, buf, off, size }.into());
    }
    if ptr.num.const_value() != Some(0) {
        let var_off = ptr.num.var_off;
        return Err(HelperReject::BufferOffset { reg, off, var_off }.into());
    }
    Ok(())
}

impl Walk<'_> {
    pub(super) fn check_buffer(
        &self,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        if dir.is_write() && ptr.flags.has(PtrFlags::RDONLY) {
            let (reg, ty) = (a.base.num(), ptr.type_text());
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        let off = i64::from(ptr.off) + i64::from(a.off);
        check_buffer_offset(ptr, a.base, off, a.size.bytes().into())?;
        Ok(UNKNOWN)
    }

    pub(super) fn check_helper_buffer(&self, ptr: &RegState, r: Reg, m: HelperMem) -> Res<()> {
        if m.access.writes() && ptr.flags.has(PtrFlags::RDONLY) {
            let (reg, ty) = (r.num(), ptr.type_text());
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        check_buffer_offset(ptr, r, ptr.off.into(), m.size)
    }
}
