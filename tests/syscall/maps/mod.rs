//! Maps: every operation, flag and errno of each type, on the live kernel and on Skep, equal results.
//!
//! A scenario is generic over [`MapCaller`] and writes a line for each call and its outcome; both
//! callers' lines must be the same. Where they differ, the kernel is right.
#![expect(clippy::print_stdout, reason = "says how many checks ran, or why none did")]

mod arrays;
mod caller;
mod create;
mod hashes;
mod helpers;
mod programs;

use caller::{Kernel, MapCaller, Skep};

/// What a scenario saw: a call and its outcome, in order.
#[derive(Default)]
struct Trace(Vec<(String, String)>);

impl Trace {
    fn note(&mut self, call: impl Into<String>, outcome: &impl core::fmt::Debug) {
        self.0.push((call.into(), format!("{outcome:?}")));
    }
}

/// A scenario, which cannot be a closure since it is generic.
trait Scenario {
    fn run<C: MapCaller>(&self, caller: &C, trace: &mut Trace);
}

/// Runs a scenario on both callers and compares; at least `min_checks` calls must have been made.
fn compare(scenario: &impl Scenario, min_checks: usize) {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let tainted = || skep_host::kernel::tainted().expect("/proc");
    let tainted_before = tainted();
    let (mut kernel, mut skep) = (Trace::default(), Trace::default());
    scenario.run(&Kernel, &mut kernel);
    scenario.run(&Skep, &mut skep);
    let differing: Vec<String> = kernel
        .0
        .iter()
        .zip(&skep.0)
        .filter(|(k, s)| k != s)
        .map(|((call, kernel), (skep_call, skep))| {
            assert_eq!(call, skep_call, "the scenario took another way");
            format!("{call}\n    kernel: {kernel}\n    skep:   {skep}")
        })
        .collect();
    assert!(
        differing.is_empty(),
        "{} of {}:\n{}",
        differing.len(),
        kernel.0.len(),
        differing.join("\n")
    );
    assert_eq!(kernel.0.len(), skep.0.len());
    assert!(kernel.0.len() >= min_checks, "only {} checks", kernel.0.len());
    println!("{} checks", kernel.0.len());
    assert_eq!(tainted(), tainted_before, "the kernel complained");
}
