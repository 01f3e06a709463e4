//! Where helper arguments lead to other analyses: locks, timers, dynptrs, kernel pointers, kernel objects, references.
//!
//! Until these are there, a program that needs one is refused.

use super::args::CallArgs;
use crate::env::{DynptrArg, DynptrSort, HelperProto};
use crate::object::DynptrUse;
use crate::reject::{HeldReject, ObjectReject};
use crate::state::held::HeldKind;
use crate::state::ptr::DynptrKind;
use crate::state::{RegKind, RegState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::BPF_FUNC_spin_lock;
use skep_btf::fields::FieldKind;

impl Walk<'_> {
    /// A spin lock is taken or given back (`process_spin_lock`).
    pub(super) fn check_spin_lock_arg(&mut self, proto: &HelperProto, r: Reg) -> Res<()> {
        if self.is_in_locked_callback() {
            return Err(HeldReject::LockInCallback {}.into());
        }
        if proto.id.cast_unsigned() == BPF_FUNC_spin_lock {
            let lock = self.check_lock(r, HeldKind::Lock)?;
            self.mark_locked(lock);
        } else {
            let lock = self.check_unlock(r, HeldKind::Lock)?;
            self.mark_unlocked(lock);
        }
        Ok(())
    }

    /// A timer in a map value (`process_timer_func`).
    pub(super) fn check_timer_arg(&mut self, r: Reg, call: &mut CallArgs) -> Res<()> {
        let (map, map_uid) = self.check_map_field(r, FieldKind::Timer)?;
        (call.map, call.map_uid) = (Some(map), map_uid);
        Ok(())
    }

    /// A kernel pointer's place (`process_kptr_func`).
    pub(super) fn check_kptr_dest_arg(&mut self, r: Reg, call: &mut CallArgs) -> Res<()> {
        call.kptr = Some(self.check_kptr_place(r)?);
        if let RegKind::MapValue(map) = self.cur.reg(r).kind {
            call.map = Some(map);
        }
        Ok(())
    }

    /// A dynptr is made, used or given back (`process_dynptr_func`).
    pub(super) fn check_dynptr_arg(
        &mut self,
        r: Reg,
        how: DynptrArg,
        call: &mut CallArgs,
    ) -> Res<()> {
        let info = match how {
            DynptrArg::Make(sort) => self.make_dynptr(r, kind_of(sort), 0)?,
            DynptrArg::Use => self.check_dynptr(r, DynptrUse::Read)?,
            DynptrArg::Release(sort) => self.check_dynptr(r, DynptrUse::Release(kind_of(sort)))?,
        };
        match how {
            DynptrArg::Make(_) => {}
            DynptrArg::Use | DynptrArg::Release(_) => {
                call.dynptr = Some(info);
                call.ref_id = info.ref_id;
            }
        }
        Ok(())
    }

    /// A dynptr that is given back stands for a reference.
    pub(super) fn check_dynptr_release(&self, reg: &RegState, r: Reg) -> Res<()> {
        if !matches!(reg.kind, RegKind::Stack(_)) {
            return Err(ObjectReject::ReleaseConstDynptr {}.into());
        }
        match self.stack_reference(reg) {
            0 => Err(ObjectReject::NotAcquired { reg: r.num() }.into()),
            _ => Ok(()),
        }
    }

    /// A helper gives a reference back (`release_reference`).
    pub(super) fn release_arg(&mut self, proto: &HelperProto, call: &CallArgs) -> Res<()> {
        let is_null = call.release.is_some_and(|r| self.cur.reg(r).is_null());
        let is_released = match call.dynptr {
            Some(of) => self.mark_dynptr_released(of.ref_id),
            None if call.kptr.is_some() => is_null || self.mark_kptr_given(call.ref_id),
            None => is_null || self.mark_released(call.ref_id),
        };
        if is_released {
            return Ok(());
        }
        Err(HeldReject::NotAcquired { name: proto.name, id: proto.id }.into())
    }
}

fn kind_of(sort: DynptrSort) -> DynptrKind {
    match sort {
        DynptrSort::Local => DynptrKind::Local,
        DynptrSort::Ringbuf => DynptrKind::Ringbuf,
    }
}
