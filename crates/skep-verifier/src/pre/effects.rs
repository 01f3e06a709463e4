//! What calling a function may do, over all that it calls: change the packet, sleep, throw (`merge_callee_effects`).

use super::{Kfunc, KfuncTable, Subprog, named_function};
use crate::call::Special;
use crate::env::{Env, HelperLookup, KfuncFlags};
use skep_abi::insn::{CallTarget, Insn};
use skep_abi::uapi::BPF_FUNC_dynptr_write;

/// What a function may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects {
    /// Packet pointers are lost.
    pub(crate) changes_packet: bool,
    /// It may sleep.
    pub(crate) might_sleep: bool,
    /// It may end the program by an exception, whatever its caller holds.
    pub(crate) might_throw: bool,
}

/// Effects of all functions, in their order.
pub(super) fn all(
    insns: &[Insn],
    subprogs: &[Subprog],
    subprog_of: &[u16],
    kfuncs: &KfuncTable,
    env: &dyn Env,
) -> Vec<Effects> {
    let writes_packet = kfuncs.makes_skb_dynptrs();
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
                    // DEVIATION: the kernel forgets what a global function writes through a dynptr.
                    let is_write = p.id.cast_unsigned() == BPF_FUNC_dynptr_write && writes_packet;
                    let changes_packet = p.changes_pkt_data || is_write;
                    Effects { changes_packet, might_sleep: p.might_sleep, might_throw: false }
                }
                HelperLookup::NotAllowed(_)
                | HelperLookup::NotHere(_)
                | HelperLookup::Unsupported(_)
                | HelperLookup::Unknown => continue,
            },
            Insn::Call(CallTarget::Kfunc { .. }) => {
                let Some(k) = kfuncs.of_insn(insn) else { continue };
                of_kfunc(&k, writes_packet)
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

fn of_kfunc(k: &Kfunc, writes_packet: bool) -> Effects {
    Effects {
        changes_packet: k.special == Special::XdpPullData || (writes_packet && k.writes_dynptr()),
        might_sleep: k.has(KfuncFlags::SLEEPABLE),
        might_throw: k.special == Special::Throw,
    }
}

impl Effects {
    fn add(&mut self, other: Effects) {
        self.changes_packet |= other.changes_packet;
        self.might_sleep |= other.might_sleep;
        self.might_throw |= other.might_throw;
    }
}
