//! Skep's answer to a case: [`ask`].

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep::{LoadError, LoadErrorKind, Program, RawProgram, RunError, System, TestRun};
use skep_abi::insn::RawInsn;
use skep_abi::uapi::*;
use skep_btf::TypeId;
use skep_btf::fields::{self, Scope};
use skep_elf::{MapInit, MapKind};
use skep_maps::{MapKind as MapType, MapOps, Support};
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
    pub(super) runs: Vec<Result<u32, String>>,
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

/// Loads a program of a case as its mode says, and runs it where the test asks for that.
pub(super) fn ask(case: &Case) -> Answer {
    match panic::catch_unwind(AssertUnwindSafe(|| load(case))) {
        Ok(Ok(answer)) => answer,
        Ok(Err(reason)) => Answer::of(Verdict::Unsupported(reason)),
        Err(_) => Answer::of(Verdict::Bug(PANIC.with(|p| p.borrow().clone()))),
    }
}

fn load(case: &Case) -> Result<Answer, String> {
    let load = case.load.as_ref();
    if case.mode == Mode::Unprivileged {
        return Err("loading without privileges".to_owned());
    }
    if load.flags & BPF_F_STRICT_ALIGNMENT != 0 {
        return Err("load flag BPF_F_STRICT_ALIGNMENT".to_owned());
    }
    let system = System::with_checks();
    let (insns, maps, _helpers) = with_maps(&system, load)?;
    let mut raw = raw(load, insns, maps);
    let start = Instant::now();
    let quiet = system.load_raw(&raw);
    let time = start.elapsed();
    raw.log_level = match native::log_level(case) {
        1 => LogLevel::Path,
        _ => LogLevel::Full,
    };
    let done = system.load_raw(&raw);
    if quiet.is_ok() != done.is_ok() {
        return Ok(Answer::of(Verdict::Bug("the verdict depends on the log level".to_owned())));
    }
    let mut answer = match &done {
        Ok(program) => Answer {
            log: program.log().to_owned(),
            insns: program.stats().insns_processed,
            ..Answer::of(Verdict::Accepted)
        },
        Err(error) => refused(error),
    };
    answer.time = time;
    if let Ok(program) = &done {
        answer.runs =
            case.expect.runs.iter().map(|r| run(&system, program, load, &r.data)).collect();
    }
    Ok(answer)
}

fn refused(error: &LoadError) -> Answer {
    let unsupported = |text: String| Answer::of(Verdict::Unsupported(text));
    let bug = |text: String| Answer::of(Verdict::Bug(text));
    match &error.kind {
        LoadErrorKind::ProgType { number, reason } => {
            unsupported(format!("program type {number}: {reason}"))
        }
        LoadErrorKind::Verify { error, log } => {
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
            Answer { log: log.clone(), insns: insns.unwrap_or(0), ..answer }
        }
        LoadErrorKind::Map(_)
        | LoadErrorKind::MapFields(_)
        | LoadErrorKind::MapContent(_)
        | LoadErrorKind::MapSlot { .. } => Answer::of(Verdict::Rejected(error.errno().raw())),
        LoadErrorKind::MapSpecial { .. } => unsupported(error.kind_text()),
        LoadErrorKind::Link(_) | LoadErrorKind::NoProgram => bug(error.to_string()),
    }
}

trait KindText {
    fn kind_text(&self) -> String;
}

impl KindText for LoadError {
    /// The reason without the name of the program.
    fn kind_text(&self) -> String {
        let text = self.to_string();
        text.split_once("': ").map_or(text.clone(), |(_, reason)| reason.to_owned())
    }
}

type WithMaps = (Vec<RawInsn>, Vec<Arc<dyn MapOps>>, Vec<Arc<Program>>);

/// Creates the maps that the program uses, and numbers them anew.
fn with_maps(system: &System, load: &Load) -> Result<WithMaps, String> {
    let used = used_maps(&load.insns);
    let mut maps = Vec::with_capacity(used.len());
    for index in &used {
        let map = load.maps.get(*index).ok_or("a map that is not there")?;
        maps.push(create(map)?);
    }
    let renumber = |insns: &[RawInsn]| {
        let mut out = insns.to_vec();
        for slot in map_slots(insns) {
            let at = used.iter().position(|u| *u as i32 == insns[slot].imm);
            out[slot].imm = at.map_or(-1, |at| at as i32);
        }
        out
    };
    let mut helpers = Vec::new();
    for helper in &load.helpers {
        let raw = RawProgram {
            prog_type: helper.prog_type,
            insns: renumber(&helper.insns),
            license: "GPL".to_owned(),
            maps: maps.clone(),
            ..RawProgram::default()
        };
        helpers.push(system.load_raw(&raw).map_err(|e| format!("for a program array: {e}"))?);
    }
    for (index, map) in used.iter().zip(&maps) {
        let Some(array) = map.as_prog_array() else { continue };
        for (key, helper) in load.maps.get(*index).map_or(&[][..], |m| &m.programs) {
            let Some(program) = helpers.get(*helper).cloned() else { continue };
            let set = array.set(&key.to_ne_bytes(), || Ok(program as _), 0);
            set.map_err(|e| format!("filling a program array: {e}"))?;
        }
    }
    Ok((renumber(&load.insns), maps, helpers))
}

fn create(map: &Map) -> Result<Arc<dyn MapOps>, String> {
    let def = &map.def;
    if let Some(kind) = MapType::from_number(def.map_type) {
        let described = kind.describe();
        if let Support::No(..) = described.support {
            return Err(format!("map type {}", described.name));
        }
    }
    if let Some(btf) = &map.btf
        && def.btf_value_type_id != 0
    {
        let id = TypeId(def.btf_value_type_id);
        let found = fields::fields(btf, id, def.value_size, Scope::MapValue);
        if let Some(field) = found.map_err(|e| format!("map fields: {e}"))?.first() {
            return Err(format!("map value with {}", field.kind.name()));
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
        line_info: load.line_info.iter().map(line).collect(),
        log_level: LogLevel::Off,
    }
}

fn run(system: &System, program: &Program, load: &Load, data: &[u8]) -> Result<u32, String> {
    let repeat = u32::from(load.prog_type != BPF_PROG_TYPE_SYSCALL);
    let run = TestRun { data_in: data, repeat, ..TestRun::default() };
    match system.test_run(program, &run) {
        Ok(out) => Ok(out.retval),
        Err(RunError::Refused { errno, reason }) => Err(format!("{reason}: {errno}")),
        Err(RunError::Trap(trap)) => Err(format!("TRAP: {trap}")),
    }
}
