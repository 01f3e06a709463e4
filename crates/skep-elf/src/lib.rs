//! BPF object files: sections, maps, programs, relocation, linking.
//!
//! [`Object::open`] reads an ELF object as clang (or gcc) writes it for the `bpf` target and gives what
//! libbpf would load, as plain data: a deterministic [`Object`] that knows no file descriptor and no
//! system. Instructions name maps by index (`BPF_PSEUDO_MAP_IDX`, `BPF_PSEUDO_MAP_IDX_VALUE`).
//!
//! - [`object`](Object): the result ([`Object`], [`MapDef`], [`ProgramDef`], [`SecDef`]).
//! - [`link`]: several objects linked into one, then opened.
//! - [`OpenOptions`]: what the object is opened against: target BTF, kernel configuration, symbols.
//! - [`ElfError`]: why an object is refused, and where.
#![forbid(unsafe_code)]

mod append;
mod btf_maps;
mod code;
mod corerelo;
mod error;
mod exception;
mod externs;
mod file;
mod finish;
mod info;
mod kconfig;
mod kern_struct_ops;
mod ksyms;
mod layout;
mod legacy;
mod link;
mod maps;
mod model;
mod open;
mod options;
mod patch;
mod relocs;
mod secname;
mod slots;
mod struct_ops;
mod target;

pub use error::ElfError;
pub use link::link;
pub use model::{
    AttachTarget, Endian, ExternDef, ExternKind, ExternValue, FuncInfo, KernStructOps, LineInfo,
    MapDef, MapInit, MapKind, MapSlot, Object, Pinning, ProgramDef, SecDef, SecKind, StructOpsDef,
    StructOpsMember, Subprog,
};
pub use options::{EndianPolicy, HostFeatures, KsymLookup, OpenOptions};
