//! [`decode`]: slots to decoded instructions, as strict about reserved fields as Linux 6.18.
//!
//! Key types: [`DecodeError`], [`DecodeErrorKind`]. The inverse is [`super::encode`].
//!
//! The kernel looks at a program twice: a scan of all slots (64-bit immediate loads, LDX, opcodes), then the
//! walk along the paths, which sees the other reserved fields. [`decode`] has the same two stages, so
//! that of several errors the same one is reported.

use core::fmt;

use super::raw::RawInsn;
use super::table::{Form, Pseudo, bits, form_of_opcode};
use super::types::{
    AluOp, AtomicOp, CallTarget, EndianOp, Imm64, Insn, JmpOp, Reg, Size, Src, Width,
};

/// A slot that is no instruction of Linux 6.18.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// Slot of the instruction, from 0.
    pub slot: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// A field of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// `dst_reg`.
    Dst,
    /// `src_reg`.
    Src,
    /// `off`.
    Off,
    /// `imm`.
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Dst => "dst_reg",
            Field::Src => "src_reg",
            Field::Off => "off",
            Field::Imm => "imm",
        })
    }
}

/// What is wrong with a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeErrorKind {
    /// No instruction has this opcode.
    UnknownOpcode(u8),
    /// A load from memory with an addressing mode that does not exist.
    LoadMode(u8),
    /// A 64-bit immediate load without its second slot, or with a second slot that holds more than an immediate.
    LdImm64SecondSlot,
    /// A 64-bit immediate load whose `src_reg` is no pseudo source.
    LdImm64Pseudo(u8),
    /// A 64-bit immediate load of a map address whose second immediate, given here, is not 0.
    LdImm64MapImm(i32),
    /// A field that must have another value.
    Reserved {
        /// Name of the group of instructions, as in the kernel's log.
        group: &'static str,
        /// The field.
        field: Field,
        /// What it holds.
        value: i32,
        /// What it may hold.
        allowed: &'static str,
    },
    /// A register number above 10.
    Register(u8),
    /// An atomic instruction whose immediate is no operation.
    AtomicOp(i32),
    /// An atomic read-modify-write of 1 or 2 bytes.
    AtomicSize(Size),
    /// A `may_goto` with a field that must be 0; the immediate.
    MayGoto(i32),
    /// An address space cast between spaces other than 0 and 1; the immediate.
    AddrSpaceCast(i32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.slot, self.kind)
    }
}

impl core::error::Error for DecodeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeErrorKind::UnknownOpcode(code) => {
                write!(f, "opcode {code:#04x} does not exist (RFC 9669, table of opcodes)")
            }
            DecodeErrorKind::LoadMode(code) => write!(
                f,
                "opcode {code:#04x} is a load with an addressing mode that does not exist; MEM (0x60) and MEMSX (0x80) do"
            ),
            DecodeErrorKind::LdImm64SecondSlot => f.write_str(
                "a 64-bit immediate load takes two slots, and the second must have opcode, registers and off all 0",
            ),
            DecodeErrorKind::LdImm64Pseudo(src) => {
                write!(f, "src_reg {src} of a 64-bit immediate load is no pseudo source; 0 to 6 are")
            }
            DecodeErrorKind::LdImm64MapImm(imm) => {
                write!(f, "the second immediate of a load of a map's address is {imm}; it must be 0")
            }
            DecodeErrorKind::Reserved { group, field, value, allowed } => {
                write!(f, "{field} of this {group} instruction is {value}; it must be {allowed}")
            }
            DecodeErrorKind::Register(num) => write!(f, "register {num} does not exist; R0 to R10 do"),
            DecodeErrorKind::AtomicOp(imm) => write!(
                f,
                "imm {imm:#x} is no atomic operation; 0x0, 0x40, 0x50, 0xa0 (each also with fetch, +1), 0xe1 (xchg), \
                 0xf1 (cmpxchg), 0x100 (load_acquire) and 0x110 (store_release) are"
            ),
            DecodeErrorKind::AtomicSize(size) => write!(
                f,
                "an atomic read-modify-write of {} byte(s); only 4 and 8 bytes are possible",
                size.bytes()
            ),
            DecodeErrorKind::MayGoto(imm) => {
                write!(f, "may_goto must have dst_reg, src_reg and imm all 0 (imm is {imm})")
            }
            DecodeErrorKind::AddrSpaceCast(imm) => write!(
                f,
                "addr_space_cast has imm {imm:#x}; only 0x1 (from space 1 to 0) and 0x10000 (from 0 to 1) are possible"
            ),
        }
    }
}

