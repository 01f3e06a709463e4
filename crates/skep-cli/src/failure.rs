//! [`Failure`]: why a command ends early, and with which exit code.

use core::fmt;
use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What sort of failure; decides the exit code, as `skep --help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailureKind {
    /// An object could not be loaded or a program was rejected.
    Load,
    /// The command line asks for something that is not there.
    Usage,
    /// A file could not be read or written, or is damaged.
    File,
    /// The capture's link type does not suit the program.
    LinkType,
    /// A bug of ours.
    Bug,
    /// Whoever reads our output went away: nothing to report.
    OutputClosed,
}

impl FailureKind {
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::OutputClosed => 0,
            Self::Load => 1,
            Self::Usage => 2,
            Self::File => 3,
            Self::LinkType => 4,
            Self::Bug => 5,
        })
    }
}

/// A failure, with the text that the user sees: the thing, the place, the reason.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// `None` if everything is said already.
    pub(crate) text: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: Some(text.into()) }
    }

    /// Everything is said already; only the exit code is left.
    pub(crate) fn reported(kind: FailureKind) -> Self {
        Self { kind, text: None }
    }

    /// About a file, with the cause and its causes.
    pub(crate) fn file(kind: FailureKind, path: &Path, cause: &(dyn Error + 'static)) -> Self {
        Self::new(kind, format!("{}: {}", path.display(), Chain(cause)))
    }

    /// The same failure, with what it is about before the text.
    pub(crate) fn about(self, what: impl fmt::Display) -> Self {
        Self { kind: self.kind, text: self.text.map(|text| format!("{what}: {text}")) }
    }

    /// Output that could not be written.
    pub(crate) fn output(err: &io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Self::reported(FailureKind::OutputClosed),
            _ => Self::new(FailureKind::File, format!("standard output: {err}")),
        }
    }
}

/// An error and what caused it: `a: b: c`, leaving out a cause that the text before repeats.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(err) = cause {
            let text = err.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = err.source();
        }
        Ok(())
    }
}
