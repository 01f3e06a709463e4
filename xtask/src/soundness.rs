//! `cargo xtask soundness`: runs what the verifier accepts, with every access checked, and hopes for nothing to happen.
//!
//! The work is in `skep_tests::differential::soundness`; it needs no live kernel.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use skep_tests::differential::soundness::{Progress, Trapped, hunt};

/// Options of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many checked runs.
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Seed of the first program; the next ones count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the hunt; a run that traps is an error.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let progress = Progress::default();
    let bar = ProgressBar::new(args.runs);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} {bar:40} {pos}/{len} {per_sec}",
    )?);
    let results = thread::scope(|scope| {
        let hunts: Vec<_> = (0..args.threads.max(1))
            .map(|n| {
                let (first, step) = (args.seed.wrapping_add(n), args.threads.max(1));
                let progress = &progress;
                scope.spawn(move || hunt(first, step, args.runs, progress))
            })
            .collect();
        while hunts.iter().any(|h| !h.is_finished()) {
            bar.set_position(progress.runs.load(Ordering::Relaxed));
            thread::sleep(Duration::from_millis(200));
        }
        hunts.into_iter().map(|h| h.join()).collect::<Vec<_>>()
    });
    bar.finish_and_clear();
    let mut trapped = Vec::new();
    for result in results {
        trapped.extend(result.map_err(|_| "a hunt panicked")??);
    }
    report(args, &progress, &trapped)?;
    match trapped.first() {
        None => Ok(()),
        Some(t) => Err(format!("the program of seed {} trapped: {}", t.seed, t.why).into()),
    }
}

#[expect(clippy::print_stdout, reason = "the report is what the command is run for")]
fn report(args: &Args, progress: &Progress, trapped: &[Trapped]) -> Result<(), serde_json::Error> {
    let of = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    let (programs, accepted, runs) =
        (of(&progress.programs), of(&progress.accepted), of(&progress.runs));
    if args.json {
        let trapped: Vec<_> =
            trapped.iter().map(|t| json!({ "seed": t.seed, "why": t.why })).collect();
        let value = json!({
            "programs": programs, "accepted": accepted, "runs": runs, "trapped": trapped,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        println!(
            "{programs} programs, {accepted} accepted, {runs} checked runs, {} trapped",
            trapped.len()
        );
    }
    Ok(())
}
