//! CO-RE against hand-built targets: every kind of relocation, flavors, ambiguity, patching.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep_abi::insn::RawInsn;
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::core::{CoreError, MemAccess, POISON_HELPER, Relocator, Resolution, patch};
use skep_btf::ext::{CoreRelo, CoreReloKind};
use skep_btf::{Array, Btf, ByteOrder, FwdKind, Int, TypeId, essential_name};

const INT: Int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };
const U32: Int = Int { size: 4, bits: 32, bit_offset: 0, encoding: 0 };
const U64: Int = Int { size: 8, bits: 64, bit_offset: 0, encoding: 0 };

fn member(name: &str, ty: TypeId, bit_offset: u32) -> NewMember<'_> {
    NewMember { name, ty, bit_offset, bitfield_bits: 0 }
}

fn bitfield(name: &str, ty: TypeId, bit_offset: u32, bits: u8) -> NewMember<'_> {
    NewMember { name, ty, bit_offset, bitfield_bits: bits }
}

fn builder() -> BtfBuilder {
    let mut b = BtfBuilder::new();
    b.set_byte_order(ByteOrder::Little);
    b
}

/// The program's types: `struct s___mine { int a; u32 b; int bits: 5; int arr[4]; u32 gone; }`.
struct Local {
    btf: Btf,
    s: TypeId,
    e: TypeId,
}

fn local(accesses: &[&str]) -> Local {
    let mut b = builder();
    let int = b.add_int("int", INT);
    let u32_ = b.add_int("u32", U32);
    let arr = b.add_array(Array { elem: int, index: int, nelems: 4 });
    let s = b.add_struct(
        "s___mine",
        32,
        &[
            member("a", int, 0),
            member("b", u32_, 32),
            bitfield("bits", int, 64, 5),
            member("arr", arr, 96),
            member("gone", u32_, 224),
        ],
    );
    let e = b.add_enum("e", 4, &[("ONE___x", 1), ("LOST", 9)]);
    for access in accesses {
        b.add_str(access);
    }
    Local { btf: b.build().unwrap(), s, e }
}

const ACCESSES: [&str; 9] = ["0:0", "0:1", "0:2", "0:3:2", "0:4", "0", "1", "0:9", "0:3:4"];

fn relo(l: &Local, ty: TypeId, access: &str, kind: CoreReloKind) -> CoreRelo {
    // The builder stores each string once; its offset is found by looking.
    let off = (0..4096).find(|&off| off != 0 && l.btf.str_at(off) == Some(access)).unwrap();
    CoreRelo { insn_off: 0, type_id: ty, access_str_off: off, kind }
}

/// `struct s { u64 pad; struct { int bits: 5 at bit 3; int arr[8]; }; u64 b; int a; }`
fn target() -> Btf {
    let mut b = builder();
    let int = b.add_int("int", INT);
    let u64_ = b.add_int("u64", U64);
    let arr = b.add_array(Array { elem: int, index: int, nelems: 8 });
    let inner = b.add_struct("", 36, &[bitfield("bits", int, 3, 5), member("arr", arr, 32)]);
    b.add_struct(
        "s",
        64,
        &[
            member("pad", u64_, 0),
            member("", inner, 64),
            member("b", u64_, 384),
            member("a", int, 448),
        ],
    );
    b.add_enum("e", 4, &[("ZERO", 0), ("ONE", 77)]);
    b.build().unwrap()
}

fn value(l: &Local, target: &Btf, ty: TypeId, access: &str, kind: CoreReloKind) -> Resolution {
    Relocator::new(&l.btf, target, &[]).resolve(&relo(l, ty, access, kind)).unwrap()
}

#[test]
fn flavors() {
    for (name, essential) in [
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("___x", "___x"),
        ("a____b", "a____b"),
        ("x___", "x___"),
        ("", ""),
    ] {
        assert_eq!(essential_name(name), essential, "{name}");
    }
}

