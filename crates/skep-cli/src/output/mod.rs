//! Output: [`Out`] writes results to standard output, [`report`] failures to standard error.
//!
//! Nothing else prints. A reader that goes away ends the program quietly, and never as a panic.

mod table;

pub(crate) use table::table;

use crate::failure::Failure;
use core::fmt;
use serde::Serialize;
use std::io::{self, BufWriter, Stdout, Write};
use std::process::ExitCode;

/// Standard output, buffered.
#[derive(Debug)]
pub(crate) struct Out {
    to: BufWriter<Stdout>,
}

impl Out {
    pub(crate) fn stdout() -> Self {
        Self { to: BufWriter::new(io::stdout()) }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|err| Failure::output(&err))
    }

    /// Writes a value as JSON, over several lines.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.to, value)
            .map_err(|err| Failure::output(&io::Error::from(err)))?;
        self.line("")
    }

    /// Writes what is buffered.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|err| Failure::output(&err))
    }
}

/// Tells the user about a failure; gives the exit code.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    if let Some(text) = &failure.text {
        // There is nobody left to tell if standard error is gone.
        let _ = writeln!(io::stderr(), "error: {text}");
    }
    failure.kind.exit_code()
}
