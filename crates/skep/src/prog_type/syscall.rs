//! `BPF_PROG_TYPE_SYSCALL`: programs that user space runs on memory of its own.

use super::{AttachRule, ProgKind, ProgType, ProgTypes};
use crate::support::Support;
use skep_verifier::env::{CtxLayout, PacketAccess, ProgTypeProps};

/// Longest context, in bytes: `U16_MAX`.
pub(crate) const MAX_CTX: u32 = u16::MAX as u32;

pub(super) static SYSCALL: ProgType = ProgType {
    kind: ProgKind::Syscall,
    props: ProgTypeProps {
        prog_type: 31,
        name: "syscall",
        ctx: CtxLayout { name: "void", size: MAX_CTX, fields: &[], raw_memory: Some(MAX_CTX) },
        packet: PacketAccess::None,
        legacy_loads: false,
        ret_range: None,
        sleepable: true,
    },
    attach: AttachRule::None,
    variants: &[],
    set: ProgTypes::SYSCALL,
    since: (5, 14),
    support: Support::Partial("cannot call bpf(2)"),
};
