//! Arithmetic on numbers, moves and 64-bit immediates.

use crate::domain::Scalar;
use crate::pre::{Linkage, MapId};
use crate::reject::{ProgReject, RejectKind};
use crate::state::{RegKind, RegState, Shift};
use crate::walk::{Res, Stop, Walk, unsupported};
use skep_abi::insn::{AluOp, EndianOp, Imm64, Reg, Size, Src, Width};
use skep_abi::uapi::BPF_MAP_TYPE_ARENA;

/// The operator as messages show it (`bpf_alu_string`).
pub(super) fn op_text(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Sdiv => "s/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Arsh => "s>>=",
        AluOp::Mod => "%=",
        AluOp::Smod => "s%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
    }
}

fn bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

impl Walk<'_> {
    pub(crate) fn exec_alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Src) -> Res<()> {
        if op == AluOp::Mov {
            return self.exec_mov(width, dst, src);
        }
        self.check_src(src)?;
        self.check_readable(dst)?;
        check_imm(width, op, src)?;
        self.check_writable(dst)?;

        let dst_is_ptr = self.cur.reg(dst).is_pointer();
        let operand = match src {
            Src::Reg(r) => *self.cur.reg(r),
            Src::Imm(imm) => RegState::scalar(Scalar::imm(imm)),
        };
        if self.cur.reg(dst).kind == RegKind::Arena || operand.kind == RegKind::Arena {
            // SOUND: the result is cut to 32 bits when the program runs, and all of them lie in the arena.
            *self.cur.reg_mut(dst) = RegState::pointer(RegKind::Arena);
            return Ok(());
        }
        if dst_is_ptr && operand.is_pointer() {
            if op == AluOp::Sub && self.rights.allow_ptr_leaks {
                // SOUND: the difference of two addresses is some number.
                *self.cur.reg_mut(dst) = RegState::UNKNOWN;
                return Ok(());
            }
            let op = op_text(op);
            return Err(RejectKind::PointerOpPointer { reg: dst.num(), op }.into());
        }
        if dst_is_ptr {
            // What the pointer is proved to reach depends on the offset's bounds.
            if let Src::Reg(r) = src {
                self.mark_precise(r)?;
            }
            let ptr = *self.cur.reg(dst);
            return self.adjust_pointer(
                width,
                op,
                (dst, src),
                ptr,
                operand,
                super::pointer::Order::PtrFirst,
            );
        }
        if operand.is_pointer() {
            self.mark_precise(dst)?;
            let off = *self.cur.reg(dst);
            return self.adjust_pointer(
                width,
                op,
                (dst, src),
                operand,
                off,
                super::pointer::Order::PtrLast,
            );
        }
        self.guard_numbers(op, dst, src)?;
        self.split_sign_mask(op, dst, &operand.num)?;
        self.adjust_scalar(width, op, dst, &operand.num);
        Ok(())
    }

    /// A number that is -1 or 0 is taken as each in turn where a constant picks bits of it (`maybe_fork_scalars`).
    // SOUND: the two are all that it can be. The second is put aside before the instruction, so it is masked as well.
    fn split_sign_mask(&mut self, op: AluOp, dst: Reg, operand: &Scalar) -> Res<()> {
        if !matches!(op, AluOp::And | AluOp::Or) || operand.const_value().is_none() {
            return Ok(());
        }
        let Some((ones, zero)) = self.cur.reg(dst).num.split_sign_mask() else { return Ok(()) };
        let mut other = self.cur.clone();
        other.reg_mut(dst).num = zero;
        self.push_path(self.idx, other)?;
        self.cur.reg_mut(dst).num = ones;
        Ok(())
    }

    /// Arithmetic of two numbers, and what becomes of the links of `dst`.
    fn adjust_scalar(&mut self, width: Width, op: AluOp, dst: Reg, operand: &Scalar) {
        let may_link = self.rights.bpf_capable;
        let r = self.cur.reg_mut(dst);
        let fits = width == Width::W64 || r.num.umax() <= u64::from(u32::MAX);
        r.num = r.num.alu(width, op, operand);
        let shift = if may_link && r.id != 0 && r.shift == Shift::None && fits {
            shift_of(width, op, operand)
        } else {
            None
        };
        match shift {
            Some((shift, off)) => (r.shift, r.off) = (shift, off),
            None => r.unlink(),
        }
    }

    /// Gives a number an id before it is copied, so that copies learn from each other's comparisons.
    pub(crate) fn link_before_copy(&mut self, r: Reg) {
        let reg = *self.cur.reg(r);
        if !reg.is_scalar() {
            return;
        }
        let mut id = reg.id;
        if reg.shift != Shift::None {
            self.cur.reg_mut(r).unlink();
            id = 0;
        }
        if id == 0 && reg.num.const_value().is_none() {
            let id = self.new_id();
            self.cur.reg_mut(r).id = id;
        }
    }

    fn exec_mov(&mut self, width: Width, dst: Reg, src: Src) -> Res<()> {
        self.check_src(src)?;
        self.check_writable(dst)?;
        let src = match src {
            Src::Imm(imm) => {
                let v = Scalar::imm(imm);
                *self.cur.reg_mut(dst) = RegState::scalar(match width {
                    Width::W64 => v,
                    Width::W32 => v.zero_extend32(),
                });
                return Ok(());
            }
            Src::Reg(r) => r,
        };
        match width {
            Width::W64 => {
                self.link_before_copy(src);
                *self.cur.reg_mut(dst) = *self.cur.reg(src);
            }
            Width::W32 => {
                if self.is_secret(src) {
                    return Err(RejectKind::PartialPointerCopy { reg: src.num() }.into());
                }
                let from = *self.cur.reg(src);
                if !from.is_scalar() {
                    // SOUND: half an address is some 32-bit number.
                    *self.cur.reg_mut(dst) = RegState::scalar(Scalar::loaded(Size::W));
                    return Ok(());
                }
                // SOUND: only a number whose upper half is zero equals its zero-extended copy.
                let fits = from.width_bits() <= 32;
                if fits {
                    self.link_before_copy(src);
                }
                let mut copy = *self.cur.reg(src);
                if !fits {
                    copy.unlink();
                }
                copy.num = copy.num.zero_extend32();
                *self.cur.reg_mut(dst) = copy;
            }
        }
        Ok(())
    }

    pub(crate) fn exec_movsx(&mut self, width: Width, from: Size, dst: Reg, src: Reg) -> Res<()> {
        self.check_readable(src)?;
        self.check_writable(dst)?;
        if self.is_secret(src) {
            return Err(RejectKind::SignExtendPointer { reg: src.num() }.into());
        }
        let value = *self.cur.reg(src);
        if !value.is_scalar() {
            let size = if width == Width::W32 { Size::W } else { Size::DW };
            // SOUND: part of an address is some number.
            *self.cur.reg_mut(dst) = RegState::scalar(Scalar::loaded(size));
            return Ok(());
        }
        // SOUND: a number below the sign bit equals its extension.
        let unchanged = value.num.umax() < 1u64 << (from.bits() - 1);
        if unchanged {
            self.link_before_copy(src);
        }
        let mut copy = *self.cur.reg(src);
        if !unchanged {
            copy.unlink();
        }
        copy.num = copy.num.sign_extend(from, width);
        *self.cur.reg_mut(dst) = copy;
        Ok(())
    }

    pub(crate) fn exec_neg(&mut self, width: Width, dst: Reg) -> Res<()> {
        self.check_unary(dst)?;
        let r = self.cur.reg_mut(dst);
        *r = match r.kind {
            RegKind::Scalar => RegState::scalar(r.num.neg(width)),
            _ => RegState::UNKNOWN,
        };
        Ok(())
    }

    pub(crate) fn exec_endian(&mut self, op: EndianOp, size: Size, dst: Reg) -> Res<()> {
        self.check_unary(dst)?;
        let r = self.cur.reg_mut(dst);
        *r = match r.kind {
            RegKind::Scalar => RegState::scalar(r.num.endian(op, size)),
            _ => RegState::UNKNOWN,
        };
        Ok(())
    }

    fn check_unary(&self, dst: Reg) -> Res<()> {
        self.check_readable(dst)?;
        if self.is_secret(dst) {
            return Err(RejectKind::PointerArithmetic { reg: dst.num() }.into());
        }
        self.check_writable(dst)
    }

    fn is_arena(&self, id: MapId) -> bool {
        self.map(id).is_ok_and(|m| m.map_type == BPF_MAP_TYPE_ARENA)
    }

    /// A pointer to the arena as user space has it becomes one for the program, or the other way round.
    // SOUND: the low 32 bits name a place in the arena whatever they are; what is not there faults, and the fault is
    // caught.
    pub(crate) fn exec_addr_space_cast(
        &mut self,
        dst: Reg,
        src: Reg,
        to: u16,
        from: u16,
    ) -> Res<()> {
        if !matches!((to, from), (0, 1) | (1, 0)) {
            return Err(RejectKind::ArenaCastSpaces {}.into());
        }
        if !self.prog.maps.all().any(|m| m.map_type == BPF_MAP_TYPE_ARENA) {
            return Err(RejectKind::ArenaCastNoArena {}.into());
        }
        self.check_readable(src)?;
        self.check_writable(dst)?;
        *self.cur.reg_mut(dst) = match from {
            1 => RegState::pointer(RegKind::Arena),
            _ => RegState::UNKNOWN,
        };
        Ok(())
    }

    pub(crate) fn exec_ld_imm64(&mut self, dst: Reg, imm: Imm64) -> Res<()> {
        self.check_writable(dst)?;
        let map = |walk: &Self, fd_idx: i32| {
            u32::try_from(fd_idx)
                .ok()
                .and_then(|i| walk.prog.maps.by_fd_idx(i))
                .ok_or(Stop::Bug("a map was not resolved"))
        };
        let value = match imm {
            Imm64::Value(v) => RegState::scalar(Scalar::constant(v)),
            Imm64::MapIdx(i, _) => RegState::pointer(RegKind::Map(map(self, i)?)),
            // Where it is to the program is known when it runs.
            Imm64::MapIdxValue(i, _) if self.is_arena(map(self, i)?) => RegState::UNKNOWN,
            Imm64::MapIdxValue(i, off) => {
                let off = i32::try_from(off).map_err(|_| Stop::Bug("map offset not checked"))?;
                RegState { off, ..RegState::pointer(RegKind::MapValue(map(self, i)?)) }
            }
            Imm64::Func(off, _) => {
                let at = self.slot_at(off)?;
                let subprog = self.prog.subprog_of.get(at as usize).copied();
                let subprog = subprog.ok_or(Stop::Bug("a function was not resolved"))?;
                let func = self.prog.funcs.get(usize::from(subprog));
                if func.is_some_and(|f| f.linkage == Linkage::Global) {
                    return Err(ProgReject::CallbackNotStatic {}.into());
                }
                RegState::pointer(RegKind::Func(subprog))
            }
            Imm64::BtfId(..) => {
                self.prog.ksyms.at(self.idx).ok_or(Stop::Bug("a variable was not resolved"))?
            }
            Imm64::MapFd(..) | Imm64::MapValue(..) => {
                return Err(unsupported("this form of ld_imm64"));
            }
        };
        *self.cur.reg_mut(dst) = value;
        Ok(())
    }
}

/// How the result of an addition or subtraction follows from the number before it.
// SOUND: by one constant, which is exact modulo the width; at 32 bits the number before was below 2^32, so that it can be
// found again from the result.
fn shift_of(width: Width, op: AluOp, operand: &Scalar) -> Option<(Shift, i32)> {
    let value = operand.const_at(width)?;
    let (shift, off) = match width {
        Width::W64 => (Shift::Wide, i32::try_from(value as i64).ok()?),
        Width::W32 => (Shift::Half, value as i32),
    };
    match op {
        AluOp::Add => Some((shift, off)),
        AluOp::Sub => Some((shift, off.checked_neg()?)),
        _ => None,
    }
}

/// Immediates that no operation of this kind may have.
fn check_imm(width: Width, op: AluOp, src: Src) -> Res<()> {
    let Src::Imm(imm) = src else { return Ok(()) };
    match op {
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if imm == 0 => {
            Err(RejectKind::DivByZero {}.into())
        }
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh
            if u32::try_from(imm).is_ok_and(|n| n < bits(width)) =>
        {
            Ok(())
        }
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => {
            Err(RejectKind::InvalidShift { count: imm }.into())
        }
        _ => Ok(()),
    }
}
