//! [`NativeMem`]: memory at a stable address that programs and Rust code share.
//!
//! Contexts, packets and stacks live in it. It is only ever accessed through raw pointers
//! ([`crate::access`]), since a program may hold addresses into it; no reference into it is handed out.

use crate::access;
use crate::region::{Region, RegionAccess};
use core::fmt;
use core::ptr::NonNull;
use skep_abi::insn::Size;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

const ALIGN: usize = 16;

/// Zeroed heap bytes at a stable address that is a multiple of 16.
pub struct NativeMem {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns its bytes, and no thread-local state is involved; accesses are atomic.
unsafe impl Send for NativeMem {}

/// An access outside a [`NativeMem`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange {
    /// First byte of the access.
    pub off: usize,
    /// Length of the access, in bytes.
    pub len: usize,
    /// Size of the memory, in bytes.
    pub size: usize,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at offset {} of a memory of {} bytes", self.len, self.off, self.size)
    }
}

impl core::error::Error for OutOfRange {}

impl NativeMem {
    /// `len` zero bytes.
    ///
    /// # Panics
    /// If `len` is above `isize::MAX - 15`; aborts if there is no memory.
    pub fn zeroed(len: usize) -> NativeMem {
        let layout = layout(len);
        // SAFETY: the layout's size is not zero.
        let ptr = unsafe { alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(ptr) else { handle_alloc_error(layout) };
        // Programs reach these bytes by address.
        let _ = ptr.as_ptr().expose_provenance();
        NativeMem { ptr, len }
    }

    /// A copy of `data`.
    pub fn from_bytes(data: &[u8]) -> NativeMem {
        let mem = NativeMem::zeroed(data.len());
        // SAFETY: the allocation has this length.
        unsafe { access::copy_in(mem.addr(), data) };
        mem
    }

    /// Address of the first byte.
    pub fn addr(&self) -> u64 {
        self.ptr.as_ptr() as usize as u64
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The offset of an address in it; the end is included.
    pub fn offset_of(&self, addr: u64) -> Option<usize> {
        let off = usize::try_from(addr.checked_sub(self.addr())?).ok()?;
        (off <= self.len).then_some(off)
    }

    /// Part of it as a region that a run may touch.
    ///
    /// # Errors
    /// [`OutOfRange`] if the part is not within the memory.
    pub fn region(
        &self,
        off: usize,
        len: usize,
        access: RegionAccess,
    ) -> Result<Region<'_>, OutOfRange> {
        Ok(Region::new(self.at(off, len)?, len, access))
    }

    fn at(&self, off: usize, len: usize) -> Result<u64, OutOfRange> {
        match off.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.addr() + off as u64),
            _ => Err(OutOfRange { off, len, size: self.len }),
        }
    }

    /// Copies `buf.len()` bytes from `off` out.
    ///
    /// # Errors
    /// [`OutOfRange`]; `buf` is then unchanged.
    pub fn read(&self, off: usize, buf: &mut [u8]) -> Result<(), OutOfRange> {
        let addr = self.at(off, buf.len())?;
        // SAFETY: `at` found the bytes within the allocation.
        unsafe { access::copy_out(addr, buf) };
        Ok(())
    }

    /// `len` bytes from `off`.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn to_vec(&self, off: usize, len: usize) -> Result<Vec<u8>, OutOfRange> {
        self.at(off, len)?;
        let mut v = vec![0; len];
        self.read(off, &mut v)?;
        Ok(v)
    }

    /// Copies `data` to `off`.
    ///
    /// # Errors
    /// [`OutOfRange`]; nothing is then written.
    pub fn write(&mut self, off: usize, data: &[u8]) -> Result<(), OutOfRange> {
        let addr = self.at(off, data.len())?;
        // SAFETY: `at` found the bytes within the allocation.
        unsafe { access::copy_in(addr, data) };
        Ok(())
    }

    /// Sets `len` bytes from `off` to `byte`.
    ///
    /// # Errors
    /// [`OutOfRange`]; nothing is then written.
    pub fn fill(&mut self, off: usize, len: usize, byte: u8) -> Result<(), OutOfRange> {
        let addr = self.at(off, len)?;
        let chunk = [byte; 64];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(chunk.len());
            // SAFETY: `at` found the bytes within the allocation.
            unsafe { access::copy_in(addr + done as u64, &chunk[..n]) };
            done += n;
        }
        Ok(())
    }

    /// Copies `len` bytes from `from` to `to`; the two may overlap.
    ///
    /// # Errors
    /// [`OutOfRange`]; nothing is then written.
    pub fn copy_within(&mut self, from: usize, to: usize, len: usize) -> Result<(), OutOfRange> {
        self.at(to, len)?;
        let data = self.to_vec(from, len)?;
        self.write(to, &data)
    }

    /// Reads a number of `size` bytes in host order, zero-extended.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn get(&self, off: usize, size: Size) -> Result<u64, OutOfRange> {
        let addr = self.at(off, size.bytes() as usize)?;
        // SAFETY: `at` found the bytes within the allocation.
        Ok(unsafe { access::load(addr, size) })
    }

    /// Writes the low `size` bytes of `val` in host order.
    ///
    /// # Errors
    /// [`OutOfRange`]; nothing is then written.
    pub fn set(&mut self, off: usize, size: Size, val: u64) -> Result<(), OutOfRange> {
        let addr = self.at(off, size.bytes() as usize)?;
        // SAFETY: `at` found the bytes within the allocation.
        unsafe { access::store(addr, size, val) };
        Ok(())
    }
}

