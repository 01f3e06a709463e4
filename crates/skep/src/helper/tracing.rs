//! Helpers of tracing programs and iterators. Facts: kernel/trace/bpf_trace.c.

use super::{
    ANY, CTX, Helper, IN, IN_OR_NULL, IN_OUT, MemAccess, SIZE, SIZE0, aligned, attached, gpl,
    judged, object, proto,
};
use crate::prog_type::ProgTypes;
use skep_abi::uapi::{
    BPF_LSM_MAC, BPF_MODIFY_RETURN, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_ITER,
    BPF_TRACE_KPROBE_MULTI, BPF_TRACE_KPROBE_SESSION, BPF_TRACE_RAW_TP, BPF_TRACE_UPROBE_MULTI,
    BPF_TRACE_UPROBE_SESSION,
};

const NOTE: &str = "tracing is not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(gpl(proto(58, "override_return", &[CTX, ANY])), (4, 16), ProgTypes::KPROBE, NOTE),
    attached(
        judged(
            gpl(proto(126, "seq_printf", &[object("seq_file"), IN, SIZE, IN_OR_NULL, SIZE0])),
            (5, 7),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_ITER],
    ),
    attached(
        judged(
            gpl(proto(127, "seq_write", &[object("seq_file"), IN, SIZE0])),
            (5, 7),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_ITER],
    ),
    judged(
        proto(149, "snprintf_btf", &[IN_OUT, SIZE, IN, SIZE, ANY]),
        (5, 10),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    attached(
        judged(
            gpl(proto(150, "seq_printf_btf", &[object("seq_file"), IN, SIZE0, ANY])),
            (5, 10),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_ITER],
    ),
    judged(
        gpl(proto(173, "get_func_ip", &[CTX])),
        (5, 15),
        ProgTypes::BTF_TYPED
            .with(ProgTypes::TRACEPOINT)
            .with(ProgTypes::PERF_EVENT)
            .with(ProgTypes::RAW_TRACEPOINT)
            .with(ProgTypes::RAW_TRACEPOINT_WRITABLE)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    attached(
        judged(proto(173, "get_func_ip", &[CTX]), (5, 15), ProgTypes::KPROBE, NOTE),
        &[
            BPF_TRACE_KPROBE_MULTI,
            BPF_TRACE_KPROBE_SESSION,
            BPF_TRACE_UPROBE_MULTI,
            BPF_TRACE_UPROBE_SESSION,
        ],
    ),
    judged(gpl(proto(173, "get_func_ip", &[CTX])), (5, 15), ProgTypes::KPROBE, NOTE),
    judged(proto(174, "get_attach_cookie", &[CTX]), (5, 15), ProgTypes::PROBES, NOTE),
    attached(
        judged(proto(174, "get_attach_cookie", &[CTX]), (5, 15), ProgTypes::TRACING, NOTE),
        &[BPF_TRACE_RAW_TP, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN],
    ),
    attached(
        judged(proto(174, "get_attach_cookie", &[CTX]), (5, 15), ProgTypes::LSM, NOTE),
        &[BPF_LSM_MAC],
    ),
    attached(
        judged(
            proto(183, "get_func_arg", &[CTX, ANY, aligned(MemAccess::Write, 8)]),
            (5, 17),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN],
    ),
    attached(
        judged(
            proto(183, "get_func_arg", &[CTX, ANY, aligned(MemAccess::Write, 8)]),
            (5, 17),
            ProgTypes::LSM,
            NOTE,
        ),
        &[BPF_LSM_MAC],
    ),
    attached(
        judged(
            proto(184, "get_func_ret", &[CTX, aligned(MemAccess::Write, 8)]),
            (5, 17),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN],
    ),
    attached(
        judged(
            proto(184, "get_func_ret", &[CTX, aligned(MemAccess::Write, 8)]),
            (5, 17),
            ProgTypes::LSM,
            NOTE,
        ),
        &[BPF_LSM_MAC],
    ),
    attached(
        judged(proto(185, "get_func_arg_cnt", &[CTX]), (5, 17), ProgTypes::TRACING, NOTE),
        &[BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN],
    ),
    attached(
        judged(proto(185, "get_func_arg_cnt", &[CTX]), (5, 17), ProgTypes::LSM, NOTE),
        &[BPF_LSM_MAC],
    ),
    judged(
        proto(188, "xdp_get_buff_len", &[object("xdp_buff")]),
        (5, 18),
        ProgTypes::BTF_TYPED.with(ProgTypes::SYSCALL),
        NOTE,
    ),
];
