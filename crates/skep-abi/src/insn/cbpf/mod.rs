//! Classic BPF: filters of sockets (`SO_ATTACH_FILTER`) and of seccomp, as `tcpdump -ddd` prints them.
//!
//! Key types: [`SockFilter`] is one instruction, [`parse`] reads text, [`image`] writes `tcpdump -d`
//! notation, [`check`] validates as the kernel does, [`translate`] turns a filter into eBPF that the verifier can
//! check like any other program.
//!
//! Source: The BSD packet filter (McCanne, Jacobson 1993), Documentation/networking/filter.rst, seccomp(2), and the
//! behaviour of Linux 6.18.

mod check;
mod image;
mod parse;
#[cfg(test)]
mod tests;
mod translate;

use core::fmt;

use crate::Errno;

pub use check::check;
pub use image::{image, image_program};
pub use parse::{ParseError, ParseErrorKind, parse};
pub use translate::translate;

/// One classic instruction (`struct sock_filter`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SockFilter {
    /// Opcode: class, and mode and size or operation.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Immediate, offset, or index of a scratch word.
    pub k: u32,
}

/// Where a filter runs, which decides what it may do and what its packet is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flavor {
    /// A socket's filter: its packet is the `sk_buff`, whose context is `struct __sk_buff`.
    Socket,
    /// A seccomp filter: its packet is `struct seccomp_data`, in host byte order, and fewer opcodes exist.
    Seccomp,
}

/// The longest filter, in instructions (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;

/// Words of scratch memory (`BPF_MEMWORDS`).
pub const SCRATCH_WORDS: u32 = 16;

/// `sizeof(struct seccomp_data)`, in bytes.
pub const SECCOMP_DATA_SIZE: u32 = 64;

/// Offsets from here on are ancillary data, not packet bytes (`SKF_AD_OFF`).
pub const AD_OFF: u32 = -0x1000_i32 as u32;

/// Helper for the offset of the payload: `(ctx) -> u32`, as `SKF_AD_PAY_OFFSET`.
///
/// The ids from `0x4000_0000` on are not of the UAPI and exist for translated filters only: a program that is
/// loaded as eBPF must not call them.
pub const HELPER_PAY_OFFSET: i32 = 0x4000_0000;
/// Helper for `SKF_AD_NLATTR`: `(ctx, offset, type) -> u32`, the offset of the first netlink attribute of `type` (the
/// X register) at or after `offset` (A); 0 if there is none.
pub const HELPER_NLATTR: i32 = 0x4000_0001;
/// Helper for `SKF_AD_NLATTR_NEST`: as [`HELPER_NLATTR`], inside the nested attribute at `offset`.
pub const HELPER_NLATTR_NEST: i32 = 0x4000_0002;
/// Helper for `SKF_AD_HATYPE`: `(ctx) -> s64`, the type of the device (`ARPHRD_*`), or -1 if the packet has no device,
/// whereupon the filter returns 0.
pub const HELPER_HATYPE: i32 = 0x4000_0003;

/// Ancillary data: what a load at an offset of [`AD_OFF`] and more loads (`SKF_AD_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ancillary {
    /// Protocol of the frame, in host byte order.
    Protocol,
    /// `PACKET_HOST` and so on.
    PktType,
    /// Index of the device.
    IfIndex,
    /// Netlink attribute.
    NlAttr,
    /// Nested netlink attribute.
    NlAttrNest,
    /// Mark of the packet.
    Mark,
    /// Receive queue.
    Queue,
    /// Type of the device.
    HaType,
    /// Flow hash.
    RxHash,
    /// Number of the CPU that runs the filter.
    Cpu,
    /// Not a load: A ^= X.
    AluXorX,
    /// VLAN tag control information.
    VlanTag,
    /// Whether there is a VLAN tag.
    VlanTagPresent,
    /// Offset of the payload.
    PayOffset,
    /// A random number.
    Random,
    /// Protocol of the VLAN tag, in host byte order.
    VlanTpid,
}

