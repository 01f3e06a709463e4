//! Loads, stores and atomics: what the registers must be; `mem/` judges the address.

use crate::domain::Scalar;
use crate::mem::btf::trust::{is_rcu, is_trusted};
use crate::mem::{Align, Direction, Extend, MemAccess, Value};
use crate::reject::RejectKind;
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Access, Res, Walk};
use skep_abi::insn::{AtomicOp, Reg, Size, Src};

impl Walk<'_> {
    pub(crate) fn exec_load(
        &mut self,
        size: Size,
        signed: bool,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Res<()> {
        let extend = if signed { Extend::Sign } else { Extend::Zero };
        self.load(size, extend, dst, src, off, Align::Natural)
    }

    fn load(
        &mut self,
        size: Size,
        extend: Extend,
        dst: Reg,
        src: Reg,
        off: i16,
        align: Align,
    ) -> Res<()> {
        self.check_readable(src)?;
        self.check_writable(dst)?;
        let ptr = *self.cur.reg(src);
        let ctx_off = i32::from(off);
        let access = MemAccess { base: src, off: off.into(), size, align };
        self.access_memory(access, Direction::Read { into: Some(dst), extend })?;
        self.note_access(&ptr, ctx_off)
    }

    pub(crate) fn exec_store(&mut self, size: Size, dst: Reg, off: i16, src: Src) -> Res<()> {
        self.check_src(src)?;
        self.check_readable(dst)?;
        let value = match src {
            Src::Reg(r) => Value::Reg(r),
            Src::Imm(imm) => Value::Imm(imm),
        };
        self.store(size, value, dst, off, Align::Natural)
    }

    fn store(&mut self, size: Size, value: Value, dst: Reg, off: i16, align: Align) -> Res<()> {
        let ptr = *self.cur.reg(dst);
        let access = MemAccess { base: dst, off: off.into(), size, align };
        self.access_memory(access, Direction::Write { value })?;
        self.note_access(&ptr, off.into())
    }

    pub(crate) fn exec_load_acquire(
        &mut self,
        size: Size,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Res<()> {
        self.check_readable(src)?;
        if !self.allows_atomic(src) {
            let ty = self.cur.reg(src).type_text();
            return Err(RejectKind::AtomicLoad { reg: src.num(), ty }.into());
        }
        self.load(size, Extend::Zero, dst, src, off, Align::Strict)
    }

    pub(crate) fn exec_store_release(
        &mut self,
        size: Size,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Res<()> {
        self.check_readable(dst)?;
        self.check_readable(src)?;
        if !self.allows_atomic(dst) {
            let ty = self.cur.reg(dst).type_text();
            return Err(RejectKind::AtomicStore { reg: dst.num(), ty }.into());
        }
        self.store(size, Value::Reg(src), dst, off, Align::Strict)
    }

    pub(crate) fn exec_atomic(
        &mut self,
        size: Size,
        op: AtomicOp,
        dst: Reg,
        src: Reg,
        off: i16,
    ) -> Res<()> {
        self.check_readable(src)?;
        self.check_readable(dst)?;
        let loaded = match op {
            AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => None,
            AtomicOp::FetchAdd
            | AtomicOp::FetchOr
            | AtomicOp::FetchAnd
            | AtomicOp::FetchXor
            | AtomicOp::Xchg => Some(src),
            AtomicOp::Cmpxchg => Some(Reg::R0),
        };
        if op == AtomicOp::Cmpxchg {
            self.check_readable(Reg::R0)?;
            if self.is_secret(Reg::R0) {
                return Err(RejectKind::LeakIntoMem { reg: 0 }.into());
            }
        }
        if self.is_secret(src) {
            return Err(RejectKind::LeakIntoMem { reg: src.num() }.into());
        }
        // These are loops of instructions, whose faults nobody would catch.
        let is_loop = matches!(op, AtomicOp::FetchAnd | AtomicOp::FetchOr | AtomicOp::FetchXor);
        let in_arena = self.cur.reg(dst).kind == RegKind::Arena;
        if !self.allows_atomic(dst) || (is_loop && in_arena) {
            let ty = self.cur.reg(dst).type_text();
            return Err(RejectKind::AtomicStore { reg: dst.num(), ty }.into());
        }
        if let Some(r) = loaded {
            self.check_writable(r)?;
        }
        let ptr = *self.cur.reg(dst);
        let access = MemAccess { base: dst, off: off.into(), size, align: Align::Strict };
        // SOUND: what is loaded is the old value of memory, as by a plain load; what is stored is unknown.
        // It is judged as a number first: a spilled address must not come out of it.
        let into = loaded.filter(|r| *r != dst);
        self.access_memory(access, Direction::Read { into: None, extend: Extend::Zero })?;
        if into.is_some() {
            self.access_memory(access, Direction::Read { into, extend: Extend::Zero })?;
        }
        self.access_memory(access, Direction::Write { value: Value::Unknown })?;
        if into.is_none()
            && let Some(r) = loaded
        {
            // The address register was needed for the write.
            *self.cur.reg_mut(r) = RegState::scalar(Scalar::loaded(size));
        }
        self.note_access(&ptr, off.into())
    }

    /// Whether atomics may go through the register (`atomic_ptr_type_ok`).
    fn allows_atomic(&self, r: Reg) -> bool {
        match self.cur.reg(r).kind {
            RegKind::Ctx | RegKind::Packet(_) | RegKind::PacketMeta(_) => false,
            RegKind::NotInit
            | RegKind::Scalar
            | RegKind::Map(_)
            | RegKind::MapValue(_)
            | RegKind::MapKey(_)
            | RegKind::Stack(_)
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::TpBuffer
            | RegKind::Mem(_)
            | RegKind::Buf
            | RegKind::Arena
            | RegKind::Btf(_)
            | RegKind::Dynptr(_) => true,
            RegKind::FlowKeys | RegKind::Socket(_) => false,
        }
    }

    /// Remembers what the instruction accesses: one that is rewritten must be so on every path (`save_aux_ptr_type`).
    // SOUND: what is caught on one path may be caught on all.
    fn note_access(&mut self, ptr: &RegState, off: i32) -> Res<()> {
        let access = match ptr.kind {
            RegKind::Ctx if self.prog.attach.ctx.is_some() => Access::Args,
            RegKind::Ctx if self.props.ctx.raw_memory.is_none() => {
                Access::Ctx(u32::try_from(off).unwrap_or(u32::MAX))
            }
            RegKind::Map(_) => Access::Object,
            RegKind::Btf(_) if is_trusted(ptr) || is_rcu(ptr) => Access::Object,
            RegKind::Btf(_) => Access::Probe,
            RegKind::Mem(_) if ptr.flags.has(PtrFlags::UNTRUSTED) => Access::Probe,
            RegKind::Arena => Access::Arena,
            _ => Access::Plain,
        };
        let Some(facts) = self.facts.get_mut(self.idx as usize) else { return Ok(()) };
        facts.access = match (facts.access, access) {
            (Access::None, new) => new,
            (old, new) if old == new => new,
            (Access::Object, Access::Probe) | (Access::Probe, Access::Object) => Access::Probe,
            _ => return Err(RejectKind::DifferentPointers {}.into()),
        };
        Ok(())
    }
}
