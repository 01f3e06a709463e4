//! BTF built by hand: what is refused, and with which words and errno; bytes there and back; values; linking.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep_abi::Errno;
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::fields::{FieldError, FieldFault, FieldKind, Scope, fields};
use skep_btf::value::{Value, ValueError, decode};
use skep_btf::{
    Array, Btf, BtfError, ByteOrder, Foreign, FuncLinkage, FwdKind, Int, Kind, ParseOptions,
    SecVar, TypeFault, TypeId, VarLinkage, dump, validate,
};

const INT: Int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };
const CHAR: Int = Int { size: 1, bits: 8, bit_offset: 0, encoding: Int::SIGNED };
const U64: Int = Int { size: 8, bits: 64, bit_offset: 0, encoding: 0 };

fn member(name: &str, ty: TypeId, bit_offset: u32) -> NewMember<'_> {
    NewMember { name, ty, bit_offset, bitfield_bits: 0 }
}

fn bitfield(name: &str, ty: TypeId, bit_offset: u32, bits: u8) -> NewMember<'_> {
    NewMember { name, ty, bit_offset, bitfield_bits: bits }
}

/// The error of a set that parses but breaks a rule of the kernel.
#[track_caller]
fn invalid(make: impl FnOnce(&mut BtfBuilder)) -> (Errno, String) {
    let mut b = BtfBuilder::new();
    make(&mut b);
    let bytes = b.build().unwrap().to_bytes(ByteOrder::HOST);
    let error = validate::load(&bytes, None).unwrap_err();
    (error.errno(), error.to_string())
}

#[test]
fn rules_name_type_and_place() {
    let cycle = invalid(|b| {
        let next = TypeId(b.next_id().0);
        b.add_struct("loop", 4, &[member("me", next, 0)]);
    });
    assert_eq!(cycle, (Errno::EEXIST, "BTF type [1] STRUCT 'loop': contains itself".into()));

    let typedefs = invalid(|b| {
        b.add_typedef("a", TypeId(2));
        b.add_typedef("b", TypeId(1));
    });
    assert_eq!(typedefs.0, Errno::EEXIST);

    let outside = invalid(|b| {
        let int = b.add_int("int", INT);
        b.add_struct("s", 4, &[member("x", int, 8)]);
    });
    assert_eq!(outside.1, "BTF type [2] STRUCT 's': entry 0 'x': Member exceeds struct_size");

    let deep = invalid(|b| {
        b.add_const(TypeId(2));
        for id in 2..40 {
            b.add_const(TypeId(id + 1));
        }
        b.add_int("int", INT);
    });
    assert_eq!(deep.0, Errno::E2BIG);

    let name = invalid(|b| {
        b.add_struct("not a name", 0, &[]);
    });
    assert_eq!(name.1, "BTF type [1] STRUCT 'not a name': Invalid name");

    let datasec = invalid(|b| {
        let int = b.add_int("int", INT);
        let var = b.add_var("v", int, VarLinkage::Global);
        b.add_datasec(".data", 0, &[SecVar { ty: var, offset: 0, size: 4 }]);
    });
    assert_eq!(datasec.1, "BTF type [3] DATASEC '.data': size == 0");

    let encoding = invalid(|b| {
        b.add_int("int", Int { encoding: 3, ..INT });
    });
    assert_eq!(encoding.0, Errno::ENOTSUPP);

    let tag = invalid(|b| {
        let int = b.add_int("int", INT);
        let s = b.add_struct("s", 4, &[member("x", int, 0)]);
        b.add_decl_tag("t", s, Some(1));
    });
    assert_eq!(tag.1, "BTF type [3] DECL_TAG 't': Invalid component_idx");

    let arg = invalid(|b| {
        let int = b.add_int("int", INT);
        let proto = b.add_func_proto(int, &[("", int)]);
        b.add_func("f", proto, FuncLinkage::Global);
    });
    assert_eq!(arg.1, "BTF type [3] FUNC 'f': entry 0: Invalid arg");

    let huge = invalid(|b| {
        let int = b.add_int("int", INT);
        b.add_array(Array { elem: int, index: int, nelems: u32::MAX });
    });
    assert_eq!(huge.1, "BTF type [2] ARRAY: Array size overflows u32");
}

