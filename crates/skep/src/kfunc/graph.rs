//! Objects of the program's own: allocation, reference counts, lists and trees. Facts: kernel/bpf/helpers.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RCU: KfuncFlags = KfuncFlags::RCU;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const GENERIC_PROGS: KfuncProgs = KfuncProgs::GENERIC;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_obj_new_impl", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_percpu_obj_new_impl", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 6)),
    kfunc("bpf_obj_drop_impl", RELEASE, GENERIC_PROGS, (6, 2)),
    kfunc("bpf_percpu_obj_drop_impl", RELEASE, GENERIC_PROGS, (6, 6)),
    kfunc("bpf_refcount_acquire_impl", ACQUIRE.with(RET_NULL).with(RCU), GENERIC_PROGS, (6, 4)),
    kfunc("bpf_list_push_front_impl", NONE, GENERIC_PROGS, (6, 2)),
    kfunc("bpf_list_push_back_impl", NONE, GENERIC_PROGS, (6, 2)),
    kfunc("bpf_list_pop_front", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_list_pop_back", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 2)),
    kfunc("bpf_list_front", RET_NULL, GENERIC_PROGS, (6, 16)),
    kfunc("bpf_list_back", RET_NULL, GENERIC_PROGS, (6, 16)),
    kfunc("bpf_rbtree_remove", ACQUIRE.with(RET_NULL), GENERIC_PROGS, (6, 3)),
    kfunc("bpf_rbtree_add_impl", NONE, GENERIC_PROGS, (6, 3)),
    kfunc("bpf_rbtree_first", RET_NULL, GENERIC_PROGS, (6, 3)),
    kfunc("bpf_rbtree_root", RET_NULL, GENERIC_PROGS, (6, 16)),
    kfunc("bpf_rbtree_left", RET_NULL, GENERIC_PROGS, (6, 16)),
    kfunc("bpf_rbtree_right", RET_NULL, GENERIC_PROGS, (6, 16)),
];
