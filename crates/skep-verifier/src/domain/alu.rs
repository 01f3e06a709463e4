//! Arithmetic on [`Scalar`]s: every ALU operation at both widths, extensions, truncation, byte order.
//!
//! Kernel counterpart: `adjust_scalar_min_max_vals`, `coerce_reg_to_size` and its sign-extending
//! siblings. Where the kernel 6.18 gives up (division, modulo, shifts by an unknown count)
//! so does this, and each place says so.

use skep_abi::insn::{AluOp, EndianOp, Size, Width};

use super::range::Range;
use super::scalar::Scalar;
use super::tnum::Tnum;

impl Scalar {
    /// `self op= src` at a width; a 32-bit result is zero-extended. An immediate is [`Scalar::imm`].
    // SOUND: sums, differences, products and bitwise operations of the low halves depend on the low halves
    // only, so the 32-bit intervals follow the same rules as the 64-bit ones, and a 32-bit
    // operation is the 64-bit one cut to its low half.
    #[must_use]
    pub fn alu(&self, width: Width, op: AluOp, src: &Scalar) -> Scalar {
        let wide = match op {
            AluOp::Mov => *src,
            AluOp::Add => self.sum(src),
            AluOp::Sub => self.difference(src),
            AluOp::Mul => self.product(src),
            AluOp::And => self.bitand(src),
            AluOp::Or => self.bitor(src),
            AluOp::Xor => self.bitxor(src),
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => {
                let bits = match width {
                    Width::W32 => 32,
                    Width::W64 => 64,
                };
                // The engines mask the count; the kernel knows nothing of a shift by a count that is
                // not constant, or not below the width (for which it looks at all 64 bits).
                match src.const_at(width) {
                    Some(count) if src.umax() < bits => {
                        return self.shifted(width, op, count as u32);
                    }
                    Some(_) | None => return Scalar::UNKNOWN,
                }
            }
            // The kernel knows nothing of quotients and remainders, not even of constants.
            AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => return Scalar::UNKNOWN,
        };
        match width {
            Width::W64 => wide.synced(),
            Width::W32 => wide.zero_extend32(),
        }
    }

    /// `-self` at a width.
    #[must_use]
    pub fn neg(&self, width: Width) -> Scalar {
        Scalar::ZERO.alu(width, AluOp::Sub, self)
    }

    /// Byte order conversion; what is beyond `size` becomes zero.
    ///
    /// Conversion to the order that the machine has is a truncation and keeps intervals; a swap
    /// keeps only bits, as in the kernel.
    #[must_use]
    pub fn endian(&self, op: EndianOp, size: Size) -> Scalar {
        let swaps = match op {
            EndianOp::Swap => true,
            EndianOp::Le => cfg!(target_endian = "big"),
            EndianOp::Be => cfg!(target_endian = "little"),
        };
        if swaps {
            Scalar::from_tnum(self.var_off.swap_bytes(size.bytes()))
        } else {
            self.truncate(size)
        }
    }

    /// For a number that is -1 or 0 (what `s>>=` by all but one bit leaves): the number as -1 and as 0.
    ///
    /// The kernel 6.18 follows both before an `&=` or `|=` with a constant (`maybe_fork_scalars`): it goes on with
    /// the first and keeps the second for later, at the same instruction.
    // SOUND: the two are all that the number can be; at 32 bits the same holds of the low half.
    #[must_use]
    pub fn split_sign_mask(&self) -> Option<(Scalar, Scalar)> {
        if self.s64 == Range::new(-1, 0) {
            Some((Scalar::constant(u64::MAX), Scalar::ZERO))
        } else if self.s32 == Range::new(-1, 0) {
            Some((self.with_low_known(u32::MAX), self.with_low_known(0)))
        } else {
            None
        }
    }

    fn with_low_known(&self, low: u32) -> Scalar {
        Scalar {
            var_off: self.var_off.with_subreg(Tnum::constant(low.into())),
            u32: Range::constant(low),
            s32: Range::constant(low as i32),
            ..*self
        }
    }

