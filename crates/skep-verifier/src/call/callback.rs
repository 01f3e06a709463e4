//! Callbacks: a helper that calls back is walked as a loop around its call.
//!
//! The path in hand goes on behind the call, as if the helper were done; another is put aside that enters the
//! callback and comes back to the call when it exits (`push_callback_call`).

use crate::domain::Scalar;
use crate::env::Callback;
use crate::pre::MapId;
use crate::reject::RejectKind;
use crate::state::{CallbackFrame, Frame, RegKind, RegState};
use crate::walk::{Res, Stop, Walk, unsupported};
use skep_abi::insn::Reg;
use std::rc::Rc;

impl Walk<'_> {
    // SOUND: the callback is entered from every state in which the helper may call it: at first from the caller's,
    // later from what earlier rounds left, since its exit leads back to the call.
    pub(super) fn schedule_callback(
        &mut self,
        kind: Callback,
        subprog: u16,
        map: Option<MapId>,
    ) -> Res<()> {
        let caller = self.cur.cur();
        let mut callee = self.new_frame(subprog)?;
        match kind {
            Callback::None => return Err(Stop::Bug("no callback to schedule")),
            Callback::Timer => return Err(unsupported("timer callbacks")),
            Callback::FindVma => return Err(unsupported("bpf_find_vma callbacks")),
            Callback::UserRingbuf => return Err(unsupported("user ring buffer callbacks")),
            Callback::Loop => {
                let rounds = caller.regs[Reg::R1.index()];
                if !rounds.is_scalar() {
                    // SOUND: the bounds of a pointer are those of its offset, not of how often the helper calls.
                    let (reg, ty) = (Reg::R1.num(), rounds.type_text());
                    return Err(RejectKind::ArgType { reg, ty, expected: "scalar".into() }.into());
                }
                let max = rounds.num.umax();
                let depth = u64::from(caller.callback_depth);
                let ctx = caller.regs[Reg::R3.index()];
                self.mark_precise(Reg::R1)?;
                if depth >= max {
                    self.cur.cur_mut().callback_depth = 0;
                    return Ok(());
                }
                callee.regs[Reg::R1.index()] = RegState::scalar(Scalar::UNKNOWN);
                callee.regs[Reg::R2.index()] = ctx;
            }
            Callback::ForEachMapElem => {
                let map = map.ok_or(Stop::Bug("for_each without a map"))?;
                let ctx = caller.regs[Reg::R3.index()];
                callee.regs[Reg::R1.index()] = RegState::pointer(RegKind::Map(map));
                callee.regs[Reg::R2.index()] = RegState::pointer(RegKind::MapKey(map));
                callee.regs[Reg::R3.index()] = RegState::pointer(RegKind::MapValue(map));
                callee.regs[Reg::R4.index()] = ctx;
            }
        }
        self.push_callback(callee, subprog)
    }

    fn push_callback(&mut self, mut callee: Frame, subprog: u16) -> Res<()> {
        callee.callback = Some(CallbackFrame { ret_range: (0, 1), is_locked: false });
        let mut state = self.cur.clone();
        state.callback_unroll_depth = state.callback_unroll_depth.saturating_add(1);
        let caller = state.cur_mut();
        caller.callback_depth = caller.callback_depth.saturating_add(1);
        state.frames.push(Rc::new(callee));
        let entry = self.entry(subprog)?;
        self.push_path(entry, state)?;
        self.log_all_changed();
        self.cur.cur_mut().callback_depth = 0;
        Ok(())
    }
}
