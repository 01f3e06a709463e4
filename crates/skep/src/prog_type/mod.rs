//! Program types of Linux 6.18: one descriptor each, next to its context's layout; [`PROG_TYPES`] lists them.
//!
//! Skep runs the programs of some types ([`ProgKind`]); those of the others it *judges*: they are verified, but cannot
//! be linked to run.

mod btf;
mod cgroup;
mod field;
mod lwt;
mod probe;
mod sched_cls;
mod seccomp;
mod set;
mod skb_fields;
mod socket;
mod socket_filter;
mod syscall;
mod xdp;

use crate::support::Support;
use core::fmt;
use skep_abi::Errno;
use skep_verifier::env::{CtxField, CtxLayout, PacketAccess, ProgTypeProps};

pub use seccomp::SECCOMP;
pub use set::ProgTypes;
pub use socket_filter::SOCKET_FILTER;

/// How a program runs.
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
    /// A classic seccomp filter, translated.
    Seccomp,
    /// Not at all: it is only judged.
    Judged,
}

/// Which attach types a program may expect at its load (`bpf_prog_load_check_attach`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachRule {
    /// Any number: it is looked at later, if at all.
    Any,
    /// None.
    None,
    /// One of these.
    OneOf(&'static [u32]),
    /// One of these; 0 stands for the last.
    OneOfOr(&'static [u32], u32),
}

/// What is different for some attach types.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    attach: &'static [u32],
    fields: Option<&'static [CtxField]>,
    ret_range: Option<(i64, i64)>,
}

impl Variant {
    /// Another context.
    const fn fields(attach: &'static [u32], fields: &'static [CtxField]) -> Variant {
        Variant { attach, fields: Some(fields), ret_range: None }
    }

    /// Other return values.
    const fn returns(attach: &'static [u32], ret_range: (i64, i64)) -> Variant {
        Variant { attach, fields: None, ret_range: Some(ret_range) }
    }
}

/// What is known of a program type: one constant next to its context.
#[derive(Clone, Copy)]
pub struct ProgType {
    /// How it runs.
    pub kind: ProgKind,
    /// What the verifier must know, for attach types that are nothing special.
    pub props: ProgTypeProps,
    /// Attach types that it may expect.
    pub attach: AttachRule,
    /// What is different for some of them.
    pub variants: &'static [Variant],
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

/// All program types, by number; seccomp's last.
pub static PROG_TYPES: &[&ProgType] = &[
    &SOCKET_FILTER,
    &probe::KPROBE,
    &sched_cls::SCHED_CLS,
    &sched_cls::SCHED_ACT,
    &probe::TRACEPOINT,
    &xdp::XDP,
    &probe::PERF_EVENT,
    &cgroup::CGROUP_SKB,
    &cgroup::CGROUP_SOCK,
    &lwt::LWT_IN,
    &lwt::LWT_OUT,
    &lwt::LWT_XMIT,
    &socket::SOCK_OPS,
    &socket::SK_SKB,
    &cgroup::CGROUP_DEVICE,
    &socket::SK_MSG,
    &probe::RAW_TRACEPOINT,
    &cgroup::CGROUP_SOCK_ADDR,
    &lwt::LWT_SEG6LOCAL,
    &probe::LIRC_MODE2,
    &socket::SK_REUSEPORT,
    &socket::FLOW_DISSECTOR,
    &cgroup::CGROUP_SYSCTL,
    &probe::RAW_TRACEPOINT_WRITABLE,
    &cgroup::CGROUP_SOCKOPT,
    &btf::TRACING,
    &btf::STRUCT_OPS,
    &btf::EXT,
    &btf::LSM,
    &socket::SK_LOOKUP,
    &syscall::SYSCALL,
    &probe::NETFILTER,
    &SECCOMP,
];

impl ProgType {
    /// The type with a number of `BPF_PROG_TYPE_*`.
    pub fn by_number(number: u32) -> Option<&'static ProgType> {
        let extended = |t: &&&ProgType| t.props.prog_type == number && t.kind != ProgKind::Seccomp;
        PROG_TYPES.iter().find(extended).copied()
    }

