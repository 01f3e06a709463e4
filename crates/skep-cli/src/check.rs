//! `skep check`: loads and verifies each program of objects, a line for each.

use crate::args::{CheckArgs, OutputFormat};
use crate::diagnostic;
use crate::explain::Explanation;
use crate::failure::Failure;
use crate::input::{self, Input};
use crate::output::{self, Out, table};
use serde::Serialize;
use skep::{CheckOptions, LoadError, LoadErrorKind, System};
use skep_abi::insn::cbpf::Flavor;
use skep_abi::uapi::BPF_PROG_TYPE_NAMES;
use skep_elf::Object;
use skep_verifier::{VerifiedProg, VerifyError, VerifyStats};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of one program.
#[derive(Serialize, Debug)]
struct Checked {
    object: String,
    program: String,
    #[serde(rename = "type")]
    prog_type: String,
    verdict: &'static str,
    /// Instructions (slots) of the program as it was given.
    instructions: usize,
    /// Instructions that the verifier looked at, over all paths.
    processed: Option<u64>,
    /// States that it kept, in all.
    states: Option<u64>,
    /// Time to load, in nanoseconds.
    time_ns: u64,
    /// `errno` that the kernel answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where, what the registers held and what would help, if it was the verifier that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Explanation>,
    /// The verifier's log.
    #[serde(skip_serializing_if = "String::is_empty")]
    log: String,
    /// The reason in several lines.
    #[serde(skip)]
    failure: Option<Failure>,
}

pub(crate) fn run(args: &CheckArgs, out: &mut Out) -> Result<(), Failure> {
    let mut system = System::new();
    let mut has_types = false;
    let options = CheckOptions {
        log_level: args.log_level.level(),
        log_stats: args.log_level.has_stats(),
        privilege: args.privilege(),
        ..CheckOptions::default()
    };
    let mut all = Vec::new();
    let mut failed = None;
    for path in &args.objects {
        match Input::open(path, &args.target) {
            Ok(input) => {
                if input.uses_kernel_types() && !has_types {
                    has_types = true;
                    if let Some(btf) = input::kernel_btf(&args.target)? {
                        system = system.with_kernel_btf(Arc::new(btf));
                    }
                }
                all.extend(check(&system, path, &input, &options));
            }
            Err(failure) => {
                output::report(&failure);
                failed.get_or_insert(failure.kind);
            }
        }
    }
    match args.format.format() {
        OutputFormat::Json => out.json(&all)?,
        OutputFormat::People => show(&all, out)?,
    }
    out.flush()?;
    for checked in &all {
        if let Some(failure) = &checked.failure {
            if args.format.format() == OutputFormat::People {
                output::report(failure);
            }
            failed = failed.or(Some(failure.kind));
        }
    }
    match failed {
        Some(kind) => Err(Failure::reported(kind)),
        None => Ok(()),
    }
}

fn check(system: &System, path: &Path, input: &Input, options: &CheckOptions) -> Vec<Checked> {
    match input {
        Input::Object(object) => {
            let one = |program: &skep_elf::ProgramDef| {
                let start = Instant::now();
                let judged = system.check(object, program, options);
                let time = start.elapsed();
                let given = Given {
                    path,
                    object: Some(object),
                    name: &program.name,
                    prog_type: program.prog_type,
                    instructions: program.insns.len(),
                };
                let verdict = judged.verdict.as_ref().map(VerifiedProg::stats);
                given.checked(verdict, &judged.log, time)
            };
            object.programs.iter().map(one).collect()
        }
        Input::Classic(filter) => {
            let name = input::object_name(path);
            let start = Instant::now();
            let result = system.load_classic(&name, filter, Flavor::Socket);
            let time = start.elapsed();
            let given = Given {
                path,
                object: None,
                name: &name,
                prog_type: skep_abi::uapi::BPF_PROG_TYPE_SOCKET_FILTER,
                instructions: filter.len(),
            };
            let log = match &result {
                Ok(program) => program.log(),
                Err(err) => match &err.kind {
                    LoadErrorKind::Verify { log, .. } => log,
                    _ => "",
                },
            };
            vec![given.checked(result.as_ref().map(|program| program.stats()), log, time)]
        }
    }
}

/// A program before it is judged.
struct Given<'a> {
    path: &'a Path,
    object: Option<&'a Object>,
    name: &'a str,
    prog_type: u32,
    instructions: usize,
}

impl Given<'_> {
    fn checked(
        &self,
        result: Result<VerifyStats, &LoadError>,
        log: &str,
        time: Duration,
    ) -> Checked {
        let (stats, err) = (result.ok(), result.err());
        let mut diagnosis = None;
        let verdict = match err.map(|err| &err.kind) {
            None => "accepted",
            Some(LoadErrorKind::Verify { error, .. }) => match error.as_ref() {
                VerifyError::Rejected(reject) => {
                    diagnosis = Some(Explanation::new(reject, self.object, self.name));
                    "rejected"
                }
                VerifyError::Internal(_) => "bug",
            },
            Some(LoadErrorKind::Link(_)) => "bug",
            Some(LoadErrorKind::ProgType { .. }) => "unsupported",
            Some(
                LoadErrorKind::Map(_)
                | LoadErrorKind::MapFields(_)
                | LoadErrorKind::MapSpecial { .. }
                | LoadErrorKind::MapContent(_)
                | LoadErrorKind::MapSlot { .. }
                | LoadErrorKind::AttachTarget { .. }
                | LoadErrorKind::NoCode { .. }
                | LoadErrorKind::NotPermitted
                | LoadErrorKind::NoProgram,
            ) => "not loaded",
        };
        Checked {
            object: self.path.display().to_string(),
            program: self.name.to_owned(),
            prog_type: type_name(self.prog_type),
            verdict,
            instructions: self.instructions,
            processed: stats.map(|stats| stats.insns_processed),
            states: stats.map(|stats| stats.total_states),
            time_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            errno: err.map(|err| diagnostic::errno_name(err.errno())),
            reason: err.map(|err| match &err.kind {
                LoadErrorKind::Verify { error, .. } => error.to_string(),
                _ => err.to_string(),
            }),
            diagnosis,
            log: log.to_owned(),
            failure: err.map(|err| diagnostic::failure(self.path, self.object, err)),
        }
    }
}

fn type_name(prog_type: u32) -> String {
    let found = BPF_PROG_TYPE_NAMES.iter().find(|(_, number)| *number == prog_type);
    match found {
        Some((name, _)) => name.trim_start_matches("BPF_PROG_TYPE_").to_lowercase(),
        None => prog_type.to_string(),
    }
}

fn show(all: &[Checked], out: &mut Out) -> Result<(), Failure> {
    for checked in all.iter().filter(|checked| !checked.log.is_empty()) {
        out.line(format_args!("{}, {}:", checked.object, checked.program))?;
        out.line(checked.log.trim_end())?;
        out.line("")?;
    }
    if all.is_empty() {
        return Ok(());
    }
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows = all.iter().map(|checked| {
        vec![
            checked.object.clone(),
            checked.program.clone(),
            checked.prog_type.clone(),
            match &checked.errno {
                Some(errno) => format!("{} ({errno})", checked.verdict),
                None => checked.verdict.to_owned(),
            },
            checked.instructions.to_string(),
            number(checked.processed),
            number(checked.states),
            format!("{:.3} ms", checked.time_ns as f64 / 1e6),
        ]
    });
    let header =
        ["object", "program", "type", "verdict", ">instructions", ">processed", ">states", ">time"];
    out.line(table(&header, rows))
}
