//! [`Trap`]: why and where a run was stopped.

use core::fmt;
use skep_abi::insn::Size;

/// A run that was stopped. A verified program outside checked mode traps only for lack of budget; in
/// checked mode any other trap of a verified program is a bug in the verifier or in a helper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trap {
    /// Slot of the instruction, in the program that ran it.
    pub slot: u32,
    /// Why.
    pub kind: TrapKind,
}

/// Direction of a memory access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Load.
    Read,
    /// Store.
    Write,
    /// Atomic read-modify-write.
    ReadWrite,
}

/// Why a run was stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrapKind {
    /// Memory that the run may not touch in this way.
    BadAccess {
        /// First byte.
        addr: u64,
        /// Length in bytes.
        len: usize,
        /// Direction.
        access: Access,
    },
    /// An atomic access that is not aligned to its size.
    Misaligned {
        /// Address.
        addr: u64,
        /// Size of the access.
        size: Size,
    },
    /// A helper was given an argument that its prototype excludes.
    BadArgument {
        /// Name of the helper.
        helper: &'static str,
        /// Argument, 1 to 5.
        arg: u8,
        /// What it must be.
        wanted: &'static str,
    },
    /// Execution ran past the last instruction.
    OutOfProgram,
    /// More than 8 frames, or nested callbacks beyond that.
    CallDepth,
    /// The run's instruction budget is used up.
    InsnBudget,
    /// An instruction that no engine runs; programs with it do not verify.
    Unsupported(&'static str),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trap at insn {}: {}", self.slot, self.kind)
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrapKind::BadAccess { addr, len, access } => {
                let verb = match access {
                    Access::Read => "read",
                    Access::Write => "write",
                    Access::ReadWrite => "atomic access",
                };
                write!(f, "{verb} of {len} bytes at {addr:#x}, outside what the program may touch")
            }
            TrapKind::Misaligned { addr, size } => {
                write!(f, "atomic access of {} bytes at unaligned address {addr:#x}", size.bytes())
            }
            TrapKind::BadArgument { helper, arg, wanted } => {
                write!(f, "argument {arg} of helper {helper} is not {wanted}")
            }
            TrapKind::OutOfProgram => f.write_str("execution ran past the last instruction"),
            TrapKind::CallDepth => f.write_str("calls nested deeper than 8 frames"),
            TrapKind::InsnBudget => f.write_str("the instruction budget is used up"),
            TrapKind::Unsupported(what) => write!(f, "{what} cannot be executed"),
        }
    }
}

impl core::error::Error for Trap {}
