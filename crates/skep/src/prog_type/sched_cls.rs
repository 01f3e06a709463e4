//! `BPF_PROG_TYPE_SCHED_CLS` and `_ACT`: traffic control's classifiers and actions.

use super::{AttachRule, ProgKind, ProgType, ProgTypes, skb_fields};
use crate::packet::skb_field;
use crate::support::Support;
use skep_verifier::env::{CtxLayout, PacketAccess, ProgTypeProps};

const SUPPORT: Support = Support::Partial("no sockets: the sk field is always NULL");

const PROPS: ProgTypeProps = ProgTypeProps {
    prog_type: 3,
    name: "sched_cls",
    ctx: CtxLayout {
        name: "__sk_buff",
        size: skb_field::SIZE,
        fields: skb_fields::SCHED_CLS,
        raw_memory: None,
    },
    packet: PacketAccess::ReadWrite,
    legacy_loads: true,
    ret_range: None,
    sleepable: false,
};

pub(super) static SCHED_CLS: ProgType = ProgType {
    kind: ProgKind::SchedCls,
    props: PROPS,
    attach: AttachRule::Any,
    variants: &[],
    set: ProgTypes::SCHED_CLS,
    since: (4, 1),
    support: SUPPORT,
};

pub(super) static SCHED_ACT: ProgType = ProgType {
    kind: ProgKind::SchedAct,
    props: ProgTypeProps { prog_type: 4, name: "sched_act", ..PROPS },
    attach: AttachRule::Any,
    variants: &[],
    set: ProgTypes::SCHED_ACT,
    since: (4, 1),
    support: SUPPORT,
};
