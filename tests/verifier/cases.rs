//! Runs the text programs in `cases/`: each must get the verdict and the message that it names, from Skep and from
//! the live kernel.
//!
//! A file holds cases of one topic. A case begins with `== name`; lines that begin with `@` say of what type it is
//! (`@ socket`, `tc`, `xdp`, `syscall`; tc if none is given), whether the loader is unprivileged (`@ unpriv`: the kernel is
//! asked if `kernel.unprivileged_bpf_disabled` is 0) and where the kernel judges otherwise (`@ kernel accepts: reason`, `@ kernel rejects: reason`, `@ kernel
//! says: message`, or `@ kernel not asked: reason`). `@ no btf` loads it without func_info. `@ at most N` says how many instructions Skep may process. The rest is a
//! program in the kernel's notation; kernel functions are called by name. `;! text` behind an instruction says that the
//! program is rejected there, with that text in the message; without one it must be accepted.
//! Maps 0 to 6 are those of [`crate::testenv::maps`].

use crate::testenv::{RODATA, TestEnv, Type, kernel_btf, maps};
use skep_abi::insn::asm::assemble;
use skep_abi::insn::{RawInsn, decode};
use skep_btf::{ByteOrder, Kind};
use skep_host::kernel::{KernelBtf, KernelMap, KernelProg, LoadAttr, unprivileged};
use skep_maps::MapSpec;
use skep_tests::functions::{function_info, function_starts};
use skep_verifier::env::{Privilege, ProgTypeProps};
use skep_verifier::{LoadRequest, Log, LogLevel, VerifyError, verify};

/// What the kernel is expected to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Same,
    Accepts,
    Rejects,
    Says(String),
    NotAsked,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) privilege: Privilege,
    pub(crate) kernel: Kernel,
    pub(crate) insns: Vec<RawInsn>,
    /// Slot and message of the rejection.
    pub(crate) reject: Option<(u32, String)>,
    /// Instructions processed at the most.
    pub(crate) at_most: Option<u64>,
    /// Whether the functions are described by BTF.
    pub(crate) has_btf: bool,
}

pub(crate) fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for chunk in format!("\n{text}").split("\n== ").skip(1) {
        let (name, body) = chunk.split_once('\n').unwrap_or((chunk, ""));
        let name = format!("{file}: {}", name.trim());
        cases.push(parse_case(name, body));
    }
    cases
}

fn parse_case(name: String, body: &str) -> Case {
    let mut case = Case {
        name,
        kind: Type::Tc,
        privilege: Privilege::Privileged,
        kernel: Kernel::Same,
        insns: Vec::new(),
        reject: None,
        at_most: None,
        has_btf: true,
    };
    let (mut source, mut before_marked, mut message) = (String::new(), None, None);
    for line in body.lines() {
        if let Some(directive) = line.strip_prefix('@') {
            apply(&mut case, directive.trim());
            continue;
        }
        if let Some((_, text)) = line.split_once(";!") {
            before_marked = Some(source.clone());
            message = Some(text.trim().to_owned());
        }
        source.push_str(line);
        source.push('\n');
    }
    let source = resolve_calls(&source);
    case.insns = assemble(&source).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    if let (Some(before), Some(message)) = (before_marked, message) {
        case.reject = Some((count_slots(&before), message));
    }
    case
}

/// Replaces `call label` by `call pc+N`, which is what the assembler reads, and names of kernel functions by their ids.
fn resolve_calls(source: &str) -> String {
    let mut out = String::new();
    let mut before = String::new();
    for line in source.lines() {
        let code = line.split(';').next().unwrap_or("").trim();
        let callee = code.strip_prefix("call ").filter(|c| !c.contains(['#', '+', '[']));
        match callee.and_then(|label| source.split_once(&format!("\n{label}:\n"))) {
            Some((above, _)) => {
                let off = i64::from(count_slots(above)) - i64::from(count_slots(&before)) - 1;
                out.push_str(&format!("call pc{off:+}\n"));
            }
            None => match callee.and_then(kfunc_id) {
                Some(id) => out.push_str(&format!("call kfunc[id:{id},fd_idx:0]\n")),
                None => {
                    out.push_str(line);
                    out.push('\n');
                }
            },
        }
        before.push_str(line);
        before.push('\n');
    }
    out
}

