//! What a loader without capabilities may load, and that what is put into its programs changes no result.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep::{LoadError, Program, RawProgram, System, TestRun, UnprivilegedBpf};
use skep_abi::Errno;
use skep_abi::insn::asm::assemble;
use skep_abi::insn::{Insn, Reg};
use skep_abi::uapi::{BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SOCKET_FILTER};
use skep_maps::{MapOps, MapSpec, create};
use skep_verifier::env::{Caps, Privilege};
use std::sync::Arc;

/// Reads the byte of a map's value that the packet's length says, from either end.
const PICK: &str = "r6 = *(u32 *)(r1 +0)
*(u64 *)(r10 -8) = 0
r2 = r10
r2 += -4
r1 = map[idx:0]
call bpf_map_lookup_elem#1
if r0 == 0 goto out
r6 &= 15
r7 = r0
r7 += r6
r3 = *(u8 *)(r7 +0)
r4 = 15
r4 -= r6
r4 &= 15
r4 += r0
r4 = *(u8 *)(r4 +0)
r8 = 16
r0 += r8
r6 += -16
r6 &= -1
r0 = *(u8 *)(r0 +0)
r0 <<= 8
r0 |= r3
r0 <<= 8
r0 |= r4
out:
exit
";

fn array() -> Arc<dyn MapOps> {
    let spec =
        MapSpec { map_type: 2, key_size: 4, value_size: 32, max_entries: 1, ..MapSpec::default() };
    let map = create(&spec).unwrap();
    let value: Vec<u8> = (100..132).collect();
    map.user_update(&[0; 4], &value, 0).unwrap();
    map
}

fn load(
    setting: UnprivilegedBpf,
    prog_type: u32,
    source: &str,
    privilege: Privilege,
) -> Result<Arc<Program>, LoadError> {
    let raw = RawProgram {
        name: "test".into(),
        prog_type,
        insns: assemble(source).unwrap(),
        license: "GPL".into(),
        maps: vec![array()],
        privilege,
        ..RawProgram::default()
    };
    System::with_checks().with_unprivileged_bpf(setting).load_raw(&raw)
}

fn results(program: &Program) -> Vec<u32> {
    let system = System::with_checks();
    (14..60)
        .map(|len| {
            let data = vec![0; len];
            let run = TestRun { data_in: &data, repeat: 1, ..TestRun::default() };
            system.test_run(program, &run).unwrap().retval
        })
        .collect()
}

#[test]
fn masks_change_no_result() {
    let filter = BPF_PROG_TYPE_SOCKET_FILTER;
    let free = load(UnprivilegedBpf::Allowed, filter, PICK, Privilege::Privileged).unwrap();
    let masked = load(UnprivilegedBpf::Allowed, filter, PICK, Privilege::Unprivileged).unwrap();
    let uses_ax = |p: &Program| {
        let is_ax = |i: &&Insn| matches!(i, Insn::Alu { dst: Reg::AX, .. });
        p.verified().insns().iter().filter(is_ax).count()
    };
    assert_eq!(uses_ax(&free), 0);
    assert!(uses_ax(&masked) >= 11, "{:?}", masked.verified().insns());
    assert!(free.verified().barriers().is_empty());
    assert!(!masked.verified().barriers().is_empty());
    assert_eq!(results(&free), results(&masked));
    assert!(results(&free).iter().any(|r| *r != results(&free)[0]));
}

#[test]
fn who_may_load_what() {
    let (socket, tc) = (BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS);
    let done = "r0 = 0\nexit\n";
    let bpf = Privilege::With(Caps::BPF);
    let net = Privilege::With(Caps::BPF | Caps::NET_ADMIN);
    let admin = Privilege::With(Caps::SYS_ADMIN);
    let cases = [
        (UnprivilegedBpf::Disabled, socket, Privilege::Unprivileged, Some(Errno::EPERM)),
        (UnprivilegedBpf::Allowed, socket, Privilege::Unprivileged, None),
        (UnprivilegedBpf::Disabled, socket, bpf, None),
        (UnprivilegedBpf::Allowed, tc, Privilege::Unprivileged, Some(Errno::EPERM)),
        (UnprivilegedBpf::Disabled, tc, bpf, Some(Errno::EPERM)),
        (UnprivilegedBpf::Disabled, tc, net, None),
        (UnprivilegedBpf::Disabled, tc, admin, None),
    ];
    for (setting, prog_type, privilege, want) in cases {
        let got = load(setting, prog_type, done, privilege).err().map(|e| e.errno());
        assert_eq!(got, want, "{setting:?} {prog_type} {privilege:?}");
    }
}

#[test]
fn a_long_program_needs_a_capability() {
    let long = |n: usize| "r0 = 0\n".repeat(n - 1) + "exit\n";
    let errno = |n, privilege| {
        let socket = BPF_PROG_TYPE_SOCKET_FILTER;
        load(UnprivilegedBpf::Allowed, socket, &long(n), privilege).err().map(|e| e.errno())
    };
    assert_eq!(errno(4096, Privilege::Unprivileged), None);
    assert_eq!(errno(4097, Privilege::Unprivileged), Some(Errno::E2BIG));
    assert_eq!(errno(4097, Privilege::With(Caps::BPF)), None);
}
