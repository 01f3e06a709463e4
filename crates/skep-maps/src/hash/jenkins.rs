//! [`hash`]: Bob Jenkins' lookup3 (public domain), over little-endian words.
//!
//! The kernel hashes keys with it too (`jhash`, `jhash2`), so that with `BPF_F_ZERO_SEED` an iteration
//! here meets the keys in the kernel's order.

const GOLDEN: u32 = 0xdead_beef;

/// Hash of `key` with a seed.
pub(super) fn hash(key: &[u8], seed: u32) -> u32 {
    let start = GOLDEN.wrapping_add(key.len() as u32).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = key;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        let [x, y, z] = words(block);
        (a, b, c) = mix(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
        rest = after;
    }
    if rest.is_empty() {
        return c;
    }
    let [x, y, z] = words(rest);
    finish(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z))
}

/// Up to 12 bytes as three words, with zeros after the end.
fn words(bytes: &[u8]) -> [u32; 3] {
    let mut padded = [0u8; 12];
    padded[..bytes.len()].copy_from_slice(bytes);
    let (chunks, _) = padded.as_chunks::<4>();
    core::array::from_fn(|i| u32::from_le_bytes(chunks[i]))
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
