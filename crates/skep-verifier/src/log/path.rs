//! What the walk writes: instructions, what they changed, where a path comes from.

use super::names::Names;
use super::precision::Masks;
use super::state::{FrameText, Known, RegText, Shown};
use crate::log::LogLevel;
use crate::reject::RejectKind;
use crate::state::VerifierState;
use crate::walk::Walk;
use skep_abi::insn::disasm::disasm;
use skep_abi::insn::{Insn, Reg};
use std::cell::Cell;

/// Column at which an instruction's effects begin, and what it is rounded up to beyond.
const ALIGNMENT: usize = 40;
const MIN_ALIGNMENT: usize = 8;

/// What the log remembers between instructions.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    /// Registers and slots that were used or changed since a state was shown last. As in the kernel, a slot counts in
    /// whatever frame is shown next.
    regs: u16,
    slots: Cell<u64>,
    /// End of the last instruction's line in the log, and its length; effects go behind it.
    line_end: usize,
    line_len: usize,
    /// Line information that was last shown.
    last_line: Option<usize>,
    /// Where control came from, when not from the instruction before: the state is shown first.
    came_from: Option<u32>,
    /// What is to follow the message of the refusal.
    behind_message: String,
    pub(super) names: Names,
}

impl LogState {
    /// Stack slots `first..=last` were looked at or changed.
    pub(crate) fn note_slots(&self, first: usize, last: usize) {
        let from = u64::MAX.checked_shl(first as u32).unwrap_or(0);
        let above = u64::MAX.checked_shl(last as u32 + 1).unwrap_or(0);
        self.slots.set(self.slots.get() | (from & !above));
    }
}

