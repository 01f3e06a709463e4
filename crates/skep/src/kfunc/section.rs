//! Sections without preemption, interrupts or grace periods, and locks. Facts: kernel/bpf/helpers.c, kernel/bpf/rqspinlock.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_rcu_read_lock", NONE, ALL_PROGS, (6, 2)),
    kfunc("bpf_rcu_read_unlock", NONE, ALL_PROGS, (6, 2)),
    kfunc("bpf_preempt_disable", NONE, ALL_PROGS, (6, 10)),
    kfunc("bpf_preempt_enable", NONE, ALL_PROGS, (6, 10)),
    kfunc("bpf_local_irq_save", NONE, ALL_PROGS, (6, 14)),
    kfunc("bpf_local_irq_restore", NONE, ALL_PROGS, (6, 14)),
    kfunc("bpf_res_spin_lock", RET_NULL, ALL_PROGS, (6, 15)),
    kfunc("bpf_res_spin_unlock", NONE, ALL_PROGS, (6, 15)),
    kfunc("bpf_res_spin_lock_irqsave", RET_NULL, ALL_PROGS, (6, 15)),
    kfunc("bpf_res_spin_unlock_irqrestore", NONE, ALL_PROGS, (6, 15)),
];
