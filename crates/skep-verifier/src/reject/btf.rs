//! [`BtfReject`]: reasons about pointers to what BTF describes.

use crate::domain::Tnum;

kinds! {
    /// A reason about pointers to what BTF describes.
    enum BtfReject delegates {}
    InvalidTypeId { id: u32 } = EINVAL, "invalid type id {id}";

    // Members.
    NotAStruct { name: String } = EINVAL, "Type '{name}' is not a struct";
    BeyondStruct { name: String, off: u32, size: u32 } = EACCES,
        "access beyond struct {name} at off {off} size {size}";
    NoSize { name: String } = EFAULT, "field {name} doesn't have size";
    PartOfPointer { member: String, start: u64, name: String, off: u32, size: u32 } = EACCES,
        "cannot access ptr member {member} with moff {start} in struct {name} with off {off} size {size}";
    BeyondMember { member: String, end: u64, name: String, off: u32, size: u32 } = EACCES,
        "access beyond the end of member {member} (mend:{end}) in struct {name} with off {off} size {size}";
    NoMember { name: String, off: u32 } = EINVAL,
        "struct {name} doesn't have field at offset {off}";

    // Accesses.
    NeedsPerfmon { name: String } = EPERM,
        "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN";
    NeedsGpl { name: String } = EINVAL,
        "Cannot access kernel 'struct {name}' from non-GPL compatible program";
    NegativeOff { reg: u8, name: String, off: i64 } = EACCES,
        "R{reg} is ptr_{name} invalid negative access: off={off}";
    VariableOff { reg: u8, name: String, off: i64, var_off: Tnum } = EACCES,
        "R{reg} is ptr_{name} invalid variable offset: off={off}, var_off={var_off}";
    NoMapStruct { map_type: u32 } = ENOTSUPP,
        "map_ptr access not supported for map type {map_type}";
    MapNegativeOff { reg: u8, name: &'static str, off: i32 } = EACCES,
        "R{reg} is {name} invalid negative access: off={off}";
    MapOnlyRead { name: &'static str } = EACCES, "only read from {name} is supported";
    UserMemory { reg: u8, name: String, off: i64 } = EACCES,
        "R{reg} is ptr_{name} access user memory: off={off}";
    PercpuMemory { reg: u8, name: String, off: i64 } = EACCES,
        "R{reg} is ptr_{name} access percpu memory: off={off}";
    SpecialMember { kind: &'static str } = EACCES, "direct access to {kind} is disallowed";

    // Stores.
    OnlyRead { } = EACCES, "only read is supported";
    OnlyDummyState { } = EACCES, "only access to bpf_dummy_ops_state is supported";
    WriteOutside { off: u32, size: u32 } = EACCES, "write access at off {off} with size {size}";
    NoWriteAt { name: &'static str, off: u32 } = EACCES, "no write support to {name} at off {off}";
    WriteBeyond { off: u32, size: u32, name: &'static str, end: u32 } = EACCES,
        "write access at off {off} with size {size} beyond the member of {name} ended at {end}";

    // Arguments of the function that is attached to.
    Ctx { why: Box<BtfReject>, off: i64, size: u32 } = EACCES,
        "{why}\ninvalid bpf_context access off={off} size={size}";
    CtxUnaligned { func: String, off: u32 } = EACCES,
        "func '{func}' offset {off} is not multiple of 8";
    NoSuchArg { func: String, nth: usize } = EACCES, "func '{func}' doesn't have {nth}-th argument";
    NotModifiableResult { kind: &'static str } = EACCES,
        "ret type {kind} not allowed for fmod_ret";
    ArgKind { func: String, nth: usize, name: String, kind: &'static str } = EACCES,
        "func '{func}' arg{nth} '{name}' has type {kind}. Only pointer access is allowed";
    ArgSize { func: String, size: u32 } = EACCES, "func '{func}' size {size} must be 8";
    ArgNotStruct { func: String, nth: usize, kind: &'static str } = EACCES,
        "func '{func}' arg{nth} type {kind} is not a struct";
    NotOfProg { func: String, nth: usize, name: String } = EACCES,
        "func '{func}' arg{nth} '{name}' is not the context of the program";

    // Arguments and results.
    NoKernelType { name: String } = EINVAL, "the kernel's types have no struct {name}";
    OtherType { reg: u8, have: String, need: String } = EACCES,
        "R{reg} is of type {have} but {need} is expected";
    PercpuNoSize { name: String } = EINVAL,
        "unable to resolve the size of type '{name}': -22";

    // Kernel variables.
    NoKernelBtf { } = EINVAL,
        "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.";
    NoModuleBtf { } = EINVAL, "invalid module BTF object FD specified.";
    KsymNoType { id: i32 } = ENOENT, "ldimm64 insn specifies invalid btf_id {id}.";
    KsymNoVar { id: i32 } = EINVAL,
        "pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC";
    KsymNoSize { name: String } = EINVAL,
        "ldimm64 unable to resolve the size of type '{name}': -22";

    // Records of functions and lines.
    FirstFuncOff { off: u32 } = EINVAL,
        "nonzero insn_off {off} for the first func info record";
    FuncOffOrder { off: u32, before: u32 } = EINVAL,
        "same or smaller insn offset ({off}) than previous func info record ({before})";
    FuncInfoType { id: u32 } = EINVAL, "invalid type id {id} in func info";
    LineOff { n: usize, off: u32, before: u32, len: usize } = EINVAL,
        "Invalid line_info[{n}].insn_off:{off} (prev_offset:{before} prog->len:{len})";
    LineInImm64 { n: usize } = EINVAL, "Invalid insn code at line_info[{n}].insn_off";
    LineText { n: usize } = EINVAL, "Invalid line_info[{n}].line_off or .file_name_off";
    LineMissing { func: usize } = EINVAL, "missing bpf_line_info for func#{func}";
    LinesMissing { count: usize, func: usize } = EINVAL,
        "missing bpf_line_info for {count} funcs starting from func#{func}";
}