impl DecodeErrorKind {
    /// The line that Linux 6.18 writes into the verifier log for this error, without a newline.
    pub fn kernel_message(&self) -> String {
        match *self {
            DecodeErrorKind::UnknownOpcode(code) => format!("unknown opcode {code:02x}"),
            DecodeErrorKind::LoadMode(_) => "BPF_LDX uses reserved fields".to_owned(),
            DecodeErrorKind::LdImm64SecondSlot => "invalid bpf_ld_imm64 insn".to_owned(),
            DecodeErrorKind::LdImm64Pseudo(_) | DecodeErrorKind::LdImm64MapImm(_) => {
                "unrecognized bpf_ld_imm64 insn".to_owned()
            }
            DecodeErrorKind::Reserved { group, .. } => format!("{group} uses reserved fields"),
            DecodeErrorKind::Register(num) => format!("R{num} is invalid"),
            DecodeErrorKind::AtomicOp(imm) => {
                format!("BPF_ATOMIC uses invalid atomic opcode {imm:02x}")
            }
            DecodeErrorKind::AtomicSize(_) => "invalid atomic operand size".to_owned(),
            DecodeErrorKind::MayGoto(imm) => format!("invalid may_goto imm {imm}"),
            DecodeErrorKind::AddrSpaceCast(_) => {
                "addr_space_cast insn can only convert between address space 1 and 0".to_owned()
            }
        }
    }
}

/// Decodes a program: one entry for each slot, [`Insn::Imm64Hi`] for the second half of a 64-bit immediate load.
///
/// What depends on the program around an instruction (jump targets, division by a constant zero, shift
/// counts, read-only R10, call targets) is the verifier's business.
///
/// # Errors
///
/// The first error in the kernel's order; see [`DecodeErrorKind`].
// DEVIATION: the kernel looks at the fields of the second stage only on paths that can be taken; here they are
// errors in dead code too.
pub fn decode(raw: &[RawInsn]) -> Result<Vec<Insn>, DecodeError> {
    scan(raw)?;
    let mut insns = Vec::with_capacity(raw.len());
    let mut slots = raw.iter().enumerate();
    while let Some((slot, insn)) = slots.next() {
        let first = decode_slot(insn).map_err(|kind| DecodeError { slot, kind })?;
        match first {
            Slot::One(insn) => insns.push(insn),
            Slot::Two(dst, pseudo) => {
                // `scan` has seen that there is a second slot.
                let hi = slots.next().map_or(0, |(_, hi)| hi.imm);
                insns.push(Insn::LdImm64 { dst, imm: Imm64::from_parts(pseudo, insn.imm, hi) });
                insns.push(Insn::Imm64Hi);
            }
        }
    }
    Ok(insns)
}

/// What a slot begins.
enum Slot {
    /// An instruction of one slot.
    One(Insn),
    /// A 64-bit immediate load.
    Two(Reg, Pseudo),
}

