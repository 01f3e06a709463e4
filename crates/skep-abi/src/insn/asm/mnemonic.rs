//! The mnemonic notation of the public ISA vectors (that of ubpf): `mov32 %r0, 1`, `ldxdw %r1, [%r10-8]`.
//!
//! Beyond what the vectors use there are: `movsxFT`, `may_goto`, `addr_space_cast`, `ldabsw`, `ldindw`,
//! `load_acquirew` and `store_releasew` (with each size).

use super::AsmErrorKind;
use super::cursor::{Cursor, Parse};
use crate::insn::table::Form;
use crate::insn::{
    AluOp, AtomicOp, CallTarget, EndianOp, Imm64, Insn, JmpOp, Reg, Size, Src, Width,
};

/// Reads an instruction of one form, operands and all.
pub(super) fn parse(form: Form, c: &mut Cursor<'_>) -> Parse<Insn> {
    match form {
        Form::Alu => {
            let (op, width) = mnemonic(c, "an arithmetic instruction", |word| {
                with_width(word, |name| AluOp::ALL.iter().copied().find(|op| op.row().name == name))
            })?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            Ok(Insn::Alu { width, op, dst, src: c.reg_or_imm(Width::W64)? })
        }
        Form::MovSx => {
            let (from, width) = mnemonic(c, "`movsx`", sign_extension)?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            Ok(Insn::MovSx { width, from, dst, src: c.reg(Width::W64)? })
        }
        Form::AddrSpaceCast => {
            c.keyword("addr_space_cast")?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            let src = c.reg(Width::W64)?;
            let (dst_as, src_as) = super::address_spaces(c)?;
            Ok(Insn::AddrSpaceCast { dst, src, dst_as, src_as })
        }
        Form::Neg => {
            let ((), width) = mnemonic(c, "`neg`", |word| {
                with_width(word, |name| (name == "neg").then_some(()))
            })?;
            Ok(Insn::Neg { width, dst: c.reg(Width::W64)? })
        }
        Form::Endian => {
            // The vectors call the unconditional swap both `bswap16` and `swap16`.
            let (op, size) = super::endian(c, &[("swap", EndianOp::Swap)])?;
            Ok(Insn::Endian { op, size, dst: c.reg(Width::W64)? })
        }
        Form::LdImm64 => {
            c.keyword("lddw")?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            Ok(Insn::LdImm64 { dst, imm: Imm64::Value(c.imm64()?) })
        }
        Form::Imm64Hi => c.expected("an instruction (a second half is written with its first)"),
        Form::LdAbs => {
            let size = sized(c, "ldabs", &[Size::B, Size::H, Size::W])?;
            Ok(Insn::LdAbs { size, imm: c.imm32()? })
        }
        Form::LdInd => {
            let size = sized(c, "ldind", &[Size::B, Size::H, Size::W])?;
            let src = c.reg(Width::W64)?;
            c.token(",")?;
            Ok(Insn::LdInd { size, src, imm: c.imm32()? })
        }
        Form::Load => {
            let signed_sizes = [Size::B, Size::H, Size::W];
            let mut as_signed = c.clone();
            let (size, signed) = match sized(&mut as_signed, "ldxs", &signed_sizes) {
                Ok(size) => {
                    *c = as_signed;
                    (size, true)
                }
                Err(_) => (sized(c, "ldx", Size::ALL)?, false),
            };
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            let (src, off) = memory(c)?;
            Ok(Insn::Load { size, signed, dst, src, off })
        }
        Form::Store => {
            let mut from_reg = c.clone();
            let is_reg = sized(&mut from_reg, "stx", Size::ALL);
            if let Ok(size) = is_reg {
                *c = from_reg;
                let (dst, off) = memory(c)?;
                c.token(",")?;
                return Ok(Insn::Store { size, dst, off, src: Src::Reg(c.reg(Width::W64)?) });
            }
            let size = sized(c, "st", Size::ALL)?;
            let (dst, off) = memory(c)?;
            c.token(",")?;
            Ok(Insn::Store { size, dst, off, src: Src::Imm(c.imm32()?) })
        }
        Form::Atomic => {
            c.keyword("lock")?;
            let mut fetch = c.clone();
            let prefix = if fetch.keyword("fetch").is_ok() {
                *c = fetch;
                "fetch_"
            } else {
                ""
            };
            let (op, width) =
                mnemonic(c, "an atomic operation such as `add` or `cmpxchg32`", |word| {
                    let find = |name: &str| {
                        AtomicOp::ALL
                            .iter()
                            .copied()
                            .find(|op| op.row().name.strip_prefix(prefix) == Some(name))
                    };
                    with_width(word, find)
                })?;
            let size = match width {
                Width::W32 => Size::W,
                Width::W64 => Size::DW,
            };
            let (dst, off) = memory(c)?;
            c.token(",")?;
            Ok(Insn::Atomic { size, op, dst, src: c.reg(Width::W64)?, off })
        }
        Form::LoadAcquire => {
            let size = sized(c, "load_acquire", Size::ALL)?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            let (src, off) = memory(c)?;
            Ok(Insn::LoadAcquire { size, dst, src, off })
        }
        Form::StoreRelease => {
            let size = sized(c, "store_release", Size::ALL)?;
            let (dst, off) = memory(c)?;
            c.token(",")?;
            Ok(Insn::StoreRelease { size, dst, src: c.reg(Width::W64)?, off })
        }
        Form::Goto => {
            let ((), width) =
                mnemonic(c, "`ja`", |word| with_width(word, |name| (name == "ja").then_some(())))?;
            let off = match width {
                Width::W32 => c.target()?,
                Width::W64 => c.target16()?.into(),
            };
            Ok(Insn::Goto { width, off })
        }
        Form::MayGoto => {
            c.keyword("may_goto")?;
            Ok(Insn::MayGoto { off: c.target16()? })
        }
        Form::JumpIf => {
            let (op, width) = mnemonic(c, "a conditional jump", |word| {
                with_width(word, |name| JmpOp::ALL.iter().copied().find(|op| op.row().name == name))
            })?;
            let dst = c.reg(Width::W64)?;
            c.token(",")?;
            let src = c.reg_or_imm(Width::W64)?;
            c.token(",")?;
            Ok(Insn::JumpIf { width, op, dst, src, off: c.target16()? })
        }
        Form::Call => call(c),
        Form::Exit => {
            c.keyword("exit")?;
            Ok(Insn::Exit)
        }
    }
}

