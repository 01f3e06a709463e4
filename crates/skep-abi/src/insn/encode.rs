//! [`encode`]: decoded instructions to slots, the inverse of [`super::decode`].

use super::raw::RawInsn;
use super::table::bits;
use super::types::{CallTarget, Imm64, Insn, Reg, Size, Src, Width};

/// Encodes a program, one slot for each entry.
///
/// [`Insn::Imm64Hi`] takes its immediate from the [`Insn::LdImm64`] before it; one that stands
/// elsewhere becomes a slot of zeroes, which no program may have.
pub fn encode(insns: &[Insn]) -> Vec<RawInsn> {
    let mut hi = 0;
    insns
        .iter()
        .map(|insn| {
            let mut raw = encode_one(insn);
            match insn {
                Insn::LdImm64 { imm, .. } => hi = imm.parts().2,
                Insn::Imm64Hi => raw.imm = core::mem::take(&mut hi),
                Insn::Alu { .. }
                | Insn::MovSx { .. }
                | Insn::AddrSpaceCast { .. }
                | Insn::Neg { .. }
                | Insn::Endian { .. }
                | Insn::LdAbs { .. }
                | Insn::LdInd { .. }
                | Insn::Load { .. }
                | Insn::Store { .. }
                | Insn::Atomic { .. }
                | Insn::LoadAcquire { .. }
                | Insn::StoreRelease { .. }
                | Insn::Goto { .. }
                | Insn::MayGoto { .. }
                | Insn::JumpIf { .. }
                | Insn::Call(_)
                | Insn::Exit => hi = 0,
            }
            raw
        })
        .collect()
}

/// Opcode bit and fields of a second operand.
fn operand(src: Src) -> (u8, u8, i32) {
    match src {
        Src::Reg(reg) => (bits::X, reg.num(), 0),
        Src::Imm(imm) => (0, 0, imm),
    }
}

/// A slot of an atomic opcode.
fn atomic(size: Size, dst: Reg, src: Reg, off: i16, imm: i32) -> RawInsn {
    let code = bits::STX | bits::ATOMIC | size.row().bits;
    RawInsn { code, dst: dst.num(), src: src.num(), off, imm }
}

/// Encodes one instruction; of a 64-bit immediate load the first slot.
pub(super) fn encode_one(insn: &Insn) -> RawInsn {
    match *insn {
        Insn::Alu { width, op, dst, src } => {
            let row = op.row();
            let (x, src, imm) = operand(src);
            RawInsn { code: width.alu_class() | row.op | x, dst: dst.num(), src, off: row.off, imm }
        }
        Insn::MovSx { width, from, dst, src } => RawInsn {
            code: width.alu_class() | super::AluOp::Mov.row().op | bits::X,
            dst: dst.num(),
            src: src.num(),
            // 8, 16 or 32: always fits.
            off: from.bits() as i16,
            imm: 0,
        },
        Insn::AddrSpaceCast { dst, src, dst_as, src_as } => RawInsn {
            code: Width::W64.alu_class() | super::AluOp::Mov.row().op | bits::X,
            dst: dst.num(),
            src: src.num(),
            off: bits::OFF_ADDR_SPACE_CAST,
            imm: (u32::from(dst_as) << 16 | u32::from(src_as)) as i32,
        },
        Insn::Neg { width, dst } => {
            RawInsn { code: width.alu_class() | bits::NEG, dst: dst.num(), ..RawInsn::default() }
        }
        Insn::Endian { op, size, dst } => RawInsn {
            code: op.row().code,
            dst: dst.num(),
            imm: size.bits() as i32,
            ..RawInsn::default()
        },
        Insn::LdImm64 { dst, imm } => {
            let (pseudo, lo, _) = imm.parts();
            RawInsn { code: bits::LD_IMM64, dst: dst.num(), src: pseudo.row().src, off: 0, imm: lo }
        }
        Insn::Imm64Hi => RawInsn::default(),
        Insn::LdAbs { size, imm } => {
            RawInsn { code: bits::LD | bits::ABS | size.row().bits, imm, ..RawInsn::default() }
        }
        Insn::LdInd { size, src, imm } => RawInsn {
            code: bits::LD | bits::IND | size.row().bits,
            src: src.num(),
            imm,
            ..RawInsn::default()
        },
        Insn::Load { size, signed, dst, src, off } => {
            let mode = if signed { bits::MEMSX } else { bits::MEM };
            let code = bits::LDX | mode | size.row().bits;
            RawInsn { code, dst: dst.num(), src: src.num(), off, imm: 0 }
        }
        Insn::Store { size, dst, off, src } => {
            let class = match src {
                Src::Reg(_) => bits::STX,
                Src::Imm(_) => bits::ST,
            };
            let (_, src, imm) = operand(src);
            RawInsn { code: class | bits::MEM | size.row().bits, dst: dst.num(), src, off, imm }
        }
        Insn::Atomic { size, op, dst, src, off } => atomic(size, dst, src, off, op.row().imm),
        // The base address is `src_reg`, as for a load.
        Insn::LoadAcquire { size, dst, src, off } => {
            atomic(size, dst, src, off, bits::LOAD_ACQUIRE)
        }
        Insn::StoreRelease { size, dst, src, off } => {
            atomic(size, dst, src, off, bits::STORE_RELEASE)
        }
        Insn::Goto { width, off } => match (width, i16::try_from(off)) {
            (Width::W64, Ok(off)) => RawInsn { code: bits::JMP, off, ..RawInsn::default() },
            // The short form cannot hold the offset; the long one means the same.
            (Width::W64, Err(_)) | (Width::W32, _) => {
                RawInsn { code: bits::JMP32, imm: off, ..RawInsn::default() }
            }
        },
        Insn::MayGoto { off } => {
            RawInsn { code: bits::JMP | bits::JCOND, off, ..RawInsn::default() }
        }
        Insn::JumpIf { width, op, dst, src, off } => {
            let (x, src, imm) = operand(src);
            RawInsn { code: width.jmp_class() | op.row().op | x, dst: dst.num(), src, off, imm }
        }
        Insn::Call(target) => {
            let (src, off, imm) = match target {
                CallTarget::Helper(id) => (0, 0, id),
                CallTarget::Local(off) => (bits::PSEUDO_CALL, 0, off),
                CallTarget::Kfunc { btf_id, btf_fd_idx } => {
                    (bits::PSEUDO_KFUNC_CALL, btf_fd_idx, btf_id)
                }
            };
            RawInsn { code: bits::JMP | bits::CALL, dst: 0, src, off, imm }
        }
        Insn::Exit => RawInsn { code: bits::JMP | bits::EXIT, ..RawInsn::default() },
    }
}

/// Both slots of a 64-bit immediate load.
pub fn encode_ld_imm64(dst: Reg, imm: Imm64) -> [RawInsn; 2] {
    let (_, _, hi) = imm.parts();
    [encode_one(&Insn::LdImm64 { dst, imm }), RawInsn { imm: hi, ..RawInsn::default() }]
}
