//! The control flow graph: every slot is reachable, jumps land on instructions, and unprivileged programs do
//! not loop. Finds where states are compared ([`Marks`]).

use super::{KfuncTable, Marks, Subprog, named_function, successors};
use crate::call::Special;
use crate::env::{Callback, Caps, Env, HelperLookup, KfuncFlags};
use crate::reject::{Reject, RejectKind};
use skep_abi::insn::{CallTarget, Insn};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Color {
    White,
    Grey,
    Black,
}

/// Checks the graph and marks its slots.
pub(super) fn check(
    insns: &[Insn],
    subprogs: &[Subprog],
    entries: [Option<usize>; 2],
    kfuncs: &KfuncTable,
    env: &dyn Env,
) -> Result<Vec<Marks>, Reject> {
    check_reachable(insns, subprogs, entries, env)?;
    Ok(mark(insns, kfuncs, env))
}

/// All edges, calls of functions included, in the order in which they are followed.
fn edges(insn: &Insn, idx: u32) -> [Option<i64>; 2] {
    let s = successors(insn, idx);
    match named_function(insn, idx) {
        Some(f) => [s.next, Some(f)],
        None => [s.next, s.jump],
    }
}

fn check_reachable(
    insns: &[Insn],
    subprogs: &[Subprog],
    entries: [Option<usize>; 2],
    env: &dyn Env,
) -> Result<(), Reject> {
    let mut color = vec![Color::White; insns.len()];
    for entry in entries.into_iter().flatten().filter_map(|n| subprogs.get(n)) {
        follow(insns, entry.start, &mut color, env)?;
    }
    check_all_reached(insns, &color)
}

/// Goes along all edges from a slot.
fn follow(insns: &[Insn], start: u32, color: &mut [Color], env: &dyn Env) -> Result<(), Reject> {
    let mut stack: Vec<(u32, u8)> = vec![(start, 0)];
    match color.get_mut(start as usize) {
        Some(c @ Color::White) => *c = Color::Grey,
        Some(_) | None => return Ok(()),
    }
    while let Some((idx, step)) = stack.last_mut() {
        let at = *idx;
        let edge = insns.get(at as usize).map_or([None, None], |i| edges(i, at));
        let Some(next) = edge.get(usize::from(*step)) else {
            if let Some(c) = color.get_mut(at as usize) {
                *c = Color::Black;
            }
            stack.pop();
            continue;
        };
        *step += 1;
        let Some(to) = *next else { continue };
        let slot = usize::try_from(to).ok().and_then(|t| color.get_mut(t));
        let Some(c) = slot else {
            return Err(Reject::new(at, RejectKind::JumpOutOfRange { from: at, to }));
        };
        match *c {
            Color::White => {
                *c = Color::Grey;
                stack.push((to as u32, 0));
            }
            Color::Grey if !env.caps().allows(Caps::BPF) => {
                return Err(Reject::new(at, RejectKind::BackEdge { from: at, to }));
            }
            Color::Grey | Color::Black => {}
        }
    }
    Ok(())
}

fn check_all_reached(insns: &[Insn], color: &[Color]) -> Result<(), Reject> {
    let mut idx = 0usize;
    while let (Some(insn), Some(c)) = (insns.get(idx), color.get(idx)) {
        if *c != Color::Black {
            return Err(Reject::new(idx as u32, RejectKind::Unreachable { at: idx as u32 }));
        }
        if matches!(insn, Insn::LdImm64 { .. }) {
            if color.get(idx + 1) == Some(&Color::Black) {
                return Err(Reject::new(idx as u32, RejectKind::JumpIntoImm64 { at: idx as u32 }));
            }
            idx += 1;
        }
        idx += 1;
    }
    Ok(())
}

fn mark(insns: &[Insn], kfuncs: &KfuncTable, env: &dyn Env) -> Vec<Marks> {
    let mut marks = vec![Marks::default(); insns.len()];
    let mut set = |at: i64, m: Marks| {
        if let Some(slot) = usize::try_from(at).ok().and_then(|a| marks.get_mut(a)) {
            slot.set(m);
        }
    };
    for (idx, insn) in (0u32..).zip(insns) {
        let at = i64::from(idx);
        let s = successors(insn, idx);
        if let Some(jump) = s.jump {
            set(jump, Marks::PRUNE);
            set(jump, Marks::JUMP_TARGET);
        }
        let after_call = |set: &mut dyn FnMut(i64, Marks)| {
            set(at + 1, Marks::PRUNE);
            set(at + 1, Marks::JUMP_TARGET);
        };
        match insn {
            Insn::JumpIf { .. } => set(at, Marks::PRUNE),
            Insn::MayGoto { .. } => {
                set(at, Marks::PRUNE);
                set(at, Marks::FORCE_CHECKPOINT);
                set(at, Marks::MAY_GOTO);
            }
            Insn::Call(CallTarget::Local(_)) => after_call(&mut set),
            Insn::Call(CallTarget::Helper(id)) => {
                after_call(&mut set);
                let callback = match env.helper(*id) {
                    HelperLookup::Known(p) => p.callback,
                    _ => Callback::None,
                };
                if callback == Callback::Timer {
                    set(at, Marks::PRUNE);
                } else if callback != Callback::None {
                    set(at, Marks::PRUNE);
                    set(at, Marks::FORCE_CHECKPOINT);
                    set(at, Marks::CALLS_CALLBACK);
                    set(at, Marks::JUMP_TARGET);
                }
            }
            Insn::Call(CallTarget::Kfunc { .. }) => {
                after_call(&mut set);
                let kfunc = kfuncs.of_insn(insn);
                let mut marks = |all: &[Marks]| all.iter().for_each(|m| set(at, *m));
                if kfunc.as_ref().is_some_and(|k| k.has(KfuncFlags::ITER_NEXT)) {
                    marks(&[Marks::PRUNE, Marks::FORCE_CHECKPOINT, Marks::ITER_NEXT]);
                }
                match kfunc.map(|k| k.special) {
                    Some(Special::RbtreeAdd) => marks(&[
                        Marks::PRUNE,
                        Marks::FORCE_CHECKPOINT,
                        Marks::CALLS_CALLBACK,
                        Marks::JUMP_TARGET,
                    ]),
                    Some(
                        Special::WqSetCallback | Special::TaskWorkSignal | Special::TaskWorkResume,
                    ) => marks(&[Marks::PRUNE]),
                    Some(_) | None => {}
                }
            }
            _ => {}
        }
        if let Some(f) = named_function(insn, idx) {
            set(f, Marks::PRUNE);
            set(at, Marks::PRUNE);
            if let Some(next) = s.next {
                set(next, Marks::PRUNE);
                set(next, Marks::JUMP_TARGET);
            }
        }
    }
    marks
}
