//! Raw memory access: the only place that dereferences addresses.
//!
//! Programs, user space and other threads touch the same values at the same time, as in the kernel.
//! So each aligned access is one relaxed atomic access, and an unaligned one is bytewise atomic: a race
//! yields some mixture of the values, never undefined behaviour.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use skep_abi::insn::{AtomicOp, Size};

fn ptr<T>(addr: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(addr as usize)
}

fn is_aligned(addr: u64, size: Size) -> bool {
    addr.is_multiple_of(u64::from(size.bytes()))
}

/// Reads `size` bytes at `addr`, zero-extended.
///
/// # Safety
/// The bytes must be readable for the call.
pub(crate) unsafe fn load(addr: u64, size: Size) -> u64 {
    if !is_aligned(addr, size) {
        let mut b = [0u8; 8];
        let n = size.bytes() as usize;
        // SAFETY: the caller's promise, for the same bytes.
        unsafe { copy_out(addr, &mut b[..n]) };
        return from_native(b, size);
    }
    // SAFETY: the bytes are readable (caller) and aligned (above); all accesses are atomic.
    unsafe {
        match size {
            Size::B => u64::from(AtomicU8::from_ptr(ptr(addr)).load(Ordering::Relaxed)),
            Size::H => u64::from(AtomicU16::from_ptr(ptr(addr)).load(Ordering::Relaxed)),
            Size::W => u64::from(AtomicU32::from_ptr(ptr(addr)).load(Ordering::Relaxed)),
            Size::DW => AtomicU64::from_ptr(ptr(addr)).load(Ordering::Relaxed),
        }
    }
}

/// Writes the low `size` bytes of `val` at `addr`.
///
/// # Safety
/// The bytes must be writable for the call.
pub(crate) unsafe fn store(addr: u64, size: Size, val: u64) {
    if !is_aligned(addr, size) {
        let b = to_native(val, size);
        // SAFETY: the caller's promise, for the same bytes.
        unsafe { copy_in(addr, &b[..size.bytes() as usize]) };
        return;
    }
    // SAFETY: the bytes are writable (caller) and aligned (above); all accesses are atomic.
    unsafe {
        match size {
            Size::B => AtomicU8::from_ptr(ptr(addr)).store(val as u8, Ordering::Relaxed),
            Size::H => AtomicU16::from_ptr(ptr(addr)).store(val as u16, Ordering::Relaxed),
            Size::W => AtomicU32::from_ptr(ptr(addr)).store(val as u32, Ordering::Relaxed),
            Size::DW => AtomicU64::from_ptr(ptr(addr)).store(val, Ordering::Relaxed),
        }
    }
}

/// As [`load`], with acquire ordering. `None` if `addr` is not aligned to `size`.
///
/// # Safety
/// The bytes must be readable for the call.
pub(crate) unsafe fn load_acquire(addr: u64, size: Size) -> Option<u64> {
    if !is_aligned(addr, size) {
        return None;
    }
    // SAFETY: readable (caller), aligned (above), atomic.
    Some(unsafe {
        match size {
            Size::B => u64::from(AtomicU8::from_ptr(ptr(addr)).load(Ordering::Acquire)),
            Size::H => u64::from(AtomicU16::from_ptr(ptr(addr)).load(Ordering::Acquire)),
            Size::W => u64::from(AtomicU32::from_ptr(ptr(addr)).load(Ordering::Acquire)),
            Size::DW => AtomicU64::from_ptr(ptr(addr)).load(Ordering::Acquire),
        }
    })
}

/// As [`store`], with release ordering. `None` if `addr` is not aligned to `size`.
///
/// # Safety
/// The bytes must be writable for the call.
pub(crate) unsafe fn store_release(addr: u64, size: Size, val: u64) -> Option<()> {
    if !is_aligned(addr, size) {
        return None;
    }
    // SAFETY: writable (caller), aligned (above), atomic.
    unsafe {
        match size {
            Size::B => AtomicU8::from_ptr(ptr(addr)).store(val as u8, Ordering::Release),
            Size::H => AtomicU16::from_ptr(ptr(addr)).store(val as u16, Ordering::Release),
            Size::W => AtomicU32::from_ptr(ptr(addr)).store(val as u32, Ordering::Release),
            Size::DW => AtomicU64::from_ptr(ptr(addr)).store(val, Ordering::Release),
        }
    }
    Some(())
}

