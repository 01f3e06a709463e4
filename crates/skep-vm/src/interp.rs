//! The interpreter: the readable reference that every other engine must equal.
//!
//! One `match` over [`Insn`] without a wildcard. Semantics: RFC 9669; where it leaves a choice, Linux 6.18.

use crate::context::Context;
use crate::exec::{HelperResult, Machine};
use crate::prog::{Prog, Trust};
use crate::runtime::Runtime;
use crate::trap::{Trap, TrapKind};
use skep_abi::insn::{
    AluOp, AtomicOp, CallTarget, EndianOp, Imm64, Insn, JmpOp, Reg, Size, Src, Width,
};
use std::sync::Arc;

/// Iterations that `may_goto` allows in each frame (`BPF_MAX_LOOPS`, linux/bpf.h).
///
/// DEVIATION: where its JIT supports it the kernel stops such loops by time (a quarter of a second) instead of
/// by count. A count gives the same result in each run.
const MAY_GOTO_BUDGET: u32 = 8 * 1024 * 1024;

/// Runs a program to its end; the result is R0 of the main program.
///
/// # Errors
/// [`Trap`] if the run had to be stopped.
pub fn run(prog: &Prog, ctx: &mut dyn Context, rt: &mut Runtime<'_>) -> Result<u64, Trap> {
    rt.state.start();
    let args = ctx.entry_args();
    let mut m = Machine { st: &mut rt.state, host: rt.host, ctx };
    trust(&mut m, prog);
    let fp = m.st.push_frame().ok_or(Trap { slot: 0, kind: TrapKind::CallDepth })?;
    exec(&mut m, prog, 0, first_regs(fp, args))
}

/// Runs a subprogram as a callback of a helper of the same program.
pub(crate) fn call_back(
    m: &mut Machine<'_>,
    prog: &Prog,
    start: usize,
    args: [u64; 5],
) -> Result<u64, Trap> {
    let outer = m.st.depth;
    let fp = m.st.push_frame().ok_or(Trap { slot: start as u32, kind: TrapKind::CallDepth })?;
    let ret = exec(m, prog, start, first_regs(fp, args));
    m.st.depth = outer;
    ret
}

fn first_regs(fp: u64, args: [u64; 5]) -> [u64; Reg::ENGINE_COUNT] {
    let mut regs = [0u64; Reg::ENGINE_COUNT];
    regs[1..6].copy_from_slice(&args);
    regs[Reg::R10.index()] = fp;
    regs
}

/// From the first unverified program on, a run is checked: what that left in the context or on the stack
/// is not what a verified program may rely on. So is one with a smaller context than the proof is about.
fn trust(m: &mut Machine<'_>, prog: &Prog) {
    let is_short = m.ctx.ctx_mem().len() < prog.ctx_bytes();
    m.st.checked |= prog.trust() == Trust::Unverified || is_short;
    if m.st.checked {
        m.st.refresh_regions(m.ctx);
    }
}

/// What a call saves for the return.
struct Saved {
    /// The caller's program, where it is not the one the run or callback began with.
    prog: Option<Arc<Prog>>,
    pc: usize,
    /// R6 to R9.
    callee_saved: [u64; 4],
    may_goto_left: u32,
}

/// How the inner loop ends.
enum Switch {
    /// The frame returns R0.
    Return(u64),
    /// The frame goes on in another program.
    TailCall(Arc<Prog>),
}

fn exec(
    m: &mut Machine<'_>,
    entry: &Prog,
    start: usize,
    mut regs: [u64; Reg::ENGINE_COUNT],
) -> Result<u64, Trap> {
    let mut current: Option<Arc<Prog>> = None;
    let mut stack: Vec<Saved> = Vec::new();
    let mut frame = Frame { pc: start, may_goto_left: MAY_GOTO_BUDGET };
    loop {
        let prog = current.as_deref().unwrap_or(entry);
        match exec_in(m, prog, &current, &mut regs, &mut frame, &mut stack)? {
            Switch::Return(r0) => {
                m.st.depth -= 1;
                let Some(saved) = stack.pop() else { return Ok(r0) };
                regs[0] = r0;
                regs[6..10].copy_from_slice(&saved.callee_saved);
                regs[Reg::R10.index()] = m.st.frame_top();
                frame = Frame { pc: saved.pc, may_goto_left: saved.may_goto_left };
                current = saved.prog;
            }
            Switch::TailCall(target) => {
                trust(m, &target);
                let ctx = m.ctx.ctx_mem().addr();
                regs = [0; Reg::ENGINE_COUNT];
                regs[Reg::R1.index()] = ctx;
                regs[Reg::R10.index()] = m.st.frame_top();
                frame = Frame { pc: 0, may_goto_left: MAY_GOTO_BUDGET };
                current = Some(target);
            }
        }
    }
}

/// Where execution is, in the innermost frame.
struct Frame {
    pc: usize,
    may_goto_left: u32,
}

