//! Callbacks: what calls back while it runs is walked as a loop around its call; what calls later, as a program of
//! its own.
//!
//! The path in hand goes on behind the call, as if the helper were done; another is put aside that enters the
//! callback and comes back to the call when it exits (`push_callback_call`). A timer's callback starts with nothing of
//! the path that set it (`push_async_cb`).

use crate::domain::Scalar;
use crate::env::Callback;
use crate::object::Root;
use crate::pre::{MapId, check_exception_callback, has_lock};
use crate::reject::{RangeText, RejectKind};
use crate::state::ptr::DynptrKind;
use crate::state::{CallbackFrame, Frame, Held, RegKind, RegState, VerifierState};
use crate::walk::{Res, Stop, Walk, unsupported};
use skep_abi::insn::Reg;
use skep_btf::TypeId;
use std::rc::Rc;

/// Whether a callback that is called later may sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LaterMay {
    /// It may: of work queues and task work.
    Sleep,
    /// It may not: of timers.
    NotSleep,
}

/// What a function is used as beside being called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct FnUse {
    /// Something calls it back.
    pub(crate) is_callback: bool,
    /// It is called later, on a stack of its own.
    pub(crate) is_later: bool,
}

/// Results of callbacks that say whether to go on.
const GO_ON: CallbackFrame = CallbackFrame { ret_range: (0, 1), is_locked: false };

