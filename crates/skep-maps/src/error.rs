//! [`CreateError`]: why a map could not be created.

use core::fmt;
use skep_abi::Errno;

/// Why a map could not be created: the kernel's errno, and the reason in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateError {
    errno: Errno,
    reason: String,
}

impl CreateError {
    pub(crate) fn new(errno: Errno, reason: impl Into<String>) -> CreateError {
        CreateError { errno, reason: reason.into() }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> CreateError {
        CreateError::new(Errno::EINVAL, reason)
    }

    /// What the kernel answers.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// What is wrong, and what would have been right.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.errno)
    }
}

impl core::error::Error for CreateError {}

impl From<CreateError> for Errno {
    fn from(e: CreateError) -> Errno {
        e.errno
    }
}
