//! The fields of `struct __sk_buff` and who may read or write them. Facts: `bpf_skb_is_valid_access`,
//! `sk_filter_is_valid_access` and `tc_cls_act_is_valid_access` in net/core/filter.c.

use super::field::{narrow, short_pointer, socket, words};
use crate::packet::skb_field as f;
use skep_abi::insn::Size;
use skep_verifier::env::{
    Caps, CtxField, CtxFieldKind, CtxLayout, CtxWrite, Narrow, Nullable, SockRet,
};

pub(super) const fn layout(fields: &'static [CtxField]) -> CtxLayout {
    super::layout("__sk_buff", f::SIZE, fields)
}

/// A number of 32 bits, readable in parts.
const fn number(name: &'static str, off: u32, write: CtxWrite) -> CtxField {
    CtxField { write, ..CtxField::number(name, off) }
}

const fn wide(name: &'static str, off: u32, write: CtxWrite) -> CtxField {
    narrow(CtxField { size: 8, max_access: Size::DW, ..number(name, off, write) }, Narrow::No)
}

const fn pointer(name: &'static str, off: u32, kind: CtxFieldKind, native_off: u32) -> CtxField {
    CtxField { native_off, ..short_pointer(name, off, kind) }
}

const CB: CtxField =
    CtxField { size: 20, max_access: Size::DW, ..number("cb", f::CB, CtxWrite::Any) };

const TSTAMP_TYPE: CtxField = CtxField {
    size: 1,
    max_access: Size::B,
    ..number("tstamp_type", f::TSTAMP_TYPE, CtxWrite::No)
};

const DATA: CtxField = pointer("data", f::DATA, CtxFieldKind::PacketData, f::NATIVE_DATA);
const DATA_END: CtxField =
    pointer("data_end", f::DATA_END, CtxFieldKind::PacketEnd, f::NATIVE_DATA_END);
const DATA_META: CtxField =
    pointer("data_meta", f::DATA_META, CtxFieldKind::PacketMeta, f::NATIVE_DATA_META);
/// NULL in every packet that Skep runs programs on.
const SK: CtxField = socket("sk", f::SK, SockRet::Common, Nullable::Yes);

const NO: CtxWrite = CtxWrite::No;
const W: CtxWrite = CtxWrite::Whole;

/// What socket filters see.
pub(super) static SOCKET_FILTER: &[CtxField] = &[
    number("len", f::LEN, NO),
    number("pkt_type", f::PKT_TYPE, NO),
    number("mark", f::MARK, NO),
    number("queue_mapping", f::QUEUE_MAPPING, NO),
    number("protocol", f::PROTOCOL, NO),
    number("vlan_present", f::VLAN_PRESENT, NO),
    number("vlan_tci", f::VLAN_TCI, NO),
    number("vlan_proto", f::VLAN_PROTO, NO),
    number("priority", f::PRIORITY, NO),
    number("ingress_ifindex", f::INGRESS_IFINDEX, NO),
    number("ifindex", f::IFINDEX, NO),
    number("tc_index", f::TC_INDEX, NO),
    CB,
    number("hash", f::HASH, NO),
    number("napi_id", f::NAPI_ID, NO),
    number("gso_segs", f::GSO_SEGS, NO),
    SK,
    number("gso_size", f::GSO_SIZE, NO),
];

// DEVIATION: a narrow load of the high bytes of a field that the kernel keeps in 8 or 16 bits (pkt_type, protocol,
// tc_index and the like) gives these bytes, zero, where the kernel gives the low ones once more.

/// What traffic control programs see.
///
/// DEVIATION: the kernel keeps only the low 16 bits of what is written to `tc_index` and `tc_classid`, and ignores
/// a `queue_mapping` of 65535 and more; here these fields keep what was written.
pub(super) static SCHED_CLS: &[CtxField] = &[
    number("len", f::LEN, NO),
    number("pkt_type", f::PKT_TYPE, NO),
    number("mark", f::MARK, W),
    number("queue_mapping", f::QUEUE_MAPPING, W),
    number("protocol", f::PROTOCOL, NO),
    number("vlan_present", f::VLAN_PRESENT, NO),
    number("vlan_tci", f::VLAN_TCI, NO),
    number("vlan_proto", f::VLAN_PROTO, NO),
    number("priority", f::PRIORITY, W),
    number("ingress_ifindex", f::INGRESS_IFINDEX, NO),
    number("ifindex", f::IFINDEX, NO),
    number("tc_index", f::TC_INDEX, W),
    CB,
    number("hash", f::HASH, NO),
    number("tc_classid", f::TC_CLASSID, W),
    DATA,
    DATA_END,
    number("napi_id", f::NAPI_ID, NO),
    DATA_META,
    wide("tstamp", f::TSTAMP, W),
    number("wire_len", f::WIRE_LEN, NO),
    number("gso_segs", f::GSO_SEGS, NO),
    SK,
    number("gso_size", f::GSO_SIZE, NO),
    TSTAMP_TYPE,
    wide("hwtstamp", f::HWTSTAMP, NO),
];

