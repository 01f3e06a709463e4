//! [`Scalar`]: all that is known of one 64-bit number, and how its parts sharpen each other.
//!
//! Kernel counterpart: the scalar part of `struct bpf_reg_state` and `reg_bounds_sync` of
//! `kernel/bpf/verifier.c`. Neighbours: `alu` and `branch` compute with it, `log` prints it.

use skep_abi::insn::{Size, Width};

use super::range::Range;
use super::tnum::Tnum;

/// A set of 64-bit numbers: those that every part admits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scalar {
    /// Bit by bit (`var_off`).
    pub var_off: Tnum,
    /// Unsigned (`umin_value`, `umax_value`).
    pub u64: Range<u64>,
    /// Signed (`smin_value`, `smax_value`).
    pub s64: Range<i64>,
    /// Low half, unsigned (`u32_min_value`, `u32_max_value`).
    pub u32: Range<u32>,
    /// Low half, signed (`s32_min_value`, `s32_max_value`).
    pub s32: Range<i32>,
}

impl Scalar {
    /// Any number.
    pub const UNKNOWN: Scalar = Scalar {
        var_off: Tnum::UNKNOWN,
        u64: Range::FULL,
        s64: Range::FULL,
        u32: Range::FULL,
        s32: Range::FULL,
    };

    /// Zero.
    pub const ZERO: Scalar = Scalar::constant(0);

    /// One number.
    pub const fn constant(v: u64) -> Scalar {
        Scalar {
            var_off: Tnum::constant(v),
            u64: Range::constant(v),
            s64: Range::constant(v as i64),
            u32: Range::constant(v as u32),
            s32: Range::constant(v as i32),
        }
    }

    /// An immediate operand, sign-extended.
    pub const fn imm(v: i32) -> Scalar {
        Scalar::constant(v as i64 as u64)
    }

    /// What a zero-extending load of `size` can give.
    pub fn loaded(size: Size) -> Scalar {
        Scalar::UNKNOWN.truncate(size)
    }

    /// What a sign-extending load of `size` can give.
    pub fn loaded_sx(size: Size) -> Scalar {
        Scalar::UNKNOWN.sign_extend(size, Width::W64)
    }

    /// The numbers of an unsigned interval.
    pub fn from_u64(r: Range<u64>) -> Scalar {
        Scalar { u64: r, ..Scalar::UNKNOWN }.synced()
    }

    /// The numbers of a signed interval.
    pub fn from_s64(r: Range<i64>) -> Scalar {
        Scalar { s64: r, ..Scalar::UNKNOWN }.synced()
    }

    /// The numbers that a tnum admits.
    pub fn from_tnum(t: Tnum) -> Scalar {
        Scalar { var_off: t, ..Scalar::UNKNOWN }.synced()
    }

    /// The only number, if the bits are all known (`tnum_is_const(reg->var_off)`).
    pub const fn const_value(&self) -> Option<u64> {
        self.var_off.const_value()
    }

    /// The only value of the low half, if its bits are all known.
    pub const fn const_subreg(&self) -> Option<u32> {
        match self.var_off.subreg().const_value() {
            Some(v) => Some(v as u32),
            None => None,
        }
    }

    /// The only value at a width, zero-extended (`is_reg_const`, `reg_const_value`).
    pub const fn const_at(&self, width: Width) -> Option<u64> {
        match width {
            Width::W32 => self.var_off.subreg().const_value(),
            Width::W64 => self.const_value(),
        }
    }

    /// Whether nothing at all is known.
    pub fn is_unknown(&self) -> bool {
        *self == Scalar::UNKNOWN
    }

    /// Smallest number, unsigned.
    pub const fn umin(&self) -> u64 {
        self.u64.min
    }

    /// Largest number, unsigned.
    pub const fn umax(&self) -> u64 {
        self.u64.max
    }

    /// Smallest number, signed.
    pub const fn smin(&self) -> i64 {
        self.s64.min
    }

    /// Largest number, signed.
    pub const fn smax(&self) -> i64 {
        self.s64.max
    }

    /// Whether `v` is one of the numbers.
    pub fn contains(&self, v: u64) -> bool {
        self.var_off.contains(v)
            && self.u64.contains(v)
            && self.s64.contains(v as i64)
            && self.u32.contains(v as u32)
            && self.s32.contains(v as i32)
    }

    /// Whether some part admits nothing: no number is left.
    pub fn is_empty(&self) -> bool {
        self.u64.is_empty() || self.s64.is_empty() || self.u32.is_empty() || self.s32.is_empty()
    }

    /// Whether each part lies within that of `old` (`range_within` and `tnum_in`).
    // SOUND: then every number of `self` is one of `old`, so what was proved for `old` holds for `self`.
    pub fn is_subset_of(&self, old: &Scalar) -> bool {
        self.var_off.is_subset_of(old.var_off)
            && self.u64.is_subset_of(&old.u64)
            && self.s64.is_subset_of(&old.s64)
            && self.u32.is_subset_of(&old.u32)
            && self.s32.is_subset_of(&old.s32)
    }

