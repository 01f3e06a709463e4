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

/// A growing log with a level and a cap.
#[derive(Debug, Default)]
pub struct Log {
    level: LogLevel,
    text: String,
    cap_bytes: usize,
    truncated: bool,
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

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether something did not fit.
    pub fn is_truncated(&self) -> bool {
        self.truncated
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
            self.truncated = true;
            return;
        }
        // Writing to a `String` cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.text, args);
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
        self.text.len()
    }

    /// Drops what was written after `mark`: a path that was proved safe, at [`LogLevel::Path`].
    pub(crate) fn rewind(&mut self, mark: usize) {
        self.text.truncate(mark);
    }
}
