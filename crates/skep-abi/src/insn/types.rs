//! The decoded form: [`Insn`] and the small enums in it.
//!
//! Every consumer matches [`Insn`] without a wildcard, so a new form fails to compile until it is handled.

/// A register, R0 to R10.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

impl Reg {
    /// Return value.
    pub const R0: Reg = Reg(0);
    /// First argument; the context at entry.
    pub const R1: Reg = Reg(1);
    /// Second argument.
    pub const R2: Reg = Reg(2);
    /// Third argument.
    pub const R3: Reg = Reg(3);
    /// Fourth argument.
    pub const R4: Reg = Reg(4);
    /// Fifth argument.
    pub const R5: Reg = Reg(5);
    /// Callee-saved; the context for legacy packet loads.
    pub const R6: Reg = Reg(6);
    /// Callee-saved.
    pub const R7: Reg = Reg(7);
    /// Callee-saved.
    pub const R8: Reg = Reg(8);
    /// Callee-saved.
    pub const R9: Reg = Reg(9);
    /// Frame pointer, read-only.
    pub const R10: Reg = Reg(10);

    /// A register that programs cannot name: what a verifier adds to a program uses it between two instructions
    /// (`BPF_REG_AX`). It neither decodes nor counts in [`Reg::COUNT`].
    pub const AX: Reg = Reg(11);

    /// How many registers programs have.
    pub const COUNT: usize = 11;

    /// How many registers an engine has: those of programs and [`Reg::AX`].
    pub const ENGINE_COUNT: usize = 12;

    /// `None` for a number above 10.
    pub const fn new(num: u8) -> Option<Reg> {
        if num <= 10 { Some(Reg(num)) } else { None }
    }

    /// The number, below [`Reg::COUNT`] in what was decoded and below [`Reg::ENGINE_COUNT`] otherwise.
    pub const fn num(self) -> u8 {
        self.0
    }

    /// The number as an index, bounded as [`Reg::num`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl core::fmt::Debug for Reg {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl core::fmt::Display for Reg {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Operation width of ALU and jump instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Width {
    /// 32 bits; ALU results are zero-extended.
    W32,
    /// 64 bits.
    W64,
}

/// Size of a memory access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    DW,
}

impl Size {
    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> u32 {
        match self {
            Size::B => 1,
            Size::H => 2,
            Size::W => 4,
            Size::DW => 8,
        }
    }

    /// 8, 16, 32 or 64.
    pub const fn bits(self) -> u32 {
        self.bytes() * 8
    }
}

/// Second operand: a register or a sign-extended immediate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Src {
    /// A register.
    Reg(Reg),
    /// An immediate, sign-extended to the operation's width.
    Imm(i32),
}

/// Two-operand arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AluOp {
    /// `+=`
    Add,
    /// `-=`
    Sub,
    /// `*=`
    Mul,
    /// Unsigned `/=`; division by zero gives 0.
    Div,
    /// Signed `s/=`; division by zero gives 0.
    Sdiv,
    /// `|=`
    Or,
    /// `&=`
    And,
    /// `<<=`; the count is masked to the width.
    Lsh,
    /// Logical `>>=`; the count is masked to the width.
    Rsh,
    /// Arithmetic `s>>=`; the count is masked to the width.
    Arsh,
    /// Unsigned `%=`; modulo zero leaves the destination.
    Mod,
    /// Signed `s%=`; modulo zero leaves the destination.
    Smod,
    /// `^=`
    Xor,
    /// `=`
    Mov,
}

/// Byte order conversion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndianOp {
    /// To little-endian (`BPF_TO_LE`), then truncate.
    Le,
    /// To big-endian (`BPF_TO_BE`), then truncate.
    Be,
    /// Unconditional swap (`bswap`, v4), then truncate.
    Swap,
}

/// Condition of a jump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JmpOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// Unsigned `>`
    Gt,
    /// Unsigned `>=`
    Ge,
    /// Unsigned `<`
    Lt,
    /// Unsigned `<=`
    Le,
    /// Signed `>`
    Sgt,
    /// Signed `>=`
    Sge,
    /// Signed `<`
    Slt,
    /// Signed `<=`
    Sle,
    /// `&` is not zero
    Set,
}

/// Atomic read-modify-write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AtomicOp {
    /// `*dst += src`
    Add,
    /// `*dst |= src`
    Or,
    /// `*dst &= src`
    And,
    /// `*dst ^= src`
    Xor,
    /// `src = fetch_add(dst, src)`
    FetchAdd,
    /// `src = fetch_or(dst, src)`
    FetchOr,
    /// `src = fetch_and(dst, src)`
    FetchAnd,
    /// `src = fetch_xor(dst, src)`
    FetchXor,
    /// `src = xchg(dst, src)`
    Xchg,
    /// `r0 = cmpxchg(dst, r0, src)`
    Cmpxchg,
}

