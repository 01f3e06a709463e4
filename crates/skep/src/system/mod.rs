//! [`System`]: loads programs and maps and runs them.
//!
//! `env` is what the verifier may ask, `load` takes objects apart, `program` is what comes out, and `test_run` runs
//! it as `BPF_PROG_TEST_RUN` does.

mod env;
mod error;
mod load;
mod program;
mod test_run;

pub use error::{LoadError, LoadErrorKind, RunError};
pub use load::{LoadOptions, Loaded, LoadedMap, RawProgram, map_spec};
pub use program::Program;
pub use test_run::{TestRun, TestRunOutput};

use skep_vm::Mode;

/// The subsystem of one process.
#[derive(Debug)]
pub struct System {
    pub(crate) mode: Mode,
}

impl System {
    /// A system whose verified programs run without checks.
    pub fn new() -> System {
        System { mode: Mode::Trusted }
    }

    /// A system that checks each access of its programs: for tests, where a trap is a bug in the verifier.
    pub fn with_checks() -> System {
        System { mode: Mode::Checked }
    }

    /// How programs run.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl Default for System {
    fn default() -> System {
        System::new()
    }
}
