//! [`ProgTypes`]: a set of program types, as descriptors of helpers name them.

/// A set of program types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProgTypes(u64);

macro_rules! types {
    ($($name:ident = $number:ident;)*) => {
        impl ProgTypes {
            $(
                #[doc = concat!("`", stringify!($number), "`.")]
                pub const $name: ProgTypes = ProgTypes(1 << skep_abi::uapi::$number);
            )*
        }
    };
}

types! {
    SOCKET_FILTER = BPF_PROG_TYPE_SOCKET_FILTER;
    KPROBE = BPF_PROG_TYPE_KPROBE;
    SCHED_CLS = BPF_PROG_TYPE_SCHED_CLS;
    SCHED_ACT = BPF_PROG_TYPE_SCHED_ACT;
    TRACEPOINT = BPF_PROG_TYPE_TRACEPOINT;
    XDP = BPF_PROG_TYPE_XDP;
    PERF_EVENT = BPF_PROG_TYPE_PERF_EVENT;
    CGROUP_SKB = BPF_PROG_TYPE_CGROUP_SKB;
    CGROUP_SOCK = BPF_PROG_TYPE_CGROUP_SOCK;
    LWT_IN = BPF_PROG_TYPE_LWT_IN;
    LWT_OUT = BPF_PROG_TYPE_LWT_OUT;
    LWT_XMIT = BPF_PROG_TYPE_LWT_XMIT;
    SOCK_OPS = BPF_PROG_TYPE_SOCK_OPS;
    SK_SKB = BPF_PROG_TYPE_SK_SKB;
    CGROUP_DEVICE = BPF_PROG_TYPE_CGROUP_DEVICE;
    SK_MSG = BPF_PROG_TYPE_SK_MSG;
    RAW_TRACEPOINT = BPF_PROG_TYPE_RAW_TRACEPOINT;
    CGROUP_SOCK_ADDR = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    LWT_SEG6LOCAL = BPF_PROG_TYPE_LWT_SEG6LOCAL;
    LIRC_MODE2 = BPF_PROG_TYPE_LIRC_MODE2;
    SK_REUSEPORT = BPF_PROG_TYPE_SK_REUSEPORT;
    FLOW_DISSECTOR = BPF_PROG_TYPE_FLOW_DISSECTOR;
    CGROUP_SYSCTL = BPF_PROG_TYPE_CGROUP_SYSCTL;
    RAW_TRACEPOINT_WRITABLE = BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE;
    CGROUP_SOCKOPT = BPF_PROG_TYPE_CGROUP_SOCKOPT;
    TRACING = BPF_PROG_TYPE_TRACING;
    STRUCT_OPS = BPF_PROG_TYPE_STRUCT_OPS;
    EXT = BPF_PROG_TYPE_EXT;
    LSM = BPF_PROG_TYPE_LSM;
    SK_LOOKUP = BPF_PROG_TYPE_SK_LOOKUP;
    SYSCALL = BPF_PROG_TYPE_SYSCALL;
    NETFILTER = BPF_PROG_TYPE_NETFILTER;
}

impl ProgTypes {
    /// Classic seccomp filters, which call no helpers.
    pub const SECCOMP: ProgTypes = ProgTypes(1);
    /// All that are loaded as eBPF.
    pub const EXTENDED: ProgTypes = ProgTypes((1 << 33) - 2);
    /// Traffic control's classifiers and actions.
    pub const TC: ProgTypes = ProgTypes::SCHED_CLS.with(ProgTypes::SCHED_ACT);
    /// Lightweight tunnels.
    pub const LWT: ProgTypes = ProgTypes::LWT_IN
        .with(ProgTypes::LWT_OUT)
        .with(ProgTypes::LWT_XMIT)
        .with(ProgTypes::LWT_SEG6LOCAL);
    /// Probes, tracepoints and perf events whose context BTF does not describe.
    pub const PROBES: ProgTypes = ProgTypes::KPROBE
        .with(ProgTypes::TRACEPOINT)
        .with(ProgTypes::PERF_EVENT)
        .with(ProgTypes::RAW_TRACEPOINT)
        .with(ProgTypes::RAW_TRACEPOINT_WRITABLE);
    /// What sees the kernel through its types: tracing and security hooks.
    pub const BTF_TYPED: ProgTypes = ProgTypes::TRACING.with(ProgTypes::LSM);

    /// Both sets.
    pub const fn with(self, other: ProgTypes) -> ProgTypes {
        ProgTypes(self.0 | other.0)
    }

    /// This set without the other.
    pub const fn without(self, other: ProgTypes) -> ProgTypes {
        ProgTypes(self.0 & !other.0)
    }

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: ProgTypes) -> bool {
        self.0 & other.0 == other.0
    }
}
