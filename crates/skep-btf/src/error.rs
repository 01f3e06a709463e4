//! [`BtfError`]: what is wrong with BTF, and where.

use core::fmt;

use skep_abi::Errno;

use crate::types::{Kind, TypeId};

/// Why BTF was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BtfError {
    /// The header or the layout of the sections is wrong.
    Header(HeaderFault),
    /// One type is wrong.
    Type {
        /// Its id.
        id: TypeId,
        /// Its kind, where the kind is known.
        kind: Option<Kind>,
        /// Its name, empty where it has none.
        name: String,
        /// What is wrong.
        fault: TypeFault,
    },
    /// No type has this id.
    NoSuchType {
        /// The id that was asked for.
        id: TypeId,
        /// One more than the highest id that exists.
        end: u32,
    },
}

/// What is wrong with a header or with the layout of sections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderFault {
    /// Fewer bytes than a header has.
    Truncated {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The first two bytes are not `0xeb9f` in either byte order.
    Magic(u16),
    /// The data is in the other byte order and the caller asked for the host's.
    Foreign,
    /// Only version 1 exists.
    Version(u8),
    /// No flags are defined.
    Flags(u8),
    /// The header is longer than known and its tail is not zero.
    UnknownTail,
    /// A section does not lie within the data; the name of the section, its offset from the end of the header, its length and the bytes there are.
    Section {
        /// `type`, `string`, `func_info`, `line_info` or `core_relo`.
        name: &'static str,
        /// Offset from the end of the header in bytes.
        off: u32,
        /// Length in bytes.
        len: u32,
        /// Bytes after the header.
        have: usize,
    },
    /// A section does not start at a multiple of four bytes.
    Unaligned {
        /// Name of the section.
        name: &'static str,
        /// Offset from the end of the header in bytes.
        off: u32,
    },
    /// Two sections overlap, or there is a hole between or after them (kernel strictness only).
    Layout(&'static str),
    /// The string section is empty, or does not begin or end with a NUL byte.
    Strings(&'static str),
    /// The string section has bytes that are not UTF-8, first at this offset.
    NotUtf8(usize),
    /// There are no types (kernel strictness only).
    NoTypes,
    /// More types than [`crate::Btf`] can number.
    TooManyTypes,
    /// A record size in `.BTF.ext` is too small or not a multiple of four.
    RecordSize {
        /// Name of the section.
        name: &'static str,
        /// What the data says.
        size: u32,
        /// The least that is right.
        min: u32,
    },
    /// The records of a section in `.BTF.ext` end in the middle of one.
    Records {
        /// Name of the section.
        name: &'static str,
        /// Offset in that section in bytes.
        at: usize,
    },
    /// A string offset in `.BTF.ext` points nowhere.
    StringOffset {
        /// Name of the section.
        name: &'static str,
        /// The offset.
        off: u32,
    },
    /// A section in `.BTF.ext` claims to hold no records.
    NoRecords {
        /// Name of the section.
        name: &'static str,
        /// Offset in that section in bytes.
        at: usize,
    },
    /// A CO-RE relocation has a kind that does not exist.
    ReloKind(u32),
}

/// What is wrong with a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeFault {
    /// The type section ends in the middle of it.
    Truncated,
    /// No such kind.
    UnknownKind(u32),
    /// It refers to an id that does not exist.
    TypeId(u32),
    /// It refers to a string that does not exist.
    StringOffset(u32),
    /// A rule of the kernel is broken; the text is the kernel's own where it has one.
    Rule(&'static str),
    /// A rule of the kernel is broken at one member, value, parameter or variable, numbered from 0.
    At {
        /// Which one.
        index: usize,
        /// Its name, empty where it has none.
        name: String,
        /// What is wrong.
        rule: &'static str,
    },
    /// Right, but the kernel does not support it.
    Unsupported(&'static str),
    /// Its references lead back to itself without a pointer or function in between.
    Cycle,
    /// References are nested deeper than this.
    TooDeep(usize),
    /// Its text would be too long.
    TooLarge,
    /// A size or offset does not fit.
    Overflow,
}

impl BtfError {
    /// The error number that bpf(2) gives for it (`btf_parse`, kernel/bpf/btf.c).
    pub fn errno(&self) -> Errno {
        match self {
            BtfError::Header(HeaderFault::Version(_) | HeaderFault::Flags(_))
            | BtfError::Type { fault: TypeFault::Unsupported(_), .. } => Errno::ENOTSUPP,
            BtfError::Type { fault: TypeFault::Cycle, .. } => Errno::EEXIST,
            BtfError::Header(HeaderFault::UnknownTail | HeaderFault::TooManyTypes) => Errno::E2BIG,
            BtfError::Type { fault: TypeFault::TooDeep(_), .. } => Errno::E2BIG,
            BtfError::Header(_) | BtfError::Type { .. } | BtfError::NoSuchType { .. } => {
                Errno::EINVAL
            }
        }
    }
}

impl From<HeaderFault> for BtfError {
    fn from(fault: HeaderFault) -> BtfError {
        BtfError::Header(fault)
    }
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BtfError::Header(fault) => write!(f, "BTF: {fault}"),
            BtfError::Type { id, kind, name, fault } => {
                write!(f, "BTF type [{}]", id.0)?;
                if let Some(kind) = kind {
                    write!(f, " {kind}")?;
                }
                if !name.is_empty() {
                    write!(f, " '{name}'")?;
                }
                write!(f, ": {fault}")
            }
            BtfError::NoSuchType { id, end } => {
                write!(f, "BTF has no type [{}]: ids end before {end}", id.0)
            }
        }
    }
}

impl core::error::Error for BtfError {}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::Truncated { need, have } => {
                write!(f, "truncated: {have} bytes where at least {need} are needed")
            }
            HeaderFault::Magic(m) => write!(f, "bad magic {m:#06x}, expected 0xeb9f"),
            HeaderFault::Foreign => write!(f, "byte order is not the host's"),
            HeaderFault::Version(v) => write!(f, "unsupported version {v}, expected 1"),
            HeaderFault::Flags(v) => write!(f, "unsupported flags {v:#x}, expected 0"),
            HeaderFault::UnknownTail => {
                write!(f, "the header is longer than known and its tail is not zero")
            }
            HeaderFault::Section { name, off, len, have } => write!(
                f,
                "{name} section at offset {off} with length {len} does not fit into {have} bytes"
            ),
            HeaderFault::Unaligned { name, off } => {
                write!(f, "{name} section at offset {off}, which is not a multiple of 4")
            }
            HeaderFault::Layout(what) => write!(f, "{what}"),
            HeaderFault::Strings(what) => write!(f, "string section {what}"),
            HeaderFault::NotUtf8(at) => write!(f, "string section is not UTF-8 at offset {at}"),
            HeaderFault::NoTypes => write!(f, "no types"),
            HeaderFault::TooManyTypes => write!(f, "too many types"),
            HeaderFault::RecordSize { name, size, min } => {
                write!(f, "{name} record size {size} is not a multiple of 4 that is at least {min}")
            }
            HeaderFault::Records { name, at } => {
                write!(f, "{name} section ends in the middle of a record at offset {at}")
            }
            HeaderFault::StringOffset { name, off } => {
                write!(f, "{name} section refers to a string at offset {off}, which does not exist")
            }
            HeaderFault::NoRecords { name, at } => {
                write!(f, "{name} section has an entry with no records at offset {at}")
            }
            HeaderFault::ReloKind(kind) => {
                write!(f, "core_relo section has a relocation of unknown kind {kind}")
            }
        }
    }
}

impl fmt::Display for TypeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeFault::Truncated => write!(f, "the type section ends in the middle of it"),
            TypeFault::UnknownKind(kind) => write!(f, "unknown kind {kind}"),
            TypeFault::TypeId(id) => write!(f, "refers to type [{id}], which does not exist"),
            TypeFault::StringOffset(off) => {
                write!(f, "refers to a string at offset {off}, which does not exist")
            }
            TypeFault::Rule(rule) | TypeFault::Unsupported(rule) => write!(f, "{rule}"),
            TypeFault::At { index, name, rule } if name.is_empty() => {
                write!(f, "entry {index}: {rule}")
            }
            TypeFault::At { index, name, rule } => write!(f, "entry {index} '{name}': {rule}"),
            TypeFault::Cycle => write!(f, "contains itself"),
            TypeFault::TooDeep(limit) => write!(f, "references are nested deeper than {limit}"),
            TypeFault::TooLarge => write!(f, "as text it is too long"),
            TypeFault::Overflow => write!(f, "a size or offset does not fit"),
        }
    }
}
