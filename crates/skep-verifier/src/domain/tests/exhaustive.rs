//! Every abstract value over small sets of numbers, at the places where something happens: zero, the
//! sign change of either width, the end of the low half, the end of the number.

use std::collections::HashSet;

use skep_abi::insn::{AluOp, JmpOp, Size, Width};

use super::super::{Edge, Scalar, Tnum, branch_taken, refine, refine_same};
use super::{EDGES, ENDIAN_OPS, NARROW, WIDTHS, abstraction, concrete, narrows};

/// Abstract values with the numbers that each admits of those it was made from.
type Elements = Vec<(Scalar, Vec<u64>)>;

/// Every best abstraction of a subset of `numbers`.
fn elements(numbers: &[u64]) -> Elements {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for subset in 1u32..1 << numbers.len() {
        let set: Vec<u64> =
            (0..numbers.len()).filter(|i| subset >> i & 1 == 1).map(|i| numbers[i]).collect();
        let s = abstraction(&set).synced();
        if seen.insert(s) {
            let members = numbers.iter().copied().filter(|&v| s.contains(v)).collect();
            all.push((s, members));
        }
    }
    all
}

/// `count` numbers around `middle`.
fn around(middle: u64, count: u64) -> Vec<u64> {
    (0..count).map(|i| middle.wrapping_sub(count / 2).wrapping_add(i)).collect()
}

/// Pairs of operand sets: neighbourhoods of the places where readings part.
fn operand_pairs() -> Vec<(Elements, Elements)> {
    let low = elements(&(0..8).collect::<Vec<_>>());
    let mut pairs = vec![(elements(&around(4, 9)), low.clone())];
    for middle in [0, 1 << 31, 1 << 32, 1 << 63] {
        let near = elements(&around(middle, 8));
        pairs.push((near.clone(), near.clone()));
        pairs.push((near, low.clone()));
    }
    // Numbers that differ in high and low halves at once.
    let mixed = elements(&[0, 1, 1 << 31, u32::MAX.into(), 1 << 32, 1 << 63, u64::MAX]);
    pairs.push((mixed.clone(), mixed));
    pairs
}

fn all_tnums(bits: u32, shift: u32) -> Vec<Tnum> {
    let mut all = Vec::new();
    for mask in 0..1u64 << bits {
        for value in 0..1u64 << bits {
            if value & mask == 0 {
                all.push(Tnum { value: value << shift, mask: mask << shift });
            }
        }
    }
    all
}

fn members(t: Tnum, bits: u32, shift: u32) -> Vec<u64> {
    (0..1u64 << bits).map(|v| v << shift).filter(|&v| t.contains(v)).collect()
}

#[test]
fn tnum_operations_hold_every_concrete_result() {
    for shift in [0, 29, 60] {
        let all: Vec<_> =
            all_tnums(4, shift).into_iter().map(|t| (t, members(t, 4, shift))).collect();
        for (a, in_a) in &all {
            for (b, in_b) in &all {
                type Case = (fn(Tnum, Tnum) -> Tnum, fn(u64, u64) -> u64);
                let cases: [Case; 6] = [
                    (Tnum::add, u64::wrapping_add),
                    (Tnum::sub, u64::wrapping_sub),
                    (Tnum::mul, u64::wrapping_mul),
                    (Tnum::and, |a, b| a & b),
                    (Tnum::or, |a, b| a | b),
                    (Tnum::xor, |a, b| a ^ b),
                ];
                for (i, (abs, conc)) in cases.into_iter().enumerate() {
                    let r = abs(*a, *b);
                    assert_eq!(r.value & r.mask, 0, "malformed {r} from {a} {b}, case {i}");
                    for &x in in_a {
                        for &y in in_b {
                            assert!(r.contains(conc(x, y)), "case {i}: {a} {b} {x:#x} {y:#x} {r}");
                        }
                    }
                }
            }
        }
    }
}

