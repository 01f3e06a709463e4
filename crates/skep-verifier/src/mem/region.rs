//! Memory of a known size behind a pointer: the bounds check that map values and keys share.

use crate::insn::MAX_VAR_OFF;
use crate::reject::{HelperReject, RejectKind};
use crate::state::RegState;
use crate::walk::Res;

/// Whether an access of no bytes is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ZeroSize {
    /// It is.
    Allowed,
    /// It is not.
    Forbidden,
}

/// What memory it is, for the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Region {
    /// A map's value.
    MapValue,
    /// A map's key.
    MapKey,
    /// Other memory.
    Memory,
}

impl Region {
    fn reject(self, mem_size: u32, off: i64, size: u64) -> RejectKind {
        match self {
            Region::MapValue => RejectKind::MapValueBounds { mem_size, off, size },
            Region::MapKey => RejectKind::MapKeyBounds { mem_size, off, size },
            Region::Memory => HelperReject::MemoryBounds { mem_size, off, size }.into(),
        }
    }
}

/// `size` bytes at `off` lie in `0..mem_size` (`__check_mem_access`).
pub(crate) fn fits(mem_size: u64, off: i64, size: u64, zero: ZeroSize) -> bool {
    (size > 0 || zero == ZeroSize::Allowed)
        && u64::try_from(off).is_ok_and(|o| o.checked_add(size).is_some_and(|end| end <= mem_size))
}

/// `size` bytes at `off` from the pointer lie in the region, wherever in its bounds the pointer is
/// (`check_mem_region_access`). `off` includes the pointer's fixed part.
// SOUND: both ends of the variable part are tried; the offset is monotonic in it and cannot wrap, since the upper
// end is below 2^29 and the lower one is checked not to reach below the region.
pub(crate) fn check_region(
    region: Region,
    ptr: &RegState,
    reg: u8,
    off: i64,
    size: u64,
    mem_size: u32,
    zero: ZeroSize,
) -> Res<()> {
    let smin = ptr.num.smin();
    let low = smin.checked_add(off).filter(|l| i32::try_from(*l).is_ok());
    if smin < 0 && low.is_none_or(|l| l < 0) {
        return Err(RejectKind::MinNegative { reg }.into());
    }
    let low = smin.saturating_add(off);
    if !fits(mem_size.into(), low, size, zero) {
        let inner = Box::new(region.reject(mem_size, low, size));
        return Err(RejectKind::MinOutside { inner, reg }.into());
    }
    let umax = ptr.num.umax();
    let Some(umax) = i64::try_from(umax).ok().filter(|u| *u < MAX_VAR_OFF) else {
        return Err(RejectKind::Unbounded { reg }.into());
    };
    let high = umax + off;
    if !fits(mem_size.into(), high, size, zero) {
        let inner = Box::new(region.reject(mem_size, high, size));
        return Err(RejectKind::MaxOutside { inner, reg }.into());
    }
    Ok(())
}
