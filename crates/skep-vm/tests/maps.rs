//! Programs that nobody verified, on maps: what is within a value and what is not.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use skep_abi::insn::asm::assemble_insns;
use skep_maps::{MapOps, MapSpec, Slot};
use skep_verifier::env::*;
use skep_vm::*;
use std::sync::Arc;

const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;

fn map(map_type: u32, value_size: u32, max_entries: u32, flags: u32) -> Arc<dyn MapOps> {
    let spec = MapSpec {
        map_type,
        key_size: 4,
        value_size,
        max_entries,
        flags,
        name: "m".into(),
        ..MapSpec::default()
    };
    skep_maps::create(&spec).unwrap()
}

const NONE: ArgType = ArgType::None;

static LOOKUP: HelperProto = HelperProto {
    id: 1,
    name: "map_lookup_elem",
    pkt_access: true,
    args: [ArgType::ConstMap, ArgType::MapKey, NONE, NONE, NONE],
    ret: RetType::MapValueOrNull,
    ..HelperProto::PLAIN
};

static FOR_EACH: HelperProto = HelperProto {
    id: 164,
    name: "for_each_map_elem",
    args: [ArgType::ConstMap, ArgType::Func, ArgType::StackOrNull, ArgType::Anything, NONE],
    ret: RetType::Integer,
    callback: Callback::ForEachMapElem,
    ..LOOKUP
};

fn lookup(call: &mut Call<'_>) -> u64 {
    let (map, slot) = (call.map(0).unwrap(), call.slot());
    map.lookup(&call.mem(1).copy_in(), slot).unwrap_or(0)
}

fn for_each(call: &mut Call<'_>) -> u64 {
    call.for_each_map_elem(0, 1, 2).unwrap_or(u64::MAX)
}

fn run_on(text: &str, maps: &[Arc<dyn MapOps>]) -> Result<u64, Trap> {
    let helpers = [
        HelperEntry { proto: &LOOKUP, run: lookup },
        HelperEntry { proto: &FOR_EACH, run: for_each },
    ];
    let insns = assemble_insns(text).unwrap();
    let prog = Prog::unverified(insns, maps.to_vec(), helpers.as_slice()).unwrap();
    let mut host = FixedHost::default();
    let mut rt = Runtime::new(&mut host, Slot::new(0).unwrap(), Mode::Trusted);
    run(&prog, &mut MemContext::new(&[0; 8]), &mut rt)
}

fn is_bad(result: Result<u64, Trap>, want: Access) -> bool {
    match result {
        Err(Trap { kind: TrapKind::BadAccess { access, .. }, .. }) => access == want,
        _ => false,
    }
}

#[test]
fn direct_values_end_where_the_value_ends() {
    let m = [map(2, 16, 1, 0)];
    let text = |off: i32, len: &str| {
        format!(
            "r1 = map[idx:0][0]+8\nr0 = 5\n*({len} *)(r1 {off:+}) = r0\nr0 = *({len} *)(r1 {off:+})\nexit"
        )
    };
    for (off, len, ok) in [
        (0, "u64", true),
        (1, "u64", false),
        (-8, "u64", true),
        (-9, "u64", false),
        (7, "u8", true),
        (8, "u8", false),
    ] {
        let result = run_on(&text(off, len), &m);
        if ok {
            assert_eq!(result, Ok(5), "{off} {len}");
        } else {
            assert!(is_bad(result, Access::Write), "{off} {len}");
        }
    }
}

#[test]
fn values_of_arrays_do_not_run_into_each_other() {
    let m = [map(2, 8, 4, 0)];
    let text = |off: i32| {
        format!(
            "r1 = 1\n*(u32 *)(r10 - 4) = r1\nr1 = map[idx:0]\nr2 = r10\nr2 += -4\ncall 1\n\
             r0 = *(u64 *)(r0 {off:+})\nexit"
        )
    };
    assert_eq!(run_on(&text(0), &m), Ok(0));
    assert!(is_bad(run_on(&text(4), &m), Access::Read));
    assert!(is_bad(run_on(&text(-4), &m), Access::Read));
}

