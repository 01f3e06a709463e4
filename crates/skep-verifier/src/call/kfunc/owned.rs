//! Where calls of kernel functions lead to other analyses: lists, trees, locks, interrupts, work queues, exceptions.
//!
//! Until these are there, a program that needs one is refused.

use super::{KfuncCall, Special};
use crate::pre::{Kfunc, MapId, PtrArg};
use crate::state::RegState;
use crate::walk::{Res, Walk, unsupported};

impl Walk<'_> {
    /// What a call does before its arguments are looked at: a lock may fail (`bpf_res_spin_lock`).
    pub(super) fn before_args(&mut self, k: &Kfunc) -> Res<()> {
        match k.special {
            Special::ResSpinLock | Special::ResSpinLockIrqsave => {
                Err(unsupported(format!("resilient locks ({})", k.name)))
            }
            _ => Ok(()),
        }
    }

    /// An argument of a list, a tree, a lock, a saved interrupt state or a work queue.
    pub(super) fn check_owned_arg(
        &mut self,
        k: &Kfunc,
        _n: usize,
        _ptr: PtrArg,
        _call: &mut KfuncCall,
    ) -> Res<()> {
        Err(unsupported(format!("arguments of {}", k.name)))
    }

    /// A second map argument belongs with the first (work queues and the like in map values).
    pub(super) fn check_same_map(
        &self,
        _k: &Kfunc,
        _map: (MapId, u32),
        _call: &KfuncCall,
    ) -> Res<()> {
        Ok(())
    }

    /// The function calls back.
    pub(super) fn schedule_kfunc_callback(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<()> {
        match call.callback {
            Some(_) => Err(unsupported(format!("callbacks of {}", k.name))),
            None => Ok(()),
        }
    }

    /// An owned node becomes part of a list or tree.
    pub(super) fn give_to_graph(&mut self, _k: &Kfunc, _call: &mut KfuncCall) -> Res<()> {
        Ok(())
    }

    /// A node of a list or tree.
    pub(super) fn graph_node_result(&mut self, k: &Kfunc, _call: &KfuncCall) -> Res<RegState> {
        Err(unsupported(format!("nodes of lists and trees ({})", k.name)))
    }

    /// A number; of a lock, that it was taken.
    pub(super) fn scalar_result(&self, _k: &Kfunc) -> RegState {
        RegState::UNKNOWN
    }

    /// The value that an exception carries becomes the program's result.
    pub(super) fn check_exception_value(&mut self) -> Res<()> {
        Err(unsupported("exceptions (bpf_throw)"))
    }
}