/// The first stage (`resolve_pseudo_ldimm64` in the kernel): a look at each slot in order.
fn scan(raw: &[RawInsn]) -> Result<(), DecodeError> {
    let mut slots = raw.iter().enumerate();
    while let Some((slot, insn)) = slots.next() {
        let fail = |kind| Err(DecodeError { slot, kind });
        if bits::class(insn.code) == bits::LDX {
            if !matches!(bits::mode(insn.code), bits::MEM | bits::MEMSX) {
                return fail(DecodeErrorKind::LoadMode(insn.code));
            }
            if insn.imm != 0 {
                return fail(reserved("BPF_LDX", Field::Imm, insn.imm, "0"));
            }
        }
        if insn.code == bits::LD_IMM64 {
            let Some((_, hi)) = slots.next() else {
                return fail(DecodeErrorKind::LdImm64SecondSlot);
            };
            if (RawInsn { imm: 0, ..*hi }) != RawInsn::default() {
                return fail(DecodeErrorKind::LdImm64SecondSlot);
            }
            match pseudo(insn.src) {
                None => return fail(DecodeErrorKind::LdImm64Pseudo(insn.src)),
                Some(Pseudo::MapFd | Pseudo::MapIdx) if hi.imm != 0 => {
                    return fail(DecodeErrorKind::LdImm64MapImm(hi.imm));
                }
                Some(_) => {}
            }
        } else if form_of_opcode(insn.code).is_none() {
            return fail(DecodeErrorKind::UnknownOpcode(insn.code));
        }
    }
    Ok(())
}

fn reserved(
    group: &'static str,
    field: Field,
    value: i32,
    allowed: &'static str,
) -> DecodeErrorKind {
    DecodeErrorKind::Reserved { group, field, value, allowed }
}

fn pseudo(src: u8) -> Option<Pseudo> {
    Pseudo::ALL.iter().copied().find(|p| p.row().src == src)
}

/// Fails unless the fields are 0.
fn zero(group: &'static str, insn: &RawInsn, fields: &[Field]) -> Result<(), DecodeErrorKind> {
    for &field in fields {
        let value = match field {
            Field::Dst => i32::from(insn.dst),
            Field::Src => i32::from(insn.src),
            Field::Off => i32::from(insn.off),
            Field::Imm => insn.imm,
        };
        if value != 0 {
            return Err(reserved(group, field, value, "0"));
        }
    }
    Ok(())
}

fn reg(num: u8) -> Result<Reg, DecodeErrorKind> {
    Reg::new(num).ok_or(DecodeErrorKind::Register(num))
}

/// Source, then destination: the order in which the kernel looks at them, but for conditional jumps.
fn src_dst(insn: &RawInsn) -> Result<(Reg, Reg), DecodeErrorKind> {
    Ok((reg(insn.src)?, reg(insn.dst)?))
}

fn size(insn: &RawInsn) -> Size {
    match bits::size(insn.code) {
        0x00 => Size::W,
        0x08 => Size::H,
        0x10 => Size::B,
        _ => Size::DW,
    }
}

fn alu_width(insn: &RawInsn) -> Width {
    if bits::class(insn.code) == bits::ALU64 { Width::W64 } else { Width::W32 }
}

fn jmp_width(insn: &RawInsn) -> Width {
    if bits::class(insn.code) == bits::JMP { Width::W64 } else { Width::W32 }
}

