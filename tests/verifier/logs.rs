//! Whole logs of levels 1 and 2 beside the live kernel's, line for line: of the text cases and of the example objects.
//!
//! Left out of both are the addresses of maps, the numbers of the last line, the ids of numbers in kept states, and what the kernel tells of how it
//! finds live stack slots and loops, which Skep does in another way. `logs-differ.txt` lists the programs whose logs
//! differ otherwise, each with the reason; one that no longer differs must go from the list. `LOGS=DIR` writes all logs
//! there.

use crate::cases::{Case, Kernel, all, kernel_maps, request, with_kernel_attr};
use crate::testenv::TestEnv;
use skep::{CheckOptions, System};
use skep_elf::{Object, OpenOptions};
use skep_host::kernel::{KernelMap, KernelProg, LoadAttr};
use skep_tests::{examples, native};
use skep_verifier::env::Privilege;
use skep_verifier::{Log, LogLevel, verify};
use std::collections::BTreeMap;
use std::path::Path;

/// A log of the kernel that is longer lost its beginning.
const MAX_LOG_BYTES: usize = (16 << 20) - 4096;

/// Lines compared of each log: a loop's can have millions.
const MAX_LINES: usize = 4000;

/// The logs of one program.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) ours: String,
    pub(crate) kernels: String,
}

/// A level, as the kernel numbers it.
fn number(level: LogLevel) -> u32 {
    match level {
        LogLevel::Off => 0,
        LogLevel::Path => 1,
        LogLevel::Full => 2,
    }
}

fn ours(case: &Case, level: LogLevel) -> String {
    let env = TestEnv::new(case.kind, case.privilege);
    let mut log = Log::new(level);
    let _ = verify(&request(case), &env, &mut log);
    log.text().to_owned()
}

fn kernels(case: &Case, maps: &[KernelMap], log_level: u32) -> String {
    with_kernel_attr(case, maps, |attr| match KernelProg::load(&LoadAttr { log_level, ..*attr }) {
        Ok(prog) => prog.log.clone(),
        Err(e) => e.log,
    })
}

fn of_cases(level: LogLevel) -> Vec<Pair> {
    let maps = kernel_maps();
    let cases = all();
    let asked = cases
        .iter()
        .filter(|case| case.kernel != Kernel::NotAsked && case.privilege == Privilege::Privileged);
    asked
        .map(|case| Pair {
            name: case.name.clone(),
            ours: ours(case, level),
            kernels: kernels(case, &maps, number(level)),
        })
        .collect()
}

fn of_examples(level: LogLevel) -> Vec<Pair> {
    let system = System::new();
    let mut pairs = Vec::new();
    for file in ["ipproto.bpf.o", "portfilter.bpf.o", "sizes.bpf.o", "xdplb.bpf.o"] {
        let object = Object::open(file, &examples::read(file), &OpenOptions::default())
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let kernels = native::logs(&object, number(level)).expect("maps in the live kernel");
        for (def, (program, kernels)) in object.programs.iter().zip(kernels) {
            let options = CheckOptions { log_level: level, ..CheckOptions::default() };
            let ours = system.check(&object, def, &options).log;
            pairs.push(Pair { name: format!("{file}: {program}"), ours, kernels });
        }
    }
    pairs
}

/// Of the kernel's own dealings with live stack slots and loops.
fn is_inner(line: &str) -> bool {
    let of_stack = line.starts_with('(')
        && (line.contains(") frame ") || line.contains(") live stack update done"));
    of_stack || line.starts_with("SCC enter") || line.starts_with("SCC exit")
}

/// Whether a line shows what the instruction before it changed: `7: R0=1`.
fn is_state(line: &str) -> bool {
    let Some((slot, rest)) = line.split_once(": ") else { return false };
    slot.bytes().all(|b| b.is_ascii_digit()) && (rest.starts_with('R') || rest.starts_with("frame"))
}

/// A state without the ids of its numbers: kept states lose those that no two numbers share.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("scalar(id=");
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        out.push_str("scalar(");
        out.push_str(rest.strip_prefix(',').unwrap_or(rest));
    }
    out
}

