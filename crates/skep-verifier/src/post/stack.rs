//! Stack depth over all chains of calls, and what may not be done in callbacks (`check_max_stack_depth`).
//!
//! The main program is one start of chains, each callback that is called later another. Programs that trampolines and
//! probes run may have stacks apart from the kernel's: a large frame of theirs counts for itself.

use crate::pre::named_function;
use crate::reject::{Bug, Reject, RejectKind, VerifyError};
use crate::state::MAX_FRAMES;
use crate::walk::Walk;
use skep_abi::insn::{CallTarget, Insn};
use skep_abi::uapi::{
    BPF_FUNC_tail_call, BPF_LSM_CGROUP, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_LSM,
    BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACEPOINT,
    BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER,
};

/// Bytes for all frames of a chain together (`MAX_BPF_STACK`).
const MAX_BYTES: u32 = 512;
/// Bytes above a function that makes tail calls.
const MAX_BYTES_TAIL_CALL: u32 = 256;
/// Granularity of a frame under a JIT, in bytes.
const FRAME_GRANULE: u32 = 16;
/// Frames from this size on have a stack of their own, in bytes (`BPF_PRIV_STACK_MIN_SIZE`).
const MIN_PRIVATE: u32 = 64;

/// One call on the chain that is looked at.
struct Link {
    subprog: usize,
    next_slot: u32,
    bytes: u32,
    in_callback: bool,
}

/// What a function has been looked at under: more of any of these is another case.
#[derive(Clone, Copy, Default)]
struct Seen {
    bytes: u32,
    frames: usize,
    in_callback: bool,
}

struct Depths<'w, 'a> {
    walk: &'w Walk<'a>,
    tail_calls: Vec<bool>,
    legacy_loads: Vec<bool>,
    /// Functions whose frames are on the kernel's stack in any case.
    is_shared: Vec<bool>,
}

pub(super) fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let prog = &walk.prog;
    let having = |what: fn(&Insn) -> bool| -> Vec<bool> {
        let slots = |start: u32, end: u32| prog.insns.get(start as usize..end as usize);
        let has = |s: Option<&[Insn]>| s.is_some_and(|i| i.iter().any(what));
        prog.subprogs.iter().map(|s| has(slots(s.start, s.end))).collect()
    };
    let is_tail_call =
        |i: &Insn| *i == Insn::Call(CallTarget::Helper(BPF_FUNC_tail_call.cast_signed()));
    let mut depths = Depths {
        walk,
        tail_calls: having(is_tail_call),
        legacy_loads: having(|i| matches!(i, Insn::LdAbs { .. } | Insn::LdInd { .. })),
        is_shared: vec![false; prog.subprogs.len()],
    };
    let may_be_private = has_private_stack(walk) && !depths.tail_calls.contains(&true);
    for start in (0..prog.subprogs.len()).rev() {
        if start == 0 || walk.fn_use(start).is_later {
            depths.check_from(start, start == 0 && may_be_private)?;
        }
    }
    Ok(())
}

/// Whether the kernel gives programs of this kind a stack apart from its own (`bpf_enable_priv_stack`).
fn has_private_stack(walk: &Walk<'_>) -> bool {
    let attach = walk.req.expected_attach_type;
    match walk.props.prog_type {
        BPF_PROG_TYPE_KPROBE
        | BPF_PROG_TYPE_TRACEPOINT
        | BPF_PROG_TYPE_PERF_EVENT
        | BPF_PROG_TYPE_RAW_TRACEPOINT => true,
        BPF_PROG_TYPE_TRACING => attach != BPF_TRACE_ITER,
        BPF_PROG_TYPE_LSM => attach != BPF_LSM_CGROUP,
        _ => false,
    }
}

impl Depths<'_, '_> {
    fn bytes_of(&self, n: usize) -> u32 {
        self.walk.stack_depth(n).next_multiple_of(FRAME_GRANULE)
    }

