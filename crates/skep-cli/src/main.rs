//! The `skep` program.
#![forbid(unsafe_code)]

fn main() {}
