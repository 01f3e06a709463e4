//! Kernel functions that programs may call: one descriptor each, by topic; [`KFUNCS`] lists them.
//!
//! The kernel's types say what a function takes and gives; a [`Kfunc`] adds what they do not say: its flags, and who
//! may call it. The tables hold what `/sys/kernel/btf/vmlinux` of a Linux 6.18 tags as `bpf_kfunc`. The functions of
//! modules are not among them.

mod cpumask;
mod crypto;
mod dynptr;
mod fs;
mod graph;
mod iter;
mod misc;
mod net;
mod section;
mod string;
mod task;
mod tcp;

use skep_verifier::env::{KfuncFlags, KfuncLookup, KfuncProto};

/// A set of program types, by their numbers (`enum btf_kfunc_hook` groups them).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KfuncProgs(u64);

impl KfuncProgs {
    const fn of(numbers: &[u32]) -> KfuncProgs {
        let (mut bits, mut i) = (0, 0);
        while i < numbers.len() {
            bits |= 1 << numbers[i];
            i += 1;
        }
        KfuncProgs(bits)
    }

    /// Every program.
    pub const ALL: KfuncProgs = KfuncProgs(u64::MAX);
    /// `BPF_PROG_TYPE_SOCKET_FILTER`.
    pub const SOCKET_FILTER: KfuncProgs = KfuncProgs::of(&[1]);
    /// `BPF_PROG_TYPE_KPROBE`.
    pub const KPROBE: KfuncProgs = KfuncProgs::of(&[2]);
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    pub const CLS: KfuncProgs = KfuncProgs::of(&[3]);
    /// `BPF_PROG_TYPE_SCHED_CLS` and `_ACT`.
    pub const TC: KfuncProgs = KfuncProgs::of(&[3, 4]);
    /// `BPF_PROG_TYPE_XDP`.
    pub const XDP: KfuncProgs = KfuncProgs::of(&[6]);
    /// Tracepoints, perf events, `BPF_PROG_TYPE_TRACING` and `_LSM`; not raw tracepoints.
    pub const TRACING: KfuncProgs = KfuncProgs::of(&[5, 7, 26, 29]);
    /// `BPF_PROG_TYPE_LSM`.
    pub const LSM: KfuncProgs = KfuncProgs::of(&[29]);
    /// Those of control groups, and `BPF_PROG_TYPE_SOCK_OPS`.
    pub const CGROUP: KfuncProgs = KfuncProgs::of(&[8, 9, 13, 15, 18, 23, 25]);
    /// `BPF_PROG_TYPE_LWT_*`.
    pub const LWT: KfuncProgs = KfuncProgs::of(&[10, 11, 12, 19]);
    /// `BPF_PROG_TYPE_STRUCT_OPS`.
    pub const STRUCT_OPS: KfuncProgs = KfuncProgs::of(&[27]);
    /// `BPF_PROG_TYPE_SYSCALL`.
    pub const SYSCALL: KfuncProgs = KfuncProgs::of(&[31]);
    /// Those that see socket buffers, and tracing.
    pub const SKB: KfuncProgs = KfuncProgs::SOCKET_FILTER
        .with(KfuncProgs::TC)
        .with(KfuncProgs::CGROUP)
        .with(KfuncProgs::LWT)
        .with(KfuncProgs::TRACING)
        .with(KfuncProgs::of(&[14, 32]));
    /// Tracing, packets, control groups, `struct_ops` and syscall programs.
    pub const GENERIC: KfuncProgs = KfuncProgs::TRACING
        .with(KfuncProgs::CLS_XDP)
        .with(KfuncProgs::STRUCT_OPS)
        .with(KfuncProgs::SYSCALL)
        .with(KfuncProgs::CGROUP);
    /// `BPF_PROG_TYPE_SCHED_CLS` and `_XDP`.
    pub const CLS_XDP: KfuncProgs = KfuncProgs::CLS.with(KfuncProgs::XDP);
    /// `BPF_PROG_TYPE_SCHED_CLS`, `_ACT` and `_XDP`.
    pub const TC_XDP: KfuncProgs = KfuncProgs::TC.with(KfuncProgs::XDP);
    /// Tracing, `struct_ops` and syscall programs.
    pub const TRACING_OPS_SYSCALL: KfuncProgs =
        KfuncProgs::TRACING.with(KfuncProgs::STRUCT_OPS).with(KfuncProgs::SYSCALL);
    /// `BPF_PROG_TYPE_SCHED_CLS`, tracing and syscall programs.
    pub const CLS_TRACING_SYSCALL: KfuncProgs =
        KfuncProgs::CLS.with(KfuncProgs::TRACING).with(KfuncProgs::SYSCALL);

    /// Both sets.
    pub const fn with(self, other: KfuncProgs) -> KfuncProgs {
        KfuncProgs(self.0 | other.0)
    }

