//! Taking instructions out of a program: how a finding is made small.

use skep_abi::insn::{CallTarget, Imm64, Insn};

/// The program without the instruction in a slot, jumps adjusted; `None` if that leaves no program or a jump out
/// of reach. A 64-bit immediate goes with its second slot.
pub fn without(insns: &[Insn], slot: usize) -> Option<Vec<Insn>> {
    without_range(insns, slot, 1)
}

/// As [`without`], for up to `count` slots from one on.
pub fn without_range(insns: &[Insn], slot: usize, count: usize) -> Option<Vec<Insn>> {
    let mut gone = vec![false; insns.len()];
    for s in slot..(slot + count).min(insns.len()) {
        gone[s] = true;
        match insns[s] {
            Insn::LdImm64 { .. } => *gone.get_mut(s + 1)? = true,
            Insn::Imm64Hi => *gone.get_mut(s.checked_sub(1)?)? = true,
            _ => {}
        }
    }
    // Where each slot will be: what is gone stands for what follows it.
    let mut place = Vec::with_capacity(insns.len() + 1);
    let mut next = 0i64;
    for g in &gone {
        place.push(next);
        next += i64::from(!g);
    }
    place.push(next);
    let mut out = Vec::new();
    for (s, insn) in insns.iter().enumerate().filter(|(s, _)| !gone[*s]) {
        let moved = |off: i64| -> Option<i64> {
            let target = usize::try_from(s as i64 + 1 + off).ok()?;
            Some(place.get(target)? - place[s] - 1)
        };
        out.push(match *insn {
            Insn::JumpIf { width, op, dst, src, off } => {
                Insn::JumpIf { width, op, dst, src, off: moved(off.into())?.try_into().ok()? }
            }
            Insn::Goto { width, off } => {
                Insn::Goto { width, off: moved(off.into())?.try_into().ok()? }
            }
            Insn::MayGoto { off } => Insn::MayGoto { off: moved(off.into())?.try_into().ok()? },
            Insn::Call(CallTarget::Local(off)) => {
                Insn::Call(CallTarget::Local(moved(off.into())?.try_into().ok()?))
            }
            Insn::LdImm64 { dst, imm: Imm64::Func(off, hi) } => {
                let off = moved(off.into())?.try_into().ok()?;
                Insn::LdImm64 { dst, imm: Imm64::Func(off, hi) }
            }
            other => other,
        });
    }
    (!out.is_empty()).then_some(out)
}

/// The smallest program that this finds by removal for which `still` holds. `still` must hold for `insns`.
pub fn reduce(insns: &[Insn], mut still: impl FnMut(&[Insn]) -> bool) -> Vec<Insn> {
    let mut best = insns.to_vec();
    let mut chunk = best.len() / 2;
    while chunk > 0 {
        let mut slot = 0;
        let mut progress = false;
        while slot < best.len() {
            match without_range(&best, slot, chunk) {
                Some(fewer) if fewer.len() < best.len() && still(&fewer) => {
                    best = fewer;
                    progress = true;
                }
                Some(_) | None => slot += chunk,
            }
        }
        if !progress || chunk > 1 {
            chunk /= 2;
        }
    }
    best
}
