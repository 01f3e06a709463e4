//! What is printed: the table, lists, single programs, JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use skep_abi::insn::{self, RawInsn, disasm};

use super::input::{Mode, Source};
use super::judge::{Class, Detail, Judge, Line, last_line};
use super::known::is_unexplained;
use super::ours::Verdict;
use super::programs::NotLoadable;

/// Counts of a group of lines.
#[derive(Clone, Default)]
struct Counts {
    cases: usize,
    by_test: usize,
    classes: [usize; Class::ALL.len()],
    details: [usize; Detail::ALL.len()],
    expected_messages: usize,
    messages_here: usize,
    runs: usize,
    unexplained: usize,
}

impl Counts {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Counts {
        let mut counts = Counts::default();
        for line in lines {
            counts.cases += 1;
            counts.by_test += usize::from(line.by == Judge::Test);
            for (count, class) in counts.classes.iter_mut().zip(Class::ALL) {
                *count += usize::from(line.class == class);
            }
            for (count, detail) in counts.details.iter_mut().zip(Detail::ALL) {
                *count += usize::from(line.details.iter().any(|(d, _)| *d == detail));
            }
            counts.expected_messages += usize::from(line.messages.expected);
            counts.messages_here += usize::from(line.messages.here);
            counts.runs += line.runs;
            counts.unexplained += usize::from(is_unexplained(line));
        }
        counts
    }

    fn class(&self, class: Class) -> usize {
        Class::ALL.iter().position(|c| *c == class).map_or(0, |i| self.classes[i])
    }

    fn detail(&self, detail: Detail) -> usize {
        Detail::ALL.iter().position(|d| *d == detail).map_or(0, |i| self.details[i])
    }

    fn judged(&self) -> usize {
        self.cases - self.class(Class::NotAsked)
    }

