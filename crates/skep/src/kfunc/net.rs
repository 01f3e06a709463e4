//! Connection tracking, packets, sockets, IPsec. Facts: net/netfilter/nf_conntrack_bpf.c, net/core/filter.c, net/core/xdp.c, net/xfrm/xfrm_state_bpf.c.

use super::{Kfunc, KfuncProgs, Only, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const CLS_XDP_PROGS: KfuncProgs = KfuncProgs::CLS_XDP;
const XDP_PROGS: KfuncProgs = KfuncProgs::XDP;
const CLS_PROGS: KfuncProgs = KfuncProgs::CLS;
const CGROUP_PROGS: KfuncProgs = KfuncProgs::CGROUP;
const TRACING_PROGS: KfuncProgs = KfuncProgs::TRACING;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;
const CLS_TRACING_SYSCALL_PROGS: KfuncProgs = KfuncProgs::CLS_TRACING_SYSCALL;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_xdp_ct_lookup", ACQUIRE.with(RET_NULL), CLS_XDP_PROGS, (5, 18)),
    kfunc("bpf_skb_ct_lookup", ACQUIRE.with(RET_NULL), CLS_XDP_PROGS, (5, 18)),
    kfunc("bpf_xdp_ct_alloc", ACQUIRE.with(RET_NULL), CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_skb_ct_alloc", ACQUIRE.with(RET_NULL), CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_insert_entry", ACQUIRE.with(RET_NULL).with(RELEASE), CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_release", RELEASE, CLS_XDP_PROGS, (5, 18)),
    kfunc("bpf_ct_set_timeout", TRUSTED_ARGS, CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_change_timeout", TRUSTED_ARGS, CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_set_status", TRUSTED_ARGS, CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_change_status", TRUSTED_ARGS, CLS_XDP_PROGS, (6, 0)),
    kfunc("bpf_ct_set_nat_info", TRUSTED_ARGS, CLS_XDP_PROGS, (6, 1)),
    kfunc("bpf_xdp_get_xfrm_state", RET_NULL.with(ACQUIRE), XDP_PROGS, (6, 8)),
    kfunc("bpf_xdp_xfrm_state_release", RELEASE, XDP_PROGS, (6, 8)),
    kfunc("bpf_xdp_pull_data", NONE, XDP_PROGS, (6, 18)),
    kfunc("bpf_sk_assign_tcp_reqsk", TRUSTED_ARGS, CLS_PROGS, (6, 9)),
    kfunc("bpf_sock_addr_set_sun_path", NONE, CGROUP_PROGS, (6, 7)),
    kfunc("bpf_sock_ops_enable_tx_tstamp", TRUSTED_ARGS, CGROUP_PROGS, (6, 15)),
    Kfunc {
        only: Only::TraceIter,
        ..kfunc("bpf_sock_destroy", TRUSTED_ARGS, TRACING_PROGS, (6, 5))
    },
    Kfunc {
        only: Only::DeviceBound,
        ..kfunc("bpf_xdp_metadata_rx_timestamp", TRUSTED_ARGS, ALL_PROGS, (6, 3))
    },
    Kfunc {
        only: Only::DeviceBound,
        ..kfunc("bpf_xdp_metadata_rx_hash", TRUSTED_ARGS, ALL_PROGS, (6, 3))
    },
    Kfunc {
        only: Only::DeviceBound,
        ..kfunc("bpf_xdp_metadata_rx_vlan_tag", TRUSTED_ARGS, ALL_PROGS, (6, 8))
    },
    kfunc("bpf_kfunc_call_test_release", RELEASE, CLS_TRACING_SYSCALL_PROGS, (5, 18)),
    kfunc("bpf_kfunc_call_memb_release", RELEASE, CLS_TRACING_SYSCALL_PROGS, (5, 18)),
];
