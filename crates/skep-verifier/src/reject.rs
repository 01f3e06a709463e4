//! Why a program was refused: [`Reject`], [`RejectKind`]; and [`VerifyError`], which also knows bugs of our own.
//!
//! One line of the table is one reason: its errno and the text that the kernel's log has for it. The log and
//! the diagnostic for people (`diag`) are renderings of these values.

use core::fmt;
use skep_abi::Errno;

/// Why `verify` did not give a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VerifyError {
    /// The program was refused; this is the answer for the caller.
    Rejected(Reject),
    /// The verifier contradicts itself; a bug to report, never the program's fault.
    Internal(Bug),
}

/// A contradiction inside the verifier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bug {
    /// Slot that was looked at.
    pub insn_idx: u32,
    /// What should not have been possible.
    pub what: &'static str,
}

/// A refusal: where, with which errno, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// Slot of the offending instruction, as numbered in the program that was given.
    pub insn_idx: u32,
    /// What bpf(2) answers.
    pub errno: Errno,
    /// The reason.
    pub kind: RejectKind,
    /// State of the registers that the instruction reads, as the log prints them; for diagnostics.
    pub regs: Vec<(u8, String)>,
}

impl Reject {
    /// A refusal at `insn_idx` with the errno that belongs to `kind`.
    pub fn new(insn_idx: u32, kind: RejectKind) -> Reject {
        Reject { insn_idx, errno: kind.errno(), kind, regs: Vec::new() }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verifier bug at insn {}: {}", self.insn_idx, self.what)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyError::Rejected(r) => write!(f, "{}: {r} (insn {})", r.errno, r.insn_idx),
            VerifyError::Internal(b) => b.fmt(f),
        }
    }
}

impl core::error::Error for VerifyError {}

impl From<Reject> for VerifyError {
    fn from(r: Reject) -> Self {
        VerifyError::Rejected(r)
    }
}

impl From<Bug> for VerifyError {
    fn from(b: Bug) -> Self {
        VerifyError::Internal(b)
    }
}

macro_rules! kinds {
    ($( $name:ident { $($f:ident : $t:ty),* } = $errno:ident, $fmt:literal $(, $arg:expr)*; )*) => {
        /// A reason. `Display` gives the kernel's message where the kernel has one.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum RejectKind {
            $(#[doc = $fmt] $name { $(#[doc = concat!("`", stringify!($f), "` of the message.")] $f: $t),* },)*
        }

        impl RejectKind {
            /// The errno that bpf(2) answers for it.
            pub fn errno(&self) -> Errno {
                match self { $(RejectKind::$name { .. } => Errno::$errno,)* }
            }
        }

        impl fmt::Display for RejectKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(RejectKind::$name { $($f),* } => write!(f, $fmt $(, $arg)*),)* }
            }
        }
    };
}

kinds! {
    Unsupported { what: String } = EINVAL, "not supported by this verifier: {what}";
    Empty { } = E2BIG, "program has no instructions";
    TooLarge { max: usize } = E2BIG, "program has more than {max} instructions";
    Decode { text: String } = EINVAL, "{text}";
}
