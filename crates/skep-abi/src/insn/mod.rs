//! BPF instructions: as stored ([`RawInsn`]), decoded ([`Insn`]), as text, and translated from classic BPF.
//!
//! Source: RFC 9669, and for what came after it (`may_goto`, load-acquire and store-release,
//! `addr_space_cast`) Documentation/bpf/standardization of Linux 6.18.
//!
//! A program is numbered in *slots* of 8 bytes, as in the kernel: a 64-bit immediate load takes two
//! slots, and every jump offset counts slots from the one after the jump.

mod raw;
mod types;

pub use raw::RawInsn;
pub use types::*;
