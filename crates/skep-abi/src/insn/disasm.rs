//! The disassembler: the text that the verifier log and `bpftool prog dump xlated` print of an instruction.
//!
//! Key types: [`Names`] supplies what an instruction alone does not tell (helper names, map names),
//! [`Line`] is one instruction as text. [`super::asm`] reads the same notation.

use core::fmt;

use super::encode::encode_one;
use super::table::AtomicText;
use super::types::{
    AluOp, AtomicOp, CallTarget, EndianOp, Imm64, Insn, JmpOp, Reg, Size, Src, Width,
};

/// Names for the disassembler. Each method may give the text for its place, or `None` for the plain numbers.
pub trait Names {
    /// Name of a helper (`bpf_map_lookup_elem`); the number is appended. `None` prints `unknown`, as the kernel.
    fn helper(&self, id: i32) -> Option<&str> {
        let _ = id;
        None
    }

    /// What follows `call ` in the instruction at `slot`, for subprograms and kernel functions. `None` prints
    /// `pc+5` or `kfunc[id:7,fd_idx:0]`.
    fn call(&self, slot: usize, target: CallTarget) -> Option<String> {
        let _ = (slot, target);
        None
    }

    /// What the 64-bit immediate load at `slot` loads (`map[id:5]`). `None` prints the numbers.
    fn imm64(&self, slot: usize, imm: Imm64) -> Option<String> {
        let _ = (slot, imm);
        None
    }
}

/// No names at all: numbers only. The assembler reads this text back to the same instruction.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoNames;

impl Names for NoNames {}

/// One instruction as text, without its slot number: `(b7) r0 = 0`.
///
/// [`Insn::Imm64Hi`] has no text of its own: the kernel prints both halves as one line.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    slot: usize,
    insn: &'a Insn,
    names: &'a dyn Names,
}

/// The text of one instruction, which stands at `slot`.
pub fn disasm<'a>(slot: usize, insn: &'a Insn, names: &'a dyn Names) -> Line<'a> {
    Line { slot, insn, names }
}

/// A whole program, one line for each instruction: `0: (b7) r0 = 0`.
pub fn disasm_program(insns: &[Insn], names: &dyn Names) -> String {
    let mut text = String::new();
    for (slot, insn) in insns.iter().enumerate() {
        if *insn != Insn::Imm64Hi {
            text.push_str(&format!("{slot}: {}\n", disasm(slot, insn, names)));
        }
    }
    text
}

/// A register with the letter of its width: `r1` or `w1`.
struct Operand(Width, Reg);

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.letter(), self.1.num())
    }
}

/// A memory operand after its star: `(u64 *)(r10 -8)`.
struct Memory(&'static str, Reg, i16);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} *)({} {:+})", self.0, self.1, self.2)
    }
}

fn unsigned(size: Size) -> &'static str {
    size.row().unsigned
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.insn == Insn::Imm64Hi {
            return Ok(());
        }
        write!(f, "({:02x}) ", encode_one(self.insn).code)?;
        match *self.insn {
            Insn::Alu { width, op, dst, src } => fmt_alu(f, width, op, dst, src),
            Insn::MovSx { width, from, dst, src } => {
                write!(
                    f,
                    "{} = ({}){}",
                    Operand(width, dst),
                    from.row().signed,
                    Operand(width, src)
                )
            }
            Insn::AddrSpaceCast { dst, src, dst_as, src_as } => {
                write!(f, "{dst} = addr_space_cast({src}, {dst_as}, {src_as})")
            }
            Insn::Neg { width, dst } => write!(f, "{0} = -{0}", Operand(width, dst)),
            Insn::Endian { op, size, dst } => fmt_endian(f, op, size, dst),
            Insn::LdImm64 { dst, imm } => {
                write!(f, "{dst} = ")?;
                match self.names.imm64(self.slot, imm) {
                    Some(text) => f.write_str(&text),
                    None => fmt_imm64(f, imm),
                }
            }
            Insn::Imm64Hi => Ok(()),
            Insn::LdAbs { size, imm } => write!(f, "r0 = *({} *)skb[{imm}]", unsigned(size)),
            Insn::LdInd { size, src, imm } => {
                write!(f, "r0 = *({} *)skb[{src} + {imm}]", unsigned(size))
            }
            Insn::Load { size, signed, dst, src, off } => {
                let row = size.row();
                let ty = if signed { row.signed } else { row.unsigned };
                write!(f, "{dst} = *{}", Memory(ty, src, off))
            }
            Insn::Store { size, dst, off, src } => {
                write!(f, "*{} = ", Memory(unsigned(size), dst, off))?;
                match src {
                    Src::Reg(src) => write!(f, "{src}"),
                    Src::Imm(imm) => write!(f, "{imm}"),
                }
            }
            Insn::Atomic { size, op, dst, src, off } => {
                fmt_atomic(f, size, op, &Memory(unsigned(size), dst, off), src)
            }
            Insn::LoadAcquire { size, dst, src, off } => {
                write!(f, "{dst} = load_acquire({})", Memory(unsigned(size), src, off))
            }
            Insn::StoreRelease { size, dst, src, off } => {
                write!(f, "store_release({}, {src})", Memory(unsigned(size), dst, off))
            }
            Insn::Goto { width, off } => match width {
                Width::W64 => write!(f, "goto pc{off:+}"),
                Width::W32 => write!(f, "gotol pc{off:+}"),
            },
            Insn::MayGoto { off } => write!(f, "may_goto pc{off:+}"),
            Insn::JumpIf { width, op, dst, src, off } => {
                fmt_condition(f, width, op, dst, src)?;
                write!(f, " goto pc{off:+}")
            }
            Insn::Call(target) => {
                f.write_str("call ")?;
                match (self.names.call(self.slot, target), target) {
                    (Some(text), _) => f.write_str(&text),
                    (None, CallTarget::Helper(id)) => {
                        write!(f, "{}#{id}", self.names.helper(id).unwrap_or("unknown"))
                    }
                    (None, CallTarget::Local(off)) => write!(f, "pc{off:+}"),
                    (None, CallTarget::Kfunc { btf_id, btf_fd_idx }) => {
                        write!(f, "kfunc[id:{btf_id},fd_idx:{btf_fd_idx}]")
                    }
                }
            }
            Insn::Exit => f.write_str("exit"),
        }
    }
}