/// The second stage, for a slot that [`scan`] has let pass.
fn decode_slot(insn: &RawInsn) -> Result<Slot, DecodeErrorKind> {
    let form = form_of_opcode(insn.code).ok_or(DecodeErrorKind::UnknownOpcode(insn.code))?;
    Ok(Slot::One(match form {
        Form::Alu | Form::MovSx | Form::AddrSpaceCast => decode_alu(insn)?,
        Form::Neg => {
            zero("BPF_NEG", insn, &[Field::Src, Field::Off, Field::Imm])?;
            Insn::Neg { width: alu_width(insn), dst: reg(insn.dst)? }
        }
        Form::Endian => decode_endian(insn)?,
        Form::LdImm64 => {
            zero("BPF_LD_IMM64", insn, &[Field::Off])?;
            let pseudo = pseudo(insn.src).ok_or(DecodeErrorKind::LdImm64Pseudo(insn.src))?;
            return Ok(Slot::Two(reg(insn.dst)?, pseudo));
        }
        // Owns no opcode: 0 by itself is not an instruction.
        Form::Imm64Hi => return Err(DecodeErrorKind::UnknownOpcode(insn.code)),
        Form::LdAbs => {
            zero("BPF_LD_[ABS|IND]", insn, &[Field::Dst, Field::Off, Field::Src])?;
            Insn::LdAbs { size: size(insn), imm: insn.imm }
        }
        Form::LdInd => {
            zero("BPF_LD_[ABS|IND]", insn, &[Field::Dst, Field::Off])?;
            Insn::LdInd { size: size(insn), src: reg(insn.src)?, imm: insn.imm }
        }
        Form::Load => {
            let (src, dst) = src_dst(insn)?;
            let signed = bits::mode(insn.code) == bits::MEMSX;
            Insn::Load { size: size(insn), signed, dst, src, off: insn.off }
        }
        Form::Store => {
            let src = if bits::class(insn.code) == bits::STX {
                zero("BPF_STX", insn, &[Field::Imm])?;
                Src::Reg(reg(insn.src)?)
            } else {
                zero("BPF_ST", insn, &[Field::Src])?;
                Src::Imm(insn.imm)
            };
            Insn::Store { size: size(insn), dst: reg(insn.dst)?, off: insn.off, src }
        }
        Form::Atomic | Form::LoadAcquire | Form::StoreRelease => decode_atomic(insn)?,
        Form::Goto => {
            let width = jmp_width(insn);
            let (unused, off) = match width {
                Width::W64 => (Field::Imm, i32::from(insn.off)),
                Width::W32 => (Field::Off, insn.imm),
            };
            zero("BPF_JA", insn, &[Field::Src, Field::Dst, unused])?;
            Insn::Goto { width, off }
        }
        Form::MayGoto => {
            if insn.src != 0 || insn.dst != 0 || insn.imm != 0 {
                return Err(DecodeErrorKind::MayGoto(insn.imm));
            }
            Insn::MayGoto { off: insn.off }
        }
        Form::JumpIf => decode_jump_if(insn)?,
        Form::Call => decode_call(insn)?,
        Form::Exit => {
            // The kernel does not look at `off` here, and nothing keeps it: it is 0 when encoded again.
            zero("BPF_EXIT", insn, &[Field::Imm, Field::Src, Field::Dst])?;
            Insn::Exit
        }
    }))
}

fn decode_alu(insn: &RawInsn) -> Result<Insn, DecodeErrorKind> {
    let width = alu_width(insn);
    let op_bits = bits::op(insn.code);
    let is_mov = op_bits == AluOp::Mov.row().op;
    let group = if is_mov { "BPF_MOV" } else { "BPF_ALU" };
    let from_reg = insn.code & bits::X != 0;

    if is_mov && from_reg && insn.off != 0 {
        return decode_special_mov(insn, width);
    }
    zero(group, insn, if from_reg { &[Field::Imm] } else { &[Field::Src] })?;
    let Some(op) =
        AluOp::ALL.iter().copied().find(|op| op.row().op == op_bits && op.row().off == insn.off)
    else {
        let signed = AluOp::ALL.iter().any(|op| op.row().op == op_bits && op.row().off != 0);
        let allowed = if signed { "0 (unsigned) or 1 (signed)" } else { "0" };
        return Err(reserved(group, Field::Off, i32::from(insn.off), allowed));
    };
    let src = if from_reg { Src::Reg(reg(insn.src)?) } else { Src::Imm(insn.imm) };
    Ok(Insn::Alu { width, op, dst: reg(insn.dst)?, src })
}

