//! [`hash`]: Bob Jenkins' lookup3 (public domain), over little-endian words.
//!
//! The kernel hashes keys with it too (`jhash`, `jhash2`), so that with `BPF_F_ZERO_SEED` an iteration
//! here meets the keys in the kernel's order.

const GOLDEN: u32 = 0xdead_beef;

/// Hash of `key` with a seed.
#[inline]
pub(super) fn hash(key: &[u8], seed: u32) -> u32 {
    let start = GOLDEN.wrapping_add(key.len() as u32).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let (mut words, tail) = key.as_chunks::<4>();
    // The last block, of one to twelve bytes, is not mixed but finished.
    while let [x, y, z, rest @ ..] = words
        && !(rest.is_empty() && tail.is_empty())
    {
        (a, b, c) = mix(a.wrapping_add(word(x)), b.wrapping_add(word(y)), c.wrapping_add(word(z)));
        words = rest;
    }
    if words.is_empty() && tail.is_empty() {
        return c;
    }
    // The bytes after the last word count as a word with zeros behind them.
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    let block: [u32; 3] = core::array::from_fn(|i| match words.get(i) {
        Some(bytes) => word(bytes),
        None if i == words.len() => u32::from_le_bytes(last),
        None => 0,
    });
    finish(a.wrapping_add(block[0]), b.wrapping_add(block[1]), c.wrapping_add(block[2]))
}

fn word(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

fn finish(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that lookup3.c's own driver prints (`driver5`).
    #[test]
    fn known_answers() {
        assert_eq!(hash(b"", 0), 0xdead_beef);
        assert_eq!(hash(b"", 0xdead_beef), 0xbd5b_7dde);
        assert_eq!(hash(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(hash(b"Four score and seven years ago", 1), 0xcd62_8161);
    }
}