#[test]
fn bad_structure_does_not_parse() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    b.add_struct("s", 4, &[member("x", int, 0)]);
    let good = b.build().unwrap().to_bytes(ByteOrder::HOST);
    assert!(validate::load(&good, None).is_ok());
    for len in 0..good.len() {
        assert!(Btf::parse(&good[..len]).is_err(), "{len} of {} bytes", good.len());
    }
    let patched = |at: usize, value: u32| {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        Btf::parse(&bad).unwrap_err().to_string()
    };
    // Words of the types begin after 24 bytes of header: int has four, then the struct.
    let s = 24 + 16;
    assert_eq!(
        patched(s + 16, 9),
        "BTF type [2] STRUCT 's': refers to type [9], which does not exist"
    );
    assert_eq!(
        patched(s + 12, 0xffff),
        "BTF type [2] STRUCT 's': refers to a string at offset 65535, which does not exist"
    );
    assert_eq!(
        patched(s + 4, 4 << 24 | 2),
        "BTF type [2] STRUCT 's': the type section ends in the middle of it"
    );
    assert_eq!(patched(s + 4, 31 << 24), "BTF type [2] 's': unknown kind 31");
    assert_eq!(patched(0, 0x1_1234), "BTF: bad magic 0x1234, expected 0xeb9f");
    let mut b = BtfBuilder::new();
    b.add_ptr(TypeId(7));
    assert!(matches!(
        b.build(),
        Err(BtfError::Type { fault: TypeFault::TypeId(7), id: TypeId(1), .. })
    ));
}

#[test]
fn other_byte_order() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    b.add_enum("e", 4, &[("A", 1), ("B", 0xff00)]);
    b.add_struct("s", 4, &[bitfield("x", int, 0, 5), bitfield("y", int, 5, 20)]);
    let btf = b.build().unwrap();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let bytes = btf.to_bytes(order);
        let again = Btf::parse(&bytes).unwrap();
        assert_eq!(again.byte_order(), order);
        let (mut x, mut y) = (String::new(), String::new());
        dump::raw(&btf, &mut x).unwrap();
        dump::raw(&again, &mut y).unwrap();
        assert_eq!(x, y);
        let rejected = Btf::parse_with(
            &bytes,
            ParseOptions { foreign: Foreign::Reject, ..ParseOptions::default() },
        );
        assert_eq!(rejected.is_ok(), order == ByteOrder::HOST);
    }
}

#[test]
fn split_continues_its_base() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let base = std::sync::Arc::new(b.build().unwrap());
    let mut b = BtfBuilder::with_base(base.clone());
    let ptr = b.add_ptr(int);
    b.add_struct("s", 8, &[member("p", ptr, 0)]);
    let bytes = b.build().unwrap().to_bytes(ByteOrder::HOST);
    let split = Btf::parse_split(&bytes, base).unwrap();
    let s = split.find_by_name_kind("s", Kind::Struct).unwrap();
    assert_eq!(s.id(), TypeId(3));
    assert_eq!(s.as_composite().unwrap().members.get(0).unwrap().name, "p");
    assert_eq!(split.find_by_name("int").unwrap().id(), int);
    assert!(Btf::parse(&bytes).is_err());
}

