//! The `skep` program from outside, on the examples.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stdout, reason = "tests that are skipped say why")]

mod check;
mod errors;
#[cfg(target_os = "linux")]
mod memory;
mod mistakes;
mod play;
mod support;
