//! Facts of Linux 6.18 that no BTF tells: where programs may attach, may sleep, and what arguments may be NULL.
//!
//! The tracepoints were asked of a running 6.18; the others are `kernel/bpf/bpf_lsm.c`, `kernel/bpf/verifier.c`,
//! `net/bpf/test_run.c` and the users of `bpf_iter_reg_target`.

use crate::state::PtrFlags;

/// Every argument may be NULL: what is taken for granted of a module's tracepoint.
pub(super) const ALL_NULL: u64 = 0x1111_1111_1111;

/// Which arguments of a tracepoint may be NULL, if it is known to have such.
pub(super) fn null_args(tracepoint: &str) -> Option<u64> {
    let at = NULL_ARGS.binary_search_by_key(&tracepoint, |(name, _)| name).ok()?;
    NULL_ARGS.get(at).map(|(_, mask)| *mask)
}

/// One member of an iterator's context.
pub(super) struct IterArg {
    /// Offset in bytes.
    pub(super) off: u32,
    /// The structure that it points to; `None` for a buffer.
    pub(super) ty: Option<&'static str>,
    /// What else.
    pub(super) flags: PtrFlags,
}

/// An iterator.
pub(super) struct IterTarget {
    name: &'static str,
    /// What its prototype does not tell.
    pub(super) args: &'static [IterArg],
}

const OR_NULL: PtrFlags = PtrFlags::MAYBE_NULL;
const TRUSTED_OR_NULL: PtrFlags = PtrFlags::MAYBE_NULL.with(PtrFlags::TRUSTED);
const RDONLY_OR_NULL: PtrFlags = PtrFlags::MAYBE_NULL.with(PtrFlags::RDONLY);

const fn object(off: u32, ty: &'static str, flags: PtrFlags) -> IterArg {
    IterArg { off, ty: Some(ty), flags }
}

const fn buffer(off: u32, flags: PtrFlags) -> IterArg {
    IterArg { off, ty: None, flags }
}

const fn target(name: &'static str, args: &'static [IterArg]) -> IterTarget {
    IterTarget { name, args }
}

#[rustfmt::skip]
static ITERATORS: &[IterTarget] = &[
    target("bpf_link", &[object(8, "bpf_link", OR_NULL)]),
    target("bpf_map", &[object(8, "bpf_map", TRUSTED_OR_NULL)]),
    target("bpf_map_elem", &[buffer(16, RDONLY_OR_NULL), buffer(24, OR_NULL)]),
    target("bpf_prog", &[object(8, "bpf_prog", OR_NULL)]),
    target("bpf_sk_storage_map", &[object(16, "sock", OR_NULL), buffer(24, OR_NULL)]),
    target("cgroup", &[object(8, "cgroup", TRUSTED_OR_NULL)]),
    target("dmabuf", &[object(8, "dma_buf", OR_NULL)]),
    target("ipv6_route", &[object(8, "fib6_info", OR_NULL)]),
    target("kmem_cache", &[object(8, "kmem_cache", TRUSTED_OR_NULL)]),
    target("ksym", &[object(8, "kallsym_iter", OR_NULL)]),
    target("netlink", &[object(8, "netlink_sock", OR_NULL)]),
    target("sockmap", &[buffer(16, RDONLY_OR_NULL), object(24, "sock", OR_NULL)]),
    target("task", &[object(8, "task_struct", TRUSTED_OR_NULL)]),
    target("task_file", &[object(8, "task_struct", OR_NULL), object(24, "file", OR_NULL)]),
    target("task_vma", &[object(8, "task_struct", OR_NULL), object(16, "vm_area_struct", OR_NULL)]),
    target("tcp", &[object(8, "sock_common", TRUSTED_OR_NULL)]),
    target("udp", &[object(8, "udp_sock", TRUSTED_OR_NULL)]),
    target("unix", &[object(8, "unix_sock", OR_NULL)]),
];

/// The iterator of a name.
pub(super) fn iterator(name: &str) -> Option<&'static IterTarget> {
    ITERATORS.iter().find(|t| t.name == name)
}

/// Functions in which errors may be injected, beside system calls (`ALLOW_ERROR_INJECTION`).
const ERROR_INJECTABLE: &[&str] = &[
    "__filemap_add_folio",
    "btrfs_check_leaf",
    "btrfs_check_node",
    "btrfs_cow_block",
    "btrfs_search_slot",
    "btrfs_should_cancel_balance",
    "io_ctl_init",
    "open_ctree",
    "page_pool_alloc_netmems",
    "page_pool_alloc_pages",
    "should_fail_alloc_page",
    "should_failslab",
];

