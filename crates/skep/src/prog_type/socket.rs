//! Program types of sockets. The verifier judges them; there are no sockets to run them on.
//! Facts: net/core/filter.c.

use super::field::{bytes, narrow, number, pointer, socket, whole, wide, words, writable};
use super::{AttachRule, ProgType, ProgTypes, judged, layout, packets, skb_fields};
use skep_abi::uapi::*;
use skep_verifier::env::{
    CtxField, CtxFieldKind, CtxWrite, Narrow, Nullable, PacketAccess, SockRet,
};

const NOTE: &str = "judged, but not run: there are no sockets";
const BOOL: (i64, i64) = (0, 1);

static SOCK_OPS_FIELDS: &[CtxField] = &[
    whole("op", 0),
    writable(whole("reply", 4), CtxWrite::Whole),
    words("args", 8, 12),
    whole("family", 20),
    whole("remote_ip4", 24),
    whole("local_ip4", 28),
    words("remote_ip6", 32, 16),
    words("local_ip6", 48, 16),
    // From remote_port to sacked_out, each of 32 bits.
    words("remote_port", 64, 100),
    writable(whole("sk_txhash", 164), CtxWrite::Whole),
    wide("bytes_received", 168),
    wide("bytes_acked", 176),
    socket("sk", 184, SockRet::Full, Nullable::Yes),
    pointer("skb_data", 192, CtxFieldKind::PacketData),
    pointer("skb_data_end", 200, CtxFieldKind::PacketEnd),
    whole("skb_len", 208),
    narrow(number("skb_tcp_flags", 212), Narrow::Start),
    wide("skb_hwtstamp", 216),
];

pub(super) static SOCK_OPS: ProgType = judged(
    BPF_PROG_TYPE_SOCK_OPS,
    "sock_ops",
    ProgTypes::SOCK_OPS,
    (4, 13),
    layout("bpf_sock_ops", 224, SOCK_OPS_FIELDS),
    NOTE,
)
.returns(BOOL);

pub(super) static SK_SKB: ProgType = packets(
    judged(
        BPF_PROG_TYPE_SK_SKB,
        "sk_skb",
        ProgTypes::SK_SKB,
        (4, 14),
        skb_fields::layout(skb_fields::SK_SKB),
        NOTE,
    ),
    PacketAccess::ReadWrite,
);

static SK_MSG_FIELDS: &[CtxField] = &[
    pointer("data", 0, CtxFieldKind::PacketData),
    pointer("data_end", 8, CtxFieldKind::PacketEnd),
    whole("family", 16),
    whole("remote_ip4", 20),
    whole("local_ip4", 24),
    words("remote_ip6", 28, 16),
    words("local_ip6", 44, 16),
    whole("remote_port", 60),
    whole("local_port", 64),
    whole("size", 68),
    socket("sk", 72, SockRet::Full, Nullable::No),
];

pub(super) static SK_MSG: ProgType = packets(
    judged(
        BPF_PROG_TYPE_SK_MSG,
        "sk_msg",
        ProgTypes::SK_MSG,
        (4, 17),
        layout("sk_msg_md", 80, SK_MSG_FIELDS),
        NOTE,
    ),
    PacketAccess::ReadWrite,
);

static SK_REUSEPORT_FIELDS: &[CtxField] = &[
    pointer("data", 0, CtxFieldKind::PacketData),
    pointer("data_end", 8, CtxFieldKind::PacketEnd),
    number("len", 16),
    narrow(number("eth_protocol", 20), Narrow::Halves),
    number("ip_protocol", 24),
    number("bind_inany", 28),
    whole("hash", 32),
    socket("sk", 40, SockRet::Full, Nullable::No),
    socket("migrating_sk", 48, SockRet::Common, Nullable::Yes),
];

pub(super) static SK_REUSEPORT: ProgType = ProgType {
    attach: AttachRule::OneOfOr(
        &[BPF_SK_REUSEPORT_SELECT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE],
        BPF_SK_REUSEPORT_SELECT,
    ),
    ..packets(
        judged(
            BPF_PROG_TYPE_SK_REUSEPORT,
            "sk_reuseport",
            ProgTypes::SK_REUSEPORT,
            (4, 19),
            layout("sk_reuseport_md", 56, SK_REUSEPORT_FIELDS),
            NOTE,
        ),
        PacketAccess::Read,
    )
};

pub(super) static FLOW_DISSECTOR: ProgType = packets(
    judged(
        BPF_PROG_TYPE_FLOW_DISSECTOR,
        "flow_dissector",
        ProgTypes::FLOW_DISSECTOR,
        (4, 20),
        skb_fields::layout(skb_fields::FLOW_DISSECTOR),
        "judged, but not run: there is no flow dissector",
    ),
    PacketAccess::Read,
);

static SK_LOOKUP_FIELDS: &[CtxField] = &[
    socket("sk", 0, SockRet::Full, Nullable::Yes),
    number("family", 8),
    number("protocol", 12),
    number("remote_ip4", 16),
    bytes("remote_ip6", 20, 16),
    number("remote_port", 36),
    number("local_ip4", 40),
    bytes("local_ip6", 44, 16),
    number("local_port", 60),
    number("ingress_ifindex", 64),
];

pub(super) static SK_LOOKUP: ProgType = ProgType {
    attach: AttachRule::OneOf(&[BPF_SK_LOOKUP]),
    ..judged(
        BPF_PROG_TYPE_SK_LOOKUP,
        "sk_lookup",
        ProgTypes::SK_LOOKUP,
        (5, 9),
        layout("bpf_sk_lookup", 72, SK_LOOKUP_FIELDS),
        NOTE,
    )
    .returns(BOOL)
};
