//! [`Range`]: an inclusive interval of one machine integer type, signed or unsigned, 32 or 64 bits.
//!
//! A range whose `min` is above its `max` is empty; only refinement makes such ones, and only for
//! branches that cannot happen. Neighbour: `scalar` keeps four of them for one value.
#![expect(
    clippy::should_implement_trait,
    reason = "set operations under the names of the BPF operations that they model"
)]

/// An integer type that an interval can be of.
pub trait Int: Copy + Ord + core::fmt::Debug {
    /// Smallest number.
    const MIN: Self;
    /// Largest number.
    const MAX: Self;
    /// Sum modulo 2^bits, and whether it wrapped.
    fn add_wrap(self, other: Self) -> (Self, bool);
    /// Difference modulo 2^bits, and whether it wrapped.
    fn sub_wrap(self, other: Self) -> (Self, bool);
    /// Product, if it fits.
    fn mul_fit(self, other: Self) -> Option<Self>;
}

macro_rules! ints {
    ($($t:ty)*) => {$(
        impl Int for $t {
            const MIN: $t = <$t>::MIN;
            const MAX: $t = <$t>::MAX;
            fn add_wrap(self, other: $t) -> ($t, bool) { self.overflowing_add(other) }
            fn sub_wrap(self, other: $t) -> ($t, bool) { self.overflowing_sub(other) }
            fn mul_fit(self, other: $t) -> Option<$t> { self.checked_mul(other) }
        }
    )*};
}
ints!(u64 i64 u32 i32);

/// The numbers from `min` to `max`, both included; none if `min > max`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range<T> {
    /// Smallest member.
    pub min: T,
    /// Largest member.
    pub max: T,
}

impl<T: Int> Range<T> {
    /// Every number of the type.
    pub const FULL: Range<T> = Range { min: T::MIN, max: T::MAX };

    /// No number.
    pub const EMPTY: Range<T> = Range { min: T::MAX, max: T::MIN };

    /// From `min` to `max`, both included.
    pub const fn new(min: T, max: T) -> Range<T> {
        Range { min, max }
    }

    /// One number.
    pub const fn constant(v: T) -> Range<T> {
        Range { min: v, max: v }
    }

    /// From the smaller of two numbers to the larger.
    pub fn spanning(a: T, b: T) -> Range<T> {
        Range { min: a.min(b), max: a.max(b) }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.min > self.max
    }

    /// The only member, if there is only one.
    pub fn const_value(&self) -> Option<T> {
        (self.min == self.max).then_some(self.min)
    }

    /// Whether `v` is a member.
    pub fn contains(&self, v: T) -> bool {
        self.min <= v && v <= self.max
    }

    /// Whether every member of `self` is one of `other`.
    pub fn is_subset_of(&self, other: &Range<T>) -> bool {
        other.min <= self.min && self.max <= other.max
    }

