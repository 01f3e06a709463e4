//! Section names of programs: which prefix means which program type, attach type and load flags.
//!
//! The table is libbpf's (documented in Documentation/bpf/libbpf/program_types.rst). The order matters: the first entry
//! that matches wins.

use skep_abi::uapi::*;

use crate::model::AttachTarget;

/// How a table entry matches.
#[derive(Clone, Copy)]
enum Match {
    /// The whole name.
    Exact,
    /// The name alone, or the name, a slash and more.
    Extra,
}

/// One prefix.
struct SecName {
    name: &'static str,
    matches: Match,
    prog_type: u32,
    attach_type: u32,
    traits: u8,
}

const NONE: u8 = 0;
/// The attach type may be left out for kernels that do not know it.
const OPTIONAL: u8 = 1;
/// Loaded with `BPF_F_SLEEPABLE`.
const SLEEPABLE: u8 = 2;
/// Loaded with `BPF_F_XDP_HAS_FRAGS`.
const FRAGS: u8 = 4;
/// Attaches to something that BTF names.
const BTF: u8 = 8;

/// What a section name says about its programs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SecMeaning {
    pub(crate) prog_type: u32,
    pub(crate) attach_type: u32,
    pub(crate) attach_type_optional: bool,
    pub(crate) flags: u32,
    pub(crate) attach_to: AttachTarget,
    pub(crate) attach_by_btf: bool,
}

/// Looks a section name up, without the leading `?`. An unknown name gives type 0 (unspecified).
pub(crate) fn meaning(section: &str) -> SecMeaning {
    let Some(entry) = TABLE.iter().find(|e| e.is_match(section)) else {
        return SecMeaning::default();
    };
    let mut flags = 0;
    if entry.traits & SLEEPABLE != 0 {
        flags |= BPF_F_SLEEPABLE;
    }
    if entry.traits & FRAGS != 0 {
        flags |= BPF_F_XDP_HAS_FRAGS;
    }
    let attach_to = match entry.matches {
        Match::Exact => AttachTarget::None,
        Match::Extra => match section.get(entry.name.len() + 1..) {
            Some(rest) if !rest.is_empty() => AttachTarget::Named(rest.to_owned()),
            _ => AttachTarget::None,
        },
    };
    SecMeaning {
        prog_type: entry.prog_type,
        attach_type: entry.attach_type,
        attach_type_optional: entry.traits & OPTIONAL != 0,
        flags,
        attach_to,
        attach_by_btf: entry.traits & BTF != 0,
    }
}

