//! Program types whose context is the arguments of a function that BTF describes: tracing, LSM, struct_ops; and
//! extensions of other programs. The verifier judges them; nothing here calls them yet.

use super::{ProgKind, ProgType, ProgTypes};
use crate::support::Support;
use skep_abi::Errno;
use skep_abi::uapi::{
    BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_TRACING,
};
use skep_verifier::env::{CtxLayout, PacketAccess, ProgTypeProps};

const fn typed(
    kind: ProgKind,
    number: u32,
    name: &'static str,
    set: ProgTypes,
    since: (u16, u16),
) -> ProgType {
    ProgType {
        kind,
        props: ProgTypeProps {
            prog_type: number,
            name,
            // What the context holds is in the prototype of what the program attaches to.
            ctx: CtxLayout { name: "void", size: 0, fields: &[], raw_memory: None },
            packet: PacketAccess::None,
            legacy_loads: false,
            ret_range: None,
            unprivileged: false,
            sleepable: false,
        },
        set,
        since,
        support: Support::No(Errno::EINVAL, "judged, but not run: there is no kernel to attach to"),
    }
}

pub(super) static TRACING: ProgType =
    typed(ProgKind::Tracing, BPF_PROG_TYPE_TRACING, "tracing", ProgTypes::TRACING, (5, 5));
pub(super) static STRUCT_OPS: ProgType = typed(
    ProgKind::StructOps,
    BPF_PROG_TYPE_STRUCT_OPS,
    "struct_ops",
    ProgTypes::STRUCT_OPS,
    (5, 6),
);
pub(super) static EXT: ProgType =
    typed(ProgKind::Ext, BPF_PROG_TYPE_EXT, "ext", ProgTypes::EXT, (5, 6));
pub(super) static LSM: ProgType =
    typed(ProgKind::Lsm, BPF_PROG_TYPE_LSM, "lsm", ProgTypes::LSM, (5, 7));
