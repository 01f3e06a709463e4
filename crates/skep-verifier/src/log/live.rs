//! The registers that are live before each instruction (level 2), with the loop that it lies in.

use super::Log;
use super::names::Names;
use crate::pre::{Program, successors};
use skep_abi::insn::Insn;
use skep_abi::insn::disasm::disasm;

/// Registers in the table: R0 to R9.
const SHOWN: u16 = 10;

pub(super) fn put(log: &mut Log, prog: &Program, names: &Names) {
    log.put(format_args!("Live regs before insn:\n"));
    let loops = loops(&prog.insns);
    for (idx, insn) in prog.insns.iter().enumerate() {
        if *insn == Insn::Imm64Hi {
            continue;
        }
        match loops.get(idx) {
            Some(0) | None => log.put(format_args!("    ")),
            Some(number) => log.put(format_args!("{number:3} ")),
        }
        let live = prog.live_before.get(idx).copied().unwrap_or(0);
        let regs: String = (0..SHOWN)
            .map(|r| if live >> r & 1 == 0 { '.' } else { char::from(b'0' + r as u8) })
            .collect();
        log.put(format_args!("{idx:3}: {regs} {}\n", disasm(idx, insn, names)));
    }
}

/// For each slot the number of the loop that it lies in, or 0: strongly connected components of more than one slot, or
/// of one that jumps to itself, numbered in the order in which a depth-first walk from the first slot leaves them.
fn loops(insns: &[Insn]) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut order = vec![UNSEEN; insns.len()];
    let mut low = vec![UNSEEN; insns.len()];
    let mut is_open = vec![false; insns.len()];
    let mut number = vec![0u32; insns.len()];
    let (mut next_order, mut next_number) = (0, 1);
    let mut open: Vec<usize> = Vec::new();
    let succ = |at: usize| {
        let s = insns.get(at).map(|insn| successors(insn, at as u32));
        let both = s.map_or([None; 2], |s| [s.jump, s.next]);
        both.map(|to| to.and_then(|to| usize::try_from(to).ok()).filter(|to| *to < insns.len()))
    };
    for start in 0..insns.len() {
        if order[start] != UNSEEN || insns[start] == Insn::Imm64Hi {
            continue;
        }
        // Slots on the way down, each with how many of its successors were looked at.
        let mut way = vec![(start, 0usize)];
        while let Some((at, looked)) = way.last_mut() {
            let at = *at;
            if *looked == 0 {
                order[at] = next_order;
                low[at] = next_order;
                next_order += 1;
                open.push(at);
                is_open[at] = true;
            }
            let to = succ(at).get(*looked).copied();
            *looked += 1;
            match to {
                Some(Some(to)) if order[to] == UNSEEN => way.push((to, 0)),
                Some(Some(to)) if is_open[to] => low[at] = low[at].min(order[to]),
                Some(_) => {}
                None => {
                    way.pop();
                    if let Some((up, _)) = way.last() {
                        low[*up] = low[*up].min(low[at]);
                    }
                    if low[at] != order[at] {
                        continue;
                    }
                    let from = open.iter().rposition(|o| *o == at).unwrap_or(0);
                    let members = open.split_off(from);
                    let is_loop = members.len() > 1 || succ(at).contains(&Some(at));
                    for m in members {
                        is_open[m] = false;
                        number[m] = if is_loop { next_number } else { 0 };
                    }
                    next_number += u32::from(is_loop);
                }
            }
        }
    }
    number
}
