//! Casts, exceptions, work queues, arenas, streams and what else is common. Facts: kernel/bpf/helpers.c, arena.c, map_iter.c.

use super::{Kfunc, KfuncProgs, Only, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const FASTCALL: KfuncFlags = KfuncFlags::FASTCALL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;
const GENERIC_PROGS: KfuncProgs = KfuncProgs::GENERIC;
const KPROBE_PROGS: KfuncProgs = KfuncProgs::KPROBE;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_cast_to_kern_ctx", FASTCALL, ALL_PROGS, (6, 2)),
    kfunc("bpf_rdonly_cast", FASTCALL, ALL_PROGS, (6, 2)),
    kfunc("bpf_wq_init", NONE, ALL_PROGS, (6, 10)),
    kfunc("bpf_wq_set_callback_impl", NONE, ALL_PROGS, (6, 10)),
    kfunc("bpf_wq_start", NONE, ALL_PROGS, (6, 10)),
    kfunc("bpf_task_work_schedule_signal_impl", TRUSTED_ARGS, ALL_PROGS, (6, 18)),
    kfunc("bpf_task_work_schedule_resume_impl", TRUSTED_ARGS, ALL_PROGS, (6, 18)),
    kfunc("bpf_stream_vprintk_impl", TRUSTED_ARGS, ALL_PROGS, (6, 17)),
    kfunc("bpf_arena_alloc_pages", TRUSTED_ARGS.with(SLEEPABLE), ALL_PROGS, (6, 9)),
    kfunc("bpf_arena_free_pages", TRUSTED_ARGS.with(SLEEPABLE), ALL_PROGS, (6, 9)),
    kfunc("bpf_arena_reserve_pages", TRUSTED_ARGS.with(SLEEPABLE), ALL_PROGS, (6, 17)),
    kfunc("bpf_map_sum_elem_count", TRUSTED_ARGS, ALL_PROGS, (6, 6)),
    kfunc("bpf_get_kmem_cache", NONE, ALL_PROGS, (6, 13)),
    kfunc("bpf_copy_from_user_str", SLEEPABLE, ALL_PROGS, (6, 12)),
    kfunc("bpf_copy_from_user_task_str", SLEEPABLE, ALL_PROGS, (6, 15)),
    kfunc("bpf_modify_return_test_tp", NONE, ALL_PROGS, (6, 9)),
    kfunc("__bpf_trap", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_throw", NONE, GENERIC_PROGS, (6, 7)),
    Kfunc {
        only: Only::KprobeSession,
        ..kfunc("bpf_session_is_return", NONE, KPROBE_PROGS, (6, 10))
    },
    Kfunc { only: Only::KprobeSession, ..kfunc("bpf_session_cookie", NONE, KPROBE_PROGS, (6, 10)) },
];