/// A register move whose `off` is not 0.
fn decode_special_mov(insn: &RawInsn, width: Width) -> Result<Insn, DecodeErrorKind> {
    let from = match (insn.off, width) {
        (bits::OFF_ADDR_SPACE_CAST, Width::W64) => {
            let imm = insn.imm as u32;
            if imm != 1 && imm != 1 << 16 {
                return Err(DecodeErrorKind::AddrSpaceCast(insn.imm));
            }
            let (src, dst) = src_dst(insn)?;
            // Both halves are 16 bits by construction.
            return Ok(Insn::AddrSpaceCast {
                dst,
                src,
                dst_as: (imm >> 16) as u16,
                src_as: imm as u16,
            });
        }
        (8, Width::W32 | Width::W64) => Size::B,
        (16, Width::W32 | Width::W64) => Size::H,
        (32, Width::W64) => Size::W,
        (off, Width::W32) => {
            return Err(reserved("BPF_MOV", Field::Off, i32::from(off), "0, 8 or 16"));
        }
        (off, Width::W64) => {
            return Err(reserved("BPF_MOV", Field::Off, i32::from(off), "0, 1, 8, 16 or 32"));
        }
    };
    zero("BPF_MOV", insn, &[Field::Imm])?;
    let (src, dst) = src_dst(insn)?;
    Ok(Insn::MovSx { width, from, dst, src })
}

fn decode_endian(insn: &RawInsn) -> Result<Insn, DecodeErrorKind> {
    zero("BPF_END", insn, &[Field::Src, Field::Off])?;
    let op = EndianOp::ALL
        .iter()
        .copied()
        .find(|op| op.row().code == insn.code)
        .ok_or(DecodeErrorKind::UnknownOpcode(insn.code))?;
    let size = match insn.imm {
        16 => Size::H,
        32 => Size::W,
        64 => Size::DW,
        other => return Err(reserved("BPF_END", Field::Imm, other, "16, 32 or 64")),
    };
    Ok(Insn::Endian { op, size, dst: reg(insn.dst)? })
}

fn decode_atomic(insn: &RawInsn) -> Result<Insn, DecodeErrorKind> {
    let (size, off) = (size(insn), insn.off);
    match insn.imm {
        bits::LOAD_ACQUIRE => {
            let (src, dst) = src_dst(insn)?;
            Ok(Insn::LoadAcquire { size, dst, src, off })
        }
        bits::STORE_RELEASE => {
            let (src, dst) = src_dst(insn)?;
            Ok(Insn::StoreRelease { size, dst, src, off })
        }
        imm => {
            let op = AtomicOp::ALL
                .iter()
                .copied()
                .find(|op| op.row().imm == imm)
                .ok_or(DecodeErrorKind::AtomicOp(imm))?;
            if matches!(size, Size::B | Size::H) {
                return Err(DecodeErrorKind::AtomicSize(size));
            }
            let (src, dst) = src_dst(insn)?;
            Ok(Insn::Atomic { size, op, dst, src, off })
        }
    }
}

fn decode_jump_if(insn: &RawInsn) -> Result<Insn, DecodeErrorKind> {
    let op = JmpOp::ALL
        .iter()
        .copied()
        .find(|op| op.row().op == bits::op(insn.code))
        .ok_or(DecodeErrorKind::UnknownOpcode(insn.code))?;
    // Destination first, even before reserved fields, unlike everywhere else.
    let dst = reg(insn.dst)?;
    let from_reg = insn.code & bits::X != 0;
    zero("BPF_JMP/JMP32", insn, if from_reg { &[Field::Imm] } else { &[Field::Src] })?;
    let src = if from_reg { Src::Reg(reg(insn.src)?) } else { Src::Imm(insn.imm) };
    Ok(Insn::JumpIf { width: jmp_width(insn), op, dst, src, off: insn.off })
}

fn decode_call(insn: &RawInsn) -> Result<Insn, DecodeErrorKind> {
    if insn.src != bits::PSEUDO_KFUNC_CALL {
        zero("BPF_CALL", insn, &[Field::Off])?;
    }
    let target = match insn.src {
        0 => CallTarget::Helper(insn.imm),
        bits::PSEUDO_CALL => CallTarget::Local(insn.imm),
        bits::PSEUDO_KFUNC_CALL => CallTarget::Kfunc { btf_id: insn.imm, btf_fd_idx: insn.off },
        other => {
            let allowed = "0 (helper), 1 (subprogram) or 2 (kernel function)";
            return Err(reserved("BPF_CALL", Field::Src, i32::from(other), allowed));
        }
    };
    zero("BPF_CALL", insn, &[Field::Dst])?;
    Ok(Insn::Call(target))
}
