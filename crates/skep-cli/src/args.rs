//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use skep_verifier::LogLevel;
use skep_verifier::env::Privilege;
use skep_vm::Mode;
use std::path::PathBuf;

/// The Linux eBPF subsystem in user space.
#[derive(Parser, Debug)]
#[command(name = "skep", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  an object could not be loaded, or a program was rejected
  2  the command line is wrong
  3  a file could not be read or written, or is damaged (a capture: after printing what was played)
  4  the capture's link type does not suit the program
  5  a bug in skep: please report it";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run each packet of a capture through a program
    Play(PlayArgs),
    /// Load and verify programs
    Check(CheckArgs),
    /// Show instructions, with source lines
    Disasm(DisasmArgs),
    /// List what this version supports
    Features(FeaturesArgs),
}

/// What objects are opened against.
#[derive(clap::Args, Debug)]
pub(crate) struct TargetArgs {
    /// BTF that CO-RE relocations are resolved against [default: the running kernel's]
    #[arg(long, value_name = "FILE")]
    pub(crate) btf: Option<PathBuf>,
    /// Kernel configuration for `__kconfig` variables, as text [default: the running kernel's below /boot]
    #[arg(long, value_name = "FILE")]
    pub(crate) kconfig: Option<PathBuf>,
}

/// How programs run.
#[derive(clap::Args, Debug)]
pub(crate) struct ChecksArgs {
    /// Check each memory access of the program: slow, and finds only bugs in skep itself
    #[arg(long)]
    checks: bool,
}

impl ChecksArgs {
    pub(crate) fn mode(&self) -> Mode {
        if self.checks { Mode::Checked } else { Mode::Trusted }
    }
}

/// How results are written.
#[derive(clap::Args, Debug)]
pub(crate) struct FormatArgs {
    /// Write JSON in place of tables
    #[arg(long)]
    json: bool,
}

/// Whom output is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutputFormat {
    /// Tables for people.
    People,
    /// JSON for programs.
    Json,
}

impl FormatArgs {
    pub(crate) fn format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { OutputFormat::People }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct PlayArgs {
    /// Object file, or a classic filter as printed by `tcpdump -ddd`
    pub(crate) object: PathBuf,
    /// Program to run, where the object has several
    #[arg(long, value_name = "NAME")]
    pub(crate) prog: Option<String>,
    /// Capture to play (pcap or pcapng)
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: PathBuf,
    /// Write the packets that passed, as the program left them, in the capture's format
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Run the program this many times on each packet; all but the last run are for measuring
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// Keep this many lines of `bpf_printk`
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) printk_lines: usize,
    /// Print at most this many elements of each map (JSON has all)
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) map_elements: usize,
    #[command(flatten)]
    pub(crate) checks: ChecksArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// Object files, or classic filters as printed by `tcpdump -ddd`
    #[arg(required = true)]
    pub(crate) objects: Vec<PathBuf>,
    /// Print the verifier's log as the kernel does: 1 the path that failed, 2 every instruction; plus 4 what it took
    #[arg(long, value_name = "LEVEL", default_value = "0")]
    pub(crate) log_level: LogLevelArg,
    /// Judge as for a user without capabilities
    #[arg(long)]
    unprivileged: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

impl CheckArgs {
    pub(crate) fn privilege(&self) -> Privilege {
        if self.unprivileged { Privilege::Unprivileged } else { Privilege::Privileged }
    }
}

/// `log_level` of `BPF_PROG_LOAD`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LogLevelArg {
    #[value(name = "0")]
    Off,
    #[value(name = "1")]
    Path,
    #[value(name = "2")]
    Full,
    #[value(name = "4")]
    Stats,
    #[value(name = "5")]
    PathAndStats,
    #[value(name = "6")]
    FullAndStats,
}

impl LogLevelArg {
    pub(crate) fn level(self) -> LogLevel {
        match self {
            Self::Off | Self::Stats => LogLevel::Off,
            Self::Path | Self::PathAndStats => LogLevel::Path,
            Self::Full | Self::FullAndStats => LogLevel::Full,
        }
    }

    pub(crate) fn has_stats(self) -> bool {
        match self {
            Self::Off | Self::Path | Self::Full => false,
            Self::Stats | Self::PathAndStats | Self::FullAndStats => true,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct DisasmArgs {
    /// Object file, or a classic filter as printed by `tcpdump -ddd`
    pub(crate) object: PathBuf,
    /// Only this program
    #[arg(long, value_name = "NAME")]
    pub(crate) prog: Option<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct FeaturesArgs {
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}
