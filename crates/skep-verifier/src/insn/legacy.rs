//! Legacy packet loads, `LD_ABS` and `LD_IND`: the context is in R6, a failed load ends the program with 0.

use crate::domain::Scalar;
use crate::object::Leaving;
use crate::reject::RejectKind;
use crate::state::{RegKind, RegState};
use crate::walk::{Res, Walk, unsupported};
use skep_abi::insn::{Insn, Reg, Size};

impl Walk<'_> {
    pub(crate) fn exec_legacy_load(&mut self, index: Option<Reg>) -> Res<()> {
        if !self.props.legacy_loads {
            return Err(RejectKind::LegacyLoad {}.into());
        }
        self.check_readable(Reg::R6)?;
        if self.cur.cur_idx() > 0 {
            // DEVIATION: the kernel allows it in functions that BTF shows to return int; a failed load then
            // returns from the function only.
            return Err(unsupported("legacy packet loads in a subprogram"));
        }
        self.check_nothing_held(Leaving::LegacyLoad)?;
        if self.cur.reg(Reg::R6).kind != RegKind::Ctx {
            return Err(RejectKind::LegacyLoadCtx {}.into());
        }
        if let Some(r) = index {
            self.check_readable(r)?;
            if self.is_secret(r) {
                return Err(RejectKind::PointerArithmetic { reg: r.num() }.into());
            }
        }
        self.check_unmoved(Reg::R6)?;
        let size = match self.insn() {
            Insn::LdAbs { size, .. } | Insn::LdInd { size, .. } => size,
            _ => Size::W,
        };
        self.mark_caller_saved_lost();
        // SOUND: at most `size` bytes, in host byte order, zero-extended. The bounds of a whole word are kept
        // unknown, as the kernel keeps them.
        let _ = size;
        *self.cur.reg_mut(Reg::R0) = RegState::scalar(Scalar::UNKNOWN);
        Ok(())
    }
}
