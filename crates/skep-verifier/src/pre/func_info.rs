//! What the load's BTF says of functions and source lines (`check_btf_func`, `check_btf_line`).

use super::Subprog;
use crate::env::Env;
use crate::prog::LoadRequest;
use crate::reject::{BtfReject, Reject, RejectKind};
use skep_abi::insn::Insn;
use skep_btf::{Btf, Kind, TypeId, TypeView};

/// The records of functions, as far as they need no instructions.
pub(super) fn check_records(req: &LoadRequest, env: &dyn Env) -> Result<(), Reject> {
    let Some(btf) = env.btf() else { return Ok(()) };
    let mut before = None;
    for (off, id) in &req.func_info {
        let err = |why: BtfReject| Err(Reject::new(0, RejectKind::from(why)));
        match before {
            None if *off != 0 => return err(BtfReject::FirstFuncOff { off: *off }),
            Some(before) if *off <= before => {
                return err(BtfReject::FuncOffOrder { off: *off, before });
            }
            None | Some(_) => {}
        }
        if func_proto(btf, *id).is_none() {
            return err(BtfReject::FuncInfoType { id: *id });
        }
        before = Some(*off);
    }
    Ok(())
}

fn func_proto(btf: &Btf, id: u32) -> Option<TypeId> {
    let TypeView::Func { proto, .. } = btf.type_by_id(TypeId(id))?.view() else { return None };
    (btf.type_by_id(proto)?.kind() == Kind::FuncProto).then_some(proto)
}

/// The records of source lines: in order, at instructions, with text, and one at the start of each function.
pub(super) fn check_lines(
    insns: &[Insn],
    subprogs: &[Subprog],
    req: &LoadRequest,
    env: &dyn Env,
) -> Result<(), Reject> {
    let Some(btf) = env.btf().filter(|_| !req.line_info.is_empty()) else { return Ok(()) };
    let err = |why: BtfReject| Err(Reject::new(0, RejectKind::from(why)));
    let mut starts = (0usize..).zip(subprogs).peekable();
    let mut before = 0;
    for (n, line) in req.line_info.iter().enumerate() {
        let off = line.insn_off;
        let insn = insns.get(off as usize);
        if (n > 0 && off <= before) || insn.is_none() {
            return err(BtfReject::LineOff { n, off, before, len: insns.len() });
        }
        if insn == Some(&Insn::Imm64Hi) {
            return err(BtfReject::LineInImm64 { n });
        }
        if btf.str_at(line.line_off).is_none() || btf.str_at(line.file_name_off).is_none() {
            return err(BtfReject::LineText { n });
        }
        if let Some((func, s)) = starts.peek() {
            if s.start == off {
                starts.next();
            } else if s.start < off {
                return err(BtfReject::LineMissing { func: *func });
            }
        }
        before = off;
    }
    match starts.next() {
        None => Ok(()),
        Some((func, _)) => {
            let count = subprogs.len() - func;
            err(BtfReject::LinesMissing { count, func })
        }
    }
}
