//! What engines share: the machine of one run, access checks and helper calls.

use crate::access;
use crate::call::Call;
use crate::context::Context;
use crate::prog::{HelperEntry, Prog};
use crate::region::RegionAccess;
use crate::runtime::{Host, RunState};
use crate::trap::{Access, Trap, TrapKind};
use skep_abi::insn::{AtomicOp, Size};
use skep_verifier::env::{ArgType, MemAccess, MemArg, Nullable};
use std::sync::Arc;

/// `BPF_F_RDONLY_PROG` and `BPF_F_WRONLY_PROG` (linux/bpf.h).
const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;

/// Longest constant string that is looked through for its NUL, in bytes.
const MAX_CONST_STR: usize = 64 * 1024;

/// The parts of one run. Helpers get a reborrow of it in their [`Call`].
pub(crate) struct Machine<'m> {
    pub(crate) st: &'m mut RunState,
    pub(crate) host: &'m mut (dyn Host + 'm),
    pub(crate) ctx: &'m mut dyn Context,
}

/// What a helper call came to.
pub(crate) enum HelperResult {
    /// R0.
    Value(u64),
    /// The running program is replaced.
    TailCall(Arc<Prog>),
}

impl Machine<'_> {
    pub(crate) fn reborrow(&mut self) -> Machine<'_> {
        Machine { st: self.st, host: self.host, ctx: self.ctx }
    }

    /// Whether the run may touch `len` bytes at `addr` now. The regions must be current.
    pub(crate) fn may_touch(&self, prog: &Prog, addr: u64, len: usize, access: Access) -> bool {
        if self.st.on_stack(addr, len) {
            return true;
        }
        let fits = |r: &crate::region::RawRegion| {
            r.contains(addr, len) && (access == Access::Read || r.access == RegionAccess::ReadWrite)
        };
        if self.st.regions.iter().any(fits) || self.st.lent.iter().any(fits) {
            return true;
        }
        prog.maps().iter().any(|m| {
            let denied = match access {
                Access::Read => WRONLY_PROG,
                Access::Write => RDONLY_PROG,
                Access::ReadWrite => RDONLY_PROG | WRONLY_PROG,
            };
            m.spec().flags & denied == 0 && m.owns(addr, len)
        })
    }

    pub(crate) fn check(
        &self,
        prog: &Prog,
        addr: u64,
        len: usize,
        access: Access,
    ) -> Result<(), TrapKind> {
        if !self.st.checked || self.may_touch(prog, addr, len, access) {
            return Ok(());
        }
        Err(TrapKind::BadAccess { addr, len, access })
    }

    pub(crate) fn load(&self, prog: &Prog, addr: u64, size: Size) -> Result<u64, TrapKind> {
        self.check(prog, addr, size.bytes() as usize, Access::Read)?;
        // SAFETY: VerifiedProg, or checked just now.
        Ok(unsafe { access::load(addr, size) })
    }

    pub(crate) fn store(
        &self,
        prog: &Prog,
        addr: u64,
        size: Size,
        val: u64,
    ) -> Result<(), TrapKind> {
        self.check(prog, addr, size.bytes() as usize, Access::Write)?;
        // SAFETY: VerifiedProg, or checked just now.
        unsafe { access::store(addr, size, val) };
        Ok(())
    }

    pub(crate) fn load_acquire(&self, prog: &Prog, addr: u64, size: Size) -> Result<u64, TrapKind> {
        self.check(prog, addr, size.bytes() as usize, Access::Read)?;
        // SAFETY: VerifiedProg, or checked just now.
        unsafe { access::load_acquire(addr, size) }.ok_or(TrapKind::Misaligned { addr, size })
    }

    pub(crate) fn store_release(
        &self,
        prog: &Prog,
        addr: u64,
        size: Size,
        val: u64,
    ) -> Result<(), TrapKind> {
        self.check(prog, addr, size.bytes() as usize, Access::Write)?;
        // SAFETY: VerifiedProg, or checked just now.
        unsafe { access::store_release(addr, size, val) }.ok_or(TrapKind::Misaligned { addr, size })
    }

    pub(crate) fn rmw(
        &self,
        prog: &Prog,
        addr: u64,
        size: Size,
        op: AtomicOp,
        src: u64,
        cmp: u64,
    ) -> Result<u64, TrapKind> {
        self.check(prog, addr, size.bytes() as usize, Access::ReadWrite)?;
        // SAFETY: VerifiedProg, or checked just now.
        unsafe { access::rmw(addr, size, op, src, cmp) }.ok_or(TrapKind::Misaligned { addr, size })
    }

    /// Calls a helper, after checking what its prototype demands where the run is checked.
    pub(crate) fn call_helper(
        &mut self,
        prog: &Prog,
        helper: HelperEntry,
        args: [u64; 5],
        slot: u32,
    ) -> Result<HelperResult, Trap> {
        if self.st.checked {
            for i in 0..args.len() {
                self.check_arg(prog, helper, &args, i).map_err(|kind| Trap { slot, kind })?;
            }
        }
        let r0 = {
            let mut call = Call::new(self.reborrow(), prog, helper.proto, args, slot);
            (helper.run)(&mut call)
        };
        if let Some(trap) = self.st.stop.take() {
            return Err(trap);
        }
        if self.st.checked {
            self.st.refresh_regions(self.ctx);
        }
        match self.st.tail.take() {
            Some(target) => Ok(HelperResult::TailCall(target)),
            None => Ok(HelperResult::Value(r0)),
        }
    }

    fn check_arg(
        &self,
        prog: &Prog,
        helper: HelperEntry,
        args: &[u64; 5],
        i: usize,
    ) -> Result<(), TrapKind> {
        let arg = args[i];
        let bad =
            |wanted| TrapKind::BadArgument { helper: helper.proto.name, arg: i as u8 + 1, wanted };
        match helper.proto.args[i] {
            ArgType::None
            | ArgType::Anything
            | ArgType::Size
            | ArgType::SizeOrZero
            | ArgType::AllocSize => Ok(()),
            ArgType::ConstMap => {
                prog.map_of(arg).map(|_| ()).ok_or_else(|| bad("a map of the program"))
            }
            ArgType::Ctx if arg == self.ctx.ctx_mem().addr() => Ok(()),
            ArgType::CtxOrNull if arg == 0 || arg == self.ctx.ctx_mem().addr() => Ok(()),
            ArgType::Ctx | ArgType::CtxOrNull => Err(bad("the context")),
            ArgType::Func => prog.func_of(arg).map(|_| ()).ok_or_else(|| bad("a subprogram")),
            // Only handed on to the callback, whose own accesses are checked.
            ArgType::StackOrNull => Ok(()),
            ArgType::ConstStr => match self.const_str_len(prog, arg) {
                Some(_) => Ok(()),
                None => Err(bad("a NUL-terminated string")),
            },
            ArgType::SpinLock
            | ArgType::Timer
            | ArgType::SockCommon
            | ArgType::Socket(_)
            | ArgType::Btf(..)
            | ArgType::BtfSockCommon(_)
            | ArgType::RingbufMem
            | ArgType::PercpuBtf
            | ArgType::KptrDest
            | ArgType::KptrSource
            | ArgType::Dynptr(_) => Err(bad("an object that programs that run do not have yet")),
            ArgType::MapKey
            | ArgType::MapValue
            | ArgType::MapValueOrNull
            | ArgType::UninitMapValue
            | ArgType::Mem(_)
            | ArgType::FixedMem(..)
            | ArgType::AlignedMem(..) => {
                match mem_arg(prog, helper.proto, args, i) {
                    // `map_of` failed: the map argument is reported on its own.
                    None => Err(bad("memory of a known size")),
                    Some((_, 0, _)) => Ok(()),
                    Some((addr, len, access)) => self.check(prog, addr, len, access),
                }
            }
        }
    }

    /// Length of the string at `addr` without its NUL, if the run may read all of it.
    pub(crate) fn const_str_len(&self, prog: &Prog, addr: u64) -> Option<usize> {
        (0..MAX_CONST_STR).find_map(|n| {
            let at = addr.checked_add(n as u64);
            match at.and_then(|at| self.load(prog, at, Size::B).ok()) {
                Some(0) => Some(Some(n)),
                Some(_) => None,
                None => Some(None),
            }
        })?
    }
}

