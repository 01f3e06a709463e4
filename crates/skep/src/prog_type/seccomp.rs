//! Classic seccomp filters: translated programs on `struct seccomp_data`. They are never loaded as eBPF.

use super::{AttachRule, ProgKind, ProgType, ProgTypes};
use crate::support::Support;
use skep_verifier::env::{CtxField, CtxLayout, PacketAccess, ProgTypeProps};

/// `sizeof(struct seccomp_data)`: number, architecture, instruction pointer and six arguments.
const SIZE: u32 = 64;

/// Every aligned word can be read; the native context is the same structure.
static FIELDS: &[CtxField] = &[CtxField { size: SIZE, ..CtxField::number("seccomp_data", 0) }];

/// Classic seccomp filters.
pub static SECCOMP: ProgType = ProgType {
    kind: ProgKind::Seccomp,
    props: ProgTypeProps {
        prog_type: 0,
        name: "seccomp",
        ctx: CtxLayout { name: "seccomp_data", size: SIZE, fields: FIELDS, raw_memory: None },
        packet: PacketAccess::None,
        legacy_loads: false,
        ret_range: None,
        sleepable: false,
    },
    attach: AttachRule::Any,
    variants: &[],
    set: ProgTypes::SECCOMP,
    since: (3, 5),
    support: Support::Partial("filters run on given data; they are attached to nothing"),
};
