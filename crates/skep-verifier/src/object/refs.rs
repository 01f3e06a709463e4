//! References: what a call acquires must be released, or given away, before the path ends.
//!
//! The copies of an acquired pointer share its `ref_id`; releasing one makes all of them unusable.

use crate::reject::{HeldReject, Leaks};
use crate::state::held::{Held, HeldItem, HeldKind};
use crate::state::{RegState, VerifierState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::BPF_PROG_TYPE_STRUCT_OPS;
use std::rc::Rc;

/// What leaves the program, or may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaving {
    /// `exit`.
    Exit,
    /// A tail call.
    TailCall,
    /// A legacy packet load, which ends the program if it fails.
    LegacyLoad,
    /// An exception.
    Throw,
}

impl Leaving {
    /// As messages name it.
    fn name(self) -> &'static str {
        match self {
            Leaving::Exit => "BPF_EXIT instruction in main prog",
            Leaving::TailCall => "tail_call",
            Leaving::LegacyLoad => "BPF_LD_[ABS|IND]",
            Leaving::Throw => "bpf_throw",
        }
    }
}

impl Walk<'_> {
    /// What the path holds, to change.
    pub(crate) fn held_mut(&mut self) -> &mut Held {
        Rc::make_mut(&mut self.cur.held)
    }

    /// The instruction in hand acquires a reference; gives its id (`acquire_reference`).
    pub(crate) fn mark_acquired(&mut self) -> u32 {
        let id = self.new_id();
        let insn_idx = self.idx;
        self.held_mut().add(HeldItem { kind: HeldKind::Ref, id, insn_idx, owner: 0 });
        id
    }

    /// A reference is given back: no copy of its pointer, nor what was found through it, may be used again
    /// (`release_reference`). Whether it was held.
    // SOUND: `ref_id` goes along with each copy and each pointer that lives as long as the reference, in registers
    // and spills of every frame; stack objects that carry it are their own release.
    pub(crate) fn mark_released(&mut self, ref_id: u32) -> bool {
        if !self.cur.held.has_ref(ref_id) {
            return false;
        }
        self.mark_ref_forgotten(ref_id);
        self.mark_ref_pointers_lost(ref_id);
        true
    }

    /// A reference is no longer held, and its pointers stay as they are.
    pub(crate) fn mark_ref_forgotten(&mut self, ref_id: u32) {
        forget_ref(&mut self.cur, ref_id);
    }

    /// No pointer of a reference may be used again.
    pub(crate) fn mark_ref_pointers_lost(&mut self, ref_id: u32) {
        let lost = self.lost_register();
        self.cur.update_regs(|r| r.ref_id == ref_id, |r| *r = lost);
    }

    /// What becomes of a register whose pointer is gone (`mark_reg_invalid`).
    pub(crate) fn lost_register(&self) -> RegState {
        if self.rights.allow_ptr_leaks { RegState::UNKNOWN } else { RegState::NOT_INIT }
    }

    /// Nothing is held that the way out would not give back (`check_resource_leak`).
    // SOUND: a function that returns, by a tail call or a failed load too, leaves what it holds to its caller, or to the
    // helper's next round, which must give it back; only the outermost frame, and what leaves all frames at once, must
    // hold nothing.
    pub(crate) fn check_nothing_held(&self, leaving: Leaving) -> Res<()> {
        let doing = leaving.name();
        let leaves_all = match leaving {
            Leaving::Exit => self.cur.cur_idx() == 0,
            Leaving::TailCall | Leaving::LegacyLoad | Leaving::Throw => true,
        };
        let held = &*self.cur.held;
        if leaves_all && held.has_lock() {
            return Err(HeldReject::InLock { doing }.into());
        }
        self.check_no_refs(leaving)?;
        if !leaves_all {
            return Ok(());
        }
        if held.irq_id != 0 {
            return Err(HeldReject::InIrq { doing }.into());
        }
        if held.rcu != 0 {
            return Err(HeldReject::InRcu { doing }.into());
        }
        if held.preempt != 0 {
            return Err(HeldReject::InPreempt { doing }.into());
        }
        Ok(())
    }

    /// No reference is left (`check_reference_leak`).
    fn check_no_refs(&self, leaving: Leaving) -> Res<()> {
        if leaving != Leaving::Throw && self.cur.cur_idx() > 0 {
            return Ok(());
        }
        // A struct_ops program may return what it holds to the kernel; `check_return` looks at its type.
        let returned = match leaving {
            Leaving::Exit if self.props.prog_type == BPF_PROG_TYPE_STRUCT_OPS => {
                self.cur.reg(Reg::R0).ref_id
            }
            Leaving::Exit | Leaving::TailCall | Leaving::LegacyLoad | Leaving::Throw => 0,
        };
        let left = self.cur.held.refs().filter(|i| returned == 0 || i.id != returned);
        let leaks: Vec<(u32, u32)> = left.map(|i| (i.id, i.insn_idx)).collect();
        if leaks.is_empty() {
            return Ok(());
        }
        Err(HeldReject::Unreleased { leaks: Leaks(leaks), doing: leaving.name() }.into())
    }
}

/// A reference is no longer held on a path.
pub(crate) fn forget_ref(state: &mut VerifierState, ref_id: u32) {
    if state.held.has_ref(ref_id) {
        let held = Rc::make_mut(&mut state.held);
        held.remove(|i| i.kind == HeldKind::Ref && i.id == ref_id);
    }
}