    /// Bytes of the chain with one more function on it.
    fn enter(
        &mut self,
        at: u32,
        n: usize,
        above: u32,
        frames: usize,
        may_be_private: bool,
    ) -> Result<u32, VerifyError> {
        let own = self.bytes_of(n);
        if !may_be_private && let Some(shared) = self.is_shared.get_mut(n) {
            *shared = true;
        }
        let is_private =
            may_be_private && own >= MIN_PRIVATE && self.is_shared.get(n) != Some(&true);
        let refuse = |kind| Err(Reject::new(at, kind).into());
        if is_private {
            if own > MAX_BYTES {
                return refuse(RejectKind::SubprogStack { subprog: n, bytes: own });
            }
            return Ok(above);
        }
        let bytes = above + own;
        if bytes > MAX_BYTES {
            return refuse(RejectKind::StackDepth { frames, bytes });
        }
        Ok(bytes)
    }

    /// Follows all chains that start with a function (`check_max_stack_depth_subprog`).
    fn check_from(&mut self, start: usize, may_be_private: bool) -> Result<(), VerifyError> {
        let prog = &self.walk.prog;
        let refuse = |at, kind| Err(VerifyError::from(Reject::new(at, kind)));
        let in_callback = self.walk.fn_use(start).is_callback;
        if in_callback && self.legacy_loads.get(start) == Some(&true) {
            return refuse(0, RejectKind::LdAbsInCallback {});
        }
        let bytes = self.enter(0, start, 0, 1, may_be_private)?;
        // A function is looked at again only where it matters: else the work could be exponential.
        let mut seen: Vec<Option<Seen>> = vec![None; prog.subprogs.len()];
        let mut chain = vec![Link { subprog: start, next_slot: 0, bytes, in_callback }];
        while let Some(link) = chain.last_mut() {
            let Some(s) = prog.subprogs.get(link.subprog) else { break };
            let from = link.next_slot.max(s.start);
            let next = (from..s.end).find_map(|at| {
                // Calls in dead code count, as in the kernel.
                let insn = prog.insns.get(at as usize)?;
                let throws = self.walk.is_throw(insn);
                (throws || named_function(insn, at).is_some()).then_some((at, insn, throws))
            });
            let Some((at, insn, throws)) = next else {
                chain.pop();
                continue;
            };
            link.next_slot = at + 1;
            if throws {
                if link.in_callback {
                    let subprog = link.subprog;
                    return refuse(at, RejectKind::ThrowInCallback { at, subprog });
                }
                continue;
            }
            let (above, outer_callback) = (link.bytes, link.in_callback);
            let target = named_function(insn, at).and_then(|t| usize::try_from(t).ok());
            let callee = target.and_then(|t| prog.subprog_of.get(t)).copied();
            let callee = usize::from(callee.ok_or(Bug { insn_idx: at, what: "call of nothing" })?);
            let how = self.walk.fn_use(callee);
            if how.is_later {
                if !matches!(insn, Insn::Call(_)) {
                    continue;
                }
                if prog.exception_cb == Some(callee as u16) {
                    return refuse(at, RejectKind::CallsExceptionCallback { at });
                }
            }
            let frames = chain.len() + 1;
            if frames > MAX_FRAMES {
                return refuse(at, RejectKind::CallChain { frames: MAX_FRAMES });
            }
            let in_callback = outer_callback || how.is_callback;
            if in_callback && self.legacy_loads.get(callee) == Some(&true) {
                return refuse(at, RejectKind::LdAbsInCallback {});
            }
            let has_tail_call = self.tail_calls.get(callee) == Some(&true);
            if above >= MAX_BYTES_TAIL_CALL && has_tail_call {
                return refuse(at, RejectKind::TailCallStack { bytes: above });
            }
            let is_exception_cb = |l: &Link| prog.exception_cb.map(usize::from) == Some(l.subprog);
            if has_tail_call && chain.iter().any(is_exception_cb) {
                return refuse(at, RejectKind::TailCallInExceptionCallback {});
            }
            let bytes = self.enter(at, callee, above, frames, may_be_private)?;
            let Some(seen) = seen.get_mut(callee) else { continue };
            let known = |s: &Seen| {
                bytes <= s.bytes && frames <= s.frames && (s.in_callback || !in_callback)
            };
            if seen.as_ref().is_some_and(known) {
                continue;
            }
            let old = seen.unwrap_or_default();
            *seen = Some(Seen {
                bytes: old.bytes.max(bytes),
                frames: old.frames.max(frames),
                in_callback: old.in_callback || in_callback,
            });
            chain.push(Link { subprog: callee, next_slot: 0, bytes, in_callback });
        }
        Ok(())
    }
}
