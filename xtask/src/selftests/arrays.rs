//! Cases from the arrays of `verifier/*.c`.
//!
//! A program of ours (`arrays_shim.c`) includes the tree's `test_verifier.c`, lets it prepare each test, and writes
//! down what it would have given the kernel.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use skep_abi::insn::RawInsn;
use skep_abi::uapi;
use skep_btf::{Btf, Kind};
use skep_elf::{MapDef, MapInit, MapKind, Pinning};

use super::input::{Case, Expect, Helper, Load, Map, Mode, Run, Source, Untyped, map_slots};
use super::pattern::Pattern;

const SHIM: &str = include_str!("arrays_shim.c");
const FIRST_FD: i32 = 0x5ce9_0000;
const FIRST_KFUNC: i32 = 0x5cea_0000;
/// A result that is a pointer, of which a test expects nothing.
const POINTER_VALUE: u64 = 0x00ca_fe4a;

/// Name and text of each file of the tree's `verifier/`, in order.
type Files = Vec<(String, String)>;

/// All cases of a tree.
pub(super) fn cases(source: &Path, work: &Path, kernel: &Btf) -> Result<Vec<Case>, Box<dyn Error>> {
    let tests = fs::canonicalize(source)?.join("tools/testing/selftests/bpf");
    if !tests.join("test_verifier.c").exists() {
        return Ok(Vec::new());
    }
    let (files, dump) = dump(source, &tests, work)?;
    let mut cases = Vec::new();
    for line in dump.lines() {
        let test: Value = serde_json::from_str(line)?;
        cases.extend(test_cases(&test, &files, kernel).ok_or("the dump of the arrays is cut off")?);
    }
    Ok(cases)
}

