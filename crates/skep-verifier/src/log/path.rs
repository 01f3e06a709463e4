//! What the walk writes: instructions, what they changed, where a path comes from.

use crate::log::LogLevel;
use crate::walk::Walk;

impl Walk<'_> {
    fn is_logging(&self) -> bool {
        self.log.level() != LogLevel::Off
    }

    pub(crate) fn log_path_start(&mut self) {
        if self.is_logging() {
            self.log.put(format_args!("0: R1=ctx() R10=fp0\n"));
        }
    }

    pub(crate) fn log_path_resumed(&mut self, from: u32) {
        if self.is_logging() {
            let to = self.idx;
            self.log.put(format_args!("\nfrom {from} to {to}:\n"));
        }
    }

    pub(crate) fn log_insn(&mut self) {}

    pub(crate) fn log_effects(&mut self) {}

    pub(crate) fn log_pruned(&mut self) {
        if self.is_logging() {
            let at = self.idx;
            self.log.put(format_args!("{at}: safe\n"));
        }
    }

    pub(crate) fn log_entered(&mut self) {}

    pub(crate) fn log_leaving(&mut self) {}

    pub(crate) fn log_returned(&mut self, callsite: u32, _is_callback: bool) {
        if self.is_logging() {
            self.log.put(format_args!("returning to {callsite}\n"));
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
        Vec::new()
    }
}
