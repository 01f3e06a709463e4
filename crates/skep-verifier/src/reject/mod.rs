//! Why a program was refused: [`Reject`], [`RejectKind`]; and [`VerifyError`], which also knows bugs of our own.
//!
//! One line of the table is one reason: its errno and the text that the kernel's log has for it. The log and
//! the diagnostic for people (`diag`) are renderings of these values.

use crate::diag::Diagnosis;
use crate::domain::{Scalar, Tnum};
use crate::state::TypeText;
use core::fmt;
use skep_abi::Errno;
use skep_abi::insn::DecodeError;

/// Why `verify` did not give a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VerifyError {
    /// The program was refused; this is the answer for the caller.
    Rejected(Reject),
    /// The verifier contradicts itself; a bug to report, never the program's fault.
    Internal(Bug),
}

/// A contradiction inside the verifier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bug {
    /// Slot that was looked at.
    pub insn_idx: u32,
    /// What should not have been possible.
    pub what: &'static str,
}

/// A refusal: where, with which errno, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// Slot of the offending instruction, as numbered in the program that was given.
    pub insn_idx: u32,
    /// What bpf(2) answers.
    pub errno: Errno,
    /// The reason.
    pub kind: RejectKind,
    /// What there is to say beside the reason.
    pub diagnosis: Box<Diagnosis>,
}

impl Reject {
    /// A refusal at `insn_idx` with the errno that belongs to `kind`.
    pub fn new(insn_idx: u32, kind: RejectKind) -> Reject {
        let diagnosis = Box::new(Diagnosis::of(&kind));
        Reject { insn_idx, errno: kind.errno(), kind, diagnosis }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verifier bug at insn {}: {}", self.insn_idx, self.what)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyError::Rejected(r) => write!(f, "{}: {r} (insn {})", r.errno, r.insn_idx),
            VerifyError::Internal(b) => b.fmt(f),
        }
    }
}

impl core::error::Error for VerifyError {}

impl From<Reject> for VerifyError {
    fn from(r: Reject) -> Self {
        VerifyError::Rejected(r)
    }
}

impl From<Bug> for VerifyError {
    fn from(b: Bug) -> Self {
        VerifyError::Internal(b)
    }
}

