//! TCP congestion control, for `struct tcp_congestion_ops`. Facts: net/ipv4/bpf_tcp_ca.c, tcp_cubic.c, tcp_bbr.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const STRUCT_OPS_PROGS: KfuncProgs = KfuncProgs::STRUCT_OPS;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("tcp_reno_ssthresh", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("tcp_reno_cong_avoid", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("tcp_reno_undo_cwnd", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("tcp_slow_start", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("tcp_cong_avoid_ai", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_init", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_recalc_ssthresh", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_cong_avoid", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_state", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_cwnd_event", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("cubictcp_acked", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_init", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_main", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_sndbuf_expand", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_undo_cwnd", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_cwnd_event", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_ssthresh", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_min_tso_segs", NONE, STRUCT_OPS_PROGS, (5, 13)),
    kfunc("bbr_set_state", NONE, STRUCT_OPS_PROGS, (5, 13)),
];
