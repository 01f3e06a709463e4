//! Calls of subprograms, and the way back from them; the end of the program.

use crate::object::Leaving;
use crate::pre::ReturnRule;
use crate::reject::{RangeText, RejectKind};
use crate::state::{Frame, MAX_FRAMES, RegKind, RegState};
use crate::walk::{Flow, Res, Stop, Walk};
use skep_abi::insn::Reg;
use std::rc::Rc;

impl Walk<'_> {
    /// A new activation of the function of a number (`setup_func_entry`).
    pub(super) fn new_frame(&self, subprog: u16) -> Res<Frame> {
        let depth = self.cur.frames.len();
        if depth >= MAX_FRAMES {
            return Err(RejectKind::CallDepth { frames: depth + 1 }.into());
        }
        let fp = RegState::pointer(RegKind::Stack(depth as u8));
        Ok(Frame::new(subprog, self.idx, fp))
    }

    /// First slot of a function.
    pub(super) fn entry(&self, subprog: u16) -> Res<u32> {
        let s = self.prog.subprogs.get(usize::from(subprog));
        s.map(|s| s.start).ok_or(Stop::Bug("no such function"))
    }

    // SOUND: the callee of a static call is walked with what this caller passes; nothing is assumed of it.
    pub(crate) fn exec_call(&mut self, off: i32) -> Res<Flow> {
        let target = self.slot_at(off)?;
        let subprog = self.prog.subprog_of.get(target as usize).copied();
        let subprog = subprog.ok_or(Stop::Bug("a call was not resolved"))?;
        if self.is_global(subprog) {
            return self.exec_global_call(subprog);
        }
        self.note_static_call(subprog);
        let mut callee = self.new_frame(subprog)?;
        let args = self.cur.cur().regs.iter().enumerate().take(6).skip(1);
        for (to, (_, from)) in callee.regs.iter_mut().skip(1).zip(args) {
            *to = *from;
        }
        self.mark_caller_saved_lost();
        self.cur.frames.push(Rc::new(callee));
        self.written.enter(self.cur.cur_idx());
        self.log_entered();
        Ok(Flow::To(target))
    }

    pub(crate) fn exec_exit(&mut self) -> Res<Flow> {
        self.check_nothing_held(Leaving::Exit)?;
        if self.cur.cur_idx() == 0 {
            match self.cur.cur().callback {
                Some(later) => self.check_later_return(later.ret_range)?,
                None => self.check_return()?,
            }
            return Ok(Flow::End);
        }
        self.leave_function()
    }

    /// From a function back to its caller, with R0 (`prepare_func_exit`).
    pub(crate) fn leave_function(&mut self) -> Res<Flow> {
        let r0 = *self.cur.reg(Reg::R0);
        if matches!(r0.kind, RegKind::Stack(_)) {
            return Err(RejectKind::ReturnsStack {}.into());
        }
        let (callsite, callback) = {
            let f = self.cur.cur();
            (f.callsite, f.callback)
        };
        if let Some(cb) = callback {
            if !r0.is_scalar() {
                return Err(RejectKind::CallbackNotScalar {}.into());
            }
            self.mark_precise(Reg::R0)?;
            let (min, max) = cb.ret_range;
            if r0.num.smin() < min || r0.num.smax() > max {
                let range = RangeText::new(&r0.num, min, max);
                return Err(RejectKind::CallbackRange { range }.into());
            }
        }
        self.log_leaving();
        self.cur.frames.pop();
        if callback.is_some() {
            // Back to the call: it calls again or goes on, and the state there converges.
            self.log_returned(callsite);
            let mut state = self.cur.clone();
            self.widen_to_previous(callsite, None, &mut state);
            self.cur = state;
            return Ok(Flow::To(callsite));
        }
        *self.cur.reg_mut(Reg::R0) = r0;
        self.log_returned(callsite + 1);
        Ok(Flow::To(callsite + 1))
    }

    /// R0 at the end of the program (`check_return_code`).
    fn check_return(&mut self) -> Res<()> {
        self.check_return_in(Reg::R0)
    }

    /// The program's result, in R0 at its end or with an exception in R1.
    pub(crate) fn check_return_in(&mut self, r: Reg) -> Res<()> {
        let rule = self.prog.attach.ret;
        // The function that is walked, not the one in hand: an exception leaves them all.
        let walked = self.cur.frames.first().map_or(0, |f| f.subprog);
        let is_main = walked == 0 || Some(walked) == self.prog.exception_cb;
        if is_main && rule == ReturnRule::Void {
            return Ok(());
        }
        self.check_readable(r)?;
        if self.is_secret(r) {
            return Err(RejectKind::LeakReturn { reg: r.num() }.into());
        }
        if !is_main {
            return self.check_global_return(r);
        }
        let range = match rule {
            ReturnRule::Props => self.props.ret_range,
            ReturnRule::Void | ReturnRule::Any => None,
            ReturnRule::Range(min, max) => Some((min, max)),
            ReturnRule::Range32(min, max) => Some((min.into(), max.into())),
        };
        let Some((min, max)) = range else { return Ok(()) };
        let r0 = *self.cur.reg(r);
        if !r0.is_scalar() {
            return Err(RejectKind::ReturnNotScalar { reg: r.num(), ty: r0.type_text() }.into());
        }
        self.mark_precise(r)?;
        let is_inside = match rule {
            // SOUND: only the low half is looked at by who called.
            ReturnRule::Range32(min, max) => r0.num.s32.min >= min && r0.num.s32.max <= max,
            ReturnRule::Props | ReturnRule::Void | ReturnRule::Any | ReturnRule::Range(..) => {
                r0.num.smin() >= min && r0.num.smax() <= max
            }
        };
        if !is_inside {
            let range = RangeText::new(&r0.num, min, max);
            return Err(RejectKind::ReturnRange { reg: r.num(), range }.into());
        }
        Ok(())
    }
}
