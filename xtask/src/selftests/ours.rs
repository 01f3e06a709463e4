//! Skep's answer to a case: [`Skep::ask`].

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep::{
    CheckOptions, LoadError, LoadErrorKind, Program, RawProgram, RunError, System, TestRun,
    UnprivilegedBpf,
};
use skep_abi::insn::RawInsn;
use skep_abi::uapi::*;
use skep_btf::Btf;
use skep_elf::{MapInit, MapKind};
use skep_maps::{MapKind as MapType, MapOps, Support};
use skep_verifier::env::{Caps, MapProps, Privilege};
use skep_verifier::{LineInfo, LogLevel, RejectKind, VerifyError};

use super::input::{Case, Load, Map, Mode, map_slots, used_maps};
use super::native;

/// What Skep makes of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Accepted,
    /// With the errno.
    Rejected(i32),
    /// It says that it does not do that yet.
    Unsupported(String),
    /// It contradicts itself or panics.
    Bug(String),
}

/// Skep's answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    pub(super) log: String,
    /// Instructions that the verifier walked over.
    pub(super) insns: u64,
    /// How long a load without a log took.
    pub(super) time: Duration,
    /// Result of each run, or why there is none.
    pub(super) runs: Vec<Result<u32, NoResult>>,
}

/// Why a run has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NoResult {
    /// Something that it needs is not there yet.
    NotRun(String),
    /// It was stopped: a bug of the verifier.
    Trap(String),
}

impl Answer {
    fn of(verdict: Verdict) -> Answer {
        let (log, runs) = (String::new(), Vec::new());
        Answer { verdict, log, insns: 0, time: Duration::ZERO, runs }
    }
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic says instead of printing it.
pub(super) fn keep_panics() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string().replace('\n', " ");
        PANIC.with(|p| *p.borrow_mut() = text);
    }));
}

/// Judges programs, and runs those that it accepts.
pub(super) struct Skep {
    system: System,
    logs: Logs,
}

/// Which logs to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Logs {
    /// Those that are compared.
    Compared,
    /// All.
    All,
}

impl Skep {
    /// For programs that use the types of a kernel.
    pub(super) fn new(kernel: Arc<Btf>, logs: Logs) -> Skep {
        let system = System::with_checks().with_unprivileged_bpf(UnprivilegedBpf::Allowed);
        Skep { system: system.with_kernel_btf(kernel), logs }
    }

    /// Judges a program of a case as its mode says, and runs it where the test asks for that.
    pub(super) fn ask(&self, case: &Case) -> Answer {
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut answer = self.judge(case);
            if answer.verdict == Verdict::Accepted && !case.expect.runs.is_empty() {
                answer.runs = self.runs(case);
            }
            answer
        }));
        caught.unwrap_or_else(|_| Answer::of(Verdict::Bug(PANIC.with(|p| p.borrow().clone()))))
    }

    fn judge(&self, case: &Case) -> Answer {
        let load = case.load.as_ref();
        let used = used_maps(&load.insns);
        let props = used.iter().filter_map(|i| load.maps.get(*i));
        let props = props.map(|m| skep::map_props(&m.def, m.btf.as_ref()));
        let maps: Vec<MapProps> = match props.collect() {
            Ok(maps) => maps,
            Err(error) => return refused(&error, String::new()),
        };
        let raw = raw(load, renumber(&load.insns, &used), Vec::new());
        let mut options = CheckOptions { privilege: privilege(case), ..CheckOptions::default() };
        let timed = || {
            let start = Instant::now();
            let quiet = self.system.check_raw(&raw, &maps, &options);
            (quiet, start.elapsed())
        };
        let (quiet, mut time) = timed();
        if time < Duration::from_micros(native::SHORT_US) {
            for _ in 1..native::TIMED_LOADS {
                time = time.min(timed().1);
            }
        }
        options.log_stats = true;
        if self.logs == Logs::Compared
            && let Ok(program) = &quiet.verdict
            && !native::wants_log(case, true)
        {
            let insns = program.stats().insns_processed;
            return Answer { time, insns, ..Answer::of(Verdict::Accepted) };
        }
        options.log_level = match native::log_level(case) {
            1 => LogLevel::Path,
            _ => LogLevel::Full,
        };
        let done = self.system.check_raw(&raw, &maps, &options);
        if quiet.verdict.is_ok() != done.verdict.is_ok() {
            return Answer::of(Verdict::Bug("the verdict depends on the log level".to_owned()));
        }
        let answer = match done.verdict {
            Ok(program) => Answer {
                log: done.log,
                insns: program.stats().insns_processed,
                ..Answer::of(Verdict::Accepted)
            },
            Err(error) => refused(&error, done.log),
        };
        Answer { time, ..answer }
    }

    fn runs(&self, case: &Case) -> Vec<Result<u32, NoResult>> {
        let load = case.load.as_ref();
        match self.link(load, privilege(case)) {
            Ok((program, _helpers)) => case
                .expect
                .runs
                .iter()
                .map(|r| run(&self.system, &program, load, &r.data))
                .collect(),
            Err(why) => {
                case.expect.runs.iter().map(|_| Err(NoResult::NotRun(why.clone()))).collect()
            }
        }
    }

    /// Loads a program with its maps and the programs in them.
    fn link(
        &self,
        load: &Load,
        privilege: Privilege,
    ) -> Result<(Arc<Program>, Vec<Arc<Program>>), String> {
        let used = used_maps(&load.insns);
        let maps = used
            .iter()
            .map(|i| create(load.maps.get(*i).ok_or("a map that is not there")?))
            .collect::<Result<Vec<_>, String>>()?;
        let mut helpers = Vec::new();
        for helper in &load.helpers {
            let raw = RawProgram {
                prog_type: helper.prog_type,
                insns: renumber(&helper.insns, &used),
                license: "GPL".to_owned(),
                maps: maps.clone(),
                ..RawProgram::default()
            };
            helpers.push(self.system.load_raw(&raw).map_err(|e| format!("program array: {e}"))?);
        }
        for (index, map) in used.iter().zip(&maps) {
            let Some(array) = map.as_prog_array() else { continue };
            for (key, helper) in load.maps.get(*index).map_or(&[][..], |m| &m.programs) {
                let Some(program) = helpers.get(*helper).cloned() else { continue };
                let set = array.set(&key.to_ne_bytes(), || Ok(program as _), 0);
                set.map_err(|e| format!("filling a program array: {e}"))?;
            }
        }
        let raw = raw(load, renumber(&load.insns, &used), maps);
        let raw = RawProgram { privilege, ..raw };
        let program = self.system.load_raw(&raw).map_err(|e| e.to_string())?;
        Ok((program, helpers))
    }
}

