//! [`image`]: an instruction in the notation of `tcpdump -d` (libpcap's `bpf_image`).

use super::{AluOp, Ancillary, Cond, LoadSize, Op, Operand, SockFilter};

/// One instruction at index `at`, as `tcpdump -d` prints it, without a newline: `(000) ldh      [12]`.
pub fn image(at: usize, insn: &SockFilter) -> String {
    // libpcap prints most operands as `%d`.
    let k = insn.k as i32;
    let Some(op) = Op::of(insn.code) else {
        return format!("({at:03}) {:<8} {:#x}", "unimp", insn.code);
    };
    let operand = match op {
        Op::LdAbs(_) => match Ancillary::at(insn.k) {
            Some(ancillary) => format!("[{}]", ancillary.row().1),
            None => format!("[{k}]"),
        },
        Op::LdInd(_) => format!("[x + {k}]"),
        Op::LdLen | Op::LdxLen => "#pktlen".to_owned(),
        Op::LdImm | Op::LdxImm => format!("#{:#x}", insn.k),
        Op::LdMem | Op::LdxMem | Op::St | Op::Stx => format!("M[{k}]"),
        Op::LdxMsh => format!("4*([{k}]&0xf)"),
        Op::Alu(_, Operand::X) | Op::Jump(_, Operand::X) => "x".to_owned(),
        Op::Alu(AluOp::And | AluOp::Or | AluOp::Xor, Operand::K) | Op::Jump(_, Operand::K) => {
            format!("#{:#x}", insn.k)
        }
        Op::Alu(_, Operand::K) | Op::RetK => format!("#{k}"),
        // As `%d` of a 32-bit sum.
        Op::Ja => ((at as u32).wrapping_add(1).wrapping_add(insn.k) as i32).to_string(),
        Op::Neg | Op::RetA | Op::Tax | Op::Txa => String::new(),
    };
    let name = name(op);
    match op {
        Op::Jump(..) => {
            let (jt, jf) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
            format!("({at:03}) {name:<8} {operand:<16} jt {jt}\tjf {jf}")
        }
        Op::LdAbs(_)
        | Op::LdInd(_)
        | Op::LdLen
        | Op::LdImm
        | Op::LdMem
        | Op::LdxImm
        | Op::LdxMem
        | Op::LdxLen
        | Op::LdxMsh
        | Op::St
        | Op::Stx
        | Op::Alu(..)
        | Op::Neg
        | Op::Ja
        | Op::RetK
        | Op::RetA
        | Op::Tax
        | Op::Txa => format!("({at:03}) {name:<8} {operand}"),
    }
}

/// A filter in the notation of `tcpdump -d`, a line for each instruction.
pub fn image_program(filter: &[SockFilter]) -> String {
    filter.iter().enumerate().map(|(at, insn)| image(at, insn) + "\n").collect()
}

fn name(op: Op) -> &'static str {
    match op {
        Op::LdAbs(LoadSize::W) | Op::LdInd(LoadSize::W) | Op::LdLen | Op::LdImm | Op::LdMem => "ld",
        Op::LdAbs(LoadSize::H) | Op::LdInd(LoadSize::H) => "ldh",
        Op::LdAbs(LoadSize::B) | Op::LdInd(LoadSize::B) => "ldb",
        Op::LdxImm | Op::LdxMem | Op::LdxLen => "ldx",
        Op::LdxMsh => "ldxb",
        Op::St => "st",
        Op::Stx => "stx",
        Op::Alu(AluOp::Add, _) => "add",
        Op::Alu(AluOp::Sub, _) => "sub",
        Op::Alu(AluOp::Mul, _) => "mul",
        Op::Alu(AluOp::Div, _) => "div",
        Op::Alu(AluOp::Or, _) => "or",
        Op::Alu(AluOp::And, _) => "and",
        Op::Alu(AluOp::Lsh, _) => "lsh",
        Op::Alu(AluOp::Rsh, _) => "rsh",
        Op::Alu(AluOp::Mod, _) => "mod",
        Op::Alu(AluOp::Xor, _) => "xor",
        Op::Neg => "neg",
        Op::Ja => "ja",
        Op::Jump(Cond::Eq, _) => "jeq",
        Op::Jump(Cond::Gt, _) => "jgt",
        Op::Jump(Cond::Ge, _) => "jge",
        Op::Jump(Cond::Set, _) => "jset",
        Op::RetK | Op::RetA => "ret",
        Op::Tax => "tax",
        Op::Txa => "txa",
    }
}
