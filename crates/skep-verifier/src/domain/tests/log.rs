//! Text of scalars against lines that Linux 6.18 printed.

use skep_abi::insn::{AluOp, Size, Width};

use super::super::{Range, Scalar};

fn imm(s: Scalar, op: AluOp, v: i32) -> Scalar {
    s.alu(Width::W64, op, &Scalar::imm(v))
}

#[test]
fn prints_as_the_kernel_does() {
    let masked = imm(Scalar::UNKNOWN, AluOp::And, 100);
    let shifted = imm(Scalar::UNKNOWN, AluOp::Lsh, 32);
    let cases = [
        (Scalar::UNKNOWN, "scalar()"),
        (Scalar::constant(100), "100"),
        (Scalar::imm(-3), "-3"),
        (Scalar::constant(0xffff_fffd), "0xfffffffd"),
        (Scalar::from_u64(Range::new(5, u64::MAX)), "scalar(umin=5)"),
        (
            Scalar::from_u64(Range::new(5, 10)),
            "scalar(smin=umin=smin32=umin32=5,smax=umax=smax32=umax32=10,var_off=(0x0; 0xf))",
        ),
        (masked, "scalar(smin=smin32=0,smax=umax=smax32=umax32=100,var_off=(0x0; 0x64))"),
        (
            masked.neg(Width::W64),
            "scalar(smin=smin32=-100,smax=smax32=0,umax=0xfffffffffffffffc,umax32=0xfffffffc,\
             var_off=(0x0; 0xfffffffffffffffc))",
        ),
        (
            masked.neg(Width::W32),
            "scalar(smin=0,smax=umax=umax32=0xfffffffc,smin32=-100,smax32=0,\
             var_off=(0x0; 0xfffffffc))",
        ),
        (
            shifted,
            "scalar(smax=0x7fffffff00000000,umax=0xffffffff00000000,smin32=0,smax32=umax32=0,\
             var_off=(0x0; 0xffffffff00000000))",
        ),
        (imm(shifted, AluOp::Arsh, 32), "scalar(smin=0xffffffff80000000,smax=0x7fffffff)"),
        (
            Scalar::UNKNOWN.sign_extend(Size::H, Width::W32),
            "scalar(smin=0,smax=umax=0xffffffff,smin32=-32768,smax32=32767,\
             var_off=(0x0; 0xffffffff))",
        ),
        (Scalar::loaded_sx(Size::B), "scalar(smin=smin32=-128,smax=smax32=127)"),
        (
            imm(imm(Scalar::UNKNOWN, AluOp::And, 7), AluOp::Mul, 10),
            "scalar(smin=smin32=0,smax=umax=smax32=umax32=70,var_off=(0x0; 0x7e))",
        ),
    ];
    for (s, want) in cases {
        assert_eq!(s.to_log(), want);
    }
}