/// Id of a kernel function in the live kernel's types.
fn kfunc_id(name: &str) -> Option<u32> {
    Some(kernel_btf()?.find_by_name_kind(name, Kind::Func)?.id().0)
}

/// Slots of the instructions in a piece of source: lines that hold one, 64-bit loads twice.
fn count_slots(source: &str) -> u32 {
    let mut slots = 0;
    for line in source.lines() {
        let code = line.split(';').next().unwrap_or("").trim();
        let code = if code.ends_with(':') { "" } else { code };
        if code.is_empty() {
            continue;
        }
        let wide = code.contains("= map[") || code.contains("= subprog[") || code.ends_with(" ll");
        slots += if wide { 2 } else { 1 };
    }
    slots
}

fn apply(case: &mut Case, directive: &str) {
    match directive {
        "socket" => case.kind = Type::Socket,
        "tc" => case.kind = Type::Tc,
        "xdp" => case.kind = Type::Xdp,
        "syscall" => case.kind = Type::Syscall,
        "no btf" => case.has_btf = false,
        "unpriv" => {
            case.privilege = Privilege::Unprivileged;
            case.has_btf = false;
        }
        d if d.starts_with("kernel not asked: ") => case.kernel = Kernel::NotAsked,
        d if d.starts_with("kernel accepts: ") => case.kernel = Kernel::Accepts,
        d if d.starts_with("kernel rejects: ") => case.kernel = Kernel::Rejects,
        d if d.starts_with("at most ") => {
            case.at_most = d.strip_prefix("at most ").and_then(|n| n.parse().ok());
            assert!(case.at_most.is_some(), "{}: at most what?", case.name);
        }
        d => match d.strip_prefix("kernel says: ") {
            Some(message) => case.kernel = Kernel::Says(message.to_owned()),
            None => panic!("{}: unknown directive {d:?}", case.name),
        },
    }
}

/// What Skep is given of a case.
pub(crate) fn request(case: &Case) -> LoadRequest {
    LoadRequest {
        name: case.name.clone(),
        insns: case.insns.clone(),
        license: "GPL".into(),
        func_info: if case.has_btf {
            function_info(&starts_of(&case.insns), |_| false).1
        } else {
            vec![]
        },
        ..LoadRequest::default()
    }
}

fn judge(case: &Case) -> Result<(), String> {
    let env = TestEnv::new(case.kind, case.privilege);
    let req = request(case);
    let mut log = Log::new(LogLevel::Path);
    let got = verify(&req, &env, &mut log);
    let wrong = |what: String| Err(format!("{}: {what}\n{}", case.name, log.text()));
    match (&case.reject, got) {
        (None, Ok(prog)) => {
            let processed = prog.stats().insns_processed;
            match case.at_most {
                Some(max) if processed > max => wrong(format!("{processed} processed, not {max}")),
                Some(_) | None => Ok(()),
            }
        }
        (None, Err(e)) => wrong(format!("should be accepted, but: {e}")),
        (Some((_, message)), Ok(_)) => wrong(format!("accepted, should be rejected: {message}")),
        (Some((slot, message)), Err(VerifyError::Rejected(r))) => {
            if r.insn_idx != *slot || !r.kind.to_string().contains(message.as_str()) {
                return wrong(format!(
                    "rejected at {} with {:?}, should be at {slot} with {message:?}",
                    r.insn_idx,
                    r.kind.to_string()
                ));
            }
            Ok(())
        }
        (Some(_), Err(VerifyError::Internal(bug))) => wrong(format!("{bug}")),
    }
}

/// The maps of [`maps`] in the live kernel.
pub(crate) fn kernel_maps() -> Vec<KernelMap> {
    maps()
        .iter()
        .map(|m| {
            let map = KernelMap::create(&MapSpec {
                map_type: m.map_type,
                key_size: m.key_size,
                value_size: m.value_size,
                max_entries: m.max_entries,
                flags: m.flags,
                ..MapSpec::default()
            })
            .expect("a map of the live kernel");
            if m.frozen_data.is_some() {
                map.update(&[0; 4], &RODATA, 0).expect("its content");
                map.freeze().expect("its freezing");
            }
            map
        })
        .collect()
}

fn starts_of(raw: &[RawInsn]) -> Vec<u32> {
    function_starts(&decode(raw).unwrap_or_default())
}

