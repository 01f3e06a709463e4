//! [`ObjectReject`]: reasons about dynptrs, iterators, graphs and kernel pointers.

use crate::state::TypeText;

kinds! {
    /// A reason about dynptrs, iterators, graphs and kernel pointers.
    enum ObjectReject delegates {}
    NotConstant { what: &'static str, inner: Box<ObjectReject> } = EINVAL,
        "{what} has to be at a constant offset\n{inner}";
    BadOffset { what: &'static str, off: i64, inner: Box<ObjectReject> } = EINVAL,
        "cannot pass in {what} at an offset={off}\n{inner}";

    // Dynptrs.
    NotDynptrPointer { arg: u32 } = EINVAL,
        "arg#{arg} expected pointer to stack or const struct bpf_dynptr";
    DynptrNotUninit { } = EINVAL, "Dynptr has to be an uninitialized dynptr";
    ConstDynptr { } = EINVAL,
        "cannot pass pointer to const bpf_dynptr, the helper mutates it";
    ReleaseConstDynptr { } = EINVAL, "cannot release unowned const bpf_dynptr";
    NotAcquired { reg: u8 } = EINVAL, "arg {reg} is an unacquired reference";
    ExpectedDynptr { arg: u32 } = EINVAL, "Expected an initialized dynptr as arg #{arg}";
    DynptrKind { kind: &'static str, arg: u32 } = EINVAL,
        "Expected a dynptr of type {kind} as arg #{arg}";
    ReferencedDynptr { } = EINVAL, "cannot overwrite referenced dynptr";
    DynptrMemory { ty: TypeText } = EACCES,
        "Unsupported reg type {ty} for bpf_dynptr_from_mem data";
    HelperWritesDynptr { off: i64 } = EACCES, "potential write to dynptr at off={off} disallowed";

    // Iterators.
    NotIterPointer { arg: u32 } = EINVAL, "arg#{arg} expected pointer to an iterator on stack";
    NotIterType { arg: u32 } = EINVAL, "expected valid iter pointer as arg #{arg}";
    IterNotUninit { name: String, arg: u32 } = EINVAL,
        "expected uninitialized iter_{name} as arg #{arg}";
    IterNotInit { name: String, arg: u32 } = EINVAL,
        "expected an initialized iter_{name} as arg #{arg}";
    IterOutsideRcu { func: String } = EPROTO, "expected an RCU CS when using {func}";
}
