//! Programs judged by types: objects of a kernel, arguments of tracepoints, global functions, kernel variables. The
//! types are built by hand.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep::{CheckOptions, RawProgram, System};
use skep_abi::insn::asm::assemble;
use skep_abi::uapi::{BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP};
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::{Btf, FuncLinkage, Int, TypeId, VarLinkage};
use skep_verifier::LogLevel;
use std::sync::Arc;

const INT: Int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };
/// `BPF_F_SLEEPABLE`.
const SLEEPABLE: u32 = 16;

fn member(name: &str, ty: TypeId, byte_off: u32) -> NewMember<'_> {
    NewMember { name, ty, bit_offset: byte_off * 8, bitfield_bits: 0 }
}

/// `struct task { int pid; struct task *parent; }`, a tracepoint `wake` that is given one, and a variable `first`.
struct Kernel {
    btf: Arc<Btf>,
    tracepoint: u32,
    variable: u32,
}

fn kernel() -> Kernel {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let ptr = TypeId(int.0 + 1);
    let task = TypeId(int.0 + 2);
    assert_eq!(b.add_ptr(task), ptr);
    assert_eq!(b.add_struct("task", 16, &[member("pid", int, 0), member("parent", ptr, 8)]), task);
    let any = b.add_ptr(TypeId::VOID);
    let proto = b.add_func_proto(TypeId::VOID, &[("__data", any), ("t", ptr)]);
    let to = b.add_ptr(proto);
    let tracepoint = b.add_typedef("btf_trace_wake", to);
    let variable = b.add_var("first", task, VarLinkage::Global);
    let btf = Arc::new(b.build().unwrap());
    Kernel { btf, tracepoint: tracepoint.0, variable: variable.0 }
}

/// The message of the refusal, or the log.
fn judge(kernel: &Kernel, raw: &RawProgram) -> Result<String, String> {
    let system = System::new().with_kernel_btf(kernel.btf.clone());
    let options = CheckOptions { log_level: LogLevel::Full, ..CheckOptions::default() };
    let checked = system.check_raw(raw, &[], &options);
    checked.verdict.map(|_| checked.log).map_err(|e| e.to_string())
}

fn traced(source: &str) -> Result<String, String> {
    let kernel = kernel();
    let raw = RawProgram {
        name: "test".into(),
        prog_type: BPF_PROG_TYPE_TRACING,
        expected_attach_type: BPF_TRACE_RAW_TP,
        attach_btf_id: kernel.tracepoint,
        insns: assemble(source).unwrap(),
        license: "GPL".into(),
        ..RawProgram::default()
    };
    judge(&kernel, &raw)
}

#[track_caller]
fn refused(result: Result<String, String>, message: &str) {
    let err = result.unwrap_err();
    assert!(err.contains(message), "{err}");
}

#[test]
fn arguments_are_objects() {
    let load = "r1 = *(u64 *)(r1 +0)\nr0 = *(u32 *)(r1 +0)\nexit\n";
    let log = traced(load).unwrap();
    assert!(log.contains("func 'wake' arg0 has btf_id 3 type STRUCT 'task'"), "{log}");
    // Any number of steps: what a member points to may be gone, and reads as zero then.
    traced("r1 = *(u64 *)(r1 +0)\nr1 = *(u64 *)(r1 +8)\nr0 = *(u32 *)(r1 +0)\nexit\n").unwrap();
}

#[test]
fn accesses_stay_in_members() {
    let first = |rest: &str| traced(&format!("r1 = *(u64 *)(r1 +0)\n{rest}r0 = 0\nexit\n"));
    refused(first("r0 = *(u64 *)(r1 +16)\n"), "access beyond struct task at off 16 size 8");
    refused(
        first("r0 = *(u32 *)(r1 +8)\n"),
        "cannot access ptr member parent with moff 8 in struct task with off 8 size 4",
    );
    refused(first("r0 = *(u32 *)(r1 +4)\n"), "struct task doesn't have field at offset 4");
    refused(first("r0 = *(u8 *)(r1 -1)\n"), "R1 is ptr_task invalid negative access: off=-1");
    refused(first("*(u32 *)(r1 +0) = 1\n"), "only read is supported");
}