    /// Whether the program type of a number is in it.
    pub const fn has(self, prog_type: u32) -> bool {
        prog_type < 64 && self.0 >> prog_type & 1 != 0
    }
}

/// What a program must be beside its type (`struct btf_kfunc_id_set::filter`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    /// Nothing more.
    Any,
    /// Tracing programs that iterate (`BPF_TRACE_ITER`).
    TraceIter,
    /// Probes with a session (`BPF_TRACE_KPROBE_SESSION`, `BPF_TRACE_UPROBE_SESSION`).
    KprobeSession,
    /// Programs that are bound to a device, of which Skep has none.
    DeviceBound,
}

/// One kernel function.
#[derive(Clone, Copy, Debug)]
pub struct Kfunc {
    /// What the verifier must know beside its type.
    pub proto: KfuncProto,
    /// Program types that may call it.
    pub progs: KfuncProgs,
    /// What they must be beside.
    pub only: Only,
    /// Linux version that introduced it, `(major, minor)`.
    pub since: (u16, u16),
}

const fn kfunc(
    name: &'static str,
    flags: KfuncFlags,
    progs: KfuncProgs,
    since: (u16, u16),
) -> Kfunc {
    Kfunc { proto: KfuncProto { name, flags }, progs, only: Only::Any, since }
}

/// All kernel functions, by topic.
pub static KFUNCS: &[&[Kfunc]] = &[
    graph::KFUNCS,
    task::KFUNCS,
    cpumask::KFUNCS,
    iter::KFUNCS,
    dynptr::KFUNCS,
    section::KFUNCS,
    string::KFUNCS,
    misc::KFUNCS,
    crypto::KFUNCS,
    net::KFUNCS,
    tcp::KFUNCS,
    fs::KFUNCS,
];

/// `BPF_TRACE_ITER`.
const TRACE_ITER: u32 = 28;
/// `BPF_TRACE_KPROBE_SESSION` and `BPF_TRACE_UPROBE_SESSION`.
const SESSIONS: [u32; 2] = [56, 58];

/// Whether a program of this type and attach type may call the function of that name.
pub fn lookup(name: &str, prog_type: u32, attach_type: u32) -> KfuncLookup<'static> {
    let Some(k) = KFUNCS.iter().flat_map(|t| t.iter()).find(|k| k.proto.name == name) else {
        return KfuncLookup::NotAllowed;
    };
    let fits = match k.only {
        Only::Any => true,
        Only::TraceIter => attach_type == TRACE_ITER,
        Only::KprobeSession => SESSIONS.contains(&attach_type),
        Only::DeviceBound => return KfuncLookup::DeviceBound,
    };
    if fits && k.progs.has(prog_type) {
        KfuncLookup::Known(&k.proto)
    } else {
        KfuncLookup::NotAllowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::{Btf, TypeView};

    /// Tagged in the kernel's types, but only for programs that modify their result.
    const NOT_CALLED: [&str; 3] =
        ["bpf_fentry_test1", "bpf_modify_return_test", "bpf_modify_return_test2"];

    #[test]
    fn each_is_listed_once() {
        let mut names: Vec<_> =
            KFUNCS.iter().flat_map(|t| t.iter()).map(|k| k.proto.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn they_are_those_that_the_kernel_tags() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        if !release.starts_with("6.18.") {
            return;
        }
        let btf = Btf::parse(&bytes).expect("the kernel's types");
        let mut tagged: Vec<&str> = btf
            .types()
            .filter(|t| t.name() == "bpf_kfunc")
            .filter_map(|t| match t.view() {
                TypeView::DeclTag { target, .. } => Some(btf.type_by_id(target)?.name()),
                _ => None,
            })
            .filter(|n| !NOT_CALLED.contains(n))
            .collect();
        tagged.sort_unstable();
        tagged.dedup();
        let mut listed: Vec<_> =
            KFUNCS.iter().flat_map(|t| t.iter()).map(|k| k.proto.name).collect();
        listed.sort_unstable();
        listed.retain(|n| tagged.contains(n) || btf.find_by_name(n).is_some());
        assert_eq!(listed, tagged);
    }

    #[test]
    fn who_may_call() {
        let known = |n, t, a| matches!(lookup(n, t, a), KfuncLookup::Known(_));
        assert!(known("bpf_rcu_read_lock", 1, 0));
        assert!(known("bpf_task_acquire", 26, 23));
        assert!(!known("bpf_task_acquire", 17, 0));
        assert!(known("bpf_sock_destroy", 26, 28) && !known("bpf_sock_destroy", 26, 23));
        assert!(known("bpf_session_cookie", 2, 56) && !known("bpf_session_cookie", 2, 0));
        assert!(!known("no_such_function", 26, 0));
    }
}
