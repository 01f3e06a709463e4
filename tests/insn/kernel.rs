//! Every opcode, well formed and not, loaded into the live kernel: its text and its complaint must be ours.

use skep_abi::insn::disasm::{Names, NoNames, disasm};
use skep_abi::insn::{Form, Insn, RawInsn, decode};
use std::collections::BTreeSet;

use skep_host::kernel::{self, KernelProg, LoadAttr};

/// Slots of padding on each side, so that short jumps stay in the program.
const PADDING: usize = 40;

const fn raw(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> RawInsn {
    RawInsn { code, dst, src, off, imm }
}

/// A program with the slot inside, R6 holding the context, R9 something
/// unknown and the others 0, and a way around the slot, so that
/// what follows a jump or an exit is not dead. Also gives the slot's number.
fn around(insn: RawInsn) -> (Vec<RawInsn>, usize) {
    let mut program = vec![raw(0xbf, 6, 1, 0, 0), raw(0x61, 9, 1, 0, 0)];
    program.extend([0, 1, 2, 3, 4, 5, 7, 8].map(|reg| raw(0xb7, reg, 0, 0, 0)));
    program.resize(PADDING, raw(0xb7, 0, 0, 0, 0));
    let slots = if insn.code == 0x18 { 2 } else { 1 };
    program.push(raw(0x15, 9, 0, slots, 0));
    let slot = program.len();
    program.push(insn);
    if insn.code == 0x18 {
        program.push(RawInsn::default());
    }
    program.extend([raw(0xb7, 0, 0, 0, 0); PADDING]);
    program.push(raw(0x95, 0, 0, 0, 0));
    (program, slot)
}

/// Loads a socket filter and gives the log, whatever the verdict.
fn log_of(insns: &[RawInsn], log_level: u32) -> (bool, String) {
    let log_size_bytes = 1 << 17;
    match KernelProg::load(&LoadAttr {
        prog_type: 1,
        insns,
        log_level,
        log_size_bytes,
        ..LoadAttr::default()
    }) {
        Ok(prog) => (true, prog.log),
        Err(error) => (false, error.log),
    }
}

/// The name that the log gives the called helper: names are not the disassembler's to know.
struct NameInLog<'a>(&'a str);

impl Names for NameInLog<'_> {
    fn helper(&self, _id: i32) -> Option<&str> {
        let (_, call) = self.0.split_once("call ")?;
        call.split_once('#').map(|(name, _)| name)
    }
}

/// Every opcode in the table.
fn listed() -> BTreeSet<u8> {
    Form::ALL.iter().flat_map(|f| f.opcodes().iter().copied()).collect()
}

#[test]
fn text_is_the_verifier_logs() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let mut compared = 0u32;
    let listed = listed();
    let mut opcodes = BTreeSet::new();
    for &code in &listed {
        for (dst, src) in [(0, 0), (1, 2), (3, 10)] {
            for off in [0, 1, 8, 16, 32, -8] {
                for imm in [
                    0,
                    1,
                    -1,
                    7,
                    16,
                    32,
                    64,
                    0x40,
                    0x51,
                    0xa0,
                    0xe1,
                    0xf1,
                    0x100,
                    0x110,
                    0x10000,
                    i32::MIN,
                ] {
                    let (src, dst) = (src % 11, dst);
                    let insn = raw(code, dst, src, off, imm);
                    let (program, slot) = around(insn);
                    let Ok(insns) = decode(&program) else { continue };
                    let (_, log) = log_of(&program, 2);
                    // The liveness table prints each instruction once, with nothing after it.
                    let marker = format!(" {slot}: ");
                    let Some(line) = log.lines().find_map(|l| {
                        let (_, rest) = l.split_once(&marker)?;
                        // Ten columns of live registers come first.
                        rest.get(10..).and_then(|text| text.strip_prefix(' '))
                    }) else {
                        continue;
                    };
                    let ours = disasm(slot, &insns[slot], &NameInLog(line)).to_string();
                    assert_eq!(ours, line, "{insn:?}");
                    compared += 1;
                    opcodes.insert(code);
                }
            }
        }
    }
    assert_eq!(opcodes, listed, "every opcode must be compared at least once");
    assert!(compared > 2_000, "{compared}");
    assert_kernel_is_sane();
}

