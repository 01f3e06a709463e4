//! `BPF_PROG_TYPE_SOCKET_FILTER`: answers how many bytes of a packet a socket gets.

use super::{AttachRule, ProgKind, ProgType, ProgTypes, skb_fields};
use crate::packet::skb_field;
use crate::support::Support;
use skep_verifier::env::{CtxLayout, PacketAccess, ProgTypeProps};

/// `BPF_PROG_TYPE_SOCKET_FILTER`.
pub static SOCKET_FILTER: ProgType = ProgType {
    kind: ProgKind::SocketFilter,
    props: ProgTypeProps {
        prog_type: 1,
        name: "socket_filter",
        ctx: CtxLayout {
            name: "__sk_buff",
            size: skb_field::SIZE,
            fields: skb_fields::SOCKET_FILTER,
            raw_memory: None,
        },
        packet: PacketAccess::None,
        legacy_loads: true,
        ret_range: None,
        sleepable: false,
    },
    attach: AttachRule::Any,
    variants: &[],
    set: ProgTypes::SOCKET_FILTER,
    since: (3, 19),
    support: Support::Partial("no sockets: the sk field is always NULL"),
};