/// Declares reasons: for each its fields, errno and text. `delegates` are reasons of one area, in a file of its own.
macro_rules! kinds {
    (
        $(#[$meta:meta])* enum $enum:ident delegates { $( $(#[$dmeta:meta])* $area:ident($sub:ty), )* }
        $( $name:ident { $($f:ident : $t:ty),* } = $errno:ident, $fmt:literal $(, $arg:expr)*; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum $enum {
            $(#[doc = $fmt] $name { $(#[doc = concat!("`", stringify!($f), "` of the message.")] $f: $t),* },)*
            $( $(#[$dmeta])* $area(Box<$sub>), )*
        }

        impl $enum {
            /// The errno that bpf(2) answers for it.
            pub fn errno(&self) -> ::skep_abi::Errno {
                match self {
                    $($enum::$name { .. } => ::skep_abi::Errno::$errno,)*
                    $($enum::$area(reason) => reason.errno(),)*
                }
            }
        }

        impl ::core::fmt::Display for $enum {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    $($enum::$name { $($f),* } => write!(f, $fmt $(, $arg)*),)*
                    $($enum::$area(reason) => reason.fmt(f),)*
                }
            }
        }
        $(
            impl From<$sub> for $enum {
                fn from(reason: $sub) -> $enum { $enum::$area(Box::new(reason)) }
            }

            impl From<$sub> for $crate::walk::Stop {
                fn from(reason: $sub) -> $crate::walk::Stop { $enum::from(reason).into() }
            }
        )*
    };
}

mod btf;
mod field;
mod held;
mod helper;
mod kfunc;
mod object;
mod prog;
mod spec;

pub use btf::BtfReject;
pub use field::{FieldReject, KptrText};
pub use held::{HeldReject, Leaks};
pub use helper::HelperReject;
pub use kfunc::{KfuncReject, WrongObject};
pub use object::ObjectReject;
pub use prog::ProgReject;
pub use spec::SpecReject;

kinds! {
    /// A reason. `Display` gives the kernel's message where the kernel has one.
    enum RejectKind delegates {
        /// About pointers to what BTF describes.
        Btf(BtfReject),
        /// About members that only the kernel may touch.
        Field(FieldReject),
        /// About references, locks and sections.
        Held(HeldReject),
        /// About helpers.
        Helper(HelperReject),
        /// About kernel functions.
        Kfunc(KfuncReject),
        /// About dynptrs, iterators, graphs and kernel pointers.
        Object(ObjectReject),
        /// About what a program is, and what it attaches to.
        Prog(ProgReject),
        /// About what an unprivileged program might do under speculation.
        Spec(SpecReject),
    }
    Unsupported { what: String } = EINVAL, "not supported by this verifier: {what}";
    Empty { } = E2BIG, "program has no instructions";
    TooLarge { max: usize } = E2BIG, "program has more than {max} instructions";
    Decode { error: DecodeText } = EINVAL, "{error}";

    // Structure.
    SubprogsNeedCap { } = EPERM,
        "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
    CallInvalidDest { } = EINVAL, "call to invalid destination";
    TooManySubprogs { } = E2BIG, "too many subprograms";
    FuncInfoCount { } = EINVAL,
        "number of funcs in func_info doesn't match number of subprogs";
    FuncInfoLayout { } = EINVAL,
        "func_info BTF section doesn't match subprog layout in BPF program";
    JumpOutOfRange { from: u32, to: i64 } = EINVAL, "jump out of range from insn {from} to {to}";
    LastInsn { } = EINVAL, "last insn is not an exit or jmp";
    BackEdge { from: u32, to: i64 } = EINVAL, "back-edge from insn {from} to {to}";
    Unreachable { at: u32 } = EINVAL, "unreachable insn {at}";
    JumpIntoImm64 { at: u32 } = EINVAL, "jump into the middle of ldimm64 insn {at}";
    MapByFd { fd: i32 } = EBADF, "fd {fd} is not pointing to valid bpf_map";
    NoSuchMap { fd: i32 } = EBADF, "fd {fd} is not pointing to valid bpf_map";
    NoDirectValue { } = EINVAL, "no direct value access support for this map type";
    DirectValueFar { off: u32 } = EINVAL, "direct value offset of {off} is not allowed";
    DirectValueOff { value_size: u32, off: u32 } = EINVAL,
        "invalid access to map value pointer, value_size={value_size} off={off}";
    TooManyMaps { } = E2BIG, "The total number of maps per program has reached the limit of 64";

    // Limits.
    TooComplex { processed: u64 } = E2BIG, "BPF program is too large. Processed {processed} insn";
    TooManyPending { count: usize } = E2BIG, "The sequence of {count} jumps is too complex.";
    InfiniteLoop { at: u32 } = EINVAL, "infinite loop detected at insn {at}";
    CallDepth { frames: usize } = E2BIG, "the call stack of {frames} frames is too deep";
    CallChain { frames: usize } = E2BIG, "the call stack of {frames} frames is too deep !";
    StackDepth { frames: usize, bytes: u32 } = EACCES,
        "combined stack size of {frames} calls is {bytes}. Too large";
    TailCallStack { bytes: u32 } = EACCES,
        "tail_calls are not allowed when call stack of previous frames is {bytes} bytes. Too large";

    // Registers and arithmetic.
    NotReadable { reg: u8 } = EACCES, "R{reg} !read_ok";
    FramePointerWrite { } = EACCES, "frame pointer is read only";
    DivByZero { } = EINVAL, "div by zero";
    InvalidShift { count: i32 } = EINVAL, "invalid shift {count}";
    PartialPointerCopy { reg: u8 } = EACCES, "R{reg} partial copy of pointer";
    SignExtendPointer { reg: u8 } = EACCES, "R{reg} sign-extension part of pointer";
    PointerArithmetic { reg: u8 } = EACCES, "R{reg} pointer arithmetic prohibited";
    PointerOpPointer { reg: u8, op: &'static str } = EACCES,
        "R{reg} pointer {op} pointer prohibited";
    PointerArithmetic32 { reg: u8 } = EACCES, "R{reg} 32-bit pointer arithmetic prohibited";
    PointerMaybeNull { reg: u8, ty: TypeText } = EACCES,
        "R{reg} pointer arithmetic on {ty} prohibited, null-check it first";
    PointerKind { reg: u8, ty: TypeText } = EACCES,
        "R{reg} pointer arithmetic on {ty} prohibited";
    PointerFromScalar { reg: u8 } = EACCES, "R{reg} tried to subtract pointer from scalar";
    SubFromStack { reg: u8 } = EACCES, "R{reg} subtraction from stack pointer prohibited";
    PointerBitwise { reg: u8, op: &'static str } = EACCES,
        "R{reg} bitwise operator {op} on pointer prohibited";
    PointerOperator { reg: u8, op: &'static str } = EACCES,
        "R{reg} pointer arithmetic with {op} operator prohibited";
    PointerMath { ty: TypeText, val: i64 } = EINVAL,
        "math between {ty} pointer and {val} is not allowed";
    PointerOffset { ty: TypeText, off: i32 } = EINVAL,
        "{ty} pointer offset {off} is not allowed";
    PointerUnbounded { ty: TypeText } = EINVAL,
        "math between {ty} pointer and register with unbounded min value is not allowed";
    PointerOutOfBounds { ty: TypeText, val: i64 } = EINVAL,
        "value {val} makes {ty} pointer be out of bounds";
    PointerComparison { reg: u8 } = EACCES, "R{reg} pointer comparison prohibited";

    // Memory.
    InvalidMemAccess { reg: u8, ty: TypeText } = EACCES, "R{reg} invalid mem access '{ty}'";
    Misaligned { what: &'static str, var_off: OffText, ptr_off: i32, off: i32, size: u32 } = EACCES,
        "misaligned {what}access off {var_off}+{ptr_off}+{off} size {size}";
    DifferentPointers { } = EINVAL, "same insn cannot be used with different pointers";
    NegativePointer { ty: TypeText, reg: u8, off: i32 } = EACCES,
        "negative offset {ty} ptr R{reg} off={off} disallowed";
    ModifiedPointer { ty: TypeText, reg: u8, off: i32 } = EACCES,
        "dereference of modified {ty} ptr R{reg} off={off} disallowed";
    VariablePointer { ty: TypeText, var_off: Tnum } = EACCES,
        "variable {ty} access var_off={var_off} disallowed";
    MinNegative { reg: u8 } = EACCES,
        "R{reg} min value is negative, either use unsigned index or do a if (index >=0) check.";
    MinOutside { inner: Box<RejectKind>, reg: u8 } = EACCES,
        "{inner}\nR{reg} min value is outside of the allowed memory range";
    MaxOutside { inner: Box<RejectKind>, reg: u8 } = EACCES,
        "{inner}\nR{reg} max value is outside of the allowed memory range";
    Unbounded { reg: u8 } = EACCES,
        "R{reg} unbounded memory access, make sure to bounds check any such access";
    MapValueBounds { mem_size: u32, off: i64, size: u64 } = EACCES,
        "invalid access to map value, value_size={mem_size} off={off} size={size}";
    MapKeyBounds { mem_size: u32, off: i64, size: u64 } = EACCES,
        "invalid access to map key, key_size={mem_size} off={off} size={size}";
    MapWriteForbidden { mem_size: u32, off: i64, size: u64 } = EACCES,
        "write into map forbidden, value_size={mem_size} off={off} size={size}";
    MapReadOnly { } = EACCES, "write into map forbidden";
    MapReadForbidden { mem_size: u32, off: i64, size: u64 } = EACCES,
        "read from map forbidden, value_size={mem_size} off={off} size={size}";
    WriteKey { reg: u8 } = EACCES, "write to change key R{reg} not allowed";
    CannotWriteInto { reg: u8, ty: TypeText } = EACCES, "R{reg} cannot write into {ty}";
    LeakIntoMap { reg: u8 } = EACCES, "R{reg} leaks addr into map";
    LeakIntoCtx { reg: u8 } = EACCES, "R{reg} leaks addr into ctx";
    LeakIntoPacket { reg: u8 } = EACCES, "R{reg} leaks addr into packet";
    LeakIntoMem { reg: u8 } = EACCES, "R{reg} leaks addr into mem";
    LeakIntoHelper { reg: u8 } = EACCES, "R{reg} leaks addr into helper function";
    LeakReturn { reg: u8 } = EACCES, "R{reg} leaks addr as return value";
    PacketWrite { } = EACCES, "cannot write into packet";
    PacketAtEnd { reg: u8 } = EINVAL, "R{reg} offset is outside of the packet";
    PacketBounds { off: i64, size: u64, reg: u8, id: u32, range: u16 } = EACCES,
        "invalid access to packet, off={off} size={size}, R{reg}(id={id},off={off},r={range})\nR{reg} offset is outside of the packet";
    CtxAccess { off: i64, size: u32 } = EACCES, "invalid bpf_context access off={off} size={size}";
    AtomicLoad { reg: u8, ty: TypeText } = EACCES,
        "BPF_ATOMIC loads from R{reg} {ty} is not allowed";
    AtomicStore { reg: u8, ty: TypeText } = EACCES,
        "BPF_ATOMIC stores into R{reg} {ty} is not allowed";

    // Stack.
    StackUnbounded { dir: &'static str, reg: u8 } = EACCES,
        "invalid unbounded variable-offset{dir} stack R{reg}";
    StackBounds { dir: &'static str, reg: u8, off: i64, size: u64 } = EACCES,
        "invalid{dir} stack R{reg} off={off} size={size}";
    StackBoundsVar { dir: &'static str, reg: u8, var_off: Tnum, off: i64, size: u64 } = EACCES,
        "invalid variable-offset{dir} stack R{reg} var_off={var_off} off={off} size={size}";
    StackVarUnpriv { reg: u8, var_off: Tnum } = EACCES,
        "R{reg} variable offset stack access prohibited for !root, var_off={var_off}";
    StackInvalidRead { off: i64, i: i64, size: u32 } = EACCES,
        "invalid read from stack off {off}+{i} size {size}";
    StackIndirect { reg: u8, off: i64, i: i64, size: u64 } = EACCES,
        "invalid read from stack R{reg} off {off}+{i} size {size}";
    StackIndirectVar { reg: u8, var_off: Tnum, i: i64, size: u64 } = EACCES,
        "invalid read from stack R{reg} var_off {var_off}+{i} size {size}";
    StackZeroRead { } = EACCES, "invalid zero-sized read";
    StackLeak { off: i64 } = EACCES, "leaking pointer from stack off {off}";
    FillSize { } = EACCES, "invalid size of register fill";
    SpillSize { } = EACCES, "invalid size of register spill";
    SpillIntoCaller { } = EINVAL,
        "cannot spill pointers to stack into stack frame of the caller";
    CorruptSpill { } = EACCES, "attempt to corrupt spilled pointer on stack";

    // Calls.
    HelperUnknown { id: i32 } = EINVAL, "invalid func unknown#{id}";
    HelperNotAllowed { name: String, id: i32 } = EINVAL,
        "program of this type cannot use helper bpf_{name}#{id}";
    HelperUnsupported { name: String, id: i32 } = EINVAL,
        "not supported by this verifier: helper bpf_{name}#{id}";
    HelperGpl { } = EINVAL,
        "cannot call GPL-restricted function from non-GPL compatible program";
    HelperPacket { } = EACCES, "helper access to the packet is not allowed";
    ArgType { reg: u8, ty: TypeText, expected: String } = EACCES,
        "R{reg} type={ty} expected={expected}";
    SizeNegative { reg: u8 } = EACCES,
        "R{reg} min value is negative, either use unsigned or 'var &= const'";
    SizeZero { reg: u8, min: u64, max: u64 } = EACCES,
        "R{reg} invalid zero-sized read: u64=[{min},{max}]";
    SizeUnbounded { reg: u8 } = EACCES,
        "R{reg} unbounded memory access, use 'var &= const' or 'if (var < const)'";
    MapFunc { map_type: u32, name: &'static str, id: i32 } = EINVAL,
        "cannot pass map_type {map_type} into func bpf_{name}#{id}";
    TailCallSubprog { } = EINVAL, "tail_call is not allowed in subprogs without BTF";
    TailCallReturn { } = EINVAL, "tail_call is only allowed in functions that return 'int'.";
    LdAbsReturn { } = EINVAL, "LD_ABS is only allowed in functions that return 'int'.";
    LdAbsSubprog { } = EINVAL, "LD_ABS is not allowed in subprogs without BTF";
    TailCallMap { } = EINVAL, "expected prog array map for tail call";
    StrNotReadOnly { reg: u8 } = EACCES, "R{reg} does not point to a readonly map'";
    StrVariable { reg: u8 } = EACCES, "R{reg} is not a constant address'";
    StrNoEnd { } = EINVAL, "string is not zero-terminated";
    ReturnsStack { } = EINVAL, "cannot return stack pointer to the caller";
    CallbackNotScalar { } = EACCES, "R0 not a scalar value";
    CallbackRange { range: RangeText } = EINVAL, "At callback return the register R0 has{range}";
    ReturnNotScalar { reg: u8, ty: TypeText } = EINVAL,
        "At program exit the register R{reg} is not a known value ({ty})";
    ArenaCastSpaces { } = EINVAL,
        "addr_space_cast insn can only convert between address space 1 and 0";
    ArenaCastNoArena { } = EINVAL,
        "addr_space_cast insn can only be used in a program that has an associated arena";
    TwoArenas { } = EBUSY, "Only one arena per program";
    ArenaNeedsCaps { } = EPERM, "CAP_BPF and CAP_PERFMON are required to use arena";
    SubprogStack { subprog: usize, bytes: u32 } = EACCES,
        "stack size of subprog {subprog} is {bytes}. Too large";
    LdAbsInCallback { } = EINVAL, "cannot use BPF_LD_[ABS|IND] within callback";
    ThrowInCallback { at: u32, subprog: usize } = EINVAL,
        "bpf_throw kfunc (insn {at}) cannot be called from callback subprog {subprog}";
    CallsExceptionCallback { at: u32 } = EINVAL, "insn {at} cannot call exception cb directly";
    TailCallInExceptionCallback { } = EINVAL, "cannot tail call within exception cb";
    AsyncNotScalar { ty: TypeText } = EINVAL,
        "At async callback return the register R0 is not a known value ({ty})";
    AsyncRange { range: RangeText } = EINVAL,
        "At async callback return the register R0 has{range}";
    ReturnRange { reg: u8, range: RangeText } = EINVAL,
        "At program exit the register R{reg} has{range}";
    LegacyLoad { } = EINVAL,
        "BPF_LD_[ABS|IND] instructions not allowed for this program type";
    LegacyLoadCtx { } = EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb";
}

/// The variable part of an offset; a constant one as a plain number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffText(pub Tnum);

impl fmt::Display for OffText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.const_value() {
            Some(v) => write!(f, "{}", v as i64),
            None => self.0.fmt(f),
        }
    }
}

/// What is wrong with an instruction, in the kernel's words; those for people are the error's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeText(pub DecodeError);

impl fmt::Display for DecodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.kind.kernel_message())
    }
}

/// A number and the range that it should have been in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeText {
    is_known: [Option<i64>; 2],
    min: i64,
    max: i64,
}

impl RangeText {
    /// Smallest and largest number that it should have been.
    pub fn wanted(&self) -> (i64, i64) {
        (self.min, self.max)
    }

    pub(crate) fn new(num: &Scalar, min: i64, max: i64) -> RangeText {
        let (lo, hi) = (num.smin(), num.smax());
        let is_known = [(lo > i64::MIN).then_some(lo), (hi < i64::MAX).then_some(hi)];
        RangeText { is_known, min, max }
    }
}

impl fmt::Display for RangeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_known {
            [None, None] => f.write_str(" unknown scalar value")?,
            [lo, hi] => {
                if let Some(v) = lo {
                    write!(f, " smin={v}")?;
                }
                if let Some(v) = hi {
                    write!(f, " smax={v}")?;
                }
            }
        }
        write!(f, " should have been in [{}, {}]", self.min, self.max)
    }
}