/// Takes the mnemonic if `find` knows it.
fn mnemonic<T>(c: &mut Cursor<'_>, what: &str, find: impl Fn(&str) -> Option<T>) -> Parse<T> {
    c.skip_space();
    let mut after = c.clone();
    match find(after.word()) {
        Some(found) => {
            *c = after;
            Ok(found)
        }
        None => c.expected(what),
    }
}

/// A name, or a name and `32` or `64`.
fn with_width<T>(word: &str, find: impl Fn(&str) -> Option<T>) -> Option<(T, Width)> {
    if let Some(found) = find(word) {
        return Some((found, Width::W64));
    }
    if let Some(found) = word.strip_suffix("32").and_then(&find) {
        return Some((found, Width::W32));
    }
    word.strip_suffix("64").and_then(find).map(|found| (found, Width::W64))
}

/// A prefix and a size suffix, such as `ldx` and `dw`.
fn sized(c: &mut Cursor<'_>, prefix: &str, sizes: &[Size]) -> Parse<Size> {
    mnemonic(c, &format!("`{prefix}` and a size"), |word| {
        let suffix = word.strip_prefix(prefix)?;
        sizes.iter().copied().find(|s| s.row().name == suffix)
    })
}

/// `movsx832`: from 8 bits to 32.
fn sign_extension(word: &str) -> Option<(Size, Width)> {
    let bits = word.strip_prefix("movsx")?;
    [Width::W32, Width::W64].into_iter().find_map(|width| {
        let from: u32 = bits.strip_suffix(width.bits().to_string().as_str())?.parse().ok()?;
        let size = Size::ALL.iter().copied().find(|s| s.bits() == from)?;
        (from < width.bits()).then_some((size, width))
    })
}

/// `[%r10-8]`.
fn memory(c: &mut Cursor<'_>) -> Parse<(Reg, i16)> {
    c.token("[")?;
    let base = c.reg(Width::W64)?;
    if c.eat("]") {
        return Ok((base, 0));
    }
    let off = super::signed_offset(c)?;
    c.token("]")?;
    Ok((base, off))
}

/// `call 5` is a helper, `call local f` a subprogram, `call %r2` an instruction that Linux does not have.
fn call(c: &mut Cursor<'_>) -> Parse<Insn> {
    c.keyword("call")?;
    let mut local = c.clone();
    if local.keyword("local").is_ok() {
        *c = local;
        return Ok(Insn::Call(CallTarget::Local(c.target()?)));
    }
    c.skip_space();
    if c.clone().reg(Width::W64).is_ok() {
        return c.fail(AsmErrorKind::CallRegister);
    }
    Ok(Insn::Call(CallTarget::Helper(c.int32("a helper's number, or `local` and a label")?)))
}
