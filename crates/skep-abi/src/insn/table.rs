//! The instruction table: every opcode and every operation, once.
//!
//! [`Form`] has one variant for each [`Insn`] variant and owns opcode bytes; the operation enums
//! ([`AluOp`], [`JmpOp`], [`AtomicOp`], [`EndianOp`], [`Size`]) and [`Pseudo`] own the bits inside an
//! instruction, their sign in the kernel's notation and their mnemonic. [`super::decode`], [`super::encode`],
//! [`super::disasm`] and [`super::asm`] all read these rows and match [`Form`] or [`Insn`] without a
//! wildcard, so that a new opcode fails to compile in each of them until it is handled.
//!
//! Source: RFC 9669 section 3 to 5; `may_goto`, `addr_space_cast`, load-acquire and store-release from the
//! opcodes that Linux 6.18 accepts.

use super::types::{AluOp, AtomicOp, EndianOp, Imm64, Insn, JmpOp, Size, Width};

/// Bits of the opcode byte, named as in `linux/bpf.h` and `linux/bpf_common.h`.
pub(crate) mod bits {
    pub(crate) const LD: u8 = 0x00;
    pub(crate) const LDX: u8 = 0x01;
    pub(crate) const ST: u8 = 0x02;
    pub(crate) const STX: u8 = 0x03;
    pub(crate) const ALU: u8 = 0x04;
    pub(crate) const JMP: u8 = 0x05;
    pub(crate) const JMP32: u8 = 0x06;
    pub(crate) const ALU64: u8 = 0x07;

    /// Operand is `src_reg`, not the immediate; for byte swaps: to big-endian.
    pub(crate) const X: u8 = 0x08;

    pub(crate) const ABS: u8 = 0x20;
    pub(crate) const IND: u8 = 0x40;
    pub(crate) const MEM: u8 = 0x60;
    pub(crate) const MEMSX: u8 = 0x80;
    pub(crate) const ATOMIC: u8 = 0xc0;

    pub(crate) const NEG: u8 = 0x80;
    pub(crate) const CALL: u8 = 0x80;
    pub(crate) const EXIT: u8 = 0x90;
    pub(crate) const JCOND: u8 = 0xe0;

    /// 64-bit immediate load.
    pub(crate) const LD_IMM64: u8 = 0x18;

    /// `off` of the register move that is an address space cast.
    pub(crate) const OFF_ADDR_SPACE_CAST: i16 = 1;
    /// `imm` of an atomic instruction that is a load-acquire.
    pub(crate) const LOAD_ACQUIRE: i32 = 0x100;
    /// `imm` of an atomic instruction that is a store-release.
    pub(crate) const STORE_RELEASE: i32 = 0x110;

    /// `src_reg` of a call of a subprogram.
    pub(crate) const PSEUDO_CALL: u8 = 1;
    /// `src_reg` of a call of a kernel function.
    pub(crate) const PSEUDO_KFUNC_CALL: u8 = 2;

    /// The class of an opcode.
    pub(crate) const fn class(code: u8) -> u8 {
        code & 0x07
    }
    /// The addressing mode of a load or store opcode.
    pub(crate) const fn mode(code: u8) -> u8 {
        code & 0xe0
    }
    /// The operation of an ALU or jump opcode.
    pub(crate) const fn op(code: u8) -> u8 {
        code & 0xf0
    }
    /// The size bits of a load or store opcode.
    pub(crate) const fn size(code: u8) -> u8 {
        code & 0x18
    }
}

