//! What helpers promise and demand: [`HelperProto`], made of [`ArgType`]s and a [`RetType`].
//!
//! The vocabulary is that of the kernel's `enum bpf_arg_type` and `enum bpf_return_type`; modifiers that make sense
//! only for some of them are fields here.

/// What a helper argument must be (`enum bpf_arg_type` is the kernel's counterpart).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgType {
    /// Not an argument.
    None,
    /// Any initialised value.
    Anything,
    /// A map, known at verification.
    ConstMap,
    /// Initialised memory of the key size of the `ConstMap` argument.
    MapKey,
    /// Initialised memory of the value size of the `ConstMap` argument.
    MapValue,
    /// The same, or NULL.
    MapValueOrNull,
    /// Memory of the value size of the `ConstMap` argument, which the helper fills.
    UninitMapValue,
    /// Memory whose size is the next argument.
    Mem(MemArg),
    /// Memory of a fixed size in bytes.
    FixedMem(MemArg, u32),
    /// The same, aligned to its size (`MEM_ALIGNED`).
    AlignedMem(MemArg, u32),
    /// Size of the `Mem` before it, in bytes, above zero.
    Size,
    /// Size of the `Mem` before it, in bytes, zero allowed.
    SizeOrZero,
    /// A known number: size of the memory that the helper returns, in bytes.
    AllocSize,
    /// The context, unmodified.
    Ctx,
    /// The context, unmodified, or NULL.
    CtxOrNull,
    /// A `struct bpf_spin_lock` in a map value or an allocated object.
    SpinLock,
    /// A `struct bpf_timer` in a map value.
    Timer,
    /// A socket of any sort.
    SockCommon,
    /// A full socket.
    Socket(Nullable),
    /// An object of a type of the kernel's, by name.
    Btf(&'static str, Nullable),
    /// A socket of any sort, or an object that starts with a `struct sock_common`.
    BtfSockCommon(SockArg),
    /// A record of a ring buffer, which the helper takes.
    RingbufMem,
    /// Something that each CPU has its own of.
    PercpuBtf,
    /// A callback: address of a static subprogram.
    Func,
    /// The callback's context: a stack pointer or NULL.
    StackOrNull,
    /// A NUL-terminated string in a read-only map value.
    ConstStr,
    /// A kernel pointer's place in a map value or an allocated object.
    KptrDest,
    /// A kernel pointer for the `KptrDest`, which the helper takes, or NULL.
    KptrSource,
    /// A dynptr.
    Dynptr(DynptrArg),
}

/// How a helper uses memory that it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemArg {
    /// Direction.
    pub access: MemAccess,
    /// Whether NULL is allowed (with a size of zero, for `Mem`).
    pub nullable: Nullable,
}

/// Direction of a helper's memory access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemAccess {
    /// Reads; must be initialised and readable (`MEM_RDONLY`).
    Read,
    /// Writes all of it; need not be initialised (`MEM_UNINIT | MEM_WRITE`).
    Write,
    /// Reads and writes; must be initialised and writable (`MEM_WRITE`).
    ReadWrite,
}

impl MemAccess {
    /// Whether the memory may be changed.
    pub const fn writes(self) -> bool {
        matches!(self, MemAccess::Write | MemAccess::ReadWrite)
    }
}

/// Whether a pointer argument may be NULL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nullable {
    /// Never NULL.
    No,
    /// NULL allowed.
    Yes,
}

/// What else an argument that is a socket may be, or what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SockArg {
    /// Just a socket.
    Plain,
    /// A socket or NULL.
    OrNull,
    /// The helper gives the reference back.
    Release,
}

/// What a helper does with a dynptr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DynptrArg {
    /// Uses it; it may be one of any sort, and also one that is only read.
    Use,
    /// Makes one, in uninitialised stack.
    Make(DynptrSort),
    /// Gives it back.
    Release(DynptrSort),
}

/// Where a dynptr that helpers make points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DynptrSort {
    /// Into memory of the program (`DYNPTR_TYPE_LOCAL`).
    Local,
    /// Into a record of a ring buffer (`DYNPTR_TYPE_RINGBUF`).
    Ringbuf,
}

