//! After the proof: what a run needs is made of what was proved.
//!
//! One pass a file, in the kernel's order: [`stack`] (combined stack depth), [`dead`] (code that no path reaches), [`ctx`]
//! (context accesses in the native layout).

mod ctx;
mod dead;
mod stack;

use crate::prog::{LoadRequest, SubprogInfo, VerifiedProg};
use crate::reject::VerifyError;
use crate::walk::Walk;
use skep_btf::TypeId;

/// Runs all passes on a program that was walked without a refusal.
pub(crate) fn finish(walk: &Walk<'_>, req: &LoadRequest) -> Result<VerifiedProg, VerifyError> {
    stack::check(walk)?;
    let mut insns = walk.prog.insns.clone();
    ctx::rewrite(walk, &mut insns)?;
    let kept = dead::remove(walk, insns)?;
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
    Ok(VerifiedProg {
        insns: kept.insns,
        origin: kept.origin,
        subprogs,
        line_info,
        stats: walk.stats(),
    })
}

fn name_of(walk: &Walk<'_>, btf_func: u32) -> Option<String> {
    let name = walk.env.btf()?.type_by_id(TypeId(btf_func))?.name();
    (!name.is_empty()).then(|| name.to_owned())
}