/// Whether the live kernel lets users without privileges load programs. A setting of the whole machine, so tests only
/// look at it.
pub(crate) fn unprivileged_may_load() -> bool {
    let setting = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
    setting.is_ok_and(|s| s.trim() == "0")
}

/// Has the kernel load a case.
pub(crate) fn with_kernel_attr<T>(
    case: &Case,
    maps: &[KernelMap],
    load: impl FnOnce(&LoadAttr<'_>) -> T,
) -> T {
    let props: ProgTypeProps = case.kind.props();
    let fds: Vec<_> = maps.iter().map(KernelMap::fd).collect();
    let (btf, func_info) = function_info(&starts_of(&case.insns), |_| false);
    let btf = KernelBtf::load(&btf.to_bytes(ByteOrder::Little)).expect("BTF of functions");
    let flags = if case.kind == Type::Syscall { 1 << 4 } else { 0 };
    load(&LoadAttr {
        prog_type: props.prog_type,
        insns: &case.insns,
        flags,
        fd_array: &fds,
        btf: case.has_btf.then_some(&btf),
        func_info: if case.has_btf { &func_info } else { &[] },
        ..LoadAttr::default()
    })
}

fn judge_by_kernel(case: &Case, maps: &[KernelMap]) -> Result<(), String> {
    if case.kernel == Kernel::NotAsked {
        return Ok(());
    }
    // Without a log first: the one of a long path does not fit its buffer.
    let got = with_kernel_attr(case, maps, |attr| {
        let load = || {
            KernelProg::load(attr)
                .or_else(|_| KernelProg::load(&LoadAttr { log_level: 1, ..*attr }))
        };
        match case.privilege {
            Privilege::Privileged | Privilege::With(_) => Some(load()),
            Privilege::Unprivileged if !unprivileged_may_load() => None,
            Privilege::Unprivileged => Some(unprivileged(load).expect("to drop capabilities")),
        }
    });
    let Some(got) = got else { return Ok(()) };
    let expected_message = match (&case.kernel, &case.reject) {
        (Kernel::Same, None) | (Kernel::Accepts, _) => None,
        (Kernel::Same, Some((_, message))) => Some(message.as_str()),
        (Kernel::Says(message), _) => Some(message.as_str()),
        (Kernel::Rejects, _) => Some(""),
        (Kernel::NotAsked, _) => return Ok(()),
    };
    match (expected_message, got) {
        (None, Ok(_)) => Ok(()),
        (None, Err(e)) => Err(format!("{}: the kernel rejects it: {e}", case.name)),
        (Some(_), Ok(_)) => Err(format!("{}: the kernel accepts it", case.name)),
        (Some(message), Err(e)) if e.log.contains(message) => Ok(()),
        (Some(message), Err(e)) => {
            Err(format!("{}: the kernel does not say {message:?}: {e}", case.name))
        }
    }
}

/// Whether the file's cases name functions of a kernel that is not there.
fn lacks_kernel(file: &str) -> bool {
    matches!(file, "kfunc" | "held" | "endless") && kernel_btf().is_none()
}

fn run_file(file: &str, text: &str, has_kernel: bool) {
    if lacks_kernel(file) {
        return;
    }
    let cases = parse(file, text);
    assert!(!cases.is_empty(), "{file}: no cases");
    let mut failures: Vec<String> = cases.iter().filter_map(|c| judge(c).err()).collect();
    if has_kernel {
        let maps = kernel_maps();
        failures.extend(cases.iter().filter_map(|c| judge_by_kernel(c, &maps).err()));
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}

macro_rules! topics {
    ($($name:ident)*) => {
        /// All cases.
        pub(crate) fn all() -> Vec<Case> {
            let files = [$((stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt"))),)*];
            files.iter().filter(|(file, _)| !lacks_kernel(file)).flat_map(|(file, text)| parse(file, text)).collect()
        }
    $(
        #[test]
        fn $name() {
            // Without a live kernel the cases are judged by Skep only.
            let has_kernel = skep_tests::has_live_kernel();
            let text = include_str!(concat!("cases/", stringify!($name), ".txt"));
            run_file(stringify!($name), text, has_kernel);
        }
    )*};
}

topics! { atomic basic bounded call cycle endless held jump kfunc known legacy live map packet prune stack unpriv }
