//! `xtask selftests`: loads the kernel's self-tests with Skep and with the live kernel, program by program, and compares.
//!
//! - [`arrays`], [`programs`] (with `tags` and `attach`): what is loaded, as [`input::Case`]s;
//! - [`native`] (with `cache`), [`ours`]: the two answers;
//! - [`judge`], [`known`], [`report`]: how they compare.
//!
//! The tree is read when this runs; nothing of it is kept here. It needs root, and for loads without privileges it
//! sets `kernel.unprivileged_bpf_disabled` to 0 for as long as it asks.

mod arrays;
mod attach;
mod cache;
mod input;
mod judge;
mod known;
mod native;
mod ours;
mod pattern;
mod programs;
mod report;
mod tags;

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;

use skep_host::kernel::{UnprivilegedBpf, tainted};

use self::cache::Cache;
use self::input::{Case, Mode, Source};
use self::judge::{Class, Line};
use self::known::Known;
use self::ours::{Logs, Skep};
use self::programs::NotLoadable;
use crate::objects::build;
use crate::objects::host::Host;
use crate::say;

/// Of the thread that verifies: what Skep does with deep programs must not depend on the main thread's limit.
const STACK_BYTES: usize = 256 << 20;

/// `xtask selftests`
#[derive(clap::Args, Clone)]
pub(crate) struct Args {
    /// Tree of a kernel's source.
    #[arg(long)]
    kernel_src: PathBuf,
    /// Take objects from here instead of building those of the tree.
    #[arg(long)]
    objects: Option<PathBuf>,
    /// Only these: arrays, annotated, other; several with commas.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<String>,
    /// Only cases whose name (file/program) contains this.
    #[arg(long)]
    filter: Option<String>,
    /// File with the live kernel's answers of earlier runs.
    #[arg(long, default_value = "target/selftests/native.jsonl")]
    native_cache: PathBuf,
    /// File to lock while unprivileged BPF is allowed.
    #[arg(long)]
    unpriv_lock: Option<PathBuf>,
    /// One row for each file.
    #[arg(long)]
    verbose: bool,
    /// List cases: unsafe, reject, unsupported, bug, not-asked, agree, message, errno, retval, not-run, line, unexplained, known.
    #[arg(long)]
    list: Option<String>,
    /// Print program and logs of cases whose name contains this.
    #[arg(long)]
    show: Option<String>,
    /// List why programs are unsupported, the most frequent first.
    #[arg(long)]
    unsupported: bool,
    /// List programs that cannot be loaded alone.
    #[arg(long)]
    not_loadable: bool,
    /// Print time and instructions.
    #[arg(long)]
    times: bool,
    /// Fail if fewer of the verdicts agree, in percent.
    #[arg(long, default_value_t = 0.0)]
    min_agree: f64,
    /// Fail if fewer of the expected messages are there, in percent.
    #[arg(long, default_value_t = 0.0)]
    min_messages: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Where things are built and kept.
    #[arg(long, default_value = "target/selftests")]
    work: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let args = args.clone();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        // Errors of others need not be `Send`.
        run_here(&args).map_err(|e| e.to_string())
    })?;
    thread.join().map_err(|_| "the run panicked")??;
    Ok(())
}

fn run_here(args: &Args) -> Result<(), Box<dyn Error>> {
    let host = Host::read()?;
    let (cases, not_loadable) = cases(args, &host)?;
    say(&format!("{} cases", cases.len()));
    let mut cache = Cache::open(&args.native_cache)?;
    let keys: Vec<String> = cases.iter().map(|c| cache.key(c)).collect();
    ask_kernel(args, &cases, &keys, &mut cache)?;
    ours::keep_panics();
    let logs = if args.show.is_some() { Logs::All } else { Logs::Compared };
    let skep = Skep::new(host.btf().clone(), logs);
    let mut known = Known::read()?;
    let mut lines = Vec::with_capacity(cases.len());
    for (case, key) in cases.iter().zip(&keys) {
        let kernel = cache.get(key).cloned().ok_or("an answer is missing")?;
        let here = skep.ask(case);
        let mut line = judge::judge(case, kernel, here);
        known.explain(&mut line);
        lines.push(line);
    }
    drop(std::panic::take_hook());
    print(args, &cases, &lines, &not_loadable);
    finish(args, &lines, &known)
}

