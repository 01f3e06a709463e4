//! Program types of lightweight tunnels. The verifier judges them; there are no routes to run them on.
//! Facts: `lwt_is_valid_access` in net/core/filter.c.

use super::{ProgType, ProgTypes, judged, packets, skb_fields};
use skep_abi::uapi::{
    BPF_PROG_TYPE_LWT_IN, BPF_PROG_TYPE_LWT_OUT, BPF_PROG_TYPE_LWT_SEG6LOCAL,
    BPF_PROG_TYPE_LWT_XMIT,
};
use skep_verifier::env::PacketAccess;

const NOTE: &str = "judged, but not run: there are no routes";

const fn lwt(
    number: u32,
    name: &'static str,
    set: ProgTypes,
    since: (u16, u16),
    packet: PacketAccess,
) -> ProgType {
    let ctx = skb_fields::layout(skb_fields::LWT);
    packets(judged(number, name, set, since, ctx, NOTE), packet)
}

pub(super) static LWT_IN: ProgType =
    lwt(BPF_PROG_TYPE_LWT_IN, "lwt_in", ProgTypes::LWT_IN, (4, 10), PacketAccess::Read);
pub(super) static LWT_OUT: ProgType =
    lwt(BPF_PROG_TYPE_LWT_OUT, "lwt_out", ProgTypes::LWT_OUT, (4, 10), PacketAccess::Read);
pub(super) static LWT_XMIT: ProgType =
    lwt(BPF_PROG_TYPE_LWT_XMIT, "lwt_xmit", ProgTypes::LWT_XMIT, (4, 10), PacketAccess::ReadWrite);
pub(super) static LWT_SEG6LOCAL: ProgType = lwt(
    BPF_PROG_TYPE_LWT_SEG6LOCAL,
    "lwt_seg6local",
    ProgTypes::LWT_SEG6LOCAL,
    (4, 18),
    PacketAccess::Read,
);
