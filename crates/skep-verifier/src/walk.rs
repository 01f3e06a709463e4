//! The walk over all paths: a stack of paths yet to go, and the dispatch of instructions.
//!
//! Key types: [`Walk`], everything one verification knows; [`Flow`], where an instruction leads; [`Stop`], why
//! a path cannot go on. Neighbours: `insn/`, `mem/` and `call/` say what an instruction does to the state,
//! `prune/` when a path may end early.

use crate::call::FnUse;
use crate::caps::Rights;
use crate::env::{Env, ProgTypeProps};
use crate::insn::{AluGuard, TailMap};
use crate::log::{Log, LogLevel, LogState};
use crate::pre::{FuncArg, FuncFacts, Marks, Program, Unclear};
use crate::prog::{LoadRequest, VerifyStats};
use crate::prune::{
    Guess, History, IdMap, IsTarget, Kept, Others, Resume, SlotMasks, StateId, Visit,
};
use crate::reject::{Bug, ProgReject, Reject, RejectKind, VerifyError};
use crate::state::{Frame, RegKind, RegState, VerifierState};
use skep_abi::Errno;
use skep_abi::insn::{CallTarget, Insn, Reg};
use skep_abi::uapi::BPF_PROG_TYPE_EXT;
use std::cell::Cell;
use std::rc::Rc;

/// Instructions simulated at the most (`BPF_COMPLEXITY_LIMIT_INSNS`).
const MAX_PROCESSED: u64 = 1_000_000;
/// Paths waiting at the most (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
const MAX_PENDING: usize = 8192;

/// Why a check or a transfer cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The program is refused.
    Reject(Box<RejectKind>),
    /// The verifier contradicts itself.
    Bug(&'static str),
}

impl From<RejectKind> for Stop {
    fn from(kind: RejectKind) -> Stop {
        Stop::Reject(Box::new(kind))
    }
}

/// Result of a step of the analysis.
pub(crate) type Res<T> = Result<T, Stop>;

/// A refusal of what this verifier cannot judge.
pub(crate) fn unsupported(what: impl Into<String>) -> Stop {
    RejectKind::Unsupported { what: what.into() }.into()
}

/// Where an instruction leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// To the next instruction.
    Next,
    /// To a slot.
    To(u32),
    /// The path has ended well.
    End,
}

/// What the walk learns of a slot, for `post`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SlotFacts {
    /// Some path executes it.
    pub(crate) is_seen: bool,
    /// Kind of pointer that it accesses memory through.
    pub(crate) access: Access,
    /// No path under speculation may get to it.
    pub(crate) barrier_before: bool,
    /// No path under speculation may get past it.
    pub(crate) barrier_after: bool,
    /// How it is kept within bounds under speculation.
    pub(crate) guard: AluGuard,
    /// The program array of a tail call.
    pub(crate) tail_map: TailMap,
}

/// What an instruction accesses memory through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Access {
    /// No path has said yet.
    #[default]
    None,
    /// The context, at that offset of the UAPI structure.
    Ctx(u32),
    /// The arguments of a function, as they are.
    Args,
    /// An object of the kernel's that is surely there.
    Object,
    /// An object that may be gone: faults are caught, and what faults reads as zero.
    Probe,
    /// The arena.
    Arena,
    /// Plain memory.
    Plain,
}

/// A path to be walked later.
#[derive(Debug)]
struct Pending {
    state: VerifierState,
    parent: Option<StateId>,
    history: Resume,
    written: SlotMasks,
    idx: u32,
    from: u32,
    log_mark: usize,
    /// Start of the cycle, if it is finished states that the path is below.
    cycle: Option<StateId>,
}

