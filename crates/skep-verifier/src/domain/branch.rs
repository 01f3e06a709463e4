//! What a comparison decides ([`branch_taken`]) and what each of its two edges teaches ([`refine`]).
//!
//! Kernel counterpart: `is_scalar_branch_taken`, `regs_refine_cond_op`.

use skep_abi::insn::{JmpOp, Width};

use super::range::{Int, Range};
use super::scalar::Scalar;
use super::tnum::Tnum;

/// One of the two ways on from a conditional jump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edge {
    /// The condition holds.
    Jump,
    /// It does not.
    Fallthrough,
}

impl Edge {
    /// The edge that a condition takes.
    pub const fn of(holds: bool) -> Edge {
        if holds { Edge::Jump } else { Edge::Fallthrough }
    }

    /// The other edge.
    #[must_use]
    pub const fn other(self) -> Edge {
        match self {
            Edge::Jump => Edge::Fallthrough,
            Edge::Fallthrough => Edge::Jump,
        }
    }
}

/// No pair of numbers takes this edge: it is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contradiction;

/// The edge that every pair of numbers takes, if the bounds tell.
pub fn branch_taken(op: JmpOp, width: Width, dst: &Scalar, src: &Scalar) -> Option<Edge> {
    let (a, b) = (bits_at(dst, width), bits_at(src, width));
    match op {
        JmpOp::Eq => equal_taken(width, dst, src),
        JmpOp::Ne => equal_taken(width, dst, src).map(Edge::other),
        JmpOp::Set => {
            // SOUND: decided only against a constant mask: taken if a bit of it is surely set, not taken if
            // no bit of it can be.
            let (a, b) = if b.is_const() { (a, b) } else { (b, a) };
            let mask = b.const_value()?;
            if a.min() & mask != 0 {
                Some(Edge::Jump)
            } else if a.max() & mask == 0 {
                Some(Edge::Fallthrough)
            } else {
                None
            }
        }
        JmpOp::Gt => unsigned_less(width, src, dst),
        JmpOp::Lt => unsigned_less(width, dst, src),
        JmpOp::Ge => unsigned_less(width, dst, src).map(Edge::other),
        JmpOp::Le => unsigned_less(width, src, dst).map(Edge::other),
        JmpOp::Sgt => signed_less(width, src, dst),
        JmpOp::Slt => signed_less(width, dst, src),
        JmpOp::Sge => signed_less(width, dst, src).map(Edge::other),
        JmpOp::Sle => signed_less(width, src, dst).map(Edge::other),
    }
}

fn bits_at(s: &Scalar, width: Width) -> Tnum {
    match width {
        Width::W32 => s.var_off.subreg(),
        Width::W64 => s.var_off,
    }
}

// SOUND: two sets without a common member are never equal, in whichever reading they are disjoint; the
// low halves of equal numbers are equal. Two constants are equal or not.
fn equal_taken(width: Width, dst: &Scalar, src: &Scalar) -> Option<Edge> {
    let (a, b) = (bits_at(dst, width), bits_at(src, width));
    if let (Some(a), Some(b)) = (a.const_value(), b.const_value()) {
        return Some(Edge::of(a == b));
    }
    let low_meets = dst.u32.overlaps(&src.u32) && dst.s32.overlaps(&src.s32);
    let meets = match width {
        Width::W32 => low_meets,
        Width::W64 => dst.u64.overlaps(&src.u64) && dst.s64.overlaps(&src.s64) && low_meets,
    };
    if a.overlaps(b) && meets { None } else { Some(Edge::Fallthrough) }
}

fn unsigned_less(width: Width, a: &Scalar, b: &Scalar) -> Option<Edge> {
    match width {
        Width::W32 => less(&a.u32, &b.u32),
        Width::W64 => less(&a.u64, &b.u64),
    }
}

fn signed_less(width: Width, a: &Scalar, b: &Scalar) -> Option<Edge> {
    match width {
        Width::W32 => less(&a.s32, &b.s32),
        Width::W64 => less(&a.s64, &b.s64),
    }
}

// SOUND: one interval below the other decides for every pair.
fn less<T: Int>(a: &Range<T>, b: &Range<T>) -> Option<Edge> {
    if a.max < b.min {
        Some(Edge::Jump)
    } else if a.min >= b.max {
        Some(Edge::Fallthrough)
    } else {
        None
    }
}

