//! The `skep` program: reads its command line, loads objects, plays captures, prints what came of it.
//!
//! [`main`] is the program; [`capture`] reads and writes captures, where tests and fuzz targets reach it.
//! One file for each command: `play/`, `check`, `disasm`, `features`. All output goes through `output`, all
//! failures are a `Failure`, whose kind decides the exit code.
#![forbid(unsafe_code)]

mod args;
pub mod capture;
mod check;
mod diagnostic;
mod disasm;
mod explain;
mod failure;
mod features;
mod input;
mod names;
mod output;
mod play;

use args::{Args, Command};
use clap::Parser;
use failure::Failure;
use output::Out;
use std::process::ExitCode;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = Out::stdout();
    let result = run(&args, &mut out).and_then(|()| out.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::report(&failure),
    }
}

fn run(args: &Args, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        Command::Play(args) => play::run(args, out),
        Command::Check(args) => check::run(args, out),
        Command::Disasm(args) => disasm::run(args, out),
        Command::Features(args) => features::run(args, out),
    }
}
