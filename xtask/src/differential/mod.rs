//! `cargo xtask differential`: random programs under the live kernel and under Skep, compared.
//!
//! The work is in `skep_tests::differential`; here are the command line, the progress bar and the report.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use skep_tests::differential::campaign::{Campaign, Finding, Report};
use skep_tests::differential::{Class, corpus};

use crate::say;

/// Options of the command.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many programs.
    #[arg(long, default_value_t = 10_000)]
    programs: u64,
    /// Seed of the first program; the next ones count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Where findings are written, one file each.
    #[arg(long, default_value = "target/differential")]
    corpus: PathBuf,
    /// Judge the programs of these corpus files instead.
    #[arg(long, num_args = 1..)]
    replay: Vec<PathBuf>,
}

/// Runs the campaign; an unsafe accept, a trap or a different result is an error.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let campaign = Campaign::new()?;
    if !args.replay.is_empty() {
        return replay(&campaign, &args.replay);
    }
    let bar = ProgressBar::new(args.programs);
    let style = "{elapsed_precise} {bar:40} {pos}/{len} {per_sec} {msg}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let report = campaign.run(args.seed, args.programs, &mut |report| {
        bar.set_position(report.programs);
        let bad = Class::ALL.iter().filter(|c| c.is_finding()).map(|c| report.count(*c));
        bar.set_message(format!("findings: {}", bad.sum::<u64>()));
    });
    bar.finish_and_clear();
    for finding in &report.findings {
        write(&args.corpus, finding)?;
    }
    if args.json {
        print_json(&report)
    } else {
        print_text(&report, &args.corpus)
    }
    if let Some(why) = report.stopped {
        return Err(why.into());
    }
    let grave = [Class::UnsafeAccept, Class::DifferentResult, Class::Trapped];
    match grave.into_iter().map(|c| report.count(c)).sum() {
        0 => Ok(()),
        n => Err(format!("{n} grave findings, see {}", args.corpus.display()).into()),
    }
}

/// Shows what both judges say of findings of earlier runs.
#[expect(clippy::print_stdout, reason = "the answers are what the command is run for")]
fn replay(campaign: &Campaign, files: &[PathBuf]) -> Result<(), Box<dyn std::error::Error>> {
    let mut left = 0;
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let program = corpus::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let (class, kernel, skep) = campaign.compare(&program);
        println!("{}: {class}", file.display());
        println!("  kernel: {kernel:x?}\n  skep:   {skep:x?}");
        left += usize::from(class.is_finding());
    }
    if left == 0 { Ok(()) } else { Err(format!("{left} of {} remain", files.len()).into()) }
}

fn write(dir: &Path, finding: &Finding) -> Result<(), String> {
    let file = dir.join(format!("{}-{}.txt", finding.class, finding.seed));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&file, corpus::to_text(finding)))
        .map_err(|e| format!("{}: {e}", file.display()))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[expect(clippy::print_stdout, reason = "the report is what the command is run for")]
fn print_text(report: &Report, corpus: &Path) {
    let accepted = share(report.kernel_accepted, report.programs);
    println!("{} programs, the kernel accepts {accepted:.1} %", report.programs);
    for class in Class::ALL {
        println!("{:>8}  {class}", report.count(class));
    }
    for ((class, group), count) in &report.groups {
        println!("{count:>8}  {class}: {group}");
    }
    println!("features of the verifier: programs that ask for them, and those that both accept");
    for (feature, (seen, both)) in &report.features {
        println!("{seen:>8} {both:>8}  {feature}");
    }
    if !report.findings.is_empty() {
        say(&format!("findings are in {}", corpus.display()));
    }
}

#[expect(clippy::print_stdout, reason = "the report is what the command is run for")]
fn print_json(report: &Report) {
    let classes: serde_json::Map<String, serde_json::Value> =
        Class::ALL.iter().map(|c| (c.name().into(), report.count(*c).into())).collect();
    let groups: Vec<_> = report
        .groups
        .iter()
        .map(|((class, group), count)| {
            json!({ "class": class.name(), "reason": group, "count": count })
        })
        .collect();
    let features: serde_json::Map<String, serde_json::Value> = report
        .features
        .iter()
        .map(|(name, (seen, both))| {
            ((*name).to_owned(), json!({ "programs": seen, "accepted": both }))
        })
        .collect();
    let value = json!({
        "programs": report.programs,
        "kernel_accepted": report.kernel_accepted,
        "classes": classes,
        "groups": groups,
        "features": features,
        "stopped": report.stopped,
    });
    println!("{value:#}");
}
