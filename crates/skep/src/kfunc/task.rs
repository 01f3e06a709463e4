//! Tasks, control groups and keys. Facts: kernel/bpf/helpers.c, kernel/trace/bpf_trace.c, kernel/cgroup/rstat.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RCU: KfuncFlags = KfuncFlags::RCU;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const GENERIC_PROGS: KfuncProgs = KfuncProgs::GENERIC;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;
const TRACING_PROGS: KfuncProgs = KfuncProgs::TRACING;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_task_acquire", ACQUIRE.with(RCU).with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_task_release", RELEASE, GENERIC_PROGS, (6, 2)),
    kfunc("bpf_task_from_pid", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_task_from_vpid", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 14)),
    kfunc("bpf_cgroup_acquire", ACQUIRE.with(RCU).with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_cgroup_ancestor", ACQUIRE.with(RCU).with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_cgroup_release", RELEASE, GENERIC_PROGS, (6, 2)),
    kfunc("bpf_cgroup_from_id", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 3)),
    kfunc("bpf_task_under_cgroup", RCU, GENERIC_PROGS, (6, 5)),
    kfunc("bpf_task_get_cgroup1", ACQUIRE.with(RCU).with(RET_NULL), GENERIC_PROGS, (6, 8)),
    kfunc("bpf_send_signal_task", TRUSTED_ARGS, GENERIC_PROGS, (6, 13)),
    kfunc("bpf_lookup_user_key", ACQUIRE.with(RET_NULL).with(SLEEPABLE), GENERIC_PROGS, (6, 1)),
    kfunc("bpf_lookup_system_key", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 1)),
    kfunc("bpf_key_put", RELEASE, GENERIC_PROGS, (6, 1)),
    kfunc("bpf_cgroup_read_xattr", RCU, ALL_PROGS, (6, 17)),
    kfunc("css_rstat_updated", NONE, TRACING_PROGS, (6, 16)),
    kfunc("css_rstat_flush", SLEEPABLE, TRACING_PROGS, (6, 16)),
];
