//! `xtask captures`: plays the test captures of the source packages of tcpdump and nDPI through each example.
//!
//! Each capture must play to its end, or be refused for a reason that is the capture's: its link type, or damage.
//! The packages come through apt, from the mirrors that the machine is set up with, into `target/captures`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::say;

const PACKAGES: [&str; 2] = ["tcpdump", "ndpi"];

/// Example and program of it.
const EXAMPLES: [(&str, Option<&str>); 6] = [
    ("ipproto.bpf.o", None),
    ("portfilter.bpf.o", None),
    ("sizes.bpf.o", None),
    ("xdplb.bpf.o", Some("xdplb")),
    ("core.bpf.o", None),
    ("dns-or-http.cbpf", None),
];

const LIMIT: Duration = Duration::from_secs(120);

/// `xtask captures`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take captures from this directory in place of the packages
    #[arg(long)]
    from: Option<PathBuf>,
    /// Only through this example
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    /// List each file that was not played
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let from = match &args.from {
        Some(dir) => dir.clone(),
        None => fetch(&target.join("captures"))?,
    };
    let mut files = Vec::new();
    find(&from, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: no captures", from.display()).into());
    }
    let built =
        Command::new("cargo").args(["build", "--release", "--package", "skep-cli"]).status()?;
    if !built.success() {
        return Err(format!("cargo build: {built}").into());
    }
    let skep = target.join("release/skep");

    let mut failed = 0;
    let wanted = |object: &str| args.example.as_ref().is_none_or(|name| object.starts_with(name));
    for (object, prog) in EXAMPLES.into_iter().filter(|(object, _)| wanted(object)) {
        let results = Mutex::new(Results::default());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = play(&skep, &root.join("examples").join(object), prog, file);
                        if let Ok(mut results) = results.lock() {
                            results.add(file, outcome);
                        }
                    }
                });
            }
        });
        let results = results.into_inner()?;
        failed += results.failed.len();
        say(&results.render(object, files.len(), args.list));
    }
    if failed > 0 {
        return Err(format!("{failed} runs failed for no fault of the capture").into());
    }
    Ok(())
}

/// What came of one capture.
enum Outcome {
    Played { packets: u64, skipped: BTreeMap<String, u64> },
    Refused(String),
    Failed(String),
}

#[derive(Default)]
struct Results {
    played: u64,
    packets: u64,
    skipped: BTreeMap<String, u64>,
    refused: BTreeMap<String, Vec<PathBuf>>,
    failed: Vec<(PathBuf, String)>,
}

impl Results {
    fn add(&mut self, file: &Path, outcome: Outcome) {
        match outcome {
            Outcome::Played { packets, skipped } => {
                self.played += 1;
                self.packets += packets;
                for (reason, count) in skipped {
                    *self.skipped.entry(reason).or_default() += count;
                }
            }
            Outcome::Refused(reason) => {
                self.refused.entry(reason).or_default().push(file.to_owned());
            }
            Outcome::Failed(reason) => self.failed.push((file.to_owned(), reason)),
        }
    }

    fn render(&self, object: &str, files: usize, list: bool) -> String {
        let mut text = format!(
            "{object}: {files} files: {} played ({} packets), {} refused, {} failed",
            self.played,
            self.packets,
            self.refused.values().map(Vec::len).sum::<usize>(),
            self.failed.len()
        );
        for (reason, count) in &self.skipped {
            let _ = write!(text, "\n  {count:>6} packets skipped: {reason}");
        }
        for (reason, files) in &self.refused {
            let _ = write!(text, "\n  {:>6} files refused: {reason}", files.len());
            for file in files.iter().filter(|_| list) {
                let _ = write!(text, "\n           {}", file.display());
            }
        }
        for (file, reason) in &self.failed {
            let _ = write!(text, "\n  FAILED {}: {reason}", file.display());
        }
        text
    }
}

