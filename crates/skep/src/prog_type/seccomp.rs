//! Classic seccomp filters: translated programs on `struct seccomp_data`. They are never loaded as eBPF.

use super::{ProgKind, ProgType, ProgTypes};
use crate::support::Support;
use skep_abi::insn::Size;
use skep_verifier::env::{
    CtxField, CtxFieldKind, CtxLayout, CtxWrite, PacketAccess, ProgTypeProps,
};

/// `sizeof(struct seccomp_data)`: number, architecture, instruction pointer and six arguments.
const SIZE: u32 = 64;

/// Every aligned word can be read; the native context is the same structure.
static FIELDS: &[CtxField] = &[CtxField {
    name: "seccomp_data",
    off: 0,
    size: SIZE,
    max_access: Size::W,
    kind: CtxFieldKind::Scalar { narrow: true },
    read: true,
    write: CtxWrite::No,
    native_off: 0,
}];

pub(super) static SECCOMP: ProgType = ProgType {
    kind: ProgKind::Seccomp,
    props: ProgTypeProps {
        prog_type: 0,
        name: "seccomp",
        ctx: CtxLayout { name: "seccomp_data", size: SIZE, fields: FIELDS, raw_memory: None },
        packet: PacketAccess::None,
        legacy_loads: false,
        ret_range: None,
        unprivileged: true,
        sleepable: false,
    },
    set: ProgTypes::SECCOMP,
    since: (3, 5),
    support: Support::Partial("filters run on given data; they are attached to nothing"),
};
