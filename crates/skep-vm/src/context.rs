//! [`Context`]: what a program is given; [`MemContext`]: plain memory as a context.

use crate::mem::NativeMem;
use crate::region::{Region, RegionAccess};
use core::any::Any;
use skep_abi::insn::Size;

/// What a program runs on. Each program type has its own; helpers get it back by type through
/// [`Call::ctx`](crate::Call::ctx).
pub trait Context: Any {
    /// The native context that R1 points to, laid out as the verifier's `CtxLayout` says.
    fn ctx_mem(&self) -> &NativeMem;

    /// Registers R1 to R5 at entry. Only R1 exists for verified programs.
    fn entry_args(&self) -> [u64; 5] {
        [self.ctx_mem().addr(), 0, 0, 0, 0]
    }

    /// Adds all memory that the program may touch now: the context itself and, for a packet, what lies
    /// between its bounds. Asked again after each helper call of a checked run.
    fn regions<'a>(&'a self, out: &mut Vec<Region<'a>>);

    /// A legacy packet load in host order, zero-extended. Negative offsets count from
    /// `SKF_NET_OFF` and `SKF_LL_OFF` (linux/filter.h). `None` ends the program (its current
    /// function, to be exact) with result 0.
    fn ld_abs(&self, off: i32, size: Size) -> Option<u64>;

    /// For the downcast in [`Call::ctx`](crate::Call::ctx).
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// Plain writable memory as a context, as syscall programs have it. R2 holds its length at entry.
#[derive(Clone, Debug)]
pub struct MemContext {
    mem: NativeMem,
}

impl MemContext {
    /// A context with these bytes.
    pub fn new(data: &[u8]) -> MemContext {
        MemContext { mem: NativeMem::from_bytes(data) }
    }

    /// The bytes as they are now.
    pub fn to_vec(&self) -> Vec<u8> {
        self.mem.to_vec(0, self.mem.len()).unwrap_or_default()
    }
}

impl Context for MemContext {
    fn ctx_mem(&self) -> &NativeMem {
        &self.mem
    }

    fn entry_args(&self) -> [u64; 5] {
        [self.mem.addr(), self.mem.len() as u64, 0, 0, 0]
    }

    fn regions<'a>(&'a self, out: &mut Vec<Region<'a>>) {
        out.extend(self.mem.region(0, self.mem.len(), RegionAccess::ReadWrite));
    }

    fn ld_abs(&self, _off: i32, _size: Size) -> Option<u64> {
        None
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
