//! What programs attach to in the kernel's types, by the name in their section (libbpf's `find_kernel_btf_id`).

use skep_abi::uapi::*;
use skep_btf::{Btf, Kind};
use skep_elf::{AttachTarget, ProgramDef};

/// The type that a program attaches to; 0 for program types that have none.
///
/// # Errors
/// Why it cannot be loaded alone.
pub(super) fn resolve(kernel: &Btf, def: &ProgramDef) -> Result<u32, String> {
    match def.prog_type {
        BPF_PROG_TYPE_UNSPEC => Err("its section's name says no program type".to_owned()),
        BPF_PROG_TYPE_STRUCT_OPS if def.attach_btf_id == 0 => {
            Err("no struct_ops map of a type that the kernel has refers to it".to_owned())
        }
        BPF_PROG_TYPE_STRUCT_OPS => Ok(def.attach_btf_id),
        BPF_PROG_TYPE_EXT => Err("extends another program".to_owned()),
        BPF_PROG_TYPE_TRACING | BPF_PROG_TYPE_LSM => match &def.attach_to {
            AttachTarget::None => Err("the section names no target".to_owned()),
            AttachTarget::Named(name) => find(kernel, name, def.expected_attach_type),
        },
        _ => Ok(0),
    }
}

/// The type that a name stands for, for an attach type.
///
/// # Errors
/// What the kernel lacks.
pub(super) fn find(kernel: &Btf, name: &str, attach_type: u32) -> Result<u32, String> {
    let (prefix, kind) = match attach_type {
        BPF_TRACE_RAW_TP => ("btf_trace_", Kind::Typedef),
        BPF_LSM_MAC | BPF_LSM_CGROUP => ("bpf_lsm_", Kind::Func),
        BPF_TRACE_ITER => ("bpf_iter_", Kind::Func),
        _ => ("", Kind::Func),
    };
    let full = format!("{prefix}{name}");
    match kernel.find_by_name_kind(&full, kind) {
        Some(ty) => Ok(ty.id().0),
        None => Err(format!("the kernel has no {full}")),
    }
}
