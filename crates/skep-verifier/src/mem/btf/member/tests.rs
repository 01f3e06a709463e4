//! Members found in structures built by hand.

use super::*;
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::{Array, Int};

const INT: Int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };

fn member(name: &str, ty: TypeId, byte_off: u32) -> NewMember<'_> {
    NewMember { name, ty, bit_offset: byte_off * 8, bitfield_bits: 0 }
}

/// `struct inner { int a, b; }`, `struct outer { struct inner in; struct inner *next; int *leaf; union { int *p;
/// struct inner *q; }; int bits:3; int n[2]; struct inner tail[]; }`.
fn outer() -> (Btf, TypeId, TypeId) {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", INT);
    let inner = b.add_struct("inner", 8, &[member("a", int, 0), member("b", int, 4)]);
    let tagged = b.add_type_tag("rcu", inner);
    let next = b.add_ptr(tagged);
    let leaf = b.add_ptr(int);
    let plain = b.add_ptr(inner);
    let choice = b.add_union("", 8, &[member("p", leaf, 0), member("q", plain, 0)]);
    let pair = b.add_array(Array { elem: int, index: int, nelems: 2 });
    let any = b.add_array(Array { elem: inner, index: int, nelems: 0 });
    let bits = NewMember { name: "bits", ty: int, bit_offset: 32 * 8, bitfield_bits: 3 };
    let outer = b.add_struct(
        "outer",
        48,
        &[
            member("in", inner, 0),
            member("next", next, 8),
            member("leaf", leaf, 16),
            member("", choice, 24),
            bits,
            member("n", pair, 36),
            member("tail", any, 48),
        ],
    );
    (b.build().unwrap(), outer, inner)
}

fn at(off: u32, size: u32) -> Result<String, String> {
    let (btf, outer, inner) = outer();
    find(&btf, outer, Span { off, size }, Flexible::Yes).map_err(|e| e.to_string()).map(|f| match f
    {
        Found::Scalar => "scalar".to_owned(),
        Found::LeafPointer => "leaf".to_owned(),
        Found::Pointer { to, flags, member } => {
            assert_eq!(to, inner);
            format!("{member} {flags:?}")
        }
    })
}

#[test]
fn bytes_are_what_their_member_is() {
    assert_eq!(at(0, 4).unwrap(), "scalar");
    assert_eq!(at(8, 8).unwrap(), format!("next {:?}", PtrFlags::RCU));
    assert_eq!(at(16, 8).unwrap(), "leaf");
    assert_eq!(at(32, 1).unwrap(), "scalar");
    assert_eq!(at(36, 8).unwrap(), "scalar");
    // Behind the end: elements of the array of any length.
    assert_eq!(at(48 + 8 * 5 + 4, 4).unwrap(), "scalar");
}

#[test]
fn a_union_hides_what_it_holds() {
    // The first member of a union decides, and it is a pointer to a number.
    assert_eq!(at(24, 8).unwrap(), "leaf");
}

#[test]
fn parts_and_holes_are_refused() {
    assert_eq!(
        at(8, 4).unwrap_err(),
        "cannot access ptr member next with moff 8 in struct outer with off 8 size 4"
    );
    assert_eq!(
        at(40, 8).unwrap_err(),
        "access beyond the end of member n (mend:44) in struct outer with off 40 size 8"
    );
    assert_eq!(at(4, 8).unwrap_err(), "access beyond struct inner at off 4 size 8");
    assert_eq!(at(44, 4).unwrap_err(), "struct outer doesn't have field at offset 44");
    let (btf, outer, _) = outer();
    let beyond = find(&btf, outer, Span { off: 48, size: 4 }, Flexible::No).unwrap_err();
    assert_eq!(beyond.to_string(), "access beyond struct outer at off 48 size 4");
}

#[test]
fn a_structure_begins_with_its_first_member() {
    let (btf, outer, inner) = outer();
    assert!(begins_with(&btf, outer, 0, Flexible::Yes, |id| id == inner));
    assert!(!begins_with(&btf, outer, 8, Flexible::Yes, |id| id == inner));
    assert!(begins_with(&btf, outer, 0, Flexible::Yes, |id| id == outer));
    assert!(!begins_with(&btf, inner, 0, Flexible::Yes, |id| id == outer));
}
