//! The `skep` program; see the library of this package.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    skep_cli::main()
}