#[test]
fn every_kind() {
    use CoreReloKind::*;
    let l = local(&ACCESSES);
    let t = target();
    let get = |access, kind| value(&l, &t, l.s, access, kind);
    let pair = |access, kind| {
        let r = get(access, kind);
        (r.orig, r.new)
    };
    assert_eq!(pair("0:0", FieldByteOffset), (0, Some(56)));
    assert_eq!(pair("0:1", FieldByteSize), (4, Some(8)));
    assert_eq!(get("0:1", FieldByteOffset).access, MemAccess::Resize { orig: 4, new: 8 });
    assert_eq!(pair("0:3:2", FieldByteOffset), (20, Some(20)));
    assert_eq!(pair("0:0", FieldSigned), (1, Some(1)));
    assert_eq!(pair("0:1", FieldSigned), (0, Some(0)));
    assert_eq!(pair("0:2", FieldByteOffset), (8, Some(8)));
    assert_eq!(pair("0:2", FieldLshiftU64), (59, Some(56)));
    assert_eq!(pair("0:2", FieldRshiftU64), (59, Some(59)));
    assert!(!get("0:2", FieldByteOffset).check_orig);
    assert_eq!(pair("0:4", FieldExists), (1, Some(0)));
    assert_eq!(pair("0:4", FieldByteOffset), (28, None));
    assert_eq!(pair("0", TypeExists), (1, Some(1)));
    assert_eq!(pair("0", TypeSize), (32, Some(64)));
    assert_eq!(pair("0", TypeIdLocal), (u64::from(l.s.0), Some(u64::from(l.s.0))));
    assert_eq!(pair("0", TypeIdTarget).1, Some(5));
    // `b` has another size, so the types do not match in detail.
    assert_eq!(pair("0", TypeMatches), (1, Some(0)));
    let of_enum = |access, kind| {
        let r = value(&l, &t, l.e, access, kind);
        (r.orig, r.new)
    };
    assert_eq!(of_enum("0", EnumvalValue), (1, Some(77)));
    assert_eq!(of_enum("0", EnumvalExists), (1, Some(1)));
    assert_eq!(of_enum("1", EnumvalExists), (1, Some(0)));
    assert_eq!(of_enum("1", EnumvalValue), (9, None));
}

#[test]
fn missing_types_have_no_size() {
    use CoreReloKind::*;
    let l = local(&ACCESSES);
    let t = builder().build().unwrap();
    let new = |access, kind| value(&l, &t, l.s, access, kind).new;
    assert_eq!(new("0", TypeExists), Some(0));
    assert_eq!(new("0", TypeSize), Some(0));
    assert_eq!(new("0", TypeIdTarget), Some(0));
    assert_eq!(new("0:0", FieldExists), Some(0));
    assert_eq!(new("0:0", FieldByteOffset), None);
}

#[test]
fn malformed_accesses() {
    use CoreReloKind::*;
    let l = local(&ACCESSES);
    let t = target();
    let error = |ty, access, kind| {
        Relocator::new(&l.btf, &t, &[]).resolve(&relo(&l, ty, access, kind)).unwrap_err()
    };
    for (ty, access, kind) in [
        (l.s, "0:9", FieldByteOffset),
        (l.s, "0:3:4", FieldByteOffset),
        (l.s, "0:0", TypeSize),
        (l.s, "0", EnumvalValue),
        (l.e, "0:0", EnumvalValue),
        (l.s, "s___mine", FieldExists),
    ] {
        let e = error(ty, access, kind);
        assert!(matches!(&e, CoreError::Access { .. }), "{e}");
    }
    assert_eq!(
        error(l.s, "0:9", FieldByteOffset).to_string(),
        "CO-RE: access \"0:9\" to type [4]: no such member"
    );
    let e = error(l.s, "0:3:2", FieldSigned);
    assert_eq!(e, CoreError::ArrayElement(FieldSigned));
}

#[test]
fn candidates_must_agree() {
    let l = local(&ACCESSES);
    let mut b = builder();
    let int = b.add_int("int", INT);
    b.add_struct("s", 8, &[member("a", int, 0), member("x", int, 32)]);
    b.add_struct("s___v2", 8, &[member("a", int, 32)]);
    b.add_struct("s___v3", 16, &[member("other", int, 0), member("x", int, 32)]);
    let t = b.build().unwrap();
    let mut relocator = Relocator::new(&l.btf, &t, &[]);
    let e = relocator.resolve(&relo(&l, l.s, "0:0", CoreReloKind::FieldByteOffset)).unwrap_err();
    assert_eq!(
        e,
        CoreError::AmbiguousOffset { name: "s___mine".into(), first_bits: 0, other_bits: 32 }
    );
    let e = relocator.resolve(&relo(&l, l.s, "0", CoreReloKind::TypeSize)).unwrap_err();
    assert!(matches!(e, CoreError::AmbiguousValue { first: Some(8), other: Some(16), .. }));
}