/// Address, length in bytes and direction of a memory argument; a NULL that is allowed has length 0.
/// `None` if the argument is not memory, or depends on a map that is not one.
pub(crate) fn mem_arg(
    prog: &Prog,
    proto: &skep_verifier::env::HelperProto,
    args: &[u64; 5],
    i: usize,
) -> Option<(u64, usize, Access)> {
    let addr = *args.get(i)?;
    let map_spec = || {
        let at = proto.args.iter().position(|a| *a == ArgType::ConstMap)?;
        Some(prog.map_of(args[at])?.spec())
    };
    let of = |m: MemArg, len: usize| {
        let len = if addr == 0 && m.nullable == Nullable::Yes { 0 } else { len };
        let access = match m.access {
            MemAccess::Read => Access::Read,
            MemAccess::Write => Access::Write,
            MemAccess::ReadWrite => Access::ReadWrite,
        };
        (addr, len, access)
    };
    match *proto.args.get(i)? {
        ArgType::None
        | ArgType::Anything
        | ArgType::Size
        | ArgType::SizeOrZero
        | ArgType::AllocSize
        | ArgType::ConstMap
        | ArgType::Ctx
        | ArgType::CtxOrNull
        | ArgType::SpinLock
        | ArgType::Timer
        | ArgType::SockCommon
        | ArgType::Socket(_)
        | ArgType::Btf(..)
        | ArgType::BtfSockCommon(_)
        | ArgType::RingbufMem
        | ArgType::PercpuBtf
        | ArgType::KptrDest
        | ArgType::KptrSource
        | ArgType::Dynptr(_)
        | ArgType::Func
        | ArgType::StackOrNull
        | ArgType::ConstStr => None,
        ArgType::MapKey => Some((addr, map_spec()?.key_size as usize, Access::Read)),
        ArgType::MapValue => Some((addr, map_spec()?.value_size as usize, Access::Read)),
        ArgType::MapValueOrNull if addr == 0 => Some((addr, 0, Access::Read)),
        ArgType::MapValueOrNull => Some((addr, map_spec()?.value_size as usize, Access::Read)),
        ArgType::UninitMapValue => Some((addr, map_spec()?.value_size as usize, Access::Write)),
        ArgType::FixedMem(m, len) | ArgType::AlignedMem(m, len) => Some(of(m, len as usize)),
        ArgType::Mem(m) => Some(of(m, usize::try_from(*args.get(i + 1)?).ok()?)),
    }
}