/// Everything that one verification knows.
pub(crate) struct Walk<'a> {
    pub(crate) env: &'a dyn Env,
    pub(crate) props: &'a ProgTypeProps,
    pub(crate) prog: Program,
    pub(crate) is_gpl: bool,
    /// What the loader may.
    pub(crate) rights: Rights,
    /// State of the path that is walked.
    pub(crate) cur: VerifierState,
    /// Kept state that the path last passed.
    pub(crate) parent: Option<StateId>,
    /// Instructions of the path.
    pub(crate) history: History,
    /// Stack slots overwritten as a whole since then.
    pub(crate) written: SlotMasks,
    /// Slot that is looked at.
    pub(crate) idx: u32,
    pub(crate) facts: Vec<SlotFacts>,
    /// Stack bytes that each function uses.
    stack_used: Vec<Cell<u32>>,
    /// The same, as far as others than spills and fills around calls use them.
    stack_kept: Vec<Cell<u32>>,
    /// What each function is used as.
    pub(crate) fn_uses: Vec<FnUse>,
    pub(crate) kept: Kept,
    pending: Vec<Pending>,
    /// Global functions that some path calls.
    pub(crate) called: Vec<bool>,
    /// Those that a callback calls which may sleep, though the program may not.
    pub(crate) called_sleepable: Vec<bool>,
    /// Those of them that were walked so.
    walked_sleepable: Vec<bool>,
    /// Global functions that were walked, or are being walked.
    judged: Vec<bool>,
    /// Functions whose arguments are, as far as is known, what BTF says.
    pub(crate) reliable: Vec<bool>,
    id_gen: u32,
    /// Numbers are compared exactly, so that each offset of a pointer is seen (`explore_alu_limits`).
    pub(crate) compares_exactly: bool,
    /// Scratch of state comparison.
    pub(crate) id_map: IdMap,
    /// Scratch of counting ids.
    pub(crate) id_counts: Vec<(u32, u32)>,
    pub(crate) processed: u64,
    pub(crate) jumps_processed: u64,
    pub(crate) req: &'a LoadRequest,
    pub(crate) log: &'a mut Log,
    pub(crate) log_state: LogState,
}