/// Rows of one closed enum: `ALL`, and a row for each variant through a match without a wildcard.
macro_rules! rows {
    ($vis:vis $ty:ident, $row_doc:literal, $row:ident { $($field:ident: $fty:ty),+ },
     $($variant:ident($($val:expr),+);)+) => {
        #[doc = $row_doc]
        #[derive(Clone, Copy)]
        pub(crate) struct $row { $(pub(crate) $field: $fty),+ }

        impl $row {
            const fn new($($field: $fty),+) -> $row {
                $row { $($field),+ }
            }
        }

        impl $ty {
            /// Every variant, in the order of the table.
            $vis const ALL: &'static [$ty] = &[$($ty::$variant),+];

            pub(crate) const fn row(self) -> $row {
                match self { $($ty::$variant => $row::new($($val),+)),+ }
            }
        }
    };
}

rows! { pub AluOp, "Row of an [`AluOp`]: operation bits, `off`, kernel sign, mnemonic.",
    AluRow { op: u8, off: i16, sign: &'static str, name: &'static str },
    Add (0x00, 0, "+=",   "add");
    Sub (0x10, 0, "-=",   "sub");
    Mul (0x20, 0, "*=",   "mul");
    Div (0x30, 0, "/=",   "div");
    Sdiv(0x30, 1, "s/=",  "sdiv");
    Or  (0x40, 0, "|=",   "or");
    And (0x50, 0, "&=",   "and");
    Lsh (0x60, 0, "<<=",  "lsh");
    Rsh (0x70, 0, ">>=",  "rsh");
    Mod (0x90, 0, "%=",   "mod");
    Smod(0x90, 1, "s%=",  "smod");
    Xor (0xa0, 0, "^=",   "xor");
    Mov (0xb0, 0, "=",    "mov");
    Arsh(0xc0, 0, "s>>=", "arsh");
}

rows! { pub JmpOp, "Row of a [`JmpOp`]: operation bits, kernel sign, mnemonic.",
    JmpRow { op: u8, sign: &'static str, name: &'static str },
    Eq (0x10, "==",  "jeq");
    Gt (0x20, ">",   "jgt");
    Ge (0x30, ">=",  "jge");
    Set(0x40, "&",   "jset");
    Ne (0x50, "!=",  "jne");
    Sgt(0x60, "s>",  "jsgt");
    Sge(0x70, "s>=", "jsge");
    Lt (0xa0, "<",   "jlt");
    Le (0xb0, "<=",  "jle");
    Slt(0xc0, "s<",  "jslt");
    Sle(0xd0, "s<=", "jsle");
}