    fn sum(&self, src: &Scalar) -> Scalar {
        Scalar {
            var_off: self.var_off.add(src.var_off),
            u64: self.u64.add(src.u64),
            s64: self.s64.add(src.s64),
            u32: self.u32.add(src.u32),
            s32: self.s32.add(src.s32),
        }
    }

    fn difference(&self, src: &Scalar) -> Scalar {
        Scalar {
            var_off: self.var_off.sub(src.var_off),
            u64: self.u64.sub(src.u64),
            s64: self.s64.sub(src.s64),
            u32: self.u32.sub(src.u32),
            s32: self.s32.sub(src.s32),
        }
    }

    fn product(&self, src: &Scalar) -> Scalar {
        Scalar {
            var_off: self.var_off.mul(src.var_off),
            u64: self.u64.mul(src.u64),
            s64: self.s64.mul(src.s64),
            u32: self.u32.mul(src.u32),
            s32: self.s32.mul(src.s32),
        }
    }

    // SOUND: a conjunction has at least its known ones and is at most the smaller operand.
    fn bitand(&self, src: &Scalar) -> Scalar {
        let bits = self.var_off.and(src.var_off);
        Scalar::from_bits_and_unsigned(
            bits,
            Range::new(bits.min(), self.u64.max.min(src.u64.max)),
            Range::new(bits.min() as u32, self.u32.max.min(src.u32.max)),
        )
    }

    // SOUND: a disjunction is at least the larger operand and at most all that may be set.
    fn bitor(&self, src: &Scalar) -> Scalar {
        let bits = self.var_off.or(src.var_off);
        Scalar::from_bits_and_unsigned(
            bits,
            Range::new(self.u64.min.max(src.u64.min), bits.max()),
            Range::new(self.u32.min.max(src.u32.min), bits.max() as u32),
        )
    }

    fn bitxor(&self, src: &Scalar) -> Scalar {
        let bits = self.var_off.xor(src.var_off);
        Scalar::from_bits_and_unsigned(
            bits,
            Range::new(bits.min(), bits.max()),
            Range::new(bits.min() as u32, bits.max() as u32),
        )
    }

    /// The signed intervals follow from the unsigned ones where those do not cross the sign change.
    fn from_bits_and_unsigned(bits: Tnum, u64: Range<u64>, u32: Range<u32>) -> Scalar {
        Scalar {
            var_off: bits,
            u64,
            s64: u64.as_signed().unwrap_or(Range::FULL),
            u32,
            s32: u32.as_signed().unwrap_or(Range::FULL),
        }
    }

    /// Shift by a constant below the width.
    fn shifted(&self, width: Width, op: AluOp, count: u32) -> Scalar {
        match (width, op) {
            (Width::W64, AluOp::Lsh) => Scalar {
                var_off: self.var_off.lshift(count),
                u64: self.u64.lshift(count),
                s64: self.shifted_to_top(count),
                u32: self.u32.lshift(count),
                s32: Range::FULL,
            }
            .synced(),
            (Width::W64, AluOp::Rsh) => Scalar {
                var_off: self.var_off.rshift(count),
                u64: self.u64.rshift(count),
                ..Scalar::UNKNOWN
            }
            .synced(),
            (Width::W64, _) => Scalar {
                var_off: self.var_off.arshift64(count),
                s64: self.s64.rshift(count),
                ..Scalar::UNKNOWN
            }
            .synced(),
            (Width::W32, AluOp::Lsh) => Scalar {
                var_off: self.var_off.lshift(count),
                u32: self.u32.lshift(count),
                ..Scalar::UNKNOWN
            }
            .low_first(),
            (Width::W32, AluOp::Rsh) => Scalar {
                var_off: self.var_off.subreg().rshift(count),
                u32: self.u32.rshift(count),
                ..Scalar::UNKNOWN
            }
            .low_first(),
            (Width::W32, _) => Scalar {
                var_off: self.var_off.arshift32(count),
                s32: self.s32.rshift(count),
                ..Scalar::UNKNOWN
            }
            .low_first(),
        }
    }

