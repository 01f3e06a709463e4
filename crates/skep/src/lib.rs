//! The Linux eBPF subsystem as a library: programs, maps and helpers in user space.
//!
//! - [`System`]: loads objects ([`skep_elf::Object`]) and single programs: creates the maps, verifies, links.
//! - [`Program`]: a loaded program; runs on packets ([`System::test_run`] is `BPF_PROG_TEST_RUN`).
//! - [`helper`], [`prog_type`]: one descriptor for each helper and program type, next to its code.
//! - [`kfunc`]: one descriptor for each kernel function.
//! - [`packet`]: packets as programs see them.
//! - [`features`]: what is supported, as data and as `docs/SUPPORT.md`.
//!
//! ```
//! use skep::{LoadOptions, System, TestRun};
//! use skep_elf::{Object, OpenOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))?;
//! # let packet = vec![0; 64];
//! let file = std::fs::read("examples/ipproto.bpf.o")?;
//! let object = Object::open("ipproto", &file, &OpenOptions::default())?;
//! let system = System::new();
//! let loaded = system.load_object(&object, &LoadOptions::default())?;
//! let program = loaded.program("ipproto").ok_or("no such program")?;
//! let out = system.test_run(program, &TestRun { data_in: &packet, ..TestRun::default() })?;
//! assert_eq!(out.retval, skep_abi::uapi::XDP_PASS);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod features;
pub mod helper;
pub mod kfunc;
pub mod packet;
pub mod prog_type;
mod support;
mod system;

pub use support::Support;
pub use system::{
    CheckOptions, Checked, LoadError, LoadErrorKind, LoadOptions, Loaded, LoadedMap, Program,
    RawProgram, RunError, System, TestRun, TestRunOutput, UnprivilegedBpf, map_props, map_spec,
};
