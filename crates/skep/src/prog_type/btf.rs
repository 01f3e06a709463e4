//! Program types whose context is the arguments of a function that BTF describes: tracing, LSM, struct_ops; and
//! extensions of other programs. The verifier judges them; nothing here calls them yet.

use super::{AttachRule, ProgType, ProgTypes, judged, layout};
use skep_abi::uapi::{
    BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_TRACING,
};

const fn typed(number: u32, name: &'static str, set: ProgTypes, since: (u16, u16)) -> ProgType {
    let note = "judged, but not run: there is no kernel to attach to";
    // What the context holds is in the prototype of what the program attaches to.
    judged(number, name, set, since, layout("void", 0, &[]), note)
}

pub(super) static TRACING: ProgType =
    typed(BPF_PROG_TYPE_TRACING, "tracing", ProgTypes::TRACING, (5, 5));
pub(super) static STRUCT_OPS: ProgType =
    typed(BPF_PROG_TYPE_STRUCT_OPS, "struct_ops", ProgTypes::STRUCT_OPS, (5, 6));
pub(super) static EXT: ProgType = ProgType {
    attach: AttachRule::None,
    ..typed(BPF_PROG_TYPE_EXT, "ext", ProgTypes::EXT, (5, 6))
};
pub(super) static LSM: ProgType = typed(BPF_PROG_TYPE_LSM, "lsm", ProgTypes::LSM, (5, 7));
