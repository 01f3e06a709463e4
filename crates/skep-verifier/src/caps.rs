//! Who loads: [`Caps`], and [`Rights`], what Linux 6.18 makes of them for one verification.
//!
//! Neighbours: `env` hands the capabilities in, nearly every check asks for a right.

use crate::env::{Env, HelperLookup};
use core::fmt;
use core::ops::BitOr;
use skep_abi::uapi::*;

/// A set of capabilities, of those that bpf(2) asks for (capabilities(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Caps(u8);

impl Caps {
    /// None: an ordinary user.
    pub const NONE: Caps = Caps(0);
    /// `CAP_BPF`: loops, functions, precision; most program types.
    pub const BPF: Caps = Caps(1);
    /// `CAP_PERFMON`: addresses may be seen, no protection against speculation.
    pub const PERFMON: Caps = Caps(2);
    /// `CAP_NET_ADMIN`: program types of the network.
    pub const NET_ADMIN: Caps = Caps(4);
    /// `CAP_SYS_ADMIN`: stands for all the others.
    pub const SYS_ADMIN: Caps = Caps(8);
    /// All of them.
    pub const ALL: Caps = Caps(15);

    /// Whether it allows what needs all of `needed` (`bpf_token_capable`): CAP_SYS_ADMIN allows everything.
    pub const fn allows(self, needed: Caps) -> bool {
        self.0 & needed.0 == needed.0 || self.0 & Caps::SYS_ADMIN.0 != 0
    }

    /// What the load of a program of a type needs (`bpf_prog_load`).
    pub const fn for_prog_type(prog_type: u32) -> Caps {
        match prog_type {
            BPF_PROG_TYPE_SOCKET_FILTER | BPF_PROG_TYPE_CGROUP_SKB => Caps::NONE,
            BPF_PROG_TYPE_SCHED_CLS
            | BPF_PROG_TYPE_SCHED_ACT
            | BPF_PROG_TYPE_XDP
            | BPF_PROG_TYPE_LWT_IN
            | BPF_PROG_TYPE_LWT_OUT
            | BPF_PROG_TYPE_LWT_XMIT
            | BPF_PROG_TYPE_LWT_SEG6LOCAL
            | BPF_PROG_TYPE_SK_SKB
            | BPF_PROG_TYPE_SK_MSG
            | BPF_PROG_TYPE_FLOW_DISSECTOR
            | BPF_PROG_TYPE_CGROUP_DEVICE
            | BPF_PROG_TYPE_CGROUP_SOCK
            | BPF_PROG_TYPE_CGROUP_SOCK_ADDR
            | BPF_PROG_TYPE_CGROUP_SOCKOPT
            | BPF_PROG_TYPE_CGROUP_SYSCTL
            | BPF_PROG_TYPE_SOCK_OPS
            | BPF_PROG_TYPE_NETFILTER => Caps(Caps::BPF.0 | Caps::NET_ADMIN.0),
            BPF_PROG_TYPE_KPROBE
            | BPF_PROG_TYPE_TRACEPOINT
            | BPF_PROG_TYPE_PERF_EVENT
            | BPF_PROG_TYPE_RAW_TRACEPOINT
            | BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE
            | BPF_PROG_TYPE_TRACING
            | BPF_PROG_TYPE_LSM
            | BPF_PROG_TYPE_STRUCT_OPS => Caps(Caps::BPF.0 | Caps::PERFMON.0),
            BPF_PROG_TYPE_EXT => Caps(Caps::BPF.0 | Caps::NET_ADMIN.0 | Caps::PERFMON.0),
            _ => Caps::BPF,
        }
    }
}

/// As in messages: `CAP_BPF and CAP_NET_ADMIN`.
impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Caps::BPF, "CAP_BPF"),
            (Caps::PERFMON, "CAP_PERFMON"),
            (Caps::NET_ADMIN, "CAP_NET_ADMIN"),
            (Caps::SYS_ADMIN, "CAP_SYS_ADMIN"),
        ];
        let mut sep = "";
        for (_, name) in names.iter().filter(|(cap, _)| self.0 & cap.0 != 0) {
            write!(f, "{sep}{name}")?;
            sep = " and ";
        }
        if sep.is_empty() { f.write_str("no capability") } else { Ok(()) }
    }
}

