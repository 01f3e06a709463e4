//! Generated code, oracle runs and CI of Skep: `cargo xtask COMMAND`, one file for each command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod captures;
mod ci;
mod differential;
mod objects;
mod selftests;
mod soundness;
mod uapi;

/// Development tasks of Skep.
#[derive(Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play the test captures of tcpdump and nDPI through the examples.
    Captures(captures::Args),
    /// Run everything that CI runs.
    Ci,
    /// Compare verdicts and results of random programs with the live kernel's.
    Differential(differential::Args),
    /// Open objects with Skep and with libbpf and compare.
    Objects(objects::Args),
    /// Load the kernel's self-tests with Skep and with the live kernel and compare.
    Selftests(selftests::Args),
    /// Run random programs that the verifier accepts, with every access checked.
    Soundness(soundness::Args),
    /// Generate crates/skep-abi/src/uapi.rs from the running kernel's BTF.
    Uapi(uapi::Args),
}

/// Says something to the person at the terminal.
#[expect(clippy::print_stderr, reason = "messages of a command line program")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Captures(args) => captures::run(&args),
        Command::Ci => ci::run(),
        Command::Differential(args) => differential::run(&args),
        Command::Objects(args) => objects::run(&args),
        Command::Selftests(args) => selftests::run(&args),
        Command::Soundness(args) => soundness::run(&args),
        Command::Uapi(args) => uapi::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error}"));
            ExitCode::FAILURE
        }
    }
}