impl Walk<'_> {
    fn is_logging(&self) -> bool {
        self.log.level() != LogLevel::Off
    }

    fn frame_text(&self, number: usize, shown: Shown) -> String {
        let Some(frame) = self.cur.frames.get(number) else { return String::new() };
        let (held, known) = (&*self.cur.held, self.known());
        // Without CAP_BPF every number is.
        let precise = if self.rights.bpf_capable {
            Masks::default()
        } else {
            Masks { regs: u16::MAX, slots: u64::MAX }
        };
        FrameText { frame, number: number as u8, shown, held, precise, known }.to_string()
    }

    fn known(&self) -> Known<'_> {
        Known { maps: &self.prog.maps, env: self.env }
    }

    fn cur_text(&self) -> String {
        self.frame_text(self.cur.cur_idx(), Shown::ALL)
    }

    /// Everything is shown behind the next instruction.
    pub(crate) fn log_all_changed(&mut self) {
        self.log_state.regs = u16::MAX;
        self.log_state.slots.set(u64::MAX);
    }

    /// What precedes the first instruction.
    pub(crate) fn log_start(&mut self) {
        if !self.is_logging() {
            return;
        }
        self.log_state.names = Names::of(&self.prog.insns, &self.prog.kfuncs, self.env);
        if self.log.level() == LogLevel::Full {
            super::live::put(self.log, &self.prog, &self.log_state.names);
        }
        self.log_all_changed();
    }

    /// What a path is called behind its slots.
    fn path_kind(&self) -> &'static str {
        if self.cur.is_speculative { " (speculative execution)" } else { "" }
    }

    pub(crate) fn log_path_resumed(&mut self, from: u32) {
        self.log_state.came_from = Some(from);
    }

    /// The instruction in hand, behind what the one before it changed.
    pub(crate) fn log_insn(&mut self) {
        if !self.is_logging() {
            return;
        }
        if self.log.level() == LogLevel::Full
            && let Some(from) = self.log_state.came_from.take()
        {
            let (to, kind, state) = (self.idx, self.path_kind(), self.cur_text());
            self.log.put(format_args!("\nfrom {from} to {to}{kind}:{state}\n"));
        }
        self.log_changes();
        self.log_source_line();
        let start = self.log.mark();
        let (idx, insn) = (self.idx, self.insn());
        let text = disasm(idx as usize, &insn, &self.log_state.names);
        self.log.put(format_args!("{idx}: {text}\n"));
        self.log_state.line_end = self.log.mark();
        self.log_state.line_len = self.log.mark().saturating_sub(start);
    }

    /// What was used or changed goes behind the instruction if nothing was written since, else on a line of its own.
    pub(crate) fn log_changes(&mut self) {
        let shown = Shown { regs: self.log_state.regs, slots: self.log_state.slots.get() };
        if !self.is_logging() || (shown.regs == 0 && shown.slots == 0) {
            return;
        }
        self.log_state.regs = 0;
        self.log_state.slots.set(0);
        let state = self.frame_text(self.cur.cur_idx(), shown);
        if self.log_state.line_end == self.log.mark() && self.log_state.line_end > 0 {
            let len = self.log_state.line_len;
            let column = (len + MIN_ALIGNMENT / 2).max(ALIGNMENT).next_multiple_of(MIN_ALIGNMENT);
            let pad = column.saturating_sub(len + 1);
            self.log.rewind(self.log_state.line_end - 1);
            self.log.put(format_args!("{:pad$};{state}\n", ""));
        } else {
            let idx = self.idx;
            self.log.put(format_args!("{idx}:{state}\n"));
        }
    }

    /// The source line of the instruction in hand, unless it was the last one shown.
    pub(crate) fn log_source_line(&mut self) {
        let Some(btf) = self.env.btf() else { return };
        let lines = &self.req.line_info;
        let at = lines.partition_point(|l| l.insn_off <= self.idx).checked_sub(1);
        let Some((at, line)) = at.and_then(|i| Some((i, lines.get(i)?))) else { return };
        let last = self.log_state.last_line.and_then(|i| lines.get(i));
        let is_same =
            last.is_some_and(|l| l.file_name_off == line.file_name_off && l.line == line.line);
        if self.log_state.last_line == Some(at) || is_same {
            return;
        }
        self.log_state.last_line = Some(at);
        let text = btf.str_at(line.line_off).unwrap_or("").trim_start();
        let file = btf.str_at(line.file_name_off).unwrap_or("");
        let file = file.rsplit('/').next().unwrap_or(file);
        self.log.put(format_args!("; {text} @ {file}:{}\n", line.line));
    }

    /// The instruction in hand has used and changed its registers.
    pub(crate) fn log_effects(&mut self) {
        if self.insn() == Insn::Exit {
            return;
        }
        let touched = self.prog.touched.get(self.idx as usize).copied().unwrap_or(0);
        self.log_state.regs |= touched;
    }

    /// The path ends here, since a kept state covers it.
    pub(crate) fn log_pruned(&mut self) {
        if !self.is_logging() {
            return;
        }
        let to = self.idx;
        let kind = self.path_kind();
        match self.log_state.came_from {
            Some(from) => self.log.put(format_args!("\nfrom {from} to {to}{kind}: safe\n")),
            None => self.log.put(format_args!("{to}: safe\n")),
        }
    }

    /// A function was entered.
    pub(crate) fn log_entered(&mut self) {
        self.log_all_changed();
        if !self.is_logging() {
            return;
        }
        let inner = self.cur.cur_idx();
        let caller = self.frame_text(inner.saturating_sub(1), Shown::ALL);
        let callee = self.frame_text(inner, Shown::ALL);
        self.log.put(format_args!("caller:\n{caller}\ncallee:\n{callee}\n"));
    }

    /// The running function returns.
    pub(crate) fn log_leaving(&mut self) {
        self.log_state.came_from = Some(self.idx);
        if self.is_logging() {
            let state = self.cur_text();
            self.log.put(format_args!("returning from callee:\n{state}\n"));
        }
    }

    /// Back in the caller, at a slot.
    pub(crate) fn log_returned(&mut self, to: u32) {
        if self.is_logging() {
            let state = self.cur_text();
            self.log.put(format_args!("to caller at {to}:\n{state}\n"));
        }
    }

    /// The state in hand was there before, so that the loop never ends: what follows the message.
    pub(crate) fn log_infinite_loop(&mut self, old: &VerifierState, precise: Masks) {
        if !self.is_logging() {
            return;
        }
        self.log_source_line();
        let (cur, number) = (self.cur_text(), self.cur.cur_idx());
        let Some(frame) = old.frames.get(number) else { return };
        let (held, known) = (&*old.held, self.known());
        let (number, shown) = (number as u8, Shown::ALL);
        let old = FrameText { frame, number, shown, held, precise, known };
        self.log_state.behind_message = format!("cur state:{cur}\nold state:{old}\n");
    }

    /// Why the program is refused.
    pub(crate) fn log_reject(&mut self, kind: &RejectKind) {
        let behind = core::mem::take(&mut self.log_state.behind_message);
        self.log.put(format_args!("{kind}\n{behind}"));
    }

    pub(crate) fn log_stats(&mut self) {
        let per_insn = self.kept.max_per_insn as u64;
        let stack: Vec<u32> = (0..self.prog.subprogs.len())
            .map(|n| self.stack_depth(n).next_multiple_of(8))
            .collect();
        self.log.put_stats(&self.stats(), per_insn, &stack);
    }

    /// A register of the running frame.
    pub(crate) fn reg_text(&self, r: Reg) -> String {
        let (reg, frame) = (self.cur.reg(r), self.cur.cur_idx() as u8);
        RegText { reg, is_precise: false, frame, known: self.known() }.to_string()
    }
}
