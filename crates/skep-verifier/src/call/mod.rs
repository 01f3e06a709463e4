//! Calls: helpers by their prototypes, kernel functions by their types, subprograms, callbacks, and the way back.

mod args;
mod callback;
mod compat;
mod format;
mod global;
mod helper;
mod kfunc;
mod map_func;
mod object_arg;
mod ret;
mod rules;
mod special;
mod subprog;

pub(crate) use callback::{FnUse, LaterMay};
pub(crate) use kfunc::{KfuncCall, Special};

use crate::state::RegState;
use crate::walk::Walk;

impl Walk<'_> {
    /// R0 to R5 are lost in a call.
    pub(crate) fn mark_caller_saved_lost(&mut self) {
        for r in self.cur.cur_mut().regs.iter_mut().take(6) {
            *r = RegState::NOT_INIT;
        }
    }
}
