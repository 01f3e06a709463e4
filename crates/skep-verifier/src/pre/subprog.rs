//! Functions of a program: where they start and end, and that no jump leaves one.

use super::{named_function, successors};
use crate::env::{Caps, Env};
use crate::prog::LoadRequest;
use crate::reject::{Reject, RejectKind};
use skep_abi::insn::{CallTarget, Insn};
use skep_abi::uapi::BPF_FUNC_tail_call;
use skep_btf::{Btf, Kind, TypeId};

/// A function: slots `start..end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subprog {
    /// First slot.
    pub(crate) start: u32,
    /// One past the last slot.
    pub(crate) end: u32,
    /// BTF type id of the `FUNC`, 0 without BTF.
    pub(crate) btf_func: u32,
}

/// `BPF_MAX_SUBPROGS`.
const MAX_SUBPROGS: usize = 256;

/// Finds the functions: slot 0, and whatever a call or a function address names.
pub(super) fn find(
    insns: &[Insn],
    req: &LoadRequest,
    env: &dyn Env,
    exception_cb: Option<u32>,
) -> Result<Vec<Subprog>, Reject> {
    let mut starts = vec![0u32];
    for (idx, insn) in (0u32..).zip(insns) {
        let target = named_function(insn, idx);
        let is_kfunc = matches!(insn, Insn::Call(CallTarget::Kfunc { .. }));
        if (target.is_some() || is_kfunc) && !env.caps().allows(Caps::BPF) {
            return Err(Reject::new(idx, RejectKind::SubprogsNeedCap {}));
        }
        let Some(target) = target else { continue };
        let start = u32::try_from(target).ok().filter(|t| (*t as usize) < insns.len());
        let Some(start) = start else {
            return Err(Reject::new(idx, RejectKind::CallInvalidDest {}));
        };
        starts.push(start);
    }
    if let Some(start) = exception_cb {
        if start as usize >= insns.len() {
            return Err(Reject::new(0, RejectKind::CallInvalidDest {}));
        }
        starts.push(start);
    }
    starts.sort_unstable();
    starts.dedup();
    if starts.len() > MAX_SUBPROGS {
        return Err(Reject::new(0, RejectKind::TooManySubprogs {}));
    }
    if !req.func_info.is_empty() {
        if req.func_info.len() != starts.len() {
            return Err(Reject::new(0, RejectKind::FuncInfoCount {}));
        }
        if req.func_info.iter().zip(&starts).any(|((off, _), start)| off != start) {
            return Err(Reject::new(0, RejectKind::FuncInfoLayout {}));
        }
    }
    let len = insns.len() as u32;
    Ok(starts
        .iter()
        .enumerate()
        .map(|(i, &start)| Subprog {
            start,
            end: starts.get(i + 1).copied().unwrap_or(len),
            btf_func: req.func_info.get(i).map_or(0, |f| f.1),
        })
        .collect())
}

/// Checks that jumps stay in their function and that none can run off its end; gives each slot's function.
pub(super) fn check_jumps(insns: &[Insn], subprogs: &[Subprog]) -> Result<Vec<u16>, Reject> {
    let mut of = Vec::with_capacity(insns.len());
    for (n, s) in (0u16..).zip(subprogs) {
        for idx in s.start..s.end {
            let Some(insn) = insns.get(idx as usize) else { break };
            of.push(n);
            let in_range = |t: i64| t >= i64::from(s.start) && t < i64::from(s.end);
            if let Some(to) = successors(insn, idx).jump.filter(|t| !in_range(*t)) {
                return Err(Reject::new(idx, RejectKind::JumpOutOfRange { from: idx, to }));
            }
            let ends = matches!(insn, Insn::Exit | Insn::Goto { .. });
            if idx + 1 == s.end && !ends {
                return Err(Reject::new(idx, RejectKind::LastInsn {}));
            }
        }
    }
    Ok(of)
}

/// What may leave a function otherwise than by `exit` is only in functions that BTF describes (`check_abnormal_return`).
pub(super) fn check_abnormal_return(
    insns: &[Insn],
    subprogs: &[Subprog],
    env: &dyn Env,
) -> Result<(), Reject> {
    const TAIL_CALL: i32 = BPF_FUNC_tail_call.cast_signed();
    for s in subprogs.iter().skip(1).filter(|s| !returns_number(env.btf(), s.btf_func)) {
        let has_btf = s.btf_func != 0;
        for (idx, insn) in (s.start..s.end).zip(insns.iter().skip(s.start as usize)) {
            let kind = match insn {
                Insn::LdAbs { .. } | Insn::LdInd { .. } if has_btf => RejectKind::LdAbsReturn {},
                Insn::LdAbs { .. } | Insn::LdInd { .. } => RejectKind::LdAbsSubprog {},
                Insn::Call(CallTarget::Helper(TAIL_CALL)) if has_btf => {
                    RejectKind::TailCallReturn {}
                }
                Insn::Call(CallTarget::Helper(TAIL_CALL)) => RejectKind::TailCallSubprog {},
                _ => continue,
            };
            return Err(Reject::new(idx, kind));
        }
    }
    Ok(())
}

/// Whether BTF says that a function returns a number (part of `check_btf_func`).
fn returns_number(btf: Option<&Btf>, func: u32) -> bool {
    let of = |btf: &Btf| {
        let proto = btf.type_by_id(TypeId(func)).filter(|_| func != 0)?.referenced()?;
        let ret = btf.type_by_id(proto)?.as_func_proto()?.ret;
        let kind = btf.skip_typedefs_and_modifiers(ret)?.kind();
        Some(matches!(kind, Kind::Int | Kind::Enum | Kind::Enum64))
    };
    match btf {
        Some(btf) => of(btf).unwrap_or(false),
        None => func != 0,
    }
}