fn fmt_alu(f: &mut fmt::Formatter<'_>, width: Width, op: AluOp, dst: Reg, src: Src) -> fmt::Result {
    write!(f, "{} {} ", Operand(width, dst), op.row().sign)?;
    match src {
        Src::Reg(src) => write!(f, "{}", Operand(width, src)),
        Src::Imm(imm) => write!(f, "{imm}"),
    }
}

/// `r0 = be16 r0`: always with `r`, although the opcodes of `le` and `be` are in the 32-bit class.
fn fmt_endian(f: &mut fmt::Formatter<'_>, op: EndianOp, size: Size, dst: Reg) -> fmt::Result {
    write!(f, "{dst} = {}{} {dst}", op.row().name, size.bits())
}

fn fmt_condition(
    f: &mut fmt::Formatter<'_>,
    width: Width,
    op: JmpOp,
    dst: Reg,
    src: Src,
) -> fmt::Result {
    write!(f, "if {} {} ", Operand(width, dst), op.row().sign)?;
    match src {
        Src::Reg(src) => write!(f, "{}", Operand(width, src)),
        Src::Imm(imm) => write!(f, "{imm:#x}"),
    }
}

fn fmt_atomic(
    f: &mut fmt::Formatter<'_>,
    size: Size,
    op: AtomicOp,
    mem: &Memory,
    src: Reg,
) -> fmt::Result {
    let prefix = if size == Size::DW { "atomic64" } else { "atomic" };
    match op.row().text {
        AtomicText::Lock(sign) => write!(f, "lock *{mem} {sign} {src}"),
        AtomicText::Fetch(name) => write!(f, "{src} = {prefix}_{name}({mem}, {src})"),
        AtomicText::Compare(name) => write!(f, "r0 = {prefix}_{name}({mem}, r0, {src})"),
    }
}

/// A 64-bit immediate without names, such that no bit is lost.
fn fmt_imm64(f: &mut fmt::Formatter<'_>, imm: Imm64) -> fmt::Result {
    match imm {
        Imm64::Value(value) => write!(f, "{value:#x}"),
        Imm64::MapFd(fd, _) => write!(f, "map[fd:{fd}]"),
        Imm64::MapValue(fd, off) => write!(f, "map[fd:{fd}][0]+{off}"),
        Imm64::BtfId(id, 0) => write!(f, "btf[id:{id}]"),
        Imm64::BtfId(id, fd) => write!(f, "btf[id:{id},fd:{fd}]"),
        Imm64::Func(off, 0) => write!(f, "subprog[{off:+}]"),
        Imm64::Func(off, hi) => write!(f, "subprog[{off:+},hi:{hi}]"),
        Imm64::MapIdx(idx, _) => write!(f, "map[idx:{idx}]"),
        Imm64::MapIdxValue(idx, off) => write!(f, "map[idx:{idx}][0]+{off}"),
    }
}
