//! BPF instructions: as stored ([`RawInsn`]), decoded ([`Insn`]), as text, and translated from classic BPF.
//!
//! Source: RFC 9669, and for what came after it (`may_goto`, load-acquire and store-release,
//! `addr_space_cast`) Documentation/bpf/standardization of Linux 6.18.
//!
//! A program is numbered in *slots* of 8 bytes, as in the kernel: a 64-bit immediate load takes two
//! slots, and every jump offset counts slots from the one after the jump.
//!
//! [`Form`] and the operation enums carry the instruction table, from which [`decode`], [`encode`],
//! [`disasm`] and [`asm`] are driven.

pub mod asm;
pub mod cbpf;
mod decode;
pub mod disasm;
mod encode;
mod raw;
mod table;
mod types;

#[cfg(test)]
mod tests;

pub use decode::{DecodeError, DecodeErrorKind, Field, decode};
pub use encode::{encode, encode_ld_imm64};
pub use raw::RawInsn;
pub use table::Form;
pub use types::*;
