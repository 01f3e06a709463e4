//! Compares the two answers to a case: [`judge`].

use super::input::{Case, Mode, Source};
use super::pattern::first_missing;
use super::{native, ours};

/// How the verdicts compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Class {
    /// Both accept, or both reject.
    Agree,
    /// The kernel rejects what Skep accepts.
    UnsafeAccept,
    /// Skep rejects what the kernel accepts.
    FalseReject,
    /// Skep says that it does not do that yet.
    Unsupported,
    /// Skep contradicts itself or panics.
    Bug,
    /// It could not be put before the kernel, and no test says what would be right.
    NotAsked,
}

impl Class {
    pub(super) const ALL: [Class; 6] = [
        Class::Agree,
        Class::UnsafeAccept,
        Class::FalseReject,
        Class::Unsupported,
        Class::Bug,
        Class::NotAsked,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            Class::Agree => "agree",
            Class::UnsafeAccept => "unsafe",
            Class::FalseReject => "reject",
            Class::Unsupported => "unsupported",
            Class::Bug => "bug",
            Class::NotAsked => "not-asked",
        }
    }
}

/// A difference on which nobody's verdict depends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Detail {
    /// Both reject, with different errnos.
    Errno,
    /// An expected message that the kernel's log has is not in Skep's.
    Message,
    /// A run on Skep does not give what the test expects, or the kernel gives.
    Retval,
    /// Both accept, but it cannot be run on Skep yet.
    NotRun,
    /// Both reject, and the last lines of the logs differ.
    Line,
}

impl Detail {
    pub(super) const ALL: [Detail; 5] =
        [Detail::Errno, Detail::Message, Detail::Retval, Detail::NotRun, Detail::Line];

    pub(super) fn text(self) -> &'static str {
        match self {
            Detail::Errno => "errno",
            Detail::Message => "message",
            Detail::Retval => "retval",
            Detail::NotRun => "not-run",
            Detail::Line => "line",
        }
    }
}

/// How expectations of messages fare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Messages {
    /// Whether the test expects any that the kernel's log has.
    pub(super) expected: bool,
    /// Whether Skep's log has them.
    pub(super) here: bool,
}

/// A judged case.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) source: Source,
    pub(super) mode: Mode,
    pub(super) file: String,
    pub(super) by: Judge,
    pub(super) class: Class,
    pub(super) details: Vec<(Detail, String)>,
    pub(super) messages: Messages,
    /// Runs that were compared.
    pub(super) runs: usize,
    /// Why the difference is known.
    pub(super) known: Option<String>,
    pub(super) kernel: native::Answer,
    pub(super) here: ours::Answer,
}

/// Whose verdict Skep's is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judge {
    /// The live kernel's.
    Kernel,
    /// What the test expects, where the live kernel cannot be asked.
    Test,
    /// Nobody's.
    Nobody,
}

/// Compares.
pub(super) fn judge(case: &Case, mut kernel: native::Answer, here: ours::Answer) -> Line {
    const EPERM: i32 = 1;
    let (by, accepts) = if kernel.not_asked.is_some() {
        // What the test needs is not there, so what it expects says nothing either.
        (Judge::Nobody, false)
    } else if case.mode == Mode::Privileged && kernel.errno == EPERM && kernel.log.trim().is_empty()
    {
        // All capabilities are there, so it is the machine that allows no program of this kind.
        kernel.not_asked = Some("EPERM before verification".to_owned());
        match case.expect.accepted {
            Some(accepted) => (Judge::Test, accepted),
            None => (Judge::Nobody, false),
        }
    } else {
        (Judge::Kernel, kernel.errno == 0)
    };
    let class = class(by, accepts, &here.verdict);
    let mut details = Vec::new();
    let mut messages = Messages::default();
    if by != Judge::Nobody && case.expect.accepted == Some(accepts) {
        messages.expected = !case.expect.messages.is_empty()
            && (by == Judge::Test || first_missing(&case.expect.messages, &kernel.log).is_none());
    }
    if messages.expected {
        let missing = first_missing(&case.expect.messages, &here.log);
        messages.here = missing.is_none();
        if let Some(missing) = missing
            && class == Class::Agree
        {
            details.push((Detail::Message, format!("not as expected: {}", missing.text)));
        }
    }
    if class == Class::Agree
        && by == Judge::Kernel
        && let ours::Verdict::Rejected(errno) = here.verdict
    {
        if errno != kernel.errno {
            details.push((Detail::Errno, format!("{errno} here, {} there", kernel.errno)));
        }
        let (a, b) = (last_line(&here.log), last_line(&kernel.log));
        if a != b {
            details.push((Detail::Line, format!("'{a}' here, '{b}' there")));
        }
    }
    let runs = match class {
        Class::Agree => compare_runs(case, by, &kernel, &here, &mut details),
        _ => 0,
    };
    let (id, file) = (case.id(), case.file.clone());
    let (source, mode) = (case.source, case.mode);
    Line { id, source, mode, file, by, class, details, messages, runs, known: None, kernel, here }
}

/// How many runs were compared.
fn compare_runs(
    case: &Case,
    by: Judge,
    kernel: &native::Answer,
    here: &ours::Answer,
    details: &mut Vec<(Detail, String)>,
) -> usize {
    let mut runs = 0;
    for (i, (want, here)) in case.expect.runs.iter().zip(&here.runs).enumerate() {
        let there = match (by, kernel.runs.get(i)) {
            (Judge::Kernel, Some(Ok(there))) => Some(*there),
            (Judge::Kernel, _) => continue,
            (Judge::Test | Judge::Nobody, _) => want.retval,
        };
        runs += usize::from(!matches!(here, Err(ours::NoResult::NotRun(_))));
        match here {
            Ok(here) if want.retval.is_none() || Some(*here) == there => {}
            Ok(here) => details.push((Detail::Retval, format!("{here} here, {there:?} there"))),
            Err(ours::NoResult::NotRun(why)) => details.push((Detail::NotRun, why.clone())),
            Err(ours::NoResult::Trap(trap)) => {
                details.push((Detail::Retval, format!("TRAP: {trap}; {there:?} there")));
            }
        }
    }
    runs
}

fn class(by: Judge, accepts: bool, here: &ours::Verdict) -> Class {
    match (by, here, accepts) {
        (Judge::Nobody, ..) => Class::NotAsked,
        (_, ours::Verdict::Bug(_), _) => Class::Bug,
        (_, ours::Verdict::Unsupported(_), _) => Class::Unsupported,
        (_, ours::Verdict::Accepted, true) | (_, ours::Verdict::Rejected(_), false) => Class::Agree,
        (_, ours::Verdict::Accepted, false) => Class::UnsafeAccept,
        (_, ours::Verdict::Rejected(_), true) => Class::FalseReject,
    }
}

/// The last line that is not about statistics.
pub(super) fn last_line(log: &str) -> &str {
    const STATS: [&str; 4] = ["processed ", "verification time ", "stack depth ", "mark_precise: "];
    let mut lines = log.lines().rev().filter(|l| !l.trim().is_empty());
    let line = lines.find(|l| !STATS.iter().any(|s| l.starts_with(s))).unwrap_or_default();
    // Some messages lack their newline.
    line.split("verification time ").next().unwrap_or(line).trim_end()
}
