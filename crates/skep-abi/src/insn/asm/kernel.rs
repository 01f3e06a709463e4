//! The kernel's notation: what [`crate::insn::disasm`] prints, `(b7) r0 = 0`, with or without the opcode.

use super::cursor::{Cursor, Parse};
use crate::insn::table::{AtomicText, Form, Pseudo};
use crate::insn::{AluOp, AtomicOp, CallTarget, Imm64, Insn, JmpOp, Reg, Size, Width};

/// Reads an instruction of one form, operands and all.
pub(super) fn parse(form: Form, c: &mut Cursor<'_>) -> Parse<Insn> {
    match form {
        Form::Alu => {
            let (width, dst) = c.any_reg()?;
            let op = c.longest(
                "an operator such as `=` or `+=`",
                AluOp::ALL.iter().map(|op| (op.row().sign, *op)),
            )?;
            Ok(Insn::Alu { width, op, dst, src: c.reg_or_imm(width)? })
        }
        Form::MovSx => {
            let (width, dst) = c.any_reg()?;
            c.token("=")?;
            c.token("(")?;
            let from = signed_type(c)?;
            c.token(")")?;
            let src = c.reg(width)?;
            if from == Size::DW || (from == Size::W && width == Width::W32) {
                return c.expected("a sign-extending move from fewer bits than the register has");
            }
            Ok(Insn::MovSx { width, from, dst, src })
        }
        Form::AddrSpaceCast => {
            let dst = c.reg(Width::W64)?;
            c.token("=")?;
            c.keyword("addr_space_cast")?;
            c.token("(")?;
            let src = c.reg(Width::W64)?;
            let (dst_as, src_as) = super::address_spaces(c)?;
            c.token(")")?;
            Ok(Insn::AddrSpaceCast { dst, src, dst_as, src_as })
        }
        Form::Neg => {
            let (width, dst) = c.any_reg()?;
            c.token("=")?;
            c.token("-")?;
            same_reg(c, width, dst)?;
            Ok(Insn::Neg { width, dst })
        }
        Form::Endian => {
            let dst = c.reg(Width::W64)?;
            c.token("=")?;
            let (op, size) = super::endian(c, &[])?;
            same_reg(c, Width::W64, dst)?;
            Ok(Insn::Endian { op, size, dst })
        }
        Form::LdImm64 => {
            let dst = c.reg(Width::W64)?;
            c.token("=")?;
            let imm = imm64(c)?;
            Ok(Insn::LdImm64 { dst, imm })
        }
        Form::Imm64Hi => c.expected("an instruction (a second half is written with its first)"),
        Form::LdAbs => {
            let size = packet_load(c)?;
            let imm = c.int32("an offset in the packet")?;
            c.token("]")?;
            Ok(Insn::LdAbs { size, imm })
        }
        Form::LdInd => {
            let size = packet_load(c)?;
            let src = c.reg(Width::W64)?;
            c.token("+")?;
            let imm = c.int32("an offset in the packet")?;
            c.token("]")?;
            Ok(Insn::LdInd { size, src, imm })
        }
        Form::Load => {
            let dst = c.reg(Width::W64)?;
            c.token("=")?;
            c.token("*(")?;
            let (size, signed) = any_type(c)?;
            let (src, off) = address(c)?;
            if signed && size == Size::DW {
                return c.expected("a sign-extending load of less than 64 bits");
            }
            Ok(Insn::Load { size, signed, dst, src, off })
        }
        Form::Store => {
            c.token("*")?;
            let (size, dst, off) = memory(c)?;
            c.token("=")?;
            Ok(Insn::Store { size, dst, off, src: c.reg_or_imm(Width::W64)? })
        }
        Form::Atomic => atomic(c),
        Form::LoadAcquire => {
            let dst = c.reg(Width::W64)?;
            c.token("=")?;
            c.keyword("load_acquire")?;
            c.token("(")?;
            let (size, src, off) = memory(c)?;
            c.token(")")?;
            Ok(Insn::LoadAcquire { size, dst, src, off })
        }
        Form::StoreRelease => {
            c.keyword("store_release")?;
            c.token("(")?;
            let (size, dst, off) = memory(c)?;
            c.token(",")?;
            let src = c.reg(Width::W64)?;
            c.token(")")?;
            Ok(Insn::StoreRelease { size, dst, src, off })
        }
        Form::Goto => {
            let mut long = c.clone();
            if long.keyword("gotol").is_ok() {
                *c = long;
                return Ok(Insn::Goto { width: Width::W32, off: c.target()? });
            }
            c.keyword("goto")?;
            Ok(Insn::Goto { width: Width::W64, off: c.target16()?.into() })
        }
        Form::MayGoto => {
            c.keyword("may_goto")?;
            Ok(Insn::MayGoto { off: c.target16()? })
        }
        Form::JumpIf => {
            c.keyword("if")?;
            let (width, dst) = c.any_reg()?;
            let op = c.longest(
                "a condition such as `==` or `s<`",
                JmpOp::ALL.iter().map(|op| (op.row().sign, *op)),
            )?;
            let src = c.reg_or_imm(width)?;
            c.keyword("goto")?;
            Ok(Insn::JumpIf { width, op, dst, src, off: c.target16()? })
        }
        Form::Call => {
            c.keyword("call")?;
            Ok(Insn::Call(call_target(c)?))
        }
        Form::Exit => {
            c.keyword("exit")?;
            Ok(Insn::Exit)
        }
    }
}

