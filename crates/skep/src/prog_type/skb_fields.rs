//! The fields of `struct __sk_buff` and who may read or write them. Facts: `bpf_skb_is_valid_access`,
//! `sk_filter_is_valid_access` and `tc_cls_act_is_valid_access` in net/core/filter.c.

use crate::packet::skb_field as f;
use skep_abi::insn::Size;
use skep_verifier::env::{CtxField, CtxFieldKind, CtxWrite};

/// A number of 32 bits, readable in parts.
const fn number(name: &'static str, off: u32, write: CtxWrite) -> CtxField {
    CtxField {
        name,
        off,
        size: 4,
        max_access: Size::W,
        kind: CtxFieldKind::Scalar { narrow: true },
        read: true,
        write,
        native_off: off,
    }
}

const fn wide(name: &'static str, off: u32, write: CtxWrite) -> CtxField {
    CtxField {
        size: 8,
        max_access: Size::DW,
        kind: CtxFieldKind::Scalar { narrow: false },
        ..number(name, off, write)
    }
}

const fn pointer(name: &'static str, off: u32, kind: CtxFieldKind, native_off: u32) -> CtxField {
    CtxField { kind, native_off, ..number(name, off, CtxWrite::No) }
}

const CB: CtxField =
    CtxField { size: 20, max_access: Size::DW, ..number("cb", f::CB, CtxWrite::Any) };

const TSTAMP_TYPE: CtxField = CtxField {
    size: 1,
    max_access: Size::B,
    ..number("tstamp_type", f::TSTAMP_TYPE, CtxWrite::No)
};

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
    pointer("data", f::DATA, CtxFieldKind::PacketData, f::NATIVE_DATA),
    pointer("data_end", f::DATA_END, CtxFieldKind::PacketEnd, f::NATIVE_DATA_END),
    number("napi_id", f::NAPI_ID, NO),
    pointer("data_meta", f::DATA_META, CtxFieldKind::PacketMeta, f::NATIVE_DATA_META),
    wide("tstamp", f::TSTAMP, W),
    number("wire_len", f::WIRE_LEN, NO),
    number("gso_segs", f::GSO_SEGS, NO),
    number("gso_size", f::GSO_SIZE, NO),
    TSTAMP_TYPE,
    wide("hwtstamp", f::HWTSTAMP, NO),
];