impl Ancillary {
    /// Every one, in the order of the offsets.
    pub const ALL: &'static [Ancillary] = &[
        Ancillary::Protocol,
        Ancillary::PktType,
        Ancillary::IfIndex,
        Ancillary::NlAttr,
        Ancillary::NlAttrNest,
        Ancillary::Mark,
        Ancillary::Queue,
        Ancillary::HaType,
        Ancillary::RxHash,
        Ancillary::Cpu,
        Ancillary::AluXorX,
        Ancillary::VlanTag,
        Ancillary::VlanTagPresent,
        Ancillary::PayOffset,
        Ancillary::Random,
        Ancillary::VlanTpid,
    ];

    /// Offset from [`AD_OFF`], and the name that `tcpdump -d` prints.
    const fn row(self) -> (u32, &'static str) {
        match self {
            Ancillary::Protocol => (0, "proto"),
            Ancillary::PktType => (4, "type"),
            Ancillary::IfIndex => (8, "ifidx"),
            Ancillary::NlAttr => (12, "nla"),
            Ancillary::NlAttrNest => (16, "nlan"),
            Ancillary::Mark => (20, "mark"),
            Ancillary::Queue => (24, "queue"),
            Ancillary::HaType => (28, "hatype"),
            Ancillary::RxHash => (32, "rxhash"),
            Ancillary::Cpu => (36, "cpu"),
            Ancillary::AluXorX => (40, "xor_x"),
            Ancillary::VlanTag => (44, "vlan_tci"),
            Ancillary::VlanTagPresent => (48, "vlanp"),
            Ancillary::PayOffset => (52, "poff"),
            Ancillary::Random => (56, "random"),
            Ancillary::VlanTpid => (60, "vlan_tpid"),
        }
    }

    /// Offset of this in the instruction's `k`.
    pub const fn offset(self) -> u32 {
        AD_OFF + self.row().0
    }

    /// Which ancillary data an offset means.
    pub fn at(k: u32) -> Option<Ancillary> {
        Ancillary::ALL.iter().copied().find(|a| a.offset() == k)
    }
}

/// Why a filter is not valid. The kernel answers `EINVAL` to each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CbpfError {
    /// Index of the instruction.
    pub insn: usize,
    /// What is wrong with it.
    pub kind: CbpfErrorKind,
}

/// What is wrong with an instruction of a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CbpfErrorKind {
    /// There is no instruction at all.
    Empty,
    /// More than [`MAX_INSNS`]; how many.
    TooLong(usize),
    /// An opcode that does not exist.
    Opcode(u16),
    /// An opcode that exists, but not in seccomp filters.
    NotInSeccomp(u16),
    /// Division or modulo by the constant 0.
    DivisionByZero,
    /// A shift by a constant of 32 or more.
    Shift(u32),
    /// A scratch word of index 16 or more.
    ScratchIndex(u32),
    /// A read of a scratch word that some path has not written.
    ScratchUnwritten(u32),
    /// A jump past the end; the index of the instruction jumped to.
    JumpTarget(u64),
    /// A load of ancillary data that does not exist.
    AncillaryOffset(u32),
    /// A load of seccomp data outside of it or not aligned to 4 bytes.
    SeccompOffset(u32),
    /// The last instruction is no `ret`.
    NoReturn,
    /// A translated jump that no jump instruction can express; slots.
    TooFar(i64),
}

impl CbpfError {
    /// The kernel's answer.
    pub const fn errno(&self) -> Errno {
        Errno::EINVAL
    }
}

impl fmt::Display for CbpfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "classic instruction {}: {}", self.insn, self.kind)
    }
}

impl core::error::Error for CbpfError {}

impl fmt::Display for CbpfErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            CbpfErrorKind::Empty => f.write_str("the filter is empty; it needs at least a `ret`"),
            CbpfErrorKind::TooLong(len) => {
                write!(f, "the filter has {len} instructions; {MAX_INSNS} are allowed")
            }
            CbpfErrorKind::Opcode(code) => {
                write!(f, "opcode {code:#x} does not exist in classic BPF")
            }
            CbpfErrorKind::NotInSeccomp(code) => write!(
                f,
                "opcode {code:#x} is not allowed in a seccomp filter, which may load words, compute, jump and return"
            ),
            CbpfErrorKind::DivisionByZero => f.write_str("division by the constant 0"),
            CbpfErrorKind::Shift(k) => write!(f, "shift by {k}; 0 to 31 are allowed"),
            CbpfErrorKind::ScratchIndex(k) => {
                write!(f, "scratch word M[{k}] does not exist; M[0] to M[15] do")
            }
            CbpfErrorKind::ScratchUnwritten(k) => {
                write!(
                    f,
                    "scratch word M[{k}] may be read before it is written; store to it on every path first"
                )
            }
            CbpfErrorKind::JumpTarget(target) => {
                write!(f, "jump to instruction {target}, past the end of the filter")
            }
            CbpfErrorKind::AncillaryOffset(k) => {
                write!(f, "offset {k:#x} is in the ancillary area but no ancillary data is there")
            }
            CbpfErrorKind::SeccompOffset(k) => write!(
                f,
                "offset {k} is not in struct seccomp_data; multiples of 4 below {SECCOMP_DATA_SIZE} are"
            ),
            CbpfErrorKind::NoReturn => f.write_str("the last instruction must be a `ret`"),
            CbpfErrorKind::TooFar(off) => {
                write!(f, "the translated jump spans {off} slots, more than 16 bits hold")
            }
        }
    }
}

