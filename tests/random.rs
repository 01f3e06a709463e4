//! [`Rng`]: the deterministic random numbers that generated tests are made of.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers.
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.bits() % bound as u64) as usize }
    }

    /// A number from `min` to `max`, both included.
    pub const fn between(&mut self, min: i64, max: i64) -> i64 {
        min + self.below((max - min + 1) as usize) as i64
    }

    /// True in `percent` of a hundred cases.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An immediate, with a liking for small numbers and limits.
    pub fn imm(&mut self) -> i32 {
        match self.below(6) {
            0 | 1 => self.between(-16, 64) as i32,
            2 => self.between(-300, 300) as i32,
            3 => self.pick(&[0, 1, -1, 0xff, 0xffff, i32::MAX, i32::MIN, 0x7fff, -0x8000]),
            4 => 1i32.wrapping_shl(self.below(32) as u32).wrapping_sub(self.below(2) as i32),
            _ => self.bits() as i32,
        }
    }
}
