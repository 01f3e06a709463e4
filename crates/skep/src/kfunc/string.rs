//! Strings. Facts: kernel/bpf/helpers.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const NONE: KfuncFlags = KfuncFlags::NONE;
const ALL_PROGS: KfuncProgs = KfuncProgs::ALL;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_strcmp", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strchr", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strchrnul", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strnchr", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strrchr", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strlen", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strnlen", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strspn", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strcspn", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strstr", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strnstr", NONE, ALL_PROGS, (6, 17)),
    kfunc("bpf_strcasecmp", NONE, ALL_PROGS, (6, 18)),
];