impl Walk<'_> {
    /// What a function is used as, on the paths so far.
    pub(crate) fn fn_use(&self, subprog: usize) -> FnUse {
        self.fn_uses.get(subprog).copied().unwrap_or_default()
    }

    fn note_callback(&mut self, subprog: u16) {
        if let Some(f) = self.fn_uses.get_mut(usize::from(subprog)) {
            f.is_callback = true;
        }
    }

    /// Begins the walk of the exception callback, if there is one (part of `do_check_subprogs`).
    // SOUND: it is called when all else is unwound, with any number; it holds nothing, and its result is the program's.
    pub(crate) fn enter_exception_callback(&mut self) -> Res<()> {
        let Some(subprog) = self.prog.exception_cb else { return Ok(()) };
        let of = self.prog.subprogs.get(usize::from(subprog));
        let func = of.map_or(0, |s| s.btf_func);
        self.idx = self.entry(subprog)?;
        let btf = self.env.btf().ok_or(Stop::Bug("an exception callback without BTF"))?;
        check_exception_callback(btf, TypeId(func))?;
        let mut frame = Frame::new(subprog, u32::MAX, RegState::pointer(RegKind::Stack(0)));
        frame.regs[Reg::R1.index()] = RegState::UNKNOWN;
        let entry = self.idx;
        self.push_fresh_path(entry, self.fresh_state(frame, self.prog.is_sleepable))
    }

    fn fresh_state(&self, frame: Frame, in_sleepable: bool) -> VerifierState {
        VerifierState {
            frames: vec![Rc::new(frame)],
            held: Rc::new(Held::default()),
            may_goto_depth: 0,
            callback_unroll_depth: 0,
            in_sleepable,
            is_speculative: false,
        }
    }

    // SOUND: the callback is entered from every state in which the helper may call it: at first from the caller's,
    // later from what earlier rounds left, since its exit leads back to the call.
    pub(super) fn schedule_callback(
        &mut self,
        kind: Callback,
        subprog: u16,
        map: Option<(MapId, u32)>,
    ) -> Res<()> {
        let caller = self.cur.cur();
        let arg = |r: Reg| caller.regs[r.index()];
        let mut regs = [RegState::NOT_INIT; 4];
        match kind {
            Callback::None => return Err(Stop::Bug("no callback to schedule")),
            Callback::Timer => {
                let map = map.ok_or(Stop::Bug("a timer without a map"))?;
                return self.schedule_later(subprog, map, LaterMay::NotSleep);
            }
            Callback::Loop => {
                let rounds = arg(Reg::R1);
                if !rounds.is_scalar() {
                    // SOUND: the bounds of a pointer are those of its offset, not of how often the helper calls.
                    let (reg, ty) = (Reg::R1.num(), rounds.type_text());
                    return Err(RejectKind::ArgType { reg, ty, expected: "scalar".into() }.into());
                }
                let max = rounds.num.umax();
                let depth = u64::from(caller.callback_depth);
                let ctx = arg(Reg::R3);
                self.mark_precise(Reg::R1)?;
                if depth >= max {
                    self.cur.cur_mut().callback_depth = 0;
                    return Ok(());
                }
                regs[0] = RegState::scalar(Scalar::UNKNOWN);
                regs[1] = ctx;
            }
            Callback::ForEachMapElem => {
                let map = map.ok_or(Stop::Bug("for_each without a map"))?;
                let ctx = arg(Reg::R3);
                let [m, key, value] = self.element(map);
                regs = [m, key, value, ctx];
            }
            Callback::FindVma => {
                let Some(vma) = self.kernel_type("vm_area_struct") else {
                    return Err(unsupported("bpf_find_vma without the kernel's types"));
                };
                let caller = self.cur.cur();
                regs[0] = caller.regs[Reg::R1.index()];
                regs[1] = RegState::pointer(RegKind::Btf(vma));
                regs[2] = caller.regs[Reg::R4.index()];
            }
            Callback::UserRingbuf => {
                let ctx = arg(Reg::R3);
                let id = self.new_id();
                let kind = RegKind::Dynptr(DynptrKind::Local);
                regs[0] = RegState { id, ..RegState::pointer(kind) };
                regs[1] = ctx;
            }
        }
        let callee = self.callee(subprog, regs)?;
        self.push_callback(callee, subprog, GO_ON)
    }

    /// A map, and the key and value of one of its elements.
    // SOUND: a lock is known by the id of the pointer to its value, so each element has an id of its own.
    fn element(&mut self, (map, map_uid): (MapId, u32)) -> [RegState; 3] {
        let locks = self.map(map).is_ok_and(|m| has_lock(&m.fields));
        let id = if locks { self.new_id() } else { 0 };
        let pointer = |kind| RegState { map_uid, ..RegState::pointer(kind) };
        let value = RegState { id, ..pointer(RegKind::MapValue(map)) };
        [pointer(RegKind::Map(map)), pointer(RegKind::MapKey(map)), value]
    }

    fn callee(&self, subprog: u16, regs: [RegState; 4]) -> Res<Frame> {
        let mut callee = self.new_frame(subprog)?;
        for (to, from) in callee.regs.iter_mut().skip(1).zip(regs) {
            *to = from;
        }
        Ok(callee)
    }

    /// `bpf_rbtree_add` compares nodes: `(a, b)`, both on the tree that is locked.
    pub(crate) fn schedule_less(&mut self, subprog: u16, root: Root) -> Res<()> {
        let node = self.non_owning(self.node_pointer(root));
        let none = RegState::NOT_INIT;
        let callee = self.callee(subprog, [node, node, none, none])?;
        self.push_callback(callee, subprog, CallbackFrame { is_locked: true, ..GO_ON })
    }

    fn push_callback(&mut self, mut callee: Frame, subprog: u16, how: CallbackFrame) -> Res<()> {
        callee.callback = Some(how);
        self.note_callback(subprog);
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

    /// A callback that is called after the program, or meanwhile on another CPU: `(map, key, value)`.
    // SOUND: it is given an element of the map that the timer is in; nothing else of the path holds for it.
    pub(crate) fn schedule_later(
        &mut self,
        subprog: u16,
        map: (MapId, u32),
        may: LaterMay,
    ) -> Res<()> {
        let fp = RegState::pointer(RegKind::Stack(0));
        let mut callee = Frame::new(subprog, u32::MAX, fp);
        for (to, from) in callee.regs.iter_mut().skip(1).zip(self.element(map)) {
            *to = from;
        }
        let entered = self.cur.frames.first().map_or(0, |f| f.async_entry);
        callee.async_entry = entered.saturating_add(1);
        callee.callback = Some(CallbackFrame { ret_range: (0, 0), is_locked: false });
        if let Some(f) = self.fn_uses.get_mut(usize::from(subprog)) {
            *f = FnUse { is_callback: true, is_later: true };
        }
        let state = self.fresh_state(callee, may == LaterMay::Sleep);
        let entry = self.entry(subprog)?;
        self.push_fresh_path(entry, state)
    }

    /// R0 at the end of a callback that was called later.
    pub(super) fn check_later_return(&mut self, (min, max): (i64, i64)) -> Res<()> {
        self.check_readable(Reg::R0)?;
        let r0 = *self.cur.reg(Reg::R0);
        if !r0.is_scalar() {
            return Err(RejectKind::AsyncNotScalar { ty: r0.type_text() }.into());
        }
        self.mark_precise(Reg::R0)?;
        if r0.num.smin() < min || r0.num.smax() > max {
            let range = RangeText::new(&r0.num, min, max);
            return Err(RejectKind::AsyncRange { range }.into());
        }
        Ok(())
    }
}
