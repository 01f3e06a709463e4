//! Every program type against the live kernel's verifier: which helpers it may call, which parts of its context it may
//! read and write, and what it may return, for each attach type that makes a difference.

use skep::prog_type::{PROG_TYPES, ProgKind, ProgType};
use skep::{CheckOptions, LoadErrorKind, RawProgram, System};
use skep_abi::insn::{AluOp, CallTarget, Insn, RawInsn, Reg, Size, Src, Width, encode};
use skep_abi::uapi::BPF_F_SLEEPABLE;
use skep_host::kernel::{KernelProg, LoadAttr, available};
use skep_verifier::VerifyError;
use std::fmt::Write;

/// Attach types that a program type is tried with; others have just 0.
fn attach_types(prog_type: u32) -> &'static [u32] {
    match prog_type {
        2 => &[0, 42, 48, 56, 57],
        6 => &[37, 35, 33],
        8 => &[0, 1],
        9 => &[0, 2, 12, 13, 34, 3],
        13 => &[3],
        15 => &[0, 6],
        23 => &[0, 18],
        14 => &[4, 5, 38],
        18 => &[8, 9, 10, 11, 14, 15, 19, 20, 29, 30, 31, 32, 49, 50, 51, 52, 53, 0],
        21 => &[39, 40, 0, 1],
        25 => &[21, 22, 0],
        30 => &[36, 0],
        31 => &[0, 1],
        32 => &[45, 0],
        _ => &[0],
    }
}

/// The types that can be tried: their context needs no BTF, and the kernel of the oracle has them.
fn types() -> impl Iterator<Item = &'static ProgType> {
    let has_btf_ctx = |t: &ProgType| matches!(t.props.prog_type, 26..=29);
    // LIRC is a module of its own.
    let is_there = |t: &ProgType| t.props.prog_type != 20;
    PROG_TYPES
        .iter()
        .copied()
        .filter(move |t| t.kind != ProgKind::Seccomp && !has_btf_ctx(t) && is_there(t))
}

fn kernel_says(prog_type: u32, attach: u32, insns: &[RawInsn]) -> Result<(), String> {
    let flags = if prog_type == 31 { BPF_F_SLEEPABLE } else { 0 };
    let load = LoadAttr {
        prog_type,
        expected_attach_type: attach,
        insns,
        flags,
        log_level: 1,
        log_size_bytes: 1 << 16,
        ..LoadAttr::default()
    };
    match KernelProg::load(&load) {
        Ok(_) => Ok(()),
        Err(e) => Err(reason(&e.log)),
    }
}

fn skep_says(
    system: &System,
    prog_type: u32,
    attach: u32,
    insns: &[RawInsn],
) -> Result<(), String> {
    let raw = RawProgram {
        name: "judged".into(),
        prog_type,
        expected_attach_type: attach,
        insns: insns.to_vec(),
        license: "GPL".into(),
        flags: if prog_type == 31 { BPF_F_SLEEPABLE } else { 0 },
        ..RawProgram::default()
    };
    let checked = system.check_raw(&raw, &[], &CheckOptions::default());
    match checked.verdict {
        Ok(_) => Ok(()),
        Err(e) => match e.kind {
            LoadErrorKind::Verify { error, .. } => match *error {
                VerifyError::Rejected(r) => Err(r.to_string()),
                VerifyError::Internal(bug) => panic!("type {prog_type}: {bug}"),
            },
            LoadErrorKind::ProgType { .. } => Err(String::new()),
            other => panic!("type {prog_type}: {other:?}"),
        },
    }
}

/// The line of a log that says why a program was refused.
fn reason(log: &str) -> String {
    let said = log.lines().rfind(|l| !l.is_empty() && !l.starts_with("processed "));
    said.unwrap_or_default().to_owned()
}

fn system() -> System {
    let data = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    System::new().with_kernel_btf(std::sync::Arc::new(skep_btf::Btf::parse(&data).unwrap()))
}

fn program(body: &[Insn], result: i32) -> Vec<RawInsn> {
    let r0 = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Src::Imm(result) };
    let mut insns = body.to_vec();
    insns.extend([r0, Insn::Exit]);
    encode(&insns)
}

/// Helpers that the oracle does not have for reasons of its own: it is locked down, and cannot override returns.
const POLICY: &[&str] = &["probe_write_user", "override_return"];

#[test]
fn who_may_call_which_helper() {
    if let Err(why) = available() {
        eprintln!("{why}");
        return;
    }
    let system = system();
    let mut wrong = String::new();
    let mut tried = 0;
    for t in types() {
        let n = t.props.prog_type;
        for &attach in attach_types(n) {
            for h in skep::helper::helpers().iter().filter(|h| !POLICY.contains(&h.name)) {
                let insns = program(&[Insn::Call(CallTarget::Helper(h.id))], 1);
                let (ours, theirs) =
                    (skep_says(&system, n, attach, &insns), kernel_says(n, attach, &insns));
                tried += 1;
                // Without arguments most calls are refused: what matters is why.
                let not_yet = ours.as_ref().is_err_and(|e| e.starts_with("not supported"));
                if ours != theirs && !(not_yet && theirs.is_ok()) {
                    let _ = writeln!(
                        wrong,
                        "{t:?} at {attach}, {}: {ours:?}, kernel {theirs:?}",
                        h.name
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {tried}:\n{wrong}");
}

#[test]
fn what_may_be_done_with_the_context() {
    if let Err(why) = available() {
        eprintln!("{why}");
        return;
    }
    let system = system();
    let mut wrong = String::new();
    let mut tried = 0;
    for t in types() {
        let n = t.props.prog_type;
        for &attach in attach_types(n) {
            // Beyond the end too, where that is near.
            let end = if t.props.ctx.size > 4096 { 96 } else { t.props.ctx.size as i16 + 16 };
            for off in (-8..end).chain([8184, 8188, 8191, 8192]) {
                // Where Skep is stricter on purpose: see `prog_type/probe.rs`.
                if (n == 5 && off < 0) || (n == 24 && (1..8).contains(&off)) {
                    continue;
                }
                for size in [Size::B, Size::H, Size::W, Size::DW] {
                    let (dst, src) = (Reg::R2, Reg::R1);
                    let load = Insn::Load { size, signed: false, dst, src, off };
                    let store = Insn::Store { size, dst: src, off, src: Src::Imm(0) };
                    for insn in [load, store] {
                        let insns = program(&[insn], 1);
                        let (ours, theirs) =
                            (skep_says(&system, n, attach, &insns), kernel_says(n, attach, &insns));
                        tried += 1;
                        if ours != theirs {
                            let _ = writeln!(
                                wrong,
                                "{t:?} at {attach}, {insn:?}: {ours:?}, kernel {theirs:?}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {tried}:\n{wrong}");
}

#[test]
fn what_may_be_returned() {
    if let Err(why) = available() {
        eprintln!("{why}");
        return;
    }
    let system = system();
    let mut wrong = String::new();
    for t in types() {
        let n = t.props.prog_type;
        for &attach in attach_types(n) {
            for result in [-1, 0, 1, 2, 3, 4] {
                let insns = program(&[], result);
                let (ours, theirs) =
                    (skep_says(&system, n, attach, &insns), kernel_says(n, attach, &insns));
                if ours != theirs {
                    let _ = writeln!(
                        wrong,
                        "{t:?} at {attach}, returns {result}: {ours:?}, kernel {theirs:?}"
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
