//! The constants of `linux/bpf.h` that this crate uses; flags of operations as the 64 bits they travel in.

pub(crate) use skep_abi::uapi::{
    BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_F_RDONLY,
    BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
};

use skep_abi::uapi;

pub(crate) const BPF_ANY: u64 = uapi::BPF_ANY as u64;
pub(crate) const BPF_NOEXIST: u64 = uapi::BPF_NOEXIST as u64;
pub(crate) const BPF_EXIST: u64 = uapi::BPF_EXIST as u64;
pub(crate) const BPF_F_LOCK: u64 = uapi::BPF_F_LOCK as u64;

/// The four flags that limit who may read and write (`BPF_F_ACCESS_MASK` of the kernel).
pub(crate) const ACCESS_FLAGS: u32 =
    BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
