//! The live kernel's answer to a case: [`ask`].

use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use skep_abi::insn::RawInsn;
use skep_abi::uapi::*;
use skep_btf::{Btf, ByteOrder};
use skep_elf::{MapDef, MapInit, MapKind};
use skep_host::kernel::{
    KernelBtf, KernelMap, KernelProg, LoadAttr, LoadError, MapTypes, TestRun, with_only,
};

use super::input::{Case, Load, Map, Mode, Run, Untyped, map_slots, used_maps};

const LOG_SIZES: [usize; 3] = [1 << 20, 16 << 20, 64 << 20];
/// What is kept of a log.
const LOG_MAX: usize = 4 << 20;
const LOG_STATS: u32 = 4;
/// How often a load is timed that takes less than [`SHORT_US`].
pub(super) const TIMED_LOADS: usize = 3;
/// Microseconds from which on one load is enough.
pub(super) const SHORT_US: u64 = 20_000;
const ENOSPC: i32 = 28;

/// What the kernel answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Answer {
    /// Why the program was not loaded at all.
    pub(super) not_asked: Option<String>,
    /// 0 for an accepted program.
    pub(super) errno: i32,
    pub(super) log: String,
    /// Instructions that the verifier walked over.
    pub(super) insns: u64,
    /// How long the verifier took.
    pub(super) time_us: u64,
    /// Result of each run, or the errno.
    pub(super) runs: Vec<Result<u32, i32>>,
}

