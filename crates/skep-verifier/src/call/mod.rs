//! Calls: helpers by their prototypes, subprograms, callbacks, and the way back.

mod args;
mod callback;
mod compat;
mod format;
mod helper;
mod map_func;
mod ret;
mod rules;
mod special;
mod subprog;

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
