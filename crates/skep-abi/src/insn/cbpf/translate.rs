//! [`translate`]: a classic filter as an eBPF program.
//!
//! | classic | eBPF |
//! | --- | --- |
//! | A | R0, always zero-extended from 32 bits |
//! | X | R7, likewise |
//! | M\[k\] | 4 bytes at R10 - 4 (k + 1) |
//! | packet or seccomp data | context, kept in R6 |
//! | – | R8 for a moment |

use super::{
    AluOp, Ancillary, CbpfError, CbpfErrorKind, Cond, Flavor, HELPER_HATYPE, HELPER_NLATTR,
    HELPER_NLATTR_NEST, HELPER_PAY_OFFSET, LoadSize, Op, Operand, SECCOMP_DATA_SIZE, SockFilter,
    check,
};
use crate::insn::{
    self, CallTarget, EndianOp, Insn, JmpOp, RawInsn, Reg, Size, Src, Width, encode,
};

const A: Reg = Reg::R0;
const X: Reg = Reg::R7;
const CTX: Reg = Reg::R6;
const TMP: Reg = Reg::R8;

/// Offsets in `struct __sk_buff`, in bytes.
mod skb {
    pub(super) const LEN: i16 = 0;
    pub(super) const PKT_TYPE: i16 = 4;
    pub(super) const MARK: i16 = 8;
    pub(super) const QUEUE_MAPPING: i16 = 12;
    pub(super) const PROTOCOL: i16 = 16;
    pub(super) const VLAN_PRESENT: i16 = 20;
    pub(super) const VLAN_TCI: i16 = 24;
    pub(super) const VLAN_PROTO: i16 = 28;
    pub(super) const IFINDEX: i16 = 40;
    pub(super) const HASH: i16 = 68;
}

/// `BPF_FUNC_get_prandom_u32`.
const HELPER_PRANDOM: i32 = 7;
/// `BPF_FUNC_get_smp_processor_id`.
const HELPER_CPU: i32 = 8;

/// Translates a filter, which is [`check`]ed first, into an eBPF program.
///
/// The result has the meaning that the kernel gives the filter: A and X begin as 0, a division by X = 0 and a load
/// outside the packet end the filter with 0. A socket filter's packet loads become legacy loads, ancillary loads
/// become fields of `struct __sk_buff` or calls of helpers (those of [`super`] where the UAPI has none).
///
/// # Errors
///
/// As [`check`].
pub fn translate(filter: &[SockFilter], flavor: Flavor) -> Result<Vec<RawInsn>, CbpfError> {
    check(filter, flavor)?;
    let mut out = Translation { insns: Vec::new(), jumps: Vec::new() };
    out.push(Insn::Alu {
        width: Width::W64,
        op: insn::AluOp::Mov,
        dst: CTX,
        src: Src::Reg(Reg::R1),
    });
    out.mov(A, Src::Imm(0));
    out.mov(X, Src::Imm(0));

    let mut starts = Vec::with_capacity(filter.len());
    for ((at, classic), is_reachable) in filter.iter().enumerate().zip(reachable(filter)) {
        starts.push(out.insns.len());
        if !is_reachable {
            // Classic BPF allows dead code, eBPF does not.
            continue;
        }
        // `check` has seen that every opcode exists.
        let op = Op::of(classic.code)
            .ok_or(CbpfError { insn: at, kind: CbpfErrorKind::Opcode(classic.code) })?;
        out.insn(at, op, classic, flavor);
    }
    out.resolve(&starts)?;
    Ok(encode(&out.insns))
}

/// Which instructions some path leads to. Jumps go forwards only, so one pass is enough.
fn reachable(filter: &[SockFilter]) -> Vec<bool> {
    let mut reached = vec![false; filter.len()];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for (at, insn) in filter.iter().enumerate() {
        if !reached.get(at).copied().unwrap_or(false) {
            continue;
        }
        let skips: &[u32] = match Op::of(insn.code) {
            Some(Op::RetK | Op::RetA) => &[],
            Some(Op::Ja) => &[insn.k],
            Some(Op::Jump(..)) => &[insn.jt.into(), insn.jf.into()],
            Some(_) | None => &[0],
        };
        for &skip in skips {
            if let Some(next) = reached.get_mut(at + 1 + skip as usize) {
                *next = true;
            }
        }
    }
    reached
}

/// A jump whose offset waits for its target.
struct Jump {
    /// Slot of the jump.
    slot: usize,
    /// Classic instruction that jumps.
    from: usize,
    /// Classic instruction that is jumped to.
    to: usize,
}

struct Translation {
    insns: Vec<Insn>,
    jumps: Vec<Jump>,
}

impl Translation {
    fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    /// A 32-bit operation: its result is zero-extended.
    fn alu(&mut self, op: insn::AluOp, dst: Reg, src: Src) {
        self.push(Insn::Alu { width: Width::W32, op, dst, src });
    }

    fn mov(&mut self, dst: Reg, src: Src) {
        self.alu(insn::AluOp::Mov, dst, src);
    }

