//! Legacy packet loads, `LD_ABS` and `LD_IND`: the context is in R6, a failed load ends the function with 0.

use crate::domain::Scalar;
use crate::object::Leaving;
use crate::reject::RejectKind;
use crate::state::{RegKind, RegState};
use crate::walk::{Flow, Res, Walk};
use skep_abi::insn::{Insn, Reg, Size};

impl Walk<'_> {
    pub(crate) fn exec_legacy_load(&mut self, index: Option<Reg>) -> Res<Flow> {
        if !self.props.legacy_loads {
            return Err(RejectKind::LegacyLoad {}.into());
        }
        self.check_readable(Reg::R6)?;
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
        if self.cur.cur_idx() == 0 {
            return Ok(Flow::Next);
        }
        // SOUND: a load that fails returns 0 from the function that makes it.
        let loaded = self.cur.clone();
        self.push_path(self.idx + 1, loaded)?;
        *self.cur.reg_mut(Reg::R0) = RegState::scalar(Scalar::ZERO);
        self.leave_function()
    }
}
