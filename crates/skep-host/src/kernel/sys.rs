//! The one place that issues bpf(2): [`bpf`], and [`Attr`], the attribute as bytes.

use skep_abi::Errno;
use std::os::fd::{FromRawFd, OwnedFd};

/// `union bpf_attr`, as bytes that are filled in by offset (`linux/bpf.h`, Linux 6.18).
///
/// Pointers go in through [`Attr::set_slice`] and [`Attr::set_slice_mut`], which borrow for as long as
/// the attribute lives, so that the kernel never sees a dangling one.
pub(super) struct Attr<'a> {
    bytes: [u8; Attr::SIZE],
    borrowed: core::marker::PhantomData<&'a mut [u8]>,
}

impl<'a> Attr<'a> {
    /// More than any command of 6.18 reads; the rest stays zero, as the kernel demands.
    const SIZE: usize = 256;

    pub(super) fn new() -> Self {
        Attr { bytes: [0; Self::SIZE], borrowed: core::marker::PhantomData }
    }

    pub(super) fn set_u32(&mut self, off: usize, value: u32) {
        self.bytes[off..off + 4].copy_from_slice(&value.to_ne_bytes());
    }

    pub(super) fn set_u64(&mut self, off: usize, value: u64) {
        self.bytes[off..off + 8].copy_from_slice(&value.to_ne_bytes());
    }

    /// A NUL-padded name of at most 15 bytes (`BPF_OBJ_NAME_LEN`); what is longer is cut.
    pub(super) fn set_name(&mut self, off: usize, name: &str) {
        let len = name.len().min(15);
        self.bytes[off..off + len].copy_from_slice(&name.as_bytes()[..len]);
    }

    pub(super) fn set_slice(&mut self, off: usize, data: &'a [u8]) {
        self.set_u64(off, data.as_ptr() as u64);
    }

    pub(super) fn set_slice_mut(&mut self, off: usize, data: &'a mut [u8]) {
        self.set_u64(off, data.as_mut_ptr() as u64);
    }

    pub(super) fn u32(&self, off: usize) -> u32 {
        u32::from_ne_bytes([
            self.bytes[off],
            self.bytes[off + 1],
            self.bytes[off + 2],
            self.bytes[off + 3],
        ])
    }
}

/// Issues bpf(2) and gives its non-negative result.
pub(super) fn bpf(cmd: u32, attr: &mut Attr<'_>) -> Result<i32, Errno> {
    // SAFETY: the attribute is a writable buffer of the size given; each pointer in it was put there
    // by `set_slice*`, whose borrow outlives `attr`, with a length that the caller wrote beside it.
    let ret = unsafe {
        libc::syscall(libc::SYS_bpf, cmd as libc::c_long, attr.bytes.as_mut_ptr(), Attr::SIZE)
    };
    if ret < 0 {
        let num = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        return Err(Errno::from_raw(num));
    }
    Ok(ret as i32)
}

/// As [`bpf`], for a command that returns a new file descriptor.
pub(super) fn bpf_fd(cmd: u32, attr: &mut Attr<'_>) -> Result<OwnedFd, Errno> {
    let fd = bpf(cmd, attr)?;
    // SAFETY: the command succeeded, and it is one that returns a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
