//! [`Region`]: one stretch of zeroed memory that a map lives in, addressed by offset only.
//!
//! Nothing inside a region is a pointer, so that the same bytes can later be a memfd or a file that is
//! mapped elsewhere. This is the one place that turns offsets into references; it checks every offset,
//! and gives out only atomics and copies, so that its users need no `unsafe`.
//! Neighbours: [`crate::cells`] copies, `common` lays out the header.

use crate::cells;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64};
use skep_abi::Errno;

/// Alignment of a region's start and of what is apart inside it.
pub(crate) const PAGE_SIZE: usize = 4096;

/// No region is larger (bytes): above it lies no memory that any supported machine has.
const MAX_REGION_SIZE: usize = 1 << 44;

/// Whether the host should answer for the memory now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Commit {
    /// All of it may be used: creation fails with `ENOMEM` where the host says that it has no such amount.
    Whole,
    /// Address space only; pages are taken as elements come (`BPF_F_NO_PREALLOC`).
    AsUsed,
}

/// A stretch of zeroed memory, private to the map that made it.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a region owns its memory and is accessed through atomics only.
unsafe impl Send for Region {}
// SAFETY: as above; no method hands out a plain reference into it.
unsafe impl Sync for Region {}

impl Region {
    /// Anonymous memory of at least `len` bytes, rounded up to pages, zeroed.
    ///
    /// # Errors
    /// `ENOMEM`, as the kernel answers a size that it cannot serve.
    pub(crate) fn anonymous(len: usize, commit: Commit) -> Result<Region, Errno> {
        let len = len
            .max(1)
            .checked_next_multiple_of(PAGE_SIZE)
            .filter(|&len| len <= MAX_REGION_SIZE)
            .ok_or(Errno::ENOMEM)?;
        let start = os::map(len, commit).ok_or(Errno::ENOMEM)?;
        Ok(Region { start, len })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Address of the byte at `off`, for programs.
    #[inline]
    pub(crate) fn addr(&self, off: usize) -> u64 {
        self.at(off, 0).expose_provenance() as u64
    }

    /// Offset of `addr` if `len` bytes from it lie inside.
    pub(crate) fn offset_of(&self, addr: u64, len: usize) -> Option<usize> {
        let off = usize::try_from(addr).ok()?.checked_sub(self.start.as_ptr().addr())?;
        (off.checked_add(len)? <= self.len).then_some(off)
    }

    #[inline]
    fn at(&self, off: usize, len: usize) -> *mut u8 {
        if len > self.len || off > self.len - len {
            self.out_of_bounds(off, len);
        }
        // SAFETY: `off` was checked to lie within the one allocation.
        unsafe { self.start.as_ptr().add(off) }
    }

    #[cold]
    #[inline(never)]
    fn out_of_bounds(&self, off: usize, len: usize) -> ! {
        panic!("{len} bytes at {off} of a region of {}", self.len)
    }

    /// The word at `off`, which is a multiple of 4.
    #[inline]
    pub(crate) fn u32(&self, off: usize) -> &AtomicU32 {
        let at = self.at(off, 4);
        assert!(off.is_multiple_of(4), "word at {off}");
        // SAFETY: in bounds, aligned (the start is page aligned), lives as long as `self`, and all
        // accesses to it are atomic.
        unsafe { &*at.cast::<AtomicU32>() }
    }

    /// The double word at `off`, which is a multiple of 8.
    #[inline]
    pub(crate) fn u64(&self, off: usize) -> &AtomicU64 {
        let at = self.at(off, 8);
        assert!(off.is_multiple_of(8), "double word at {off}");
        // SAFETY: as in `u32`.
        unsafe { &*at.cast::<AtomicU64>() }
    }

    /// Copies bytes out.
    #[inline]
    pub(crate) fn read(&self, off: usize, to: &mut [u8]) {
        // SAFETY: in bounds; all accesses are atomic or a program's.
        unsafe { cells::copy_out(self.at(off, to.len()), to) }
    }

    /// Copies bytes in.
    #[inline]
    pub(crate) fn write(&self, off: usize, from: &[u8]) {
        // SAFETY: as in `read`.
        unsafe { cells::copy_in(self.at(off, from.len()), from) }
    }

    /// Whether the bytes at `off` equal `with`.
    #[inline]
    pub(crate) fn equal(&self, off: usize, with: &[u8]) -> bool {
        // SAFETY: as in `read`.
        unsafe { cells::equal(self.at(off, with.len()), with) }
    }

    /// Zeroes bytes.
    #[inline]
    pub(crate) fn zero(&self, off: usize, len: usize) {
        // SAFETY: as in `read`.
        unsafe { cells::zero(self.at(off, len), len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are those of `os::map`, and no reference outlives `self`.
        unsafe { os::unmap(self.start, self.len) }
    }
}

#[cfg(all(unix, not(miri)))]
mod os {
    use super::Commit;
    use core::ptr::{NonNull, null_mut};

    pub(super) fn map(len: usize, commit: Commit) -> Option<NonNull<u8>> {
        let flags = libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | match commit {
                Commit::Whole => 0,
                Commit::AsUsed => libc::MAP_NORESERVE,
            };
        // SAFETY: a new anonymous mapping at an address of the host's choice touches nothing else.
        let at = unsafe {
            libc::mmap(null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast()) }
    }

    /// # Safety
    /// A mapping of [`map`], which nobody uses any more.
    pub(super) unsafe fn unmap(at: NonNull<u8>, len: usize) {
        // SAFETY: the caller's promise. The only possible error is a bad range, which it rules out.
        unsafe { libc::munmap(at.as_ptr().cast(), len) };
    }
}

#[cfg(any(not(unix), miri))]
mod os {
    use super::{Commit, PAGE_SIZE};
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    pub(super) fn map(len: usize, _commit: Commit) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(len, PAGE_SIZE).ok()?;
        // SAFETY: `len` is at least a page.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    /// # Safety
    /// Memory of [`map`], which nobody uses any more.
    pub(super) unsafe fn unmap(at: NonNull<u8>, len: usize) {
        if let Ok(layout) = Layout::from_size_align(len, PAGE_SIZE) {
            // SAFETY: allocated with this layout by `map`.
            unsafe { dealloc(at.as_ptr(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::Relaxed;

    #[test]
    fn is_zeroed_rounded_and_addressed_by_offset() {
        let region = Region::anonymous(5000, Commit::Whole).expect("two pages");
        assert_eq!(region.len(), 8192);
        let mut bytes = [1; 64];
        region.read(8192 - 64, &mut bytes);
        assert_eq!(bytes, [0; 64]);
        region.u64(8).store(0x0807_0605_0403_0201, Relaxed);
        assert!(region.equal(8, &0x0807_0605_0403_0201u64.to_ne_bytes()));
        assert_eq!(region.offset_of(region.addr(100), 8092), Some(100));
        assert_eq!(region.offset_of(region.addr(100), 8093), None);
        assert_eq!(region.offset_of(region.addr(0) - 1, 1), None);
        region.zero(8, 8);
        assert_eq!(region.u64(8).load(Relaxed), 0);
    }

    #[test]
    fn absurd_sizes_are_enomem() {
        for len in [MAX_REGION_SIZE + 1, usize::MAX, usize::MAX - 4095] {
            assert_eq!(Region::anonymous(len, Commit::AsUsed).map(drop), Err(Errno::ENOMEM));
        }
    }

    #[test]
    #[should_panic(expected = "8 bytes at 4092")]
    fn offsets_are_checked() {
        let region = Region::anonymous(1, Commit::Whole).expect("a page");
        region.u64(4092);
    }
}