#[test]
fn modules_are_asked_last() {
    let l = local(&ACCESSES);
    let kernel = std::sync::Arc::new({
        let mut b = builder();
        b.add_int("int", INT);
        b.build().unwrap()
    });
    let mut b = BtfBuilder::with_base(kernel.clone());
    b.add_struct("s", 4, &[member("a", TypeId(1), 0)]);
    let module = b.build().unwrap();
    let modules = [&module];
    let mut relocator = Relocator::new(&l.btf, &kernel, &modules);
    let r = relocator.resolve(&relo(&l, l.s, "0", CoreReloKind::TypeIdTarget)).unwrap();
    assert_eq!(r.new, Some(2));
}

#[test]
fn hostile_targets_end() {
    let l = local(&ACCESSES);
    let mut b = builder();
    b.add_int("int", INT);
    // Each struct contains the next one twice, anonymously, and the last the first.
    for n in 0..80u32 {
        let next = TypeId(if n == 79 { 2 } else { n + 3 });
        let name = if n == 0 { "s" } else { "" };
        b.add_struct(name, 0, &[member("", next, 0), member("", next, 0)]);
    }
    b.add_fwd("f", FwdKind::Union);
    let t = b.build().unwrap();
    let mut relocator = Relocator::new(&l.btf, &t, &[]);
    let result = relocator.resolve(&relo(&l, l.s, "0:0", CoreReloKind::FieldByteOffset));
    assert_eq!(result, Err(CoreError::TooDeep));
}

fn insn(code: u8, off: i16, imm: i32) -> RawInsn {
    RawInsn { code, dst: 1, src: 0, off, imm }
}

fn resolution(orig: u64, new: Option<u64>) -> Resolution {
    Resolution { orig, new, check_orig: true, access: MemAccess::Same }
}

#[test]
fn patches() {
    let mut p = [insn(0xb7, 0, 4)];
    patch(&mut p, 0, &resolution(4, Some(8))).unwrap();
    assert_eq!(p[0].imm, 8);
    let e = patch(&mut p, 0, &resolution(4, Some(8))).unwrap_err();
    assert_eq!(e, CoreError::UnexpectedValue { slot: 0, found: 8, expected: 4 });

    // r1 = *(u32 *)(r0 + 4) becomes r1 = *(u64 *)(r0 + 48).
    let mut p = [insn(0x61, 4, 0)];
    let wide =
        Resolution { access: MemAccess::Resize { orig: 4, new: 8 }, ..resolution(4, Some(48)) };
    patch(&mut p, 0, &wide).unwrap();
    assert_eq!(p[0], insn(0x79, 48, 0));
    let mut p = [insn(0x69, 4, 0)];
    let e = patch(&mut p, 0, &wide).unwrap_err();
    assert_eq!(e, CoreError::AccessSize { slot: 0, found: 2, expected: 4 });
    let mut p = [insn(0x61, 4, 0)];
    let e = patch(&mut p, 0, &resolution(4, Some(40_000))).unwrap_err();
    assert_eq!(e, CoreError::OffsetTooBig { slot: 0, offset: 40_000 });

    let mut p = [insn(0x18, 0, 1), RawInsn::default()];
    patch(&mut p, 0, &resolution(1, Some(0x1_0000_0002))).unwrap();
    assert_eq!((p[0].imm, p[1].imm), (2, 1));
    patch(&mut p, 0, &resolution(0, None)).unwrap();
    let call = RawInsn { code: 0x85, dst: 0, src: 0, off: 0, imm: POISON_HELPER };
    assert_eq!(p, [call, call]);

    let mut p = [insn(0x61, 4, 0)];
    let mismatch = Resolution { access: MemAccess::Mismatch, ..resolution(4, Some(48)) };
    patch(&mut p, 0, &mismatch).unwrap();
    assert_eq!(p, [call]);
    assert!(matches!(patch(&mut p, 0, &resolution(0, Some(0))), Err(CoreError::Insn { .. })));
    assert!(matches!(patch(&mut p, 1, &resolution(0, None)), Err(CoreError::Insn { .. })));
    let mut p = [insn(0x18, 0, 1)];
    let e = patch(&mut p, 0, &resolution(1, Some(2))).unwrap_err();
    assert!(matches!(e, CoreError::Insn { code: 0x18, .. }));
}
