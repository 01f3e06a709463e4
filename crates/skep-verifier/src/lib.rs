//! The BPF verifier: untrusted instructions in, [`VerifiedProg`] out.
//!
//! `verify` runs all passes. What a program may use comes through [`env::Env`]; why one was
//! rejected is a `Reject`, of which the kernel-style log and the diagnostic for people are renderings.
#![forbid(unsafe_code)]

pub mod env;
mod prog;

pub use prog::{LineInfo, LoadRequest, SubprogInfo, VerifiedProg, VerifyStats};
