//! [`CoreError`]: why a CO-RE relocation cannot be done at all.
//!
//! A relocation whose target is missing is no error: its instruction is poisoned.

use core::fmt;

use skep_abi::Errno;

use crate::error::BtfError;
use crate::ext::CoreReloKind;
use crate::types::TypeId;

/// Why a CO-RE relocation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoreError {
    /// A type that a relocation refers to is broken.
    Btf(BtfError),
    /// The access string does not describe an access to the root type.
    Access {
        /// Root type.
        root: TypeId,
        /// The access string.
        access: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The root type has no name to search for.
    Anonymous {
        /// Root type.
        root: TypeId,
        /// What the relocation asks for.
        kind: CoreReloKind,
    },
    /// Two candidates put the field at different places.
    AmbiguousOffset {
        /// Name of the root type.
        name: String,
        /// Offset in bits in the first candidate.
        first_bits: u32,
        /// Offset in bits in the other one.
        other_bits: u32,
    },
    /// Two candidates give different results; `None` stands for a failure.
    AmbiguousValue {
        /// Name of the root type.
        name: String,
        /// Value from the first candidate.
        first: Option<u64>,
        /// Value from the other one.
        other: Option<u64>,
    },
    /// Only offset and size can be asked about an array element.
    ArrayElement(CoreReloKind),
    /// A bitfield cannot be read with one load of at most 8 bytes.
    Bitfield {
        /// Offset in bits.
        bit_offset: u32,
        /// Width in bits.
        bits: u32,
    },
    /// Types are nested too deeply to be matched.
    TooDeep,
    /// The instruction cannot carry a relocation.
    Insn {
        /// Slot of the instruction.
        slot: usize,
        /// Its opcode.
        code: u8,
        /// What is wrong.
        reason: &'static str,
    },
    /// The instruction does not hold the value that the program's own types give.
    UnexpectedValue {
        /// Slot of the instruction.
        slot: usize,
        /// The value in the instruction.
        found: u64,
        /// The value that its own types give.
        expected: u64,
    },
    /// An offset does not fit into the 16 bits of an instruction.
    OffsetTooBig {
        /// Slot of the instruction.
        slot: usize,
        /// The offset in bytes.
        offset: u64,
    },
    /// A load or store does not access as many bytes as the field has.
    AccessSize {
        /// Slot of the instruction.
        slot: usize,
        /// Bytes that it accesses; 0 where that is not a plain size.
        found: u32,
        /// Size of the field in bytes.
        expected: u32,
    },
    /// The target field has a size that no load or store has.
    TargetSize {
        /// Slot of the instruction.
        slot: usize,
        /// Size in bytes.
        size: u32,
    },
}

impl CoreError {
    /// The error number that libbpf gives.
    pub fn errno(&self) -> Errno {
        match self {
            CoreError::Anonymous { .. } => Errno::EOPNOTSUPP,
            CoreError::Bitfield { .. } => Errno::E2BIG,
            CoreError::OffsetTooBig { .. } => Errno::ERANGE,
            CoreError::Btf(_)
            | CoreError::Access { .. }
            | CoreError::AmbiguousOffset { .. }
            | CoreError::AmbiguousValue { .. }
            | CoreError::ArrayElement(_)
            | CoreError::TooDeep
            | CoreError::Insn { .. }
            | CoreError::UnexpectedValue { .. }
            | CoreError::AccessSize { .. }
            | CoreError::TargetSize { .. } => Errno::EINVAL,
        }
    }
}

impl From<BtfError> for CoreError {
    fn from(error: BtfError) -> CoreError {
        CoreError::Btf(error)
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |v: &Option<u64>| v.map_or("failure".to_owned(), |v| v.to_string());
        match self {
            CoreError::Btf(error) => write!(f, "CO-RE: {error}"),
            CoreError::Access { root, access, reason } => {
                write!(f, "CO-RE: access \"{access}\" to type [{root}]: {reason}")
            }
            CoreError::Anonymous { root, kind } => write!(
                f,
                "CO-RE: {} relocation against type [{root}], which has no name",
                kind.name()
            ),
            CoreError::AmbiguousOffset { name, first_bits, other_bits } => write!(
                f,
                "CO-RE: field offset in '{name}' is ambiguous: {first_bits} and {other_bits} bits"
            ),
            CoreError::AmbiguousValue { name, first, other } => write!(
                f,
                "CO-RE: result for '{name}' is ambiguous: {} and {}",
                value(first),
                value(other)
            ),
            CoreError::ArrayElement(kind) => {
                write!(f, "CO-RE: {} cannot be asked about an array element", kind.name())
            }
            CoreError::Bitfield { bit_offset, bits } => write!(
                f,
                "CO-RE: {bits} bits at bit {bit_offset} do not fit into one load of 8 bytes"
            ),
            CoreError::TooDeep => write!(f, "CO-RE: types are nested too deeply"),
            CoreError::Insn { slot, code, reason } => {
                write!(f, "CO-RE: instruction {slot} (opcode {code:#04x}): {reason}")
            }
            CoreError::UnexpectedValue { slot, found, expected } => write!(
                f,
                "CO-RE: instruction {slot} holds {found} where its own types give {expected}"
            ),
            CoreError::OffsetTooBig { slot, offset } => {
                write!(f, "CO-RE: instruction {slot}: offset {offset} is above 32767")
            }
            CoreError::AccessSize { slot, found, expected } => write!(
                f,
                "CO-RE: instruction {slot} accesses {found} bytes of a field of {expected} bytes"
            ),
            CoreError::TargetSize { slot, size } => write!(
                f,
                "CO-RE: instruction {slot}: no load or store has the field's size of {size} bytes"
            ),
        }
    }
}

impl core::error::Error for CoreError {}