rows! { pub Size, "Row of a [`Size`]: size bits, unsigned and signed type in the kernel's notation, mnemonic suffix.",
    SizeRow { bits: u8, unsigned: &'static str, signed: &'static str, name: &'static str },
    W (0x00, "u32", "s32", "w");
    H (0x08, "u16", "s16", "h");
    B (0x10, "u8",  "s8",  "b");
    DW(0x18, "u64", "s64", "dw");
}

/// How the kernel prints an atomic operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtomicText {
    /// `lock *(u64 *)(r1 +0) += r2`, with this sign.
    Lock(&'static str),
    /// `r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)`, with this name.
    Fetch(&'static str),
    /// `r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)`, with this name.
    Compare(&'static str),
}

rows! { pub AtomicOp, "Row of an [`AtomicOp`]: `imm`, kernel notation, mnemonic after `lock`.",
    AtomicRow { imm: i32, text: AtomicText, name: &'static str },
    Add     (0x00, AtomicText::Lock("+="), "add");
    FetchAdd(0x01, AtomicText::Fetch("fetch_add"), "fetch_add");
    Or      (0x40, AtomicText::Lock("|="), "or");
    FetchOr (0x41, AtomicText::Fetch("fetch_or"), "fetch_or");
    And     (0x50, AtomicText::Lock("&="), "and");
    FetchAnd(0x51, AtomicText::Fetch("fetch_and"), "fetch_and");
    Xor     (0xa0, AtomicText::Lock("^="), "xor");
    FetchXor(0xa1, AtomicText::Fetch("fetch_xor"), "fetch_xor");
    Xchg    (0xe1, AtomicText::Fetch("xchg"), "xchg");
    Cmpxchg (0xf1, AtomicText::Compare("cmpxchg"), "cmpxchg");
}

rows! { pub EndianOp, "Row of an [`EndianOp`]: opcode, name in the kernel's notation.",
    EndianRow { code: u8, name: &'static str },
    Le  (0xd4, "le");
    Be  (0xdc, "be");
    Swap(0xd7, "bswap");
}

/// Pseudo source of a 64-bit immediate load: the discriminant of [`Imm64`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pseudo {
    /// [`Imm64::Value`].
    Value,
    /// [`Imm64::MapFd`].
    MapFd,
    /// [`Imm64::MapValue`].
    MapValue,
    /// [`Imm64::BtfId`].
    BtfId,
    /// [`Imm64::Func`].
    Func,
    /// [`Imm64::MapIdx`].
    MapIdx,
    /// [`Imm64::MapIdxValue`].
    MapIdxValue,
}

rows! { pub(crate) Pseudo, "Row of a [`Pseudo`]: `src_reg`.",
    PseudoRow { src: u8 },
    Value(0);
    MapFd(1);
    MapValue(2);
    BtfId(3);
    Func(4);
    MapIdx(5);
    MapIdxValue(6);
}

impl Imm64 {
    /// Which pseudo source, and the two immediates, low half first.
    pub(crate) const fn parts(self) -> (Pseudo, i32, i32) {
        match self {
            Imm64::Value(v) => (Pseudo::Value, v as i32, (v >> 32) as i32),
            Imm64::MapFd(lo, hi) => (Pseudo::MapFd, lo, hi),
            Imm64::MapValue(lo, hi) => (Pseudo::MapValue, lo, hi as i32),
            Imm64::BtfId(lo, hi) => (Pseudo::BtfId, lo, hi),
            Imm64::Func(lo, hi) => (Pseudo::Func, lo, hi),
            Imm64::MapIdx(lo, hi) => (Pseudo::MapIdx, lo, hi),
            Imm64::MapIdxValue(lo, hi) => (Pseudo::MapIdxValue, lo, hi as i32),
        }
    }

    /// The inverse of [`Imm64::parts`].
    pub(crate) const fn from_parts(pseudo: Pseudo, lo: i32, hi: i32) -> Imm64 {
        match pseudo {
            Pseudo::Value => Imm64::Value(lo as u32 as u64 | (hi as u32 as u64) << 32),
            Pseudo::MapFd => Imm64::MapFd(lo, hi),
            Pseudo::MapValue => Imm64::MapValue(lo, hi as u32),
            Pseudo::BtfId => Imm64::BtfId(lo, hi),
            Pseudo::Func => Imm64::Func(lo, hi),
            Pseudo::MapIdx => Imm64::MapIdx(lo, hi),
            Pseudo::MapIdxValue => Imm64::MapIdxValue(lo, hi as u32),
        }
    }
}

/// The forms: one for each [`Insn`] variant, with the opcode bytes it may have.
macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident [$($code:literal)*];)+) => {
        /// Shape of an instruction: the variant of [`Insn`] without its operands.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Form { $($(#[$doc])* $form),+ }

        impl Form {
            /// Every form, in the order of the table.
            pub const ALL: &'static [Form] = &[$(Form::$form),+];

            /// The opcode bytes that an instruction of this form may have. An opcode that several forms
            /// share (they differ in `off` or `imm`) is in the list of each.
            pub const fn opcodes(self) -> &'static [u8] {
                match self { $(Form::$form => &[$($code),*]),+ }
            }

            /// The form of an instruction.
            pub const fn of(insn: &Insn) -> Form {
                match insn { $(Insn::$form { .. } => Form::$form),+ }
            }
        }
    };
}

