//! Program types: one descriptor each, next to its context's layout; [`PROG_TYPES`] lists them.

mod btf;
mod missing;
mod sched_cls;
mod seccomp;
mod set;
mod skb_fields;
mod socket_filter;
mod syscall;
mod xdp;

use crate::support::Support;
use core::fmt;
use skep_verifier::env::ProgTypeProps;

pub use missing::{MISSING, Missing};
pub use set::ProgTypes;
pub use xdp::devmap_layout;

/// A program type that Skep has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProgKind {
    /// `BPF_PROG_TYPE_SOCKET_FILTER`.
    SocketFilter,
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    SchedCls,
    /// `BPF_PROG_TYPE_SCHED_ACT`.
    SchedAct,
    /// `BPF_PROG_TYPE_XDP`.
    Xdp,
    /// `BPF_PROG_TYPE_SYSCALL`.
    Syscall,
    /// `BPF_PROG_TYPE_TRACING`.
    Tracing,
    /// `BPF_PROG_TYPE_STRUCT_OPS`.
    StructOps,
    /// `BPF_PROG_TYPE_EXT`.
    Ext,
    /// `BPF_PROG_TYPE_LSM`.
    Lsm,
    /// A classic seccomp filter, translated.
    Seccomp,
}

/// What is known of a program type: one constant next to its context.
#[derive(Clone, Copy)]
pub struct ProgType {
    /// Which.
    pub kind: ProgKind,
    /// What the verifier must know.
    pub props: ProgTypeProps,
    /// The set with only this type, for helpers.
    pub set: ProgTypes,
    /// Linux version that introduced it, `(major, minor)`.
    pub since: (u16, u16),
    /// What works.
    pub support: Support,
}

impl fmt::Debug for ProgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.props.name)
    }
}

/// All program types that Skep has.
pub static PROG_TYPES: &[&ProgType] = &[
    &socket_filter::SOCKET_FILTER,
    &sched_cls::SCHED_CLS,
    &sched_cls::SCHED_ACT,
    &xdp::XDP,
    &btf::TRACING,
    &btf::STRUCT_OPS,
    &btf::EXT,
    &btf::LSM,
    &syscall::SYSCALL,
    &seccomp::SECCOMP,
];

impl ProgKind {
    /// What is known of it.
    pub fn describe(self) -> &'static ProgType {
        match self {
            ProgKind::SocketFilter => &socket_filter::SOCKET_FILTER,
            ProgKind::SchedCls => &sched_cls::SCHED_CLS,
            ProgKind::SchedAct => &sched_cls::SCHED_ACT,
            ProgKind::Xdp => &xdp::XDP,
            ProgKind::Syscall => &syscall::SYSCALL,
            ProgKind::Tracing => &btf::TRACING,
            ProgKind::StructOps => &btf::STRUCT_OPS,
            ProgKind::Ext => &btf::EXT,
            ProgKind::Lsm => &btf::LSM,
            ProgKind::Seccomp => &seccomp::SECCOMP,
        }
    }

    /// The type with a number of `BPF_PROG_TYPE_*`, if Skep has it.
    pub fn from_number(number: u32) -> Option<ProgKind> {
        PROG_TYPES
            .iter()
            .find(|t| t.props.prog_type == number && t.kind != ProgKind::Seccomp)
            .map(|t| t.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_found_by_kind_and_number() {
        for t in PROG_TYPES {
            assert_eq!(t.kind.describe().kind, t.kind);
        }
        assert_eq!(ProgKind::from_number(6), Some(ProgKind::Xdp));
        assert_eq!(ProgKind::from_number(0), None);
        let mut numbers: Vec<u32> = MISSING.iter().map(|m| m.prog_type).collect();
        numbers.extend(PROG_TYPES.iter().map(|t| t.props.prog_type).filter(|n| *n != 0));
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=32).collect::<Vec<_>>());
    }

    #[test]
    fn fields_ascend_and_do_not_overlap() {
        for t in PROG_TYPES {
            for pair in t.props.ctx.fields.windows(2) {
                assert!(pair[0].off + pair[0].size <= pair[1].off, "{t:?}: {}", pair[1].name);
            }
        }
    }
}