    fn row(&self, name: &str) -> String {
        let judged = self.judged();
        let agree = self.class(Class::Agree);
        let share = percent(agree, judged);
        format!(
            "{name:<26} {:>6} {:>6} {:>6} {:>6} {share:>6.1}% {:>7} {:>7} {:>7} {:>5} {:>9} {:>6} {:>9} {:>7} {:>6} {:>7}",
            self.cases,
            judged - self.by_test,
            self.by_test,
            agree,
            self.class(Class::UnsafeAccept),
            self.class(Class::FalseReject),
            self.class(Class::Unsupported),
            self.class(Class::Bug),
            format!("{}/{}", self.messages_here, self.expected_messages),
            self.detail(Detail::Errno),
            format!("{}/{}", self.runs - self.detail(Detail::Retval).min(self.runs), self.runs),
            self.detail(Detail::NotRun),
            self.detail(Detail::Line),
            self.unexplained,
        )
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// How many percent of the verdicts agree, and of the expected messages are there.
pub(super) fn shares(lines: &[Line]) -> (f64, f64) {
    let counts = Counts::of(lines.iter());
    (
        percent(counts.class(Class::Agree), counts.judged()),
        percent(counts.messages_here, counts.expected_messages),
    )
}

fn header() -> String {
    format!(
        "{:<26} {:>6} {:>6} {:>6} {:>6} {:>7} {:>7} {:>7} {:>7} {:>5} {:>9} {:>6} {:>9} {:>6} {:>7}",
        "",
        "cases",
        "kernel",
        "test",
        "agree",
        "",
        "unsafe",
        "reject",
        "unsupp",
        "bug",
        "messages",
        "errno",
        "retvals",
        "line",
        "unexpl"
    )
}

/// The table, by source and mode, or by file.
pub(super) fn table(lines: &[Line], by_file: bool) -> String {
    let mut out = header() + "\n";
    for source in Source::ALL {
        for mode in Mode::ALL {
            let counts = Counts::of(lines.iter().filter(|l| l.source == source && l.mode == mode));
            if counts.cases > 0 {
                let name = format!("{} {}", source.text(), mode.text());
                let _ = writeln!(out, "{}", counts.row(&name));
            }
        }
    }
    let _ = writeln!(out, "{}", Counts::of(lines.iter()).row("all"));
    if by_file {
        let mut files: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in lines {
            files.entry(&line.file).or_default().push(line);
        }
        for (file, lines) in files {
            let _ = writeln!(out, "{}", Counts::of(lines.into_iter()).row(file));
        }
    }
    out
}

/// Reasons for which Skep says that it does not do that yet, by how many programs they stop.
pub(super) fn unsupported(lines: &[Line]) -> String {
    let mut reasons: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for line in lines.iter().filter(|l| l.class == Class::Unsupported) {
        if let Verdict::Unsupported(reason) = &line.here.verdict {
            let entry = reasons.entry(reason.clone()).or_insert((0, &line.id));
            entry.0 += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    reasons.iter().fold(String::new(), |mut out, (reason, (count, example))| {
        let _ = writeln!(out, "{count:>6}  {reason}  (as {example})");
        out
    })
}

/// One line for each case of a kind, with both sides' last words.
pub(super) fn list(lines: &[Line], kind: &str) -> String {
    let mut out = String::new();
    for line in lines {
        let details: Vec<&str> = line
            .details
            .iter()
            .filter(|(d, _)| d.text() == kind)
            .map(|(_, text)| text.as_str())
            .collect();
        let of_kind = match kind {
            "unexplained" => is_unexplained(line),
            "known" => line.known.is_some(),
            _ => line.class.text() == kind || !details.is_empty(),
        };
        if !of_kind {
            continue;
        }
        let _ = writeln!(out, "{} [{}]", line.id, line.class.text());
        for detail in details {
            let _ = writeln!(out, "    {detail}");
        }
        let _ = writeln!(out, "    kernel: {}", there(line));
        let _ = writeln!(out, "    skep:   {}", here(line));
        if let Some(reason) = &line.known {
            let _ = writeln!(out, "    known:  {reason}");
        }
    }
    out
}

fn there(line: &Line) -> String {
    match (&line.kernel.not_asked, line.kernel.errno) {
        (Some(reason), _) if line.by == Judge::Test => format!("not asked ({reason}); by the test"),
        (Some(reason), _) => format!("not asked: {reason}"),
        (None, 0) => "accepted".to_owned(),
        (None, errno) => format!("errno {errno}: {}", last_line(&line.kernel.log)),
    }
}

fn here(line: &Line) -> String {
    match &line.here.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Rejected(errno) => format!("errno {errno}: {}", last_line(&line.here.log)),
        Verdict::Unsupported(reason) => format!("unsupported: {reason}"),
        Verdict::Bug(text) => format!("bug: {text}"),
    }
}

/// A program as the disassembler prints it; slot by slot where it is not one.
fn listing(insns: &[RawInsn]) -> String {
    match insn::decode(insns) {
        Ok(decoded) => disasm::disasm_program(&decoded, &disasm::NoNames),
        Err(_) => insns.iter().enumerate().fold(String::new(), |mut out, (i, insn)| {
            let _ = writeln!(out, "{i}: {insn:?}");
            out
        }),
    }
}

/// Program and both logs in full.
pub(super) fn show(line: &Line, insns: &[RawInsn]) -> String {
    let mut out = format!("══ {} ══\n{}", line.id, listing(insns));
    let _ = writeln!(out, "── kernel: {} ──\n{}", there(line), line.kernel.log.trim_end());
    let _ = writeln!(out, "── skep: {} ──\n{}", here(line), line.here.log.trim_end());
    for (detail, text) in &line.details {
        let _ = writeln!(out, "── {}: {text} ──", detail.text());
    }
    for (kernel, here) in line.kernel.runs.iter().zip(&line.here.runs) {
        let _ = writeln!(out, "── run: kernel {kernel:?}, skep {here:?} ──");
    }
    out
}

/// Programs that cannot be loaded by themselves, by reason.
pub(super) fn not_loadable(list: &[NotLoadable]) -> String {
    let mut out = String::new();
    for entry in list {
        let program = if entry.program.is_empty() { "(all)" } else { &entry.program };
        let _ = writeln!(out, "{}/{program}: {}", entry.file, entry.reason);
    }
    out
}

/// Time and instructions of programs that both judged alike.
pub(super) fn times(lines: &[Line]) -> String {
    let mut out = String::new();
    let timed: Vec<&Line> =
        lines.iter().filter(|l| l.class == Class::Agree && l.by == Judge::Kernel).collect();
    let kernel_us: u64 = timed.iter().map(|l| l.kernel.time_us).sum();
    let here_us: f64 = timed.iter().map(|l| l.here.time.as_secs_f64() * 1e6).sum();
    let _ = writeln!(
        out,
        "{} programs: kernel {:.1} ms, skep {:.1} ms ({:.2} of the kernel's)",
        timed.len(),
        kernel_us as f64 / 1e3,
        here_us / 1e3,
        here_us / (kernel_us.max(1) as f64),
    );
    let both: Vec<&&Line> =
        timed.iter().filter(|l| l.kernel.insns > 0 && l.here.insns > 0).collect();
    let kernel_insns: u64 = both.iter().map(|l| l.kernel.insns).sum();
    let here_insns: u64 = both.iter().map(|l| l.here.insns).sum();
    let _ = writeln!(
        out,
        "{} with counts: instructions processed: kernel {kernel_insns}, skep {here_insns} ({:.3})",
        both.len(),
        here_insns as f64 / kernel_insns.max(1) as f64,
    );
    let more = both.iter().filter(|l| l.here.insns * 10 > l.kernel.insns * 11).count();
    let slower = |l: &&&Line| l.here.time.as_secs_f64() * 1e6 > l.kernel.time_us as f64 + 1.0;
    let _ = writeln!(
        out,
        "more than 10% more instructions: {more} programs; slower than the kernel: {} programs",
        timed.iter().filter(slower).count(),
    );
    let mut worst = timed.clone();
    worst.sort_by_key(|l| std::cmp::Reverse(l.here.time));
    let _ = writeln!(out, "{:>10} {:>10} {:>9} {:>9}", "kernel µs", "skep µs", "insns", "insns");
    for line in worst.iter().take(25) {
        let _ = writeln!(
            out,
            "{:>10} {:>10.0} {:>9} {:>9}  {}",
            line.kernel.time_us,
            line.here.time.as_secs_f64() * 1e6,
            line.kernel.insns,
            line.here.insns,
            line.id,
        );
    }
    out
}

/// All of it for machines.
pub(super) fn json(lines: &[Line], not_loadable: &[NotLoadable]) -> Value {
    let cases: Vec<Value> = lines
        .iter()
        .map(|l| {
            let details: BTreeMap<&str, &str> =
                l.details.iter().map(|(d, text)| (d.text(), text.as_str())).collect();
            json!({
                "id": l.id,
                "source": l.source.text(),
                "mode": l.mode.text(),
                "class": l.class.text(),
                "by_test": l.by == Judge::Test,
                "details": details,
                "known": l.known,
                "message_expected": l.messages.expected,
                "message_here": l.messages.here,
                "kernel": {
                    "verdict": there(l), "insns": l.kernel.insns, "time_us": l.kernel.time_us,
                },
                "skep": {
                    "verdict": here(l), "insns": l.here.insns,
                    "time_us": l.here.time.as_secs_f64() * 1e6,
                },
            })
        })
        .collect();
    let skipped: Vec<Value> = not_loadable
        .iter()
        .map(|n| json!({ "file": n.file, "program": n.program, "reason": n.reason }))
        .collect();
    json!({ "cases": cases, "not_loadable": skipped })
}
