//! One small change to a valid program, which often makes it an invalid one.

use skep_abi::insn::{AluOp, Insn, JmpOp, Reg, Src};

use super::Comparable;
use crate::random::Rng;
use crate::reduce;

/// Changes one instruction, and says whether results can still be compared.
pub(crate) fn one(rng: &mut Rng, insns: &mut Vec<Insn>) -> Comparable {
    for _ in 0..20 {
        let slot = rng.below(insns.len());
        let changed = match insns[slot] {
            Insn::Alu { width, op, dst, src } => match rng.below(3) {
                0 => Insn::Alu { width, op: rng.pick(AluOp::ALL), dst, src },
                1 => Insn::Alu { width, op, dst, src: Src::Imm(rng.imm()) },
                _ => Insn::Alu { width, op, dst: any_reg(rng), src },
            },
            Insn::Load { size, signed, dst, src, off } => {
                Insn::Load { size, signed, dst, src, off: moved(rng, off) }
            }
            Insn::Store { size, dst, off, src } => {
                Insn::Store { size, dst, off: moved(rng, off), src }
            }
            Insn::Atomic { size, op, dst, src, off } => {
                Insn::Atomic { size, op, dst, src, off: moved(rng, off) }
            }
            // A loop that does not end keeps the kernel busy for seconds.
            Insn::JumpIf { off, .. } if off < 0 => continue,
            Insn::JumpIf { width, op, dst, src, off } => match rng.below(3) {
                0 => Insn::JumpIf { width, op: rng.pick(JmpOp::ALL), dst, src, off },
                1 => Insn::JumpIf { width, op, dst: any_reg(rng), src, off },
                _ => Insn::JumpIf { width, op, dst, src: Src::Imm(rng.imm()), off },
            },
            Insn::MovSx { .. }
            | Insn::Neg { .. }
            | Insn::Endian { .. }
            | Insn::Call(_)
            | Insn::MayGoto { .. }
            | Insn::LdAbs { .. }
            | Insn::LdInd { .. } => {
                if let Some(fewer) = reduce::without(insns, slot) {
                    *insns = fewer;
                    return Comparable::No;
                }
                continue;
            }
            Insn::AddrSpaceCast { .. }
            | Insn::LdImm64 { .. }
            | Insn::Imm64Hi
            | Insn::LoadAcquire { .. }
            | Insn::StoreRelease { .. }
            | Insn::Goto { .. }
            | Insn::Exit => continue,
        };
        insns[slot] = changed;
        return Comparable::No;
    }
    Comparable::Yes
}

fn any_reg(rng: &mut Rng) -> Reg {
    Reg::new(rng.below(10) as u8).unwrap_or(Reg::R0)
}

fn moved(rng: &mut Rng, off: i16) -> i16 {
    off.wrapping_add(rng.pick(&[-8, -1, 1, 2, 4, 8, 16, 64, 128, -512, 512]))
}
