//! [`Tnum`]: what is known of each single bit of a value ("tristate number").
//!
//! Kernel counterpart: `struct tnum` of `include/linux/tnum.h`. Neighbour: [`super::scalar`] keeps a
//! tnum next to the intervals of [`super::range`] and lets each sharpen the other.
#![expect(
    clippy::should_implement_trait,
    reason = "set operations under the names of the BPF operations that they model"
)]

use core::fmt;

/// A set of 64-bit values given bit by bit: a bit set in `mask` is unknown, any other bit is as in `value`.
///
/// `value & mask` is 0 in every tnum that this module makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tnum {
    /// The known bits.
    pub value: u64,
    /// The unknown bits.
    pub mask: u64,
}

impl Tnum {
    /// Every value.
    pub const UNKNOWN: Tnum = Tnum { value: 0, mask: u64::MAX };

    /// Exactly one value.
    pub const fn constant(value: u64) -> Tnum {
        Tnum { value, mask: 0 }
    }

    /// The smallest tnum that holds every value from `min` to `max` (unsigned, inclusive).
    // SOUND: all values between two numbers share the prefix that the two share; below the first bit in
    // which they differ, everything may occur.
    pub const fn range(min: u64, max: u64) -> Tnum {
        let unknown_bits = u64::BITS - (min ^ max).leading_zeros();
        let mask = low_bits(unknown_bits);
        Tnum { value: min & !mask, mask }
    }

    /// Whether exactly one value is left.
    pub const fn is_const(self) -> bool {
        self.mask == 0
    }

    /// The only value, if there is only one.
    pub const fn const_value(self) -> Option<u64> {
        if self.is_const() { Some(self.value) } else { None }
    }

    /// Whether nothing is known.
    pub const fn is_unknown(self) -> bool {
        self.mask == u64::MAX
    }

    /// The smallest member, unsigned.
    pub const fn min(self) -> u64 {
        self.value
    }

    /// The largest member, unsigned.
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    /// Whether `v` is a member.
    pub const fn contains(self, v: u64) -> bool {
        (v ^ self.value) & !self.mask == 0
    }

    /// The smallest member that is not below `min`, if there is one.
    pub const fn first_from(self, min: u64) -> Option<u64> {
        let wrong = (min ^ self.value) & !self.mask;
        if wrong == 0 {
            return Some(min);
        }
        // Up to the highest known bit in which `min` is no member it can stay. If that bit must be 1, setting
        // it exceeds `min` already; if it must be 0, the lowest unknown 0 above it has to become 1.
        let top = 1 << (63 - wrong.leading_zeros());
        let raised = if self.value & top != 0 {
            top
        } else {
            let candidates = self.mask & !min & !(top | (top - 1));
            candidates & candidates.wrapping_neg()
        };
        if raised == 0 {
            return None;
        }
        let kept = min & !(raised | (raised - 1));
        Some(kept | raised | (self.value & (raised - 1)))
    }

    /// The only member from `min` to `max`, if there is exactly one.
    pub const fn only_member_in(self, min: u64, max: u64) -> Option<u64> {
        let Some(first) = self.first_from(min) else { return None };
        if first > max {
            return None;
        }
        if first == max {
            return Some(first);
        }
        match self.first_from(first + 1) {
            Some(second) if second <= max => None,
            Some(_) | None => Some(first),
        }
    }

    /// Whether every member of `self` is one of `other` (`tnum_in`).
    pub const fn is_subset_of(self, other: Tnum) -> bool {
        self.mask & !other.mask == 0 && other.contains(self.value)
    }

    /// Whether some value is a member of both (`tnum_overlap`).
    // SOUND: the two exclude each other only by a bit that both know and differ in.
    pub const fn overlaps(self, other: Tnum) -> bool {
        (self.value ^ other.value) & !(self.mask | other.mask) == 0
    }

    /// Whether every member is a multiple of `align`, a power of two (0 counts as 1).
    pub const fn is_aligned(self, align: u64) -> bool {
        self.max() & align.saturating_sub(1) == 0
    }

    /// The members of both. Meaningful only if the two overlap.
    pub const fn intersect(self, other: Tnum) -> Tnum {
        let mask = self.mask & other.mask;
        Tnum { value: (self.value | other.value) & !mask, mask }
    }

    /// The smallest tnum that holds the members of both (`tnum_union`).
    // SOUND: a bit stays known only where both know it and agree.
    pub const fn union(self, other: Tnum) -> Tnum {
        let mask = self.mask | other.mask | (self.value ^ other.value);
        Tnum { value: self.value & !mask, mask }
    }

    /// Sum modulo 2^64.
    // SOUND: a sum's bit depends on the two operand bits and the carry into it. Carries grow with the
    // operands, so a carry is the same for all members if it is the same for the sum of the two
    // smallest and of the two largest members; where those sums agree and both operand bits are known, the bit is known.
    pub const fn add(self, other: Tnum) -> Tnum {
        let least = self.min().wrapping_add(other.min());
        let most = self.max().wrapping_add(other.max());
        let mask = (least ^ most) | self.mask | other.mask;
        Tnum { value: least & !mask, mask }
    }

