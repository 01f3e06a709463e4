//! Program types of probes, tracepoints and perf events; of infrared receivers and netfilter. The verifier judges
//! them; nothing here calls them.
//!
//! Facts: kernel/trace/bpf_trace.c, drivers/media/rc/bpf-lirc.c, net/netfilter/nf_bpf_link.c.

use super::field::{pointer, whole, wide_bytes, words};
use super::{AttachRule, ProgType, ProgTypes, Variant, judged, layout};
use skep_abi::insn::Size;
use skep_abi::uapi::*;
use skep_verifier::env::{CtxField, CtxFieldKind};

const NOTE: &str = "judged, but not run: there is no kernel to trace";

/// `sizeof(struct pt_regs)` on x86-64.
const PT_REGS: u32 = 168;
/// `PERF_MAX_TRACE_SIZE`.
const MAX_TRACE: u32 = 8192;
/// Twelve arguments of 64 bits.
const RAW_ARGS: u32 = 96;

static REGS: &[CtxField] = &[wide_bytes("pt_regs", 0, PT_REGS)];

pub(super) static KPROBE: ProgType = ProgType {
    variants: &[Variant::returns(&[BPF_TRACE_KPROBE_SESSION, BPF_TRACE_UPROBE_SESSION], (0, 1))],
    ..judged(
        BPF_PROG_TYPE_KPROBE,
        "kprobe",
        ProgTypes::KPROBE,
        (4, 1),
        layout("pt_regs", PT_REGS, REGS),
        NOTE,
    )
};

// The first eight bytes are the kernel's own.
// DEVIATION: the kernel lets programs read before the record.
static TRACE: &[CtxField] = &[wide_bytes("record", 8, MAX_TRACE - 8)];

pub(super) static TRACEPOINT: ProgType = judged(
    BPF_PROG_TYPE_TRACEPOINT,
    "tracepoint",
    ProgTypes::TRACEPOINT,
    (4, 7),
    layout("record", MAX_TRACE, TRACE),
    NOTE,
);

static PERF_EVENT_FIELDS: &[CtxField] = &[
    CtxField { max_access: Size::DW, ..words("regs", 0, PT_REGS) },
    wide_bytes("sample_period", 168, 8),
    wide_bytes("addr", 176, 8),
];

pub(super) static PERF_EVENT: ProgType = judged(
    BPF_PROG_TYPE_PERF_EVENT,
    "perf_event",
    ProgTypes::PERF_EVENT,
    (4, 9),
    layout("bpf_perf_event_data", 184, PERF_EVENT_FIELDS),
    NOTE,
);

static ARGS: &[CtxField] = &[wide_bytes("args", 0, RAW_ARGS)];

pub(super) static RAW_TRACEPOINT: ProgType = judged(
    BPF_PROG_TYPE_RAW_TRACEPOINT,
    "raw_tracepoint",
    ProgTypes::RAW_TRACEPOINT,
    (4, 17),
    layout("bpf_raw_tracepoint_args", RAW_ARGS, ARGS),
    NOTE,
);

// DEVIATION: the kernel also lets programs read parts of the first argument, which is the buffer's address.
static WRITABLE_ARGS: &[CtxField] =
    &[pointer("args", 0, CtxFieldKind::TpBuffer), wide_bytes("args", 8, RAW_ARGS - 8)];

pub(super) static RAW_TRACEPOINT_WRITABLE: ProgType = judged(
    BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
    "raw_tracepoint_writable",
    ProgTypes::RAW_TRACEPOINT_WRITABLE,
    (5, 2),
    layout("bpf_raw_tracepoint_args", RAW_ARGS, WRITABLE_ARGS),
    NOTE,
);

static SAMPLE: &[CtxField] = &[whole("sample", 0)];

pub(super) static LIRC_MODE2: ProgType = judged(
    BPF_PROG_TYPE_LIRC_MODE2,
    "lirc_mode2",
    ProgTypes::LIRC_MODE2,
    (4, 18),
    layout("unsigned int", 4, SAMPLE),
    "judged, but not run: there are no infrared receivers",
);

static NF_FIELDS: &[CtxField] = &[
    pointer("state", 0, CtxFieldKind::Object("nf_hook_state")),
    pointer("skb", 8, CtxFieldKind::Object("sk_buff")),
];

pub(super) static NETFILTER: ProgType = ProgType {
    attach: AttachRule::OneOf(&[BPF_NETFILTER]),
    ..judged(
        BPF_PROG_TYPE_NETFILTER,
        "netfilter",
        ProgTypes::NETFILTER,
        (6, 4),
        layout("bpf_nf_ctx", 16, NF_FIELDS),
        "judged, but not run: there is no netfilter",
    )
    .returns((0, 1))
};
