//! [`Region`]: a part of a [`NativeMem`](crate::NativeMem) that a checked run may touch.

use core::marker::PhantomData;

/// What a run may do with a [`Region`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionAccess {
    /// Read only.
    Read,
    /// Read and write.
    ReadWrite,
}

/// Live memory that a run may touch, from [`NativeMem::region`](crate::NativeMem::region).
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    raw: RawRegion,
    mem: PhantomData<&'a ()>,
}

impl Region<'_> {
    pub(crate) fn new(addr: u64, len: usize, access: RegionAccess) -> Region<'static> {
        Region { raw: RawRegion { addr, len, access }, mem: PhantomData }
    }

    pub(crate) fn raw(&self) -> RawRegion {
        self.raw
    }

    /// Address of the first byte.
    pub fn addr(&self) -> u64 {
        self.raw.addr
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.raw.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.raw.len == 0
    }

    /// What a run may do with it.
    pub fn access(&self) -> RegionAccess {
        self.raw.access
    }
}

/// A [`Region`] without its lifetime; whoever keeps one knows why the memory lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRegion {
    pub(crate) addr: u64,
    pub(crate) len: usize,
    pub(crate) access: RegionAccess,
}

impl RawRegion {
    /// Whether `len` bytes at `addr` lie within.
    pub(crate) fn contains(&self, addr: u64, len: usize) -> bool {
        match addr.checked_sub(self.addr) {
            Some(off) => match off.checked_add(len as u64) {
                Some(end) => end <= self.len as u64,
                None => false,
            },
            None => false,
        }
    }
}