/// What a helper needs that program types have in common (`bpf_base_func_proto`, `bpf_sk_base_func_proto`).
#[expect(non_upper_case_globals, reason = "names are the uapi's own")]
const fn for_common_helper(id: u32) -> Caps {
    match id {
        BPF_FUNC_spin_lock
        | BPF_FUNC_spin_unlock
        | BPF_FUNC_jiffies64
        | BPF_FUNC_per_cpu_ptr
        | BPF_FUNC_this_cpu_ptr
        | BPF_FUNC_timer_init
        | BPF_FUNC_timer_set_callback
        | BPF_FUNC_timer_start
        | BPF_FUNC_timer_cancel
        | BPF_FUNC_kptr_xchg
        | BPF_FUNC_for_each_map_elem
        | BPF_FUNC_loop
        | BPF_FUNC_user_ringbuf_drain
        | BPF_FUNC_ringbuf_reserve_dynptr
        | BPF_FUNC_ringbuf_submit_dynptr
        | BPF_FUNC_ringbuf_discard_dynptr
        | BPF_FUNC_dynptr_from_mem
        | BPF_FUNC_dynptr_read
        | BPF_FUNC_dynptr_write
        | BPF_FUNC_dynptr_data
        | BPF_FUNC_cgrp_storage_get
        | BPF_FUNC_cgrp_storage_delete
        | BPF_FUNC_get_current_cgroup_id
        | BPF_FUNC_get_current_ancestor_cgroup_id
        | BPF_FUNC_current_task_under_cgroup
        | BPF_FUNC_get_cgroup_classid
        | BPF_FUNC_task_storage_get
        | BPF_FUNC_task_storage_delete => Caps::BPF,
        BPF_FUNC_trace_printk
        | BPF_FUNC_get_current_task
        | BPF_FUNC_get_current_task_btf
        | BPF_FUNC_get_current_comm
        | BPF_FUNC_probe_read_user
        | BPF_FUNC_probe_read_kernel
        | BPF_FUNC_probe_read_user_str
        | BPF_FUNC_probe_read_kernel_str
        | BPF_FUNC_copy_from_user
        | BPF_FUNC_copy_from_user_task
        | BPF_FUNC_snprintf_btf
        | BPF_FUNC_snprintf
        | BPF_FUNC_task_pt_regs
        | BPF_FUNC_trace_vprintk
        | BPF_FUNC_perf_event_read_value
        | BPF_FUNC_perf_event_read
        | BPF_FUNC_send_signal
        | BPF_FUNC_send_signal_thread
        | BPF_FUNC_get_task_stack
        | BPF_FUNC_get_branch_snapshot
        | BPF_FUNC_find_vma
        | BPF_FUNC_skc_to_tcp6_sock
        | BPF_FUNC_skc_to_tcp_sock
        | BPF_FUNC_skc_to_tcp_timewait_sock
        | BPF_FUNC_skc_to_tcp_request_sock
        | BPF_FUNC_skc_to_udp6_sock
        | BPF_FUNC_skc_to_unix_sock
        | BPF_FUNC_skc_to_mptcp_sock => Caps(Caps::BPF.0 | Caps::PERFMON.0),
        _ => Caps::NONE,
    }
}

/// Looks up a helper that this loader may use.
pub(crate) fn helper(env: &dyn Env, id: i32) -> HelperLookup<'_> {
    match env.helper(id) {
        HelperLookup::Known(proto) if !env.caps().allows(for_common_helper(id.cast_unsigned())) => {
            HelperLookup::NotAllowed(proto.name)
        }
        found => found,
    }
}

impl BitOr for Caps {
    type Output = Caps;

    fn bitor(self, other: Caps) -> Caps {
        Caps(self.0 | other.0)
    }
}

/// What a loader may (`struct bpf_verifier_env`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rights {
    /// CAP_BPF: loops, functions, numbers that are not all precise.
    pub(crate) bpf_capable: bool,
    /// Addresses may leave the program.
    pub(crate) allow_ptr_leaks: bool,
    /// Stack that was never written may be read.
    pub(crate) allow_uninit_stack: bool,
    /// No protection against mispredicted branches.
    pub(crate) bypass_spec_v1: bool,
    /// No protection against loads that pass older stores.
    pub(crate) bypass_spec_v4: bool,
}

impl Rights {
    pub(crate) fn of(caps: Caps) -> Rights {
        let perfmon = caps.allows(Caps::PERFMON);
        Rights {
            bpf_capable: caps.allows(Caps::BPF),
            allow_ptr_leaks: perfmon,
            allow_uninit_stack: perfmon,
            bypass_spec_v1: perfmon,
            bypass_spec_v4: perfmon,
        }
    }
}
