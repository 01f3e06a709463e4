//! `cargo xtask ci`: every check that a change must pass, in the order in which failures are cheapest.

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
    cargo("generated uapi", &["xtask", "uapi", "--check"]),
];

/// Runs all steps; stops at the first that fails.
pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for step in STEPS {
        say(&format!("── {} ──", step.name));
        let start = Instant::now();
        let mut command = Command::new(step.program);
        command.args(step.args).envs(step.env.iter().copied());
        let status = command.status().map_err(|e| format!("{}: {e}", step.program))?;
        if !status.success() {
            return Err(format!("{}: {status}", step.name).into());
        }
        times.push((step.name, start.elapsed()));
    }
    for (name, time) in times {
        say(&format!("{:>8.1} s  {name}", time.as_secs_f64()));
    }
    Ok(())
}
