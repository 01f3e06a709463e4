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
    target.and_then(|t| t.strip_prefix("bpf_lsm_")).is_some_and(|t| SLEEPABLE_HOOKS.contains(&t))
}

/// Names without `bpf_lsm_`, in alphabetical order.
const SLEEPABLE_HOOKS: &[&str] = &[
    "bpf",
    "bpf_map",
    "bpf_map_create",
    "bpf_map_free",
    "bpf_prog",
    "bpf_prog_load",
    "bpf_token_capable",
    "bpf_token_cmd",
    "bpf_token_create",
    "bpf_token_free",
    "bprm_check_security",
    "bprm_committed_creds",
    "bprm_committing_creds",
    "bprm_creds_for_exec",
    "bprm_creds_from_file",
    "capget",
    "capset",
    "cred_prepare",
    "current_getsecid_subj",
    "file_ioctl",
    "file_lock",
    "file_open",
    "file_post_open",
    "file_receive",
    "inode_create",
    "inode_free_security",
    "inode_getattr",
    "inode_getxattr",
    "inode_mknod",
    "inode_need_killpriv",
    "inode_post_setxattr",
    "inode_readlink",
    "inode_rename",
    "inode_rmdir",
    "inode_setattr",
    "inode_setxattr",
    "inode_symlink",
    "inode_unlink",
    "kernel_module_request",
    "kernel_read_file",
    "kernfs_init_security",
    "mmap_file",
    "netlink_send",
    "path_chmod",
    "path_chown",
    "path_link",
    "path_mkdir",
    "path_notify",
    "path_rename",
    "path_rmdir",
    "path_symlink",
    "path_truncate",
    "path_unlink",
    "release_secctx",
    "sb_alloc_security",
    "sb_eat_lsm_opts",
    "sb_kern_mount",
    "sb_mount",
    "sb_remount",
    "sb_set_mnt_opts",
    "sb_show_options",
    "sb_statfs",
    "sb_umount",
    "settime",
    "socket_accept",
    "socket_bind",
    "socket_connect",
    "socket_create",
    "socket_getpeername",
    "socket_getpeersec_dgram",
    "socket_getsockname",
    "socket_getsockopt",
    "socket_listen",
    "socket_post_create",
    "socket_recvmsg",
    "socket_sendmsg",
    "socket_shutdown",
    "socket_socketpair",
    "syslog",
    "task_alloc",
    "task_getsecid_obj",
    "task_prctl",
    "task_setscheduler",
    "userns_create",
];
