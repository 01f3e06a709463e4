//! BTF, the BPF Type Format: parse, validate, build, dump as C, relocate (CO-RE).
//!
//! - [`Btf`]: a set of types with their strings, parsed from bytes, possibly split on a base.
//! - [`Type`]: a view of one type; [`TypeView`] is its decoded form.
//! - [`build`]: make BTF, append one set to another.
//! - [`core`]: CO-RE relocation against another set of types.
//! - [`dump`]: BTF as text.
//! - [`ext`]: the `.BTF.ext` section: function, line and CO-RE relocation records.
//! - [`fields`]: members that only the kernel may touch.
//! - [`validate`]: the kernel's rules.
//! - [`value`]: bytes decoded by a type.
//!
//! Source: Documentation/bpf/btf.rst and include/uapi/linux/btf.h of Linux 6.18.
//!
//! [`Btf::parse`] guarantees a memory-safe structure: every type lies inside the section, every kind
//! is known, every type id and string offset points into the set. It accepts what a compiler emits into
//! an unlinked object. The strict rules of `BPF_BTF_LOAD` are in [`validate`].
#![forbid(unsafe_code)]

mod btf;
pub mod build;
pub mod core;
mod dedup;
pub mod dump;
mod edit;
mod error;
pub mod ext;
pub mod fields;
mod names;
mod parse;
mod slots;
mod types;
pub mod validate;
pub mod value;

pub use btf::{Btf, essential_name};
pub use error::{BtfError, HeaderFault, TypeFault};
pub use parse::{ByteOrder, Foreign, ParseOptions};
pub use types::{
    Array, Composite, Datasec, Enum, EnumValue, Enumerators, FuncLinkage, FuncProto, FwdKind, Int,
    Kind, Member, Members, Param, Params, SecVar, SecVars, Type, TypeId, TypeView, VarLinkage,
};
