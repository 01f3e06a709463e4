//! Context accesses move from the UAPI layout to the native one, one instruction for one.

use crate::env::CtxFieldKind;
use crate::mem::field_at;
use crate::reject::{Bug, VerifyError};
use crate::walk::{Access, Walk};
use skep_abi::insn::{Insn, Size};

pub(super) fn rewrite(walk: &Walk<'_>, insns: &mut [Insn]) -> Result<(), VerifyError> {
    for ((idx, insn), facts) in (0u32..).zip(insns).zip(&walk.facts) {
        let Access::Ctx(at) = facts.access else { continue };
        let bug = |what| VerifyError::from(Bug { insn_idx: idx, what });
        let (field, within) =
            field_at(&walk.props.ctx, at).ok_or(bug("a context access without a field"))?;
        let is_pointer = !matches!(field.kind, CtxFieldKind::Scalar { .. });
        let native = i16::try_from(field.native_off + within)
            .map_err(|_| bug("a native context field out of reach"))?;
        match insn {
            Insn::Load { size, off, .. } => {
                *off = native;
                if is_pointer {
                    *size = Size::DW;
                }
            }
            Insn::Store { off, .. } if !is_pointer => *off = native,
            _ => return Err(bug("a context access by another instruction")),
        }
    }
    Ok(())
}
