//! Dynptrs, and copies into them. Facts: kernel/bpf/helpers.c, kernel/trace/bpf_trace.c, net/core/filter.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;
const SKB_PROGS: KfuncProgs = KfuncProgs::SKB;
const TC_PROGS: KfuncProgs = KfuncProgs::TC;
const XDP_PROGS: KfuncProgs = KfuncProgs::XDP;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_dynptr_slice", RET_NULL, ALL_PROGS, (6, 4)),
    kfunc("bpf_dynptr_slice_rdwr", RET_NULL, ALL_PROGS, (6, 4)),
    kfunc("bpf_dynptr_adjust", NONE, ALL_PROGS, (6, 5)),
    kfunc("bpf_dynptr_is_null", NONE, ALL_PROGS, (6, 5)),
    kfunc("bpf_dynptr_is_rdonly", NONE, ALL_PROGS, (6, 5)),
    kfunc("bpf_dynptr_size", NONE, ALL_PROGS, (6, 5)),
    kfunc("bpf_dynptr_clone", NONE, ALL_PROGS, (6, 5)),
    kfunc("bpf_dynptr_copy", NONE, ALL_PROGS, (6, 16)),
    kfunc("bpf_dynptr_memset", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_probe_read_user_dynptr", NONE, ALL_PROGS, (6, 16)),
    kfunc("bpf_probe_read_kernel_dynptr", NONE, ALL_PROGS, (6, 16)),
    kfunc("bpf_probe_read_user_str_dynptr", NONE, ALL_PROGS, (6, 16)),
    kfunc("bpf_probe_read_kernel_str_dynptr", NONE, ALL_PROGS, (6, 16)),
    kfunc("bpf_copy_from_user_dynptr", SLEEPABLE, ALL_PROGS, (6, 16)),
    kfunc("bpf_copy_from_user_str_dynptr", SLEEPABLE, ALL_PROGS, (6, 16)),
    kfunc("bpf_copy_from_user_task_dynptr", SLEEPABLE.with(TRUSTED_ARGS), ALL_PROGS, (6, 16)),
    kfunc("bpf_copy_from_user_task_str_dynptr", SLEEPABLE.with(TRUSTED_ARGS), ALL_PROGS, (6, 16)),
    kfunc("bpf_dynptr_from_skb", TRUSTED_ARGS, SKB_PROGS, (6, 4)),
    kfunc("bpf_dynptr_from_skb_meta", TRUSTED_ARGS, TC_PROGS, (6, 18)),
    kfunc("bpf_dynptr_from_xdp", NONE, XDP_PROGS, (6, 4)),
];