/// What a helper returns (`enum bpf_return_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetType {
    /// A scalar.
    Integer,
    /// Nothing; R0 is unreadable.
    Void,
    /// Address of a value of the `ConstMap` argument.
    MapValue,
    /// Address of a value of the `ConstMap` argument, or NULL.
    MapValueOrNull,
    /// A socket, or NULL.
    SockOrNull(SockRet),
    /// A record of a ring buffer, of the `AllocSize` argument's size, or NULL.
    RingbufMemOrNull,
    /// A slice of the dynptr argument, of the `AllocSize` argument's size, or NULL.
    DynptrMemOrNull,
    /// This CPU's instance of the `PercpuBtf` argument.
    Percpu,
    /// Some CPU's instance of the `PercpuBtf` argument, or NULL.
    PercpuOrNull,
    /// An object of a type of the kernel's, by name.
    Btf(&'static str),
    /// The same, surely valid.
    BtfTrusted(&'static str),
    /// The same, or NULL.
    BtfOrNull(&'static str),
    /// What was in the `KptrDest`, or NULL.
    KptrOrNull,
    /// The helper does not return when it succeeds (`bpf_tail_call`); nothing when it fails: R0 is unreadable.
    TailCall,
}

/// Sort of socket that a helper returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SockRet {
    /// A full socket.
    Full,
    /// Any socket.
    Common,
    /// A TCP socket.
    Tcp,
}

/// What becomes of references, besides those that an argument's type says are given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefEffect {
    /// Nothing.
    None,
    /// What is returned is a new reference (`is_acquire_function`).
    Acquires,
    /// What is returned stands for the argument's reference (`is_ptr_cast_function`, `is_dynptr_ref_function`).
    Passes,
}

/// How a helper that takes an [`ArgType::Func`] calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callback {
    /// Takes no callback.
    None,
    /// `bpf_loop`: `(u32 index, void *ctx)`, returns 0 or 1.
    Loop,
    /// `bpf_for_each_map_elem`: `(map, const void *key, void *value, void *ctx)`, returns 0 or 1.
    ForEachMapElem,
    /// `bpf_timer_set_callback`: `(map, const void *key, void *value)`, returns 0; called later.
    Timer,
    /// `bpf_find_vma`: `(struct task_struct *, struct vm_area_struct *, void *ctx)`, returns 0 or 1.
    FindVma,
    /// `bpf_user_ringbuf_drain`: `(struct bpf_dynptr *, void *ctx)`, returns 0 or 1.
    UserRingbuf,
}

/// What a helper promises and demands (`struct bpf_func_proto`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HelperProto {
    /// UAPI number (`BPF_FUNC_*`), or above [`INTERNAL_HELPER_BASE`] for what classic BPF needs.
    pub id: i32,
    /// Name without prefix, as in `bpf.h` and the verifier log: `map_lookup_elem`.
    pub name: &'static str,
    /// Only for GPL-compatible programs.
    pub gpl_only: bool,
    /// May be given packet pointers as memory (`pkt_access`).
    pub pkt_access: bool,
    /// Invalidates all packet pointers.
    pub changes_pkt_data: bool,
    /// Only where the program may sleep.
    pub might_sleep: bool,
    /// Leaves R1 to R5 alone, as far as they are not its arguments (`allow_fastcall`).
    pub fastcall: bool,
    /// Arguments in R1 to R5.
    pub args: [ArgType; 5],
    /// Result in R0.
    pub ret: RetType,
    /// What becomes of references.
    pub refs: RefEffect,
    /// How it calls back.
    pub callback: Callback,
}

impl HelperProto {
    /// Takes nothing, returns a scalar: what others are written as changes of.
    pub const PLAIN: HelperProto = HelperProto {
        id: 0,
        name: "",
        gpl_only: false,
        pkt_access: false,
        changes_pkt_data: false,
        might_sleep: false,
        fastcall: false,
        args: [ArgType::None; 5],
        ret: RetType::Integer,
        refs: RefEffect::None,
        callback: Callback::None,
    };
}

/// Helper numbers from here on exist only for translated classic BPF (ancillary loads).
pub const INTERNAL_HELPER_BASE: i32 = 0x4000_0000;

/// Answer to "may this program call helper N?".
#[derive(Clone, Copy, Debug)]
pub enum HelperLookup<'a> {
    /// It may.
    Known(&'a HelperProto),
    /// The number exists, but not for this program type, or it lacks the privilege.
    NotAllowed(&'static str),
    /// The program type has it, but not where this program is attached (`bpf_func_proto.allowed`).
    NotHere(&'static str),
    /// Linux 6.18 has it, Skep does not yet.
    Unsupported(&'static str),
    /// No such helper.
    Unknown,
}