/// What the two immediates of a 64-bit immediate load mean (the pseudo source in `src_reg`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Imm64 {
    /// The value itself.
    Value(u64),
    /// `BPF_PSEUDO_MAP_FD`: address of a map, by fd. The second immediate is kept; it must be 0.
    MapFd(i32, i32),
    /// `BPF_PSEUDO_MAP_VALUE`: address inside the value of a map, by fd; offset in bytes.
    MapValue(i32, u32),
    /// `BPF_PSEUDO_BTF_ID`: address of a kernel variable; BTF id and the fd of the module's BTF.
    BtfId(i32, i32),
    /// `BPF_PSEUDO_FUNC`: address of a subprogram; slot offset from the next slot of the first half,
    /// as for a local call. The second immediate is kept; it must be 0.
    Func(i32, i32),
    /// `BPF_PSEUDO_MAP_IDX`: as `MapFd`, by index into the load's fd array.
    MapIdx(i32, i32),
    /// `BPF_PSEUDO_MAP_IDX_VALUE`: as `MapValue`, by index into the load's fd array.
    MapIdxValue(i32, u32),
}

/// Whom a call calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallTarget {
    /// A helper, by id.
    Helper(i32),
    /// A subprogram; slot offset from the next slot (`BPF_PSEUDO_CALL`).
    Local(i32),
    /// A kernel function, by BTF id and index of its BTF's fd (`BPF_PSEUDO_KFUNC_CALL`).
    Kfunc {
        /// Id of the function in its BTF.
        btf_id: i32,
        /// 0 for vmlinux, else an index into the fd array.
        btf_fd_idx: i16,
    },
}

/// One decoded instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Insn {
    /// `dst op= src`.
    Alu {
        /// Width of the operation.
        width: Width,
        /// Operation.
        op: AluOp,
        /// Destination and first operand.
        dst: Reg,
        /// Second operand.
        src: Src,
    },
    /// `dst = (sN)src`: sign-extending move (v4); `from` is B, H or (64 bit only) W.
    MovSx {
        /// Width of the result.
        width: Width,
        /// Size of the value that is extended.
        from: Size,
        /// Destination.
        dst: Reg,
        /// Source.
        src: Reg,
    },
    /// `dst = -dst`.
    Neg {
        /// Width of the operation.
        width: Width,
        /// Register.
        dst: Reg,
    },
    /// Byte order conversion; `size` is H, W or DW.
    Endian {
        /// Which conversion.
        op: EndianOp,
        /// How many bits take part; the rest becomes zero.
        size: Size,
        /// Register.
        dst: Reg,
    },
    /// `dst = addr_space_cast(src, dst_as, src_as)` (arena pointers).
    AddrSpaceCast {
        /// Destination.
        dst: Reg,
        /// Source.
        src: Reg,
        /// Destination address space (high half of the immediate).
        dst_as: u16,
        /// Source address space (low half of the immediate).
        src_as: u16,
    },
    /// 64-bit immediate load; takes two slots, the second decodes as [`Insn::Imm64Hi`].
    LdImm64 {
        /// Destination.
        dst: Reg,
        /// What is loaded.
        imm: Imm64,
    },
    /// Second slot of the [`Insn::LdImm64`] before it; never executed, never a jump target.
    Imm64Hi,
    /// `r0 = *(size *)skb[imm]`: legacy packet load, absolute.
    LdAbs {
        /// B, H or W.
        size: Size,
        /// Offset in the packet.
        imm: i32,
    },
    /// `r0 = *(size *)skb[src + imm]`: legacy packet load, indirect.
    LdInd {
        /// B, H or W.
        size: Size,
        /// Register that is added.
        src: Reg,
        /// Offset in the packet.
        imm: i32,
    },
    /// `dst = *(size *)(src + off)`.
    Load {
        /// Access size.
        size: Size,
        /// Whether the value is sign-extended (v4; never with DW).
        signed: bool,
        /// Destination.
        dst: Reg,
        /// Base address.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `*(size *)(dst + off) = src`.
    Store {
        /// Access size.
        size: Size,
        /// Base address.
        dst: Reg,
        /// Offset in bytes.
        off: i16,
        /// Value: register, or immediate sign-extended to 64 bits and then truncated.
        src: Src,
    },
    /// Atomic read-modify-write; `size` is W or DW.
    Atomic {
        /// Access size.
        size: Size,
        /// Operation.
        op: AtomicOp,
        /// Base address.
        dst: Reg,
        /// Operand and, for fetching operations but `Cmpxchg`, the old value.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `dst = load_acquire((size *)(src + off))`.
    LoadAcquire {
        /// Access size.
        size: Size,
        /// Destination.
        dst: Reg,
        /// Base address.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `store_release((size *)(dst + off), src)`.
    StoreRelease {
        /// Access size.
        size: Size,
        /// Base address.
        dst: Reg,
        /// Value.
        src: Reg,
        /// Offset in bytes.
        off: i16,
    },
    /// `goto off` (16-bit offset), or `gotol off` (32-bit offset, v4).
    Goto {
        /// Which encoding: W64 is `goto` (class JMP), W32 is `gotol` (class JMP32). An offset that does not fit
        /// 16 bits is encoded as `gotol` in any case.
        width: Width,
        /// Slots from the next one.
        off: i32,
    },
    /// `may_goto off`: jumps when the run's budget of iterations is used up.
    MayGoto {
        /// Slots from the next one.
        off: i16,
    },
    /// `if dst op src goto off`.
    JumpIf {
        /// Width of the comparison.
        width: Width,
        /// Condition.
        op: JmpOp,
        /// First operand.
        dst: Reg,
        /// Second operand.
        src: Src,
        /// Slots from the next one.
        off: i16,
    },
    /// Call; arguments in R1 to R5, result in R0, R1 to R5 are lost.
    Call(CallTarget),
    /// Return R0 to the caller.
    Exit,
}
