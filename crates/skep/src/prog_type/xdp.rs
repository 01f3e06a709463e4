//! `BPF_PROG_TYPE_XDP`: packets as drivers receive them. Facts: `xdp_is_valid_access` in net/core/filter.c.

use super::{ProgKind, ProgType, ProgTypes};
use crate::packet::xdp_field as f;
use crate::support::Support;
use skep_abi::insn::Size;
use skep_verifier::env::{
    CtxField, CtxFieldKind, CtxLayout, CtxWrite, PacketAccess, ProgTypeProps,
};

const fn field(name: &'static str, off: u32, kind: CtxFieldKind, native_off: u32) -> CtxField {
    CtxField {
        name,
        off,
        size: 4,
        max_access: Size::W,
        kind,
        read: true,
        write: CtxWrite::No,
        native_off,
    }
}

const WHOLE: CtxFieldKind = CtxFieldKind::Scalar { narrow: false };
const DATA: CtxField = field("data", f::DATA, CtxFieldKind::PacketData, f::NATIVE_DATA);
const END: CtxField = field("data_end", f::DATA_END, CtxFieldKind::PacketEnd, f::NATIVE_DATA_END);
const META: CtxField =
    field("data_meta", f::DATA_META, CtxFieldKind::PacketMeta, f::NATIVE_DATA_META);
const IFINDEX: CtxField = field("ingress_ifindex", f::INGRESS_IFINDEX, WHOLE, f::INGRESS_IFINDEX);
const QUEUE: CtxField = field("rx_queue_index", f::RX_QUEUE_INDEX, WHOLE, f::RX_QUEUE_INDEX);
const EGRESS: CtxField = field("egress_ifindex", f::EGRESS_IFINDEX, WHOLE, f::EGRESS_IFINDEX);

static FIELDS: &[CtxField] = &[DATA, END, META, IFINDEX, QUEUE];
static DEVMAP_FIELDS: &[CtxField] = &[DATA, END, META, IFINDEX, QUEUE, EGRESS];

const LAYOUT: CtxLayout =
    CtxLayout { name: "xdp_md", size: f::SIZE, fields: FIELDS, raw_memory: None };

/// The context of programs in device maps, which also see where the packet goes.
pub fn devmap_layout() -> CtxLayout {
    CtxLayout { fields: DEVMAP_FIELDS, ..LAYOUT }
}

pub(super) static XDP: ProgType = ProgType {
    kind: ProgKind::Xdp,
    props: ProgTypeProps {
        prog_type: 6,
        name: "xdp",
        ctx: LAYOUT,
        packet: PacketAccess::ReadWrite,
        legacy_loads: false,
        ret_range: None,
        unprivileged: false,
        sleepable: false,
    },
    set: ProgTypes::XDP,
    since: (4, 8),
    support: Support::Partial("frames are linear; no redirection to devices, CPUs or sockets"),
};