/// Offsets of fields that only programs on sockets see.
const FAMILY: u32 = 88;
const REMOTE_IP4: u32 = 92;
const LOCAL_IP4: u32 = 96;
const REMOTE_IP6: u32 = 100;
const LOCAL_IP6: u32 = 116;
const REMOTE_PORT: u32 = 132;
const LOCAL_PORT: u32 = 136;
const FLOW_KEYS: u32 = 144;

/// What programs of control groups see. Facts: `cg_skb_is_valid_access`.
pub(super) static CGROUP_SKB: &[CtxField] = &[
    number("len", f::LEN, NO),
    number("pkt_type", f::PKT_TYPE, NO),
    number("mark", f::MARK, W),
    number("queue_mapping", f::QUEUE_MAPPING, NO),
    number("protocol", f::PROTOCOL, NO),
    number("vlan_present", f::VLAN_PRESENT, NO),
    number("vlan_tci", f::VLAN_TCI, NO),
    number("vlan_proto", f::VLAN_PROTO, NO),
    number("priority", f::PRIORITY, W),
    number("ingress_ifindex", f::INGRESS_IFINDEX, NO),
    number("ifindex", f::IFINDEX, NO),
    number("tc_index", f::TC_INDEX, NO),
    CB,
    number("hash", f::HASH, NO),
    CtxField { read_needs: Caps::BPF, ..DATA },
    CtxField { read_needs: Caps::BPF, ..DATA_END },
    number("napi_id", f::NAPI_ID, NO),
    number("family", FAMILY, NO),
    narrow(number("remote_ip4", REMOTE_IP4, NO), Narrow::No),
    narrow(number("local_ip4", LOCAL_IP4, NO), Narrow::No),
    words("remote_ip6", REMOTE_IP6, 16),
    words("local_ip6", LOCAL_IP6, 16),
    number("remote_port", REMOTE_PORT, NO),
    number("local_port", LOCAL_PORT, NO),
    CtxField { write_needs: Caps::BPF, ..wide("tstamp", f::TSTAMP, W) },
    number("gso_segs", f::GSO_SEGS, NO),
    SK,
    number("gso_size", f::GSO_SIZE, NO),
    wide("hwtstamp", f::HWTSTAMP, NO),
];

/// What programs of lightweight tunnels see. Facts: `lwt_is_valid_access`.
pub(super) static LWT: &[CtxField] = &[
    number("len", f::LEN, NO),
    number("pkt_type", f::PKT_TYPE, NO),
    number("mark", f::MARK, W),
    number("queue_mapping", f::QUEUE_MAPPING, NO),
    number("protocol", f::PROTOCOL, NO),
    number("vlan_present", f::VLAN_PRESENT, NO),
    number("vlan_tci", f::VLAN_TCI, NO),
    number("vlan_proto", f::VLAN_PROTO, NO),
    number("priority", f::PRIORITY, W),
    number("ingress_ifindex", f::INGRESS_IFINDEX, NO),
    number("ifindex", f::IFINDEX, NO),
    number("tc_index", f::TC_INDEX, NO),
    CB,
    number("hash", f::HASH, NO),
    DATA,
    DATA_END,
    number("napi_id", f::NAPI_ID, NO),
    number("gso_segs", f::GSO_SEGS, NO),
    SK,
    number("gso_size", f::GSO_SIZE, NO),
];

/// What stream parsers and verdicts see. Facts: `sk_skb_is_valid_access`.
pub(super) static SK_SKB: &[CtxField] = &[
    number("len", f::LEN, NO),
    number("pkt_type", f::PKT_TYPE, NO),
    number("queue_mapping", f::QUEUE_MAPPING, NO),
    number("protocol", f::PROTOCOL, NO),
    number("vlan_present", f::VLAN_PRESENT, NO),
    number("vlan_tci", f::VLAN_TCI, NO),
    number("vlan_proto", f::VLAN_PROTO, NO),
    number("priority", f::PRIORITY, W),
    number("ingress_ifindex", f::INGRESS_IFINDEX, NO),
    number("ifindex", f::IFINDEX, NO),
    number("tc_index", f::TC_INDEX, W),
    CtxField { write: NO, ..CB },
    number("hash", f::HASH, NO),
    DATA,
    DATA_END,
    number("napi_id", f::NAPI_ID, NO),
    number("family", FAMILY, NO),
    narrow(number("remote_ip4", REMOTE_IP4, NO), Narrow::No),
    narrow(number("local_ip4", LOCAL_IP4, NO), Narrow::No),
    words("remote_ip6", REMOTE_IP6, 16),
    words("local_ip6", LOCAL_IP6, 16),
    number("remote_port", REMOTE_PORT, NO),
    number("local_port", LOCAL_PORT, NO),
    number("gso_segs", f::GSO_SEGS, NO),
    SK,
    number("gso_size", f::GSO_SIZE, NO),
];

/// What flow dissectors see. Facts: `flow_dissector_is_valid_access`.
pub(super) static FLOW_DISSECTOR: &[CtxField] =
    &[DATA, DATA_END, super::field::pointer("flow_keys", FLOW_KEYS, CtxFieldKind::FlowKeys)];
