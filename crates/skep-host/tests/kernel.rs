//! The oracle itself: the wrapper reaches the live kernel and reports what it says.

use skep_abi::insn::RawInsn;
use skep_host::kernel::{self, KernelMap, KernelProg, LoadAttr, TestRun};
use skep_maps::MapSpec;

fn insn(code: u8, imm: i32) -> RawInsn {
    RawInsn { code, imm, ..RawInsn::default() }
}

#[test]
fn program_runs_and_dumps() {
    if let Err(why) = kernel::available() {
        return println!("skipped: {why}");
    }
    let insns = [insn(0xb7, 7), insn(0x95, 0)];
    let load = LoadAttr { prog_type: 6, insns: &insns, log_level: 2, ..LoadAttr::default() };
    let prog = KernelProg::load(&load).expect("loads");
    assert!(prog.log.contains("processed 2 insns"), "{}", prog.log);
    let run = TestRun { data: &[0; 64], data_out_size: 128, ..TestRun::default() };
    let out = prog.test_run(&run).expect("runs");
    assert_eq!((out.retval, out.data.len()), (7, 64));
    assert_eq!(prog.xlated().expect("dumps"), insns);
}

#[test]
fn refusal_carries_errno_and_log() {
    if let Err(why) = kernel::available() {
        return println!("skipped: {why}");
    }
    let load =
        LoadAttr { prog_type: 6, insns: &[insn(0x95, 0)], log_level: 1, ..LoadAttr::default() };
    let refused = KernelProg::load(&load).expect_err("R0 is not set");
    assert_eq!(refused.errno, skep_abi::Errno::EACCES);
    assert!(refused.log.contains("R0 !read_ok"), "{}", refused.log);
}

#[test]
fn map_keeps_values() {
    if let Err(why) = kernel::available() {
        return println!("skipped: {why}");
    }
    let spec = MapSpec {
        map_type: 1,
        key_size: 4,
        value_size: 8,
        max_entries: 2,
        name: "oracle".into(),
        ..MapSpec::default()
    };
    let map = KernelMap::create(&spec).expect("creates");
    map.update(&[1, 0, 0, 0], &[9; 8], 0).expect("updates");
    assert_eq!(map.lookup(&[1, 0, 0, 0], 0), Ok(vec![9; 8]));
    assert_eq!(map.next_key(None), Ok(vec![1, 0, 0, 0]));
    assert_eq!(map.delete(&[2, 0, 0, 0]), Err(skep_abi::Errno::ENOENT));
}