#[test]
fn protected_maps_are_protected() {
    let (ro, wo) = (map(2, 8, 1, RDONLY_PROG), map(2, 8, 1, WRONLY_PROG));
    let read = "r1 = map[idx:0][0]+0\nr0 = *(u64 *)(r1 + 0)\nexit";
    let write = "r1 = map[idx:0][0]+0\nr0 = 0\n*(u64 *)(r1 + 0) = r0\nexit";
    let atomic = "r1 = map[idx:0][0]+0\nr0 = 0\nlock *(u64 *)(r1 + 0) += r0\nexit";
    assert_eq!(run_on(read, std::slice::from_ref(&ro)), Ok(0));
    assert!(is_bad(run_on(write, std::slice::from_ref(&ro)), Access::Write));
    assert!(is_bad(run_on(atomic, std::slice::from_ref(&ro)), Access::ReadWrite));
    assert!(is_bad(run_on(read, std::slice::from_ref(&wo)), Access::Read));
    assert_eq!(run_on(write, std::slice::from_ref(&wo)), Ok(0));
    assert!(is_bad(run_on(atomic, std::slice::from_ref(&wo)), Access::ReadWrite));
}

#[test]
fn map_pointers_are_only_handles() {
    let m = [map(2, 8, 1, 0)];
    let deref = "r1 = map[idx:0]\nr0 = *(u64 *)(r1 + 0)\nexit";
    assert!(is_bad(run_on(deref, &m), Access::Read));
    let no_map = "r1 = 5\nr2 = r10\nr2 += -4\ncall 1\nexit";
    let trap = run_on(no_map, &m).unwrap_err();
    assert!(matches!(trap.kind, TrapKind::BadArgument { arg: 1, .. }), "{trap}");
    let bad_key = "r1 = map[idx:0]\nr2 = r10\nr2 += -3\ncall 1\nexit";
    assert!(is_bad(run_on(bad_key, &m), Access::Read));
}

#[test]
fn keys_are_lent_to_callbacks_for_reading() {
    let m = [map(2, 8, 3, 0)];
    let text = |body: &str| {
        format!(
            "r1 = 0\n*(u64 *)(r10 - 8) = r1\nr1 = map[idx:0]\nr2 = subprog[+7]\nr3 = r10\nr3 += -8\nr4 = 0\n\
             call 164\nr0 = *(u64 *)(r10 - 8)\nexit\n{body}\nr0 = 0\nexit"
        )
    };
    let sum =
        "r1 = *(u32 *)(r2 + 0)\nr0 = *(u64 *)(r4 + 0)\nr0 += r1\nr0 += 1\n*(u64 *)(r4 + 0) = r0";
    assert_eq!(run_on(&text(sum), &m), Ok(6));
    assert!(is_bad(run_on(&text("r0 = 0\n*(u32 *)(r2 + 0) = r0"), &m), Access::Write));
    assert!(is_bad(run_on(&text("r0 = *(u32 *)(r2 + 1)"), &m), Access::Read));
    // A key that was kept is gone when its callback returned.
    let keep = "*(u64 *)(r4 + 0) = r2";
    let later = text(keep)
        .replace("r0 = *(u64 *)(r10 - 8)", "r0 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r0 + 0)")
        .replace("+7]", "+8]");
    assert!(is_bad(run_on(&later, &m), Access::Read));
}

#[test]
fn values_that_do_not_exist_are_refused() {
    let err = |text: &str, m: &[Arc<dyn MapOps>]| {
        Prog::unverified(assemble_insns(text).unwrap(), m.to_vec(), &NoHelpers).unwrap_err().kind
    };
    let one = [map(2, 8, 1, 0)];
    let text = "r1 = map[idx:0][0]+8\nr0 = 0\nexit";
    assert_eq!(err(text, &one), ProgErrorKind::NoDirectValue { map: 0, off: 8 });
    assert_eq!(err(text, &[]), ProgErrorKind::NoMap(0));
    let hash = [map(1, 16, 1, 0)];
    assert_eq!(err(text, &hash), ProgErrorKind::NoDirectValue { map: 0, off: 8 });
}
