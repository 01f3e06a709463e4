//! [`Builder`]: writes programs block by block; control flow and arithmetic. Memory is in [`super::access`].

use skep_abi::insn::{AluOp, CallTarget, EndianOp, Imm64, Insn, JmpOp, Reg, Size, Src, Width};

use super::state::{Kind, State};
use super::{Flavor, MAPS, mov, mov_imm};
use crate::random::Rng;

/// How deep conditions and loops nest.
const MAX_NESTING: u32 = 3;
/// Slots after which no new block is begun.
const MAX_SLOTS: usize = 180;

/// A program in the making.
pub(crate) struct Builder<'r> {
    pub(crate) rng: &'r mut Rng,
    pub(crate) flavor: Flavor,
    pub(crate) st: State,
    insns: Vec<Insn>,
    /// Calls whose target is not written yet: slot and number of the function.
    pub(super) calls: Vec<(usize, usize)>,
    /// Which function is being written.
    pub(super) function: usize,
    nesting: u32,
    /// Legacy packet loads and calls exclude each other.
    pub(crate) legacy_loads: bool,
    /// Whether offsets are bounded at random, which a verifier often refuses.
    wild: bool,
    /// The functions; the first is the program itself.
    pub(super) functions: Vec<Function>,
    /// Of programs that Skep can only judge.
    pub(super) judged_only: bool,
}

/// Bytes behind a pointer that a function takes.
const ARG_BYTES: u16 = 32;
/// Bytes of its caller's stack that a function takes.
pub(super) const FRAME_BYTES: u16 = 8;

/// What calls a function, and with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// It is the program.
    Entry,
    /// `bpf_loop`.
    LoopBody,
    /// `bpf_for_each_map_elem`, with the values of the map of that index.
    EachBody(usize),
    /// Other functions, with this and a number.
    Called(Kind),
    /// Other functions, with two numbers; judged on its own.
    Global,
}

/// A function of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) role: Role,
    pub(super) start: u32,
}

