//! Helpers that only some kernel functions' programs may call: [`Allowed`].
//!
//! Facts: `bpf_d_path_allowed` in kernel/trace/bpf_trace.c, `bpf_sk_storage_tracing_allowed` in
//! net/core/bpf_sk_storage.c, `bpf_lsm_is_sleepable_hook` in kernel/bpf/bpf_lsm.c.

use crate::prog_type::ProgTypes;
use skep_abi::uapi::{BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_ITER, BPF_TRACE_RAW_TP};

/// Who calls a helper.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The set with only the program's type.
    pub types: ProgTypes,
    /// `BPF_*` attach type that the program expects, or 0.
    pub attach_type: u32,
    /// The function, hook or structure's member (`tcp_congestion_ops.init`) of the kernel's that it attaches to.
    pub target: Option<&'a str>,
}

impl Caller<'_> {
    /// A program of a type that attaches to nothing in particular.
    pub fn of(types: ProgTypes) -> Self {
        Caller { types, attach_type: 0, target: None }
    }
}

/// A condition on what a program attaches to (`bpf_func_proto.allowed`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allowed {
    /// None.
    Always,
    /// A path is there that may be looked at: iterators, security hooks that may sleep, some functions.
    Path,
    /// The function is not part of socket storage itself.
    SockStorage,
    /// A security hook that may sleep.
    SleepableHook,
}

impl Allowed {
    /// Whether the condition holds.
    pub(super) fn holds(self, caller: &Caller<'_>) -> bool {
        let is_lsm = ProgTypes::LSM.contains(caller.types);
        match self {
            Allowed::Always => true,
            Allowed::Path if is_lsm => is_sleepable_hook(caller.target),
            Allowed::Path => {
                caller.attach_type == BPF_TRACE_ITER
                    || caller.target.is_some_and(|t| SHOW_PATH.contains(&t))
            }
            Allowed::SockStorage => match caller.attach_type {
                BPF_TRACE_ITER | BPF_TRACE_RAW_TP => true,
                BPF_TRACE_FENTRY | BPF_TRACE_FEXIT => {
                    caller.target.is_some_and(|t| !t.starts_with("bpf_sk_storage"))
                }
                _ => false,
            },
            Allowed::SleepableHook => is_sleepable_hook(caller.target),
        }
    }
}

/// Whether what the program attaches to has a socket whose options may be changed: iterators over sockets, and all
/// members of congestion control but the one that the socket is let go with. Other helpers always fit.
pub(super) fn sockopt_fits(id: i32, caller: &Caller<'_>) -> bool {
    const SETSOCKOPT: i32 = 49;
    const GETSOCKOPT: i32 = 57;
    if id != SETSOCKOPT && id != GETSOCKOPT {
        return true;
    }
    let has = |set: ProgTypes| set.contains(caller.types);
    if has(ProgTypes::TRACING) {
        return matches!(caller.target, Some("bpf_iter_tcp" | "bpf_iter_unix"));
    }
    !has(ProgTypes::STRUCT_OPS) || caller.target != Some("tcp_congestion_ops.release")
}

/// Functions that hold what a path consists of.
const SHOW_PATH: &[&str] = &[
    "security_file_permission",
    "security_inode_getattr",
    "security_file_open",
    "security_path_truncate",
    "vfs_truncate",
    "vfs_fallocate",
    "dentry_open",
    "vfs_getattr",
    "filp_close",
];

/// Whether a security hook's program may sleep.
pub fn is_sleepable_hook(target: Option<&str>) -> bool {
    target.is_some_and(skep_verifier::is_sleepable_hook)
}
