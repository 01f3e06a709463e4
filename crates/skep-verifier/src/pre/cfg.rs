//! The control flow graph: every slot is reachable, jumps land on instructions, and unprivileged programs do
//! not loop. Finds where states are compared ([`Marks`]) and which slots lie on cycles.

use super::{Marks, Subprog, named_function, successors};
use crate::env::{Callback, Env, HelperLookup, Privilege};
use crate::reject::{Reject, RejectKind};
use skep_abi::insn::{CallTarget, Insn};

/// What [`check`] finds.
pub(super) struct Graph {
    pub(super) marks: Vec<Marks>,
    pub(super) scc: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Color {
    White,
    Grey,
    Black,
}

/// Checks the graph and marks its slots.
pub(super) fn check(insns: &[Insn], subprogs: &[Subprog], env: &dyn Env) -> Result<Graph, Reject> {
    check_reachable(insns, subprogs, env)?;
    let marks = mark(insns, env);
    let scc = cycles(insns, &marks);
    Ok(Graph { marks, scc })
}

/// All edges, calls of functions included, in the order in which they are followed.
fn edges(insn: &Insn, idx: u32) -> [Option<i64>; 2] {
    let s = successors(insn, idx);
    match named_function(insn, idx) {
        Some(f) => [s.next, Some(f)],
        None => [s.next, s.jump],
    }
}

fn check_reachable(insns: &[Insn], subprogs: &[Subprog], env: &dyn Env) -> Result<(), Reject> {
    let mut color = vec![Color::White; insns.len()];
    let mut stack: Vec<(u32, u8)> = vec![(0, 0)];
    let _ = subprogs;
    if let Some(c) = color.get_mut(0) {
        *c = Color::Grey;
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
            Color::Grey if env.privilege() == Privilege::Unprivileged => {
                return Err(Reject::new(at, RejectKind::BackEdge { from: at, to }));
            }
            Color::Grey | Color::Black => {}
        }
    }
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

fn mark(insns: &[Insn], env: &dyn Env) -> Vec<Marks> {
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
        }
        match insn {
            Insn::JumpIf { .. } => set(at, Marks::PRUNE),
            Insn::MayGoto { .. } => {
                set(at, Marks::PRUNE);
                set(at, Marks::FORCE_CHECKPOINT);
                set(at, Marks::MAY_GOTO);
            }
            Insn::Call(CallTarget::Local(_)) => {
                set(at, Marks::PRUNE);
                set(at + 1, Marks::PRUNE);
            }
            Insn::Call(CallTarget::Helper(id)) => {
                if let HelperLookup::Known(p) = env.helper(*id)
                    && p.callback != Callback::None
                {
                    set(at, Marks::PRUNE);
                    set(at, Marks::FORCE_CHECKPOINT);
                    set(at, Marks::CALLS_CALLBACK);
                    set(at + 1, Marks::PRUNE);
                }
            }
            _ => {}
        }
        if let Some(f) = named_function(insn, idx) {
            set(f, Marks::PRUNE);
        }
    }
    marks
}

/// Tarjan's algorithm without recursion: numbers the cycles from 1, 0 for slots on none.
fn cycles(insns: &[Insn], marks: &[Marks]) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let n = insns.len();
    let mut order = vec![UNSEEN; n];
    let mut low = vec![0u32; n];
    let mut on_stack = vec![false; n];
    let mut scc = vec![0u32; n];
    let (mut next_order, mut next_scc) = (0u32, 0u32);
    let mut path: Vec<(usize, u8)> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let targets = |at: usize| -> [Option<usize>; 2] {
        let s = insns.get(at).map(|i| successors(i, at as u32));
        let inside = |t: Option<i64>| usize::try_from(t?).ok().filter(|t| *t < n);
        s.map_or([None, None], |s| [inside(s.next), inside(s.jump)])
    };
    for root in 0..n {
        if order[root] != UNSEEN {
            continue;
        }
        path.push((root, 0));
        while let Some((at, step)) = path.last_mut() {
            let at = *at;
            if *step == 0 && order[at] == UNSEEN {
                order[at] = next_order;
                low[at] = next_order;
                next_order += 1;
                open.push(at);
                on_stack[at] = true;
            }
            if let Some(edge) = targets(at).get(usize::from(*step)) {
                *step += 1;
                match *edge {
                    Some(to) if order[to] == UNSEEN => path.push((to, 0)),
                    Some(to) if on_stack[to] => low[at] = low[at].min(order[to]),
                    Some(_) | None => {}
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[at]);
            }
            if low[at] == order[at] {
                // A helper that calls back is a loop around its call.
                let calls_back = marks.get(at).is_some_and(|m| m.has(Marks::CALLS_CALLBACK));
                let to_self = calls_back || targets(at).contains(&Some(at));
                let first = open.iter().rposition(|x| *x == at).unwrap_or(0);
                let members = open.split_off(first);
                if members.len() > 1 || to_self {
                    next_scc += 1;
                }
                for m in members.iter().copied() {
                    on_stack[m] = false;
                    if members.len() > 1 || to_self {
                        scc[m] = next_scc;
                    }
                }
            }
        }
    }
    scc
}
