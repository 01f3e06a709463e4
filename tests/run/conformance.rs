//! The public ISA vectors: by the interpreter as they stand; wrapped into XDP programs, through the verifier and on the
//! live kernel.

use crate::vectors::{Vector, all};
use skep::{RawProgram, System};
use skep_abi::insn::asm::{AsmErrorKind, assemble};
use skep_abi::insn::disasm::{NoNames, disasm_program};
use skep_abi::insn::{RawInsn, decode};
use skep_host::kernel::{KernelProg, LoadAttr, TestRun};
use skep_maps::Slot;
use skep_verifier::env::HelperProto;
use skep_vm::{Clock, FixedHost, HelperEntry, HelperTable, MemContext, Mode, Prog, Runtime};

/// Vectors in all.
const VECTORS: usize = 313;

/// Shift counts out of range, which Linux does not load.
const REFUSED: [&str; 12] = [
    "arsh32-imm-high",
    "arsh32-imm-neg",
    "arsh64-imm-high",
    "arsh64-imm-neg",
    "lsh32-imm-high",
    "lsh32-imm-neg",
    "lsh64-imm-high",
    "lsh64-imm-neg",
    "rsh32-imm-high",
    "rsh32-imm-neg",
    "rsh64-imm-high",
    "rsh64-imm-neg",
];

#[test]
fn every_vector_assembles_but_the_call_through_a_register() {
    let vectors = all();
    assert_eq!(vectors.len(), VECTORS);
    for vector in &vectors {
        match &vector.program {
            Ok(program) => {
                assert_ne!(vector.name, "callx");
                if let Some(raw) = &vector.raw {
                    assert_eq!(program, raw, "{}", vector.name);
                }
                let insns = decode(program).unwrap_or_else(|e| panic!("{}: {e}", vector.name));
                // The kernel's notation says the same.
                assert_eq!(
                    assemble(&disasm_program(&insns, &NoNames)).as_ref(),
                    Ok(program),
                    "{}",
                    vector.name
                );
            }
            Err(error) => {
                assert_eq!(
                    (vector.name.as_str(), &error.kind),
                    ("callx", &AsmErrorKind::CallRegister),
                    "{error}"
                );
            }
        }
    }
    assert!(vectors.iter().any(|v| v.raw.is_some()));
}

/// `call 5` stands in one vector for any helper; here it is what it is on Linux.
struct Ktime;

impl HelperTable for Ktime {
    fn helper(&self, id: i32) -> Option<HelperEntry> {
        static PROTO: HelperProto =
            HelperProto { id: 5, name: "ktime_get_ns", ..HelperProto::PLAIN };
        (id == PROTO.id)
            .then_some(HelperEntry { proto: &PROTO, run: |call| call.clock_ns(Clock::Monotonic) })
    }
}

/// Runs a vector in the interpreter as it stands, unverified and checked.
fn interpret(vector: &Vector, program: &[RawInsn]) -> Result<u64, String> {
    let insns = decode(program).map_err(|e| e.to_string())?;
    let prog = Prog::unverified(insns, Vec::new(), &Ktime).map_err(|e| e.to_string())?;
    let mut host = FixedHost::default();
    let slot = Slot::new(0).ok_or("no slot")?;
    let mut runtime = Runtime::new(&mut host, slot, Mode::Checked);
    let mut ctx = MemContext::new(&vector.mem);
    skep_vm::run(&prog, &mut ctx, &mut runtime).map_err(|e| e.to_string())
}

#[test]
fn interpreter_passes_every_vector() {
    let mut failed = Vec::new();
    let mut passed = 0;
    for vector in all() {
        // The call through a register, which Linux does not have.
        let Ok(program) = &vector.program else { continue };
        match interpret(&vector, program) {
            Ok(result) if result == vector.result => passed += 1,
            other => {
                failed.push(format!("{}: {other:x?}, expected {:#x}", vector.name, vector.result))
            }
        }
    }
    assert_eq!((passed, failed), (VECTORS - 1, Vec::new()));
}

