//! What each class of instruction does to the state.
//!
//! `alu` (numbers and moves), `pointer` (pointer arithmetic), `sanitize` (the same under speculation), `memory` (loads,
//! stores, atomics), `jump`.
//! Calls are in `call/`. Functions named `check_` only judge, `mark_` and `adjust_` only change.

mod alu;
mod jump;
mod legacy;
mod memory;
mod pointer;
mod sanitize;

pub(crate) use pointer::{MAX_VAR_OFF, Order};
pub(crate) use sanitize::{AluGuard, Mask, TailMap};

use crate::reject::RejectKind;
use crate::state::RegKind;
use crate::walk::{Res, Walk};
use skep_abi::insn::{Reg, Src};

impl Walk<'_> {
    /// The register may be read.
    pub(crate) fn check_readable(&self, r: Reg) -> Res<()> {
        if self.cur.reg(r).kind == RegKind::NotInit {
            return Err(RejectKind::NotReadable { reg: r.num() }.into());
        }
        Ok(())
    }

    /// The operand may be read.
    pub(crate) fn check_src(&self, src: Src) -> Res<()> {
        match src {
            Src::Reg(r) => self.check_readable(r),
            Src::Imm(_) => Ok(()),
        }
    }

    /// The register may be written.
    pub(crate) fn check_writable(&self, r: Reg) -> Res<()> {
        if r == Reg::R10 {
            return Err(RejectKind::FramePointerWrite {}.into());
        }
        Ok(())
    }

    /// Whether the register holds an address that this program must not reveal (`is_pointer_value`).
    pub(crate) fn is_secret(&self, r: Reg) -> bool {
        !self.rights.allow_ptr_leaks && self.cur.reg(r).is_pointer()
    }
}
