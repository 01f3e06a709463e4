//! [`Call`]: what a helper function sees of its caller; [`MemRef`]: memory it was given.
//!
//! Arguments are typed by the helper's prototype, which the verifier (or the checked mode) enforced before
//! the helper runs. So helpers need no `unsafe`.

use crate::access;
use crate::context::Context;
use crate::exec::{Machine, mem_arg};
use crate::interp;
use crate::mem::OutOfRange;
use crate::prog::Prog;
use crate::region::{RawRegion, RegionAccess};
use crate::runtime::{Clock, MAX_TAIL_CALL_CNT};
use crate::trap::{Access, Trap, TrapKind};
use core::marker::PhantomData;
use skep_abi::Errno;
use skep_abi::insn::Size;
use skep_maps::{MapOps, Slot};
use skep_verifier::env::{ArgType, HelperProto};
use std::sync::Arc;

/// A helper call in progress. Argument numbers are 0 to 4, for R1 to R5.
pub struct Call<'c> {
    m: Machine<'c>,
    prog: &'c Prog,
    proto: &'c HelperProto,
    args: [u64; 5],
    slot: u32,
    /// Whether the helper had the context in its hands: packet memory may have moved since.
    ctx_used: bool,
}

impl core::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Call").field("helper", &self.proto.name).field("args", &self.args).finish()
    }
}

/// Memory that a helper was given, from [`Call::mem`].
#[derive(Clone, Copy, Debug)]
pub struct MemRef<'a> {
    addr: u64,
    len: usize,
    access: Access,
    life: PhantomData<&'a ()>,
}

impl MemRef<'_> {
    /// Length in bytes; 0 for a NULL that the prototype allows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the program passed NULL.
    pub fn is_null(&self) -> bool {
        self.addr == 0
    }

    /// Copies all bytes in, from the program.
    pub fn copy_in(&self) -> Vec<u8> {
        let mut v = vec![0; self.len];
        // SAFETY: the prototype's promise, kept by VerifiedProg or checked before the call.
        unsafe { access::copy_out(self.addr, &mut v) };
        v
    }

    /// Copies the first bytes in; fails if there are fewer than `buf.len()`.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn copy_in_to(&self, buf: &mut [u8]) -> Result<(), OutOfRange> {
        if buf.len() > self.len {
            return Err(OutOfRange { off: 0, len: buf.len(), size: self.len });
        }
        // SAFETY: as in `copy_in`; the length was checked.
        unsafe { access::copy_out(self.addr, buf) };
        Ok(())
    }

    /// Copies `data` out to the program, at `off`.
    ///
    /// # Errors
    /// [`OutOfRange`] if it does not fit, or (with size 0) if the prototype says that the helper only reads.
    pub fn copy_out(&self, off: usize, data: &[u8]) -> Result<(), OutOfRange> {
        let size = if self.access == Access::Read { 0 } else { self.len };
        match off.checked_add(data.len()) {
            Some(end) if end <= size => {
                // SAFETY: as in `copy_in`, for a writable argument; the length was checked.
                unsafe { access::copy_in(self.addr + off as u64, data) };
                Ok(())
            }
            _ => Err(OutOfRange { off, len: data.len(), size }),
        }
    }

    /// Sets all bytes to zero; nothing happens to memory that the helper may only read.
    pub fn zero(&self) {
        if self.access != Access::Read {
            let zeros = [0u8; 64];
            let mut off = 0;
            while off < self.len {
                let n = (self.len - off).min(zeros.len());
                // SAFETY: as in `copy_out`; within the length.
                unsafe { access::copy_in(self.addr + off as u64, &zeros[..n]) };
                off += n;
            }
        }
    }
}

