//! [`HelperReject`]: reasons about helpers.

use super::{OffText, RejectKind};
use crate::domain::Tnum;
use crate::state::TypeText;

kinds! {
    /// A reason about helpers.
    enum HelperReject delegates {}
    SleepableOnly { } = EINVAL, "helper call might sleep in a non-sleepable prog";
    NotInProbe { } = EINVAL, "helper call is not allowed in probe";

    // Arguments.
    NotConstant { reg: u8 } = EACCES, "R{reg} is not a known constant'";
    SockMapArg { } = EINVAL, "invalid arg_type for sockmap/sockhash";
    MayWrite { name: &'static str, reg: u8, ty: TypeText } = EACCES,
        "bpf_{name}() may write into memory pointed by R{reg} type={ty}";
    PossiblyNull { arg: u8 } = EACCES, "Possibly NULL pointer passed to helper arg{arg}";
    ReleaseOffset { reg: u8 } = EINVAL,
        "R{reg} must have zero offset when passed to release func or trusted arg to kfunc";
    ReleaseUnreferenced { reg: u8 } = EINVAL,
        "R{reg} must be referenced when passed to release function";
    TwoReferences { reg: u8, one: u32, other: u32 } = EFAULT,
        "verifier internal error: more than one arg with ref_obj_id R{reg} {one} {other}";

    // Memory.
    MemoryBounds { mem_size: u32, off: i64, size: u64 } = EACCES,
        "invalid access to memory, mem_size={mem_size} off={off} size={size}";
    BufferAccess { reg: u8, buf: &'static str, off: i64, size: u64 } = EACCES,
        "R{reg} invalid {buf} buffer access: off={off}, size={size}";
    BufferOffset { reg: u8, off: i64, var_off: Tnum } = EACCES,
        "R{reg} invalid variable buffer offset: off={off}, var_off={var_off}";
    FlowKeysAccess { off: i64, size: u64 } = EACCES,
        "invalid access to flow keys off={off} size={size}";
    LeakIntoFlowKeys { reg: u8 } = EACCES, "R{reg} leaks addr into flow keys";
    SockAccess { reg: u8, ty: TypeText, off: i64, size: u32 } = EACCES,
        "R{reg} invalid {ty} access off={off} size={size}";
    PacketMisaligned { var_off: OffText, ptr_off: i32, off: i32, size: u32 } = EACCES,
        "misaligned packet access off 2+{var_off}+{ptr_off}+{off} size {size}";

    // Maps.
    SockMapUpdate { inner: Box<RejectKind> } = EINVAL,
        "cannot update sockmap in this context\n{inner}";
    NoMapCallback { } = ENOTSUPP, "callback function not allowed for map";

    // Single helpers.
    LocalStorageFlags { } = EINVAL, "get_local_storage() doesn't support non-zero flags";
    FormatData { size: u64 } = EINVAL, "data_len {size} is not a multiple of 8";
    Format { } = EINVAL, "Invalid format string";
    FuncIpTracing { } = ENOTSUPP,
        "func bpf_get_func_ip#173 supported only for fentry/fexit/fmod_ret programs";
    FuncIpProgType { prog_type: u32 } = ENOTSUPP,
        "func bpf_get_func_ip#173 not supported for program type {prog_type}";
}