/// Narrows both operands to the pairs that take an edge.
///
/// # Errors
/// [`Contradiction`] if none is left; the operands are then meaningless.
pub fn refine(
    op: JmpOp,
    width: Width,
    edge: Edge,
    dst: &mut Scalar,
    src: &mut Scalar,
) -> Result<(), Contradiction> {
    narrow(op, width, edge, dst, src)?;
    *dst = dst.synced();
    *src = src.synced();
    if dst.is_empty() || src.is_empty() { Err(Contradiction) } else { Ok(()) }
}

/// As [`refine`], where both operands are the same register.
///
/// # Errors
/// [`Contradiction`] if no number takes the edge.
// SOUND: what is learned of either operand holds of the one number that is both.
pub fn refine_same(
    op: JmpOp,
    width: Width,
    edge: Edge,
    num: &mut Scalar,
) -> Result<(), Contradiction> {
    let mut other = *num;
    narrow(op, width, edge, num, &mut other)?;
    let both = Scalar {
        var_off: num.var_off,
        u64: num.u64.intersect(other.u64),
        s64: num.s64.intersect(other.s64),
        u32: num.u32.intersect(other.u32),
        s32: num.s32.intersect(other.s32),
    };
    // Once for each operand, as the kernel does.
    *num = both.synced().synced();
    if num.is_empty() { Err(Contradiction) } else { Ok(()) }
}

/// What the edge says of each operand by itself.
fn narrow(
    op: JmpOp,
    width: Width,
    edge: Edge,
    dst: &mut Scalar,
    src: &mut Scalar,
) -> Result<(), Contradiction> {
    match (op, edge) {
        (JmpOp::Eq, Edge::Jump) | (JmpOp::Ne, Edge::Fallthrough) => {
            if !bits_at(dst, width).overlaps(bits_at(src, width)) {
                return Err(Contradiction);
            }
            make_equal(width, dst, src);
        }
        (JmpOp::Eq, Edge::Fallthrough) | (JmpOp::Ne, Edge::Jump) => {
            if let Some(v) = src.const_at(width) {
                exclude(width, dst, v);
            } else if let Some(v) = dst.const_at(width) {
                exclude(width, src, v);
            }
        }
        (JmpOp::Set, edge) => {
            if let Some(mask) = src.const_at(width) {
                learn_mask(width, edge, dst, mask)?;
            } else if let Some(mask) = dst.const_at(width) {
                learn_mask(width, edge, src, mask)?;
            }
        }
        (JmpOp::Lt, Edge::Jump) | (JmpOp::Ge, Edge::Fallthrough) => below(width, dst, src)?,
        (JmpOp::Gt, Edge::Jump) | (JmpOp::Le, Edge::Fallthrough) => below(width, src, dst)?,
        (JmpOp::Le, Edge::Jump) | (JmpOp::Gt, Edge::Fallthrough) => at_most(width, dst, src),
        (JmpOp::Ge, Edge::Jump) | (JmpOp::Lt, Edge::Fallthrough) => at_most(width, src, dst),
        (JmpOp::Slt, Edge::Jump) | (JmpOp::Sge, Edge::Fallthrough) => sbelow(width, dst, src)?,
        (JmpOp::Sgt, Edge::Jump) | (JmpOp::Sle, Edge::Fallthrough) => sbelow(width, src, dst)?,
        (JmpOp::Sle, Edge::Jump) | (JmpOp::Sgt, Edge::Fallthrough) => sat_most(width, dst, src),
        (JmpOp::Sge, Edge::Jump) | (JmpOp::Slt, Edge::Fallthrough) => sat_most(width, src, dst),
    }
    Ok(())
}

