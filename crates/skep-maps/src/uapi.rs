//! Constants of `linux/bpf.h` that this crate uses.

pub(crate) const BPF_ANY: u64 = 0;
pub(crate) const BPF_NOEXIST: u64 = 1;
pub(crate) const BPF_EXIST: u64 = 2;
pub(crate) const BPF_F_LOCK: u64 = 4;

pub(crate) const BPF_F_NO_PREALLOC: u32 = 1 << 0;
pub(crate) const BPF_F_NUMA_NODE: u32 = 1 << 2;
pub(crate) const BPF_F_RDONLY: u32 = 1 << 3;
pub(crate) const BPF_F_WRONLY: u32 = 1 << 4;
pub(crate) const BPF_F_ZERO_SEED: u32 = 1 << 6;
pub(crate) const BPF_F_RDONLY_PROG: u32 = 1 << 7;
pub(crate) const BPF_F_WRONLY_PROG: u32 = 1 << 8;
pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;
pub(crate) const BPF_F_INNER_MAP: u32 = 1 << 12;

/// The four flags that limit who may read and write (`BPF_F_ACCESS_MASK` of the kernel).
pub(crate) const ACCESS_FLAGS: u32 =
    BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