    /// The attach type that a program of this type has if it expects `given`; `None` if it may not.
    pub fn resolve_attach(&self, given: u32) -> Option<u32> {
        match self.attach {
            AttachRule::Any => Some(given),
            AttachRule::None => (given == 0).then_some(0),
            AttachRule::OneOf(some) => some.contains(&given).then_some(given),
            AttachRule::OneOfOr(_, default) if given == 0 => Some(default),
            AttachRule::OneOfOr(some, _) => some.contains(&given).then_some(given),
        }
    }

    /// What the verifier must know of a program with this attach type.
    pub fn props_at(&self, attach_type: u32) -> ProgTypeProps {
        let mut props = self.props;
        for v in self.variants.iter().filter(|v| v.attach.contains(&attach_type)) {
            if let Some(fields) = v.fields {
                props.ctx.fields = fields;
            }
            if v.ret_range.is_some() {
                props.ret_range = v.ret_range;
            }
        }
        props
    }

    /// The same with return values that the kernel demands.
    const fn returns(self, ret_range: (i64, i64)) -> ProgType {
        let props = ProgTypeProps { ret_range: Some(ret_range), ..self.props };
        ProgType { props, ..self }
    }
}

/// A context of fields.
const fn layout(name: &'static str, size: u32, fields: &'static [CtxField]) -> CtxLayout {
    CtxLayout { name, size, fields, raw_memory: None }
}

/// A type whose programs are judged, but not run.
const fn judged(
    number: u32,
    name: &'static str,
    set: ProgTypes,
    since: (u16, u16),
    ctx: CtxLayout,
    note: &'static str,
) -> ProgType {
    ProgType {
        kind: ProgKind::Judged,
        props: ProgTypeProps {
            prog_type: number,
            name,
            ctx,
            packet: PacketAccess::None,
            legacy_loads: false,
            ret_range: None,
            sleepable: false,
        },
        attach: AttachRule::Any,
        variants: &[],
        set,
        since,
        support: Support::No(Errno::EINVAL, note),
    }
}

/// The same type with packets.
const fn packets(t: ProgType, packet: PacketAccess) -> ProgType {
    let props = ProgTypeProps { packet, ..t.props };
    ProgType { props, ..t }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_number() {
        assert_eq!(ProgType::by_number(6).map(|t| t.kind), Some(ProgKind::Xdp));
        assert!(ProgType::by_number(0).is_none());
        let numbers: Vec<u32> = PROG_TYPES.iter().map(|t| t.props.prog_type).collect();
        assert_eq!(numbers, (1..=32).chain([0]).collect::<Vec<_>>());
    }

    #[test]
    fn fields_ascend_and_do_not_overlap() {
        for t in PROG_TYPES {
            let variants = t.variants.iter().filter_map(|v| v.fields);
            for fields in variants.chain([t.props.ctx.fields]) {
                for pair in fields.windows(2) {
                    assert!(pair[0].off + pair[0].size <= pair[1].off, "{t:?}: {}", pair[1].name);
                }
                let end = fields.last().map_or(0, |f| f.off + f.size);
                assert!(end <= t.props.ctx.size, "{t:?}");
            }
        }
    }

    #[test]
    fn attach_types() {
        let by = |n| ProgType::by_number(n).unwrap();
        assert_eq!(by(9).resolve_attach(0), Some(2), "a socket's creation");
        assert_eq!(by(9).resolve_attach(3), None);
        assert_eq!(by(18).resolve_attach(0), None);
        assert_eq!(by(18).props_at(8).ret_range, Some((0, 3)));
        assert_eq!(by(18).props_at(51).ret_range, Some((1, 1)));
        assert_eq!(by(31).resolve_attach(1), None);
    }
}
