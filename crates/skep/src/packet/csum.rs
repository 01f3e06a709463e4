//! Internet checksum arithmetic (RFC 1071, RFC 1624) on words as they lie in memory.
//!
//! The sums are ones' complement sums of 16-bit words in host order of big-endian data, which is what
//! programs exchange with `bpf_csum_diff` and the checksum helpers (`__wsum`, net/checksum.h).

/// Adds with end-around carry (`csum_add`).
pub fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(u32::from(carry))
}

/// Subtracts with end-around borrow (`csum_sub`).
pub fn sub(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// The 32-bit sum folded to 16 bits, not complemented (`csum_from32to16`).
pub fn fold_raw(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The 32-bit sum folded to 16 bits and complemented (`csum_fold`).
pub fn fold(sum: u32) -> u16 {
    !fold_raw(sum)
}

/// Sum of bytes, on top of `seed` (`csum_partial`).
pub fn partial(data: &[u8], seed: u32) -> u32 {
    let mut sum = seed;
    let mut words = data.chunks_exact(4);
    for w in words.by_ref() {
        sum = add(sum, u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut last = [0u8; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum = add(sum, u32::from_ne_bytes(last));
    }
    sum
}

/// The checksum field `check` after `from` became `to` in the data it covers (`csum_replace4`).
pub fn replace4(check: u16, from: u32, to: u32) -> u16 {
    fold(add(sub(u32::from(!check), from), to))
}

/// As [`replace4`], for 16-bit words (`csum_replace2`).
pub fn replace2(check: u16, from: u16, to: u16) -> u16 {
    let add16 = |a: u16, b: u16| {
        let (sum, carry) = a.overflowing_add(b);
        sum.wrapping_add(u16::from(carry))
    };
    !add16(add16(!check, !from), to)
}

/// The checksum field after the sum of the data changed by `diff` (`csum_replace_by_diff`).
pub fn replace_by_diff(check: u16, diff: u32) -> u16 {
    fold(add(diff, u32::from(!check)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071, section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
    #[test]
    fn the_rfc_example() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold_raw(partial(&data, 0)).to_ne_bytes(), [0xdd, 0xf2]);
        assert_eq!(partial(&data[..3], 0), partial(&[0, 1, 0xf2, 0], 0));
    }

    #[test]
    fn replacing_equals_computing_anew() {
        let old = [0x45u8, 0, 0, 0x54, 1, 2, 3, 4, 0x40, 1, 10, 0];
        let mut new = old;
        new[4..8].copy_from_slice(&[9, 8, 7, 6]);
        let word = |b: &[u8]| u32::from_ne_bytes([b[4], b[5], b[6], b[7]]);
        let (before, after) = (fold(partial(&old, 0)), fold(partial(&new, 0)));
        assert_eq!(replace4(before, word(&old), word(&new)), after);
        let diff = sub(partial(&new, 0), partial(&old, 0));
        assert_eq!(replace_by_diff(before, diff), after);
        let half = |b: &[u8]| u16::from_ne_bytes([b[4], b[5]]);
        let first = replace2(before, half(&old), half(&new));
        let rest = |b: &[u8]| u16::from_ne_bytes([b[6], b[7]]);
        assert_eq!(replace2(first, rest(&old), rest(&new)), after);
    }
}
