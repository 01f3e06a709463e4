//! Sets of CPUs. Facts: kernel/bpf/cpumask.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RCU: KfuncFlags = KfuncFlags::RCU;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const TRACING_OPS_SYSCALL_PROGS: KfuncProgs = KfuncProgs::TRACING_OPS_SYSCALL;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_cpumask_create", ACQUIRE.with(RET_NULL), TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_release", RELEASE, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_acquire", ACQUIRE.with(TRUSTED_ARGS), TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_first", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_first_zero", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_first_and", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 5)),
    kfunc("bpf_cpumask_set_cpu", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_clear_cpu", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_test_cpu", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_test_and_set_cpu", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_test_and_clear_cpu", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_setall", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_clear", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_and", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_or", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_xor", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_equal", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_intersects", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_subset", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_empty", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_full", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_copy", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 3)),
    kfunc("bpf_cpumask_any_distribute", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 5)),
    kfunc("bpf_cpumask_any_and_distribute", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 5)),
    kfunc("bpf_cpumask_weight", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 8)),
    kfunc("bpf_cpumask_populate", RCU, TRACING_OPS_SYSCALL_PROGS, (6, 15)),
];
