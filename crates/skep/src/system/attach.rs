//! What a program's section name means in the kernel's types, as libbpf finds it (`libbpf_find_attach_btf_id`).

use super::{LoadError, LoadErrorKind};
use skep_abi::uapi::{
    BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, BPF_TRACE_RAW_TP,
};
use skep_btf::{Btf, Kind};
use skep_elf::{AttachTarget, ProgramDef};

/// Prefix and kind of the type that stands for the target of a program, by its program type and attach type. `None`
/// for programs that attach to no type.
fn name_rule(prog_type: u32, attach_type: u32) -> Option<(&'static str, Kind)> {
    match (prog_type, attach_type) {
        (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP) => Some(("btf_trace_", Kind::Typedef)),
        (BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER) => Some(("bpf_iter_", Kind::Func)),
        (BPF_PROG_TYPE_TRACING | BPF_PROG_TYPE_EXT, _) => Some(("", Kind::Func)),
        (BPF_PROG_TYPE_LSM, _) => Some(("bpf_lsm_", Kind::Func)),
        _ => None,
    }
}

/// The BTF type id that a program attaches to: in `target`, if it attaches to another program, else in `kernel`.
///
/// # Errors
/// [`LoadErrorKind::AttachTarget`] if the section names no target, or one that there is not.
pub(super) fn btf_id(
    def: &ProgramDef,
    kernel: Option<&Btf>,
    target: Option<&Btf>,
) -> Result<u32, LoadError> {
    let rule = name_rule(def.prog_type, def.expected_attach_type);
    let (Some((prefix, kind)), 0) = (rule, def.attach_btf_id) else {
        return Ok(def.attach_btf_id);
    };
    let err = |reason| LoadError::new(&def.name, LoadErrorKind::AttachTarget { reason });
    let AttachTarget::Named(name) = &def.attach_to else {
        return Err(err("no BTF-based attach target is specified".to_owned()));
    };
    let found = match target {
        Some(btf) => btf.find_by_name_kind(name, Kind::Func),
        None if def.prog_type == BPF_PROG_TYPE_EXT => {
            return Err(err(format!("no program is given whose function '{name}' to replace")));
        }
        None => {
            let Some(btf) = kernel else {
                return Err(err("the types of the kernel are not given".to_owned()));
            };
            btf.find_by_name_kind(&format!("{prefix}{name}"), kind)
        }
    };
    match found {
        Some(ty) => Ok(ty.id().0),
        None => Err(err(format!("failed to find BTF type of '{prefix}{name}'"))),
    }
}
