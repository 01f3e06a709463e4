//! Runs the comparison and prints the table.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use skep_btf::ByteOrder;
use skep_elf::Object;

use super::Args;
use super::build::{self, Built};
use super::facts::{self, Facts};
use super::host::Host;
use super::oracle::{Oracle, Programs, Sizes};
use super::ours;
use crate::say;

/// Differences that are known, each with its reason.
const KNOWN: &str = include_str!("../../objects-known.txt");
const TAINTED: &str = "/proc/sys/kernel/tainted";

/// Self-tests that are linked from several objects, as their Makefile lists them.
const LINKED: &[(&str, &[&str])] = &[
    ("test_static_linked", &["test_static_linked1", "test_static_linked2"]),
    ("linked_funcs", &["linked_funcs1", "linked_funcs2"]),
    ("linked_vars", &["linked_vars1", "linked_vars2"]),
    ("linked_maps", &["linked_maps1", "linked_maps2"]),
    ("linked_subskeleton", &["test_subskeleton_lib2", "test_subskeleton_lib", "test_subskeleton"]),
    ("linked_usdt", &["test_usdt", "test_usdt_multispec"]),
];

/// How two loaders compare on an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Equal,
    RefusedByBoth,
    Known,
    Differs,
    OnlyHere,
    OnlyThere,
}

impl Outcome {
    fn text(self) -> &'static str {
        match self {
            Outcome::Equal => "equal",
            Outcome::RefusedByBoth => "refused by both",
            Outcome::Known => "known difference",
            Outcome::Differs => "differs",
            Outcome::OnlyHere => "only Skep opens it",
            Outcome::OnlyThere => "only libbpf opens it",
        }
    }
}

/// One line of the table.
struct Line {
    name: String,
    outcome: Outcome,
    /// Programs whose instructions were compared.
    programs: usize,
    /// How many instructions those have.
    insns: usize,
    detail: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&args.work)?;
    let tainted = fs::read_to_string(TAINTED).unwrap_or_default();
    let mut objects: Vec<PathBuf> = args.objects.clone();
    let mut failed = Vec::new();
    if let Some(source) = &args.kernel_src {
        let Built { objects: built, failed: not } = build::selftests(source, &args.work)?;
        say(&format!("{} self-tests built, {} not", built.len(), not.len()));
        objects.extend(built);
        failed.extend(not);
    }
    if args.debs {
        let Built { objects: found, failed: not } = build::packages(&args.work)?;
        say(&format!("{} objects in packages", found.len()));
        objects.extend(found);
        failed.extend(not);
    }
    if let Some(filter) = &args.filter {
        objects.retain(|o| o.to_string_lossy().contains(filter.as_str()));
    }
    let host = Host::read()?;
    let oracle = Oracle::new(&args.work)?;
    let known = known();
    let mut lines = Vec::new();
    for path in &objects {
        lines.push(compare(path, &host, &oracle, &known)?);
    }
    for (name, parts) in LINKED {
        let find = |part: &&str| objects.iter().find(|o| object_name(o) == **part);
        if let Some(paths) = parts.iter().map(|p| find(p)).collect::<Option<Vec<_>>>() {
            lines.push(compare_linked(name, &paths, args, &host, &oracle, &known)?);
        }
    }
    if args.link_each {
        for path in &objects {
            let name = object_name(path);
            lines.push(compare_linked(&name, &[path], args, &host, &oracle, &known)?);
        }
    }
    if args.json {
        print_json(&lines, &failed)
    } else {
        print_table(&lines, &failed)
    }
    let after = fs::read_to_string(TAINTED).unwrap_or_default();
    if after != tainted {
        return Err(format!("the kernel is tainted now: {after}, it was {tainted}").into());
    }
    let bad = lines.iter().filter(|l| l.outcome > Outcome::Known).count();
    if bad > 0 {
        return Err(format!("{bad} unexplained differences").into());
    }
    Ok(())
}

/// Lines `NAME: reason`.
fn known() -> BTreeMap<&'static str, &'static str> {
    KNOWN
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once(':'))
        .map(|(name, reason)| (name.trim(), reason.trim()))
        .collect()
}

fn object_name(path: &Path) -> String {
    let file = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    file.split('.').next().unwrap_or_default().to_owned()
}

fn compare(
    path: &Path,
    host: &Host,
    oracle: &Oracle,
    known: &BTreeMap<&str, &str>,
) -> Result<Line, Box<dyn Error>> {
    let name = object_name(path);
    let bytes = fs::read(path)?;
    let object = host.open(&name, &bytes);
    let ours = object.map(|object| facts_with_types(oracle, &object));
    let theirs = open_there(oracle, &name, &bytes);
    Ok(judge(name, ours, theirs, known))
}