/// Builds the shim and runs it: the names of the files in order, and one line of JSON for each test.
fn dump(source: &Path, tests: &Path, work: &Path) -> Result<(Files, String), Box<dyn Error>> {
    let dir = work.join("arrays");
    for sub in ["verifier", "bpf"] {
        fs::create_dir_all(dir.join(sub))?;
    }
    for entry in fs::read_dir(source.join("tools/lib/bpf"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name()
            && path.extension().is_some_and(|e| e == "h")
        {
            fs::copy(&path, dir.join("bpf").join(name))?;
        }
    }
    let mut files: Vec<PathBuf> = fs::read_dir(tests.join("verifier"))?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "c"))
        .collect();
    files.sort();
    let mut list = String::from("#ifdef FILL_ARRAY\n");
    for file in &files {
        writeln!(list, "#include \"{}\"", file.display())?;
    }
    list.push_str("#endif\n");
    let sources = files
        .iter()
        .map(|f| {
            let stem = f.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned());
            Ok((stem, fs::read_to_string(f)?))
        })
        .collect::<Result<_, std::io::Error>>()?;
    let (program, out) = (dir.join("shim"), dir.join("tests.json"));
    // The list names the tree.
    let is_same =
        |name: &str, text: &str| fs::read_to_string(dir.join(name)).is_ok_and(|t| t == text);
    if out.exists() && is_same("verifier/tests.h", &list) && is_same("shim.c", SHIM) {
        return Ok((sources, fs::read_to_string(&out)?));
    }
    let _ = fs::remove_file(&out);
    fs::write(dir.join("verifier/tests.h"), list)?;
    fs::write(dir.join("shim.c"), SHIM)?;
    let include = source.join("tools/include");
    let mut cc = Command::new("cc");
    // What the shim does not replace is never called.
    cc.args(["-w", "-O1", "-no-pie", "-D_GNU_SOURCE", "-Wl,--unresolved-symbols=ignore-all"]);
    for path in [&dir, tests, &include, &include.join("uapi")] {
        cc.arg("-I").arg(path);
    }
    cc.arg(dir.join("shim.c")).arg("-o").arg(&program).stdin(Stdio::null());
    let done = cc.output().map_err(|e| format!("cc: {e}"))?;
    if !done.status.success() {
        return Err(format!("cc shim.c: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    let partial = dir.join("tests.partial");
    let done = Command::new(&program).arg(&partial).stdin(Stdio::null()).output()?;
    if !done.status.success() {
        return Err(format!("{}: {}", program.display(), done.status).into());
    }
    fs::rename(&partial, &out)?;
    Ok((sources, fs::read_to_string(&out)?))
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?.as_bytes();
    text.chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn number(value: &Value) -> Option<u32> {
    Some(value.as_u64()? as u32)
}

fn insns(value: &Value) -> Option<Vec<RawInsn>> {
    let bytes = bytes(value)?;
    let words = bytes.chunks_exact(RawInsn::SIZE).map(|c| c.try_into().ok());
    words.map(|w| Some(RawInsn::from_le_bytes(w?))).collect()
}

/// Descriptors of maps become indices, and numbers of kernel functions their types.
fn relocate(insns: &mut [RawInsn], objects: &Objects, kfuncs: &[u32]) {
    const CALL: u8 = 0x85;
    const LD_IMM64: u8 = 0x18;
    for insn in insns.iter_mut() {
        if insn.code == LD_IMM64
            && matches!(insn.src, 1 | 2)
            && let Some(index) = objects.map_index(insn.imm)
        {
            insn.src += 4;
            insn.imm = index as i32;
        }
        if insn.code == CALL
            && insn.src == 2
            && let Some(at) = insn.imm.checked_sub(FIRST_KFUNC)
            && let Some(id) = usize::try_from(at).ok().and_then(|at| kfuncs.get(at))
        {
            insn.imm = *id as i32;
        }
    }
}

/// What a test created: maps by number of the object.
struct Objects {
    maps: Vec<usize>,
}

impl Objects {
    fn map_index(&self, fd: i32) -> Option<usize> {
        let object = usize::try_from(fd.checked_sub(FIRST_FD)?).ok()?;
        self.maps.iter().position(|o| *o == object)
    }
}

fn test_cases(test: &Value, files: &[(String, String)], kernel: &Btf) -> Option<Vec<Case>> {
    let name = test["name"].as_str()?.to_owned();
    // The array is made of all files; the test is in the one that has its name.
    let quoted = format!("\"{name}\"");
    let file = files.iter().find(|(_, text)| text.contains(&quoted));
    let file = file.map_or("verifier", |(stem, _)| stem);
    let load = Arc::new(load(test, kernel)?);
    let modes = match number(&test["unpriv"])? {
        0 => &[Mode::Privileged][..],
        _ => &Mode::ALL,
    };
    let case = |mode: &Mode| {
        Some(Case {
            source: Source::Array,
            mode: *mode,
            caps: Vec::new(),
            file: format!("verifier/{file}"),
            name: format!("{name} #{}", test["index"]),
            load: load.clone(),
            expect: expect(test, *mode)?,
        })
    };
    modes.iter().map(case).collect()
}

fn expect(test: &Value, mode: Mode) -> Option<Expect> {
    const VERBOSE_ACCEPT: u32 = 3;
    let unpriv = mode == Mode::Unprivileged;
    let result = match number(&test["result_unpriv"])? {
        0 => number(&test["result"])?,
        n if unpriv => n,
        _ => number(&test["result"])?,
    };
    let text = match test["errstr_unpriv"].as_str() {
        Some(text) if unpriv => Some(text),
        _ => test["errstr"].as_str(),
    };
    let messages = match text {
        // An accepted program's log is not looked at, unless it is asked for.
        Some(text) if result != 1 => {
            text.split('\t').filter(|t| !t.is_empty()).map(Pattern::literal).collect()
        }
        _ => Vec::new(),
    };
    let run = |run: &Value| {
        let retval = match run["retval_unpriv"].as_u64()? {
            n if unpriv && n != 0 => n,
            _ => run["retval"].as_u64()?,
        };
        Some(Run {
            retval: (retval != POINTER_VALUE).then_some(retval as u32),
            data: bytes(&run["data"])?,
        })
    };
    let runs = test["runs"].as_array()?.iter().map(run).collect::<Option<_>>()?;
    Some(Expect {
        accepted: Some(result != 2),
        messages,
        log_level: if result == VERBOSE_ACCEPT { 2 } else { 0 },
        runs,
    })
}

fn load(test: &Value, kernel: &Btf) -> Option<Load> {
    const KIND_MAP: u32 = 0;
    const KIND_BTF: u32 = 1;
    const KIND_PROG: u32 = 2;
    let all = test["objects"].as_array()?;
    let of_kind = |kind| {
        let is = move |o: &&Value| number(&o["kind"]) == Some(kind);
        all.iter().enumerate().filter(move |(_, o)| is(o))
    };
    let btf_at = |at: &Value| -> Option<Option<Arc<Btf>>> {
        let Ok(at) = usize::try_from(at.as_i64()?) else { return Some(None) };
        let data = bytes(&all.get(at).filter(|o| number(&o["kind"]) == Some(KIND_BTF))?["bytes"])?;
        // What we do not parse we do not load with types.
        Some(Btf::parse(&data).ok().map(Arc::new))
    };
    // Templates of maps of maps are not named by programs, but may stand among the maps all the same.
    let objects = Objects { maps: of_kind(KIND_MAP).map(|(i, _)| i).collect() };
    let progs: Vec<usize> = of_kind(KIND_PROG).map(|(i, _)| i).collect();
    let kfuncs: Vec<u32> = test["kfuncs"]
        .as_array()?
        .iter()
        .map(|name| {
            // As in the tree: 0 for one that the kernel does not have.
            let func = kernel.find_by_name_kind(name.as_str().unwrap_or_default(), Kind::Func);
            func.map_or(0, |f| f.id().0)
        })
        .collect();
    let mut maps = Vec::new();
    for (at, object) in of_kind(KIND_MAP) {
        maps.push(map(object, all, at, test, &progs, btf_at(&object["btf"])?)?);
    }
    let mut helpers = Vec::new();
    for (_, object) in of_kind(KIND_PROG) {
        let mut insns = insns(&object["bytes"])?;
        relocate(&mut insns, &objects, &kfuncs);
        helpers.push(Helper { prog_type: number(&object["prog_type"])?, insns });
    }
    let mut insns = insns(&test["insns"])?;
    relocate(&mut insns, &objects, &kfuncs);
    debug_assert!(map_slots(&insns).all(|i| (insns[i].imm as usize) < maps.len()));
    let attach_type = number(&test["attach_type"])?;
    let attach_btf_id = match (number(&test["wants_target"])?, test["target"].as_str()) {
        (1, Some(name)) => target(kernel, name, attach_type).unwrap_or(0),
        _ => 0,
    };
    let words = |b: &[u8]| {
        let word = |at: usize| Some(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?));
        Some((word(0)?, word(4)?))
    };
    Some(Load {
        name: "test".to_owned(),
        prog_type: number(&test["prog_type"])?,
        attach_type,
        flags: number(&test["flags"])?,
        license: "GPL".to_owned(),
        insns,
        maps: Arc::new(maps),
        helpers,
        btf: btf_at(&test["btf"])?,
        func_info: bytes(&test["func_info"])?.chunks_exact(8).map(words).collect::<Option<_>>()?,
        line_info: Vec::new(),
        attach_btf_id,
    })
}

fn target(kernel: &Btf, name: &str, attach_type: u32) -> Option<u32> {
    super::attach::find(kernel, name, attach_type).ok()
}

fn map(
    object: &Value,
    all: &[Value],
    at: usize,
    test: &Value,
    progs: &[usize],
    btf: Option<Arc<Btf>>,
) -> Option<Map> {
    let mut def = map_def(object)?;
    if let Ok(inner) = usize::try_from(object["inner"].as_i64()?) {
        def.inner = Some(Box::new(map_def(all.get(inner)?)?));
    }
    let (mut elements, mut programs) = (Vec::new(), Vec::new());
    for element in test["elements"].as_array()? {
        if element["map"].as_u64()? as usize != at {
            continue;
        }
        let (key, value) = (bytes(&element["key"])?, bytes(&element["value"])?);
        if def.map_type == uapi::BPF_MAP_TYPE_PROG_ARRAY {
            let fd = i32::from_le_bytes(value.try_into().ok()?);
            let object = usize::try_from(fd - FIRST_FD).ok()?;
            let index = progs.iter().position(|p| *p == object)?;
            programs.push((u32::from_le_bytes(key.try_into().ok()?), index));
        } else {
            elements.push((key, value));
        }
    }
    Some(Map { def, btf, untyped: Untyped::Refused, elements, programs })
}

fn map_def(object: &Value) -> Option<MapDef> {
    let name = object["name"].as_str().unwrap_or_default().to_owned();
    Some(MapDef {
        symbol: name.clone(),
        name,
        kind: MapKind::User,
        map_type: number(&object["type"])?,
        key_size: number(&object["key_size"])?,
        value_size: number(&object["value_size"])?,
        max_entries: number(&object["max_entries"])?,
        flags: number(&object["flags"])?,
        numa_node: 0,
        map_extra: 0,
        btf_key_type_id: number(&object["key_id"])?,
        btf_value_type_id: number(&object["value_id"])?,
        pinning: Pinning::None,
        inner: None,
        init: MapInit::None,
        autocreate: true,
        struct_ops: None,
    })
}