// DEVIATION: a kernel may be built without (`CONFIG_FUNCTION_ERROR_INJECTION`), and then has none.
/// Whether errors may be injected in a function.
pub(super) fn is_error_injectable(name: &str) -> bool {
    const SYSCALLS: [&str; 5] =
        ["__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_", "__x32_compat_sys_", "__arm64_sys_"];
    SYSCALLS.iter().any(|s| name.starts_with(s)) || ERROR_INJECTABLE.contains(&name)
}

/// Error-injectable functions that are also called where nothing may sleep (`btf_non_sleepable_error_inject`).
pub(super) const NEVER_SLEEPS: &[&str] =
    &["__filemap_add_folio", "should_fail_alloc_page", "should_failslab"];

/// Functions whose result a sleepable program may change (`register_btf_fmodret_id_set`).
pub(super) const MODIFIABLE_ASLEEP: &[&str] = &["bpf_fentry_test1"];

/// Whether a program may change a function's result (`register_btf_fmodret_id_set`).
pub(super) fn is_modifiable(name: &str) -> bool {
    const MODIFIABLE: &[&str] = &[
        "bpf_fentry_test1",
        "bpf_modify_return_test",
        "bpf_modify_return_test2",
        "bpf_modify_return_test_tp",
        "hid_bpf_device_event",
        "hid_bpf_rdesc_fixup",
        "update_socket_protocol",
    ];
    MODIFIABLE.contains(&name)
}

/// Functions that trampolines themselves use (`btf_id_deny`).
pub(super) const NEVER_TRACED: &[&str] = &[
    "__rcu_read_lock",
    "__rcu_read_unlock",
    "migrate_disable",
    "migrate_enable",
    "preempt_count_add",
    "preempt_count_sub",
    "rcu_read_unlock_strict",
];

/// Functions that do not come back (`noreturn_deny`).
pub(super) const NEVER_RETURNS: &[&str] = &[
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__kunit_abort",
    "__module_put_and_kthread_exit",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "kunit_try_catch_throw",
    "make_task_dead",
];

/// Whether a function is a hook: all `bpf_lsm_NAME` are, but for what runs the hooks.
pub(super) fn is_hook(name: &str) -> bool {
    const INTERNAL: &[&str] = &[
        "bpf_lsm_find_cgroup_shim",
        "bpf_lsm_func_proto",
        "bpf_lsm_get_retval_range",
        "bpf_lsm_has_d_inode_locked",
        "bpf_lsm_hook_returns_errno",
        "bpf_lsm_init",
        "bpf_lsm_is_sleepable_hook",
        "bpf_lsm_is_trusted",
        "bpf_lsm_verify_prog",
    ];
    name.starts_with("bpf_lsm_") && !INTERNAL.contains(&name)
}

/// Hooks that no program attaches to (`bpf_lsm_disabled_hooks`).
pub(super) const DISABLED_HOOKS: &[&str] = &[
    "bpf_lsm_audit_rule_match",
    "bpf_lsm_getprocattr",
    "bpf_lsm_getselfattr",
    "bpf_lsm_inode_copy_up_xattr",
    "bpf_lsm_inode_getsecurity",
    "bpf_lsm_inode_listsecurity",
    "bpf_lsm_inode_need_killpriv",
    "bpf_lsm_ismaclabel",
    "bpf_lsm_key_getsecurity",
    "bpf_lsm_setprocattr",
    "bpf_lsm_vm_enough_memory",
    "bpf_lsm_xfrm_decode_session",
];

/// Whether a security hook, with its `bpf_lsm_`, is called where a program may sleep (`bpf_lsm_is_sleepable_hook`).
pub fn is_sleepable_hook(name: &str) -> bool {
    SLEEPABLE_HOOKS.contains(&name)
}

