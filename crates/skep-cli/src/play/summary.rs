//! [`Summary`]: what came of a play, as numbers; rendered as tables and as JSON.

use super::verdict::{Fate, Verdict};
use crate::failure::Failure;
use crate::output::{Out, table};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of a play.
#[derive(Serialize, Debug)]
pub(crate) struct Summary {
    pub(crate) object: String,
    pub(crate) program: String,
    /// `xdp`, `sched_cls`, `socket_filter`.
    pub(crate) prog_type: &'static str,
    pub(crate) capture: String,
    pub(crate) packets: Packets,
    pub(crate) verdicts: BTreeMap<&'static str, Count>,
    pub(crate) time: Time,
    pub(crate) printk: Printk,
    pub(crate) maps: Vec<serde_json::Value>,
    /// Where the capture is damaged, if it is; everything else is about the packets before.
    pub(crate) error: Option<String>,
}

#[derive(Serialize, Default, Debug)]
pub(crate) struct Packets {
    /// Packets that the program ran on.
    pub(crate) played: u64,
    /// Packets of which only the beginning was captured, among those played.
    pub(crate) snapped: u64,
    /// Packets left out, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Packets written with `--out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<u64>,
}

/// Packets with one verdict.
#[derive(Serialize, Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    /// Their captured bytes before the program ran; for a socket filter those that it accepted.
    pub(crate) bytes: u64,
}

#[derive(Serialize, Default, Debug)]
pub(crate) struct Time {
    /// Time in the program, over all runs, in nanoseconds.
    pub(crate) program_ns: u64,
    /// Runs of the program.
    pub(crate) runs: u64,
    /// Time in the program for one run, in nanoseconds.
    pub(crate) ns_per_packet: f64,
    /// Runs in a second of time in the program.
    pub(crate) packets_per_second: f64,
    /// From the first packet to the last, reading and writing included, in seconds.
    pub(crate) elapsed_seconds: f64,
}

impl Time {
    pub(crate) fn new(program: Duration, runs: u64, elapsed: Duration) -> Self {
        let seconds = program.as_secs_f64();
        Self {
            program_ns: u64::try_from(program.as_nanos()).unwrap_or(u64::MAX),
            runs,
            ns_per_packet: if runs == 0 { 0.0 } else { seconds * 1e9 / runs as f64 },
            packets_per_second: if seconds == 0.0 { 0.0 } else { runs as f64 / seconds },
            elapsed_seconds: elapsed.as_secs_f64(),
        }
    }
}

/// Output of `bpf_printk`.
#[derive(Serialize, Default, Debug)]
pub(crate) struct Printk {
    /// The first lines.
    pub(crate) lines: Vec<PrintkLine>,
    /// How many more there were.
    pub(crate) left_out: u64,
}

#[derive(Serialize, Debug)]
pub(crate) struct PrintkLine {
    /// Number of the packet.
    pub(crate) packet: u64,
    pub(crate) text: String,
}

impl Printk {
    /// Keeps a line, of a packet, if there are fewer than `most`. A newline at its end is the program's own.
    pub(crate) fn keep(&mut self, packet: u64, text: &[u8], most: usize) {
        if self.lines.len() < most {
            let text = String::from_utf8_lossy(text);
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            self.lines.push(PrintkLine { packet, text });
        } else {
            self.left_out += 1;
        }
    }
}

impl Summary {
    /// Counts a packet that the program ran on.
    pub(crate) fn count(&mut self, verdict: Verdict, len: usize) {
        let bytes = match verdict.fate {
            Fate::PassesUpTo(most) => (len as u64).min(u64::from(most)),
            Fate::Passes | Fate::Ends => len as u64,
        };
        self.packets.played += 1;
        let count = self.verdicts.entry(verdict.name).or_default();
        count.packets += 1;
        count.bytes += bytes;
    }

    /// Counts a packet that the program could not be run on.
    pub(crate) fn skip(&mut self, reason: String) {
        *self.packets.skipped.entry(reason).or_default() += 1;
    }

    /// Writes everything but the maps as tables.
    pub(crate) fn show(&self, out: &mut Out) -> Result<(), Failure> {
        out.line(format_args!(
            "{} ({}, {}) on {}: {} packets",
            self.program, self.prog_type, self.object, self.capture, self.packets.played
        ))?;
        for (reason, count) in &self.packets.skipped {
            out.line(format_args!("{count} packets skipped: {reason}"))?;
        }
        if self.packets.snapped > 0 {
            out.line(format_args!("{} packets were captured in part", self.packets.snapped))?;
        }
        if let Some(written) = self.packets.written {
            out.line(format_args!("{written} packets written"))?;
        }
        out.line("")?;
        let rows = self.verdicts.iter().map(|(name, count)| {
            vec![(*name).to_owned(), count.packets.to_string(), count.bytes.to_string()]
        });
        out.line(table(&["verdict", ">packets", ">bytes"], rows))?;
        out.line(format_args!(
            "\n{:.1} ns/packet, {:.0} packets/s in the program; {:.3} s in all",
            self.time.ns_per_packet, self.time.packets_per_second, self.time.elapsed_seconds
        ))?;
        if !self.printk.lines.is_empty() {
            out.line("\nbpf_printk:")?;
        }
        for line in &self.printk.lines {
            out.line(format_args!("  packet {}: {}", line.packet, line.text))?;
        }
        if self.printk.left_out > 0 {
            out.line(format_args!("  … and {} more lines", self.printk.left_out))?;
        }
        Ok(())
    }
}
