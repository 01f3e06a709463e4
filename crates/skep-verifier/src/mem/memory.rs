//! Memory of a known size that helpers, kernel functions and global functions give (`PTR_TO_MEM`).

use super::region::{Region, check_region};
use super::{Direction, HelperMem, MemAccess, UNKNOWN, ZeroSize};
use crate::reject::RejectKind;
use crate::state::{PtrFlags, RegState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Reg;

impl Walk<'_> {
    pub(super) fn check_memory(
        &self,
        mem_size: u32,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        let (reg, ty) = (a.base.num(), ptr.type_text());
        if dir.is_write() && ptr.flags.has(PtrFlags::RDONLY) {
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        self.check_leak(dir, |reg| RejectKind::LeakIntoMem { reg })?;
        // SOUND: memory that is read-only and untrusted is read with faults caught, whatever the address.
        if !ptr.flags.has(PtrFlags::RDONLY.with(PtrFlags::UNTRUSTED)) {
            let off = i64::from(ptr.off) + i64::from(a.off);
            let size = a.size.bytes().into();
            check_region(Region::Memory, ptr, reg, off, size, mem_size, ZeroSize::Forbidden)?;
        }
        Ok(UNKNOWN)
    }

    pub(super) fn check_helper_memory(
        &self,
        mem_size: u32,
        ptr: &RegState,
        r: Reg,
        m: HelperMem,
    ) -> Res<()> {
        if m.access.writes() && ptr.flags.has(PtrFlags::RDONLY) {
            let (reg, ty) = (r.num(), ptr.type_text());
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        check_region(Region::Memory, ptr, r.num(), ptr.off.into(), m.size, mem_size, m.zero)
    }
}