impl SecName {
    fn is_match(&self, section: &str) -> bool {
        match self.matches {
            Match::Exact => section == self.name,
            Match::Extra => section
                .strip_prefix(self.name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

const fn exact(name: &'static str, prog_type: u32, attach_type: u32, traits: u8) -> SecName {
    SecName { name, matches: Match::Exact, prog_type, attach_type, traits }
}

const fn extra(name: &'static str, prog_type: u32, attach_type: u32, traits: u8) -> SecName {
    SecName { name, matches: Match::Extra, prog_type, attach_type, traits }
}

#[rustfmt::skip]
static TABLE: &[SecName] = &[
    exact("socket", BPF_PROG_TYPE_SOCKET_FILTER, 0, NONE),
    exact("sk_reuseport/migrate", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE, NONE),
    exact("sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT, NONE),
    extra("kprobe", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("uprobe", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("uprobe.s", BPF_PROG_TYPE_KPROBE, 0, SLEEPABLE),
    extra("kretprobe", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("uretprobe", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("uretprobe.s", BPF_PROG_TYPE_KPROBE, 0, SLEEPABLE),
    extra("kprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, NONE),
    extra("kretprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, NONE),
    extra("kprobe.session", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_SESSION, NONE),
    extra("uprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, NONE),
    extra("uretprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, NONE),
    extra("uprobe.session", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_SESSION, NONE),
    extra("uprobe.multi.s", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SLEEPABLE),
    extra("uretprobe.multi.s", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SLEEPABLE),
    extra("uprobe.session.s", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_SESSION, SLEEPABLE),
    extra("ksyscall", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("kretsyscall", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("usdt", BPF_PROG_TYPE_KPROBE, 0, NONE),
    extra("usdt.s", BPF_PROG_TYPE_KPROBE, 0, SLEEPABLE),
    exact("tc/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS, NONE),
    exact("tc/egress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, NONE),
    exact("tcx/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS, NONE),
    exact("tcx/egress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, NONE),
    exact("tc", BPF_PROG_TYPE_SCHED_CLS, 0, NONE),
    exact("classifier", BPF_PROG_TYPE_SCHED_CLS, 0, NONE),
    exact("action", BPF_PROG_TYPE_SCHED_ACT, 0, NONE),
    exact("netkit/primary", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PRIMARY, NONE),
    exact("netkit/peer", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PEER, NONE),
    extra("tracepoint", BPF_PROG_TYPE_TRACEPOINT, 0, NONE),
    extra("tp", BPF_PROG_TYPE_TRACEPOINT, 0, NONE),
    extra("raw_tracepoint", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, NONE),
    extra("raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, NONE),
    extra("raw_tracepoint.w", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, NONE),
    extra("raw_tp.w", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, NONE),
    extra("tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, BTF),
    extra("fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BTF),
    extra("fmod_ret", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, BTF),
    extra("fexit", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, BTF),
    extra("fentry.s", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, SLEEPABLE | BTF),
    extra("fmod_ret.s", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, SLEEPABLE | BTF),
    extra("fexit.s", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, SLEEPABLE | BTF),
    extra("freplace", BPF_PROG_TYPE_EXT, 0, BTF),
    extra("lsm", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, BTF),
    extra("lsm.s", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, SLEEPABLE | BTF),
    extra("lsm_cgroup", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, BTF),
    extra("iter", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, BTF),
    extra("iter.s", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, SLEEPABLE | BTF),
    exact("syscall", BPF_PROG_TYPE_SYSCALL, 0, SLEEPABLE),
    exact("xdp.frags/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, FRAGS),
    exact("xdp/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, NONE),
    exact("xdp.frags/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, FRAGS),
    exact("xdp/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, NONE),
    exact("xdp.frags", BPF_PROG_TYPE_XDP, BPF_XDP, FRAGS),
    exact("xdp", BPF_PROG_TYPE_XDP, BPF_XDP, OPTIONAL),
    exact("perf_event", BPF_PROG_TYPE_PERF_EVENT, 0, NONE),
    exact("lwt_in", BPF_PROG_TYPE_LWT_IN, 0, NONE),
    exact("lwt_out", BPF_PROG_TYPE_LWT_OUT, 0, NONE),
    exact("lwt_xmit", BPF_PROG_TYPE_LWT_XMIT, 0, NONE),
    exact("lwt_seg6local", BPF_PROG_TYPE_LWT_SEG6LOCAL, 0, NONE),
    exact("sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, OPTIONAL),
    exact("sk_skb/stream_parser", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER, OPTIONAL),
    exact("sk_skb/stream_verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, OPTIONAL),
    exact("sk_skb/verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT, OPTIONAL),
    exact("sk_skb", BPF_PROG_TYPE_SK_SKB, 0, NONE),
    exact("sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, OPTIONAL),
    exact("lirc_mode2", BPF_PROG_TYPE_LIRC_MODE2, BPF_LIRC_MODE2, OPTIONAL),
    exact("flow_dissector", BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, OPTIONAL),
    exact("cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, OPTIONAL),
    exact("cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, OPTIONAL),
    exact("cgroup/skb", BPF_PROG_TYPE_CGROUP_SKB, 0, NONE),
    exact("cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, NONE),
    exact("cgroup/sock_release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE, NONE),
    exact("cgroup/sock", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, OPTIONAL),
    exact("cgroup/post_bind4", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, NONE),
    exact("cgroup/post_bind6", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, NONE),
    exact("cgroup/bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, NONE),
    exact("cgroup/bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, NONE),
    exact("cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, NONE),
    exact("cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, NONE),
    exact("cgroup/connect_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_CONNECT, NONE),
    exact("cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, NONE),
    exact("cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, NONE),
    exact("cgroup/sendmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_SENDMSG, NONE),
    exact("cgroup/recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, NONE),
    exact("cgroup/recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, NONE),
    exact("cgroup/recvmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_RECVMSG, NONE),
    exact("cgroup/getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, NONE),
    exact("cgroup/getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, NONE),
    exact("cgroup/getpeername_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETPEERNAME, NONE),
    exact("cgroup/getsockname4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETSOCKNAME, NONE),
    exact("cgroup/getsockname6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETSOCKNAME, NONE),
    exact("cgroup/getsockname_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETSOCKNAME, NONE),
    exact("cgroup/sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL, NONE),
    exact("cgroup/getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, NONE),
    exact("cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, NONE),
    exact("cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, OPTIONAL),
    extra("struct_ops", BPF_PROG_TYPE_STRUCT_OPS, 0, NONE),
    extra("struct_ops.s", BPF_PROG_TYPE_STRUCT_OPS, 0, SLEEPABLE),
    exact("sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, NONE),
    exact("netfilter", BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER, NONE),
];