/// All cases, and what cannot be one.
fn cases(args: &Args, host: &Host) -> Result<(Vec<Case>, Vec<NotLoadable>), Box<dyn Error>> {
    let wants =
        |source: Source| args.sources.is_empty() || args.sources.iter().any(|s| s == source.text());
    let (mut cases, mut not_loadable) = (Vec::new(), Vec::new());
    if wants(Source::Array) {
        cases = arrays::cases(&args.kernel_src, &args.work, host.btf())?;
    }
    if wants(Source::Annotated) || wants(Source::Plain) {
        let objects = match &args.objects {
            Some(dir) => build::objects_in(dir)?,
            None => {
                let built = build::selftests(&args.kernel_src, &args.work)?;
                for (file, error) in built.failed {
                    let (program, reason) = (String::new(), format!("does not compile: {error}"));
                    not_loadable.push(NotLoadable { file, program, reason });
                }
                built.objects
            }
        };
        for path in &objects {
            programs::cases(path, host, &mut cases, &mut not_loadable);
        }
    }
    cases.retain(|c| {
        let filter = args.filter.as_ref().or(args.show.as_ref());
        wants(c.source) && filter.is_none_or(|f| c.id().contains(f.as_str()))
    });
    Ok((cases, not_loadable))
}

/// Puts before the kernel what it was not asked before. Stops when that changes how far it can be trusted.
fn ask_kernel(
    args: &Args,
    cases: &[Case],
    keys: &[String],
    cache: &mut Cache,
) -> Result<(), Box<dyn Error>> {
    let new = |mode: Mode, cache: &Cache| -> Vec<usize> {
        let is_new = |i: &usize| cases[*i].mode == mode && cache.get(&keys[*i]).is_none();
        (0..cases.len()).filter(is_new).collect()
    };
    let before = tainted()?;
    for mode in Mode::ALL {
        let new = new(mode, cache);
        if new.is_empty() {
            continue;
        }
        say(&format!("asking the kernel {} times, {}", new.len(), mode.text()));
        let lock = match (&args.unpriv_lock, mode) {
            (Some(path), Mode::Unprivileged) => {
                let file = File::options().create(true).append(true).open(path)?;
                file.lock()?;
                Some(file)
            }
            _ => None,
        };
        let allowed = match mode {
            Mode::Privileged => None,
            Mode::Unprivileged => Some(UnprivilegedBpf::allow()?),
        };
        for i in new {
            let answer = native::ask(&cases[i]);
            let after = tainted()?;
            if after != before {
                let id = cases[i].id();
                return Err(format!("'{id}' taints the kernel: {after}, it was {before}").into());
            }
            cache.put(&keys[i], &cases[i].id(), answer)?;
        }
        drop(allowed);
        drop(lock);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the tables are the command's output")]
fn print(args: &Args, cases: &[Case], lines: &[Line], not_loadable: &[NotLoadable]) {
    if args.json {
        println!("{}", report::json(lines, not_loadable));
        return;
    }
    if args.show.is_some() {
        for (case, line) in cases.iter().zip(lines) {
            println!("{}", report::show(line, &case.load.insns));
        }
        return;
    }
    if args.not_loadable {
        print!("{}", report::not_loadable(not_loadable));
    }
    if let Some(kind) = &args.list {
        print!("{}", report::list(lines, kind));
    }
    if args.unsupported {
        print!("{}", report::unsupported(lines));
    }
    if args.times {
        print!("{}", report::times(lines));
    }
    print!("{}", report::table(lines, args.verbose));
    println!("{} programs or objects are not loadable alone", not_loadable.len());
}

/// Whether all is as it should be: nothing unsafe that is not explained, no explanation of nothing, and no less than asked for.
fn finish(args: &Args, lines: &[Line], known: &Known) -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    let unexplained =
        |class| lines.iter().filter(|l| l.class == class && l.known.is_none()).count();
    for (class, name) in [(Class::UnsafeAccept, "unsafe accepts"), (Class::Bug, "bugs")] {
        match unexplained(class) {
            0 => {}
            n => wrong.push(format!("{n} unexplained {name}")),
        }
    }
    let stale = known.stale();
    if !stale.is_empty() {
        wrong.push(format!("known differences that are none any more:\n  {}", stale.join("\n  ")));
    }
    let (agree, messages) = report::shares(lines);
    if agree < args.min_agree {
        wrong.push(format!("{agree:.1}% of the verdicts agree, {}% should", args.min_agree));
    }
    if messages < args.min_messages {
        let min = args.min_messages;
        wrong.push(format!("{messages:.1}% of the expected messages are there, {min}% should be"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}