/// Hooks that are called where a program may sleep (`sleepable_lsm_hooks`).
const SLEEPABLE_HOOKS: &[&str] = &[
    "bpf_lsm_bpf",
    "bpf_lsm_bpf_map",
    "bpf_lsm_bpf_map_create",
    "bpf_lsm_bpf_map_free",
    "bpf_lsm_bpf_prog",
    "bpf_lsm_bpf_prog_load",
    "bpf_lsm_bpf_token_capable",
    "bpf_lsm_bpf_token_cmd",
    "bpf_lsm_bpf_token_create",
    "bpf_lsm_bpf_token_free",
    "bpf_lsm_bprm_check_security",
    "bpf_lsm_bprm_committed_creds",
    "bpf_lsm_bprm_committing_creds",
    "bpf_lsm_bprm_creds_for_exec",
    "bpf_lsm_bprm_creds_from_file",
    "bpf_lsm_capget",
    "bpf_lsm_capset",
    "bpf_lsm_cred_prepare",
    "bpf_lsm_current_getsecid_subj",
    "bpf_lsm_file_ioctl",
    "bpf_lsm_file_lock",
    "bpf_lsm_file_open",
    "bpf_lsm_file_post_open",
    "bpf_lsm_file_receive",
    "bpf_lsm_inode_create",
    "bpf_lsm_inode_free_security",
    "bpf_lsm_inode_getattr",
    "bpf_lsm_inode_getxattr",
    "bpf_lsm_inode_mknod",
    "bpf_lsm_inode_need_killpriv",
    "bpf_lsm_inode_post_setxattr",
    "bpf_lsm_inode_readlink",
    "bpf_lsm_inode_rename",
    "bpf_lsm_inode_rmdir",
    "bpf_lsm_inode_setattr",
    "bpf_lsm_inode_setxattr",
    "bpf_lsm_inode_symlink",
    "bpf_lsm_inode_unlink",
    "bpf_lsm_kernel_module_request",
    "bpf_lsm_kernel_read_file",
    "bpf_lsm_kernfs_init_security",
    "bpf_lsm_mmap_file",
    "bpf_lsm_netlink_send",
    "bpf_lsm_path_chmod",
    "bpf_lsm_path_chown",
    "bpf_lsm_path_link",
    "bpf_lsm_path_mkdir",
    "bpf_lsm_path_notify",
    "bpf_lsm_path_rename",
    "bpf_lsm_path_rmdir",
    "bpf_lsm_path_symlink",
    "bpf_lsm_path_truncate",
    "bpf_lsm_path_unlink",
    "bpf_lsm_release_secctx",
    "bpf_lsm_sb_alloc_security",
    "bpf_lsm_sb_eat_lsm_opts",
    "bpf_lsm_sb_kern_mount",
    "bpf_lsm_sb_mount",
    "bpf_lsm_sb_remount",
    "bpf_lsm_sb_set_mnt_opts",
    "bpf_lsm_sb_show_options",
    "bpf_lsm_sb_statfs",
    "bpf_lsm_sb_umount",
    "bpf_lsm_settime",
    "bpf_lsm_socket_accept",
    "bpf_lsm_socket_bind",
    "bpf_lsm_socket_connect",
    "bpf_lsm_socket_create",
    "bpf_lsm_socket_getpeername",
    "bpf_lsm_socket_getpeersec_dgram",
    "bpf_lsm_socket_getsockname",
    "bpf_lsm_socket_getsockopt",
    "bpf_lsm_socket_listen",
    "bpf_lsm_socket_post_create",
    "bpf_lsm_socket_recvmsg",
    "bpf_lsm_socket_sendmsg",
    "bpf_lsm_socket_shutdown",
    "bpf_lsm_socket_socketpair",
    "bpf_lsm_syslog",
    "bpf_lsm_task_alloc",
    "bpf_lsm_task_getsecid_obj",
    "bpf_lsm_task_prctl",
    "bpf_lsm_task_setscheduler",
    "bpf_lsm_userns_create",
];

/// Hooks whose arguments may be half made or half gone (`untrusted_lsm_hooks`).
pub(super) const UNTRUSTED_HOOKS: &[&str] = &[
    "bpf_lsm_bpf_map_free",
    "bpf_lsm_bpf_prog_free",
    "bpf_lsm_file_alloc_security",
    "bpf_lsm_file_free_security",
    "bpf_lsm_sk_alloc_security",
    "bpf_lsm_sk_free_security",
    "bpf_lsm_task_free",
];

/// Hooks that answer 0 or 1 (`bool_lsm_hooks`).
pub(super) const BOOL_HOOKS: &[&str] = &[
    "bpf_lsm_audit_rule_known",
    "bpf_lsm_inode_xattr_skipcap",
    "bpf_lsm_xfrm_state_pol_flow_match",
];