fn play(skep: &Path, object: &Path, prog: Option<&str>, file: &Path) -> Outcome {
    match try_play(skep, object, prog, file) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn try_play(
    skep: &Path,
    object: &Path,
    prog: Option<&str>,
    file: &Path,
) -> Result<Outcome, Box<dyn Error>> {
    let mut command = Command::new(skep);
    command.arg("play").arg(object).arg("--json").arg("--pcap").arg(file);
    command.args(prog.iter().flat_map(|name| ["--prog", name]));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let reader =
        std::thread::spawn(move || stdout.as_mut().map(std::io::read_to_string).transpose());
    let errors =
        std::thread::spawn(move || stderr.as_mut().map(std::io::read_to_string).transpose());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(Outcome::Failed(format!("still running after {} s", LIMIT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = reader.join().map_err(|_| "reader panicked")??.unwrap_or_default();
    let error = errors.join().map_err(|_| "reader panicked")??.unwrap_or_default();
    let error = error.trim().trim_start_matches("error: ");
    let error = error.strip_prefix(&format!("{}: ", file.display())).unwrap_or(error);
    Ok(match status.code() {
        Some(0) => {
            let value: Value = serde_json::from_str(&text)?;
            let packets = &value["packets"];
            let skipped = packets["skipped"].as_object().into_iter().flatten();
            Outcome::Played {
                packets: packets["played"].as_u64().ok_or("no packets.played")?,
                skipped: skipped.map(|(k, v)| (k.clone(), v.as_u64().unwrap_or(0))).collect(),
            }
        }
        Some(3) => Outcome::Refused(format!("damaged: {}", without_numbers(error))),
        Some(4) => Outcome::Refused(error.to_owned()),
        _ => Outcome::Failed(format!("{status}: {error}")),
    })
}

/// The same text for errors that differ only in numbers.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if result.ends_with('N') => {}
            '0'..='9' => result.push('N'),
            c => result.push(c),
        }
    }
    result
}

/// Fetches and unpacks the source packages; gives the directory.
fn fetch(dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let unpacked = dir.join("unpacked");
    if unpacked.exists() {
        return Ok(unpacked);
    }
    let packages = dir.join("packages");
    for part in ["lists/partial", "cache/archives/partial", "packages"] {
        fs::create_dir_all(dir.join(part))?;
    }
    let sources = source_lines()?;
    if sources.is_empty() {
        return Err("no Debian mirror in /etc/apt: name a directory of captures with --from".into());
    }
    fs::write(dir.join("sources.list"), sources)?;
    let at = fs::canonicalize(dir)?;
    let config = at.join("apt.conf");
    fs::write(
        &config,
        format!(
            "Dir::Etc::SourceList \"{0}/sources.list\";\nDir::Etc::SourceParts \"-\";\n\
             Dir::State::Lists \"{0}/lists\";\nDir::Cache \"{0}/cache\";\nAPT::Sandbox::User \"\";\n",
            at.display()
        ),
    )?;
    let apt = |arguments: &[&str]| -> Result<(), Box<dyn Error>> {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &config).current_dir(&packages).arg("--quiet").args(arguments);
        let status = command.stdout(Stdio::null()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("apt-get {arguments:?}: {status}").into())
        }
    };
    apt(&["update"])?;
    for package in PACKAGES {
        apt(&["source", "--download-only", "--tar-only", package])?;
    }
    let partial = dir.join("unpacking");
    fs::create_dir_all(&partial)?;
    for entry in fs::read_dir(&packages)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".orig.tar.")
            && !path.to_string_lossy().ends_with(".asc")
        {
            let status =
                Command::new("tar").arg("-C").arg(&partial).arg("-xf").arg(&path).status()?;
            if !status.success() {
                return Err(format!("tar: {}: {status}", path.display()).into());
            }
        }
    }
    fs::rename(&partial, &unpacked)?;
    Ok(unpacked)
}

/// `deb-src` lines for the Debian mirrors that apt knows.
fn source_lines() -> Result<String, Box<dyn Error>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.flatten().map(|entry| entry.path()));
    }
    let is_debian = |uri: &str| {
        uri.trim_end_matches('/').rsplit('/').next().is_some_and(|last| last.starts_with("debian"))
    };
    let mut lines = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("deb ")) {
            let fields = line.split_whitespace().filter(|field| !field.starts_with('['));
            let fields = fields.skip(1).collect::<Vec<_>>();
            if fields.first().is_some_and(|uri| is_debian(uri)) {
                let _ = writeln!(lines, "deb-src {}", fields.join(" "));
            }
        }
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let line =
                    stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_default().split_whitespace().collect::<Vec<_>>()
            };
            for uri in field("URIs").into_iter().filter(|uri| is_debian(uri)) {
                for suite in field("Suites") {
                    let _ =
                        writeln!(lines, "deb-src {uri} {suite} {}", field("Components").join(" "));
                }
            }
        }
    }
    Ok(lines)
}

/// All captures under a directory, by the ending of their names.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir).map_err(|err| format!("{}: {err}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap") {
            files.push(path);
        }
    }
    Ok(())
}
