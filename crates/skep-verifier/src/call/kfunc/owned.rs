//! Where calls of kernel functions lead to other analyses: lists, trees, locks, interrupts, work queues, exceptions.

use super::args::arg_reg;
use super::{KfuncCall, Special};
use crate::call::LaterMay;
use crate::domain::{Range, Scalar};
use crate::object::{IrqBy, NodeUse, Root};
use crate::pre::{Kfunc, MapId, PtrArg};
use crate::reject::FieldReject;
use crate::state::held::HeldKind;
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::{Insn, Reg};
use skep_btf::fields::FieldKind;

/// Errors are at the most this (`MAX_ERRNO`).
const MAX_ERRNO: i64 = 4095;

impl Walk<'_> {
    /// Whether an instruction calls `bpf_throw`.
    pub(crate) fn is_throw(&self, insn: &Insn) -> bool {
        self.prog.kfuncs.of_insn(insn).is_some_and(|k| k.special == Special::Throw)
    }

    /// What a call does before its arguments are looked at: a lock may fail (`bpf_res_spin_lock`).
    // SOUND: the other path holds no lock, and knows that an error was returned; this one knows of the lock, and of 0.
    pub(super) fn before_args(&mut self, k: &Kfunc) -> Res<()> {
        if !matches!(k.special, Special::ResSpinLock | Special::ResSpinLockIrqsave) {
            return Ok(());
        }
        let mut failed = self.cur.clone();
        for r in failed.cur_mut().regs.iter_mut().take(6) {
            *r = RegState::NOT_INIT;
        }
        let error = Scalar::from_s64(Range { min: -MAX_ERRNO, max: -1 });
        *failed.reg_mut(Reg::R0) = RegState::scalar(error);
        self.push_path(self.idx + 1, failed)
    }

    /// An argument of a list, a tree, a lock, a saved interrupt state or a work queue.
    pub(super) fn check_owned_arg(
        &mut self,
        k: &Kfunc,
        n: usize,
        ptr: PtrArg,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let r = arg_reg(n)?;
        match ptr {
            PtrArg::ListHead => call.root = Some(self.check_root(r, FieldKind::ListHead)?),
            PtrArg::RbRoot => call.root = Some(self.check_root(r, FieldKind::RbRoot)?),
            PtrArg::ListNode | PtrArg::RbNode => {
                let how = match k.special {
                    Special::ListPushFront | Special::ListPushBack | Special::RbtreeAdd => {
                        NodeUse::Insert
                    }
                    _ => NodeUse::Member,
                };
                let root = root_of(call)?;
                call.object = Some(self.check_node(r, root, how, &k.name)?);
            }
            PtrArg::RefcountedKptr => {
                let (object, is_owning) = self.check_refcounted(r)?;
                (call.object, call.is_owning) = (Some(object), is_owning);
            }
            PtrArg::Wq => self.check_later_field(n, FieldKind::Workqueue, call)?,
            PtrArg::TaskWork => self.check_later_field(n, FieldKind::TaskWork, call)?,
            PtrArg::IrqFlag { .. } => self.exec_irq_flag(k, r)?,
            PtrArg::ResSpinLock => self.exec_res_lock(k, n, r)?,
            PtrArg::Ctx
            | PtrArg::Alloc
            | PtrArg::Dynptr { .. }
            | PtrArg::Iter(_)
            | PtrArg::ConstStr
            | PtrArg::Map
            | PtrArg::Other(_) => return Err(Stop::Bug("not an argument of that sort")),
        }
        Ok(())
    }

    fn check_later_field(&self, n: usize, kind: FieldKind, call: &mut KfuncCall) -> Res<()> {
        let r = arg_reg(n)?;
        let reg = self.cur.reg(r);
        if !matches!(reg.kind, RegKind::MapValue(_)) || reg.flags != PtrFlags::NONE {
            return Err(FieldReject::NotMapValue { arg: n }.into());
        }
        call.map = Some(self.check_map_field(r, kind)?);
        Ok(())
    }

    fn exec_irq_flag(&mut self, k: &Kfunc, r: Reg) -> Res<()> {
        let by = if k.special.is_res_lock() { IrqBy::Lock } else { IrqBy::Native };
        if k.special.saves_irq() {
            let at = self.check_irq_save(r, by)?;
            self.mark_irq_saved(at);
            return Ok(());
        }
        let at = self.check_irq_restore(r, by)?;
        self.mark_irq_restored(at)
    }

    fn exec_res_lock(&mut self, k: &Kfunc, n: usize, r: Reg) -> Res<()> {
        let reg = self.cur.reg(r);
        let is_value = matches!(reg.kind, RegKind::MapValue(_)) && reg.flags == PtrFlags::NONE;
        let is_object = matches!(reg.kind, RegKind::Btf(_)) && reg.flags == PtrFlags::ALLOC;
        if !is_value && !is_object {
            return Err(FieldReject::NotLockable { arg: n }.into());
        }
        let kind = match k.special {
            Special::ResSpinLockIrqsave | Special::ResSpinUnlockIrqrestore => HeldKind::ResLockIrq,
            _ => HeldKind::ResLock,
        };
        if matches!(k.special, Special::ResSpinLock | Special::ResSpinLockIrqsave) {
            let lock = self.check_lock(r, kind)?;
            self.mark_locked(lock);
        } else {
            let lock = self.check_unlock(r, kind)?;
            self.mark_unlocked(lock);
        }
        Ok(())
    }

    /// A map argument belongs with the member that was given before it.
    pub(super) fn check_same_map(&self, k: &Kfunc, map: (MapId, u32), call: &KfuncCall) -> Res<()> {
        let kind = match k.special {
            Special::WqInit => FieldKind::Workqueue,
            Special::TaskWorkSignal | Special::TaskWorkResume => FieldKind::TaskWork,
            _ => return Ok(()),
        };
        match call.map {
            Some(field) => self.check_field_map(kind, field, map),
            None => Ok(()),
        }
    }

    /// The function calls back.
    pub(super) fn schedule_kfunc_callback(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<()> {
        let Some(subprog) = call.callback else { return Ok(()) };
        match k.special {
            Special::RbtreeAdd => self.schedule_less(subprog, root_of(call)?),
            Special::WqSetCallback | Special::TaskWorkSignal | Special::TaskWorkResume => {
                let map = call.map.ok_or(Stop::Bug("a callback without a map"))?;
                self.schedule_later(subprog, map, LaterMay::Sleep)
            }
            _ => Err(Stop::Bug("a callback of an unknown function")),
        }
    }

    /// An owned node becomes part of a list or tree.
    pub(super) fn give_to_graph(&mut self, k: &Kfunc, call: &mut KfuncCall) -> Res<()> {
        if !matches!(k.special, Special::ListPushFront | Special::ListPushBack | Special::RbtreeAdd)
        {
            return Ok(());
        }
        let object = call.object.ok_or(Stop::Bug("no node"))?;
        let ref_id = self.cur.reg(Reg::R2).ref_id;
        self.mark_inserted(ref_id, object);
        Ok(())
    }

    /// A node of a list or tree: one that was taken out is owned, any other is not.
    pub(super) fn graph_node_result(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<RegState> {
        let node = self.node_pointer(root_of(call)?);
        Ok(match k.special {
            Special::ListPopFront | Special::ListPopBack | Special::RbtreeRemove => node,
            _ => self.non_owning(node),
        })
    }

    /// A number; of a lock, that it was taken.
    pub(super) fn scalar_result(&self, k: &Kfunc) -> RegState {
        match k.special {
            Special::ResSpinLock | Special::ResSpinLockIrqsave => RegState::scalar(Scalar::ZERO),
            _ => RegState::UNKNOWN,
        }
    }

    /// The value that an exception carries becomes the program's result, if no callback looks at it.
    pub(super) fn check_exception_value(&mut self) -> Res<()> {
        if self.prog.exception_cb.is_some() {
            return Ok(());
        }
        self.check_return_in(Reg::R1)
    }
}

fn root_of(call: &KfuncCall) -> Res<Root> {
    call.root.ok_or(Stop::Bug("no list or tree before"))
}
