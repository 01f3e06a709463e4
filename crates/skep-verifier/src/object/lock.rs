//! Locks: `bpf_spin_lock`, one at a time; `bpf_res_spin_lock`, any number, given back in reverse order.

use crate::reject::HeldReject;
use crate::state::held::{HeldItem, HeldKind};
use crate::state::{BtfOwner, PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::BPF_FUNC_spin_unlock;
use skep_btf::fields::{Field, FieldKind};

/// Number that stands for the program's own BTF as what a lock is in.
const OWN_OBJECTS: u64 = 1 << 32;
/// Numbers from here on stand for the BTF of modules.
const MODULE_OBJECTS: u64 = 1 << 33;

/// The sort of a lock, for messages.
fn lock_text(kind: HeldKind) -> &'static str {
    match kind {
        HeldKind::Lock => "bpf_spin",
        HeldKind::ResLock | HeldKind::ResLockIrq | HeldKind::Ref | HeldKind::Irq => "bpf_res_spin",
    }
}

impl Walk<'_> {
    /// What a pointer's lock is in: the map, or the BTF of an allocated object (`active_lock_ptr`).
    fn lock_owner(&self, reg: &RegState) -> Res<u64> {
        match reg.kind {
            RegKind::MapValue(m) => Ok(m.number().into()),
            RegKind::Btf(ty) => Ok(match ty.btf {
                BtfOwner::Program => OWN_OBJECTS,
                BtfOwner::Kernel => OWN_OBJECTS + 1,
                BtfOwner::Target => OWN_OBJECTS + 2,
                BtfOwner::Module(n) => MODULE_OBJECTS + u64::from(n),
            }),
            _ => Err(Stop::Bug("a lock in something that has none")),
        }
    }

    /// The register points to a lock of that kind; gives the lock as an item that is held
    /// (`process_spin_lock`).
    // SOUND: two lookups give two ids, so a lock is known by the id of the pointer that it was taken through. A value
    // that is addressed directly has no id, and there is only one in its map.
    fn check_lock_pointer(&self, r: Reg, kind: HeldKind) -> Res<HeldItem> {
        let reg = self.cur.reg(r);
        let lock = lock_text(kind);
        let Some(var) = reg.num.const_value() else {
            return Err(HeldReject::LockVariable { reg: r.num(), lock }.into());
        };
        let (what, name) = match reg.kind {
            RegKind::MapValue(m) => {
                let map = self.map(m)?;
                if map.types.is_none() {
                    let name = map.name.clone();
                    return Err(HeldReject::LockNoBtf { name, lock }.into());
                }
                ("map", map.name.clone())
            }
            _ => ("local", "kptr".to_owned()),
        };
        let wanted = match kind {
            HeldKind::Lock => FieldKind::SpinLock,
            HeldKind::ResLock | HeldKind::ResLockIrq | HeldKind::Ref | HeldKind::Irq => {
                FieldKind::ResSpinLock
            }
        };
        let fields = self.prog.records.of_reg(&self.prog.maps, reg);
        let Some(field) = fields.iter().find(|f| f.kind == wanted) else {
            return Err(HeldReject::NoLock { what, name, lock }.into());
        };
        let off = i64::from(reg.off).wrapping_add(var as i64);
        if off != i64::from(field.offset) {
            return Err(HeldReject::LockOffset { off, lock, at: field.offset }.into());
        }
        let owner = self.lock_owner(reg)?;
        Ok(HeldItem { kind, id: reg.id, insn_idx: self.idx, owner })
    }

    /// The lock behind a register may be taken; gives what is held then.
    pub(crate) fn check_lock(&self, r: Reg, kind: HeldKind) -> Res<HeldItem> {
        let item = self.check_lock_pointer(r, kind)?;
        let items = &self.cur.held.items;
        if kind == HeldKind::Lock {
            if items.iter().any(|i| i.kind == HeldKind::Lock) {
                return Err(HeldReject::TwoLocks {}.into());
            }
            return Ok(item);
        }
        let is_res = |k: HeldKind| matches!(k, HeldKind::ResLock | HeldKind::ResLockIrq);
        if items.iter().any(|i| is_res(i.kind) && i.id == item.id && i.owner == item.owner) {
            return Err(HeldReject::SameLock {}.into());
        }
        Ok(item)
    }

    /// A lock is taken.
    pub(crate) fn mark_locked(&mut self, lock: HeldItem) {
        self.held_mut().add(lock);
    }

    /// The lock behind a register may be given back.
    pub(crate) fn check_unlock(&self, r: Reg, kind: HeldKind) -> Res<HeldItem> {
        let item = self.check_lock_pointer(r, kind)?;
        let lock = lock_text(kind);
        let held = &self.cur.held;
        let Some(innermost) = held.innermost_lock() else {
            return Err(HeldReject::UnlockNothing { lock }.into());
        };
        let is_it = |i: &HeldItem| i.kind == kind && i.id == item.id && i.owner == item.owner;
        if !held.items.iter().any(is_it) {
            return Err(HeldReject::UnlockOther { lock }.into());
        }
        if (innermost.id, innermost.owner) != (item.id, item.owner) {
            return Err(HeldReject::UnlockOrder { lock }.into());
        }
        Ok(item)
    }

    /// A lock is given back; what it protected is no longer the program's to touch.
    pub(crate) fn mark_unlocked(&mut self, lock: HeldItem) {
        self.held_mut().remove(|i| i.kind == lock.kind && i.id == lock.id && i.owner == lock.owner);
        self.mark_non_owning_lost();
        if !self.in_rcu() {
            // DEVIATION: the kernel goes on trusting what was loaded while the lock was held.
            self.mark_rcu_pointers_untrusted();
        }
    }

    /// Pointers that are good only while the lock is held are lost (`invalidate_non_owning_refs`).
    // SOUND: without the lock another CPU may take the object out and free it.
    pub(crate) fn mark_non_owning_lost(&mut self) {
        let lost = self.lost_register();
        self.cur.update_regs(|r| r.is_pointer() && r.flags.has(PtrFlags::NON_OWN), |r| *r = lost);
    }

    /// The lock that protects what a register points into is held (`check_reg_allocation_locked`).
    pub(crate) fn check_allocation_locked(&self, reg: &RegState, field: &Field) -> Res<()> {
        let owner = self.lock_owner(reg)?;
        let is_its = |l: &HeldItem| l.kind.is_lock() && l.id == reg.id && l.owner == owner;
        if self.cur.held.items.iter().any(is_its) {
            return Ok(());
        }
        let different = self.cur.held.has_lock();
        let fields = self.prog.records.of_reg(&self.prog.maps, reg);
        let lock = fields.iter().find(|f| f.kind == FieldKind::SpinLock);
        let at = lock.map_or(-1, |f| i64::from(f.offset));
        let root = field.kind.name();
        Err(HeldReject::NotLocked { at, root, different }.into())
    }

    /// A helper may be called here: while a lock is held, only the one that gives it back.
    pub(crate) fn check_helper_in_lock(&self, id: i32) -> Res<()> {
        if self.cur.held.has_lock() && id != BPF_FUNC_spin_unlock.cast_signed() {
            return Err(HeldReject::CallInLock {}.into());
        }
        Ok(())
    }

    /// Whether the path is in a callback that is called with a lock held (`in_rbtree_lock_required_cb`).
    pub(crate) fn is_in_locked_callback(&self) -> bool {
        self.cur.frames.iter().any(|f| f.callback.is_some_and(|c| c.is_locked))
    }
}
