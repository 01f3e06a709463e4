//! Files, for LSM programs. Facts: fs/bpf_fs_kfuncs.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const TRUSTED_ARGS: KfuncFlags = KfuncFlags::TRUSTED_ARGS;
const LSM_PROGS: KfuncProgs = KfuncProgs::LSM;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_get_task_exe_file", ACQUIRE.with(TRUSTED_ARGS).with(RET_NULL), LSM_PROGS, (6, 12)),
    kfunc("bpf_put_file", RELEASE, LSM_PROGS, (6, 12)),
    kfunc("bpf_path_d_path", TRUSTED_ARGS, LSM_PROGS, (6, 12)),
    kfunc("bpf_get_dentry_xattr", SLEEPABLE.with(TRUSTED_ARGS), LSM_PROGS, (6, 12)),
    kfunc("bpf_get_file_xattr", SLEEPABLE.with(TRUSTED_ARGS), LSM_PROGS, (6, 8)),
    kfunc("bpf_set_dentry_xattr", SLEEPABLE.with(TRUSTED_ARGS), LSM_PROGS, (6, 15)),
    kfunc("bpf_remove_dentry_xattr", SLEEPABLE.with(TRUSTED_ARGS), LSM_PROGS, (6, 15)),
];
