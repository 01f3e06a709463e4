//! `BPF_PROG_TYPE_XDP`: packets as drivers receive them. Facts: `xdp_is_valid_access` in net/core/filter.c.

use super::field::{short_pointer, whole};
use super::{AttachRule, ProgKind, ProgType, ProgTypes, Variant, layout};
use crate::packet::xdp_field as f;
use crate::support::Support;
use skep_abi::uapi::BPF_XDP_DEVMAP;
use skep_verifier::env::{CtxField, CtxFieldKind, CtxLayout, PacketAccess, ProgTypeProps};

const fn pointer(name: &'static str, off: u32, kind: CtxFieldKind, native_off: u32) -> CtxField {
    CtxField { native_off, ..short_pointer(name, off, kind) }
}

const DATA: CtxField = pointer("data", f::DATA, CtxFieldKind::PacketData, f::NATIVE_DATA);
const END: CtxField = pointer("data_end", f::DATA_END, CtxFieldKind::PacketEnd, f::NATIVE_DATA_END);
const META: CtxField =
    pointer("data_meta", f::DATA_META, CtxFieldKind::PacketMeta, f::NATIVE_DATA_META);
const IFINDEX: CtxField = whole("ingress_ifindex", f::INGRESS_IFINDEX);
const QUEUE: CtxField = whole("rx_queue_index", f::RX_QUEUE_INDEX);
const EGRESS: CtxField = whole("egress_ifindex", f::EGRESS_IFINDEX);

static FIELDS: &[CtxField] = &[DATA, END, META, IFINDEX, QUEUE];
static DEVMAP_FIELDS: &[CtxField] = &[DATA, END, META, IFINDEX, QUEUE, EGRESS];

const LAYOUT: CtxLayout = layout("xdp_md", f::SIZE, FIELDS);

pub(super) static XDP: ProgType = ProgType {
    kind: ProgKind::Xdp,
    props: ProgTypeProps {
        prog_type: 6,
        name: "xdp",
        ctx: LAYOUT,
        packet: PacketAccess::ReadWrite,
        legacy_loads: false,
        ret_range: None,
        sleepable: false,
    },
    attach: AttachRule::Any,
    // Programs in device maps also see where the packet goes.
    variants: &[Variant::fields(&[BPF_XDP_DEVMAP], DEVMAP_FIELDS)],
    set: ProgTypes::XDP,
    since: (4, 8),
    support: Support::Partial("frames are linear; no redirection to devices, CPUs or sockets"),
};
