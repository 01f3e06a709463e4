//! [`System`]: loads programs and maps and runs them.
//!
//! `check` judges programs without making anything to run, `env` is what the verifier may ask, `load` takes objects apart, `program` is what comes out, and `test_run` runs
//! it as `BPF_PROG_TEST_RUN` does.

mod attach;
mod check;
mod env;
mod error;
mod load;
mod program;
mod test_run;

pub use check::{CheckOptions, Checked, map_props};
pub use error::{LoadError, LoadErrorKind, RunError};
pub use load::{LoadOptions, Loaded, LoadedMap, RawProgram, map_spec};
pub use program::Program;
pub use test_run::{TestRun, TestRunOutput};

use skep_btf::Btf;
use skep_vm::Mode;
use std::sync::Arc;

/// The subsystem of one process.
#[derive(Debug)]
pub struct System {
    pub(crate) mode: Mode,
    pub(crate) kernel_btf: Option<Arc<Btf>>,
    pub(crate) unprivileged: UnprivilegedBpf,
}

/// Whether programs may be loaded without CAP_BPF (`kernel.unprivileged_bpf_disabled`, Documentation/admin-guide/sysctl).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnprivilegedBpf {
    /// They may: 0.
    Allowed,
    /// They may not, as on a kernel that was not told otherwise: 1, which stays, or 2.
    #[default]
    Disabled,
}

impl System {
    /// A system whose verified programs run without checks.
    pub fn new() -> System {
        System { mode: Mode::Trusted, kernel_btf: None, unprivileged: UnprivilegedBpf::Disabled }
    }

    /// A system that checks each access of its programs: for tests, where a trap is a bug in the verifier.
    pub fn with_checks() -> System {
        System { mode: Mode::Checked, ..System::new() }
    }

    /// The same system, for programs that use the types of this kernel (its `/sys/kernel/btf/vmlinux`).
    #[must_use]
    pub fn with_kernel_btf(self, btf: Arc<Btf>) -> System {
        System { kernel_btf: Some(btf), ..self }
    }

    /// The same system, with this setting for who loads without CAP_BPF.
    #[must_use]
    pub fn with_unprivileged_bpf(self, unprivileged: UnprivilegedBpf) -> System {
        System { unprivileged, ..self }
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