    /// Signed interval after `<<= 32`, the first half of the usual sign extension of a low half.
    // SOUND: the low half becomes the upper one with its sign in place; nothing of it is lost.
    fn shifted_to_top(&self, count: u32) -> Range<i64> {
        if count == 32 {
            Range::new(i64::from(self.s32.min) << 32, i64::from(self.s32.max) << 32)
        } else {
            Range::FULL
        }
    }

    /// Zero-extension after the low half's bits have sharpened its intervals.
    fn low_first(mut self) -> Scalar {
        let bits = self.var_off.subreg();
        let sign = bits.mask & (1 << 31);
        self.u32 = self.u32.intersect(Range::new(bits.min() as u32, bits.max() as u32));
        self.s32 =
            self.s32.intersect(Range::new((bits.value | sign) as i32, (bits.max() & !sign) as i32));
        self.zero_extend32()
    }

    /// The low half, zero-extended (what any 32-bit operation leaves).
    // SOUND: the number becomes its unsigned low half, which never looks negative in 64 bits.
    #[must_use]
    pub fn zero_extend32(&self) -> Scalar {
        let (min, max) = (u64::from(self.u32.min), u64::from(self.u32.max));
        let s64 = if self.s32.min >= 0 {
            Range::new(i64::from(self.s32.min), i64::from(self.s32.max))
        } else {
            Range::new(0, i64::from(u32::MAX))
        };
        Scalar { var_off: self.var_off.subreg(), u64: Range::new(min, max), s64, ..*self }.synced()
    }

    /// The low bytes, zero-extended, as a narrower load of the number gives them (`coerce_reg_to_size`).
    // SOUND: the low parts of an interval are an interval if the part above does not change within it.
    #[must_use]
    pub fn truncate(&self, size: Size) -> Scalar {
        let keep = match size {
            Size::B => 0xff,
            Size::H => 0xffff,
            Size::W => 0xffff_ffff,
            Size::DW => return *self,
        };
        let u64 = if self.u64.min & !keep == self.u64.max & !keep {
            Range::new(self.u64.min & keep, self.u64.max & keep)
        } else {
            Range::new(0, keep)
        };
        let (u32, s32) = match size {
            Size::B | Size::H => (Range::FULL, Range::FULL),
            Size::W | Size::DW => (self.u32, self.s32),
        };
        Scalar {
            var_off: self.var_off.cast(size.bytes()),
            u64,
            s64: Range::new(u64.min as i64, u64.max as i64),
            u32,
            s32,
        }
        .synced()
    }

    /// The low bytes, sign-extended to a width (`movsx`, sign-extending loads); above the width zero.
    // SOUND: the low parts of a signed interval are an interval if the part above does not change within it;
    // extended they still are one if their sign is the same at both ends.
    #[must_use]
    pub fn sign_extend(&self, from: Size, to: Width) -> Scalar {
        let gap = 64 - from.bits();
        let extend = |v: i64| v.wrapping_shl(gap) >> gap;
        if from == Size::DW {
            return *self;
        }
        if let Some(v) = self.const_value() {
            let wide = Scalar::constant(extend(v as i64) as u64);
            return match to {
                Width::W64 => wide,
                Width::W32 => wide.zero_extend32(),
            };
        }
        let known = match to {
            Width::W64 => self.s64,
            Width::W32 => Range::new(i64::from(self.s32.min), i64::from(self.s32.max)),
        };
        let (min, max) = (extend(known.min), extend(known.max));
        let same_above = known.min >> from.bits() == known.max >> from.bits();
        let parts = if same_above && (min < 0) == (max < 0) && min <= max {
            Scalar {
                var_off: Tnum::range(min as u64, max as u64),
                u64: Range::new(min as u64, max as u64),
                s64: Range::new(min, max),
                u32: Range::new(min as u32, max as u32),
                s32: Range::new(min as i32, max as i32),
            }
        } else {
            let (min, max) = (i64::MIN >> gap, i64::MAX >> gap);
            Scalar {
                s64: Range::new(min, max),
                s32: Range::new(min as i32, max as i32),
                ..Scalar::UNKNOWN
            }
        };
        match to {
            Width::W64 => parts.synced(),
            Width::W32 => parts.zero_extend32(),
        }
    }
}