    /// Difference modulo 2^64.
    // SOUND: as for sums, with borrows: they grow with the subtrahend and shrink with the minuend, so the
    // extremes are "largest minus smallest" and "smallest minus largest".
    pub const fn sub(self, other: Tnum) -> Tnum {
        let most = self.max().wrapping_sub(other.min());
        let least = self.min().wrapping_sub(other.max());
        let mask = (least ^ most) | self.mask | other.mask;
        Tnum { value: most & !mask, mask }
    }

    /// Negation modulo 2^64.
    pub const fn neg(self) -> Tnum {
        Tnum::constant(0).sub(self)
    }

    /// Bitwise and.
    // SOUND: a bit is 1 if it is 1 in both, 0 if it is 0 in one, unknown otherwise.
    pub const fn and(self, other: Tnum) -> Tnum {
        let ones = self.value & other.value;
        Tnum { value: ones, mask: self.max() & other.max() & !ones }
    }

    /// Bitwise or.
    // SOUND: a bit is 1 if it is 1 in one, 0 if it is 0 in both, unknown otherwise.
    pub const fn or(self, other: Tnum) -> Tnum {
        let ones = self.value | other.value;
        Tnum { value: ones, mask: (self.mask | other.mask) & !ones }
    }

    /// Bitwise exclusive or.
    // SOUND: a bit is known only if it is known in both.
    pub const fn xor(self, other: Tnum) -> Tnum {
        let mask = self.mask | other.mask;
        Tnum { value: (self.value ^ other.value) & !mask, mask }
    }

    /// Product modulo 2^64.
    // SOUND: long multiplication over the bits of `self`. A bit that is 1 adds the shifted `other`, one that is
    // 0 adds nothing, an unknown one does either, so the partial sum becomes the union of both outcomes.
    pub fn mul(self, other: Tnum) -> Tnum {
        let mut sum = Tnum::constant(0);
        for bit in 0..u64::BITS - self.max().leading_zeros() {
            let with = sum.add(other.lshift(bit));
            if (self.value >> bit) & 1 == 1 {
                sum = with;
            } else if (self.mask >> bit) & 1 == 1 {
                sum = sum.union(with);
            }
        }
        sum
    }

    /// Left shift by a known count below 64 (larger counts are taken modulo 64).
    pub const fn lshift(self, count: u32) -> Tnum {
        Tnum { value: self.value.wrapping_shl(count), mask: self.mask.wrapping_shl(count) }
    }

    /// Logical right shift by a known count below 64 (larger counts are taken modulo 64).
    pub const fn rshift(self, count: u32) -> Tnum {
        Tnum { value: self.value.wrapping_shr(count), mask: self.mask.wrapping_shr(count) }
    }

    /// Arithmetic right shift of the 64-bit value.
    // SOUND: the sign bit is copied down in value and mask alike, so copies of an unknown sign are unknown.
    pub const fn arshift64(self, count: u32) -> Tnum {
        Tnum {
            value: (self.value as i64).wrapping_shr(count) as u64,
            mask: (self.mask as i64).wrapping_shr(count) as u64,
        }
    }

    /// Arithmetic right shift of the low 32 bits, zero-extended.
    pub const fn arshift32(self, count: u32) -> Tnum {
        Tnum {
            value: (self.value as i32).wrapping_shr(count) as u32 as u64,
            mask: (self.mask as i32).wrapping_shr(count) as u32 as u64,
        }
    }

    /// The low `bytes` bytes (1, 2, 4 or 8), zero-extended.
    pub const fn cast(self, bytes: u32) -> Tnum {
        let keep = low_bits(bytes.saturating_mul(8));
        Tnum { value: self.value & keep, mask: self.mask & keep }
    }

    /// The low `bytes` bytes (1, 2, 4 or 8) in opposite order, zero-extended.
    // SOUND: bits only change places, known and unknown ones alike.
    pub const fn swap_bytes(self, bytes: u32) -> Tnum {
        let unused = 64 - if bytes > 8 { 64 } else { bytes * 8 };
        Tnum { value: self.value.swap_bytes(), mask: self.mask.swap_bytes() }.rshift(unused)
    }

    /// The low 32 bits, zero-extended.
    pub const fn subreg(self) -> Tnum {
        self.cast(4)
    }

    /// `self` with the low 32 bits replaced by those of `low`.
    pub const fn with_subreg(self, low: Tnum) -> Tnum {
        let low = low.subreg();
        let high = low_bits(32);
        Tnum { value: (self.value & !high) | low.value, mask: (self.mask & !high) | low.mask }
    }
}

/// The low `count` bits set; all of them from 64 on.
const fn low_bits(count: u32) -> u64 {
    if count >= u64::BITS { u64::MAX } else { (1 << count) - 1 }
}

/// As in the verifier log: `(0x0; 0xff)`.
impl fmt::Display for Tnum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:#x}; {:#x})", self.value, self.mask)
    }
}
