//! [`Progress`]: a bar on standard error, on a terminal, for captures that take a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};

/// How many packets go by between two looks at the clock.
const EVERY: u64 = 256;

/// Progress through a capture, by bytes.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar up to `total` bytes; none if nobody would see it.
    pub(crate) fn new(total: u64) -> Self {
        if !stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
        let style = "{bar:40} {percent:>3}% {bytes}/{total_bytes}, {msg} packets, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar: Some(bar) }
    }

    /// After `packets` packets and `bytes` bytes.
    pub(crate) fn at(&self, packets: u64, bytes: u64) {
        if let Some(bar) = &self.bar
            && packets.is_multiple_of(EVERY)
        {
            bar.set_message(packets.to_string());
            bar.set_position(bytes);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
