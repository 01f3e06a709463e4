//! [`Shift`]: how numbers of one id follow from each other, so that what is learned of one teaches the others.

use super::reg::RegState;
use crate::domain::Scalar;
use skep_abi::insn::{AluOp, Width};

/// How a number follows from the others of its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shift {
    /// It is the same.
    None,
    /// It is theirs plus `off` (`BPF_ADD_CONST64`).
    Wide,
    /// It is the low half of theirs plus `off`, and theirs is below 2^32 (`BPF_ADD_CONST32`).
    Half,
}

impl RegState {
    /// What this number is, from what is known of another one of its id.
    // SOUND: exact modulo the width of what is computed, for every value that `known` can have. From one that was cut to
    // 32 bits the common number is found again by going back at 32 bits, since it is below 2^32.
    // DEVIATION: the kernel adds at 64 bits what was added at 32.
    pub(crate) fn follow(&self, known: &RegState) -> Scalar {
        let above = |r: &RegState| if r.shift == Shift::None { 0 } else { i64::from(r.off) };
        let plus = |num: Scalar, width: Width, delta: i64| {
            num.alu(width, AluOp::Add, &Scalar::constant(delta as u64))
        };
        let delta = above(self) - above(known);
        match (known.shift, self.shift) {
            (Shift::None | Shift::Wide, Shift::None | Shift::Wide) | (Shift::Half, Shift::Half)
                if delta == 0 =>
            {
                known.num
            }
            (Shift::None | Shift::Wide, Shift::None | Shift::Wide) => {
                plus(known.num, Width::W64, delta)
            }
            (_, Shift::Half) | (Shift::Half, Shift::None) => plus(known.num, Width::W32, delta),
            (Shift::Half, Shift::Wide) => {
                let common = plus(known.num, Width::W32, -above(known));
                plus(common, Width::W64, above(self))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Range;
    use proptest::prelude::*;

    fn shifts() -> impl Strategy<Value = Shift> {
        prop::sample::select(vec![Shift::None, Shift::Wide, Shift::Half])
    }

    fn offsets() -> impl Strategy<Value = i32> {
        prop_oneof![any::<i32>(), -300i32..300, Just(0)]
    }

    fn value(common: u64, shift: Shift, off: i32) -> u64 {
        match shift {
            Shift::None => common,
            Shift::Wide => common.wrapping_add(i64::from(off) as u64),
            Shift::Half => u64::from((common as u32).wrapping_add(off as u32)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20000))]

        #[test]
        fn follows_every_value(
            common in prop_oneof![any::<u64>(), 0u64..600, any::<u32>().prop_map(u64::from)],
            shift in prop::array::uniform2(shifts()),
            off in prop::array::uniform2(offsets()),
            slack in prop::array::uniform2(prop_oneof![Just(0u64), 0u64..50, any::<u64>()]),
        ) {
            // Cut to 32 bits is only what was below 2^32 before.
            let half = shift.contains(&Shift::Half);
            let common = if half { u64::from(common as u32) } else { common };
            let of = |n: usize, num| {
                let off = if shift[n] == Shift::None { 0 } else { off[n] };
                RegState { shift: shift[n], off, id: 1, ..RegState::scalar(num) }
            };
            let known = value(common, shift[0], off[0]);
            let range = Range::new(known.saturating_sub(slack[0]), known.saturating_add(slack[1]));
            let known = of(0, Scalar::from_u64(range));
            let other = of(1, Scalar::UNKNOWN).follow(&known);
            let want = value(common, shift[1], off[1]);
            prop_assert!(other.contains(want), "{:#x} {:?} {:?}", want, other, known);
        }
    }
}
