//! [`LoadError`] and [`RunError`]: why something could not be loaded or run.

use core::fmt;
use skep_abi::Errno;
use skep_btf::fields::{FieldError, FieldKind};
use skep_maps::CreateError;
use skep_verifier::VerifyError;
use skep_vm::{ProgError, Trap};

/// Why an object or a program could not be loaded.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// Name of the map or program.
    pub name: String,
    /// What is wrong with it.
    pub kind: LoadErrorKind,
}

/// See [`LoadError`].
#[derive(Clone, Debug)]
pub enum LoadErrorKind {
    /// The map could not be created.
    Map(CreateError),
    /// The type of the map's value breaks the rules for members that only the kernel may touch.
    MapFields(FieldError),
    /// The map's value has a member that only the kernel may touch (`struct bpf_spin_lock` and the like): Skep does not
    /// implement them, and to treat them as plain memory would be unsound.
    MapSpecial {
        /// What it is.
        kind: FieldKind,
        /// Where in the value, in bytes.
        offset: u32,
    },
    /// The map's initial content could not be stored.
    MapContent(Errno),
    /// The map refers to what is not loaded or not supported.
    MapSlot {
        /// Key of the element.
        key: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// Skep has no such program type.
    ProgType {
        /// `BPF_PROG_TYPE_*`.
        number: u32,
        /// What the type is called, and why it is not there.
        reason: String,
    },
    /// The loader lacks CAP_BPF, and the system does not let such load programs.
    NotPermitted,
    /// The verifier refused the program.
    Verify {
        /// Why.
        error: Box<VerifyError>,
        /// The log in the kernel's notation, as far as it was asked for.
        log: String,
    },
    /// The verified program could not be made ready: a bug.
    Link(ProgError),
    /// What the program is to attach to is not there.
    AttachTarget {
        /// What is wrong.
        reason: String,
    },
    /// The program calls a helper that is judged, but has no code.
    NoCode {
        /// Name and number, as in messages.
        helper: String,
        /// Why there is none.
        note: &'static str,
    },
    /// The object has no program of this name.
    NoProgram,
}

impl LoadError {
    pub(crate) fn new(name: &str, kind: LoadErrorKind) -> LoadError {
        LoadError { name: name.to_owned(), kind }
    }

    /// What the kernel answers.
    pub fn errno(&self) -> Errno {
        match &self.kind {
            LoadErrorKind::Map(e) => e.errno(),
            LoadErrorKind::MapFields(e) => e.errno(),
            LoadErrorKind::MapSpecial { .. } => Errno::EOPNOTSUPP,
            LoadErrorKind::MapContent(e) => *e,
            LoadErrorKind::MapSlot { .. } | LoadErrorKind::ProgType { .. } => Errno::EINVAL,
            LoadErrorKind::Verify { error, .. } => match error.as_ref() {
                VerifyError::Rejected(r) => r.errno,
                VerifyError::Internal(_) => Errno::EINVAL,
            },
            LoadErrorKind::Link(_) | LoadErrorKind::NoCode { .. } => Errno::EINVAL,
            LoadErrorKind::AttachTarget { .. } => Errno::ESRCH,
            LoadErrorKind::NotPermitted => Errno::EPERM,
            LoadErrorKind::NoProgram => Errno::ENOENT,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.kind {
            LoadErrorKind::Map(e) => write!(f, "map '{name}': {e}"),
            LoadErrorKind::MapFields(e) => write!(f, "map '{name}': value: {e}"),
            LoadErrorKind::MapSpecial { kind, offset } => {
                let kind = kind.name();
                write!(f, "map '{name}': its value has a {kind} at offset {offset}: unsupported")
            }
            LoadErrorKind::MapContent(e) => write!(f, "map '{name}': initial content: {e}"),
            LoadErrorKind::MapSlot { key, reason } => {
                write!(f, "map '{name}': initial element {key}: {reason}")
            }
            LoadErrorKind::ProgType { number, reason } => {
                write!(f, "program '{name}': type {number}: {reason}")
            }
            LoadErrorKind::Verify { error, .. } => write!(f, "program '{name}': {error}"),
            LoadErrorKind::AttachTarget { reason } => write!(f, "program '{name}': {reason}"),
            LoadErrorKind::Link(e) => write!(f, "program '{name}': {e}"),
            LoadErrorKind::NotPermitted => write!(
                f,
                "program '{name}': loading without CAP_BPF is disabled (kernel.unprivileged_bpf_disabled)"
            ),
            LoadErrorKind::NoCode { helper, note } => {
                write!(f, "program '{name}': helper {helper} is judged, but cannot be run: {note}")
            }
            LoadErrorKind::NoProgram => write!(f, "there is no program '{name}' in the object"),
        }
    }
}

impl core::error::Error for LoadError {}

/// Why a program did not run to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunError {
    /// The input is not what the program type runs on.
    Refused {
        /// What the kernel answers.
        errno: Errno,
        /// What is wrong with the input.
        reason: &'static str,
    },
    /// The run was stopped.
    Trap(Trap),
}

impl RunError {
    pub(crate) fn refused(errno: Errno, reason: &'static str) -> RunError {
        RunError::Refused { errno, reason }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Refused { errno, reason } => write!(f, "{reason}: {errno}"),
            RunError::Trap(trap) => trap.fmt(f),
        }
    }
}

impl core::error::Error for RunError {}

impl From<Trap> for RunError {
    fn from(trap: Trap) -> RunError {
        RunError::Trap(trap)
    }
}