    fn load_ctx(&mut self, dst: Reg, off: i16) {
        self.push(Insn::Load { size: Size::W, signed: false, dst, src: CTX, off });
    }

    /// Ends the filter with 0 unless the condition holds.
    fn unless_return_0(&mut self, width: Width, op: JmpOp, dst: Reg) {
        self.push(Insn::JumpIf { width, op, dst, src: Src::Imm(0), off: 2 });
        self.mov(A, Src::Imm(0));
        self.push(Insn::Exit);
    }

    /// Calls a helper with the context and these registers; the result is A.
    fn call(&mut self, id: i32, args: &[(Reg, Reg)]) {
        self.push(Insn::Alu {
            width: Width::W64,
            op: insn::AluOp::Mov,
            dst: Reg::R1,
            src: Src::Reg(CTX),
        });
        for &(arg, from) in args {
            self.mov(arg, Src::Reg(from));
        }
        self.push(Insn::Call(CallTarget::Helper(id)));
    }

    fn jump(&mut self, from: usize, skip: u32, insn: Insn) {
        self.jumps.push(Jump { slot: self.insns.len(), from, to: from + 1 + skip as usize });
        self.push(insn);
    }

    fn insn(&mut self, at: usize, op: Op, classic: &SockFilter, flavor: Flavor) {
        // The bits of a constant are kept.
        let k = classic.k as i32;
        match op {
            Op::LdAbs(size) => match (flavor, Ancillary::at(classic.k)) {
                // `check` has seen that k is below 64.
                (Flavor::Seccomp, _) => self.load_ctx(A, classic.k as i16),
                (Flavor::Socket, Some(ancillary)) => self.ancillary(ancillary),
                (Flavor::Socket, None) => self.push(Insn::LdAbs { size: load_size(size), imm: k }),
            },
            Op::LdInd(size) => self.push(Insn::LdInd { size: load_size(size), src: X, imm: k }),
            Op::LdLen => self.length(A, flavor),
            Op::LdxLen => self.length(X, flavor),
            Op::LdImm => self.mov(A, Src::Imm(k)),
            Op::LdxImm => self.mov(X, Src::Imm(k)),
            Op::LdMem => self.scratch_load(A, classic.k),
            Op::LdxMem => self.scratch_load(X, classic.k),
            Op::LdxMsh => {
                self.mov(TMP, Src::Reg(A));
                self.push(Insn::LdAbs { size: Size::B, imm: k });
                self.alu(insn::AluOp::And, A, Src::Imm(0xf));
                self.alu(insn::AluOp::Lsh, A, Src::Imm(2));
                self.mov(X, Src::Reg(A));
                self.mov(A, Src::Reg(TMP));
            }
            Op::St => self.scratch_store(A, classic.k),
            Op::Stx => self.scratch_store(X, classic.k),
            Op::Alu(op, operand) => {
                if operand == Operand::X && matches!(op, AluOp::Div | AluOp::Mod) {
                    self.unless_return_0(Width::W32, JmpOp::Ne, X);
                }
                self.alu(alu_op(op), A, source(operand, k));
            }
            Op::Neg => self.push(Insn::Neg { width: Width::W32, dst: A }),
            Op::Ja => self.jump(at, classic.k, Insn::Goto { width: Width::W64, off: 0 }),
            Op::Jump(cond, operand) => self.jump_if(at, cond, source(operand, k), classic),
            Op::RetK => {
                self.mov(A, Src::Imm(k));
                self.push(Insn::Exit);
            }
            Op::RetA => self.push(Insn::Exit),
            Op::Tax => self.mov(X, Src::Reg(A)),
            Op::Txa => self.mov(A, Src::Reg(X)),
        }
    }

    fn jump_if(&mut self, at: usize, cond: Cond, src: Src, classic: &SockFilter) {
        let (op, inverse) = match cond {
            Cond::Eq => (JmpOp::Eq, Some(JmpOp::Ne)),
            Cond::Gt => (JmpOp::Gt, Some(JmpOp::Le)),
            Cond::Ge => (JmpOp::Ge, Some(JmpOp::Lt)),
            Cond::Set => (JmpOp::Set, None),
        };
        let jump = |op| Insn::JumpIf { width: Width::W32, op, dst: A, src, off: 0 };
        match (classic.jt, classic.jf, inverse) {
            (0, jf, Some(inverse)) if jf != 0 => self.jump(at, jf.into(), jump(inverse)),
            (jt, 0, _) => self.jump(at, jt.into(), jump(op)),
            (jt, jf, _) => {
                self.jump(at, jt.into(), jump(op));
                self.jump(at, jf.into(), Insn::Goto { width: Width::W64, off: 0 });
            }
        }
    }

    /// Length of the packet, or of the seccomp data.
    fn length(&mut self, dst: Reg, flavor: Flavor) {
        match flavor {
            Flavor::Socket => self.load_ctx(dst, skb::LEN),
            Flavor::Seccomp => self.mov(dst, Src::Imm(SECCOMP_DATA_SIZE as i32)),
        }
    }

