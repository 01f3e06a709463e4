//! [`FieldReject`]: reasons about members of map values and allocated objects that only the kernel may touch.

kinds! {
    /// A reason about members of map values and allocated objects that only the kernel may touch.
    enum FieldReject delegates {}
    // Maps that a program may not name.
    MapNotForProg { who: &'static str, what: &'static str } = EINVAL,
        "{who} progs cannot use {what} yet";
    StructOpsMap { } = EINVAL, "bpf_struct_ops map cannot be used in prog";
    MapNotForSleepers { } = EINVAL,
        "Sleepable programs can only use array, hash, ringbuf and local storage maps";

    // Kernel pointers and other special members.
    DirectAccess { name: &'static str } = EACCES,
        "{name} cannot be accessed directly by load/store";
    KptrIndirect { name: &'static str } = EACCES, "{name} cannot be accessed indirectly by helper";
    KptrVariableAccess { name: &'static str } = EACCES,
        "{name} access cannot have variable offset";
    KptrMisaligned { name: &'static str, expected: u32, off: i64 } = EACCES,
        "{name} access misaligned expected={expected} off={off}";
    KptrSize { name: &'static str } = EACCES, "{name} access size must be BPF_DW";
    KptrMode { name: &'static str } = EACCES,
        "{name} in map can only be accessed using BPF_MEM instruction mode";
    StoreKptr { } = EACCES, "store to referenced kptr disallowed";
    StoreUptr { } = EACCES, "store to uptr disallowed";
    StoreImm { name: &'static str, off: u32 } = EACCES,
        "BPF_ST imm must be 0 when storing to {name} at off={off}";
    KptrType { reg: u8, text: KptrText } = EACCES, "invalid kptr access, R{reg} {text}";
    KptrNoBtf { name: String } = EINVAL,
        "map '{name}' has to have BTF in order to use bpf_kptr_xchg";
    KptrVariable { reg: u8 } = EINVAL,
        "R{reg} doesn't have constant offset. kptr has to be at the constant offset";
    NoKptr { reg: u8 } = EINVAL, "R{reg} has no valid kptr";
    NotKptr { off: i64 } = EACCES, "off={off} doesn't point to kptr";
    NotOwningKptr { off: i64 } = EACCES, "off={off} kptr isn't referenced kptr";

    // Timers, work queues and task work in map values.
    FieldVariable { reg: u8, name: &'static str } = EINVAL,
        "R{reg} doesn't have constant offset. {name} has to be at the constant offset";
    FieldNoBtf { map: String, name: &'static str } = EINVAL,
        "map '{map}' has to have BTF in order to use {name}";
    NoField { map: String, name: &'static str } = EINVAL, "map '{map}' has no valid {name}";
    FieldOffset { off: i64, name: &'static str, at: u32 } = EINVAL,
        "off {off} doesn't point to 'struct {name}' that is at {at}";
    TimerOtherMap { uid: u32, map_uid: u32 } = EINVAL,
        "timer pointer in R1 map_uid={uid} doesn't match map pointer in R2 map_uid={map_uid}";
    WqOtherMap { uid: u32, map_uid: u32 } = EINVAL,
        "workqueue pointer in R1 map_uid={uid} doesn't match map pointer in R2 map_uid={map_uid}";
    TaskWorkOtherMap { uid: u32, map_uid: u32 } = EINVAL,
        "bpf_task_work pointer in R2 map_uid={uid} doesn't match map pointer in R3 map_uid={map_uid}";
    NotLockable { arg: usize } = EINVAL,
        "arg#{arg} doesn't point to map value or allocated object";
    NotMapValue { arg: usize } = EINVAL, "arg#{arg} doesn't point to a map value";

    // Lists and trees.
    RootVariable { reg: u8, name: &'static str } = EINVAL,
        "R{reg} doesn't have constant offset. {name} has to be at the constant offset";
    NotAtOffset { name: &'static str, off: i64 } = EINVAL, "{name} not found at offset={off}";
    NotValueOrObject { arg: usize } = EINVAL,
        "arg#{arg} expected pointer to map value or allocated object";
    NotObject { arg: usize } = EINVAL, "arg#{arg} expected pointer to allocated object";
    NotReferenced { } = EINVAL, "allocated object must be referenced";
    NodeUnowned { func: String } = EINVAL,
        "{func} can only take non-owning or refcounted bpf_rb_node pointer";
    NodeInCallback { func: String } = EINVAL, "{func} not allowed in rbtree cb";
    NodeStruct {
        root: &'static str, node: &'static str, at: u32, name: String, off: i64, have: String
    } = EINVAL,
        "operation on {root} expects arg#1 {node} at offset={at} in struct {name}, but arg is at offset={off} in struct {have}";
    NodeOffset { off: i64, node: &'static str, at: u32, name: String } = EINVAL,
        "arg#1 offset={off}, but expected {node} at offset={at} in struct {name}";
    NotRef { arg: usize } = EINVAL, "arg#{arg} is neither owning or non-owning ref";
    NoRefcount { arg: usize } = EINVAL,
        "arg#{arg} doesn't point to a type with bpf_refcount field";
}

/// A pointer that is not of the type that a kernel pointer's place wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KptrText {
    pub(crate) ty: crate::state::TypeText,
    pub(crate) name: String,
    pub(crate) expected: String,
    pub(crate) or_untrusted: bool,
}

impl core::fmt::Display for KptrText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let KptrText { ty, name, expected, or_untrusted } = self;
        write!(f, "type={ty}{name} expected=ptr_{expected}")?;
        if *or_untrusted {
            write!(f, " or untrusted_ptr_{expected}")?;
        }
        Ok(())
    }
}