impl<'r> Builder<'r> {
    pub(crate) fn new(rng: &'r mut Rng, flavor: Flavor) -> Builder<'r> {
        let legacy_loads = flavor.is_skb() && rng.chance(50);
        let mut roles = vec![Role::Entry];
        if !legacy_loads {
            for _ in 0..rng.below(3) {
                roles.push(match rng.below(2) {
                    0 => Role::LoopBody,
                    _ => Role::EachBody(rng.pick(&[0, 2])),
                });
            }
            for _ in 0..rng.below(3) {
                roles.push(match rng.below(6) {
                    0 | 1 => Role::Called(Kind::MapValue(ARG_BYTES)),
                    2 => Role::Called(Kind::Frame(FRAME_BYTES)),
                    3 => Role::Global,
                    _ => Role::Called(Kind::Scalar),
                });
            }
        }
        let functions = roles.into_iter().map(|role| Function { role, start: 0 }).collect();
        let wild = rng.chance(30);
        Builder {
            rng,
            flavor,
            st: State::new(),
            insns: Vec::new(),
            calls: Vec::new(),
            functions,
            function: 0,
            nesting: 0,
            legacy_loads,
            wild,
            judged_only: false,
        }
    }

    /// The instructions, with calls resolved.
    pub(crate) fn finish(self) -> Vec<Insn> {
        self.insns
    }

    /// Whether each function that is called is global, in their order.
    pub(crate) fn globals(&self) -> Vec<bool> {
        let used = |n: &usize| *n == 0 || self.calls.iter().any(|(_, callee)| callee == n);
        let roles = (0..self.functions.len()).filter(used).map(|n| self.functions[n].role);
        roles.map(|r| r == Role::Global).collect()
    }

    /// Appends an instruction and answers its slot.
    pub(crate) fn put(&mut self, insn: Insn) -> usize {
        self.insns.push(insn);
        self.insns.len() - 1
    }

    pub(crate) fn here(&self) -> usize {
        self.insns.len()
    }

    /// Lets the jump in a slot lead to the next instruction that is written.
    pub(crate) fn land(&mut self, slot: usize) {
        let distance = (self.insns.len() - slot - 1) as i16;
        match &mut self.insns[slot] {
            Insn::JumpIf { off, .. } | Insn::MayGoto { off } => *off = distance,
            Insn::Goto { off, .. } => *off = distance.into(),
            other => unreachable!("{other:?} is no jump"),
        }
    }

    pub(crate) fn ld_imm64(&mut self, dst: Reg, imm: Imm64) {
        self.put(Insn::LdImm64 { dst, imm });
        self.put(Insn::Imm64Hi);
    }

    pub(crate) fn scalar(&mut self) -> Option<Reg> {
        let regs = self.st.holding(|k| k == Kind::Scalar);
        (!regs.is_empty()).then(|| self.rng.pick(&regs))
    }

    pub(crate) fn writable_scalar(&mut self) -> Option<Reg> {
        let regs: Vec<Reg> = self
            .st
            .holding(|k| k == Kind::Scalar)
            .into_iter()
            .filter(|r| !self.st.pinned[r.index()])
            .collect();
        (!regs.is_empty()).then(|| self.rng.pick(&regs))
    }

    pub(crate) fn target(&mut self) -> Reg {
        let regs = self.st.writable();
        self.rng.pick(&regs)
    }

    pub(crate) fn width(&mut self) -> Width {
        self.rng.pick(&[Width::W32, Width::W64])
    }

    /// The whole program: the entry function, then those that are called.
    pub(crate) fn program(&mut self) {
        for function in 0..self.functions.len() {
            self.function = function;
            self.functions[function].start = self.here() as u32;
            // Code that nothing reaches is an error of its own.
            if function > 0 && !self.calls.iter().any(|(_, callee)| *callee == function) {
                continue;
            }
            self.st = State::new();
            let role = self.functions[function].role;
            self.arguments(role);
            for reg in [Reg::R0, Reg::R7, Reg::R8] {
                self.constant(reg);
            }
            let blocks = match role {
                Role::Entry => 4 + self.rng.below(14),
                Role::LoopBody | Role::EachBody(_) => 1 + self.rng.below(3),
                Role::Called(_) | Role::Global => 1 + self.rng.below(6),
            };
            self.blocks(blocks);
            match role {
                Role::LoopBody | Role::EachBody(_) => self.callback_result(),
                Role::Entry | Role::Called(_) | Role::Global => self.result(),
            }
        }
        for &(slot, function) in &self.calls {
            let distance = self.functions[function].start as i32 - slot as i32 - 1;
            match &mut self.insns[slot] {
                Insn::Call(CallTarget::Local(off)) => *off = distance,
                Insn::LdImm64 { imm: Imm64::Func(off, _), .. } => *off = distance,
                other => unreachable!("{other:?} names no function"),
            }
        }
    }

    /// What a function begins with.
    fn arguments(&mut self, role: Role) {
        match role {
            Role::Entry => {
                self.put(mov(Reg::R6, Reg::R1));
                self.st.set(Reg::R1, Kind::Ctx);
                self.st.set(Reg::R6, Kind::Ctx);
                self.st.pinned[6] = true;
            }
            Role::LoopBody => {
                self.st.set(Reg::R1, Kind::Scalar);
                self.keep_argument(Reg::R2, Kind::Frame(FRAME_BYTES));
            }
            Role::EachBody(map) => {
                let (key, value) = (MAPS[map].key_size as u16, MAPS[map].value_size as u16);
                self.st.set(Reg::R2, Kind::Key(key));
                self.st.set(Reg::R3, Kind::MapValue(value));
                self.keep_argument(Reg::R4, Kind::Frame(FRAME_BYTES));
            }
            Role::Called(first) => {
                self.keep_argument(Reg::R1, first);
                self.st.set(Reg::R2, Kind::Scalar);
            }
            Role::Global => {
                self.st.set(Reg::R1, Kind::Scalar);
                self.st.set(Reg::R2, Kind::Scalar);
            }
        }
    }

    /// An argument, which R9 keeps if it is a pointer.
    fn keep_argument(&mut self, reg: Reg, kind: Kind) {
        self.st.set(reg, kind);
        if kind != Kind::Scalar {
            self.put(mov(Reg::R9, reg));
            self.st.set(Reg::R9, kind);
        }
    }

    /// Some blocks in a row.
    fn blocks(&mut self, count: usize) {
        for _ in 0..count {
            if self.here() < MAX_SLOTS {
                self.block();
            }
        }
    }

    fn block(&mut self) {
        match self.rng.below(if self.wild { 33 } else { 30 }) {
            0 => {
                let dst = self.target();
                self.constant(dst);
            }
            1..=5 => self.arithmetic(),
            6 => self.conversion(),
            7..=8 => self.stack_access(),
            9 => self.spill_or_fill(),
            10 => self.context_access(),
            11..=13 => self.packet_access(),
            14..=15 => self.map_lookup(),
            16 => self.map_change(),
            17 => self.direct_value(),
            18 => self.pointer_access(),
            19 => self.atomic(),
            20..=22 => self.condition(),
            23 => self.repeat(),
            24 => self.call(),
            25 => self.early_exit(),
            26 => self.stack_variable(),
            27 => self.callback(),
            28 => self.tail_call(),
            29 => self.ring_buffer(),
            _ => self.wild_access(),
        }
    }

    /// `dst = number`.
    pub(crate) fn constant(&mut self, dst: Reg) {
        match self.rng.below(3) {
            0 => {
                let v = self.rng.bits();
                self.ld_imm64(dst, Imm64::Value(v));
            }
            1 => {
                let imm = self.rng.imm();
                self.put(Insn::Alu { width: Width::W32, op: AluOp::Mov, dst, src: Src::Imm(imm) });
            }
            _ => {
                let imm = self.rng.imm();
                self.put(mov_imm(dst, imm));
            }
        }
        self.st.set(dst, Kind::Scalar);
    }

    fn arithmetic(&mut self) {
        for _ in 0..1 + self.rng.below(4) {
            let Some(dst) = self.writable_scalar() else { return };
            let width = self.width();
            let op = self.rng.pick(AluOp::ALL);
            let src = match self.scalar() {
                Some(reg) if self.rng.chance(50) => Src::Reg(reg),
                _ => Src::Imm(self.alu_imm(op, width)),
            };
            self.put(Insn::Alu { width, op, dst, src });
        }
    }

    /// An immediate that the operation allows.
    fn alu_imm(&mut self, op: AluOp, width: Width) -> i32 {
        match op {
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => match width {
                Width::W32 => self.rng.below(32) as i32,
                Width::W64 => self.rng.below(64) as i32,
            },
            AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => match self.rng.imm() {
                0 => 3,
                v => v,
            },
            AluOp::Add
            | AluOp::Sub
            | AluOp::Mul
            | AluOp::Or
            | AluOp::And
            | AluOp::Xor
            | AluOp::Mov => self.rng.imm(),
        }
    }

    fn conversion(&mut self) {
        let (Some(dst), Some(src)) = (self.writable_scalar(), self.scalar()) else { return };
        let width = self.width();
        match self.rng.below(3) {
            0 => {
                self.put(Insn::Neg { width, dst });
            }
            1 => {
                let op = self.rng.pick(&[EndianOp::Le, EndianOp::Be, EndianOp::Swap]);
                let size = self.rng.pick(&[Size::H, Size::W, Size::DW]);
                self.put(Insn::Endian { op, size, dst });
            }
            _ => {
                let sizes: &[Size] = match width {
                    Width::W32 => &[Size::B, Size::H],
                    Width::W64 => &[Size::B, Size::H, Size::W],
                };
                let from = self.rng.pick(sizes);
                self.put(Insn::MovSx { width, from, dst, src });
            }
        }
    }

    /// An offset into a map value that comparisons and arithmetic bound, or fail to bound: soundness is decided here.
    fn wild_access(&mut self) {
        let held = self.st.holding(|k| matches!(k, Kind::MapValue(_)));
        let Some(index) = self.writable_scalar() else { return };
        if held.is_empty() {
            return;
        }
        let base = self.rng.pick(&held);
        let Kind::MapValue(len) = self.st.kind(base) else { return };
        let free: Vec<Reg> =
            self.st.writable().into_iter().filter(|r| *r != base && *r != index).collect();
        if free.is_empty() || len < 8 {
            return;
        }
        let ptr = self.rng.pick(&free);
        let size = self.rng.pick(&[Size::B, Size::H, Size::W, Size::DW]);
        let off = self.rng.below(usize::from(len - 7)) as i16;
        let signed = size != Size::DW && self.rng.chance(30);
        self.put(Insn::Load { size, signed, dst: index, src: base, off });
        let mut jumps = Vec::new();
        for _ in 0..2 + self.rng.below(5) {
            let width = self.width();
            match self.rng.below(4) {
                0 | 1 => {
                    let op = self.rng.pick(JmpOp::ALL);
                    let imm = self.rng.pick(&[0, 1, 7, 8, 15, 16, 24, 31, 32, -1, -8, -32]);
                    let src = Src::Imm(imm);
                    jumps.push(self.put(Insn::JumpIf { width, op, dst: index, src, off: 0 }));
                }
                2 => {
                    let op = self.rng.pick(&[
                        AluOp::And,
                        AluOp::Add,
                        AluOp::Sub,
                        AluOp::Mul,
                        AluOp::Rsh,
                        AluOp::Arsh,
                        AluOp::Lsh,
                        AluOp::Xor,
                        AluOp::Or,
                    ]);
                    let imm = match op {
                        AluOp::Rsh | AluOp::Arsh | AluOp::Lsh => self.alu_imm(op, width),
                        _ => self.rng.between(-8, 40) as i32,
                    };
                    self.put(Insn::Alu { width, op, dst: index, src: Src::Imm(imm) });
                }
                _ if self.rng.chance(50) => {
                    self.put(Insn::Neg { width, dst: index });
                }
                _ => {
                    let from = self.rng.pick(&[Size::B, Size::H]);
                    self.put(Insn::MovSx { width, from, dst: index, src: index });
                }
            }
        }
        self.put(mov(ptr, base));
        let (width, op) = (Width::W64, self.rng.pick(&[AluOp::Add, AluOp::Add, AluOp::Sub]));
        self.put(Insn::Alu { width, op, dst: ptr, src: Src::Reg(index) });
        self.st.set(ptr, Kind::None);
        let off = self.rng.below(usize::from(len)) as i16;
        let size = self.rng.pick(&[Size::B, Size::H, Size::W, Size::DW]);
        if self.rng.chance(30) {
            let src = Src::Imm(self.rng.imm());
            self.put(Insn::Store { size, dst: ptr, off, src });
        } else {
            self.put(Insn::Load { size, signed: false, dst: index, src: ptr, off });
        }
        for jump in jumps {
            self.land(jump);
        }
    }

    /// A conditional jump on numbers, to be landed; `None` if there is no number.
    pub(super) fn jump_if(&mut self) -> Option<usize> {
        let dst = self.scalar()?;
        let src = match self.scalar() {
            Some(reg) if self.rng.chance(35) => Src::Reg(reg),
            _ => Src::Imm(self.rng.imm()),
        };
        let (width, op) = (self.width(), self.rng.pick(JmpOp::ALL));
        Some(self.put(Insn::JumpIf { width, op, dst, src, off: 0 }))
    }

    /// `if … { … } else { … }`.
    fn condition(&mut self) {
        if self.nesting >= MAX_NESTING {
            return;
        }
        let Some(jump) = self.jump_if() else { return };
        self.nesting += 1;
        let before = self.st.clone();
        let count = 1 + self.rng.below(3);
        self.blocks(count);
        let otherwise = if self.rng.chance(50) {
            let width = self.width();
            let skip = self.put(Insn::Goto { width, off: 0 });
            self.land(jump);
            let first = core::mem::replace(&mut self.st, before);
            let count = 1 + self.rng.below(3);
            self.blocks(count);
            self.land(skip);
            first
        } else {
            self.land(jump);
            before
        };
        self.st = self.st.merged(&otherwise);
        self.nesting -= 1;
    }

    /// A loop with a constant bound, or one that `may_goto` bounds as well. Its body leaves every register and slot
    /// of the kind that it was.
    fn repeat(&mut self) {
        if self.nesting >= MAX_NESTING {
            return;
        }
        let free: Vec<Reg> = [Reg::R7, Reg::R8, Reg::R9]
            .into_iter()
            .filter(|r| !self.st.pinned[r.index()])
            .collect();
        if free.len() < 2 {
            return;
        }
        let counter = self.rng.pick(&free);
        self.put(mov_imm(counter, 0));
        self.st.set(counter, Kind::Scalar);
        self.st.pinned[counter.index()] = true;
        let top = self.here();
        let may_goto = self.rng.chance(20).then(|| self.put(Insn::MayGoto { off: 0 }));
        self.nesting += MAX_NESTING;
        for _ in 0..1 + self.rng.below(3) {
            match self.rng.below(3) {
                0 => self.conversion(),
                1 => self.stack_access(),
                _ => self.arithmetic(),
            }
        }
        self.nesting -= MAX_NESTING;
        let step = 1 + self.rng.below(3) as i32;
        self.put(Insn::Alu {
            width: Width::W64,
            op: AluOp::Add,
            dst: counter,
            src: Src::Imm(step),
        });
        let bound = 1 + self.rng.below(8) as i32;
        let off = top as i64 - self.here() as i64 - 1;
        self.put(Insn::JumpIf {
            width: Width::W64,
            op: JmpOp::Lt,
            dst: counter,
            src: Src::Imm(bound),
            off: off as i16,
        });
        if let Some(slot) = may_goto {
            self.land(slot);
        }
        self.st.pinned[counter.index()] = false;
    }

    /// `if … { return number }`.
    fn early_exit(&mut self) {
        let Some(jump) = self.jump_if() else { return };
        let before = self.st.clone();
        let imm = match self.functions[self.function].role {
            Role::LoopBody | Role::EachBody(_) => self.rng.below(2) as i32,
            Role::Entry | Role::Called(_) | Role::Global => self.rng.imm(),
        };
        self.put(mov_imm(Reg::R0, imm));
        self.put(Insn::Exit);
        self.st = before;
        self.land(jump);
    }

    /// Returns 0, or 1 at times to end the calls.
    fn callback_result(&mut self) {
        self.put(mov_imm(Reg::R0, 0));
        self.st.set(Reg::R0, Kind::None);
        if let (Some(jump), true) = (self.jump_if(), self.rng.chance(30)) {
            self.put(mov_imm(Reg::R0, 1));
            self.land(jump);
        }
        self.put(Insn::Exit);
    }

    /// Mixes every number into R0 and returns.
    fn result(&mut self) {
        let numbers = self.st.holding(|k| k == Kind::Scalar);
        if self.st.kind(Reg::R0) != Kind::Scalar {
            self.put(mov_imm(Reg::R0, 0));
        }
        for reg in numbers.into_iter().filter(|r| *r != Reg::R0) {
            for (op, src) in [(AluOp::Mul, Src::Imm(31)), (AluOp::Add, Src::Reg(reg))] {
                self.put(Insn::Alu { width: Width::W64, op, dst: Reg::R0, src });
            }
        }
        // Only 32 bits of a result are seen: fold the upper ones in.
        self.put(mov(Reg::R1, Reg::R0));
        for insn in [
            Insn::Alu { width: Width::W64, op: AluOp::Rsh, dst: Reg::R1, src: Src::Imm(32) },
            Insn::Alu { width: Width::W64, op: AluOp::Xor, dst: Reg::R0, src: Src::Reg(Reg::R1) },
            Insn::Exit,
        ] {
            self.put(insn);
        }
    }
}
