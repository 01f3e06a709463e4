//! Stack depth over all chains of calls (`check_max_stack_depth`).

use crate::pre::named_function;
use crate::reject::{Bug, Reject, RejectKind, VerifyError};
use crate::state::MAX_FRAMES;
use crate::walk::Walk;
use skep_abi::insn::{CallTarget, Insn};
use skep_abi::uapi::BPF_FUNC_tail_call;

/// Bytes for all frames of a chain together (`MAX_BPF_STACK`).
const MAX_BYTES: u32 = 512;
/// Bytes above a function that makes tail calls.
const MAX_BYTES_TAIL_CALL: u32 = 256;
/// Granularity of a frame under a JIT, in bytes.
const FRAME_GRANULE: u32 = 16;

/// One call on the chain that is looked at.
struct Link {
    subprog: usize,
    next_slot: u32,
    bytes: u32,
}

pub(super) fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let prog = &walk.prog;
    let bytes_of = |n: usize| walk.stack_depth(n).next_multiple_of(FRAME_GRANULE);
    let tail_calls: Vec<bool> = prog
        .subprogs
        .iter()
        .map(|s| {
            let tail = Insn::Call(CallTarget::Helper(BPF_FUNC_tail_call as i32));
            let slots = prog.insns.get(s.start as usize..s.end as usize);
            slots.is_some_and(|i| i.contains(&tail))
        })
        .collect();
    // A function is looked at again only below a deeper chain than before: else the work could be exponential.
    let mut deepest: Vec<Option<(u32, usize)>> = vec![None; prog.subprogs.len()];
    let mut chain = vec![Link { subprog: 0, next_slot: 0, bytes: bytes_of(0) }];
    while let Some(link) = chain.last_mut() {
        let Some(s) = prog.subprogs.get(link.subprog) else { break };
        let from = link.next_slot.max(s.start);
        let call = (from..s.end).find_map(|at| {
            let seen = walk.facts.get(at as usize).is_some_and(|f| f.is_seen);
            let insn = prog.insns.get(at as usize).filter(|_| seen)?;
            Some((at, named_function(insn, at)?))
        });
        let Some((at, target)) = call else {
            chain.pop();
            continue;
        };
        link.next_slot = at + 1;
        let above = link.bytes;
        let callee = usize::try_from(target).ok().and_then(|t| prog.subprog_of.get(t)).copied();
        let callee = usize::from(callee.ok_or(Bug { insn_idx: at, what: "call of nothing" })?);
        let frames = chain.len() + 1;
        if frames > MAX_FRAMES {
            return Err(Reject::new(at, RejectKind::CallDepth { frames }).into());
        }
        if above >= MAX_BYTES_TAIL_CALL && tail_calls.get(callee) == Some(&true) {
            return Err(Reject::new(at, RejectKind::TailCallStack { bytes: above }).into());
        }
        let bytes = above + bytes_of(callee);
        if bytes > MAX_BYTES {
            return Err(Reject::new(at, RejectKind::StackDepth { frames, bytes }).into());
        }
        let Some(seen) = deepest.get_mut(callee) else { continue };
        if seen.is_some_and(|(b, f)| bytes <= b && frames <= f) {
            continue;
        }
        let (b, f) = seen.unwrap_or((0, 0));
        *seen = Some((b.max(bytes), f.max(frames)));
        chain.push(Link { subprog: callee, next_slot: 0, bytes });
    }
    Ok(())
}
