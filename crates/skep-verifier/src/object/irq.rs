//! Saved interrupt states: eight bytes of the stack, restored in reverse order.

use crate::mem::slot_of;
use crate::reject::HeldReject;
use crate::state::held::HeldKind;
use crate::state::{ByteKind, RegKind, RegState, SlotObject, StackSlot};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;

/// Which functions saved an interrupt state: only their like restores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IrqBy {
    /// `bpf_local_irq_save`.
    Native,
    /// `bpf_res_spin_lock_irqsave`.
    Lock,
}

impl IrqBy {
    fn name(self) -> &'static str {
        match self {
            IrqBy::Native => "native",
            IrqBy::Lock => "lock",
        }
    }
}

/// A place on the stack for a saved interrupt state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IrqSlot {
    frame: u8,
    slot: usize,
    by: IrqBy,
}

impl Walk<'_> {
    /// The slot that a register names, if it is one (`irq_flag_get_spi`).
    fn irq_slot(&self, r: Reg, wants: &'static str) -> Res<Option<(u8, usize)>> {
        let reg = self.cur.reg(r);
        let RegKind::Stack(frame) = reg.kind else {
            return Err(HeldReject::IrqNotStack { arg: r.num().saturating_sub(1) }.into());
        };
        let Some(var) = reg.num.const_value() else {
            let arg = r.num().saturating_sub(1);
            return Err(HeldReject::IrqVariable { wants, arg }.into());
        };
        let off = i64::from(reg.off).wrapping_add(var as i64);
        Ok((off % 8 == 0 && (-512..=-8).contains(&off)).then(|| (frame, slot_of(off))))
    }

    /// An interrupt state may be saved where a register points.
    pub(crate) fn check_irq_save(&mut self, r: Reg, by: IrqBy) -> Res<IrqSlot> {
        let arg = r.num().saturating_sub(1);
        let Some((frame, slot)) = self.irq_slot(r, "uninitialized")? else {
            return Err(HeldReject::IrqNotFree { arg }.into());
        };
        let taken = self.cur.frame(frame).and_then(|f| f.stack.get(slot));
        if taken.is_some_and(|s| s.bytes.contains(&ByteKind::Irq)) {
            return Err(HeldReject::IrqNotFree { arg }.into());
        }
        self.access_stack_slot(r)?;
        Ok(IrqSlot { frame, slot, by })
    }

    /// Interrupts are disabled, and the state before is in that slot.
    pub(crate) fn mark_irq_saved(&mut self, at: IrqSlot) {
        let id = self.mark_irq_disabled();
        let Some(f) = self.cur.frame_mut(at.frame) else { return };
        f.grow(at.slot);
        if let Some(slot) = f.stack.get_mut(at.slot) {
            *slot = StackSlot {
                bytes: [ByteKind::Irq; 8],
                reg: RegState { ref_id: id, ..RegState::pointer(RegKind::Stack(at.frame)) },
                object: SlotObject::Irq { is_res_lock: at.by == IrqBy::Lock },
            };
        }
    }

    /// The interrupt state behind a register may be restored.
    pub(crate) fn check_irq_restore(&mut self, r: Reg, by: IrqBy) -> Res<IrqSlot> {
        let arg = r.num().saturating_sub(1);
        let at = self.irq_slot(r, "an initialized")?;
        let saved = at.and_then(|(frame, n)| {
            let slot = self.cur.frame(frame)?.stack.get(n)?;
            let SlotObject::Irq { is_res_lock } = slot.object else { return None };
            slot.bytes.iter().all(|b| *b == ByteKind::Irq).then_some((
                frame,
                n,
                slot.reg.ref_id,
                is_res_lock,
            ))
        });
        let Some((frame, slot, id, is_res_lock)) = saved else {
            return Err(HeldReject::IrqNotSaved { arg }.into());
        };
        self.note_slots_read(frame, slot, slot);
        let saved_by = if is_res_lock { IrqBy::Lock } else { IrqBy::Native };
        if saved_by != by {
            let (flag, used) = (saved_by.name(), by.name());
            return Err(HeldReject::IrqOther { flag, used }.into());
        }
        let held = &self.cur.held;
        if held.irq_id != id {
            let innermost = held.items.iter().find(|i| i.id == held.irq_id);
            let at = innermost.map_or(0, |i| i.insn_idx);
            return Err(HeldReject::IrqOrder { id: held.irq_id, at }.into());
        }
        Ok(IrqSlot { frame, slot, by })
    }

    /// The interrupt state in a slot is restored.
    pub(crate) fn mark_irq_restored(&mut self, at: IrqSlot) -> Res<()> {
        let slot = self.cur.frame_mut(at.frame).and_then(|f| f.stack.get_mut(at.slot));
        let slot = slot.ok_or(Stop::Bug("no such slot"))?;
        let id = slot.reg.ref_id;
        *slot = StackSlot::INVALID;
        self.held_mut().remove(|i| i.kind == HeldKind::Irq && i.id == id);
        Ok(())
    }
}
