//! `skep check`: loads and verifies each program of objects, a line for each.

use crate::args::{CheckArgs, LogLevelArg, OutputFormat};
use crate::diagnostic::{self, Place};
use crate::failure::Failure;
use crate::input::{self, Input};
use crate::output::{self, Out, table};
use serde::Serialize;
use skep::{LoadError, LoadErrorKind, LoadOptions, Program, System};
use skep_abi::insn::cbpf::Flavor;
use skep_abi::uapi::BPF_PROG_TYPE_NAMES;
use skep_elf::{MapInit, Object};
use skep_verifier::{LogLevel, VerifyError};
use std::path::Path;
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
    /// Where, if it was the verifier that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
    /// The verifier's log.
    #[serde(skip_serializing_if = "String::is_empty")]
    log: String,
    /// The reason in several lines.
    #[serde(skip)]
    explanation: Option<Failure>,
}

pub(crate) fn run(args: &CheckArgs, out: &mut Out) -> Result<(), Failure> {
    let system = System::new();
    let mut all = Vec::new();
    let mut failed = None;
    for path in &args.objects {
        match Input::open(path, &args.target) {
            Ok(input) => all.extend(check(&system, path, &input, args.log_level)),
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
        if let Some(explanation) = &checked.explanation {
            if args.format.format() == OutputFormat::People {
                output::report(explanation);
            }
            failed = match failed {
                Some(kind) => Some(kind),
                None => Some(explanation.kind),
            };
        }
    }
    match failed {
        Some(kind) => Err(Failure::reported(kind)),
        None => Ok(()),
    }
}

fn check(system: &System, path: &Path, input: &Input, log: LogLevelArg) -> Vec<Checked> {
    let log_level = match log {
        LogLevelArg::Off => LogLevel::Off,
        LogLevelArg::Path => LogLevel::Path,
        LogLevelArg::Full => LogLevel::Full,
    };
    match input {
        Input::Object(object) => {
            // Each program alone: without what program arrays refer to.
            let mut alone = object.clone();
            for map in &mut alone.maps {
                if let MapInit::Slots(_) = map.init {
                    map.init = MapInit::None;
                }
            }
            let one = |program: &skep_elf::ProgramDef| {
                let options = LoadOptions { only: Some(&program.name), log_level };
                let start = Instant::now();
                let result = system.load_object(&alone, &options);
                let time = start.elapsed();
                let given = Given {
                    path,
                    object: Some(object),
                    name: &program.name,
                    prog_type: program.prog_type,
                    instructions: program.insns.len(),
                };
                match &result {
                    Ok(loaded) => {
                        given.checked(loaded.program(&program.name).map(AsRef::as_ref), None, time)
                    }
                    Err(err) => given.checked(None, Some(err), time),
                }
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
            vec![match &result {
                Ok(program) => given.checked(Some(program), None, time),
                Err(err) => given.checked(None, Some(err), time),
            }]
        }
    }
}

/// A program before it is loaded.
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
        program: Option<&Program>,
        err: Option<&LoadError>,
        time: Duration,
    ) -> Checked {
        let stats = program.map(Program::stats);
        let mut at = None;
        let (verdict, log) = match err.map(|err| &err.kind) {
            None => ("accepted", program.map(Program::log).unwrap_or_default()),
            Some(LoadErrorKind::Verify { error, log }) => match error.as_ref() {
                VerifyError::Rejected(reject) => {
                    at = Some(diagnostic::place(self.object, self.name, reject.insn_idx));
                    ("rejected", log.as_str())
                }
                VerifyError::Internal(_) => ("bug", log.as_str()),
            },
            Some(LoadErrorKind::Link(_)) => ("bug", ""),
            Some(LoadErrorKind::ProgType { .. }) => ("unsupported", ""),
            Some(
                LoadErrorKind::Map(_)
                | LoadErrorKind::MapFields(_)
                | LoadErrorKind::MapSpecial { .. }
                | LoadErrorKind::MapContent(_)
                | LoadErrorKind::MapSlot { .. }
                | LoadErrorKind::AttachTarget { .. }
                | LoadErrorKind::NoProgram,
            ) => ("not loaded", ""),
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
            at,
            log: log.to_owned(),
            explanation: err.map(|err| diagnostic::failure(self.path, self.object, err)),
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