impl<'a> Walk<'a> {
    /// At the start of the program.
    pub(crate) fn new(
        req: &'a LoadRequest,
        env: &'a dyn Env,
        prog: Program,
        log: &'a mut Log,
    ) -> Walk<'a> {
        let mut main = Frame::new(0, u32::MAX, RegState::pointer(RegKind::Stack(0)));
        main.regs[Reg::R1.index()] = RegState::pointer(RegKind::Ctx);
        let len = prog.insns.len();
        let in_sleepable = prog.is_sleepable;
        let mut fn_uses = vec![FnUse::default(); prog.subprogs.len()];
        let exception_cb = prog.exception_cb.and_then(|n| fn_uses.get_mut(usize::from(n)));
        if let Some(f) = exception_cb {
            *f = FnUse { is_callback: true, is_later: true };
        }
        let subprogs = prog.subprogs.len();
        let stack_used = vec![Cell::new(0); subprogs];
        let stack_kept = stack_used.clone();
        let is_exception_cb = |n: usize| prog.exception_cb.map(usize::from) == Some(n);
        let called = (0..subprogs).map(is_exception_cb).collect();
        let reliable = prog.funcs.iter().map(|f| f.args.is_ok()).collect();
        Walk {
            env,
            props: judged_as(env),
            prog,
            is_gpl: is_gpl_compatible(&req.license),
            rights: Rights::of(env.caps()),
            cur: VerifierState {
                frames: vec![Rc::new(main)],
                held: Rc::default(),
                is_speculative: false,
                may_goto_depth: 0,
                callback_unroll_depth: 0,
                in_sleepable,
            },
            parent: None,
            history: History::default(),
            written: SlotMasks::default(),
            idx: 0,
            facts: vec![SlotFacts::default(); len],
            stack_used,
            stack_kept,
            fn_uses,
            kept: Kept::new(len),
            pending: Vec::new(),
            called,
            called_sleepable: vec![false; subprogs],
            walked_sleepable: vec![false; subprogs],
            judged: vec![false; subprogs],
            reliable,
            id_gen: 0,
            compares_exactly: false,
            id_map: IdMap::default(),
            id_counts: Vec::new(),
            processed: 0,
            jumps_processed: 0,
            req,
            log,
            log_state: LogState::default(),
        }
    }

    /// A new id for registers that belong together.
    pub(crate) fn new_id(&mut self) -> u32 {
        self.id_gen += 1;
        self.id_gen
    }

    /// Stack bytes that a function uses on some path.
    pub(crate) fn stack_used(&self, subprog: usize) -> u32 {
        self.stack_used.get(subprog).map_or(0, Cell::get)
    }

    /// Stack bytes that count for a function: without the spills and fills that calls do not need.
    // SOUND: a frame has room for all of them whatever counts.
    pub(crate) fn stack_depth(&self, subprog: usize) -> u32 {
        let kept = self.stack_kept.get(subprog).map_or(0, Cell::get);
        let off = self.prog.fastcall.stack_off(subprog, -i64::from(kept));
        off.map_or(self.stack_used(subprog), |off| off.unsigned_abs().min(512) as u32)
    }

    /// A function's frame is used down to an offset. Not part of the path's state: it holds for all paths.
    pub(crate) fn note_stack_used(&self, subprog: u16, off: i64) {
        if let Some(used) = self.stack_used.get(usize::from(subprog)) {
            used.set(used.get().max(off.unsigned_abs().min(512) as u32));
        }
        if self.prog.fastcall.is_part(self.idx) {
            return;
        }
        if let Some(kept) = self.stack_kept.get(usize::from(subprog)) {
            kept.set(kept.get().max(off.unsigned_abs().min(512) as u32));
        }
    }

    /// The newest id.
    pub(crate) fn last_id(&self) -> u32 {
        self.id_gen
    }

    /// Walks all paths.
    pub(crate) fn run(&mut self) -> Result<(), VerifyError> {
        match self.run_functions() {
            Ok(()) => Ok(()),
            Err(Stop::Bug(what)) => Err(Bug { insn_idx: self.idx, what }.into()),
            Err(Stop::Reject(kind)) => {
                self.log_reject(&kind);
                let diagnosis = self.diagnose(&kind);
                let mut reject = Reject::new(self.idx, *kind);
                reject.diagnosis = Box::new(diagnosis);
                Err(reject.into())
            }
        }
    }

    /// What verification has cost so far.
    pub(crate) fn stats(&self) -> VerifyStats {
        VerifyStats {
            insns_processed: self.processed,
            peak_states: self.kept.peak(),
            total_states: self.kept.total(),
        }
    }

    /// Walks the program, then each global function that it calls, directly or not (`do_check_subprogs`).
    fn run_functions(&mut self) -> Res<()> {
        self.log_start();
        self.start_main()?;
        self.run_paths()?;
        loop {
            let next = (1..self.called.len()).find(|n| {
                self.called.get(*n) == Some(&true) && self.judged.get(*n) == Some(&false)
            });
            let Some(n) = next else {
                if self.run_sleepable()? {
                    continue;
                }
                return Ok(());
            };
            // In the kernel's order: each pass goes over all functions that were called by then.
            for n in n..self.called.len() {
                let is_due =
                    self.called.get(n) == Some(&true) && self.judged.get(n) == Some(&false);
                if !is_due {
                    continue;
                }
                if let Some(judged) = self.judged.get_mut(n) {
                    *judged = true;
                }
                if self.prog.exception_cb.map(usize::from) == Some(n) {
                    self.start_exception_callback()?;
                } else {
                    self.start_global(n, self.prog.is_sleepable)?;
                }
                self.run_paths()?;
                let name = self.prog.funcs.get(n).map_or("", |f| f.name.as_str());
                self.log.put(format_args!(
                    "Func#{n} ('{name}') is safe for any args that match its prototype\n"
                ));
            }
        }
    }

    /// Walks the global functions once more that callbacks call which may sleep; whether there were any.
    // SOUND: where it may sleep RCU protects nothing by itself; that what it calls may not sleep elsewhere was seen before.
    fn run_sleepable(&mut self) -> Res<bool> {
        let Some(n) = self.called_sleepable.iter().position(|called| *called) else {
            return Ok(false);
        };
        if let Some(walked) = self.walked_sleepable.get_mut(n)
            && !*walked
        {
            *walked = true;
            self.start_global(n, true)?;
            self.run_paths()?;
        }
        if let Some(called) = self.called_sleepable.get_mut(n) {
            *called = false;
        }
        Ok(true)
    }

    /// An extension is judged by its signature, as the function that it replaces is called.
    fn start_main(&mut self) -> Res<()> {
        if self.env.prog_type().prog_type == BPF_PROG_TYPE_EXT && self.env.target().is_some() {
            return self.start_global(0, self.prog.is_sleepable);
        }
        let is_ctx = |f: &FuncFacts| f.args == Ok(vec![FuncArg::Ctx]);
        if let (Some(f), Some(reliable)) = (self.prog.funcs.first(), self.reliable.first_mut()) {
            *reliable = is_ctx(f);
        }
        Ok(())
    }

    fn start_exception_callback(&mut self) -> Res<()> {
        self.enter_exception_callback()?;
        if self.next_path() {
            return Ok(());
        }
        Err(Stop::Bug("an exception callback that is not entered"))
    }

    /// Goes to the start of a function, with any arguments that fit its signature.
    fn start_global(&mut self, n: usize, in_sleepable: bool) -> Res<()> {
        let (Some(func), Some(sub)) = (self.prog.funcs.get(n), self.prog.subprogs.get(n)) else {
            return Err(Stop::Bug("no such function"));
        };
        let (args, name, start) = (func.args.clone(), func.name.clone(), sub.start);
        self.idx = start;
        self.log.put(format_args!("Validating {name}() func#{n}...\n"));
        let args = match args {
            Ok(args) => args,
            Err(Unclear::Message(why)) => return Err(why.into()),
            Err(Unclear::Silent) => return Err(ProgReject::GlobalNoBtf {}.into()),
        };
        let subprog = u16::try_from(n).map_err(|_| Stop::Bug("too many functions"))?;
        let frame = self.frame_of_signature(subprog, &args)?;
        self.cur = VerifierState {
            frames: vec![Rc::new(frame)],
            held: Rc::default(),
            is_speculative: false,
            may_goto_depth: 0,
            callback_unroll_depth: 0,
            in_sleepable,
        };
        self.parent = None;
        self.history = History::default();
        self.written = SlotMasks::default();
        self.kept.clear();
        self.log_all_changed();
        Ok(())
    }

    fn run_paths(&mut self) -> Res<()> {
        loop {
            match self.step()? {
                Flow::Next => {
                    let wide = matches!(self.insn(), Insn::LdImm64 { .. });
                    self.idx += if wide { 2 } else { 1 };
                }
                Flow::To(idx) => self.idx = idx,
                Flow::End => {
                    self.log_all_changed();
                    self.finish_path();
                    if !self.next_path() {
                        if self.log.level() == LogLevel::Path {
                            self.log.rewind(0);
                        }
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The instruction that is looked at.
    pub(crate) fn insn(&self) -> Insn {
        self.prog.insns.get(self.idx as usize).copied().unwrap_or(Insn::Imm64Hi)
    }

    /// What pruning must know of the slot that is looked at.
    pub(crate) fn marks(&self) -> Marks {
        self.prog.marks.get(self.idx as usize).copied().unwrap_or_default()
    }

    fn step(&mut self) -> Res<Flow> {
        if self.idx as usize >= self.prog.insns.len() {
            return Err(Stop::Bug("the walk left the program"));
        }
        self.processed += 1;
        if self.processed > MAX_PROCESSED {
            return Err(RejectKind::TooComplex { processed: self.processed }.into());
        }
        if self.marks().has(Marks::PRUNE) {
            match self.visit()? {
                Visit::Seen => {
                    self.log_pruned();
                    return Ok(Flow::End);
                }
                Visit::New => {}
            }
        }
        self.log_insn();
        let depth = self.cur.cur_idx() as u8;
        let target =
            if self.marks().has(Marks::JUMP_TARGET) { IsTarget::Yes } else { IsTarget::No };
        self.history.push(self.idx, depth, target);
        let Some(facts) = self.facts.get_mut(self.idx as usize) else {
            return Err(Stop::Bug("a slot without facts"));
        };
        if self.cur.is_speculative {
            return self.step_speculative();
        }
        facts.is_seen = true;
        let flow = self.exec();
        self.log_effects();
        if flow.is_ok() && matches!(self.insn(), Insn::JumpIf { .. }) {
            self.log_changes();
        }
        flow
    }

    /// A step that only a misprediction makes: at a barrier it ends, and what is forbidden gets a barrier.
    // SOUND: what runs only under speculation has no lasting effect; all it must not do is what was forbidden. A barrier
    // lets nothing behind it begin before the prediction is known to be right.
    fn step_speculative(&mut self) -> Res<Flow> {
        let at = self.idx as usize;
        if self.facts.get(at).is_some_and(|f| f.barrier_before) {
            return Ok(Flow::End);
        }
        let flow = match self.exec() {
            Err(Stop::Reject(kind)) if is_curable(&kind) => {
                self.log.put(format_args!("{kind}\n"));
                if let Some(f) = self.facts.get_mut(at) {
                    f.barrier_before = true;
                    f.guard = AluGuard::None;
                }
                return Ok(Flow::End);
            }
            other => other?,
        };
        self.log_effects();
        if self.facts.get(at).is_some_and(|f| f.barrier_after) {
            return Ok(Flow::End);
        }
        Ok(flow)
    }

    fn exec(&mut self) -> Res<Flow> {
        let insn = self.insn();
        match insn {
            Insn::Alu { width, op, dst, src } => self.exec_alu(width, op, dst, src)?,
            Insn::MovSx { width, from, dst, src } => self.exec_movsx(width, from, dst, src)?,
            Insn::Neg { width, dst } => self.exec_neg(width, dst)?,
            Insn::Endian { op, size, dst } => self.exec_endian(op, size, dst)?,
            Insn::AddrSpaceCast { dst, src, dst_as, src_as } => {
                self.exec_addr_space_cast(dst, src, dst_as, src_as)?;
            }
            Insn::LdImm64 { dst, imm } => self.exec_ld_imm64(dst, imm)?,
            Insn::Imm64Hi => return Err(Stop::Bug("the walk reached the second half of ld_imm64")),
            Insn::LdAbs { .. } => return self.exec_legacy_load(None),
            Insn::LdInd { src, .. } => return self.exec_legacy_load(Some(src)),
            Insn::Load { size, signed, dst, src, off } => {
                self.exec_load(size, signed, dst, src, off)?;
            }
            Insn::Store { size, dst, off, src } => self.exec_store(size, dst, off, src)?,
            Insn::Atomic { size, op, dst, src, off } => {
                self.exec_atomic(size, op, dst, src, off)?;
            }
            Insn::LoadAcquire { size, dst, src, off } => {
                self.exec_load_acquire(size, dst, src, off)?;
            }
            Insn::StoreRelease { size, dst, src, off } => {
                self.exec_store_release(size, dst, src, off)?;
            }
            Insn::Goto { off, .. } => {
                self.jumps_processed += 1;
                return self.jump_target(off);
            }
            Insn::MayGoto { off } => return self.exec_may_goto(off),
            Insn::JumpIf { width, op, dst, src, off } => {
                return self.exec_jump_if(width, op, dst, src, off);
            }
            Insn::Call(target) => {
                self.jumps_processed += 1;
                if let CallTarget::Helper(id) = target {
                    self.check_helper_in_lock(id)?;
                }
                return match target {
                    CallTarget::Helper(id) => self.exec_helper(id),
                    CallTarget::Local(off) => self.exec_call(off),
                    CallTarget::Kfunc { btf_id, btf_fd_idx } => self.exec_kfunc(btf_id, btf_fd_idx),
                };
            }
            Insn::Exit => {
                self.jumps_processed += 1;
                return self.exec_exit();
            }
        }
        Ok(Flow::Next)
    }

    /// Slot that an offset from the next one leads to.
    pub(crate) fn slot_at(&self, off: i32) -> Res<u32> {
        let to = i64::from(self.idx) + 1 + i64::from(off);
        u32::try_from(to).map_err(|_| Stop::Bug("jump out of the program"))
    }

    /// The flow to an offset from the next slot.
    pub(crate) fn jump_target(&self, off: i32) -> Res<Flow> {
        Ok(Flow::To(self.slot_at(off)?))
    }

    /// Puts a copy of the current path aside, to go on at `idx` later (`push_stack`).
    pub(crate) fn push_path(&mut self, idx: u32, state: VerifierState) -> Res<()> {
        if self.pending.len() >= MAX_PENDING {
            return Err(RejectKind::TooManyPending { count: self.pending.len() }.into());
        }
        self.kept.add_branch(self.parent);
        let mut written = self.written;
        if state.frames.len() > self.cur.frames.len() {
            written.enter(state.cur_idx());
        }
        self.pending.push(Pending {
            state,
            parent: self.parent,
            history: self.history.mark(),
            written,
            idx,
            from: self.idx,
            log_mark: self.log.mark(),
            cycle: None,
        });
        Ok(())
    }

    /// Puts aside a path that was ended by a guess that was wrong. What it had put aside is finished, so that the
    /// number of paths does not grow.
    pub(crate) fn push_again(
        &mut self,
        guess: Guess,
        idx: u32,
        parent: Option<StateId>,
        written: SlotMasks,
        cycle: StateId,
    ) {
        let Guess { state, history } = guess;
        let (log_mark, cycle) = (self.log.mark(), Some(cycle));
        let from = idx;
        self.pending.push(Pending { state, parent, history, written, idx, from, log_mark, cycle });
    }

    /// Puts a path aside that starts anew: nothing of the one in hand leads to it.
    pub(crate) fn push_fresh_path(&mut self, idx: u32, state: VerifierState) -> Res<()> {
        if self.pending.len() >= MAX_PENDING {
            return Err(RejectKind::TooManyPending { count: self.pending.len() }.into());
        }
        self.pending.push(Pending {
            state,
            parent: None,
            history: self.history.mark_start(),
            written: SlotMasks::default(),
            idx,
            from: self.idx,
            log_mark: self.log.mark(),
            cycle: None,
        });
        Ok(())
    }

    fn next_path(&mut self) -> bool {
        let Some(p) = self.pending.pop() else { return false };
        if let Some(head) = p.cycle {
            self.kept.reopen(p.parent, head);
        }
        self.cur = p.state;
        self.parent = p.parent;
        let others = if self.kept.loops.is_open() { Others::Needed } else { Others::Dropped };
        self.history.resume(p.history, others);
        self.written = p.written;
        self.idx = p.idx;
        if self.log.level() == LogLevel::Path {
            self.log.rewind(p.log_mark);
        }
        self.log_path_resumed(p.from);
        true
    }
}

/// Whether a barrier is an answer to what a speculative path would do (`error_recoverable_with_nospec`).
fn is_curable(kind: &RejectKind) -> bool {
    matches!(kind.errno(), Errno::EPERM | Errno::EACCES | Errno::EINVAL)
}

/// The type that the program is judged as: an extension as what it extends.
fn judged_as(env: &dyn Env) -> &ProgTypeProps {
    let own = env.prog_type();
    match env.target() {
        Some(target) if own.prog_type == BPF_PROG_TYPE_EXT => &target.props,
        Some(_) | None => own,
    }
}

/// Whether a licence string lets a program use GPL-only helpers (`license_is_gpl_compatible`).
pub(crate) fn is_gpl_compatible(license: &str) -> bool {
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"]
        .contains(&license)
}