// SOUND: equal numbers lie in both sets, in every reading; at 32 bits only the low halves are equal.
fn make_equal(width: Width, a: &mut Scalar, b: &mut Scalar) {
    match width {
        Width::W64 => {
            let both = Scalar {
                var_off: a.var_off.intersect(b.var_off),
                u64: a.u64.intersect(b.u64),
                s64: a.s64.intersect(b.s64),
                ..*a
            };
            *b = Scalar { u32: b.u32, s32: b.s32, ..both };
            *a = both;
        }
        Width::W32 => {
            let low = a.var_off.subreg().intersect(b.var_off.subreg());
            let (u32, s32) = (a.u32.intersect(b.u32), a.s32.intersect(b.s32));
            *a = Scalar { var_off: a.var_off.with_subreg(low), u32, s32, ..*a };
            *b = Scalar { var_off: b.var_off.with_subreg(low), u32, s32, ..*b };
        }
    }
}

// SOUND: see `Range::trim`; a number is excluded in each reading of the width at which it was compared.
fn exclude(width: Width, a: &mut Scalar, v: u64) {
    match width {
        Width::W64 => {
            a.u64 = a.u64.trim(v, 1);
            a.s64 = a.s64.trim(v as i64, 1);
        }
        Width::W32 => {
            a.u32 = a.u32.trim(v as u32, 1);
            a.s32 = a.s32.trim(v as i32, 1);
        }
    }
}

// SOUND: "some bit of the mask is set" names a bit only if the mask has one bit; "none is set" clears all
// of them. At 32 bits the mask is zero-extended, so the upper half is not touched.
//
// On the fallthrough edge the kernel forgets the intervals and keeps what the bits tell (6.18.44 log);
// so does this, so that both know the same.
fn learn_mask(width: Width, edge: Edge, a: &mut Scalar, mask: u64) -> Result<(), Contradiction> {
    let bits = bits_at(a, width);
    let learned = match edge {
        Edge::Jump if bits.max() & mask == 0 => return Err(Contradiction),
        Edge::Jump if mask.is_power_of_two() => bits.or(Tnum::constant(mask)),
        Edge::Jump => return Ok(()),
        Edge::Fallthrough if bits.min() & mask != 0 => return Err(Contradiction),
        Edge::Fallthrough => bits.and(Tnum::constant(!mask)),
    };
    let var_off = match width {
        Width::W32 => a.var_off.with_subreg(learned),
        Width::W64 => learned,
    };
    *a = match edge {
        Edge::Jump => Scalar { var_off, ..*a },
        Edge::Fallthrough => Scalar { var_off, ..Scalar::UNKNOWN },
    };
    Ok(())
}

// SOUND: `a < b` keeps of `a` what is below the largest `b`, and of `b` what is above the smallest `a`; there is
// nothing below the type's smallest number and nothing above its largest.
fn order_strictly<T: Int>(a: &mut Range<T>, b: &mut Range<T>, one: T) -> Result<(), Contradiction> {
    let ((top, no_top), (bottom, no_bottom)) = (b.max.sub_wrap(one), a.min.add_wrap(one));
    if no_top || no_bottom {
        return Err(Contradiction);
    }
    a.max = a.max.min(top);
    b.min = b.min.max(bottom);
    Ok(())
}

// SOUND: `a <= b` keeps of `a` what is not above the largest `b`, and of `b` what is not below the smallest `a`.
fn order<T: Int>(a: &mut Range<T>, b: &mut Range<T>) {
    a.max = a.max.min(b.max);
    b.min = b.min.max(a.min);
}

fn below(width: Width, a: &mut Scalar, b: &mut Scalar) -> Result<(), Contradiction> {
    match width {
        Width::W32 => order_strictly(&mut a.u32, &mut b.u32, 1),
        Width::W64 => order_strictly(&mut a.u64, &mut b.u64, 1),
    }
}

fn sbelow(width: Width, a: &mut Scalar, b: &mut Scalar) -> Result<(), Contradiction> {
    match width {
        Width::W32 => order_strictly(&mut a.s32, &mut b.s32, 1),
        Width::W64 => order_strictly(&mut a.s64, &mut b.s64, 1),
    }
}

fn at_most(width: Width, a: &mut Scalar, b: &mut Scalar) {
    match width {
        Width::W32 => order(&mut a.u32, &mut b.u32),
        Width::W64 => order(&mut a.u64, &mut b.u64),
    }
}

fn sat_most(width: Width, a: &mut Scalar, b: &mut Scalar) {
    match width {
        Width::W32 => order(&mut a.s32, &mut b.s32),
        Width::W64 => order(&mut a.s64, &mut b.s64),
    }
}
