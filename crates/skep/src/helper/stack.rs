//! Helpers for perf events and stacks. Facts: kernel/trace/bpf_trace.c, kernel/bpf/stackmap.c.

use super::{
    ANY, CTX, Helper, IN, IN_OUT_OR_NULL, MAP, OUT, SIZE, SIZE0, gpl, judged, object, proto,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "perf events and stacks are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(gpl(proto(22, "perf_event_read", &[MAP, ANY])), (4, 3), ProgTypes::EXTENDED, NOTE),
    judged(
        gpl(proto(25, "perf_event_output", &[CTX, MAP, ANY, IN, SIZE0])),
        (4, 4),
        ProgTypes::EXTENDED
            .without(ProgTypes::LIRC_MODE2)
            .without(ProgTypes::SK_REUSEPORT)
            .without(ProgTypes::FLOW_DISSECTOR)
            .without(ProgTypes::STRUCT_OPS)
            .without(ProgTypes::EXT)
            .without(ProgTypes::NETFILTER),
        NOTE,
    ),
    judged(proto(27, "get_stackid", &[CTX, MAP, ANY]), (4, 6), ProgTypes::PERF_EVENT, NOTE),
    judged(
        gpl(proto(27, "get_stackid", &[CTX, MAP, ANY])),
        (4, 6),
        ProgTypes::BTF_TYPED
            .with(ProgTypes::KPROBE)
            .with(ProgTypes::TRACEPOINT)
            .with(ProgTypes::RAW_TRACEPOINT)
            .with(ProgTypes::RAW_TRACEPOINT_WRITABLE)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        gpl(proto(55, "perf_event_read_value", &[MAP, ANY, OUT, SIZE])),
        (4, 15),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(proto(56, "perf_prog_read_value", &[CTX, OUT, SIZE])),
        (4, 15),
        ProgTypes::PERF_EVENT,
        NOTE,
    ),
    judged(
        gpl(proto(67, "get_stack", &[CTX, OUT, SIZE0, ANY])),
        (4, 18),
        ProgTypes::PROBES.with(ProgTypes::BTF_TYPED).with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        gpl(proto(111, "skb_output", &[object("sk_buff"), MAP, ANY, IN, SIZE0])),
        (5, 5),
        ProgTypes::BTF_TYPED.with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        gpl(proto(119, "read_branch_records", &[CTX, IN_OUT_OR_NULL, SIZE0, ANY])),
        (5, 6),
        ProgTypes::PERF_EVENT,
        NOTE,
    ),
    judged(
        gpl(proto(121, "xdp_output", &[object("xdp_buff"), MAP, ANY, IN, SIZE0])),
        (5, 6),
        ProgTypes::BTF_TYPED.with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        proto(141, "get_task_stack", &[object("task_struct"), OUT, SIZE0, ANY]),
        (5, 9),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(proto(176, "get_branch_snapshot", &[OUT, SIZE0])),
        (5, 16),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
