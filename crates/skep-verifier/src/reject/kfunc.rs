//! [`KfuncReject`]: reasons about kernel functions.

use super::RejectKind;
use crate::state::TypeText;

kinds! {
    /// A reason about kernel functions.
    enum KfuncReject delegates {}
    // Before any path is walked.
    NoKernelTypes { } = ENOTSUPP,
        "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF";
    NeedsGpl { } = EINVAL, "cannot call kernel function from non-GPL compatible program";
    NegativeOffset { } = EINVAL,
        "negative offset disallowed for kernel module function call\nfailed to find BTF for kernel function";
    NoModule { } = EPROTO,
        "kfunc offset > 0 without fd_array is invalid\nfailed to find BTF for kernel function";
    TooMany { } = E2BIG, "too many different kernel function calls";
    NotAFunction { id: u32 } = EINVAL, "kernel btf_id {id} is not a function";
    NoProto { id: u32 } = EINVAL,
        "kernel function btf_id {id} does not have a valid func_proto";
    DeviceBound { } = EINVAL, "metadata kfuncs require device-bound program";
    NotEliminated { } = EINVAL, "invalid kernel function call not eliminated in verifier pass";

    // Whether it may be called.
    NotAllowed { name: String } = EACCES, "calling kernel function {name} is not allowed";
    InLock { } = EINVAL, "function calls are not allowed while holding a lock";
    Trap { } = EFAULT, "unexpected __bpf_trap() due to uninitialized variable?";
    Destructive { } = EACCES, "destructive kfunc calls require CAP_SYS_BOOT capability";
    NotSleepable { name: String } = EACCES,
        "program must be sleepable to call sleepable kfunc {name}";
    NeedsRcu { name: String } = EACCES,
        "kernel func {name} requires RCU critical section protection";

    // Arguments.
    TooManyArgs { name: String, count: usize, max: usize } = EINVAL,
        "Function {name} has {count} > {max} args";
    OddArg { arg: usize, kind: &'static str } = EINVAL, "Unrecognized arg#{arg} type {kind}";
    NotScalar { reg: u8 } = EINVAL, "R{reg} is not a scalar";
    NotConstant { reg: u8 } = EINVAL, "R{reg} must be a known constant";
    SizeNotConst { reg: u8 } = EINVAL, "R{reg} is not a const";
    SizeTooLarge { reg: u8 } = EINVAL, "R{reg} rdonly/rdwr_buf_size exceeds u32 max";
    MaybeNull { arg: usize } = EACCES, "Possibly NULL pointer passed to trusted arg{arg}";
    TwoReferences { reg: u8 } = EFAULT, "more than one arg with ref_obj_id R{reg}";
    NotTrusted { reg: u8 } = EINVAL, "R{reg} must be referenced or trusted";
    NotRcu { reg: u8 } = EINVAL, "R{reg} must be a rcu pointer";
    ReleaseOffset { reg: u8 } = EINVAL,
        "R{reg} must have zero offset when passed to release func or trusted arg to kfunc";
    ReleasesNothing { name: String } = EINVAL,
        "release kernel function {name} expects refcounted PTR_TO_BTF_ID";
    NotAcquired { name: String, id: u32 } = EINVAL,
        "kfunc {name}#{id} reference has not been acquired before";
    NotCtx { arg: usize, ty: TypeText } = EINVAL,
        "arg#{arg} expected pointer to ctx, but got {ty}";
    NotFunc { arg: usize } = EINVAL, "arg{arg} expected pointer to func";
    NotMap { reg: u8 } = EINVAL, "pointer in R{reg} isn't map pointer";
    NotConstStr { arg: usize } = EINVAL, "arg#{arg} doesn't point to a const string";
    CssTask { } = EINVAL,
        "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs";
    ObjectType { func: String, arg: usize, kind: &'static str, name: String } = EINVAL,
        "kernel function {func} args#{arg} pointer type {kind} {name} is not supported";
    UnsafeObject { arg: usize, ty: TypeText, expected: TypeText } = EINVAL,
        "arg#{arg} is {ty} expected {expected} or socket";
    WrongObject { what: Box<WrongObject> } = EINVAL, "{what}";
    NotAllocated { arg: usize } = EINVAL, "arg#{arg} expected pointer to allocated object";
    ExpectedFor { arg: usize, func: &'static str } = EINVAL, "arg#{arg} expected for {func}()";
    MustBeReferenced { } = EINVAL, "allocated object must be referenced";
    MemType { arg: usize, kind: &'static str, name: String, void: &'static str } = EINVAL,
        "arg#{arg} pointer type {kind} {name} must point to {void}scalar, or struct with scalar";
    NoSize { arg: usize, kind: &'static str, name: String } = EINVAL,
        "arg#{arg} reference type('{kind} {name}') size cannot be determined: -22";
    MemPair { inner: Box<RejectKind>, arg: usize, size: usize } = EACCES,
        "{inner}\narg#{arg} arg#{size} memory, len pair leads to invalid memory access";

    // Results.
    AcquiresNothing { } = EINVAL, "acquire kernel function does not return PTR_TO_BTF_ID";
    RetType { func: String, kind: &'static str, name: String } = EINVAL,
        "kernel function {func} returns pointer type {kind} {name} is not supported";
    TypeIdRange { } = EINVAL, "local type ID argument must be in range [0, U32_MAX]";
    NewNeedsBtf { } = EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF";
    NewNotStruct { } = EINVAL,
        "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct";
    PercpuSize { size: u64, max: u64 } = EINVAL,
        "bpf_percpu_obj_new type size ({size}) is greater than {max}";
    PercpuNotScalars { } = EINVAL,
        "bpf_percpu_obj_new type ID argument must be of a struct of scalars";
    PercpuSpecial { } = EINVAL,
        "bpf_percpu_obj_new type ID argument must not contain special fields";
    NoKernelCtx { id: u32 } = EINVAL, "kern ctx type id {id} is not a struct";
    CastNotStruct { } = EINVAL,
        "kfunc bpf_rdonly_cast type ID argument must be of a struct or void";
    NoPacketWrites { } = EINVAL, "the prog does not allow writes to packet data";
}

/// An argument that points to an object of another type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrongObject {
    pub(crate) func: String,
    pub(crate) arg: usize,
    /// Kind and name of the type that the function takes.
    pub(crate) need: (&'static str, String),
    pub(crate) reg: u8,
    /// Kind and name of the type that it was given.
    pub(crate) have: (&'static str, String),
}

impl core::fmt::Display for WrongObject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let WrongObject { func, arg, need, reg, have } = self;
        write!(f, "kernel function {func} args#{arg} expected pointer to {} {} ", need.0, need.1)?;
        write!(f, "but R{reg} has a pointer to {} {}", have.0, have.1)
    }
}
