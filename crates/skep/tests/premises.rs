//! A proof holds for what it was made with: other maps, helpers or contexts are refused or make the run a checked one.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep::helper::Table;
use skep::{Program, RawProgram, System};
use skep_abi::insn::asm::assemble;
use skep_maps::{MapOps, MapSpec, create};
use skep_verifier::env::HelperProto;
use skep_vm::{FixedHost, HelperEntry, MemContext, Mode, Prog, ProgErrorKind, Runtime, run};
use skep_vm::{NoHelpers, TrapKind};
use std::sync::Arc;

fn array(value_size: u32) -> Arc<dyn MapOps> {
    let spec =
        MapSpec { map_type: 2, key_size: 4, value_size, max_entries: 1, ..MapSpec::default() };
    create(&spec).unwrap()
}

fn load(prog_type: u32, source: &str, maps: Vec<Arc<dyn MapOps>>) -> Arc<Program> {
    let raw = RawProgram {
        name: "test".into(),
        prog_type,
        insns: assemble(source).unwrap(),
        license: "GPL".into(),
        maps,
        ..RawProgram::default()
    };
    System::new().load_raw(&raw).unwrap()
}

const STORES: &str = "r1 = map[idx:0][0]+0\n*(u64 *)(r1 +56) = 1\nr0 = 0\nexit\n";

#[test]
fn another_map() {
    let prog = load(6, STORES, vec![array(64)]);
    assert!(Prog::new(prog.verified(), vec![array(64)], &Table).is_ok());
    let kind = |maps| Prog::new(prog.verified(), maps, &Table).unwrap_err().kind;
    assert_eq!(kind(vec![array(32)]), ProgErrorKind::OtherMap(0));
    assert_eq!(kind(vec![]), ProgErrorKind::NoMap(0));
}

#[test]
fn another_helper() {
    let prog = load(6, "call bpf_ktime_get_ns#5\nr0 = 0\nexit\n", vec![]);
    let own = skep::helper::helper(5).unwrap();
    let proto = Box::leak(Box::new(HelperProto { changes_pkt_data: true, ..own.proto }));
    let given = [HelperEntry { proto, run: own.run.unwrap() }];
    let kind = Prog::new(prog.verified(), vec![], &given[..]).unwrap_err().kind;
    assert_eq!(kind, ProgErrorKind::OtherHelper(5));
    let kind = Prog::new(prog.verified(), vec![], &NoHelpers).unwrap_err().kind;
    assert_eq!(kind, ProgErrorKind::NoHelper(5));
}

#[test]
fn a_context_that_is_too_short() {
    let prog = load(6, "r0 = *(u32 *)(r1 +16)\nexit\n", vec![]);
    let code = Prog::new(prog.verified(), vec![], &Table).unwrap();
    let mut host = FixedHost::default();
    let slot = skep_maps::slot::acquire();
    let mut rt = Runtime::new(&mut host, slot.slot(), Mode::Trusted);
    let trap = run(&code, &mut MemContext::new(&[0; 8]), &mut rt).unwrap_err();
    assert!(matches!(trap.kind, TrapKind::BadAccess { len: 4, .. }), "{trap}");
}

#[test]
fn what_is_constant_stays_so() {
    let spec = MapSpec {
        map_type: 2,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        flags: 1 << 7,
        ..MapSpec::default()
    };
    let map = create(&spec).unwrap();
    let slot = skep_maps::slot::acquire();
    map.update(&[0; 4], &[1; 8], 0, slot.slot()).unwrap();
    map.freeze().unwrap();
    let denied = map.update(&[0; 4], &[2; 8], 0, slot.slot());
    assert_eq!(denied, Err(skep_abi::Errno::EPERM));
}