/// Sums, differences and bitwise operations lose nothing: they equal the best tnum of all results.
#[test]
fn tnum_operations_other_than_mul_are_exact() {
    let all: Vec<_> = all_tnums(4, 60).into_iter().map(|t| (t, members(t, 4, 60))).collect();
    for (a, in_a) in &all {
        for (b, in_b) in &all {
            let best = |f: fn(u64, u64) -> u64| {
                let results = in_a.iter().flat_map(|&x| in_b.iter().map(move |&y| f(x, y)));
                results.map(Tnum::constant).reduce(Tnum::union).unwrap()
            };
            assert_eq!(a.add(*b), best(u64::wrapping_add));
            assert_eq!(a.sub(*b), best(u64::wrapping_sub));
            assert_eq!(a.and(*b), best(|x, y| x & y));
            assert_eq!(a.or(*b), best(|x, y| x | y));
            assert_eq!(a.xor(*b), best(|x, y| x ^ y));
        }
    }
}

#[test]
fn tnum_sets_behave_as_sets() {
    let all: Vec<_> = all_tnums(4, 0).into_iter().map(|t| (t, members(t, 4, 0))).collect();
    for (a, in_a) in &all {
        for (b, in_b) in &all {
            let both: Vec<u64> = in_a.iter().copied().filter(|v| in_b.contains(v)).collect();
            assert_eq!(a.overlaps(*b), !both.is_empty());
            assert_eq!(a.is_subset_of(*b), both.len() == in_a.len());
            if a.overlaps(*b) {
                assert_eq!(members(a.intersect(*b), 4, 0), both);
            }
            let either = in_a.iter().chain(in_b).copied().map(Tnum::constant);
            assert_eq!(a.union(*b), either.reduce(Tnum::union).unwrap());
        }
        for min in 0..17 {
            let from: Vec<u64> = in_a.iter().copied().filter(|&v| v >= min).collect();
            assert_eq!(a.first_from(min), from.first().copied(), "{a} from {min}");
            for max in min..17 {
                let within: Vec<u64> = from.iter().copied().filter(|&v| v <= max).collect();
                let only = if let [v] = within[..] { Some(v) } else { None };
                assert_eq!(a.only_member_in(min, max), only, "{a} from {min} to {max}");
            }
        }
        for align in [0, 1, 2, 4, 8] {
            assert_eq!(a.is_aligned(align), in_a.iter().all(|v| align == 0 || v % align == 0));
        }
    }
    for min in 0..16 {
        for max in min..16 {
            let best = (min..=max).map(Tnum::constant).reduce(Tnum::union).unwrap();
            assert_eq!(Tnum::range(min, max), best);
        }
    }
    assert_eq!(Tnum::range(0, u64::MAX), Tnum::UNKNOWN);
}