/// Size of a packet load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LoadSize {
    W,
    H,
    B,
}

/// Arithmetic on A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    Xor,
}

/// Condition on A.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cond {
    Eq,
    Gt,
    Ge,
    Set,
}

/// Second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operand {
    K,
    X,
}

/// A decoded opcode. What its `k`, `jt` and `jf` hold is left in the [`SockFilter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// A = P[k], or ancillary data.
    LdAbs(LoadSize),
    /// A = P[X + k].
    LdInd(LoadSize),
    /// A = length of the packet.
    LdLen,
    /// A = k.
    LdImm,
    /// A = M[k].
    LdMem,
    /// X = k.
    LdxImm,
    /// X = M[k].
    LdxMem,
    /// X = length of the packet.
    LdxLen,
    /// X = 4 * (P[k] & 0xf): the length of an IPv4 header.
    LdxMsh,
    /// M[k] = A.
    St,
    /// M[k] = X.
    Stx,
    /// A op= operand.
    Alu(AluOp, Operand),
    /// A = -A.
    Neg,
    /// Skip k instructions.
    Ja,
    /// Skip jt or jf instructions.
    Jump(Cond, Operand),
    /// Return k.
    RetK,
    /// Return A.
    RetA,
    /// X = A.
    Tax,
    /// A = X.
    Txa,
}

/// Every opcode that exists, once.
const OPCODES: &[(u16, Op)] = &[
    (0x20, Op::LdAbs(LoadSize::W)),
    (0x28, Op::LdAbs(LoadSize::H)),
    (0x30, Op::LdAbs(LoadSize::B)),
    (0x40, Op::LdInd(LoadSize::W)),
    (0x48, Op::LdInd(LoadSize::H)),
    (0x50, Op::LdInd(LoadSize::B)),
    (0x80, Op::LdLen),
    (0x00, Op::LdImm),
    (0x60, Op::LdMem),
    (0x01, Op::LdxImm),
    (0x61, Op::LdxMem),
    (0x81, Op::LdxLen),
    (0xb1, Op::LdxMsh),
    (0x02, Op::St),
    (0x03, Op::Stx),
    (0x04, Op::Alu(AluOp::Add, Operand::K)),
    (0x0c, Op::Alu(AluOp::Add, Operand::X)),
    (0x14, Op::Alu(AluOp::Sub, Operand::K)),
    (0x1c, Op::Alu(AluOp::Sub, Operand::X)),
    (0x24, Op::Alu(AluOp::Mul, Operand::K)),
    (0x2c, Op::Alu(AluOp::Mul, Operand::X)),
    (0x34, Op::Alu(AluOp::Div, Operand::K)),
    (0x3c, Op::Alu(AluOp::Div, Operand::X)),
    (0x44, Op::Alu(AluOp::Or, Operand::K)),
    (0x4c, Op::Alu(AluOp::Or, Operand::X)),
    (0x54, Op::Alu(AluOp::And, Operand::K)),
    (0x5c, Op::Alu(AluOp::And, Operand::X)),
    (0x64, Op::Alu(AluOp::Lsh, Operand::K)),
    (0x6c, Op::Alu(AluOp::Lsh, Operand::X)),
    (0x74, Op::Alu(AluOp::Rsh, Operand::K)),
    (0x7c, Op::Alu(AluOp::Rsh, Operand::X)),
    (0x94, Op::Alu(AluOp::Mod, Operand::K)),
    (0x9c, Op::Alu(AluOp::Mod, Operand::X)),
    (0xa4, Op::Alu(AluOp::Xor, Operand::K)),
    (0xac, Op::Alu(AluOp::Xor, Operand::X)),
    (0x84, Op::Neg),
    (0x05, Op::Ja),
    (0x15, Op::Jump(Cond::Eq, Operand::K)),
    (0x1d, Op::Jump(Cond::Eq, Operand::X)),
    (0x25, Op::Jump(Cond::Gt, Operand::K)),
    (0x2d, Op::Jump(Cond::Gt, Operand::X)),
    (0x35, Op::Jump(Cond::Ge, Operand::K)),
    (0x3d, Op::Jump(Cond::Ge, Operand::X)),
    (0x45, Op::Jump(Cond::Set, Operand::K)),
    (0x4d, Op::Jump(Cond::Set, Operand::X)),
    (0x06, Op::RetK),
    (0x16, Op::RetA),
    (0x07, Op::Tax),
    (0x87, Op::Txa),
];

impl Op {
    /// The operation of an opcode.
    fn of(code: u16) -> Option<Op> {
        OPCODES.iter().find(|(c, _)| *c == code).map(|(_, op)| *op)
    }
}