/// The register once more, as in `r1 = -r1`.
fn same_reg(c: &mut Cursor<'_>, width: Width, reg: Reg) -> Parse<()> {
    c.skip_space();
    let mut after = c.clone();
    if after.reg(width)? != reg {
        return c.expected(format!("`{}{}` again", width.letter(), reg.num()));
    }
    *c = after;
    Ok(())
}

fn signed_type(c: &mut Cursor<'_>) -> Parse<Size> {
    c.longest("a signed type such as `s8`", Size::ALL.iter().map(|s| (s.row().signed, *s)))
}

fn unsigned_type(c: &mut Cursor<'_>) -> Parse<Size> {
    c.longest("a type such as `u32`", Size::ALL.iter().map(|s| (s.row().unsigned, *s)))
}

/// A type, and whether it is signed.
fn any_type(c: &mut Cursor<'_>) -> Parse<(Size, bool)> {
    let signed = Size::ALL.iter().map(|s| (s.row().signed, (*s, true)));
    let unsigned = Size::ALL.iter().map(|s| (s.row().unsigned, (*s, false)));
    c.longest("a type such as `u32`", unsigned.chain(signed))
}

/// What follows the type: ` *)(r1 +8)`.
fn address(c: &mut Cursor<'_>) -> Parse<(Reg, i16)> {
    c.token("*")?;
    c.token(")")?;
    c.token("(")?;
    let base = c.reg(Width::W64)?;
    let off = if c.eat(")") {
        return Ok((base, 0));
    } else {
        super::signed_offset(c)?
    };
    c.token(")")?;
    Ok((base, off))
}

/// `(u64 *)(r10 -8)`.
fn memory(c: &mut Cursor<'_>) -> Parse<(Size, Reg, i16)> {
    c.token("(")?;
    let size = unsigned_type(c)?;
    let (base, off) = address(c)?;
    Ok((size, base, off))
}

/// `r0 = *(u8 *)skb[`.
fn packet_load(c: &mut Cursor<'_>) -> Parse<Size> {
    let before = c.clone();
    if c.reg(Width::W64)? != Reg::R0 {
        *c = before;
        return c.expected("`r0`, where packet loads put their result");
    }
    c.token("=")?;
    c.token("*(")?;
    let size = unsigned_type(c)?;
    c.token("*")?;
    c.token(")")?;
    c.token("skb")?;
    c.token("[")?;
    if size == Size::DW {
        return c.expected("a packet load of 1, 2 or 4 bytes");
    }
    Ok(size)
}