    fn scratch_load(&mut self, dst: Reg, k: u32) {
        self.push(Insn::Load {
            size: Size::W,
            signed: false,
            dst,
            src: Reg::R10,
            off: scratch_off(k),
        });
    }

    fn scratch_store(&mut self, src: Reg, k: u32) {
        self.push(Insn::Store {
            size: Size::W,
            dst: Reg::R10,
            off: scratch_off(k),
            src: Src::Reg(src),
        });
    }

    fn ancillary(&mut self, ancillary: Ancillary) {
        // The field holds a 16-bit number in network order.
        let to_host = Insn::Endian { op: EndianOp::Be, size: Size::H, dst: A };
        match ancillary {
            Ancillary::Protocol => {
                self.load_ctx(A, skb::PROTOCOL);
                self.push(to_host);
            }
            Ancillary::PktType => self.load_ctx(A, skb::PKT_TYPE),
            Ancillary::IfIndex => {
                // 0 stands for no device, where the kernel ends the filter.
                self.load_ctx(A, skb::IFINDEX);
                self.unless_return_0(Width::W32, JmpOp::Ne, A);
            }
            Ancillary::NlAttr => self.netlink(HELPER_NLATTR),
            Ancillary::NlAttrNest => self.netlink(HELPER_NLATTR_NEST),
            Ancillary::Mark => self.load_ctx(A, skb::MARK),
            Ancillary::Queue => self.load_ctx(A, skb::QUEUE_MAPPING),
            Ancillary::HaType => {
                self.call(HELPER_HATYPE, &[]);
                self.unless_return_0(Width::W64, JmpOp::Sge, A);
                self.mov(A, Src::Reg(A));
            }
            Ancillary::RxHash => self.load_ctx(A, skb::HASH),
            Ancillary::Cpu => self.result_of(HELPER_CPU),
            Ancillary::AluXorX => self.alu(insn::AluOp::Xor, A, Src::Reg(X)),
            Ancillary::VlanTag => self.load_ctx(A, skb::VLAN_TCI),
            Ancillary::VlanTagPresent => self.load_ctx(A, skb::VLAN_PRESENT),
            Ancillary::PayOffset => self.result_of(HELPER_PAY_OFFSET),
            Ancillary::Random => self.result_of(HELPER_PRANDOM),
            Ancillary::VlanTpid => {
                self.load_ctx(A, skb::VLAN_PROTO);
                self.push(to_host);
            }
        }
    }

    /// A = helper(ctx), as 32 bits.
    fn result_of(&mut self, id: i32) {
        self.call(id, &[]);
        self.mov(A, Src::Reg(A));
    }

    /// A = helper(ctx, A, X), as 32 bits.
    fn netlink(&mut self, id: i32) {
        self.call(id, &[(Reg::R2, A), (Reg::R3, X)]);
        self.mov(A, Src::Reg(A));
    }

    /// Fills in the offsets. A `goto` that is too far becomes a `gotol` of the same size; a conditional jump cannot be
    /// too far, since it skips at most 255 classic instructions of a few slots each.
    fn resolve(&mut self, starts: &[usize]) -> Result<(), CbpfError> {
        for jump in &self.jumps {
            let fail = |kind| CbpfError { insn: jump.from, kind };
            let to = *starts.get(jump.to).ok_or(fail(CbpfErrorKind::JumpTarget(jump.to as u64)))?;
            let off = to as i64 - jump.slot as i64 - 1;
            let too_far = || fail(CbpfErrorKind::TooFar(off));
            match self.insns.get_mut(jump.slot) {
                Some(Insn::JumpIf { off: slots, .. }) => {
                    *slots = i16::try_from(off).map_err(|_| too_far())?
                }
                Some(Insn::Goto { width, off: slots }) => {
                    *slots = i32::try_from(off).map_err(|_| too_far())?;
                    *width = if i16::try_from(off).is_ok() { Width::W64 } else { Width::W32 };
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

fn load_size(size: LoadSize) -> Size {
    match size {
        LoadSize::W => Size::W,
        LoadSize::H => Size::H,
        LoadSize::B => Size::B,
    }
}

fn alu_op(op: AluOp) -> insn::AluOp {
    match op {
        AluOp::Add => insn::AluOp::Add,
        AluOp::Sub => insn::AluOp::Sub,
        AluOp::Mul => insn::AluOp::Mul,
        AluOp::Div => insn::AluOp::Div,
        AluOp::Or => insn::AluOp::Or,
        AluOp::And => insn::AluOp::And,
        AluOp::Lsh => insn::AluOp::Lsh,
        AluOp::Rsh => insn::AluOp::Rsh,
        AluOp::Mod => insn::AluOp::Mod,
        AluOp::Xor => insn::AluOp::Xor,
    }
}

fn source(operand: Operand, k: i32) -> Src {
    match operand {
        Operand::K => Src::Imm(k),
        Operand::X => Src::Reg(X),
    }
}

/// Offset of M\[k\] from R10; k is below 16.
fn scratch_off(k: u32) -> i16 {
    -4 * (k as i16 + 1)
}
