//! Program types of Linux 6.18 that Skep does not have yet, with the reason.

/// A program type that is not there; loading one fails with `EINVAL`, as on a kernel built without it.
#[derive(Clone, Copy, Debug)]
pub struct Missing {
    /// `BPF_PROG_TYPE_*` number.
    pub prog_type: u32,
    /// Name as bpftool prints it.
    pub name: &'static str,
    /// Linux version that introduced it.
    pub since: (u16, u16),
    /// Why it is not there.
    pub note: &'static str,
}

const fn missing(
    prog_type: u32,
    name: &'static str,
    since: (u16, u16),
    note: &'static str,
) -> Missing {
    Missing { prog_type, name, since, note }
}

/// By ascending number.
pub static MISSING: &[Missing] = &[
    missing(2, "kprobe", (4, 1), "tracing is not implemented yet"),
    missing(5, "tracepoint", (4, 7), "tracing is not implemented yet"),
    missing(7, "perf_event", (4, 9), "tracing is not implemented yet"),
    missing(8, "cgroup_skb", (4, 10), "cgroups are not implemented yet"),
    missing(9, "cgroup_sock", (4, 10), "cgroups are not implemented yet"),
    missing(10, "lwt_in", (4, 10), "routes are not implemented yet"),
    missing(11, "lwt_out", (4, 10), "routes are not implemented yet"),
    missing(12, "lwt_xmit", (4, 10), "routes are not implemented yet"),
    missing(13, "sock_ops", (4, 13), "sockets are not implemented yet"),
    missing(14, "sk_skb", (4, 14), "sockets are not implemented yet"),
    missing(15, "cgroup_device", (4, 15), "cgroups are not implemented yet"),
    missing(16, "sk_msg", (4, 17), "sockets are not implemented yet"),
    missing(17, "raw_tracepoint", (4, 17), "tracing is not implemented yet"),
    missing(18, "cgroup_sock_addr", (4, 17), "cgroups are not implemented yet"),
    missing(19, "lwt_seg6local", (4, 18), "routes are not implemented yet"),
    missing(20, "lirc_mode2", (4, 18), "infrared receivers are not implemented yet"),
    missing(21, "sk_reuseport", (4, 19), "sockets are not implemented yet"),
    missing(22, "flow_dissector", (4, 20), "flow dissectors are not implemented yet"),
    missing(23, "cgroup_sysctl", (5, 2), "cgroups are not implemented yet"),
    missing(24, "raw_tracepoint_writable", (5, 2), "tracing is not implemented yet"),
    missing(25, "cgroup_sockopt", (5, 3), "cgroups are not implemented yet"),
    missing(30, "sk_lookup", (5, 9), "sockets are not implemented yet"),
    missing(32, "netfilter", (6, 4), "netfilter is not implemented yet"),
];
