//! Open-coded iterators. Facts: kernel/bpf/helpers.c, Documentation/bpf/kfuncs.rst.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const ITER_DESTROY: KfuncFlags = KfuncFlags::ITER_DESTROY;
const ITER_NEW: KfuncFlags = KfuncFlags::ITER_NEW;
const ITER_NEXT: KfuncFlags = KfuncFlags::ITER_NEXT;
const RCU: KfuncFlags = KfuncFlags::RCU;
const RCU_PROTECTED: KfuncFlags = KfuncFlags::RCU_PROTECTED;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_iter_num_new", ITER_NEW, ALL_PROGS, (6, 4)),
    kfunc("bpf_iter_num_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 4)),
    kfunc("bpf_iter_num_destroy", ITER_DESTROY, ALL_PROGS, (6, 4)),
    kfunc("bpf_iter_task_vma_new", ITER_NEW.with(RCU), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_task_vma_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_task_vma_destroy", ITER_DESTROY, ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_task_new", ITER_NEW.with(TRUSTED_ARGS), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_task_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_task_destroy", ITER_DESTROY, ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_new", ITER_NEW.with(TRUSTED_ARGS).with(RCU_PROTECTED), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_css_destroy", ITER_DESTROY, ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_task_new", ITER_NEW.with(TRUSTED_ARGS).with(RCU_PROTECTED), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_task_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_task_destroy", ITER_DESTROY, ALL_PROGS, (6, 7)),
    kfunc("bpf_iter_bits_new", ITER_NEW, ALL_PROGS, (6, 11)),
    kfunc("bpf_iter_bits_next", ITER_NEXT.with(RET_NULL), ALL_PROGS, (6, 11)),
    kfunc("bpf_iter_bits_destroy", ITER_DESTROY, ALL_PROGS, (6, 11)),
    kfunc("bpf_iter_kmem_cache_new", ITER_NEW.with(SLEEPABLE), ALL_PROGS, (6, 13)),
    kfunc("bpf_iter_kmem_cache_next", ITER_NEXT.with(RET_NULL).with(SLEEPABLE), ALL_PROGS, (6, 13)),
    kfunc("bpf_iter_kmem_cache_destroy", ITER_DESTROY.with(SLEEPABLE), ALL_PROGS, (6, 13)),
    kfunc("bpf_iter_dmabuf_new", ITER_NEW.with(SLEEPABLE), ALL_PROGS, (6, 16)),
    kfunc("bpf_iter_dmabuf_next", ITER_NEXT.with(RET_NULL).with(SLEEPABLE), ALL_PROGS, (6, 16)),
    kfunc("bpf_iter_dmabuf_destroy", ITER_DESTROY.with(SLEEPABLE), ALL_PROGS, (6, 16)),
];
