//! Instructions: decoder, disassembler and assembler against the live kernel's verifier log.

mod kernel;