fn atomic(c: &mut Cursor<'_>) -> Parse<Insn> {
    let mut lock = c.clone();
    if lock.keyword("lock").is_ok() {
        *c = lock;
        c.token("*")?;
        let (size, dst, off) = atomic_memory(c)?;
        let signs = AtomicOp::ALL.iter().filter_map(|op| match op.row().text {
            AtomicText::Lock(sign) => Some((sign, *op)),
            AtomicText::Fetch(_) | AtomicText::Compare(_) => None,
        });
        let op = c.longest("an operator: `+=`, `|=`, `&=` or `^=`", signs)?;
        return Ok(Insn::Atomic { size, op, dst, src: c.reg(Width::W64)?, off });
    }

    let result = c.reg(Width::W64)?;
    c.token("=")?;
    let wide = c.longest(
        "`atomic_` or `atomic64_`",
        [("atomic_", false), ("atomic64_", true)].into_iter(),
    )?;
    let names = AtomicOp::ALL.iter().filter_map(|op| match op.row().text {
        AtomicText::Lock(_) => None,
        AtomicText::Fetch(name) | AtomicText::Compare(name) => Some((name, *op)),
    });
    let op = c.longest("an atomic operation such as `fetch_add`", names)?;
    c.token("(")?;
    let (size, dst, off) = atomic_memory(c)?;
    if (size == Size::DW) != wide {
        return c.expected("`atomic_` with u32 or `atomic64_` with u64");
    }
    c.token(",")?;
    let src = match op.row().text {
        AtomicText::Compare(_) => {
            same_reg(c, Width::W64, Reg::R0)?;
            if result != Reg::R0 {
                return c.expected("`r0` as the result of cmpxchg");
            }
            c.token(",")?;
            c.reg(Width::W64)?
        }
        AtomicText::Fetch(_) | AtomicText::Lock(_) => {
            same_reg(c, Width::W64, result)?;
            result
        }
    };
    c.token(")")?;
    Ok(Insn::Atomic { size, op, dst, src, off })
}

fn atomic_memory(c: &mut Cursor<'_>) -> Parse<(Size, Reg, i16)> {
    let (size, dst, off) = memory(c)?;
    match size {
        Size::W | Size::DW => Ok((size, dst, off)),
        Size::B | Size::H => c.expected("an atomic operation on u32 or u64"),
    }
}

/// What is loaded: a number (with an optional `ll`), or one of the bracketed references.
fn imm64(c: &mut Cursor<'_>) -> Parse<Imm64> {
    if c.eat("map[") {
        let sources = [("fd:", Pseudo::MapFd), ("idx:", Pseudo::MapIdx)];
        let pseudo = c.pseudo(&sources)?;
        let map = c.int32("a map's fd or index")?;
        c.token("]")?;
        if !c.eat("[0]") {
            return Ok(Imm64::from_parts(pseudo, map, 0));
        }
        c.token("+")?;
        let off = c.integer("an offset in the value", 0, u32::MAX.into())? as u32;
        return Ok(match pseudo {
            Pseudo::MapIdx => Imm64::MapIdxValue(map, off),
            _ => Imm64::MapValue(map, off),
        });
    }
    if c.eat("btf[id:") {
        let id = c.int32("a BTF id")?;
        let fd = if c.eat(",fd:") { c.int32("a BTF fd")? } else { 0 };
        c.token("]")?;
        return Ok(Imm64::BtfId(id, fd));
    }
    if c.eat("subprog[") {
        let off = c.target()?;
        let hi = if c.eat(",hi:") { c.int32("an immediate")? } else { 0 };
        c.token("]")?;
        return Ok(Imm64::Func(off, hi));
    }
    let value = c.imm64()?;
    c.eat("ll");
    Ok(Imm64::Value(value))
}

fn call_target(c: &mut Cursor<'_>) -> Parse<CallTarget> {
    if c.eat("kfunc[id:") {
        let btf_id = c.int32("a BTF id")?;
        c.token(",fd_idx:")?;
        let btf_fd_idx = c.int16("an index of a BTF fd")?;
        c.token("]")?;
        return Ok(CallTarget::Kfunc { btf_id, btf_fd_idx });
    }
    let mut helper = c.clone();
    if !helper.word().is_empty() && helper.eat("#") {
        *c = helper;
        return Ok(CallTarget::Helper(c.int32("a helper's number")?));
    }
    let mut local = c.clone();
    local.skip_space();
    if local.eat("pc") && matches!(local.rest().as_bytes().first(), Some(b'+' | b'-')) {
        return Ok(CallTarget::Local(c.target()?));
    }
    c.skip_space();
    c.expected("`pc+N`, `NAME#ID` or `kfunc[id:N,fd_idx:N]`")
}