/// Bytes at the start of the packet where the wrapped program leaves its result.
const RESULT_SIZE: usize = 8;
/// The shortest packet of a test run (an Ethernet header).
const MIN_PACKET: usize = 14;

/// `BPF_PROG_TYPE_XDP`.
const XDP: u32 = 6;

/// The vector as a subprogram of an XDP program, whose packet is room for the result and then the vector's memory.
/// A test run's own result has but 32 bits.
fn wrap(vector: &Vector, program: &[RawInsn]) -> Result<Vec<RawInsn>, String> {
    let checked = RESULT_SIZE + vector.mem.len();
    let main = format!(
        "r6 = *(u32 *)(r1 +0)
         r7 = *(u32 *)(r1 +4)
         r0 = 0
         r2 = r6
         r2 += {checked}
         if r2 > r7 goto out
         r1 = r6
         r1 += {RESULT_SIZE}
         r2 = {}
         call pc+3
         *(u64 *)(r6 +0) = r0
         r0 = 2
         out: exit",
        vector.mem.len()
    );
    let mut wrapped = assemble(&main).map_err(|e| e.to_string())?;
    wrapped.extend(program);
    Ok(wrapped)
}

/// The packet of a wrapped vector.
fn packet(vector: &Vector) -> Vec<u8> {
    let mut packet = vec![0; RESULT_SIZE];
    packet.extend(&vector.mem);
    packet.resize(packet.len().max(MIN_PACKET), 0);
    packet
}

#[test]
fn live_kernel_passes_all_but_shifts_out_of_range() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let mut refused = Vec::new();
    let mut failed = Vec::new();
    for vector in all() {
        let Ok(program) = &vector.program else { continue };
        let wrapped = wrap(&vector, program).unwrap();
        let attr =
            LoadAttr { prog_type: XDP, insns: &wrapped, log_level: 1, ..LoadAttr::default() };
        let prog = match KernelProg::load(&attr) {
            Ok(prog) => prog,
            Err(error) if error.log.contains("invalid shift") => {
                refused.push(vector.name);
                continue;
            }
            Err(error) => {
                failed.push(format!("{}: {error}", vector.name));
                continue;
            }
        };
        let data = packet(&vector);
        let run = TestRun { data: &data, data_out_size: data.len(), ..TestRun::default() };
        let output = prog.test_run(&run).unwrap();
        let result = output.data.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if (output.retval, result) != (2, Some(vector.result)) {
            failed.push(format!("{}: {output:x?}, expected {:#x}", vector.name, vector.result));
        }
    }
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(refused, REFUSED);
}

#[test]
fn verified_and_interpreted_all_pass_but_shifts_out_of_range() {
    let system = System::with_checks();
    let mut refused = Vec::new();
    let mut failed = Vec::new();
    for vector in all() {
        let Ok(program) = &vector.program else { continue };
        let insns = wrap(&vector, program).unwrap();
        let name = vector.name.clone();
        let raw = RawProgram {
            name,
            prog_type: XDP,
            insns,
            license: "GPL".to_owned(),
            ..RawProgram::default()
        };
        let prog = match system.load_raw(&raw) {
            Ok(prog) => prog,
            Err(error) if error.to_string().contains("invalid shift") => {
                refused.push(vector.name);
                continue;
            }
            Err(error) => {
                failed.push(format!("{}: {error}", vector.name));
                continue;
            }
        };
        let data = packet(&vector);
        match system.test_run(&prog, &skep::TestRun { data_in: &data, ..skep::TestRun::default() })
        {
            Ok(output) => {
                let result = output.data_out.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                if (output.retval, result) != (2, Some(vector.result)) {
                    failed.push(format!(
                        "{}: {output:x?}, expected {:#x}",
                        vector.name, vector.result
                    ));
                }
            }
            Err(error) => failed.push(format!("{}: {error}", vector.name)),
        }
    }
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(refused, REFUSED);
}
