//! Ciphers. Facts: kernel/bpf/crypto.c.

use super::{Kfunc, KfuncProgs, kfunc};
use skep_verifier::env::KfuncFlags;

const ACQUIRE: KfuncFlags = KfuncFlags::ACQUIRE;
const RCU: KfuncFlags = KfuncFlags::RCU;
const RELEASE: KfuncFlags = KfuncFlags::RELEASE;
const RET_NULL: KfuncFlags = KfuncFlags::RET_NULL;
const SLEEPABLE: KfuncFlags = KfuncFlags::SLEEPABLE;
const SYSCALL_PROGS: KfuncProgs = KfuncProgs::SYSCALL;
const TC_XDP_PROGS: KfuncProgs = KfuncProgs::TC_XDP;

pub(super) static KFUNCS: &[Kfunc] = &[
    kfunc("bpf_crypto_ctx_create", ACQUIRE.with(RET_NULL).with(SLEEPABLE), SYSCALL_PROGS, (6, 10)),
    kfunc("bpf_crypto_ctx_release", RELEASE, SYSCALL_PROGS, (6, 10)),
    kfunc("bpf_crypto_ctx_acquire", ACQUIRE.with(RCU).with(RET_NULL), SYSCALL_PROGS, (6, 10)),
    kfunc("bpf_crypto_decrypt", RCU, TC_XDP_PROGS, (6, 10)),
    kfunc("bpf_crypto_encrypt", RCU, TC_XDP_PROGS, (6, 10)),
];
