//! Arguments of kernel functions that are memory: of a type's size, or of the size that the next argument gives.

use super::KfuncCall;
use super::args::arg_reg;
use crate::env::{MemAccess, MemArg, Nullable};
use crate::mem::{Exact, HelperMem, RawFill, ZeroSize};
use crate::pre::{KfuncArg, OtherPtr, SizedBy};
use crate::reject::KfuncReject;
use crate::state::{PtrFlags, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;

impl Walk<'_> {
    /// Memory of the size of the type that the argument points to (`check_mem_reg`).
    pub(super) fn check_fixed_mem(&mut self, n: usize, arg: &KfuncArg, other: OtherPtr) -> Res<()> {
        let r = arg_reg(n)?;
        let Some(size) = other.size else {
            let (kind, name) = (arg.kind_text, arg.type_name.clone());
            return Err(KfuncReject::NoSize { arg: n, kind, name }.into());
        };
        if self.cur.reg(r).is_null() {
            return Ok(());
        }
        let mem = HelperMem {
            access: MemAccess::ReadWrite,
            size: size.into(),
            exact: Exact::Yes,
            zero: ZeroSize::Allowed,
        };
        let saved = self.mark_not_null(r);
        // As in the kernel, first that it may be read.
        let read = self.check_helper_mem(r, HelperMem { access: MemAccess::Read, ..mem });
        let fill = read.and_then(|_| self.check_helper_mem(r, mem));
        self.finish_mem(r, saved, fill)
    }

    /// Memory of the size that the next argument gives (`check_kfunc_mem_size_reg`).
    pub(super) fn check_sized_arg(
        &mut self,
        n: usize,
        other: OtherPtr,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let (r, size) = (arg_reg(n)?, arg_reg(n + 1)?);
        // SOUND: the size of memory that is not there is relied on too, though the kernel does not mark it.
        let is_absent = self.cur.reg(r).is_null() && other.is_optional;
        if !is_absent {
            self.check_mem_and_size(r, size).map_err(|stop| match stop {
                Stop::Reject(inner) => KfuncReject::MemPair { inner, arg: n, size: n + 1 }.into(),
                Stop::Bug(what) => Stop::Bug(what),
            })?;
        }
        if other.sized == SizedBy::Constant {
            let Some(value) = self.cur.reg(size).num.const_value() else {
                return Err(KfuncReject::NotConstant { reg: size.num() }.into());
            };
            if is_absent {
                self.mark_precise(size)?;
            }
            call.constant = Some(value);
        }
        Ok(())
    }

    fn check_mem_and_size(&mut self, r: Reg, size: Reg) -> Res<()> {
        let mem = MemArg { access: MemAccess::ReadWrite, nullable: Nullable::No };
        let saved = self.mark_not_null(r);
        let fill = self.check_sized_mem(mem, r, size, ZeroSize::Allowed);
        self.finish_mem(r, saved, fill)?;
        // The kernel judges reading and writing one after the other, and says so twice.
        self.mark_precise(size)
    }

    // SOUND: what such a function does with NULL is its own matter: it is told so in its source, and gets it only where
    // its flags do not say that its arguments are trusted.
    fn mark_not_null(&mut self, r: Reg) -> RegState {
        let saved = *self.cur.reg(r);
        if saved.may_be_null() {
            let known = self.cur.reg_mut(r);
            known.flags = known.flags.without(PtrFlags::MAYBE_NULL);
        }
        saved
    }

    fn finish_mem(&mut self, r: Reg, saved: RegState, fill: Res<Option<RawFill>>) -> Res<()> {
        *self.cur.reg_mut(r) = saved;
        if let Some(fill) = fill? {
            self.mark_filled(fill);
        }
        Ok(())
    }
}