impl<'c> Call<'c> {
    pub(crate) fn new(
        m: Machine<'c>,
        prog: &'c Prog,
        proto: &'c HelperProto,
        args: [u64; 5],
        slot: u32,
    ) -> Call<'c> {
        Call { m, prog, proto, args, slot, ctx_used: false }
    }

    /// The raw value of an argument; 0 for a number above 4.
    pub fn scalar(&self, i: usize) -> u64 {
        self.args.get(i).copied().unwrap_or(0)
    }

    /// A memory argument (`MapKey`, `MapValue`, `Mem`, `FixedMem`); empty for an argument of another type.
    ///
    /// After [`Call::ctx`] the packet may have moved, so the address is judged again; if it is no longer
    /// valid the memory is empty and the run stops when the helper returns. Helpers copy first.
    pub fn mem(&mut self, i: usize) -> MemRef<'_> {
        let (addr, mut len, access) =
            mem_arg(self.prog, self.proto, &self.args, i).unwrap_or((0, 0, Access::Read));
        if self.ctx_used && len != 0 {
            self.m.st.refresh_regions(self.m.ctx);
            if !self.m.may_touch(self.prog, addr, len, access) {
                self.stop(TrapKind::BadAccess { addr, len, access });
                len = 0;
            }
        }
        MemRef { addr, len, access, life: PhantomData }
    }

    /// The bytes of a `ConstStr` argument without its NUL; empty for an argument of another type.
    pub fn const_str(&mut self, i: usize) -> Vec<u8> {
        if self.proto.args.get(i) != Some(&ArgType::ConstStr) || self.ctx_used {
            return Vec::new();
        }
        let addr = self.scalar(i);
        let len = self.m.const_str_len(self.prog, addr).unwrap_or(0);
        let mut v = vec![0; len];
        // SAFETY: `const_str_len` read these bytes.
        unsafe { access::copy_out(addr, &mut v) };
        v
    }

    /// A map argument.
    pub fn map(&self, i: usize) -> Option<&'c Arc<dyn MapOps>> {
        self.prog.map_of(self.scalar(i))
    }

    /// The context, if it is a `T`.
    pub fn ctx<T: Context>(&mut self) -> Option<&mut T> {
        self.ctx_used = true;
        self.m.ctx.as_any_mut().downcast_mut()
    }

    /// The CPU slot of the run.
    pub fn slot(&self) -> Slot {
        self.m.st.slot
    }

    /// Time of a clock, in nanoseconds.
    pub fn clock_ns(&mut self, clock: Clock) -> u64 {
        self.m.host.clock_ns(clock)
    }

    /// A random number.
    pub fn random(&mut self) -> u32 {
        self.m.host.random()
    }

    /// Hands a message to the host.
    pub fn printk(&mut self, text: &[u8]) {
        self.m.host.printk(text);
    }

    /// Reads up to `max` bytes of the NUL-terminated string at any address, as far as it lies in memory that
    /// the run may touch (what `strncpy_from_kernel_nofault` is in the kernel). `None` where the first byte is
    /// not readable; the NUL is not included.
    pub fn probe_str(&mut self, addr: u64, max: usize) -> Option<Vec<u8>> {
        self.m.st.refresh_regions(self.m.ctx);
        let mut v = Vec::new();
        while v.len() < max {
            let at = addr.checked_add(v.len() as u64)?;
            if !self.m.may_touch(self.prog, at, 1, Access::Read) {
                return None;
            }
            // SAFETY: the run may touch this byte, as just checked.
            match unsafe { access::load(at, Size::B) } as u8 {
                0 => return Some(v),
                b => v.push(b),
            }
        }
        Some(v)
    }

    /// Reads `len` bytes at any address, if all of them lie in memory that the run may touch.
    pub fn probe_read(&mut self, addr: u64, len: usize) -> Option<Vec<u8>> {
        self.m.st.refresh_regions(self.m.ctx);
        if !self.m.may_touch(self.prog, addr, len, Access::Read) {
            return None;
        }
        let mut v = vec![0; len];
        // SAFETY: the run may touch these bytes, as just checked.
        unsafe { access::copy_out(addr, &mut v) };
        Some(v)
    }

    /// Calls the subprogram that argument `func` names. `None` if the run was stopped in it: the helper must
    /// then return at once (its result is not used).
    pub fn callback(&mut self, func: usize, args: [u64; 5]) -> Option<u64> {
        let Some(start) = self.prog.func_of(self.scalar(func)) else {
            self.stop(TrapKind::BadArgument {
                helper: self.proto.name,
                arg: func as u8 + 1,
                wanted: "a subprogram",
            });
            return None;
        };
        self.ctx_used = true;
        match interp::call_back(&mut self.m, self.prog, start, args) {
            Ok(v) => Some(v),
            Err(trap) => {
                self.m.st.stop.get_or_insert(trap);
                None
            }
        }
    }

    /// `bpf_for_each_map_elem`: calls the subprogram of argument `func` with (map, key, value, the argument `data`)
    /// for each element, until it answers other than 0. Answers how many elements were visited.
    ///
    /// # Errors
    /// What the map says; `EINVAL` if argument `map` is not one.
    pub fn for_each_map_elem(
        &mut self,
        map: usize,
        func: usize,
        data: usize,
    ) -> Result<u64, Errno> {
        let handle = self.scalar(map);
        let data = self.scalar(data);
        let ops = self.map(map).ok_or(Errno::EINVAL)?;
        let (key_len, slot) = (ops.spec().key_size as usize, self.slot());
        ops.for_each(slot, &mut |key, value| {
            self.m.st.lent.push(RawRegion { addr: key, len: key_len, access: RegionAccess::Read });
            let ret = self.callback(func, [handle, key, value, data, 0]);
            self.m.st.lent.pop();
            ret == Some(0)
        })
    }

    /// Replaces the running program by `target` when the helper returns. `false` if the run made its 33 tail
    /// calls already; the program then goes on.
    pub fn tail_call(&mut self, target: Arc<Prog>) -> bool {
        if self.m.st.tail_calls >= MAX_TAIL_CALL_CNT {
            return false;
        }
        self.m.st.tail_calls += 1;
        self.m.st.tail = Some(target);
        true
    }

    /// Stops the run when the helper returns.
    pub fn stop(&mut self, kind: TrapKind) {
        let slot = self.slot;
        self.m.st.stop.get_or_insert(Trap { slot, kind });
    }
}