    /// Lets each part sharpen the others (`reg_bounds_sync`).
    ///
    /// The order and the number of rounds are those of Linux 6.18: one more would at times know more
    /// than the kernel does, and the log would differ.
    // SOUND: every step gives a part what other parts imply for it, so no number that all parts admit is lost.
    #[must_use]
    pub fn synced(mut self) -> Scalar {
        self.learn_from_bits();
        for _ in 0..3 {
            self.learn_low_from_wide();
            (self.u32, self.s32) = Range::<u32>::reconcile(self.u32, self.s32);
            (self.u64, self.s64) = Range::<u64>::reconcile(self.u64, self.s64);
            self.learn_wide_from_low();
        }
        self.learn_bits();
        self.learn_from_bits();
        self
    }

    /// Intervals from the tnum; if it has only one member within the unsigned one, everything.
    // SOUND: a tnum's extremes are all unknown bits clear and all set; for the signed reading the unknown
    // sign bit counts the other way round.
    fn learn_from_bits(&mut self) {
        let t = self.var_off;
        let sign = t.mask & (1 << 63);
        self.u64 = self.u64.intersect(Range::new(t.min(), t.max()));
        self.s64 =
            self.s64.intersect(Range::new((t.value | sign) as i64, (t.max() & !sign) as i64));
        let t = t.subreg();
        let sign = t.mask & (1 << 31);
        self.u32 = self.u32.intersect(Range::new(t.min() as u32, t.max() as u32));
        self.s32 =
            self.s32.intersect(Range::new((t.value | sign) as i32, (t.max() & !sign) as i32));
        if let Some(v) = self.var_off.only_member_in(self.u64.min, self.u64.max)
            && self.contains(v)
        {
            *self = Scalar::constant(v);
        }
    }

    /// Low half from the 64-bit intervals.
    // SOUND: while the upper half does not change from `min` to `max`, the lower halves run from that of `min`
    // to that of `max`. If the upper half changes once, they run up to the unsigned end and on from
    // 0, which in the signed reading is one interval from a negative number to one that is not.
    fn learn_low_from_wide(&mut self) {
        for (min, max) in [(self.u64.min, self.u64.max), (self.s64.min as u64, self.s64.max as u64)]
        {
            let (low_min, low_max) = (min as u32, max as u32);
            let low = Range::new(low_min as i32, low_max as i32);
            let steps = ((max >> 32) as u32).wrapping_sub((min >> 32) as u32);
            if steps == 0 && low_min <= low_max {
                self.u32 = self.u32.intersect(Range::new(low_min, low_max));
            }
            let crosses_to_next = steps == 1 && low.min < 0 && low.max >= 0;
            if crosses_to_next || (steps == 0 && !low.is_empty()) {
                self.s32 = self.s32.intersect(low);
            }
        }
    }

    /// 64-bit intervals from the low half.
    // SOUND: with the upper half of the bound, no number on its side of the bound has a lower half below
    // `u32.min` (or above `u32.max`); with an upper half further inside, the number is further inside
    // too. For a signed 32-bit value that is not negative, the 64-bit number is that value.
    fn learn_wide_from_low(&mut self) {
        let above = |bound: u64| (bound & !0xffff_ffff) | u64::from(self.u32.min);
        let below = |bound: u64| (bound & !0xffff_ffff) | u64::from(self.u32.max);
        self.u64 = self.u64.intersect(Range::new(above(self.u64.min), below(self.u64.max)));
        self.s64 = self.s64.intersect(Range::new(
            above(self.s64.min as u64) as i64,
            below(self.s64.max as u64) as i64,
        ));
        let is_small = self.s64.min >= i64::from(i32::MIN) && self.s64.max <= i64::from(i32::MAX);
        // The kernel takes the 32-bit bounds over even where a 64-bit one was tighter; so does this, since
        // programs are refused over the difference.
        if is_small && self.s32.min >= 0 {
            let (min, max) = (self.s32.min as u64, self.s32.max.max(0) as u64);
            self.s64 = Range::new(min as i64, max as i64);
            self.u64 = Range::new(min, max);
        }
    }

    /// The tnum from the intervals.
    // SOUND: see `Tnum::range`. Where the two know opposite bits, no number is left, and the range says so.
    fn learn_bits(&mut self) {
        let wide = Tnum::range(self.u64.min, self.u64.max);
        let low = Tnum::range(u64::from(self.u32.min), u64::from(self.u32.max));
        if !self.var_off.overlaps(wide) || !self.var_off.subreg().overlaps(low) {
            self.u64 = Range::EMPTY;
            return;
        }
        let wide = self.var_off.intersect(wide);
        self.var_off = wide.with_subreg(wide.subreg().intersect(low));
    }
}
