//! Packet memory: only bytes that a comparison with the packet's end has proved to be there.

use super::region::fits;
use super::{Direction, MemAccess, UNKNOWN, ZeroSize};
use crate::reject::RejectKind;
use crate::state::{PacketRange, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;

impl Walk<'_> {
    pub(super) fn check_packet(
        &self,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        if dir.is_write() && !self.props.packet.is_writable() {
            return Err(RejectKind::PacketWrite {}.into());
        }
        self.check_leak(dir, |reg| RejectKind::LeakIntoPacket { reg })?;
        let off = i64::from(ptr.off) + i64::from(a.off);
        self.check_packet_range(ptr, a.base, off, a.size.bytes().into(), ZeroSize::Forbidden)?;
        Ok(UNKNOWN)
    }

    /// `size` bytes at `off` behind the pointer's variable part are in the packet (`check_packet_access`).
    // SOUND: the range counts from the end of the variable part, which is not negative, so whatever it is, the bytes
    // `0..range` behind it are in the packet.
    pub(super) fn check_packet_range(
        &self,
        ptr: &RegState,
        base: Reg,
        off: i64,
        size: u64,
        zero: ZeroSize,
    ) -> Res<()> {
        let reg = base.num();
        if ptr.num.smin() < 0 {
            return Err(RejectKind::MinNegative { reg }.into());
        }
        let range = ptr.kind.packet_range().ok_or(Stop::Bug("not a packet pointer"))?;
        let PacketRange::Bytes(bytes) = range else {
            return Err(RejectKind::PacketAtEnd { reg }.into());
        };
        if fits(bytes.into(), off, size, zero) {
            return Ok(());
        }
        Err(RejectKind::PacketBounds { off, size, reg, id: ptr.id, range: bytes }.into())
    }
}
