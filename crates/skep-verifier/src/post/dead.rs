//! Code that no path reaches is removed, and jumps that always go one way become unconditional.

use super::sanitise::Patches;
use crate::pre::{named_function, successors};
use crate::reject::{Bug, Reject, SpecReject, VerifyError};
use crate::walk::Walk;
use skep_abi::insn::{CallTarget, Imm64, Insn, Width};

/// The program without dead code.
pub(super) struct Live {
    pub(super) insns: Vec<Insn>,
    /// Slot in the program that was given, for each slot.
    pub(super) origin: Vec<u32>,
    /// New number of each old slot, or of the next one that is left; one more entry than slots.
    moved: Vec<u32>,
    is_kept: Vec<bool>,
}

impl Live {
    /// New number of a slot, if it is left.
    pub(super) fn slot(&self, old: u32) -> Option<u32> {
        let kept = self.is_kept.get(old as usize).copied().unwrap_or(false);
        if kept { self.moved.get(old as usize).copied() } else { None }
    }

    /// New number of the end of a range.
    pub(super) fn slot_end(&self, old: u32) -> u32 {
        self.moved.get(old as usize).copied().unwrap_or(self.insns.len() as u32)
    }
}

// SOUND: only what the walk executed stays. A function whose address is taken but that nothing calls becomes an exit.
pub(super) fn remove(
    walk: &Walk<'_>,
    mut insns: Vec<Insn>,
    patches: &Patches,
) -> Result<Live, VerifyError> {
    let seen = |at: i64| {
        let facts = usize::try_from(at).ok().and_then(|i| walk.facts.get(i));
        facts.is_some_and(|f| f.is_seen)
    };
    let mut is_kept: Vec<bool> = (0..insns.len() as i64)
        .map(|at| {
            let is_hi = matches!(insns.get(at as usize), Some(Insn::Imm64Hi));
            seen(at) || (is_hi && seen(at - 1))
        })
        .collect();
    for idx in 0..insns.len() {
        let at = idx as i64;
        let Some(insn) = insns.get(idx).copied() else { continue };
        if !seen(at) {
            continue;
        }
        if let Insn::JumpIf { off, .. } = insn {
            let target = at + 1 + i64::from(off);
            let hard = if !seen(at + 1) {
                Some(i32::from(off))
            } else if !seen(target) {
                Some(0)
            } else {
                None
            };
            if let (Some(off), Some(slot)) = (hard, insns.get_mut(idx)) {
                *slot = Insn::Goto { width: Width::W64, off };
            }
        }
        if let Some(f) = named_function(&insn, idx as u32).filter(|f| !seen(*f)) {
            let f = usize::try_from(f).unwrap_or(usize::MAX);
            if let (Some(slot), Some(kept)) = (insns.get_mut(f), is_kept.get_mut(f)) {
                *slot = Insn::Exit;
                *kept = true;
            }
        }
    }
    remove_nops(&insns, &mut is_kept);
    relocate(&insns, is_kept, patches)
}

/// Jumps over nothing go, unless they are all that a function has left at its start.
fn remove_nops(insns: &[Insn], is_kept: &mut [bool]) {
    for idx in 0..insns.len() {
        let Some(Insn::Goto { off, .. }) = insns.get(idx) else { continue };
        let Ok(off) = usize::try_from(*off) else { continue };
        let skipped = is_kept.get(idx + 1..(idx + 1).saturating_add(off));
        let is_nop = skipped.is_some_and(|s| s.iter().all(|k| !k));
        if is_nop
            && is_kept.get(idx + 1 + off).copied().unwrap_or(false)
            && let Some(k) = is_kept.get_mut(idx)
        {
            *k = false;
        }
    }
}

fn relocate(insns: &[Insn], is_kept: Vec<bool>, patches: &Patches) -> Result<Live, VerifyError> {
    let mut moved = Vec::with_capacity(insns.len() + 1);
    let mut count = 0u32;
    for (idx, kept) in (0u32..).zip(&is_kept) {
        moved.push(count);
        if *kept {
            let around = patches.get(&idx).map_or(0, |p| p.before.len() + p.after.len());
            count += 1 + around as u32;
        }
    }
    moved.push(count);
    let mut out = Vec::with_capacity(count as usize);
    let mut origin = Vec::with_capacity(count as usize);
    for (idx, insn) in (0u32..).zip(insns) {
        if !is_kept.get(idx as usize).copied().unwrap_or(false) {
            continue;
        }
        let bug = |what| VerifyError::from(Bug { insn_idx: idx, what });
        let patch = patches.get(&idx);
        out.extend(patch.iter().flat_map(|p| p.before.iter().copied()));
        let from = out.len() as i64;
        let new_off = |target: i64| -> Option<i32> {
            let to = *moved.get(usize::try_from(target).ok()?)?;
            i32::try_from(i64::from(to) - from - 1).ok()
        };
        let mut new = *insn;
        let target = successors(insn, idx).jump.or_else(|| named_function(insn, idx));
        if let Some(target) = target {
            let moved_off = new_off(target).ok_or(bug("a jump target was removed"))?;
            // Only what is put around instructions can make a jump longer.
            let short = i16::try_from(moved_off)
                .map_err(|_| Reject::new(idx, SpecReject::JumpTooFar { off: moved_off }.into()));
            match &mut new {
                Insn::Goto { off, .. } => *off = moved_off,
                Insn::JumpIf { off, .. } | Insn::MayGoto { off } => *off = short?,
                Insn::Call(CallTarget::Local(off)) => *off = moved_off,
                Insn::LdImm64 { imm: Imm64::Func(off, _), .. } => *off = moved_off,
                _ => return Err(bug("an unknown kind of jump")),
            }
        }
        out.push(new);
        out.extend(patch.iter().flat_map(|p| p.after.iter().copied()));
        origin.resize(out.len(), idx);
    }
    Ok(Live { insns: out, origin, moved, is_kept })
}