#[test]
fn subprogram_calls_print_as_in_the_log() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let program = [
        raw(0x85, 0, 1, 0, 1),
        raw(0x95, 0, 0, 0, 0),
        raw(0xb7, 0, 0, 0, 0),
        raw(0x95, 0, 0, 0, 0),
    ];
    let (accepted, log) = log_of(&program, 2);
    assert!(accepted, "{log}");
    let insns = decode(&program).unwrap();
    assert_eq!(insns[0], Insn::Call(skep_abi::insn::CallTarget::Local(1)));
    let ours = format!("0: {}", disasm(0, &insns[0], &NoNames));
    assert!(log.lines().any(|l| l == ours), "{ours}\n{log}");
}

/// The kernel must not have oopsed. (A warning may come from other tests at the same time.)
fn assert_kernel_is_sane() {
    const BAD_PAGE: u64 = 1 << 5;
    const DIE: u64 = 1 << 7;
    let tainted = kernel::tainted().expect("taint flags are readable");
    assert_eq!(tainted & (BAD_PAGE | DIE), 0, "the kernel is tainted: {tainted}");
}

/// The kernel's complaint: the line before the statistics.
fn complaint(log: &str) -> &str {
    log.lines().take_while(|l| !l.starts_with("processed ")).last().unwrap_or("")
}

#[test]
fn what_does_not_decode_is_what_the_kernel_refuses() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    // What the kernel says of jumps and pseudo sources before it looks at fields.
    const EARLIER: [&str; 10] = [
        "has an associated arena",
        "BTF for kernel function",
        "kernel btf_id",
        "jump out of range",
        "unreachable insn",
        "last insn is not",
        "call to invalid destination",
        "is not pointing to valid bpf_map",
        "fd_idx without fd_array",
        "invalid btf_id",
    ];
    // What it says of fields, which for a decodable slot it must not.
    const FIELDS: [&str; 9] = [
        "uses reserved fields",
        "unknown opcode",
        "R11 is invalid",
        "R15 is invalid",
        "bpf_ld_imm64 insn",
        "invalid atomic",
        "BPF_ATOMIC uses",
        "invalid may_goto",
        "addr_space_cast insn can only convert",
    ];
    let listed = listed();
    let (mut refused, mut decoded) = (0u32, 0u32);
    for code in 0..=255 {
        for dst in [0, 11] {
            for src in [0, 1, 2, 15] {
                for off in [0, 1, 32, -2] {
                    for imm in [0, 1, 0x41, 0x100] {
                        if (dst, off) != (0, 0) && !listed.contains(&code) && code & 7 != 1 {
                            // What matters of these is tried often enough.
                            continue;
                        }
                        let insn = raw(code, dst, src, off, imm);
                        let (program, slot) = around(insn);
                        let ours = decode(&program);
                        let (accepted, log) = log_of(&program, 1);
                        let theirs = complaint(&log);
                        match ours {
                            Err(_) if EARLIER.iter().any(|earlier| theirs.contains(earlier)) => {}
                            Err(error) => {
                                assert!(!accepted, "{insn:?}: {error}");
                                assert_eq!(error.slot, slot);
                                assert_eq!(
                                    error.kind.kernel_message(),
                                    theirs,
                                    "{insn:?}: {error}"
                                );
                                refused += 1;
                            }
                            Ok(_) => {
                                assert!(
                                    !FIELDS.iter().any(|field| theirs.contains(field)),
                                    "{insn:?}: {theirs}"
                                );
                                decoded += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 10_000 && decoded > 1_000, "{refused} {decoded}");
    assert_kernel_is_sane();
}
