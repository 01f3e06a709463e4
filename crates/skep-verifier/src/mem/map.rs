//! Map values and keys.

use super::fields::AccessBy;
use super::region::{Region, check_region};
use super::{Direction, Extend, HelperMem, MemAccess, UNKNOWN, ZeroSize};
use crate::domain::Scalar;
use crate::env::{MapProps, MemAccess as HelperAccess};
use crate::pre::MapId;
use crate::reject::RejectKind;
use crate::state::RegState;
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::{Reg, Size};
use skep_abi::uapi::{BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG};

impl Walk<'_> {
    /// The map's properties.
    pub(crate) fn map(&self, id: MapId) -> Res<&MapProps> {
        self.prog.maps.get(id).map(|e| &e.props).ok_or(Stop::Bug("no such map"))
    }

    /// Judges an access to a value and gives what a load of it yields.
    pub(super) fn check_map_value(
        &mut self,
        id: MapId,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        self.check_leak(dir, |reg| RejectKind::LeakIntoMap { reg })?;
        let map = self.map(id)?;
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = u64::from(a.size.bytes());
        check_direction(map, off, size, dir.is_write())?;
        let reg = a.base.num();
        check_region(Region::MapValue, ptr, reg, off, size, map.value_size, ZeroSize::Forbidden)?;
        let kptr = match map.fields.is_empty() {
            true => None,
            false => self.check_fields(id, ptr, off, size, AccessBy::Insn)?,
        };
        if let Some(field) = kptr {
            return self.exec_kptr_access(ptr, &field);
        }
        let map = self.map(id)?;
        match dir {
            Direction::Read { into: Some(_), extend } => {
                Ok(constant(map, ptr, off, a.size, extend)
                    .map_or(UNKNOWN, |v| RegState::scalar(Scalar::constant(v))))
            }
            Direction::Read { into: None, .. } | Direction::Write { .. } => Ok(UNKNOWN),
        }
    }

    pub(super) fn check_map_key(
        &self,
        id: MapId,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        let reg = a.base.num();
        if dir.is_write() {
            return Err(RejectKind::WriteKey { reg }.into());
        }
        let off = i64::from(ptr.off) + i64::from(a.off);
        let key_size = self.map(id)?.key_size;
        let size = u64::from(a.size.bytes());
        check_region(Region::MapKey, ptr, reg, off, size, key_size, ZeroSize::Forbidden)?;
        Ok(UNKNOWN)
    }

    /// A byte of the value is where a pointer into it points.
    pub(crate) fn check_map_value_reach(&self, id: MapId, ptr: &RegState, r: Reg) -> Res<()> {
        let size = self.map(id)?.value_size;
        let off = i64::from(ptr.off);
        check_region(Region::MapValue, ptr, r.num(), off, 1, size, ZeroSize::Forbidden)
    }

    pub(super) fn check_helper_map_value(
        &self,
        id: MapId,
        ptr: &RegState,
        r: Reg,
        m: HelperMem,
    ) -> Res<()> {
        let map = self.map(id)?;
        let off = i64::from(ptr.off);
        if m.access != HelperAccess::Write {
            check_direction(map, off, m.size, false)?;
        }
        if m.access.writes() {
            check_direction(map, off, m.size, true)?;
        }
        check_region(Region::MapValue, ptr, r.num(), off, m.size, map.value_size, m.zero)?;
        if !map.fields.is_empty() {
            self.check_fields(id, ptr, off, m.size, AccessBy::Helper)?;
        }
        Ok(())
    }

    pub(super) fn check_helper_map_key(
        &self,
        id: MapId,
        ptr: &RegState,
        r: Reg,
        m: HelperMem,
    ) -> Res<()> {
        let (reg, ty) = (r.num(), ptr.type_text());
        if m.access.writes() {
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        let size = self.map(id)?.key_size;
        check_region(Region::MapKey, ptr, reg, ptr.off.into(), m.size, size, m.zero)
    }
}

/// The map's flags allow programs this direction (`check_map_access_type`).
fn check_direction(map: &MapProps, off: i64, size: u64, is_write: bool) -> Res<()> {
    let mem_size = map.value_size;
    if is_write && map.flags & BPF_F_RDONLY_PROG != 0 {
        return Err(RejectKind::MapWriteForbidden { mem_size, off, size }.into());
    }
    if !is_write && map.flags & BPF_F_WRONLY_PROG != 0 {
        return Err(RejectKind::MapReadForbidden { mem_size, off, size }.into());
    }
    Ok(())
}

/// The number at a constant offset of a value that nobody can change.
// SOUND: the environment gives `frozen_data` only for maps that neither side can write any more.
fn constant(map: &MapProps, ptr: &RegState, off: i64, size: Size, extend: Extend) -> Option<u64> {
    let at = off.checked_add(ptr.num.const_value()? as i64)?;
    let at = usize::try_from(at).ok()?;
    let bytes = map.frozen_data.as_ref()?.get(at..at.checked_add(size.bytes() as usize)?)?;
    let mut word = [0u8; 8];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let raw = u64::from_le_bytes(word);
    let shift = 64 - size.bits();
    Some(match extend {
        Extend::Zero => raw,
        Extend::Sign => ((raw << shift) as i64 >> shift) as u64,
    })
}
