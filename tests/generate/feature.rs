//! [`features`]: what of the verifier a program asks for, so that a campaign can say what it reached.

use std::collections::BTreeSet;

use skep_abi::insn::{AluOp, CallTarget, Imm64, Insn, JmpOp, Reg, Size, Src, Width};

use super::{Generated, RING_BUFFER};

/// Names of the features that a program uses.
pub fn features(program: &Generated) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<&'static str> = program.insns.iter().filter_map(of_insn).collect();
    for (slot, insn) in program.insns.iter().enumerate() {
        let back = match insn {
            Insn::JumpIf { off, .. } => *off < 0,
            Insn::Goto { off, .. } => *off < 0,
            _ => false,
        };
        if back {
            found.insert("bounded loop");
        }
        let named = |imm: &Imm64| matches!(imm, Imm64::MapIdx(i, _) if *i == RING_BUFFER as i32);
        if matches!(insn, Insn::LdImm64 { imm, .. } if named(imm)) {
            found.insert("reference");
        }
        // Arithmetic on what a move copied from the frame pointer, by a register.
        if let (Some(Insn::Alu { op: AluOp::Add, src: Src::Reg(_), dst, .. }), true) =
            (program.insns.get(slot + 2), copies_frame_pointer(insn))
            && matches!(insn, Insn::Alu { dst: copy, .. } if copy == dst)
        {
            found.insert("variable stack offset");
        }
    }
    if program.globals.iter().any(|g| *g) {
        found.insert("global function");
    }
    found
}

fn copies_frame_pointer(insn: &Insn) -> bool {
    matches!(insn, Insn::Alu { op: AluOp::Mov, src: Src::Reg(Reg::R10), .. })
}

fn of_insn(insn: &Insn) -> Option<&'static str> {
    Some(match insn {
        Insn::Alu { op: AluOp::Sdiv | AluOp::Smod, .. } => "signed division",
        Insn::Alu { width: Width::W32, .. } => "32-bit arithmetic",
        Insn::Alu { .. } => "64-bit arithmetic",
        Insn::MovSx { .. } => "sign-extending move",
        Insn::Neg { .. } => "negation",
        Insn::Endian { .. } => "byte swap",
        Insn::AddrSpaceCast { .. } => "arena",
        Insn::LdImm64 { imm: Imm64::MapIdxValue(..), .. } => "direct map value",
        Insn::LdImm64 { imm: Imm64::Func(..), .. } => "function address",
        Insn::LdImm64 { .. } => "64-bit immediate",
        Insn::Imm64Hi | Insn::Exit => return None,
        Insn::LdAbs { .. } | Insn::LdInd { .. } => "legacy packet load",
        Insn::Load { signed: true, .. } => "sign-extending load",
        Insn::Load { src: Reg::R10, size: Size::DW, .. } => "fill",
        Insn::Load { src: Reg::R10, .. } => "partial stack read",
        Insn::Load { .. } => "load",
        Insn::Store { dst: Reg::R10, size: Size::DW, src: Src::Reg(_), .. } => "spill",
        Insn::Store { dst: Reg::R10, .. } => "partial stack write",
        Insn::Store { .. } => "store",
        Insn::Atomic { .. } => "atomic",
        Insn::LoadAcquire { .. } => "load-acquire",
        Insn::StoreRelease { .. } => "store-release",
        Insn::Goto { .. } => "jump",
        Insn::MayGoto { .. } => "may_goto",
        Insn::JumpIf { op: JmpOp::Set, .. } => "test of bits",
        Insn::JumpIf { width: Width::W32, .. } => "32-bit comparison",
        Insn::JumpIf { src: Src::Reg(_), .. } => "comparison of registers",
        Insn::JumpIf { .. } => "comparison",
        Insn::Call(CallTarget::Local(_)) => "call of a function",
        Insn::Call(CallTarget::Kfunc { .. }) => "kernel function",
        Insn::Call(CallTarget::Helper(id)) => match id {
            1 => "map lookup",
            2 | 3 => "map change",
            9 | 44 | 65 => "packet change",
            12 => "tail call",
            26 => "helper fills memory",
            28 => "memory and size pairs",
            131..=133 => "ring buffer",
            164 => "for_each callback",
            181 => "loop callback",
            _ => "other helper",
        },
    })
}
