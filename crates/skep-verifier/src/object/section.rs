//! Sections: RCU read sections, without preemption, without interrupts; and what may not be done in them.

use crate::reject::HeldReject;
use crate::state::held::{HeldItem, HeldKind};
use crate::state::{PtrFlags, SlotObject};
use crate::walk::{Res, Walk};
use std::rc::Rc;

/// A call that opens or closes a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SectionCall {
    /// `bpf_rcu_read_lock`.
    RcuLock,
    /// `bpf_rcu_read_unlock`.
    RcuUnlock,
    /// `bpf_preempt_disable`.
    PreemptDisable,
    /// `bpf_preempt_enable`.
    PreemptEnable,
}

impl SectionCall {
    /// The call of that name.
    pub(crate) fn by_name(name: &str) -> Option<SectionCall> {
        Some(match name {
            "bpf_rcu_read_lock" => SectionCall::RcuLock,
            "bpf_rcu_read_unlock" => SectionCall::RcuUnlock,
            "bpf_preempt_disable" => SectionCall::PreemptDisable,
            "bpf_preempt_enable" => SectionCall::PreemptEnable,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            SectionCall::RcuLock => "bpf_rcu_read_lock",
            SectionCall::RcuUnlock => "bpf_rcu_read_unlock",
            SectionCall::PreemptDisable => "bpf_preempt_disable",
            SectionCall::PreemptEnable => "bpf_preempt_enable",
        }
    }
}

/// A call that may sleep, for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleeper<'a> {
    /// A helper.
    Helper(&'static str, i32),
    /// A kernel function.
    Kfunc(&'a str),
}

impl Walk<'_> {
    /// Whether the code in hand may sleep where no section forbids it.
    pub(crate) fn in_sleepable(&self) -> bool {
        self.cur.in_sleepable
    }

    /// Whether what RCU protects stays valid here (`in_rcu_cs`).
    pub(crate) fn in_rcu(&self) -> bool {
        let held = &self.cur.held;
        held.rcu > 0 || held.has_lock() || !self.in_sleepable()
    }

    /// No section is open that a call that sleeps may not be made in.
    pub(crate) fn check_sleeps(&self, what: Sleeper<'_>) -> Res<()> {
        let held = &self.cur.held;
        let (helper, kfunc) = if held.rcu > 0 {
            ("rcu_read_lock region", "rcu_read_lock region")
        } else if held.preempt > 0 {
            ("non-preemptible region", "non-preemptible region")
        } else if held.irq_id != 0 {
            ("IRQ-disabled region", "IRQ-disabled region")
        } else {
            return Ok(());
        };
        Err(match what {
            Sleeper::Helper(name, id) => HeldReject::SleepingHelper { name, id, place: helper },
            Sleeper::Kfunc(name) => {
                HeldReject::SleepingKfunc { name: name.to_owned(), place: kfunc }
            }
        }
        .into())
    }

    /// The section may be opened or closed here.
    pub(crate) fn check_section(&self, call: SectionCall) -> Res<()> {
        let held = &self.cur.held;
        let name = call.name();
        match call {
            SectionCall::RcuLock | SectionCall::RcuUnlock
                if held.rcu > 0 && self.is_in_locked_callback() =>
            {
                Err(HeldReject::RcuInCallback {}.into())
            }
            SectionCall::RcuLock if held.rcu > 0 => Err(HeldReject::RcuNested { name }.into()),
            SectionCall::RcuUnlock if held.rcu == 0 => {
                Err(HeldReject::RcuUnmatched { name }.into())
            }
            SectionCall::PreemptEnable if held.preempt == 0 => {
                Err(HeldReject::PreemptUnmatched { name }.into())
            }
            SectionCall::RcuLock
            | SectionCall::RcuUnlock
            | SectionCall::PreemptDisable
            | SectionCall::PreemptEnable => Ok(()),
        }
    }

    /// A section is opened or closed.
    pub(crate) fn mark_section(&mut self, call: SectionCall) {
        let held = self.held_mut();
        match call {
            SectionCall::RcuLock => held.rcu = held.rcu.saturating_add(1),
            SectionCall::PreemptDisable => held.preempt = held.preempt.saturating_add(1),
            SectionCall::PreemptEnable => held.preempt = held.preempt.saturating_sub(1),
            SectionCall::RcuUnlock => {
                held.rcu = held.rcu.saturating_sub(1);
                if held.rcu == 0 {
                    self.mark_rcu_pointers_untrusted();
                }
            }
        }
    }

    // SOUND: behind the section what RCU protects may be gone at any time: it may be read with faults caught, no more.
    // Whether it was NULL says nothing of that.
    pub(super) fn mark_rcu_pointers_untrusted(&mut self) {
        let untrusted = |flags: PtrFlags| {
            flags.without(PtrFlags::RCU).without(PtrFlags::MAYBE_NULL).with(PtrFlags::UNTRUSTED)
        };
        self.cur.update_regs(
            |r| r.is_pointer() && r.flags.has(PtrFlags::RCU),
            |r| r.flags = untrusted(r.flags),
        );
        for frame in &mut self.cur.frames {
            let protected = |s: &crate::state::StackSlot| {
                matches!(s.object, SlotObject::Iter { .. }) && s.reg.flags.has(PtrFlags::RCU)
            };
            if !frame.stack.iter().any(protected) {
                continue;
            }
            for slot in Rc::make_mut(frame).stack.iter_mut().filter(|s| protected(s)) {
                slot.reg.flags = untrusted(slot.reg.flags);
            }
        }
    }

    /// Interrupts are disabled; gives the id of the state that was saved.
    pub(crate) fn mark_irq_disabled(&mut self) -> u32 {
        let id = self.new_id();
        let insn_idx = self.idx;
        self.held_mut().add(HeldItem { kind: HeldKind::Irq, id, insn_idx, owner: 0 });
        id
    }
}
