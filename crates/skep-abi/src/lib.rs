//! The vocabulary of Linux BPF: errno, instructions and the uapi constants.
//!
//! - [`errno`]: [`Errno`], the error number that a bpf(2) caller sees.
//! - [`insn`]: [`insn::RawInsn`] (8 bytes as stored) and [`insn::Insn`] (decoded), with the table that
//!   decode, encode, disassembler and assembler share.
//! - [`uapi`]: numbers of `linux/bpf.h`, spelled as there.
#![forbid(unsafe_code)]

pub mod errno;
pub mod insn;
pub mod uapi;

pub use errno::Errno;
