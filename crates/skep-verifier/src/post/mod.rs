//! After the proof: what a run needs is made of what was proved.
//!
//! One pass a file, in the kernel's order: [`stack`] (combined stack depth), [`dead`] (code that no path reaches), [`ctx`]
//! (context accesses in the native layout), [`sanitise`] (bounds under speculation).

mod ctx;
mod dead;
mod sanitise;
mod stack;

use crate::env::{CtxField, CtxFieldKind, HelperLookup, HelperProto, TargetFunc};
use crate::pre::Subprog;
use crate::prog::{KernelObjects, LoadRequest, Premises, SubprogInfo, VerifiedProg};
use crate::reject::{KfuncReject, Reject, VerifyError};
use crate::walk::{Access, SlotFacts, Walk};
use skep_abi::insn::{CallTarget, Insn};
use skep_btf::TypeId;

/// Runs all passes on a program that was walked without a refusal.
pub(crate) fn finish(walk: &Walk<'_>, req: &LoadRequest) -> Result<VerifiedProg, VerifyError> {
    stack::check(walk)?;
    check_no_missing_kfunc(walk)?;
    let mut insns = walk.prog.insns.clone();
    ctx::rewrite(walk, &mut insns)?;
    let patches = sanitise::mask(walk, &mut insns)?;
    let kept = dead::remove(walk, insns, &patches)?;
    let barriers = sanitise::barriers(walk, &kept);
    let subprogs = walk
        .prog
        .subprogs
        .iter()
        .enumerate()
        .filter_map(|(n, s)| {
            let start = kept.slot(s.start)?;
            let end = kept.slot_end(s.end);
            (start < end).then(|| SubprogInfo {
                start,
                end,
                stack_depth: walk.stack_used(n).next_multiple_of(8),
                name: name_of(walk, s.btf_func),
            })
        })
        .collect();
    let line_info = req
        .line_info
        .iter()
        .filter_map(|l| Some(crate::LineInfo { insn_off: kept.slot(l.insn_off)?, ..*l }))
        .collect();
    let premises = premises(walk, &kept.insns);
    Ok(VerifiedProg {
        insns: kept.insns,
        origin: kept.origin,
        subprogs,
        line_info,
        stats: walk.stats(),
        premises,
        funcs: target_funcs(walk),
        barriers,
    })
}

/// A call of no kernel function may stand where no path comes by, not elsewhere (`fixup_kfunc_call`).
fn check_no_missing_kfunc(walk: &Walk<'_>) -> Result<(), VerifyError> {
    for (idx, (insn, facts)) in (0u32..).zip(walk.prog.insns.iter().zip(&walk.facts)) {
        let missing = matches!(insn, Insn::Call(CallTarget::Kfunc { btf_id: 0, btf_fd_idx: 0 }));
        if missing && facts.is_seen {
            return Err(Reject::new(idx, KfuncReject::NotEliminated {}.into()).into());
        }
    }
    Ok(())
}

/// What who attaches to a function must know of it.
fn target_funcs(walk: &Walk<'_>) -> Vec<TargetFunc> {
    let func = |(n, s): (usize, &Subprog)| TargetFunc {
        type_id: s.btf_func,
        is_reliable: walk.reliable.get(n) == Some(&true),
        is_exception_callback: walk.prog.exception_cb.map(usize::from) == Some(n),
    };
    walk.prog.subprogs.iter().enumerate().filter(|(_, s)| s.btf_func != 0).map(func).collect()
}

/// What the proof rests on, as far as the program that is left makes use of it.
fn premises(walk: &Walk<'_>, insns: &[Insn]) -> Premises {
    let mut helpers: Vec<HelperProto> = Vec::new();
    for insn in insns {
        let Insn::Call(CallTarget::Helper(id)) = *insn else { continue };
        if helpers.iter().any(|h| h.id == id) {
            continue;
        }
        if let HelperLookup::Known(proto) = walk.env.helper(id) {
            helpers.push(*proto);
        }
    }
    let end = |f: &CtxField| {
        let size = match f.kind {
            CtxFieldKind::Scalar { .. } => f.size,
            CtxFieldKind::PacketData
            | CtxFieldKind::PacketEnd
            | CtxFieldKind::PacketMeta
            | CtxFieldKind::Socket(..)
            | CtxFieldKind::FlowKeys
            | CtxFieldKind::TpBuffer
            | CtxFieldKind::Object(_) => 8,
        };
        f.native_off.saturating_add(size)
    };
    let layout = &walk.props.ctx;
    let ctx_bytes = layout.raw_memory.or_else(|| layout.fields.iter().map(end).max()).unwrap_or(0);
    let maps = walk.prog.maps.named().map(|(idx, props)| (idx, props.clone())).collect();
    let follows = |f: &SlotFacts| match f.access {
        Access::Args | Access::Object | Access::Probe | Access::Arena => true,
        Access::None | Access::Ctx(_) | Access::Plain => false,
    };
    let is_needed = walk.prog.attach.ctx.is_some() || walk.facts.iter().any(follows);
    let kernel_objects = if is_needed { KernelObjects::Needed } else { KernelObjects::None };
    Premises { maps, helpers, ctx_bytes, kernel_objects }
}

fn name_of(walk: &Walk<'_>, btf_func: u32) -> Option<String> {
    let name = walk.env.btf()?.type_by_id(TypeId(btf_func))?.name();
    (!name.is_empty()).then(|| name.to_owned())
}
