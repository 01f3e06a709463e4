//! What the walk writes: instructions, what they changed, where a path comes from.

use super::state::{FrameText, RegText, Shown};
use crate::env::HelperLookup;
use crate::log::LogLevel;
use crate::walk::Walk;
use skep_abi::insn::disasm::{Names, disasm};
use skep_abi::insn::{CallTarget, Insn};

/// Column at which an instruction's effects begin, and what it is rounded up to beyond.
const ALIGNMENT: usize = 40;
const MIN_ALIGNMENT: usize = 8;

/// What the log remembers between instructions.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    /// Registers and slots that the last instruction used or changed.
    regs: u16,
    slots: u64,
    /// End of the last instruction's line in the log, and its length; effects go behind it.
    line_end: usize,
    line_len: usize,
    /// Line information that was last shown.
    last_line: Option<u32>,
    /// Where a path that was taken up again came from.
    resumed_from: Option<u32>,
    /// Helper names with their prefix.
    names: HelperNames,
}

#[derive(Debug, Default)]
struct HelperNames(Vec<(i32, String)>);

impl Names for HelperNames {
    fn helper(&self, id: i32) -> Option<&str> {
        self.0.iter().find(|(i, _)| *i == id).map(|(_, n)| n.as_str())
    }
}

impl Walk<'_> {
    fn is_logging(&self) -> bool {
        self.log.level() != LogLevel::Off
    }

    fn shown(&self) -> Shown {
        Shown { regs: self.log_state.regs, slots: self.log_state.slots }
    }

    fn frame_text(&self, number: usize, shown: Shown) -> String {
        let Some(frame) = self.cur.frames.get(number) else { return String::new() };
        let maps = &self.prog.maps;
        FrameText { frame, number: number as u8, shown, maps }.to_string()
    }

    pub(crate) fn log_path_start(&mut self) {
        if !self.is_logging() {
            return;
        }
        let mut names = Vec::new();
        for insn in &self.prog.insns {
            if let Insn::Call(CallTarget::Helper(id)) = insn {
                let name = match self.env.helper(*id) {
                    HelperLookup::Known(p) => p.name,
                    HelperLookup::NotAllowed(n) | HelperLookup::Unsupported(n) => n,
                    HelperLookup::Unknown => continue,
                };
                names.push((*id, format!("bpf_{name}")));
            }
        }
        self.log_state.names = HelperNames(names);
        let state = self.frame_text(0, Shown::ALL);
        self.log.put(format_args!("0:{state}\n"));
    }

    /// What a path is called behind its slots.
    fn path_kind(&self) -> &'static str {
        if self.cur.is_speculative { " (speculative execution)" } else { "" }
    }

    pub(crate) fn log_path_resumed(&mut self, from: u32) {
        self.log_state.last_line = None;
        self.log_state.line_end = 0;
        (self.log_state.regs, self.log_state.slots) = (0, 0);
        self.log_state.resumed_from = Some(from);
    }

    /// The instruction in hand, behind what the one before it changed.
    pub(crate) fn log_insn(&mut self) {
        if !self.is_logging() {
            return;
        }
        self.log_changes();
        if let Some(from) = self.log_state.resumed_from.take() {
            let state = self.frame_text(self.cur.cur_idx(), Shown::ALL);
            let to = self.idx;
            let kind = self.path_kind();
            self.log.put(format_args!("\nfrom {from} to {to}{kind}:{state}\n"));
        }
        self.log_source_line();
        let start = self.log.mark();
        let (idx, insn) = (self.idx, self.insn());
        let text = disasm(idx as usize, &insn, &self.log_state.names);
        self.log.put(format_args!("{idx}: {text}\n"));
        self.log_state.line_end = self.log.mark();
        self.log_state.line_len = self.log.mark().saturating_sub(start);
    }

    /// What the last instruction used or changed goes behind it, or on a line of its own.
    fn log_changes(&mut self) {
        let shown = self.shown();
        (self.log_state.regs, self.log_state.slots) = (0, 0);
        if shown.regs == 0 && shown.slots == 0 {
            return;
        }
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

    fn log_source_line(&mut self) {
        let Some(btf) = self.env.btf() else { return };
        let at = self.req.line_info.partition_point(|l| l.insn_off <= self.idx);
        let Some(line) = at.checked_sub(1).and_then(|i| self.req.line_info.get(i)) else { return };
        if self.log_state.last_line == Some(line.insn_off) {
            return;
        }
        self.log_state.last_line = Some(line.insn_off);
        let text = btf.str_at(line.line_off).unwrap_or("").trim_start();
        let file = btf.str_at(line.file_name_off).unwrap_or("");
        let file = file.rsplit('/').next().unwrap_or(file);
        self.log.put(format_args!("; {text} @ {file}:{}\n", line.line));
    }

    pub(crate) fn log_effects(&mut self) {
        if !self.is_logging() {
            return;
        }
        let idx = self.idx as usize;
        let touched = self.prog.touched.get(idx).copied().unwrap_or(0);
        self.log_state.regs |= touched;
        if let Some((frame, slot)) = self.log_state_slot()
            && usize::from(frame) == self.cur.cur_idx()
        {
            self.log_state.slots |= 1u64.checked_shl(slot.into()).unwrap_or(0);
        }
    }

    fn log_state_slot(&self) -> Option<(u8, u8)> {
        self.history.last().and_then(|s| s.stack)
    }

    pub(crate) fn log_pruned(&mut self) {
        if !self.is_logging() {
            return;
        }
        let to = self.idx;
        match self.log_state.resumed_from.take() {
            Some(from) => {
                let kind = self.path_kind();
                self.log.put(format_args!("\nfrom {from} to {to}{kind}: safe\n"));
            }
            None => {
                self.log_changes();
                self.log.put(format_args!("{to}: safe\n"));
            }
        }
    }

    pub(crate) fn log_entered(&mut self) {
        if !self.is_logging() {
            return;
        }
        let inner = self.cur.cur_idx();
        let caller = self.frame_text(inner.saturating_sub(1), Shown::ALL);
        let callee = self.frame_text(inner, Shown::ALL);
        self.log.put(format_args!("caller:\n{caller}\ncallee:\n{callee}\n"));
    }

    pub(crate) fn log_leaving(&mut self) {
        if self.is_logging() {
            let state = self.frame_text(self.cur.cur_idx(), Shown::ALL);
            self.log.put(format_args!("returning from callee:\n{state}\n"));
        }
    }

    pub(crate) fn log_returned(&mut self, to: u32) {
        if self.is_logging() {
            let state = self.frame_text(self.cur.cur_idx(), Shown::ALL);
            self.log.put(format_args!("to caller at {to}:\n{state}\n\n"));
        }
    }

    pub(crate) fn log_stats(&mut self) {
        let s = self.stats();
        let (n, peak, total) = (s.insns_processed, s.peak_states, s.total_states);
        let per_insn = self.kept.max_per_insn;
        self.log.put(format_args!(
            "processed {n} insns (limit 1000000) max_states_per_insn {per_insn} total_states {total} peak_states {peak} mark_read 0\n"
        ));
    }

    /// The registers that the instruction in hand reads, for diagnostics.
    pub(crate) fn regs_for_diag(&self) -> Vec<(u8, String)> {
        let touched = self.prog.touched.get(self.idx as usize).copied().unwrap_or(0);
        let frame = self.cur.cur_idx() as u8;
        (0u8..)
            .zip(&self.cur.cur().regs)
            .filter(|(n, _)| touched >> n & 1 != 0)
            .map(|(n, reg)| (n, RegText { reg, frame, maps: &self.prog.maps }.to_string()))
            .collect()
    }
}