/// The lines that are compared, without padding.
fn normalize(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut was_inner = false;
    for line in log.lines() {
        if is_inner(line) {
            was_inner = true;
            continue;
        }
        if line.starts_with("processed ") {
            lines.push("processed".into());
            continue;
        }
        let mut text = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(": parent state ") {
            text = without_ids(&text);
        }
        if let Some((load, address)) = text.split_once(" = 0xffff") {
            // An address of the kernel, which Skep does not show.
            let behind = address.split_once(' ').map_or("", |(_, behind)| behind);
            text = format!("{load} = 0x0 {behind}").trim_end().to_owned();
        }
        match lines.last_mut() {
            // An instruction, and on a line of its own only since something inner came between, what it changed.
            Some(last)
                if was_inner && is_state(&text) && last.contains(": (") && !last.contains(';') =>
            {
                let (_, state) = text.split_once(": ").unwrap_or_default();
                last.push_str(&format!(" ; {state}"));
            }
            Some(_) | None => lines.push(text),
        }
        was_inner = false;
    }
    lines.truncate(MAX_LINES);
    lines
}

fn write_logs(pairs: &[Pair]) {
    let Ok(dir) = std::env::var("LOGS") else { return };
    for pair in pairs {
        for (side, text) in [("skep", &pair.ours), ("kernel", &pair.kernels)] {
            let dir = Path::new(&dir).join(side);
            std::fs::create_dir_all(&dir).expect("a directory for logs");
            let file = dir.join(pair.name.replace([' ', '/', ':'], "_"));
            std::fs::write(file, normalize(text).join("\n")).expect("a log");
        }
    }
}

/// The first lines that differ.
pub(crate) fn difference(pair: &Pair) -> Option<String> {
    if pair.kernels.len() > MAX_LOG_BYTES {
        // The kernel kept its end only.
        return None;
    }
    let (ours, kernels) = (normalize(&pair.ours), normalize(&pair.kernels));
    if ours == kernels {
        return None;
    }
    let at = ours.iter().zip(&kernels).take_while(|(a, b)| a == b).count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(ends)".into());
    Some(format!("line {}\n  kernel: {}\n  skep:   {}", at + 1, line(&kernels), line(&ours)))
}

fn listed() -> BTreeMap<&'static str, bool> {
    let lines = include_str!("logs-differ.txt").lines();
    lines.filter_map(|line| Some((line.strip_prefix("  ")?, false))).collect()
}

/// A program whose logs of level 2 differ may differ here too.
#[test]
fn logs_of_failed_paths_are_the_kernels() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let level = LogLevel::Path;
    let pairs: Vec<Pair> = of_cases(level).into_iter().chain(of_examples(level)).collect();
    let listed = listed();
    let unlisted = pairs.iter().filter(|pair| !listed.contains_key(pair.name.as_str()));
    let wrong: Vec<String> =
        unlisted.filter_map(|pair| Some(format!("{}: {}", pair.name, difference(pair)?))).collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}

#[test]
fn logs_are_the_kernels() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let level = LogLevel::Full;
    let pairs: Vec<Pair> = of_cases(level).into_iter().chain(of_examples(level)).collect();
    assert!(pairs.len() > 300, "only {} logs were compared", pairs.len());
    write_logs(&pairs);
    let mut listed = listed();
    let mut wrong = Vec::new();
    for pair in &pairs {
        match (difference(pair), listed.get_mut(pair.name.as_str())) {
            (None, None) => {}
            (Some(_), Some(seen)) => *seen = true,
            (Some(what), None) => wrong.push(format!("{}: {what}", pair.name)),
            (None, Some(seen)) => {
                *seen = true;
                wrong.push(format!("{}: no longer differs; take it from the list", pair.name));
            }
        }
    }
    let unknown = listed.iter().filter(|(_, seen)| !**seen).map(|(name, _)| *name);
    wrong.extend(unknown.map(|name| format!("{name}: listed, but there is no such program")));
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}