#[test]
fn values() {
    let mut b = BtfBuilder::new();
    b.set_byte_order(ByteOrder::Little);
    let int = b.add_int("int", INT);
    let char = b.add_int("char", CHAR);
    let u64_ = b.add_int("u64", U64);
    let text = b.add_array(Array { elem: char, index: int, nelems: 4 });
    let e = b.add_enum("e", 4, &[("A", 1)]);
    let bits = b.add_struct("", 4, &[bitfield("lo", int, 0, 3), bitfield("hi", int, 3, 13)]);
    let ptr = b.add_ptr(int);
    let nums = b.add_array(Array { elem: int, index: int, nelems: 2 });
    let s = b.add_struct(
        "s",
        40,
        &[
            member("n", int, 0),
            member("name", text, 32),
            member("e", e, 64),
            member("", bits, 96),
            member("p", ptr, 128),
            member("nums", nums, 192),
            member("u", u64_, 256),
        ],
    );
    let endless = b.add_struct("endless", 8, &[member("x", TypeId(11), 0)]);
    b.add_struct("", 8, &[member("y", endless, 0)]);
    let btf = b.build().unwrap();
    let mut data = Vec::new();
    data.extend((-2i32).to_le_bytes());
    data.extend(b"ab\0\0");
    data.extend(1u32.to_le_bytes());
    data.extend((7u32 | 0x1fff << 3).to_le_bytes());
    data.extend(0x1000u64.to_le_bytes());
    data.extend(5u32.to_le_bytes());
    data.extend(6u32.to_le_bytes());
    data.extend(u64::MAX.to_le_bytes());
    let value = decode(&btf, s, &data).unwrap();
    assert_eq!(
        value.to_string(),
        "{ .n = -2, .name = \"ab\", .e = A, .lo = -1, .hi = -1, .p = 0x1000, .nums = { 5, 6 }, \
         .u = 18446744073709551615 }"
    );
    assert!(format!("{value:#}").starts_with("{\n    .n = -2,\n"));
    assert_eq!(decode(&btf, text, b"a\x01\0\0").unwrap(), {
        Value::Array(vec![Value::Signed(97), Value::Signed(1), Value::Signed(0), Value::Signed(0)])
    });
    let error = decode(&btf, s, &data[..39]).unwrap_err();
    assert!(matches!(error, ValueError::Truncated { need: 40, have: 39, .. }), "{error}");
    assert!(matches!(decode(&btf, endless, &data), Err(ValueError::TooDeep(_))));
}

#[test]
fn linking_merges_equal_types() {
    let unit = |extra: &str, with_definition: bool| {
        let mut b = BtfBuilder::new();
        let int = b.add_int("int", INT);
        let next = TypeId(b.next_id().0 + 1);
        let ptr = b.add_ptr(next);
        let node = b.add_struct("node", 16, &[member("next", ptr, 0), member("v", int, 64)]);
        assert_eq!(node, next);
        let other = if with_definition {
            b.add_struct("other", 4, &[member("o", int, 0)])
        } else {
            b.add_fwd("other", FwdKind::Struct)
        };
        let p_other = b.add_ptr(other);
        b.add_struct("user", 8, &[member("p", p_other, 0)]);
        b.add_typedef("node_t", node);
        b.add_struct(extra, 4, &[member("x", int, 0)]);
        let var = b.add_var("var", int, VarLinkage::Static);
        b.add_datasec(".data", 4, &[SecVar { ty: var, offset: 0, size: 4 }]);
        b.build().unwrap()
    };
    let mut b = BtfBuilder::new();
    let first = b.append(&unit("one", false)).unwrap();
    let second = b.append(&unit("two", true)).unwrap();
    let (b, map) = b.dedup().unwrap();
    let btf = b.build().unwrap();
    let count = |kind: Kind| btf.types().filter(|t| t.kind() == kind).count();
    assert_eq!(
        [Kind::Int, Kind::Ptr, Kind::Struct, Kind::Fwd, Kind::Typedef, Kind::Var, Kind::Datasec]
            .map(count),
        [1, 2, 5, 0, 1, 2, 2]
    );
    let now = |id| map.get(id).unwrap();
    let (a, b) = (first.get(TypeId(3)).unwrap(), second.get(TypeId(3)).unwrap());
    assert_ne!(a, b);
    assert_eq!(now(a), now(b));
    assert_eq!(btf.type_by_id(now(a)).unwrap().name(), "node");
    validate::load(&btf.to_bytes(ByteOrder::HOST), None).unwrap();
}

#[test]
fn different_structs_of_one_name_stay_apart() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let long = b.add_int("long", U64);
    let a = b.add_struct("s", 8, &[member("x", int, 0)]);
    let c = b.add_struct("s", 8, &[member("x", long, 0)]);
    let (pa, pc) = (b.add_ptr(a), b.add_ptr(c));
    let (_, map) = b.dedup().unwrap();
    assert_ne!(map.get(a), map.get(c));
    assert_ne!(map.get(pa), map.get(pc));
}