/// Who loads the program.
fn privilege(case: &Case) -> Privilege {
    match case.mode {
        Mode::Privileged => Privilege::Privileged,
        Mode::Unprivileged => {
            Privilege::With(case.caps.iter().fold(Caps::NONE, |all, c| all | c.ours))
        }
    }
}

/// Instructions with the maps that they use numbered from 0.
fn renumber(insns: &[RawInsn], used: &[usize]) -> Vec<RawInsn> {
    let mut out = insns.to_vec();
    for slot in map_slots(insns) {
        let at = used.iter().position(|u| *u as i32 == insns[slot].imm);
        out[slot].imm = at.map_or(-1, |at| at as i32);
    }
    out
}

fn refused(error: &LoadError, log: String) -> Answer {
    let unsupported = |text: String| Answer::of(Verdict::Unsupported(text));
    let bug = |text: String| Answer::of(Verdict::Bug(text));
    match &error.kind {
        LoadErrorKind::ProgType { number, reason } => {
            unsupported(format!("program type {number}: {reason}"))
        }
        LoadErrorKind::Verify { error, .. } => {
            let answer = match error.as_ref() {
                VerifyError::Rejected(r) => match &r.kind {
                    RejectKind::Unsupported { .. } | RejectKind::HelperUnsupported { .. } => {
                        unsupported(r.kind.to_string())
                    }
                    _ => Answer::of(Verdict::Rejected(r.errno.raw())),
                },
                VerifyError::Internal(b) => bug(b.to_string()),
            };
            let insns = log
                .rsplit_once("processed ")
                .and_then(|(_, rest)| rest.split(' ').next().and_then(|n| n.parse().ok()));
            Answer { log, insns: insns.unwrap_or(0), ..answer }
        }
        LoadErrorKind::Map(_)
        | LoadErrorKind::MapFields(_)
        | LoadErrorKind::MapContent(_)
        | LoadErrorKind::AttachTarget { .. }
        | LoadErrorKind::NotPermitted
        | LoadErrorKind::MapSlot { .. } => Answer::of(Verdict::Rejected(error.errno().raw())),
        LoadErrorKind::MapSpecial { .. }
        | LoadErrorKind::Link(_)
        | LoadErrorKind::NoCode { .. }
        | LoadErrorKind::NoProgram => bug(error.to_string()),
    }
}

fn create(map: &Map) -> Result<Arc<dyn MapOps>, String> {
    let def = &map.def;
    if let Some(kind) = MapType::from_number(def.map_type) {
        let described = kind.describe();
        if let Support::No(..) = described.support {
            return Err(format!("map type {}", described.name));
        }
    }
    let failed = |e: &dyn std::fmt::Display| format!("map '{}': {e}", def.symbol);
    let created = skep_maps::create(&skep::map_spec(def)).map_err(|e| failed(&e))?;
    for (key, value) in &map.elements {
        created.user_update(key, value, 0).map_err(|e| failed(&e))?;
    }
    if let MapInit::Bytes(bytes) = &def.init {
        let mut value = bytes.clone();
        value.resize(created.user_value_size(), 0);
        created.user_update(&[0; 4], &value, 0).map_err(|e| failed(&e))?;
    }
    if matches!(def.kind, MapKind::Rodata | MapKind::Kconfig) {
        created.freeze().map_err(|e| failed(&e))?;
    }
    Ok(created)
}

fn raw(load: &Load, insns: Vec<RawInsn>, maps: Vec<Arc<dyn MapOps>>) -> RawProgram {
    let line = |l: &[u32; 4]| LineInfo {
        insn_off: l[0],
        file_name_off: l[1],
        line_off: l[2],
        line: l[3] >> 10,
        column: l[3] & 0x3ff,
    };
    RawProgram {
        name: load.name.clone(),
        prog_type: load.prog_type,
        expected_attach_type: load.attach_type,
        insns,
        license: load.license.clone(),
        maps,
        btf: load.btf.clone(),
        func_info: load.func_info.clone(),
        flags: load.flags,
        attach_btf_id: load.attach_btf_id,
        line_info: load.line_info.iter().map(line).collect(),
        log_level: LogLevel::Off,
        privilege: Privilege::Privileged,
    }
}

fn run(system: &System, program: &Program, load: &Load, data: &[u8]) -> Result<u32, NoResult> {
    let repeat = u32::from(load.prog_type != BPF_PROG_TYPE_SYSCALL);
    let run = TestRun { data_in: data, repeat, ..TestRun::default() };
    match system.test_run(program, &run) {
        Ok(out) => Ok(out.retval),
        Err(RunError::Refused { errno, reason }) => {
            Err(NoResult::NotRun(format!("{reason}: {errno}")))
        }
        Err(RunError::Trap(trap)) => Err(NoResult::Trap(trap.to_string())),
    }
}
