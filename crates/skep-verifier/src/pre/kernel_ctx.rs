//! [`KernelCtx`]: a program type's context as the kernel's types describe it.
//!
//! The kernel's BTF has a structure `bpf_ctx_convert` with two members for each program type: what programs see, and
//! what the kernel has in its place.

use skep_btf::{Btf, Kind, Type, TypeId, TypeView};

/// Names of the program types in `bpf_ctx_convert`, by number.
const NAMES: [&str; 33] = [
    "UNSPEC",
    "SOCKET_FILTER",
    "KPROBE",
    "SCHED_CLS",
    "SCHED_ACT",
    "TRACEPOINT",
    "XDP",
    "PERF_EVENT",
    "CGROUP_SKB",
    "CGROUP_SOCK",
    "LWT_IN",
    "LWT_OUT",
    "LWT_XMIT",
    "SOCK_OPS",
    "SK_SKB",
    "CGROUP_DEVICE",
    "SK_MSG",
    "RAW_TRACEPOINT",
    "CGROUP_SOCK_ADDR",
    "LWT_SEG6LOCAL",
    "LIRC_MODE2",
    "SK_REUSEPORT",
    "FLOW_DISSECTOR",
    "CGROUP_SYSCTL",
    "RAW_TRACEPOINT_WRITABLE",
    "CGROUP_SOCKOPT",
    "TRACING",
    "STRUCT_OPS",
    "EXT",
    "LSM",
    "SK_LOOKUP",
    "SYSCALL",
    "NETFILTER",
];

/// A program type's context in the kernel's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct KernelCtx {
    /// What programs see.
    pub(crate) prog: Option<TypeId>,
    /// What the kernel has in its place.
    pub(crate) kern: Option<TypeId>,
}

impl KernelCtx {
    /// Finds the types (`find_canonical_prog_ctx_type`, `find_kern_ctx_type_id`).
    pub(crate) fn find(kernel: &Btf, prog_type: u32) -> KernelCtx {
        let name = usize::try_from(prog_type).ok().and_then(|n| NAMES.get(n));
        let all = kernel.find_by_name_kind("bpf_ctx_convert", Kind::Struct);
        let (Some(name), Some(all)) = (name, all.and_then(|t| t.as_composite())) else {
            return KernelCtx::default();
        };
        let member = |suffix: &str| {
            let name = format!("BPF_PROG_TYPE_{name}_{suffix}");
            all.members.iter().find(|m| m.name == name).map(|m| m.ty)
        };
        KernelCtx { prog: member("prog"), kern: member("kern") }
    }

    /// Whether a pointer type is one to the context that programs see (`btf_is_prog_ctx_type`).
    pub(crate) fn is_context(self, kernel: &Btf, btf: &Btf, target: TypeId) -> bool {
        let Some(named) = self.prog.and_then(|id| kernel.type_by_id(id)) else { return false };
        let Some(target) = btf.skip_typedefs_and_modifiers(target) else { return false };
        if target.kind() != Kind::Struct || target.name().is_empty() {
            return false;
        }
        self.names(kernel, named, target.name())
    }

    /// Whether the context is of a name, itself or behind typedefs.
    fn names<'a>(self, kernel: &'a Btf, mut ty: Type<'a>, name: &str) -> bool {
        const MAX_CHAIN: usize = 32;
        for _ in 0..MAX_CHAIN {
            if ty.name() == name {
                return true;
            }
            let next = match ty.view() {
                TypeView::Typedef(next)
                | TypeView::Const(next)
                | TypeView::Volatile(next)
                | TypeView::Restrict(next)
                | TypeView::TypeTag(next) => next,
                _ => return false,
            };
            let Some(next) = kernel.type_by_id(next) else { return false };
            ty = next;
        }
        false
    }
}