#[test]
fn datasec_is_filled_in() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let x = b.add_var("x", int, VarLinkage::Global);
    let y = b.add_var("y", int, VarLinkage::Global);
    let var = |ty, offset| SecVar { ty, offset, size: 4 };
    let sec = b.add_datasec(".data", 0, &[var(x, 0), var(y, 0)]);
    let mut btf = b.build().unwrap();
    btf.set_datasec(sec, 8, &[var(x, 4), var(y, 0)]).unwrap();
    let now = btf.type_by_id(sec).unwrap().as_datasec().unwrap();
    assert_eq!(now.size, 8);
    assert_eq!(now.vars.iter().collect::<Vec<_>>(), [var(y, 0), var(x, 4)]);
    assert!(btf.set_datasec(sec, 8, &[var(x, 4)]).is_err());
    assert!(btf.set_datasec(int, 8, &[]).is_err());
}

#[test]
fn special_members() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let u64_ = b.add_int("u64", U64);
    let lock = b.add_struct("bpf_spin_lock", 4, &[member("val", int, 0)]);
    let timer = b.add_struct("bpf_timer", 16, &[member("a", u64_, 0), member("b", u64_, 64)]);
    let head = b.add_struct("bpf_list_head", 16, &[member("a", u64_, 0), member("b", u64_, 64)]);
    let three = b.add_array(Array { elem: u64_, index: int, nelems: 3 });
    let node = b.add_struct("bpf_list_node", 24, &[member("a", three, 0)]);
    b.add_struct("item", 32, &[member("v", int, 0), member("node", node, 64)]);
    let task = b.add_fwd("task_struct", FwdKind::Struct);
    let kptr = b.add_type_tag("kptr", task);
    let ptr = b.add_ptr(kptr);
    let good = b.add_struct(
        "value",
        48,
        &[
            member("lock", lock, 0),
            member("timer", timer, 64),
            member("head", head, 192),
            member("task", ptr, 320),
        ],
    );
    b.add_decl_tag("contains:item:node", good, Some(2));
    let twice = b.add_struct("twice", 8, &[member("a", lock, 0), member("b", lock, 32)]);
    let crooked = b.add_struct("crooked", 20, &[member("t", timer, 32)]);
    let no_lock = b.add_struct("no_lock", 16, &[member("head", head, 0)]);
    b.add_decl_tag("contains:item:node", no_lock, Some(0));
    let no_tag = b.add_struct("no_tag", 24, &[member("l", lock, 0), member("head", head, 64)]);
    let rest = [member("l", lock, 0), member("head", head, 64)];
    let no_struct = b.add_struct("no_struct", 24, &rest);
    b.add_decl_tag("contains:nothing:node", no_struct, Some(1));
    let no_node = b.add_struct("no_node", 24, &rest);
    b.add_decl_tag("contains:item:nothing", no_node, Some(1));
    let btf = b.build().unwrap();

    let found = fields(&btf, good, 48, Scope::MapValue).unwrap();
    let places: Vec<_> = found.iter().map(|f| (f.kind, f.offset, f.size)).collect();
    assert_eq!(
        places,
        [
            (FieldKind::SpinLock, 0, 4),
            (FieldKind::Timer, 8, 16),
            (FieldKind::ListHead, 24, 16),
            (FieldKind::Kptr, 40, 8),
        ]
    );
    assert_eq!(found[2].target.unwrap().node_offset, 8);
    assert_eq!(found[3].target.unwrap().ty, task);
    let fault = |id| match fields(&btf, id, 64, Scope::MapValue) {
        Err(FieldError::Member { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(twice), FieldFault::Duplicate);
    assert_eq!(fault(crooked), FieldFault::Misaligned);
    assert_eq!(fault(no_lock), FieldFault::NeedsLock);
    assert_eq!(fault(no_tag), FieldFault::Contains);
    assert_eq!(fault(no_struct), FieldFault::NoSuchStruct);
    assert_eq!(fault(no_node), FieldFault::NoSuchNode);
    assert!(fields(&btf, int, 4, Scope::MapValue).unwrap().is_empty());
}

/// Each struct holds the one before several times, all of no size: 4^29 ways down.
#[test]
fn special_fields_of_much_nested_structs() {
    let mut b = BtfBuilder::new();
    let mut inner = b.add_struct("s0", 0, &[]);
    for level in 1..30 {
        let name = format!("s{level}");
        let members = ["a", "b", "c", "d"].map(|name| member(name, inner, 0));
        inner = b.add_struct(&name, 0, &members);
    }
    let btf = b.build().unwrap();
    assert!(fields(&btf, inner, 8, Scope::MapValue).unwrap().is_empty());
}