macro_rules! rmw {
    ($ty:ty, $int:ty, $addr:expr, $op:expr, $src:expr, $cmp:expr) => {{
        // SAFETY: readable and writable (caller of `rmw`), aligned (checked there), atomic.
        let a = unsafe { <$ty>::from_ptr(ptr($addr)) };
        let src = $src as $int;
        // The kernel gives full barriers to the fetching forms and none to the others.
        let old = match $op {
            AtomicOp::Add => a.fetch_add(src, Ordering::Relaxed),
            AtomicOp::Or => a.fetch_or(src, Ordering::Relaxed),
            AtomicOp::And => a.fetch_and(src, Ordering::Relaxed),
            AtomicOp::Xor => a.fetch_xor(src, Ordering::Relaxed),
            AtomicOp::FetchAdd => a.fetch_add(src, Ordering::SeqCst),
            AtomicOp::FetchOr => a.fetch_or(src, Ordering::SeqCst),
            AtomicOp::FetchAnd => a.fetch_and(src, Ordering::SeqCst),
            AtomicOp::FetchXor => a.fetch_xor(src, Ordering::SeqCst),
            AtomicOp::Xchg => a.swap(src, Ordering::SeqCst),
            AtomicOp::Cmpxchg => {
                match a.compare_exchange($cmp as $int, src, Ordering::SeqCst, Ordering::SeqCst) {
                    Ok(old) | Err(old) => old,
                }
            }
        };
        u64::from(old)
    }};
}

/// Atomic read-modify-write of 4 or 8 bytes; answers the old value, zero-extended. `cmp` is what
/// [`AtomicOp::Cmpxchg`] compares with. `None` if `addr` is not aligned, or `size` is B or H.
///
/// # Safety
/// The bytes must be readable and writable for the call.
pub(crate) unsafe fn rmw(addr: u64, size: Size, op: AtomicOp, src: u64, cmp: u64) -> Option<u64> {
    if !is_aligned(addr, size) {
        return None;
    }
    match size {
        Size::B | Size::H => None,
        Size::W => Some(rmw!(AtomicU32, u32, addr, op, src, cmp)),
        Size::DW => Some(rmw!(AtomicU64, u64, addr, op, src, cmp)),
    }
}

/// Copies from `addr` into `buf`.
///
/// # Safety
/// `buf.len()` bytes at `addr` must be readable for the call.
pub(crate) unsafe fn copy_out(mut addr: u64, buf: &mut [u8]) {
    let mut rest = buf;
    while !addr.is_multiple_of(8) && !rest.is_empty() {
        let (head, tail) = rest.split_at_mut(1);
        // SAFETY: a byte of the caller's range; atomic.
        head[0] = unsafe { AtomicU8::from_ptr(ptr(addr)) }.load(Ordering::Relaxed);
        rest = tail;
        addr += 1;
    }
    let mut words = rest.chunks_exact_mut(8);
    for w in words.by_ref() {
        // SAFETY: eight bytes of the caller's range, aligned by the loop above; atomic.
        let v = unsafe { AtomicU64::from_ptr(ptr(addr)) }.load(Ordering::Relaxed);
        w.copy_from_slice(&v.to_ne_bytes());
        addr += 8;
    }
    for b in words.into_remainder() {
        // SAFETY: a byte of the caller's range; atomic.
        *b = unsafe { AtomicU8::from_ptr(ptr(addr)) }.load(Ordering::Relaxed);
        addr += 1;
    }
}

/// Copies `data` to `addr`.
///
/// # Safety
/// `data.len()` bytes at `addr` must be writable for the call.
pub(crate) unsafe fn copy_in(mut addr: u64, data: &[u8]) {
    let mut rest = data;
    while !addr.is_multiple_of(8) && !rest.is_empty() {
        // SAFETY: a byte of the caller's range; atomic.
        unsafe { AtomicU8::from_ptr(ptr(addr)) }.store(rest[0], Ordering::Relaxed);
        rest = &rest[1..];
        addr += 1;
    }
    let words = rest.chunks_exact(8);
    let tail = words.remainder();
    for w in words {
        let mut b = [0u8; 8];
        b.copy_from_slice(w);
        // SAFETY: eight bytes of the caller's range, aligned by the loop above; atomic.
        unsafe { AtomicU64::from_ptr(ptr(addr)) }.store(u64::from_ne_bytes(b), Ordering::Relaxed);
        addr += 8;
    }
    for b in tail {
        // SAFETY: a byte of the caller's range; atomic.
        unsafe { AtomicU8::from_ptr(ptr(addr)) }.store(*b, Ordering::Relaxed);
        addr += 1;
    }
}

fn from_native(b: [u8; 8], size: Size) -> u64 {
    match size {
        Size::B => u64::from(b[0]),
        Size::H => u64::from(u16::from_ne_bytes([b[0], b[1]])),
        Size::W => u64::from(u32::from_ne_bytes([b[0], b[1], b[2], b[3]])),
        Size::DW => u64::from_ne_bytes(b),
    }
}

fn to_native(val: u64, size: Size) -> [u8; 8] {
    let mut b = [0u8; 8];
    match size {
        Size::B => b[0] = val as u8,
        Size::H => b[..2].copy_from_slice(&(val as u16).to_ne_bytes()),
        Size::W => b[..4].copy_from_slice(&(val as u32).to_ne_bytes()),
        Size::DW => b = val.to_ne_bytes(),
    }
    b
}
