//! The Linux eBPF subsystem as a library: programs, maps and helpers in user space.
//!
//! - [`System`]: loads objects ([`skep_elf::Object`]) and single programs: creates the maps, verifies, links.
//! - [`Program`]: a loaded program; runs on packets ([`System::test_run`] is `BPF_PROG_TEST_RUN`).
//! - [`helper`], [`prog_type`]: one descriptor for each helper and program type, next to its code.
//! - [`packet`]: packets as programs see them.
//! - [`features`]: what is supported, as data and as `docs/SUPPORT.md`.
#![forbid(unsafe_code)]

pub mod features;
pub mod helper;
pub mod packet;
pub mod prog_type;
mod support;
mod system;

pub use support::Support;
pub use system::{
    LoadError, LoadErrorKind, LoadOptions, Loaded, LoadedMap, Program, RawProgram, RunError,
    System, TestRun, TestRunOutput,
};
