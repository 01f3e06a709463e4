//! [`ProgReject`]: reasons about what a program is, and what it attaches to.

use crate::env::Caps;
use crate::reject::RejectKind;
use crate::state::TypeText;

kinds! {
    /// A reason about what a program is, and what it attaches to.
    enum ProgReject delegates {}
    TypeNeedsCaps { name: &'static str, needs: Caps } = EPERM,
        "loading {name} programs needs {needs}";
    TwoExceptionTags { } = EEXIST, "multiple exception callback tags for main subprog";
    NoExceptionCallback { name: String } = ENOENT,
        "exception callback '{name}' could not be found in BTF";
    ExceptionCallbackStatic { name: String } = EINVAL,
        "exception callback '{name}' must have global linkage";
    ExceptionCallbackInfo { } = EINVAL, "exception callback type id not found in func_info";
    ExceptionCallbackMain { } = EINVAL,
        "invalid exception callback insn_off in func_info: 0";
    ExceptionCallbackReturn { name: String } = EINVAL,
        "Global function {name}() doesn't return scalar. Only those are supported.";
    ExceptionCallbackArgs { } = EINVAL, "exception cb only supports single integer argument";
    NoBtf { } = EINVAL, "Tracing programs must provide btf_id";
    NoKernelBtf { } = EINVAL,
        "FENTRY/FEXIT program can only be attached to another program annotated with BTF";
    BadBtfId { id: u32 } = EINVAL, "attach_btf_id {id} is invalid";
    NamelessBtfId { id: u32 } = EINVAL, "attach_btf_id {id} doesn't have a name";
    NotAFunction { id: u32 } = EINVAL, "attach_btf_id {id} is not a function";
    NotATypedef { id: u32 } = EINVAL, "attach_btf_id {id} is not a typedef";
    WrongTypeName { id: u32, name: String } = EINVAL,
        "attach_btf_id {id} points to wrong type name {name}";
    BadAttachType { attach: u32 } = EINVAL, "a program of this type has no attach type {attach}";
    NoIterator { name: String } = EINVAL, "{name} is no iterator";

    // Sleeping.
    SyscallSleeps { } = EINVAL, "Syscall programs can only be sleepable";
    CannotSleep { } = EINVAL,
        "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable";
    NotSleepable { name: String } = EINVAL, "{name} is not sleepable";

    // Functions of the kernel.
    NotModifiable { name: String } = EINVAL, "{name}() is not modifiable";
    NeverTraced { name: String } = EINVAL, "{name}() must not be traced";
    NeverReturns { name: String } = EINVAL,
        "Attaching fexit/fmod_ret to __noreturn function '{name}' is rejected.";
    TooManyArgs { func: String, args: usize } = EINVAL,
        "The function {func} has {args} arguments. Too many.";
    ReturnType { func: String, kind: &'static str } = EINVAL,
        "The function {func} return type {kind} is unsupported.";
    VariadicArgs { func: String } = EINVAL,
        "The function {func} with variable args is unsupported.";
    MalformedArg { func: String, arg: usize } = EINVAL,
        "The function {func} has malformed void argument {arg}.";
    ArgKind { func: String, arg: usize, kind: &'static str } = EINVAL,
        "The function {func} arg{arg} type {kind} is unsupported.";

    // LSM.
    LsmNeedsGpl { } = EINVAL, "LSM programs must have a GPL compatible license";
    DisabledHook { id: u32, name: String } = EINVAL,
        "attach_btf_id {id} points to disabled hook {name}";

    // struct_ops.
    OpsNeedGpl { } = EINVAL, "struct ops programs must have a GPL compatible license";
    NoOps { } = ENOTSUPP, "struct_ops programs must provide btf_id";
    NotOps { id: u32 } = ENOTSUPP, "attach_btf_id {id} is not a supported struct";
    NoSuchOp { index: u32, name: String } = EINVAL,
        "attach to invalid member idx {index} of struct {name}";
    NotAnOp { op: String, index: u32, name: String } = EINVAL,
        "attach to invalid member {op}(@idx {index}) of struct {name}";
    UnsupportedOp { op: String, name: String } = ENOTSUPP,
        "attach to unsupported member {op} of struct {name}";

    // Other programs.
    ReplacesKernel { } = EINVAL, "Cannot replace kernel functions";
    NoSubprog { name: String } = EINVAL, "Subprog {name} doesn't exist";
    ExceptionCallback { kind: &'static str } = EINVAL,
        "{kind} programs cannot attach to exception callback";
    ReplacesStatic { } = EINVAL, "Cannot replace static functions";
    Nested { } = EINVAL, "Cannot nest tracing program attach more than once";
    Recursive { } = EINVAL, "Cannot recursively attach";
    ExtendsTracing { } = EINVAL, "Cannot extend fentry/fexit";
    OnlyTracesProgs { } = EINVAL,
        "Only FENTRY/FEXIT progs are attachable to another BPF prog";
    ModifiesProg { } = EINVAL, "can't modify return codes of BPF programs";
    ExtensionNeedsBtf { } = EINVAL, "Program extension requires BTF";
    NotGlobal { func: String } = EINVAL, "{func}() is not a global function";
    ArgCount { func1: String, args1: usize, func2: String, args2: usize } = EINVAL,
        "{func1}() has {args1} args while {func2}() has {args2} args";
    ReturnDiffers { kind1: &'static str, func1: String, kind2: &'static str, func2: String } =
        EINVAL, "Return type {kind1} of {func1}() doesn't match type {kind2} of {func2}()";
    ArgDiffers { arg: usize, func1: String, kind1: &'static str, func2: String, kind2: &'static str } =
        EINVAL, "arg{arg} in {func1}() is {kind1} while {func2}() has {kind2}";
    ArgSize { arg: usize, func1: String, size1: u32, func2: String, size2: u32 } = EINVAL,
        "arg{arg} in {func1}() has size {size1} while {func2}() has {size2}";
    ArgUnknown { arg: usize, func: String } = EINVAL,
        "arg{arg} in {func}() has unrecognized type";
    ArgNotCtx { arg: usize, func: String } = EINVAL,
        "arg{arg} in {func}() is not a pointer to context";
    ArgStruct { arg: usize, func1: String, name1: String, func2: String, name2: String } = EINVAL,
        "arg{arg} {func1}(struct {name1} *) doesn't match {func2}(struct {name2} *)";

    // Global functions.
    GlobalArgs { func: String, args: usize, max: usize } = EINVAL,
        "Global function {func}() with {args} > {max} args. Buggy compiler.";
    GlobalReturn { func: String } = EINVAL,
        "Global function {func}() doesn't return scalar. Only those are supported.";
    GlobalArgKind { arg: usize, kind: &'static str, func: String } = EINVAL,
        "Arg#{arg} type {kind} in {func}() is not supported yet.";
    CallbackNotStatic { } = EINVAL, "callback function not static";
    GlobalNoBtf { } = EFAULT, "Global functions need valid BTF";
    TagOnStatic { arg: usize } = EOPNOTSUPP,
        "arg#{arg} type tag is not supported in static functions";
    UnknownTags { arg: usize } = EOPNOTSUPP, "arg#{arg} has unsupported set of tags";
    TagsClash { arg: usize } = EINVAL, "arg#{arg} has invalid combination of tags";
    ArenaClash { arg: usize } = EINVAL, "arg#{arg} arena cannot be combined with any other tags";
    UntrustedClash { arg: usize } = EINVAL,
        "arg#{arg} untrusted cannot be combined with any other tags";
    UntrustedKind { arg: usize, kind: &'static str, name: String } = EINVAL,
        "arg#{arg} has type {kind} '{name}', but only struct or primitive types are allowed";
    TagOnNumber { arg: usize } = EINVAL,
        "arg#{arg} has pointer tag, but is not a pointer type";
    ArgNoSize { arg: usize, kind: &'static str, name: String } = EINVAL,
        "arg#{arg} reference type('{kind} {name}') size cannot be determined: -22";
    ArgNoMatch { arg: usize, kind: &'static str, name: String, what: &'static str } = ENOENT,
        "arg#{arg} reference type('{kind} {name}') {what}";
    CtxNameless { arg: usize } = EINVAL, "arg#{arg} type doesn't have a name";
    CtxVoid { arg: usize } = EINVAL, "arg#{arg} should be void pointer";
    CtxName { arg: usize, name: String } = EINVAL, "arg#{arg} should be `struct {name} *`";
    NotANumber { reg: u8 } = EINVAL, "R{reg} is not a scalar";
    NotTheCtx { arg: usize } = EINVAL, "arg#{arg} expects pointer to ctx";
    NotArena { reg: u8 } = EINVAL, "R{reg} is not a pointer to arena or scalar.";
    GlobalArgNull { arg: usize } = EINVAL, "arg#{arg} is expected to be non-NULL";
    GlobalInLock { } = EINVAL,
        "global function calls are not allowed while holding a lock,\nuse static function instead";
    GlobalSleeps { } = EINVAL,
        "global functions that may sleep are not allowed in non-sleepable context,\ni.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context";
    GlobalArgsDiffer { why: Box<RejectKind>, subprog: u16, name: String } = EINVAL,
        "{why}\nCaller passes invalid args into func#{subprog} ('{name}')";
    GlobalNotScalar { reg: u8, ty: TypeText } = EINVAL,
        "At subprogram exit the register R{reg} is not a scalar value ({ty})";
}
