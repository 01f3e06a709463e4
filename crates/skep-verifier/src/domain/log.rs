//! Scalars as the kernel's verifier log prints them.
//!
//! Kernel counterpart: `print_reg_state` and `print_scalar_ranges` of `kernel/bpf/log.c`. The caller
//! writes what is not the number's: the precision mark `P`, `id=`, the pointer's name.

use core::fmt;

use super::scalar::Scalar;

/// A number in the log: small ones in decimal, large ones in hex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogNum {
    /// Signed reading of the 64 bits: decimal from `i16::MIN` to `i16::MAX`.
    Signed(u64),
    /// Unsigned: decimal to `u16::MAX`.
    Unsigned(u64),
}

impl fmt::Display for LogNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LogNum::Signed(v) if i16::try_from(v as i64).is_ok() => write!(f, "{}", v as i64),
            LogNum::Unsigned(v) if v <= u64::from(u16::MAX) => write!(f, "{v}"),
            LogNum::Signed(v) | LogNum::Unsigned(v) => write!(f, "{v:#x}"),
        }
    }
}

/// The bounds between the parentheses of `scalar(…)`: `smin=0,smax=umax=255,var_off=(0x0; 0xff)`.
///
/// Bounds that say nothing are left out, equal ones share a number. Empty for an unknown scalar.
#[derive(Clone, Copy, Debug)]
pub struct LogFields<'a>(&'a Scalar);

/// One bound: name, value, and whether it is printed.
#[derive(Clone, Copy)]
struct Bound {
    name: &'static str,
    value: LogNum,
    shown: bool,
}

impl Bound {
    fn bits(&self) -> u64 {
        match self.value {
            LogNum::Signed(v) | LogNum::Unsigned(v) => v,
        }
    }

    fn is_negative(&self) -> bool {
        matches!(self.value, LogNum::Signed(v) if (v as i64) < 0)
    }

    /// Whether two bounds are printed as one; a negative number and its unsigned reading are not.
    fn shares_number_with(&self, other: &Bound) -> bool {
        self.bits() == other.bits() && self.is_negative() == other.is_negative()
    }
}

/// A 32-bit signed bound: sign-extended if it prints in decimal, else as its 32 bits in hex.
fn signed32(v: i32) -> LogNum {
    match i16::try_from(v) {
        Ok(_) => LogNum::Signed(i64::from(v) as u64),
        Err(_) => LogNum::Signed(u64::from(v as u32)),
    }
}

impl Scalar {
    /// The bounds as text, see [`LogFields`].
    pub fn log_fields(&self) -> LogFields<'_> {
        LogFields(self)
    }

    /// The whole value as the log prints a scalar register: `scalar(…)`, or a constant's number alone.
    pub fn to_log(&self) -> String {
        match self.const_value() {
            Some(v) => LogNum::Signed(v).to_string(),
            None => format!("scalar({})", self.log_fields()),
        }
    }

    fn log_bounds(&self) -> [Bound; 8] {
        let bound = |name, value, shown| Bound { name, value, shown };
        [
            bound("smin", LogNum::Signed(self.s64.min as u64), self.s64.min != i64::MIN),
            bound("smax", LogNum::Signed(self.s64.max as u64), self.s64.max != i64::MAX),
            bound("umin", LogNum::Unsigned(self.u64.min), self.u64.min != 0),
            bound("umax", LogNum::Unsigned(self.u64.max), self.u64.max != u64::MAX),
            bound("smin32", signed32(self.s32.min), self.s32.min != i32::MIN),
            bound("smax32", signed32(self.s32.max), self.s32.max != i32::MAX),
            bound("umin32", LogNum::Unsigned(self.u32.min.into()), self.u32.min != 0),
            bound("umax32", LogNum::Unsigned(self.u32.max.into()), self.u32.max != u32::MAX),
        ]
    }
}

impl fmt::Display for LogFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bounds = self.0.log_bounds();
        let mut sep = "";
        for i in 0..bounds.len() {
            let Some(first) = bounds.get(i).copied().filter(|b| b.shown) else { continue };
            write!(f, "{sep}{}=", first.name)?;
            sep = ",";
            // Minima stand at even places, maxima at odd ones: only like is merged with like.
            for later in bounds.iter_mut().skip(i + 2).step_by(2) {
                if later.shown && later.shares_number_with(&first) {
                    later.shown = false;
                    write!(f, "{}=", later.name)?;
                }
            }
            write!(f, "{}", first.value)?;
        }
        if !self.0.var_off.is_unknown() {
            write!(f, "{sep}var_off={}", self.0.var_off)?;
        }
        Ok(())
    }
}