#[test]
fn arguments_end() {
    refused(traced("r0 = *(u64 *)(r1 +8)\nexit\n"), "func 'wake' doesn't have 2-th argument");
    refused(traced("r0 = *(u32 *)(r1 +0)\nexit\n"), "func 'wake' size 4 must be 8");
    refused(traced("*(u64 *)(r1 +0) = 0\nr0 = 0\nexit\n"), "invalid bpf_context access");
}

#[test]
fn kernel_variables_have_types() {
    let kernel = kernel();
    let mut insns = assemble("r1 = 0 ll\nr0 = *(u32 *)(r1 +0)\nexit\n").unwrap();
    // BPF_PSEUDO_BTF_ID.
    insns[0].src = 3;
    insns[0].imm = kernel.variable.cast_signed();
    let raw = RawProgram {
        name: "test".into(),
        prog_type: BPF_PROG_TYPE_SYSCALL,
        flags: SLEEPABLE,
        insns,
        license: "GPL".into(),
        ..RawProgram::default()
    };
    judge(&kernel, &raw).unwrap();
    let other = RawProgram { license: "MIT".into(), ..raw };
    let message = "Cannot access kernel 'struct task' from non-GPL compatible program";
    refused(judge(&kernel, &other), message);
}

/// `int main(void *)`, which calls `int twice(int)` at slot 3 with what `source` puts into R1.
fn calls(source: &str, records: &[(u32, u32)]) -> Result<String, String> {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let any = b.add_ptr(TypeId::VOID);
    let main = b.add_func_proto(int, &[("ctx", any)]);
    let twice = b.add_func_proto(int, &[("n", int)]);
    b.add_func("main", main, FuncLinkage::Global);
    b.add_func("twice", twice, FuncLinkage::Global);
    let kernel = kernel();
    let raw = RawProgram {
        name: "test".into(),
        prog_type: BPF_PROG_TYPE_SYSCALL,
        flags: SLEEPABLE,
        insns: assemble(source).unwrap(),
        license: "GPL".into(),
        btf: Some(Arc::new(b.build().unwrap())),
        func_info: records.to_vec(),
        ..RawProgram::default()
    };
    judge(&kernel, &raw)
}

const MAIN: u32 = 5;
const TWICE: u32 = 6;

#[test]
fn global_functions_are_judged_once() {
    let twice = "call pc+1\nexit\nr0 = r1\nr0 += r1\nexit\n";
    let log = calls(&format!("r1 = 1\n{twice}"), &[(0, MAIN), (3, TWICE)]).unwrap();
    for line in [
        "Func#1 ('twice') is global and assumed valid.",
        "Validating twice() func#1...",
        "Func#1 ('twice') is safe for any args that match its prototype",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let message = "R1 is not a scalar\nCaller passes invalid args into func#1 ('twice')";
    refused(calls(&format!("r1 = r10\n{twice}"), &[(0, MAIN), (3, TWICE)]), message);
    // Nothing is known of its argument, nor of its result.
    let deref = "r1 = 1\ncall pc+1\nexit\nr0 = *(u8 *)(r1 +0)\nexit\n";
    refused(calls(deref, &[(0, MAIN), (3, TWICE)]), "R1 invalid mem access 'scalar'");
}

#[test]
fn records_of_functions_are_checked() {
    let source = "r1 = 1\ncall pc+1\nexit\nr0 = r1\nexit\n";
    refused(calls(source, &[(0, MAIN), (3, 1)]), "invalid type id 1 in func info");
    refused(
        calls(source, &[(1, MAIN), (3, TWICE)]),
        "nonzero insn_off 1 for the first func info record",
    );
    refused(
        calls(source, &[(0, MAIN), (0, TWICE)]),
        "same or smaller insn offset (0) than previous func info record (0)",
    );
}
