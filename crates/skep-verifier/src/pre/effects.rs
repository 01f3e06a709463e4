//! What calling a function may do, over all that it calls: change the packet, sleep (`merge_callee_effects`).

use super::{KfuncTable, Subprog, named_function};
use crate::env::{Env, HelperLookup, KfuncFlags};
use skep_abi::insn::{CallTarget, Insn};

/// What a function may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects {
    /// Packet pointers are lost.
    pub(crate) changes_packet: bool,
    /// It may sleep.
    pub(crate) might_sleep: bool,
}

/// Effects of all functions, in their order.
pub(super) fn all(
    insns: &[Insn],
    subprogs: &[Subprog],
    subprog_of: &[u16],
    kfuncs: &KfuncTable,
    env: &dyn Env,
) -> Vec<Effects> {
    let mut effects = vec![Effects::default(); subprogs.len()];
    let mut calls: Vec<(u16, u16)> = Vec::new();
    for ((idx, insn), caller) in (0u32..).zip(insns).zip(subprog_of) {
        if let Some(callee) = named_function(insn, idx)
            .and_then(|t| subprog_of.get(usize::try_from(t).ok()?).copied())
        {
            calls.push((*caller, callee));
        }
        let one = match insn {
            Insn::Call(CallTarget::Helper(id)) => match env.helper(*id) {
                HelperLookup::Known(p) => {
                    Effects { changes_packet: p.changes_pkt_data, might_sleep: p.might_sleep }
                }
                HelperLookup::NotAllowed(_)
                | HelperLookup::NotHere(_)
                | HelperLookup::Unsupported(_)
                | HelperLookup::Unknown => continue,
            },
            Insn::Call(CallTarget::Kfunc { .. }) => {
                let sleeps = kfuncs.of_insn(insn).is_some_and(|k| k.has(KfuncFlags::SLEEPABLE));
                Effects { changes_packet: false, might_sleep: sleeps }
            }
            _ => continue,
        };
        if let Some(all) = effects.get_mut(usize::from(*caller)) {
            all.add(one);
        }
    }
    calls.sort_unstable();
    calls.dedup();
    // Each round carries effects one call up; there are at most as many rounds as functions.
    for _ in 0..subprogs.len() {
        let mut is_changed = false;
        for (caller, callee) in &calls {
            let of = effects.get(usize::from(*callee)).copied().unwrap_or_default();
            if let Some(all) = effects.get_mut(usize::from(*caller)) {
                let before = *all;
                all.add(of);
                is_changed |= *all != before;
            }
        }
        if !is_changed {
            break;
        }
    }
    effects
}

impl Effects {
    fn add(&mut self, other: Effects) {
        self.changes_packet |= other.changes_packet;
        self.might_sleep |= other.might_sleep;
    }
}