forms! {
    /// Two-operand arithmetic.
    Alu [
        0x04 0x0c 0x07 0x0f  0x14 0x1c 0x17 0x1f  0x24 0x2c 0x27 0x2f  0x34 0x3c 0x37 0x3f
        0x44 0x4c 0x47 0x4f  0x54 0x5c 0x57 0x5f  0x64 0x6c 0x67 0x6f  0x74 0x7c 0x77 0x7f
        0x94 0x9c 0x97 0x9f  0xa4 0xac 0xa7 0xaf  0xb4 0xbc 0xb7 0xbf  0xc4 0xcc 0xc7 0xcf
    ];
    /// Sign-extending move: a register move with `off` 8, 16 or 32.
    MovSx [0xbc 0xbf];
    /// Address space cast: a 64-bit register move with `off` 1.
    AddrSpaceCast [0xbf];
    /// Negation.
    Neg [0x84 0x87];
    /// Byte order conversion.
    Endian [0xd4 0xdc 0xd7];
    /// 64-bit immediate load, first slot.
    LdImm64 [0x18];
    /// 64-bit immediate load, second slot: opcode 0, valid only there.
    Imm64Hi [];
    /// Legacy packet load, absolute.
    LdAbs [0x20 0x28 0x30];
    /// Legacy packet load, indirect.
    LdInd [0x40 0x48 0x50];
    /// Load.
    Load [0x61 0x69 0x71 0x79 0x81 0x89 0x91];
    /// Store of a register or an immediate.
    Store [0x62 0x6a 0x72 0x7a 0x63 0x6b 0x73 0x7b];
    /// Atomic read-modify-write.
    Atomic [0xc3 0xdb];
    /// Load-acquire: an atomic opcode with `imm` 0x100.
    LoadAcquire [0xc3 0xcb 0xd3 0xdb];
    /// Store-release: an atomic opcode with `imm` 0x110.
    StoreRelease [0xc3 0xcb 0xd3 0xdb];
    /// Unconditional jump.
    Goto [0x05 0x06];
    /// Jump when the budget of iterations is used up.
    MayGoto [0xe5];
    /// Conditional jump.
    JumpIf [
        0x15 0x1d 0x16 0x1e  0x25 0x2d 0x26 0x2e  0x35 0x3d 0x36 0x3e  0x45 0x4d 0x46 0x4e
        0x55 0x5d 0x56 0x5e  0x65 0x6d 0x66 0x6e  0x75 0x7d 0x76 0x7e  0xa5 0xad 0xa6 0xae
        0xb5 0xbd 0xb6 0xbe  0xc5 0xcd 0xc6 0xce  0xd5 0xdd 0xd6 0xde
    ];
    /// Call of a helper, a subprogram or a kernel function.
    Call [0x85];
    /// Return.
    Exit [0x95];
}

/// The first form in the table that has an opcode, or `None` for an opcode that does not exist.
pub(crate) const fn form_of_opcode(code: u8) -> Option<Form> {
    FORM_OF_OPCODE[code as usize]
}

const FORM_OF_OPCODE: [Option<Form>; 256] = {
    let mut table = [None; 256];
    let mut f = Form::ALL.len();
    // Backwards, so that the first form in the table has the last word.
    while f > 0 {
        f -= 1;
        let codes = Form::ALL[f].opcodes();
        let mut c = 0;
        while c < codes.len() {
            table[codes[c] as usize] = Some(Form::ALL[f]);
            c += 1;
        }
    }
    table
};

impl Width {
    /// 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// Class of arithmetic of this width.
    pub(crate) const fn alu_class(self) -> u8 {
        match self {
            Width::W32 => bits::ALU,
            Width::W64 => bits::ALU64,
        }
    }

    /// Class of jumps of this width.
    pub(crate) const fn jmp_class(self) -> u8 {
        match self {
            Width::W32 => bits::JMP32,
            Width::W64 => bits::JMP,
        }
    }

    /// Letter of a register of this width in the kernel's notation.
    pub(crate) const fn letter(self) -> char {
        match self {
            Width::W32 => 'w',
            Width::W64 => 'r',
        }
    }
}
