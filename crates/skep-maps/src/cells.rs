//! Copying values that a program may be changing at the same moment.
//!
//! A map value is ordinary memory to a program, while user space copies it in and out. Copies here go
//! cell by cell through relaxed atomics, 8 bytes at a time where the address is aligned to 8 and one
//! byte at a time in the rest, so that a copy that meets a write is torn between cells at worst (as in
//! the kernel, whose copies are a plain `memcpy`, or word-wise for per-CPU values) and never undefined.
//!
//! Programs write the same memory with accesses of other sizes. Rust's memory model says nothing of
//! atomics of mixed sizes; all supported hardware treats them as independent bytes.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

const WORD: usize = 8;

/// Copies `to.len()` bytes from `from`.
///
/// # Safety
/// `from` is valid for reads and writes of `to.len()` bytes for the whole call, and everybody who
/// writes them meanwhile does so by atomics or outside of Rust's view (compiled programs).
#[inline]
pub unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
    let mut at = from;
    let mut rest = to;
    if at.addr().is_multiple_of(WORD) {
        let (words, tail) = rest.as_chunks_mut::<WORD>();
        for word in words {
            // SAFETY: within the caller's range, aligned to 8 and stays so.
            let cell = unsafe { &*at.cast::<AtomicU64>() };
            *word = cell.load(Relaxed).to_ne_bytes();
            // SAFETY: at most one past the caller's range.
            at = unsafe { at.add(WORD) };
        }
        rest = tail;
    }
    for byte in rest {
        // SAFETY: within the caller's range.
        *byte = unsafe { &*at.cast::<AtomicU8>() }.load(Relaxed);
        // SAFETY: at most one past the caller's range.
        at = unsafe { at.add(1) };
    }
}

/// Copies `from` to `to`.
///
/// # Safety
/// `to` is valid for reads and writes of `from.len()` bytes for the whole call, and everybody who
/// reads or writes them meanwhile does so by atomics or outside of Rust's view.
#[inline]
pub unsafe fn copy_in(to: *mut u8, from: &[u8]) {
    let mut at = to;
    let mut rest = from;
    if at.addr().is_multiple_of(WORD) {
        let (words, tail) = rest.as_chunks::<WORD>();
        for word in words {
            // SAFETY: within the caller's range, aligned to 8 and stays so.
            let cell = unsafe { &*at.cast::<AtomicU64>() };
            cell.store(u64::from_ne_bytes(*word), Relaxed);
            // SAFETY: at most one past the caller's range.
            at = unsafe { at.add(WORD) };
        }
        rest = tail;
    }
    for byte in rest {
        // SAFETY: within the caller's range.
        unsafe { &*at.cast::<AtomicU8>() }.store(*byte, Relaxed);
        // SAFETY: at most one past the caller's range.
        at = unsafe { at.add(1) };
    }
}

/// Whether the bytes at `at` equal `with`.
///
/// # Safety
/// As for [`copy_out`].
#[inline]
pub unsafe fn equal(at: *const u8, with: &[u8]) -> bool {
    let mut at = at;
    let mut rest = with;
    if at.addr().is_multiple_of(WORD) {
        let (words, tail) = rest.as_chunks::<WORD>();
        for word in words {
            // SAFETY: within the caller's range, aligned to 8 and stays so.
            let cell = unsafe { &*at.cast::<AtomicU64>() };
            if cell.load(Relaxed) != u64::from_ne_bytes(*word) {
                return false;
            }
            // SAFETY: at most one past the caller's range.
            at = unsafe { at.add(WORD) };
        }
        rest = tail;
    }
    for byte in rest {
        // SAFETY: within the caller's range.
        if unsafe { &*at.cast::<AtomicU8>() }.load(Relaxed) != *byte {
            return false;
        }
        // SAFETY: at most one past the caller's range.
        at = unsafe { at.add(1) };
    }
    true
}

/// Sets `len` bytes at `at` to zero.
///
/// # Safety
/// As for [`copy_in`].
pub unsafe fn zero(at: *mut u8, len: usize) {
    const ZEROS: [u8; 256] = [0; 256];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(ZEROS.len());
        // SAFETY: `done + step <= len`, all within the caller's range.
        unsafe { copy_in(at.add(done), &ZEROS[..step]) };
        done += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(8))]
    struct Buf([u8; 600]);

    #[test]
    fn copies_every_length_at_every_alignment() {
        let source: Vec<u8> = (0..600u32).map(|i| (i * 7 + 1) as u8).collect();
        for start in 0..9 {
            for len in (0..40).chain([255, 256, 257, 511]) {
                let mut buf = Buf([0xee; 600]);
                let at = buf.0.as_mut_ptr();
                let mut back = vec![0; len];
                // SAFETY: 8 + 511 bytes lie in the buffer, which nobody else uses.
                unsafe {
                    copy_in(at.add(start), &source[..len]);
                    copy_out(at.add(start), &mut back);
                    assert!(equal(at.add(start), &source[..len]));
                    if len > 0 {
                        let mut other = source[..len].to_vec();
                        other[len - 1] ^= 1;
                        assert!(!equal(at.add(start), &other));
                    }
                }
                assert_eq!(back, source[..len]);
                assert!(buf.0[..start].iter().all(|&b| b == 0xee));
                assert!(buf.0[start + len..].iter().all(|&b| b == 0xee));
                // SAFETY: as above.
                unsafe { zero(buf.0.as_mut_ptr().add(start), len) };
                assert!(buf.0[start..start + len].iter().all(|&b| b == 0));
                assert!(buf.0[start + len..].iter().all(|&b| b == 0xee));
            }
        }
    }
}
