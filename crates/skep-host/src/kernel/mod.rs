//! The live kernel's bpf(2), as the oracle that tests compare Skep with.
//!
//! [`available`] says whether there is one; [`KernelMap`], [`KernelProg`] and [`ClassicSocket`] wrap what tests need.
//! Commands and attribute offsets: `linux/bpf.h` of Linux 6.18, `union bpf_attr`.

mod classic;
mod map;
mod privilege;
mod prog;
mod sys;

pub use classic::{ClassicSocket, seccomp_accepts};
pub use map::{KernelMap, MapTypes, possible_cpus};
pub use privilege::{UnprivilegedBpf, unprivileged, with_only};
pub use prog::{KernelBtf, KernelProg, LoadAttr, LoadError, TestRun, TestRunOutput};

/// Why there is no oracle on this machine; a test prints it and skips.
#[derive(Clone, Debug)]
pub struct Unavailable(String);

impl core::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no live kernel to compare with: {}", self.0)
    }
}

/// Whether bpf(2) is usable here with all privileges, on the reference version.
///
/// # Errors
/// Names what is missing: another kernel version, or the errno of a two-instruction program's load.
///
/// # Panics
/// When the environment has `CI` set and the oracle is not usable: there, tests must not skip.
pub fn available() -> Result<(), Unavailable> {
    let answer = probe();
    if let Err(why) = &answer {
        assert!(std::env::var_os("CI").is_none(), "{why}, but CI demands it");
    }
    answer
}

fn probe() -> Result<(), Unavailable> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_err(|e| Unavailable(format!("/proc/sys/kernel/osrelease: {e}")))?;
    if !release.starts_with("6.18.") {
        return Err(Unavailable(format!("this is Linux {}, not 6.18", release.trim())));
    }
    let insns = [
        skep_abi::insn::RawInsn { code: 0xb7, ..Default::default() },
        skep_abi::insn::RawInsn { code: 0x95, ..Default::default() },
    ];
    // A scheduler classifier needs CAP_BPF and CAP_NET_ADMIN, which the comparisons do too.
    match KernelProg::load(&LoadAttr { prog_type: 3, insns: &insns, ..LoadAttr::default() }) {
        Ok(_) => Ok(()),
        Err(e) => Err(Unavailable(format!("loading a program fails with {}", e.errno))),
    }
}

/// The kernel's taint flags; a change means that it can no longer be trusted as an oracle.
///
/// # Errors
/// Of reading `/proc/sys/kernel/tainted`.
pub fn tainted() -> std::io::Result<u64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/tainted")?;
    text.trim().parse().map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
}
