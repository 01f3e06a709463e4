//! Property tests over all 64 bits: an abstract value made around a witness still holds what the
//! machine makes of the witness.

use proptest::prelude::*;
use skep_abi::insn::{AluOp, JmpOp, Size};

use super::super::{Edge, Range, Scalar, Tnum, branch_taken, refine};
use super::{EDGES, ENDIAN_OPS, NARROW, WIDTHS, concrete, narrows};

/// Numbers with a liking for limits and for small distances from them.
fn number() -> impl Strategy<Value = u64> {
    let limit = prop::sample::select(vec![0u64, 1 << 7, 1 << 15, 1 << 31, 1 << 32, 1 << 63]);
    prop_oneof![
        any::<u64>(),
        (limit, -4i64..=4).prop_map(|(l, d)| l.wrapping_add(d as u64)),
        (any::<u64>(), 0u32..64).prop_map(|(v, s)| v >> s),
        any::<i32>().prop_map(|v| v as i64 as u64),
    ]
}

/// A range around `v`: everything, or up to chosen ends.
fn range<T: super::super::range::Int>(v: T, a: T, b: T, keep: u8) -> Range<T> {
    match keep % 4 {
        0 => Range::FULL,
        1 => Range::new(v.min(a), v.max(b)),
        2 => Range::new(v.min(a), T::MAX),
        _ => Range::new(v.min(a).min(b), v.max(a).max(b)),
    }
}

prop_compose! {
    /// A number and an abstract value that holds it, not yet synced.
    fn witnessed()(
        v in number(),
        ends in prop::array::uniform8(number()),
        deltas in prop::array::uniform2(0u64..200),
        mask in prop_oneof![Just(u64::MAX), Just(0), any::<u64>(), number()],
        keep in any::<[u8; 5]>(),
    ) -> (u64, Scalar) {
        let near = Range::new(v.saturating_sub(deltas[0]), v.saturating_add(deltas[1]));
        let u64 = if keep[4] % 2 == 0 { range(v, ends[0], ends[1], keep[0]) } else { near };
        let s = Scalar {
            var_off: Tnum { value: v & !mask, mask },
            u64,
            s64: range(v as i64, ends[2] as i64, ends[3] as i64, keep[1]),
            u32: range(v as u32, ends[4] as u32, ends[5] as u32, keep[2]),
            s32: range(v as i32, ends[6] as i32, ends[7] as i32, keep[3]),
        };
        (v, s)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn sync_keeps_the_witness_and_only_narrows((v, s) in witnessed()) {
        let r = s.synced();
        prop_assert!(r.contains(v), "{:#x} {:?} {:?}", v, s, r);
        prop_assert!(!r.is_empty());
        prop_assert!(narrows(&s, &r));
        prop_assert_eq!(r.var_off.value & r.var_off.mask, 0);
    }

    #[test]
    fn arithmetic((x, a) in witnessed(), (y, b) in witnessed(), small in 0u64..70) {
        let (a, b) = (a.synced(), b.synced());
        for width in WIDTHS {
            for &op in AluOp::ALL {
                for (y, b) in [(y, b), (small, Scalar::constant(small))] {
                    let v = concrete::alu(width, op, x, y);
                    let r = a.alu(width, op, &b);
                    prop_assert!(r.contains(v), "{:?} {:?} {:#x} {:#x} {:?}", width, op, x, y, r);
                }
            }
        }
    }

    #[test]
    fn unsynced_operands_are_no_danger((x, a) in witnessed(), (y, b) in witnessed()) {
        for width in WIDTHS {
            for &op in AluOp::ALL {
                prop_assert!(a.alu(width, op, &b).contains(concrete::alu(width, op, x, y)));
            }
        }
    }

    #[test]
    fn conversions((v, s) in witnessed()) {
        let s = s.synced();
        for width in WIDTHS {
            for from in NARROW {
                let w = concrete::sign_extend(from, width, v);
                prop_assert!(s.sign_extend(from, width).contains(w), "{:?} {:?}", from, width);
            }
            prop_assert!(s.neg(width).contains(concrete::alu(width, skep_abi::insn::AluOp::Sub, 0, v)));
        }
        for size in NARROW {
            prop_assert!(s.truncate(size).contains(concrete::truncate(size, v)));
            prop_assert!(Scalar::loaded(size).contains(concrete::truncate(size, v)));
        }
        for op in ENDIAN_OPS {
            for size in [Size::H, Size::W, Size::DW] {
                prop_assert!(s.endian(op, size).contains(concrete::endian(op, size, v)));
            }
        }
    }

    #[test]
    fn branches((x, a) in witnessed(), (y, b) in witnessed()) {
        let (a, b) = (a.synced(), b.synced());
        for width in WIDTHS {
            for &op in JmpOp::ALL {
                let edge = Edge::of(concrete::holds(width, op, x, y));
                if let Some(taken) = branch_taken(op, width, &a, &b) {
                    prop_assert_eq!(taken, edge);
                }
                let (mut ra, mut rb) = (a, b);
                prop_assert!(refine(op, width, edge, &mut ra, &mut rb).is_ok());
                prop_assert!(ra.contains(x) && rb.contains(y), "{:?} {:?} {:#x} {:#x}", width, op, x, y);
            }
        }
    }

    /// Subsets stay subsets of what they were refined from, on either edge.
    #[test]
    fn refinement_only_narrows((_, a) in witnessed(), (_, b) in witnessed()) {
        let (a, b) = (a.synced(), b.synced());
        for width in WIDTHS {
            for &op in JmpOp::ALL {
                for edge in EDGES {
                    let (mut ra, mut rb) = (a, b);
                    let forgets = (op, edge) == (JmpOp::Set, Edge::Fallthrough);
                    if refine(op, width, edge, &mut ra, &mut rb).is_ok() && !forgets {
                        prop_assert!(narrows(&a, &ra) && narrows(&b, &rb));
                    }
                }
            }
        }
    }
}
