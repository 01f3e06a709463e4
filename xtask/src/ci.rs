//! `cargo xtask ci`: every check that a change must pass, in the order in which failures are cheapest.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::say;

/// One check: what it is called and the command.
struct Step {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const fn cargo(name: &'static str, args: &'static [&'static str]) -> Step {
    Step { name, program: "cargo", args, env: &[] }
}

const STEPS: &[Step] = &[
    cargo("format", &["fmt", "--all", "--check"]),
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    Step {
        env: &[("RUSTDOCFLAGS", "--deny warnings")],
        ..cargo("documentation", &["doc", "--workspace", "--no-deps", "--quiet"])
    },
    cargo("tests", &["test", "--workspace"]),
    cargo("random programs", &["xtask", "differential", "--programs", "5000", "--seed", "1"]),
];

/// Where Debian's package `linux-source-6.12` puts the kernel's source.
const KERNEL_ARCHIVE: &str = "/usr/src/linux-source-6.12.tar.xz";
/// What of it the object oracle and the self-tests read; unpacked below the build directory, never committed.
const KERNEL_PARTS: &[&str] = &[
    "linux-source-6.12/tools/testing/selftests/bpf",
    "linux-source-6.12/tools/lib/bpf",
    "linux-source-6.12/tools/include",
    "linux-source-6.12/tools/arch/x86",
    "linux-source-6.12/scripts/bpf_doc.py",
];
const KERNEL_DIR: &str = "target/kernel";

const OBJECTS: Step = cargo(
    "objects beside libbpf",
    &[
        "run",
        "--quiet",
        "--release",
        "--package",
        "xtask",
        "--features",
        "oracle",
        "--",
        "objects",
        "--kernel-src",
        "target/kernel/linux-source-6.12",
    ],
);

/// The arrays and the annotated programs; those that only load are left to whoever has more time. The objects are
/// those of the step before.
const SELFTESTS: Step = cargo(
    "the kernel's self-tests",
    &[
        "xtask",
        "selftests",
        "--kernel-src",
        "target/kernel/linux-source-6.12",
        "--work",
        "target/objects",
        "--sources",
        "arrays,annotated",
        "--min-agree",
        "99",
        "--min-messages",
        "96",
    ],
);

/// Runs all steps; stops at the first that fails.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut timed = |step: &Step| -> Result<(), Box<dyn Error>> {
        say(&format!("── {} ──", step.name));
        let start = Instant::now();
        run_step(step)?;
        times.push((step.name, start.elapsed()));
        Ok(())
    };
    for step in STEPS {
        timed(step)?;
    }
    if unpack_kernel()? {
        timed(&OBJECTS)?;
        timed(&SELFTESTS)?;
    }
    for (name, time) in times {
        say(&format!("{:>8.1} s  {name}", time.as_secs_f64()));
    }
    Ok(())
}

fn run_step(step: &Step) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(step.program);
    command.args(step.args).envs(step.env.iter().copied());
    let status = command.status().map_err(|e| format!("{}: {e}", step.program))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", step.name).into()) }
}

/// Whether the kernel's self-tests are there, unpacked. Without the archive CI fails; others skip.
fn unpack_kernel() -> Result<bool, Box<dyn Error>> {
    if KERNEL_PARTS.iter().all(|part| Path::new(KERNEL_DIR).join(part).exists()) {
        return Ok(true);
    }
    if !Path::new(KERNEL_ARCHIVE).exists() {
        let why = format!("{KERNEL_ARCHIVE} is not there (Debian package linux-source-6.12)");
        if std::env::var_os("CI").is_some() {
            return Err(why.into());
        }
        say(&format!("skipped: objects beside libbpf, self-tests: {why}"));
        return Ok(false);
    }
    // Under another name first: an interrupted unpacking must not look finished.
    let partial = format!("{KERNEL_DIR}.partial");
    let _ = std::fs::remove_dir_all(&partial);
    std::fs::create_dir_all(&partial)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--file", KERNEL_ARCHIVE, "--directory", &partial]).args(KERNEL_PARTS);
    let status = tar.status().map_err(|e| format!("tar: {e}"))?;
    if !status.success() {
        return Err(format!("unpacking {KERNEL_ARCHIVE}: {status}").into());
    }
    let _ = std::fs::remove_dir_all(KERNEL_DIR);
    std::fs::rename(&partial, KERNEL_DIR)?;
    Ok(true)
}