#[test]
fn arithmetic_holds_every_concrete_result() {
    for (left, right) in operand_pairs() {
        for (a, in_a) in &left {
            for (b, in_b) in &right {
                for width in WIDTHS {
                    for &op in AluOp::ALL {
                        let r = a.alu(width, op, b);
                        for &x in in_a {
                            for &y in in_b {
                                let v = concrete::alu(width, op, x, y);
                                assert!(
                                    r.contains(v),
                                    "{width:?} {op:?} {x:#x} {y:#x} = {v:#x} not in {r:?}\n{a:?}\n{b:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn conversions_hold_every_concrete_result() {
    for middle in [0, 8, 128, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 63, !0 - 128] {
        for (a, in_a) in elements(&around(middle, 10)) {
            for v in in_a {
                for width in WIDTHS {
                    assert!(a.neg(width).contains(concrete::alu(width, AluOp::Sub, 0, v)));
                    for from in NARROW {
                        let r = a.sign_extend(from, width);
                        let w = concrete::sign_extend(from, width, v);
                        assert!(r.contains(w), "s{from:?} {width:?} {v:#x} {w:#x} {r:?} {a:?}");
                    }
                }
                assert!(a.zero_extend32().contains(v as u32 as u64));
                for size in [Size::B, Size::H, Size::W, Size::DW] {
                    assert!(a.truncate(size).contains(concrete::truncate(size, v)));
                }
                for op in ENDIAN_OPS {
                    for size in [Size::H, Size::W, Size::DW] {
                        let (r, w) = (a.endian(op, size), concrete::endian(op, size, v));
                        assert!(r.contains(w), "{op:?} {size:?} {v:#x} {w:#x} {r:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn comparisons_decide_only_what_holds_for_all() {
    for (left, right) in operand_pairs() {
        for (a, in_a) in &left {
            for (b, in_b) in &right {
                for width in WIDTHS {
                    for &op in JmpOp::ALL {
                        let Some(taken) = branch_taken(op, width, a, b) else { continue };
                        for &x in in_a {
                            for &y in in_b {
                                let edge = Edge::of(concrete::holds(width, op, x, y));
                                assert_eq!(
                                    edge, taken,
                                    "{width:?} {op:?} {x:#x} {y:#x} {a:?} {b:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn refinement_keeps_every_pair_that_takes_the_edge() {
    for (left, right) in operand_pairs() {
        for (a, in_a) in &left {
            for (b, in_b) in &right {
                for width in WIDTHS {
                    for (op, edge) in JmpOp::ALL.iter().copied().flat_map(|o| EDGES.map(|e| (o, e)))
                    {
                        let (mut ra, mut rb) = (*a, *b);
                        let outcome = refine(op, width, edge, &mut ra, &mut rb);
                        let forgets = (op, edge) == (JmpOp::Set, Edge::Fallthrough);
                        if outcome.is_ok() && !forgets {
                            assert!(narrows(a, &ra) && narrows(b, &rb), "widened");
                        }
                        for &x in in_a {
                            for &y in in_b {
                                if Edge::of(concrete::holds(width, op, x, y)) == edge {
                                    assert!(
                                        outcome.is_ok() && ra.contains(x) && rb.contains(y),
                                        "{width:?} {op:?} {edge:?} loses {x:#x} {y:#x}: {a:?} {b:?}"
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_register_compared_with_itself_keeps_what_takes_the_edge() {
    for middle in [4, 0, 1 << 31, 1 << 32, 1 << 63, !0 - 4] {
        for (a, in_a) in elements(&around(middle, 9)) {
            for width in WIDTHS {
                for (op, edge) in JmpOp::ALL.iter().copied().flat_map(|o| EDGES.map(|e| (o, e))) {
                    let mut refined = a;
                    let outcome = refine_same(op, width, edge, &mut refined);
                    for &x in &in_a {
                        if Edge::of(concrete::holds(width, op, x, x)) == edge {
                            assert!(
                                outcome.is_ok() && refined.contains(x),
                                "{width:?} {op:?} {edge:?} loses {x:#x}: {a:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// A decided comparison leaves nothing on the other edge, or at worst what the kernel leaves too; never
/// an edge that a constant pair does not take.
#[test]
fn constants_stay_exact() {
    let numbers = [0, 1, 2, 7, 31, 32, 63, 64, 127, 128, 1 << 31, 1 << 32, 1 << 63, !0, !0 << 31];
    for x in numbers {
        for y in numbers {
            let (a, b) = (Scalar::constant(x), Scalar::constant(y));
            for width in WIDTHS {
                for &op in AluOp::ALL {
                    let bits = if width == Width::W32 { 32 } else { 64 };
                    let count = y;
                    let unknown = match op {
                        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => true,
                        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => count >= bits,
                        AluOp::Add
                        | AluOp::Sub
                        | AluOp::Mul
                        | AluOp::Or
                        | AluOp::And
                        | AluOp::Xor
                        | AluOp::Mov => false,
                    };
                    let want = if unknown {
                        Scalar::UNKNOWN
                    } else {
                        Scalar::constant(concrete::alu(width, op, x, y))
                    };
                    assert_eq!(a.alu(width, op, &b), want, "{width:?} {op:?} {x:#x} {y:#x}");
                }
                for &op in JmpOp::ALL {
                    let edge = Edge::of(concrete::holds(width, op, x, y));
                    assert_eq!(branch_taken(op, width, &a, &b), Some(edge));
                }
                for from in NARROW {
                    let want = concrete::sign_extend(from, width, x);
                    assert_eq!(a.sign_extend(from, width), Scalar::constant(want));
                }
            }
            for size in NARROW {
                assert_eq!(a.truncate(size).const_value(), Some(concrete::truncate(size, x)));
            }
        }
    }
}
