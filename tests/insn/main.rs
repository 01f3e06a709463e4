//! Instructions against the live kernel: decoder and disassembler against the verifier log, classic BPF against sockets
//! and seccomp.

mod classic;
mod kernel;
