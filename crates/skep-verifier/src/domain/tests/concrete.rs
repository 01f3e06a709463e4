//! What the machine computes (RFC 9669, sections 4.1 to 4.3), as plain arithmetic.

use skep_abi::insn::{AluOp, EndianOp, JmpOp, Size, Width};

pub(super) fn alu(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    match width {
        Width::W64 => match op {
            AluOp::Add => a.wrapping_add(b),
            AluOp::Sub => a.wrapping_sub(b),
            AluOp::Mul => a.wrapping_mul(b),
            AluOp::Div => a.checked_div(b).unwrap_or(0),
            AluOp::Sdiv if b == 0 => 0,
            AluOp::Sdiv => (a as i64).wrapping_div(b as i64) as u64,
            AluOp::Or => a | b,
            AluOp::And => a & b,
            AluOp::Lsh => a << (b & 63),
            AluOp::Rsh => a >> (b & 63),
            AluOp::Arsh => ((a as i64) >> (b & 63)) as u64,
            AluOp::Mod => a.checked_rem(b).unwrap_or(a),
            AluOp::Smod if b == 0 => a,
            AluOp::Smod => (a as i64).wrapping_rem(b as i64) as u64,
            AluOp::Xor => a ^ b,
            AluOp::Mov => b,
        },
        Width::W32 => {
            let (a, b) = (a as u32, b as u32);
            let r = match op {
                AluOp::Sdiv if b == 0 => 0,
                AluOp::Sdiv => (a as i32).wrapping_div(b as i32) as u32,
                AluOp::Smod if b == 0 => a,
                AluOp::Smod => (a as i32).wrapping_rem(b as i32) as u32,
                AluOp::Lsh => a << (b & 31),
                AluOp::Rsh => a >> (b & 31),
                AluOp::Arsh => ((a as i32) >> (b & 31)) as u32,
                AluOp::Add
                | AluOp::Sub
                | AluOp::Mul
                | AluOp::Div
                | AluOp::Or
                | AluOp::And
                | AluOp::Mod
                | AluOp::Xor
                | AluOp::Mov => alu(Width::W64, op, a.into(), b.into()) as u32,
            };
            r.into()
        }
    }
}

pub(super) fn holds(width: Width, op: JmpOp, a: u64, b: u64) -> bool {
    let (a, b) = match width {
        Width::W64 => (a, b),
        Width::W32 => (a as i32 as i64 as u64, b as i32 as i64 as u64),
    };
    // Sign extension keeps the unsigned order too: it moves the upper half up as a whole.
    match op {
        JmpOp::Eq => a == b,
        JmpOp::Ne => a != b,
        JmpOp::Gt => a > b,
        JmpOp::Ge => a >= b,
        JmpOp::Lt => a < b,
        JmpOp::Le => a <= b,
        JmpOp::Sgt => a as i64 > b as i64,
        JmpOp::Sge => a as i64 >= b as i64,
        JmpOp::Slt => (a as i64) < b as i64,
        JmpOp::Sle => a as i64 <= b as i64,
        JmpOp::Set => a & b != 0,
    }
}

pub(super) fn truncate(size: Size, v: u64) -> u64 {
    match size {
        Size::B => v as u8 as u64,
        Size::H => v as u16 as u64,
        Size::W => v as u32 as u64,
        Size::DW => v,
    }
}

pub(super) fn sign_extend(from: Size, to: Width, v: u64) -> u64 {
    let wide = match from {
        Size::B => v as i8 as u64,
        Size::H => v as i16 as u64,
        Size::W => v as i32 as u64,
        Size::DW => v,
    };
    match to {
        Width::W32 => wide as u32 as u64,
        Width::W64 => wide,
    }
}

pub(super) fn endian(op: EndianOp, size: Size, v: u64) -> u64 {
    let bits = 64 - size.bits();
    match op {
        EndianOp::Le => truncate(size, v.to_le()),
        EndianOp::Be => {
            truncate(size, v.to_be() >> if cfg!(target_endian = "little") { bits } else { 0 })
        }
        EndianOp::Swap => truncate(size, v.swap_bytes() >> bits),
    }
}
