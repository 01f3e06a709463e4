//! Blocks of [`Builder`] that call: functions, helpers that call back, tail calls, and what must be given back.

use skep_abi::insn::{CallTarget, Imm64, Insn, JmpOp, Reg, Src, Width};

use super::access::slot_off;
use super::blocks::{Builder, Function, Role};
use super::state::{Kind, Slot};
use super::{RING_BUFFER, mov, mov_imm};

/// Helper numbers of `linux/bpf.h`.
mod helper {
    pub(super) const TAIL_CALL: i32 = 12;
    pub(super) const RINGBUF_RESERVE: i32 = 131;
    pub(super) const RINGBUF_SUBMIT: i32 = 132;
    pub(super) const RINGBUF_DISCARD: i32 = 133;
    pub(super) const FOR_EACH_MAP_ELEM: i32 = 164;
    pub(super) const LOOP: i32 = 181;
}

impl Builder<'_> {
    fn functions_behind(&self, fits: impl Fn(Role) -> bool) -> Vec<usize> {
        let behind = |f: &(usize, &Function)| f.0 > self.function && fits(f.1.role);
        self.functions.iter().enumerate().filter(behind).map(|(n, _)| n).collect()
    }

    /// A call of a function further down, with two numbers, or a pointer and a number.
    pub(crate) fn call(&mut self) {
        let callees = self.functions_behind(|r| matches!(r, Role::Called(_) | Role::Global));
        if callees.is_empty() || self.st.pinned[1] || self.st.pinned[2] {
            return;
        }
        let callee = self.rng.pick(&callees);
        let want = match self.functions[callee].role {
            Role::Called(kind) => kind,
            _ => Kind::Scalar,
        };
        let Some(b) = self.scalar().filter(|r| *r != Reg::R1) else { return };
        if let Kind::Frame(_) = want {
            // The function may write numbers there.
            let whole = self.whole_slots();
            if whole.is_empty() {
                return;
            }
            let slot = self.rng.pick(&whole);
            self.stack_pointer(Reg::R1, slot);
            self.st.stack[slot] = Slot::Bytes(0xff);
        } else {
            let first = self.st.holding(|k| match (want, k) {
                (Kind::MapValue(need), Kind::MapValue(len)) => len >= need,
                (want, k) => want == k,
            });
            if first.is_empty() {
                return;
            }
            let a = self.rng.pick(&first);
            self.put(mov(Reg::R1, a));
        }
        self.put(mov(Reg::R2, b));
        let slot = self.put(Insn::Call(CallTarget::Local(0)));
        self.calls.push((slot, callee));
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// `bpf_loop` or `bpf_for_each_map_elem`, with a slot of the stack as the callback's own.
    pub(crate) fn callback(&mut self) {
        let callees = self.functions_behind(|r| matches!(r, Role::LoopBody | Role::EachBody(_)));
        let whole = self.whole_slots();
        if callees.is_empty() || whole.is_empty() || (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        let (callee, slot) = (self.rng.pick(&callees), self.rng.pick(&whole));
        let id = match self.functions[callee].role {
            Role::EachBody(map) => {
                self.ld_imm64(Reg::R1, Imm64::MapIdx(map as i32, 0));
                helper::FOR_EACH_MAP_ELEM
            }
            Role::LoopBody | Role::Entry | Role::Called(_) | Role::Global => {
                match self.scalar() {
                    Some(count) if self.rng.chance(30) => {
                        self.put(mov(Reg::R1, count));
                        self.and_imm(Reg::R1, 7);
                    }
                    _ => {
                        let count = 1 + self.rng.below(8) as i32;
                        self.put(mov_imm(Reg::R1, count));
                    }
                }
                helper::LOOP
            }
        };
        let at = self.here();
        self.ld_imm64(Reg::R2, Imm64::Func(0, 0));
        self.calls.push((at, callee));
        self.stack_pointer(Reg::R3, slot);
        self.put(mov_imm(Reg::R4, 0));
        self.put(Insn::Call(CallTarget::Helper(id)));
        self.st.stack[slot] = Slot::Bytes(0xff);
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// A tail call into an empty slot, which fails; in the entry function only.
    pub(crate) fn tail_call(&mut self) {
        let is_entry = self.function == 0 && self.st.kind(Reg::R6) == Kind::Ctx;
        if !is_entry || !self.rng.chance(30) || (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        self.put(mov(Reg::R1, Reg::R6));
        self.ld_imm64(Reg::R2, Imm64::MapIdx(self.flavor.prog_array() as i32, 0));
        let index = self.rng.below(3) as i32;
        self.put(mov_imm(Reg::R3, index));
        self.put(Insn::Call(CallTarget::Helper(helper::TAIL_CALL)));
        self.st.after_call();
        // What a failed tail call leaves in R0 is not defined.
        self.constant(Reg::R0);
    }

    /// A record of a ring buffer: reserved, written, submitted or discarded; forgotten at times.
    pub(crate) fn ring_buffer(&mut self) {
        if !self.rng.chance(25) || (1..6).any(|r| self.st.pinned[r]) || self.st.pinned[9] {
            return;
        }
        self.judged_only = true;
        let bytes = 8 * (1 + self.rng.below(4)) as u16;
        self.ld_imm64(Reg::R1, Imm64::MapIdx(RING_BUFFER as i32, 0));
        self.put(mov_imm(Reg::R2, bytes.into()));
        self.put(mov_imm(Reg::R3, 0));
        self.put(Insn::Call(CallTarget::Helper(helper::RINGBUF_RESERVE)));
        self.st.after_call();
        self.put(mov(Reg::R9, Reg::R0));
        self.st.set(Reg::R9, Kind::None);
        let (width, op) = (Width::W64, JmpOp::Eq);
        let before = self.st.clone();
        let jump = self.put(Insn::JumpIf { width, op, dst: Reg::R9, src: Src::Imm(0), off: 0 });
        for _ in 0..1 + self.rng.below(3) {
            self.access_at(Reg::R9, bytes);
        }
        if self.rng.chance(30) {
            let slot = self.rng.below(super::state::SLOTS);
            let (size, off) = (skep_abi::insn::Size::DW, slot_off(slot));
            self.put(Insn::Store { size, dst: Reg::R10, off, src: Src::Reg(Reg::R9) });
            self.put(mov_imm(Reg::R9, 0));
            self.put(Insn::Load { size, signed: false, dst: Reg::R9, src: Reg::R10, off });
            self.st.stack[slot] = Slot::Bytes(0);
        }
        if self.rng.chance(95) {
            self.put(mov(Reg::R1, Reg::R9));
            self.put(mov_imm(Reg::R2, 0));
            let id = self.rng.pick(&[helper::RINGBUF_SUBMIT, helper::RINGBUF_DISCARD]);
            self.put(Insn::Call(CallTarget::Helper(id)));
        }
        self.st.after_call();
        self.st.set(Reg::R9, Kind::None);
        self.land(jump);
        self.st = self.st.merged(&before);
        self.constant(Reg::R0);
    }
}