/// Our facts, with what the kernel says of the types. libbpf has loaded its own by the time it has prepared an object.
fn facts_with_types(oracle: &Oracle, object: &Object) -> Facts {
    let btf = object.btf.as_ref();
    let types = btf.map(|btf| oracle.load_btf(&btf.to_bytes(ByteOrder::HOST)).is_ok());
    Facts { types, ..ours::facts(object) }
}

/// libbpf relocates what it would load; asked for all programs it may refuse where the default is fine.
fn open_there(oracle: &Oracle, name: &str, bytes: &[u8]) -> Result<Facts, String> {
    let open = |programs, sizes| oracle.open(name, bytes, programs, sizes);
    open(Programs::All, Sizes::AsWritten)
        .or_else(|_| open(Programs::All, Sizes::FilledIn))
        .or_else(|_| open(Programs::Default, Sizes::FilledIn))
        .or_else(|_| open(Programs::Default, Sizes::AsWritten))
}

/// Links with both, then compares.
fn compare_linked(
    name: &str,
    paths: &[&PathBuf],
    args: &Args,
    host: &Host,
    oracle: &Oracle,
    known: &BTreeMap<&str, &str>,
) -> Result<Line, Box<dyn Error>> {
    let read = |path: &&PathBuf| fs::read(path).map(|bytes| (object_name(path), bytes));
    let inputs = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<(&str, &[u8])> =
        inputs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let object = host.link(name, &inputs);
    let ours = object.map(|o| facts_with_types(oracle, &o).without_numbering());
    let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
    let theirs = oracle
        .link(&paths, &args.work.join("linked.o"))
        .and_then(|bytes| open_there(oracle, name, &bytes))
        .map(Facts::without_numbering);
    Ok(judge(format!("{name} (linked)"), ours, theirs, known))
}

fn judge(
    name: String,
    ours: Result<Facts, String>,
    theirs: Result<Facts, String>,
    known: &BTreeMap<&str, &str>,
) -> Line {
    let (mut programs, mut insns) = (0, 0);
    let (mut outcome, mut detail) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            (programs, insns) = facts::compared(&ours, &theirs);
            let theirs = Facts { license: ours.license.clone(), ..theirs };
            let detail = facts::differences(&ours, &theirs);
            (if detail.is_empty() { Outcome::Equal } else { Outcome::Differs }, detail)
        }
        (Err(ours), Err(theirs)) => {
            (Outcome::RefusedByBoth, vec![format!("here: {ours}"), format!("there: {theirs}")])
        }
        (Ok(_), Err(theirs)) => (Outcome::OnlyHere, vec![theirs]),
        (Err(ours), Ok(_)) => (Outcome::OnlyThere, vec![ours]),
    };
    if outcome > Outcome::Known
        && let Some(reason) = known.get(name.as_str())
    {
        outcome = Outcome::Known;
        detail.insert(0, (*reason).to_owned());
    }
    Line { name, outcome, programs, insns, detail }
}

#[expect(clippy::print_stdout, reason = "the table is the command's output")]
fn print_table(lines: &[Line], failed: &[(String, String)]) {
    let mut counts: BTreeMap<Outcome, (usize, usize, usize)> = BTreeMap::new();
    for line in lines {
        let count = counts.entry(line.outcome).or_default();
        count.0 += 1;
        count.1 += line.programs;
        count.2 += line.insns;
        if line.outcome != Outcome::Equal {
            println!("{}: {}", line.name, line.outcome.text());
            for detail in line.detail.iter().take(6) {
                println!("    {}", detail.trim_end().replace('\n', "\n    "));
            }
        }
    }
    for (name, error) in failed {
        println!("{name}: not built: {error}");
    }
    for (outcome, (objects, programs, insns)) in &counts {
        println!(
            "{objects:>6} objects, {programs:>6} programs, {insns:>8} instructions: {}",
            outcome.text()
        );
    }
    let agreed = lines.iter().filter(|l| l.outcome <= Outcome::RefusedByBoth).count();
    println!("{agreed} of {} objects agree", lines.len());
}

#[expect(clippy::print_stdout, reason = "the table is the command's output")]
fn print_json(lines: &[Line], failed: &[(String, String)]) {
    let objects: Vec<_> = lines
        .iter()
        .map(|l| {
            serde_json::json!({
                "name": l.name,
                "outcome": l.outcome.text(),
                "programs": l.programs,
                "detail": l.detail,
            })
        })
        .collect();
    let failed: Vec<_> =
        failed.iter().map(|(n, e)| serde_json::json!({ "name": n, "error": e })).collect();
    println!("{}", serde_json::json!({ "objects": objects, "not_built": failed }));
}