// DEVIATION: `sched_process_wait`, `signal_deliver` and `signal_generate` are in the kernel's list only after 6.18.
/// Tracepoints by name, with the arguments that may be NULL (1) or an error (2), four bits an argument.
const NULL_ARGS: &[(&str, u64)] = &[
    ("afs_flock_ev", 0x10),
    ("afs_make_fs_call", 0x10),
    ("afs_make_fs_call1", 0x10),
    ("afs_make_fs_call2", 0x10),
    ("afs_make_fs_calli", 0x10),
    ("afs_protocol_error", 0x1),
    ("bpf_testmod_test_read", 0x0),
    ("break_lease_block", 0x10),
    ("break_lease_noblock", 0x10),
    ("break_lease_unblock", 0x10),
    ("cachefiles_io_error", 0x1),
    ("cachefiles_lookup", 0x201),
    ("cachefiles_mark_active", 0x1),
    ("cachefiles_mark_failed", 0x1),
    ("cachefiles_mark_inactive", 0x1),
    ("cachefiles_ondemand_close", 0x1),
    ("cachefiles_ondemand_copen", 0x1),
    ("cachefiles_ondemand_cread", 0x1),
    ("cachefiles_ondemand_fd_release", 0x1),
    ("cachefiles_ondemand_fd_write", 0x1),
    ("cachefiles_ondemand_open", 0x1),
    ("cachefiles_ondemand_read", 0x1),
    ("cachefiles_prep_read", 0x1),
    ("cachefiles_rename", 0x1),
    ("cachefiles_unlink", 0x1),
    ("cachefiles_vfs_error", 0x1),
    ("device_pm_callback_start", 0x10),
    ("ext4_mballoc_discard", 0x10),
    ("ext4_mballoc_free", 0x10),
    ("fcntl_setlk", 0x10),
    ("fib_table_lookup", 0x100),
    ("flock_lock_inode", 0x10),
    ("folio_wait_writeback", 0x10),
    ("generic_delete_lease", 0x10),
    ("host1x_cdma_push_gather", 0x10000),
    ("hugetlbfs_alloc_inode", 0x10),
    ("kfree_skb", 0x1000),
    ("locks_remove_posix", 0x10),
    ("mm_collapse_huge_page_isolate", 0x1),
    ("mm_khugepaged_collapse_file", 0x10),
    ("mm_khugepaged_scan_file", 0x10),
    ("mm_khugepaged_scan_pmd", 0x10),
    ("mm_page_alloc", 0x1),
    ("mm_page_alloc_zone_locked", 0x1),
    ("mm_page_pcpu_drain", 0x1),
    ("mr_integ_alloc", 0x2000),
    ("netfs_failure", 0x10),
    ("posix_lock_inode", 0x10),
    ("qdisc_dequeue", 0x1000),
    ("rxrpc_recvdata", 0x1),
    ("rxrpc_resend", 0x10),
    ("sched_pi_setprio", 0x10),
    ("sched_process_wait", 0x1),
    ("sched_stick_numa", 0x100),
    ("sched_swap_numa", 0x100),
    ("signal_deliver", 0x20),
    ("signal_generate", 0x20),
    ("tcp_send_reset", 0x11),
    ("tcp_sendmsg_locked", 0x100),
    ("tegra_dma_tx_status", 0x100),
    ("time_out_leases", 0x10),
    ("tmigr_update_events", 0x1),
    ("writeback_dirty_folio", 0x10),
    ("xfs_blockgc_flush_all", 0x1),
    ("xfs_blockgc_free_space", 0x10),
    ("xfs_blockgc_start", 0x1),
    ("xfs_blockgc_stop", 0x1),
    ("xfs_blockgc_worker", 0x1),
    ("xfs_btree_overlapped_query_range", 0x100),
    ("xfs_btree_updkeys", 0x100),
    ("xfs_defer_add_item", 0x1),
    ("xfs_defer_cancel_item", 0x1),
    ("xfs_defer_cancel_list", 0x1),
    ("xfs_defer_create_intent", 0x1),
    ("xfs_defer_finish_item", 0x1),
    ("xfs_defer_isolate_paused", 0x1),
    ("xfs_defer_item_pause", 0x1),
    ("xfs_defer_item_unpause", 0x1),
    ("xfs_defer_pending_abort", 0x1),
    ("xfs_defer_pending_finish", 0x1),
    ("xfs_defer_relog_intent", 0x1),
    ("xfs_fs_sync_fs", 0x1),
    ("xfs_inodegc_flush", 0x1),
    ("xfs_inodegc_push", 0x1),
    ("xfs_inodegc_queue", 0x1),
    ("xfs_inodegc_start", 0x1),
    ("xfs_inodegc_stop", 0x1),
    ("xfs_inodegc_throttle", 0x1),
    ("xfs_ioc_free_eofblocks", 0x10),
    ("xfs_map_blocks_alloc", 0x10000),
    ("xfs_map_blocks_found", 0x10000),
    ("xprt_get_cong", 0x10),
    ("xprt_put_cong", 0x10),
    ("xprt_release_cong", 0x10),
    ("xprt_reserve_cong", 0x10),
    ("xs_stream_read_data", 0x1),
];
