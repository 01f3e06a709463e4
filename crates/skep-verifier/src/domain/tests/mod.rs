//! Tests of the domain: exhaustive over small sets, and property tests over all 64 bits.
//!
//! `concrete` says what the machine computes (RFC 9669); everything else compares with it.

mod concrete;
mod exhaustive;
mod log;
mod props;

use skep_abi::insn::{EndianOp, Size, Width};

use super::{Range, Scalar, Tnum};

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const EDGES: [super::Edge; 2] = [super::Edge::Jump, super::Edge::Fallthrough];
const NARROW: [Size; 3] = [Size::B, Size::H, Size::W];
const ENDIAN_OPS: [EndianOp; 3] = [EndianOp::Le, EndianOp::Be, EndianOp::Swap];

/// The best abstraction of a set of numbers, not empty.
fn abstraction(set: &[u64]) -> Scalar {
    let first = Scalar::constant(set[0]);
    set.iter().fold(first, |s, &v| Scalar {
        var_off: s.var_off.union(Tnum::constant(v)),
        u64: Range::new(s.u64.min.min(v), s.u64.max.max(v)),
        s64: Range::new(s.s64.min.min(v as i64), s.s64.max.max(v as i64)),
        u32: Range::new(s.u32.min.min(v as u32), s.u32.max.max(v as u32)),
        s32: Range::new(s.s32.min.min(v as i32), s.s32.max.max(v as i32)),
    })
}

/// Whether `after` says no less than `before`; where it takes the bounds of a low half over, as the kernel does, other
/// bounds may have been tighter.
fn narrows(before: &Scalar, after: &Scalar) -> bool {
    let took_low_half = after.s32.min >= 0 && after.u64.max <= i32::MAX as u64;
    after.is_subset_of(before) || took_low_half
}