/// Runs until the innermost frame changes its program or returns. Calls and returns within the program that
/// do not change the program stay inside, but returns go through the caller for one place to do it.
fn exec_in(
    m: &mut Machine<'_>,
    prog: &Prog,
    current: &Option<Arc<Prog>>,
    regs: &mut [u64; Reg::ENGINE_COUNT],
    frame: &mut Frame,
    stack: &mut Vec<Saved>,
) -> Result<Switch, Trap> {
    let insns = prog.insns();
    loop {
        let pc = frame.pc;
        let slot = pc as u32;
        let trap = |kind| Trap { slot, kind };
        let Some(insn) = insns.get(pc) else { return Err(trap(TrapKind::OutOfProgram)) };
        if m.st.checked {
            m.st.insns_left = m.st.insns_left.checked_sub(1).ok_or(trap(TrapKind::InsnBudget))?;
        }
        frame.pc = pc + 1;
        match *insn {
            Insn::Alu { width: Width::W64, op, dst, src } => {
                regs[dst.index()] = alu64(op, regs[dst.index()], operand(regs, src));
            }
            Insn::Alu { width: Width::W32, op, dst, src } => {
                let (a, b) = (regs[dst.index()] as u32, operand(regs, src) as u32);
                regs[dst.index()] = u64::from(alu32(op, a, b));
            }
            Insn::MovSx { width, from, dst, src } => {
                let wide = sign_extend(regs[src.index()], from);
                regs[dst.index()] = truncate(wide, width);
            }
            Insn::Neg { width, dst } => {
                regs[dst.index()] = truncate(regs[dst.index()].wrapping_neg(), width);
            }
            Insn::Endian { op, size, dst } => {
                regs[dst.index()] = endian(op, size, regs[dst.index()]);
            }
            Insn::LdImm64 { dst, imm } => {
                let Imm64::Value(v) = imm else {
                    // `Prog` resolves all others.
                    return Err(trap(TrapKind::Unsupported("an unresolved 64-bit immediate")));
                };
                regs[dst.index()] = v;
                frame.pc = pc + 2;
            }
            Insn::Imm64Hi => {
                return Err(trap(TrapKind::Unsupported("half of a 64-bit immediate")));
            }
            Insn::LdAbs { size, imm } => match m.ctx.ld_abs(imm, size) {
                Some(v) => regs[0] = v,
                None => return Ok(Switch::Return(0)),
            },
            Insn::LdInd { size, src, imm } => {
                let off = (regs[src.index()] as i32).wrapping_add(imm);
                match m.ctx.ld_abs(off, size) {
                    Some(v) => regs[0] = v,
                    None => return Ok(Switch::Return(0)),
                }
            }
            Insn::Load { size, signed, dst, src, off } => {
                let v = m.load(prog, address(regs, src, off), size).map_err(trap)?;
                regs[dst.index()] = if signed { sign_extend(v, size) } else { v };
            }
            Insn::Store { size, dst, off, src } => {
                let v = operand(regs, src);
                m.store(prog, address(regs, dst, off), size, v).map_err(trap)?;
            }
            Insn::Atomic { size, op, dst, src, off } => {
                let addr = address(regs, dst, off);
                let (val, cmp) = (regs[src.index()], regs[0]);
                let old = m.rmw(prog, addr, size, op, val, cmp).map_err(trap)?;
                match op {
                    AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {}
                    AtomicOp::FetchAdd
                    | AtomicOp::FetchOr
                    | AtomicOp::FetchAnd
                    | AtomicOp::FetchXor
                    | AtomicOp::Xchg => regs[src.index()] = old,
                    AtomicOp::Cmpxchg => regs[0] = old,
                }
            }
            Insn::LoadAcquire { size, dst, src, off } => {
                let addr = address(regs, src, off);
                regs[dst.index()] = m.load_acquire(prog, addr, size).map_err(trap)?;
            }
            Insn::StoreRelease { size, dst, src, off } => {
                let addr = address(regs, dst, off);
                m.store_release(prog, addr, size, regs[src.index()]).map_err(trap)?;
            }
            Insn::Goto { width: _, off } => frame.pc = jump(pc, off),
            Insn::MayGoto { off } => match frame.may_goto_left.checked_sub(1) {
                Some(left) => frame.may_goto_left = left,
                None => frame.pc = jump(pc, i32::from(off)),
            },
            Insn::JumpIf { width, op, dst, src, off } => {
                let (a, b) = (regs[dst.index()], operand(regs, src));
                let taken = match width {
                    Width::W64 => holds64(op, a, b),
                    Width::W32 => holds32(op, a as u32, b as u32),
                };
                if taken {
                    frame.pc = jump(pc, i32::from(off));
                }
            }
            Insn::Call(CallTarget::Local(off)) => {
                let fp = m.st.push_frame().ok_or(trap(TrapKind::CallDepth))?;
                stack.push(Saved {
                    prog: current.clone(),
                    pc: frame.pc,
                    callee_saved: [regs[6], regs[7], regs[8], regs[9]],
                    may_goto_left: frame.may_goto_left,
                });
                regs[Reg::R10.index()] = fp;
                *frame = Frame { pc: jump(pc, off), may_goto_left: MAY_GOTO_BUDGET };
            }
            Insn::Call(CallTarget::Helper(idx)) => {
                let Some(helper) = prog.helper_at(idx) else {
                    return Err(trap(TrapKind::Unsupported("an unresolved helper call")));
                };
                let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                match m.call_helper(prog, helper, args, slot)? {
                    HelperResult::Value(v) => regs[0] = v,
                    HelperResult::TailCall(target) => return Ok(Switch::TailCall(target)),
                }
            }
            Insn::Call(CallTarget::Kfunc { .. }) => {
                return Err(trap(TrapKind::Unsupported("a kfunc call")));
            }
            Insn::AddrSpaceCast { .. } => {
                return Err(trap(TrapKind::Unsupported("addr_space_cast")));
            }
            Insn::Exit => return Ok(Switch::Return(regs[0])),
        }
    }
}

