//! [`Log`]: the text that the kernel writes into a load's log buffer.
//!
//! - `state` renders registers and stack slots in 6.18's notation;
//! - `path` what the walk does, instruction by instruction;
//! - `precision` how numbers are followed back; `live` the table of live registers.
//!
//! Passes write through [`Log`] and never look back at it.

mod live;
mod names;
mod path;
mod precision;
mod state;

pub(crate) use path::LogState;
pub(crate) use precision::{Masks, Trace};

use crate::pre::Subprog;
use crate::prog::VerifyStats;
use core::fmt;
use std::time::Instant;

/// How much is written (`log_level` of `BPF_PROG_LOAD`, without the statistics bit).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum LogLevel {
    /// Nothing.
    #[default]
    Off,
    /// The path that failed.
    Path,
    /// Every instruction on every path.
    Full,
}

/// A growing log with a level and a cap: of a longer one the end is kept, where the reason stands.
#[derive(Debug, Default)]
pub struct Log {
    level: LogLevel,
    text: String,
    /// How much was written before `text`, and dropped.
    dropped_bytes: usize,
    cap_bytes: usize,
    has_stats: bool,
    started: Option<Instant>,
}

/// What a log holds at the most, by default.
const DEFAULT_CAP_BYTES: usize = 16 << 20;

impl Log {
    /// An empty log of a level, of at most 16 MiB.
    pub fn new(level: LogLevel) -> Log {
        Log { level, cap_bytes: DEFAULT_CAP_BYTES, ..Log::default() }
    }

    /// With what verification took, and the stack that each function uses (bit 4 of the kernel's log level).
    pub fn with_stats(self) -> Log {
        Log { has_stats: true, started: Some(Instant::now()), ..self }
    }

    /// The level.
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// What was written, as far as it was kept.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the beginning did not fit.
    pub fn is_truncated(&self) -> bool {
        self.dropped_bytes > 0
    }

    /// Writes at [`LogLevel::Path`] and above.
    pub(crate) fn put(&mut self, args: fmt::Arguments<'_>) {
        if self.level == LogLevel::Off {
            return;
        }
        self.append(args);
    }

    fn append(&mut self, args: fmt::Arguments<'_>) {
        if self.text.len() >= self.cap_bytes {
            self.drop_beginning();
        }
        // Writing to a `String` cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.text, args);
    }

    /// Makes room: drops the older half, up to the end of a line.
    fn drop_beginning(&mut self) {
        let half = self.text.len() / 2;
        let line = self.text.as_bytes().iter().skip(half).position(|b| *b == b'\n');
        let cut = line.map_or(self.text.len(), |at| half + at + 1);
        // A newline is a byte of its own in UTF-8, so this is a boundary.
        self.text.drain(..cut);
        self.dropped_bytes += cut;
    }

    /// Where the functions start.
    pub(crate) fn put_functions(&mut self, subprogs: &[Subprog]) {
        if self.level == LogLevel::Full {
            for (n, s) in subprogs.iter().enumerate() {
                self.put(format_args!("func#{n} @{}\n", s.start));
            }
        }
    }

    /// The last lines: what verification cost; `stack` is what each function uses, in bytes.
    pub(crate) fn put_stats(&mut self, stats: &VerifyStats, max_per_insn: u64, stack: &[u32]) {
        if self.level == LogLevel::Off && !self.has_stats {
            return;
        }
        if self.has_stats {
            let took_us = self.started.map_or(0, |at| at.elapsed().as_micros());
            let stack: Vec<String> = stack.iter().map(u32::to_string).collect();
            let stack = stack.join("+");
            self.append(format_args!("verification time {took_us} usec\nstack depth {stack}\n"));
        }
        let VerifyStats { insns_processed, peak_states, total_states } = stats;
        self.append(format_args!(
            "processed {insns_processed} insns (limit 1000000) max_states_per_insn {max_per_insn} \
             total_states {total_states} peak_states {peak_states} mark_read 0\n"
        ));
    }

    /// Length so far, to return to with [`Log::rewind`].
    pub(crate) fn mark(&self) -> usize {
        self.dropped_bytes + self.text.len()
    }

    /// Drops what was written after `mark`: a path that was proved safe, at [`LogLevel::Path`].
    pub(crate) fn rewind(&mut self, mark: usize) {
        match mark.checked_sub(self.dropped_bytes) {
            Some(len) => self.text.truncate(len),
            None => {
                self.text.clear();
                self.dropped_bytes = mark;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, LogLevel};

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        let mut log = Log { cap_bytes: 100, ..Log::new(LogLevel::Full) };
        let mut marks = Vec::new();
        for n in 0..100 {
            marks.push(log.mark());
            log.put(format_args!("line {n} é\n"));
        }
        assert!(log.is_truncated());
        assert!(log.text().len() <= 120, "{}", log.text());
        assert!(log.text().starts_with("line ") && log.text().ends_with("line 99 é\n"));
        // Back to a place that is still there, and to one that is not.
        log.rewind(marks[99]);
        assert!(log.text().ends_with("line 98 é\n"), "{}", log.text());
        log.rewind(marks[3]);
        assert_eq!(log.text(), "");
        log.put(format_args!("behind\n"));
        assert_eq!((log.text(), log.mark()), ("behind\n", marks[3] + 7));
    }
}