impl Answer {
    pub(super) fn to_json(&self) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|run| match run {
                Ok(retval) => json!(retval),
                Err(errno) => json!(-errno),
            })
            .collect();
        json!({
            "not_asked": self.not_asked,
            "errno": self.errno,
            "log": self.log,
            "insns": self.insns,
            "time_us": self.time_us,
            "runs": runs,
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Answer> {
        let run = |run: &Value| {
            let run = run.as_i64()?;
            Some(if run < 0 { Err((-run) as i32) } else { Ok(run as u32) })
        };
        Some(Answer {
            not_asked: value["not_asked"].as_str().map(str::to_owned),
            errno: value["errno"].as_i64()? as i32,
            log: value["log"].as_str()?.to_owned(),
            insns: value["insns"].as_u64()?,
            time_us: value["time_us"].as_u64()?,
            runs: value["runs"].as_array()?.iter().map(run).collect::<Option<_>>()?,
        })
    }
}

/// Loads a program of a case as its mode says, and runs it where the test asks for that.
pub(super) fn ask(case: &Case) -> Answer {
    let load = case.load.as_ref();
    let done = match case.mode {
        Mode::Privileged => load_all(case),
        Mode::Unprivileged => {
            let keep = case.caps.iter().fold(0, |all, cap| all | 1 << cap.number);
            match with_only(keep, || load_all(case)) {
                Ok(done) => done,
                Err(error) => Err(format!("dropping capabilities: {error}")),
            }
        }
    };
    match done {
        Ok((mut answer, prog)) => {
            if let Some(loaded) = prog {
                answer.runs = case.expect.runs.iter().map(|r| run(load, &loaded.prog, r)).collect();
            }
            answer
        }
        Err(reason) => Answer { not_asked: Some(reason), ..Answer::default() },
    }
}

/// The level at which both sides write their logs.
pub(super) fn log_level(case: &Case) -> u32 {
    match case.expect.log_level & 3 {
        0 => 1,
        level => level,
    }
}

/// Whether a log is worth having that costs a second load: of what is refused, and of what a test looks at.
pub(super) fn wants_log(case: &Case, accepted: bool) -> bool {
    !accepted || case.expect.log_level & 3 != 0 || !case.expect.messages.is_empty()
}

/// A program with what it must not outlive.
struct Loaded {
    prog: KernelProg,
    _maps: Vec<Option<KernelMap>>,
    _helpers: Vec<KernelProg>,
}

fn load_all(case: &Case) -> Result<(Answer, Option<Loaded>), String> {
    let load = case.load.as_ref();
    let mut maps: Vec<Option<KernelMap>> = Vec::new();
    let mut types = Types::default();
    let used = used_maps(&load.insns);
    for (i, map) in load.maps.iter().enumerate() {
        let wanted = used.contains(&i);
        maps.push(if wanted { Some(create(map, case.mode, &mut types)?) } else { None });
    }
    let fd_of = |index: i32| -> Option<RawFd> { Some(maps.get(index as usize)?.as_ref()?.fd()) };
    let helpers = load
        .helpers
        .iter()
        .map(|h| {
            let insns = with_fds(&h.insns, &fd_of);
            let attr =
                LoadAttr { prog_type: h.prog_type, insns: &insns, name: "", ..LoadAttr::default() };
            KernelProg::load(&attr)
                .map_err(|e| format!("a program for a program array: {}", e.errno))
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (i, map) in load.maps.iter().enumerate() {
        for (key, index) in &map.programs {
            let (Some(Some(array)), Some(prog)) = (maps.get(i), helpers.get(*index)) else {
                continue;
            };
            array
                .update(&key.to_ne_bytes(), &prog.fd().to_ne_bytes(), 0)
                .map_err(|e| format!("filling a program array: {e}"))?;
        }
    }
    let btf = match &load.btf {
        Some(btf) => Some(types.get(btf).map_err(|e| format!("types: {e}"))?),
        None => None,
    };
    let insns = with_fds(&load.insns, &fd_of);
    let attr = LoadAttr {
        prog_type: load.prog_type,
        expected_attach_type: load.attach_type,
        insns: &insns,
        license: &load.license,
        flags: load.flags,
        name: &load.name,
        btf: btf.as_deref(),
        func_info: &load.func_info,
        line_info: &load.line_info,
        attach_btf_id: load.attach_btf_id,
        log_level: LOG_STATS,
        log_size_bytes: LOG_SIZES[0],
        ..LoadAttr::default()
    };
    let quiet = KernelProg::load(&attr);
    let mut answer = Answer::default();
    match &quiet {
        Ok(prog) => answer.log = prog.log.clone(),
        Err(e) => (answer.errno, answer.log) = (e.errno.raw(), e.log.clone()),
    }
    (answer.insns, answer.time_us) = stats(&answer.log);
    if answer.time_us < SHORT_US {
        // What else the machine does should not show.
        for _ in 1..TIMED_LOADS {
            let log = match KernelProg::load(&attr) {
                Ok(prog) => prog.log,
                Err(e) => e.log,
            };
            answer.time_us = answer.time_us.min(stats(&log).1);
        }
    }
    let sizes = if wants_log(case, quiet.is_ok()) { &LOG_SIZES[..] } else { &[] };
    for size in sizes.iter().copied() {
        let attr =
            LoadAttr { log_level: log_level(case) | LOG_STATS, log_size_bytes: size, ..attr };
        answer.log = match KernelProg::load(&attr) {
            Ok(prog) => prog.log,
            Err(LoadError { errno, log }) => {
                let short = errno.raw() == ENOSPC && answer.errno != ENOSPC;
                if short && size != LOG_SIZES[LOG_SIZES.len() - 1] {
                    continue;
                }
                log
            }
        };
        break;
    }
    if answer.log.len() > LOG_MAX {
        let at = (0..=LOG_MAX).rev().find(|i| answer.log.is_char_boundary(*i)).unwrap_or(0);
        answer.log.truncate(at);
    }
    let loaded = quiet.ok().map(|prog| Loaded { prog, _maps: maps, _helpers: helpers });
    Ok((answer, loaded))
}

/// Instructions and microseconds, from the log's last lines.
fn stats(log: &str) -> (u64, u64) {
    let after = |word: &str| -> Option<u64> {
        let (_, rest) = log.rsplit_once(word)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    (after("processed ").unwrap_or(0), after("verification time ").unwrap_or(0))
}

/// Instructions with descriptors of maps in place of indices, as loaders give them to the kernel.
fn with_fds(insns: &[RawInsn], fd_of: &dyn Fn(i32) -> Option<RawFd>) -> Vec<RawInsn> {
    let mut out = insns.to_vec();
    for slot in map_slots(insns) {
        if let Some(fd) = fd_of(insns[slot].imm) {
            out[slot].src -= 4;
            out[slot].imm = fd;
        }
    }
    out
}

/// Where arenas lie for user space that does not say where.
const ARENA_ADDRESS: u64 = 1 << 44;

/// Types that the kernel has: each once, since a map's types must be its program's.
#[derive(Default)]
struct Types(Vec<(Arc<Btf>, Rc<KernelBtf>)>);

impl Types {
    fn get(&mut self, btf: &Arc<Btf>) -> Result<Rc<KernelBtf>, skep_abi::Errno> {
        if let Some((_, loaded)) = self.0.iter().find(|(of, _)| Arc::ptr_eq(of, btf)) {
            return Ok(loaded.clone());
        }
        let loaded = KernelBtf::load(&btf.to_bytes(ByteOrder::HOST)).map_err(|e| e.errno)?;
        let loaded = Rc::new(loaded);
        self.0.push((btf.clone(), loaded.clone()));
        Ok(loaded)
    }
}

fn create(map: &Map, mode: Mode, types: &mut Types) -> Result<KernelMap, String> {
    let def = &map.def;
    let failed = |what: &str, e: skep_abi::Errno| format!("{what} map '{}': {e}", def.symbol);
    if mode == Mode::Unprivileged && !may_create_unprivileged(def) {
        return Err(format!("map '{}' needs privileges", def.symbol));
    }
    let mut types_of = |def: &MapDef| match &map.btf {
        Some(btf) if def.btf_key_type_id != 0 || def.btf_value_type_id != 0 => types.get(btf).ok(),
        _ => None,
    };
    if map.untyped == Untyped::Refused && def.btf_value_type_id != 0 && types_of(def).is_none() {
        return Err(format!("the types of map '{}' are refused", def.symbol));
    }
    let inner = match &def.inner {
        Some(inner) => {
            let created = create_one(inner, types_of(inner).as_deref(), None);
            Some(created.map_err(|e| failed("inner", e))?)
        }
        None => None,
    };
    let created = create_one(def, types_of(def).as_deref(), inner.as_ref());
    let created = created.map_err(|e| failed("create", e))?;
    for (key, value) in &map.elements {
        created.update(key, value, 0).map_err(|e| failed("fill", e))?;
    }
    if let MapInit::Bytes(bytes) = &def.init
        && def.map_type != BPF_MAP_TYPE_ARENA
    {
        created.update(&[0; 4], bytes, 0).map_err(|e| failed("fill", e))?;
    }
    if matches!(def.kind, MapKind::Rodata | MapKind::Kconfig) {
        created.freeze().map_err(|e| failed("freeze", e))?;
    }
    Ok(created)
}

fn create_one(
    def: &MapDef,
    btf: Option<&KernelBtf>,
    inner: Option<&KernelMap>,
) -> Result<KernelMap, skep_abi::Errno> {
    let kernel = def.struct_ops.as_ref().and_then(|s| s.kernel.as_ref());
    let types = MapTypes {
        btf,
        key_id: def.btf_key_type_id,
        value_id: def.btf_value_type_id,
        kernel_value_id: kernel.map_or(0, |k| k.value_type_id),
        inner,
    };
    let mut spec = skep::map_spec(def);
    if def.map_type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && spec.max_entries == 0 {
        spec.max_entries = skep_host::kernel::possible_cpus() as u32;
    }
    if def.map_type == BPF_MAP_TYPE_ARENA && spec.map_extra == 0 {
        // A loader would map the arena somewhere; here nobody does.
        spec.map_extra = ARENA_ADDRESS;
    }
    // As libbpf: types that the kernel does not like are left out.
    KernelMap::create_with(&spec, &types)
        .or_else(|_| KernelMap::create_with(&spec, &MapTypes { btf: None, ..types }))
}

/// As the tree's `is_unpriv_capable_map`.
fn may_create_unprivileged(def: &MapDef) -> bool {
    const ZERO_SEED: u32 = 1 << 6;
    match def.map_type {
        BPF_MAP_TYPE_HASH | BPF_MAP_TYPE_PERCPU_HASH | BPF_MAP_TYPE_HASH_OF_MAPS => {
            def.flags & ZERO_SEED == 0
        }
        BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
        | BPF_MAP_TYPE_ARRAY
        | BPF_MAP_TYPE_RINGBUF
        | BPF_MAP_TYPE_PROG_ARRAY
        | BPF_MAP_TYPE_CGROUP_ARRAY
        | BPF_MAP_TYPE_PERCPU_ARRAY
        | BPF_MAP_TYPE_USER_RINGBUF
        | BPF_MAP_TYPE_ARRAY_OF_MAPS
        | BPF_MAP_TYPE_CGROUP_STORAGE
        | BPF_MAP_TYPE_PERF_EVENT_ARRAY => true,
        _ => false,
    }
}

fn run(load: &Load, prog: &KernelProg, run: &Run) -> Result<u32, i32> {
    let data_out_size = if run.data.is_empty() { 0 } else { 256 };
    let repeat = u32::from(load.prog_type != BPF_PROG_TYPE_SYSCALL);
    let run = TestRun { data: &run.data, repeat, data_out_size, ..TestRun::default() };
    prog.test_run(&run).map(|out| out.retval).map_err(|e| e.raw())
}