fn jump(pc: usize, off: i32) -> usize {
    // `Prog` checked that the target is in the program.
    (pc as i64 + 1 + i64::from(off)) as usize
}

fn address(regs: &[u64; Reg::ENGINE_COUNT], base: Reg, off: i16) -> u64 {
    regs[base.index()].wrapping_add(i64::from(off) as u64)
}

fn operand(regs: &[u64; Reg::ENGINE_COUNT], src: Src) -> u64 {
    match src {
        Src::Reg(r) => regs[r.index()],
        Src::Imm(imm) => i64::from(imm) as u64,
    }
}

fn truncate(v: u64, width: Width) -> u64 {
    match width {
        Width::W32 => u64::from(v as u32),
        Width::W64 => v,
    }
}

fn sign_extend(v: u64, from: Size) -> u64 {
    let wide = match from {
        Size::B => i64::from(v as i8),
        Size::H => i64::from(v as i16),
        Size::W => i64::from(v as i32),
        Size::DW => v as i64,
    };
    wide as u64
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i64).wrapping_div(b as i64) as u64,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i64).wrapping_rem(b as i64) as u64,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv if b == 0 => 0,
        AluOp::Sdiv => (a as i32).wrapping_div(b as i32) as u32,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Arsh => (a as i32).wrapping_shr(b) as u32,
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod if b == 0 => a,
        AluOp::Smod => (a as i32).wrapping_rem(b as i32) as u32,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
    }
}

fn endian(op: EndianOp, size: Size, v: u64) -> u64 {
    match (op, size) {
        // A byte has no order; no such instruction decodes.
        (_, Size::B) => u64::from(v as u8),
        (EndianOp::Le, Size::H) => u64::from((v as u16).to_le()),
        (EndianOp::Le, Size::W) => u64::from((v as u32).to_le()),
        (EndianOp::Le, Size::DW) => v.to_le(),
        (EndianOp::Be, Size::H) => u64::from((v as u16).to_be()),
        (EndianOp::Be, Size::W) => u64::from((v as u32).to_be()),
        (EndianOp::Be, Size::DW) => v.to_be(),
        (EndianOp::Swap, Size::H) => u64::from((v as u16).swap_bytes()),
        (EndianOp::Swap, Size::W) => u64::from((v as u32).swap_bytes()),
        (EndianOp::Swap, Size::DW) => v.swap_bytes(),
    }
}

fn holds64(op: JmpOp, a: u64, b: u64) -> bool {
    let (sa, sb) = (a as i64, b as i64);
    match op {
        JmpOp::Eq => a == b,
        JmpOp::Ne => a != b,
        JmpOp::Gt => a > b,
        JmpOp::Ge => a >= b,
        JmpOp::Lt => a < b,
        JmpOp::Le => a <= b,
        JmpOp::Sgt => sa > sb,
        JmpOp::Sge => sa >= sb,
        JmpOp::Slt => sa < sb,
        JmpOp::Sle => sa <= sb,
        JmpOp::Set => a & b != 0,
    }
}

fn holds32(op: JmpOp, a: u32, b: u32) -> bool {
    let (sa, sb) = (a as i32, b as i32);
    match op {
        JmpOp::Eq => a == b,
        JmpOp::Ne => a != b,
        JmpOp::Gt => a > b,
        JmpOp::Ge => a >= b,
        JmpOp::Lt => a < b,
        JmpOp::Le => a <= b,
        JmpOp::Sgt => sa > sb,
        JmpOp::Sge => sa >= sb,
        JmpOp::Slt => sa < sb,
        JmpOp::Sle => sa <= sb,
        JmpOp::Set => a & b != 0,
    }
}