    /// Whether some number is a member of both.
    pub fn overlaps(&self, other: &Range<T>) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// The members of both.
    #[must_use]
    pub fn intersect(self, other: Range<T>) -> Range<T> {
        Range { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// `self` without `v`, if `v` is one of its ends; `self` otherwise.
    // SOUND: an interval cannot have a hole, so only an end can be cut off. Where the end cannot move (it
    // is the type's limit) the range becomes empty, which is what removing its only member means.
    #[must_use]
    pub fn trim(self, v: T, one: T) -> Range<T> {
        if self.const_value() == Some(v) {
            return Range::EMPTY;
        }
        let min = if self.min == v { self.min.add_wrap(one).0 } else { self.min };
        let max = if self.max == v { self.max.sub_wrap(one).0 } else { self.max };
        Range { min, max }
    }

    /// Products of a member of each, or everything if one of them does not fit.
    // SOUND: over a box of two intervals a product takes its extremes at corners, and it can leave the
    // type only if it does so at a corner.
    #[must_use]
    pub fn mul(self, other: Range<T>) -> Range<T> {
        let corners = [
            self.min.mul_fit(other.min),
            self.min.mul_fit(other.max),
            self.max.mul_fit(other.min),
            self.max.mul_fit(other.max),
        ];
        let [Some(a), Some(b), Some(c), Some(d)] = corners else { return Range::FULL };
        Range { min: a.min(b).min(c).min(d), max: a.max(b).max(c).max(d) }
    }
}

macro_rules! unsigned_arithmetic {
    ($($t:ty)*) => {$(
        impl Range<$t> {
            /// Sums of a member of each, modulo 2^bits.
            // SOUND: the exact sums are an interval. If both of its ends wrap, all sums wrap once and stay an
            // interval; if only the upper one does, the set has two pieces and nothing is kept.
            #[must_use]
            pub fn add(self, other: Range<$t>) -> Range<$t> {
                let ((min, min_wraps), (max, max_wraps)) =
                    (self.min.add_wrap(other.min), self.max.add_wrap(other.max));
                if min_wraps == max_wraps { Range { min, max } } else { Range::FULL }
            }

            /// Differences of a member of each, modulo 2^bits.
            // SOUND: as for sums.
            #[must_use]
            pub fn sub(self, other: Range<$t>) -> Range<$t> {
                let ((min, min_wraps), (max, max_wraps)) =
                    (self.min.sub_wrap(other.max), self.max.sub_wrap(other.min));
                if min_wraps == max_wraps { Range { min, max } } else { Range::FULL }
            }

            /// Members shifted left by a known count, or everything if one could go beyond the top bit.
            // SOUND: a shift that loses no bit is a product with a power of two. Like the kernel, this gives up
            // when a member could exceed 2^(bits-1).
            #[must_use]
            pub fn lshift(self, count: u32) -> Range<$t> {
                match (<$t>::BITS - 1).checked_sub(count) {
                    Some(room) if self.max <= 1 << room => {
                        Range { min: self.min << count, max: self.max << count }
                    }
                    Some(_) | None => Range::FULL,
                }
            }

            /// Members shifted right by a known count.
            // SOUND: shifting right keeps the order.
            #[must_use]
            pub fn rshift(self, count: u32) -> Range<$t> {
                Range { min: self.min.wrapping_shr(count), max: self.max.wrapping_shr(count) }
            }
        }
    )*};
}
unsigned_arithmetic!(u64 u32);

macro_rules! signed_arithmetic {
    ($($t:ty)*) => {$(
        impl Range<$t> {
            /// Sums of a member of each, or everything if an end overflows.
            // SOUND: the exact sums lie between the sums of the ends.
            #[must_use]
            pub fn add(self, other: Range<$t>) -> Range<$t> {
                match (self.min.checked_add(other.min), self.max.checked_add(other.max)) {
                    (Some(min), Some(max)) => Range { min, max },
                    (None, _) | (_, None) => Range::FULL,
                }
            }

            /// Differences of a member of each, or everything if an end overflows.
            // SOUND: as for sums.
            #[must_use]
            pub fn sub(self, other: Range<$t>) -> Range<$t> {
                match (self.min.checked_sub(other.max), self.max.checked_sub(other.min)) {
                    (Some(min), Some(max)) => Range { min, max },
                    (None, _) | (_, None) => Range::FULL,
                }
            }

            /// Members shifted right by a known count, sign copied.
            // SOUND: shifting right keeps the order.
            #[must_use]
            pub fn rshift(self, count: u32) -> Range<$t> {
                Range { min: self.min.wrapping_shr(count), max: self.max.wrapping_shr(count) }
            }
        }
    )*};
}
signed_arithmetic!(i64 i32);

macro_rules! reinterpret {
    ($($u:ty, $s:ty;)*) => {$(
        impl Range<$u> {
            /// The same bit patterns read as signed, where they are still one interval.
            // SOUND: the reading keeps the order on either side of the sign change, and a range whose ends keep
            // their order does not cross it.
            pub fn as_signed(self) -> Option<Range<$s>> {
                let r = Range { min: self.min as $s, max: self.max as $s };
                (!r.is_empty()).then_some(r)
            }

            /// Lets the two readings of one number sharpen each other.
            // SOUND: where a range can be read the other way, both readings hold. A signed interval that cannot
            // crosses zero: it is two unsigned pieces, from 0 up to its end and from its start up
            // to the type's limit. If the unsigned interval misses one piece, all numbers are in the other,
            // where the readings agree.
            pub fn reconcile(
                mut unsigned: Range<$u>,
                mut signed: Range<$s>,
            ) -> (Range<$u>, Range<$s>) {
                if let Some(r) = unsigned.as_signed() {
                    signed = signed.intersect(r);
                }
                if let Some(r) = signed.as_unsigned() {
                    return (unsigned.intersect(r), signed);
                }
                let (low_end, high_start) = (signed.max as $u, signed.min as $u);
                if unsigned.max < high_start {
                    signed.min = signed.min.max(unsigned.min as $s);
                    unsigned.max = unsigned.max.min(low_end);
                } else if low_end < unsigned.min {
                    signed.max = signed.max.min(unsigned.max as $s);
                    unsigned.min = unsigned.min.max(high_start);
                }
                (unsigned, signed)
            }
        }

        impl Range<$s> {
            /// The same bit patterns read as unsigned, where they are still one interval.
            // SOUND: as for `as_signed`.
            pub fn as_unsigned(self) -> Option<Range<$u>> {
                let r = Range { min: self.min as $u, max: self.max as $u };
                (!r.is_empty()).then_some(r)
            }
        }
    )*};
}
reinterpret!(u64, i64; u32, i32;);
