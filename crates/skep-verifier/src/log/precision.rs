//! [`Trace`]: how precision follows numbers back (level 2): `mark_precise: frame0: …`.

use super::path::LogState;
use super::state::{FrameText, Known, Shown};
use super::{Log, LogLevel};
use crate::env::Env;
use crate::pre::{MapTable, Program};
use crate::state::VerifierState;
use core::fmt;
use skep_abi::insn::disasm::disasm;

/// Writes the lines of one walk back.
pub(crate) struct Trace<'a> {
    log: Option<&'a mut Log>,
    state: &'a LogState,
    env: &'a dyn Env,
}

/// Registers and stack slots as bit masks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Masks {
    pub(crate) regs: u16,
    pub(crate) slots: u64,
}

impl Masks {
    fn regs(self) -> impl Iterator<Item = String> {
        (0..16).filter(move |r| self.regs >> r & 1 != 0).map(|r| format!("r{r}"))
    }

    fn slots(self) -> impl Iterator<Item = i32> {
        (0..64).filter(move |s| self.slots >> s & 1 != 0).map(|s| -(s + 1) * 8)
    }
}

impl fmt::Display for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regs: Vec<String> = self.regs().collect();
        let slots: Vec<String> = self.slots().map(|off| off.to_string()).collect();
        write!(f, "regs={} stack={}", regs.join(","), slots.join(","))
    }
}

impl<'a> Trace<'a> {
    pub(crate) fn new(log: &'a mut Log, state: &'a LogState, env: &'a dyn Env) -> Trace<'a> {
        Trace { log: (log.level() == LogLevel::Full).then_some(log), state, env }
    }

    fn put(&mut self, args: fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            log.put(args);
        }
    }

    /// The instructions between two kept states are followed, from `last` back to `first`.
    pub(crate) fn segment(&mut self, frame: u8, last: u32, first: u32, next: Option<u32>) {
        let next = next.map_or(-1, i64::from);
        self.put(format_args!(
            "mark_precise: frame{frame}: last_idx {last} first_idx {first} subseq_idx {next} \n"
        ));
    }

    /// What matters behind an instruction.
    pub(crate) fn step(&mut self, prog: &Program, frame: u8, wanted: Masks, idx: u32) {
        if self.log.is_none() {
            return;
        }
        if let Some(insn) = prog.insns.get(idx as usize) {
            let text = disasm(idx as usize, insn, &self.state.names);
            self.put(format_args!("mark_precise: frame{frame}: {wanted} before {idx}: {text}\n"));
        }
    }

    /// What matters in a frame of a kept state and was not known to.
    pub(crate) fn parent(
        &mut self,
        maps: &MapTable,
        state: &VerifierState,
        number: u8,
        (wanted, precise): (Masks, Masks),
    ) {
        let (Some(frame), true) = (state.frame(number), self.log.is_some()) else { return };
        let known = Known { maps, env: self.env };
        let state =
            FrameText { frame, number, shown: Shown::ALL, held: &state.held, precise, known };
        self.put(format_args!("mark_precise: frame{number}: parent state {wanted}: {state}\n"));
    }

    /// The origin was lost.
    pub(crate) fn lost(&mut self, frame: u8) {
        self.put(format_args!(
            "mark_precise: frame{frame}: falling back to forcing all scalars precise\n"
        ));
    }

    /// What must be precise in a frame, since it is in a state that covers the one in hand.
    pub(crate) fn propagating(&mut self, frame: u8, wanted: Masks) {
        if self.log.is_none() {
            return;
        }
        let slots = wanted.slots().map(|off| format!("fp{off}"));
        let all: Vec<String> = wanted.regs().chain(slots).collect();
        if !all.is_empty() {
            self.put(format_args!("frame {frame}: propagating {}\n", all.join(",")));
        }
    }

    /// A number was made precise since the origin was lost.
    pub(crate) fn forced(&mut self, frame: u8, what: fmt::Arguments<'_>) {
        self.put(format_args!("force_precise: frame{frame}: forcing {what} to be precise\n"));
    }
}