fn layout(len: usize) -> Layout {
    // One byte at least, so that each memory has an address of its own.
    match Layout::from_size_align(len.max(1), ALIGN) {
        Ok(l) => l,
        Err(_) => panic!("a memory of {len} bytes is larger than the address space"),
    }
}

impl Drop for NativeMem {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout, and freed only here.
        unsafe { dealloc(self.ptr.as_ptr(), layout(self.len)) };
    }
}

impl Clone for NativeMem {
    fn clone(&self) -> NativeMem {
        let mut v = vec![0; self.len];
        // SAFETY: the allocation has this length.
        unsafe { access::copy_out(self.addr(), &mut v) };
        NativeMem::from_bytes(&v)
    }
}

impl fmt::Debug for NativeMem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeMem")
            .field("addr", &format_args!("{:#x}", self.addr()))
            .field("len", &self.len)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_at_any_alignment() {
        let mut m = NativeMem::zeroed(64);
        assert_eq!(m.addr() % 16, 0);
        for off in 0..24 {
            let data: Vec<u8> = (0..37).map(|i| i ^ off as u8).collect();
            m.write(off, &data).unwrap();
            assert_eq!(m.to_vec(off, 37).unwrap(), data);
            m.set(off, Size::DW, 0x1122_3344_5566_7788).unwrap();
            assert_eq!(m.get(off, Size::DW).unwrap(), 0x1122_3344_5566_7788);
            assert_eq!(
                m.get(off, Size::W).unwrap(),
                if cfg!(target_endian = "little") { 0x5566_7788 } else { 0x1122_3344 }
            );
        }
        m.fill(3, 5, 0xee).unwrap();
        assert_eq!(m.to_vec(3, 5).unwrap(), [0xee; 5]);
        m.write(0, b"abcdef").unwrap();
        m.copy_within(0, 2, 4).unwrap();
        assert_eq!(m.to_vec(0, 6).unwrap(), b"ababcd");
    }

    #[test]
    fn refuses_what_is_outside() {
        let mut m = NativeMem::zeroed(8);
        let err = OutOfRange { off: 1, len: 8, size: 8 };
        assert_eq!(m.get(1, Size::DW), Err(err));
        assert_eq!(m.write(usize::MAX, b"x").unwrap_err().off, usize::MAX);
        assert_eq!(m.fill(8, 1, 0).unwrap_err().len, 1);
        assert!(m.to_vec(0, usize::MAX).is_err());
        assert_eq!(err.to_string(), "8 bytes at offset 1 of a memory of 8 bytes");
        assert_eq!(NativeMem::zeroed(0).to_vec(0, 0).unwrap(), b"");
    }
}
