//! Sockets: which fields of `struct bpf_sock`, `bpf_tcp_sock` and `bpf_xdp_sock` may be read.

use super::{Direction, MemAccess, UNKNOWN};
use crate::reject::{HelperReject, RejectKind};
use crate::state::{RegState, SockKind};
use crate::walk::{Res, Walk};

/// Whether a field of a socket may be read like that.
fn is_valid(sort: SockKind, off: u32, size: u32) -> bool {
    if !off.is_multiple_of(size) {
        return false;
    }
    match sort {
        SockKind::Full => is_valid_sock(off, size),
        // `type` to `priority` only full sockets have.
        SockKind::Common => !(8..24).contains(&off) && is_valid_sock(off, size),
        // `bytes_received` and `bytes_acked` are wide.
        SockKind::Tcp => off < 112 && size == if matches!(off, 80 | 88) { 8 } else { 4 },
        SockKind::Xdp => off == 0 && size == 4,
    }
}

/// `struct bpf_sock`. Facts: `bpf_sock_is_valid_access` of net/core/filter.c.
fn is_valid_sock(off: u32, size: u32) -> bool {
    match off {
        // The low bytes of family, type, protocol, src_port, state and rx_queue_mapping; any of the addresses.
        4 | 8 | 12 | 44 | 72 | 76 | 24..44 | 52..72 => size <= 4,
        // dst_port has two bytes, and may be read with the padding behind it.
        48 => size <= 4,
        49 => size == 1,
        50 | 51 => false,
        _ => off < 80 && size == 4,
    }
}

impl Walk<'_> {
    /// A load from a socket (`check_sock_access`).
    pub(super) fn check_socket(
        &self,
        sort: SockKind,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        let (reg, ty) = (a.base.num(), ptr.type_text());
        if dir.is_write() {
            return Err(RejectKind::CannotWriteInto { reg, ty }.into());
        }
        if ptr.num.smin() < 0 {
            return Err(RejectKind::MinNegative { reg }.into());
        }
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = a.size.bytes();
        let ok = ptr.num.const_value() == Some(0)
            && u32::try_from(off).is_ok_and(|off| is_valid(sort, off, size));
        if !ok {
            return Err(HelperReject::SockAccess { reg, ty, off, size }.into());
        }
        Ok(UNKNOWN)
    }
}
