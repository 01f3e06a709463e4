//! The verifier's view of its environment: helper prototypes, context layouts, map properties.
//!
//! Everything here is plain data. The one trait is [`Env`], which a host implements to say what a
//! program may use. Helpers are in `env/helper`. Neighbours:
//! `walk` asks it, `call/` interprets prototypes, `mem/ctx` layouts.

mod helper;

pub use helper::{
    ArgType, Callback, DynptrArg, DynptrSort, HelperLookup, HelperProto, INTERNAL_HELPER_BASE,
    MemAccess, MemArg, Nullable, RefEffect, RetType, SockArg, SockRet,
};

pub use crate::caps::Caps;

use skep_abi::insn::Size;
use skep_btf::Btf;
use skep_btf::fields::Field;
use std::sync::Arc;

/// What is special about a kernel function (`KF_*`), as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KfuncFlags(u16);

impl KfuncFlags {
    /// Nothing.
    pub const NONE: KfuncFlags = KfuncFlags(0);
    /// Returns a reference that must be released.
    pub const ACQUIRE: KfuncFlags = KfuncFlags(1);
    /// Releases the reference that it is given.
    pub const RELEASE: KfuncFlags = KfuncFlags(1 << 1);
    /// May return NULL.
    pub const RET_NULL: KfuncFlags = KfuncFlags(1 << 2);
    /// Takes only pointers that are surely valid.
    pub const TRUSTED_ARGS: KfuncFlags = KfuncFlags(1 << 3);
    /// May sleep.
    pub const SLEEPABLE: KfuncFlags = KfuncFlags(1 << 4);
    /// Only for those who may reboot the machine.
    pub const DESTRUCTIVE: KfuncFlags = KfuncFlags(1 << 5);
    /// Takes pointers that are valid, if only within an RCU read section.
    pub const RCU: KfuncFlags = KfuncFlags(1 << 6);
    /// Starts an iteration.
    pub const ITER_NEW: KfuncFlags = KfuncFlags(1 << 7);
    /// Gives an iteration's next element.
    pub const ITER_NEXT: KfuncFlags = KfuncFlags(1 << 8);
    /// Ends an iteration.
    pub const ITER_DESTROY: KfuncFlags = KfuncFlags(1 << 9);
    /// Only within an RCU read section.
    pub const RCU_PROTECTED: KfuncFlags = KfuncFlags(1 << 10);
    /// Leaves R1 to R5 as they were beyond its arguments (`bpf_fastcall`).
    pub const FASTCALL: KfuncFlags = KfuncFlags(1 << 11);

    /// Whether all of `other` are in it.
    pub const fn has(self, other: KfuncFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets.
    pub const fn with(self, other: KfuncFlags) -> KfuncFlags {
        KfuncFlags(self.0 | other.0)
    }
}

/// What a kernel function promises and demands beside its type, which the kernel's BTF gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KfuncProto {
    /// Name.
    pub name: &'static str,
    /// Its flags.
    pub flags: KfuncFlags,
}

/// Answer to "may this program call that kernel function?".
#[derive(Clone, Copy, Debug)]
pub enum KfuncLookup<'a> {
    /// It may.
    Known(&'a KfuncProto),
    /// It may not, or there is no such function.
    NotAllowed,
    /// Only programs that are bound to a device may.
    DeviceBound,
}

/// Privilege of whoever loads the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Privilege {
    /// All capabilities.
    #[default]
    Privileged,
    /// None of them.
    Unprivileged,
    /// Just these.
    With(Caps),
}

impl Privilege {
    /// The capabilities that it stands for.
    pub const fn caps(self) -> Caps {
        match self {
            Privilege::Privileged => Caps::ALL,
            Privilege::Unprivileged => Caps::NONE,
            Privilege::With(caps) => caps,
        }
    }
}

/// What a context field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CtxFieldKind {
    /// A number.
    Scalar {
        /// Which narrower loads are allowed (`bpf_ctx_record_field_size`).
        narrow: Narrow,
    },
    /// Start of the packet (`PTR_TO_PACKET`).
    PacketData,
    /// End of the packet (`PTR_TO_PACKET_END`).
    PacketEnd,
    /// Start of the metadata before the packet (`PTR_TO_PACKET_META`).
    PacketMeta,
    /// A socket.
    Socket(SockRet, Nullable),
    /// The flow dissector's keys.
    FlowKeys,
    /// The buffer of a raw tracepoint that is writable.
    TpBuffer,
    /// An object of the kernel's, surely valid, of the structure with this name.
    Object(&'static str),
}

/// Which parts of a field may be loaded by themselves. All are aligned to their size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Narrow {
    /// None: only elements of the largest size.
    No,
    /// Any.
    Any,
    /// Those at the start of the field.
    Start,
    /// Those of two bytes at the least.
    Halves,
    /// Those of the first two bytes: the others are padding.
    LowHalf,
}

/// Whether a program may write a field, and with which sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CtxWrite {
    /// Never.
    No,
    /// Only the whole field.
    Whole,
    /// At any aligned size (e.g. `cb[]`).
    Any,
    /// At any aligned size of four bytes at the least.
    Words,
}

/// One field of a context as programs see it, and where its native counterpart lies.
///
/// After verification each access is rewritten to the native layout, one instruction for one: a
/// scalar keeps its width; packet pointers become 8-byte loads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CtxField {
    /// Name as in the UAPI struct.
    pub name: &'static str,
    /// Offset in the UAPI struct, in bytes.
    pub off: u32,
    /// Size in the UAPI struct, in bytes (arrays such as `cb` are one field).
    pub size: u32,
    /// Largest single access, in bytes.
    pub max_access: Size,
    /// What it holds.
    pub kind: CtxFieldKind,
    /// Whether reads are allowed.
    pub read: bool,
    /// Whether writes are allowed.
    pub write: CtxWrite,
    /// Capabilities that reading it takes, besides those of the program type.
    pub read_needs: Caps,
    /// Capabilities that writing it takes, besides those of the program type.
    pub write_needs: Caps,
    /// Offset in the native context, in bytes.
    pub native_off: u32,
}

impl CtxField {
    /// A number of 32 bits that may be read in parts: what others are written as changes of.
    pub const fn number(name: &'static str, off: u32) -> CtxField {
        CtxField {
            name,
            off,
            size: 4,
            max_access: Size::W,
            kind: CtxFieldKind::Scalar { narrow: Narrow::Any },
            read: true,
            write: CtxWrite::No,
            read_needs: Caps::NONE,
            write_needs: Caps::NONE,
            native_off: off,
        }
    }
}

/// Layout of one program type's context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CtxLayout {
    /// UAPI struct name, `__sk_buff`.
    pub name: &'static str,
    /// Size of the UAPI struct, in bytes.
    pub size: u32,
    /// Fields by ascending offset; what no field covers is not accessible.
    pub fields: &'static [CtxField],
    /// `Some` for contexts that are plain memory of the caller (syscall programs): bytes
    /// accessible at any alignment of the access, both directions, no rewriting.
    pub raw_memory: Option<u32>,
}

/// Direct packet access of a program type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketAccess {
    /// None.
    None,
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
    /// Reads and writes, and every helper that takes memory takes it: the value of a socket option.
    OptVal,
}

impl PacketAccess {
    /// Whether programs may write.
    pub const fn is_writable(self) -> bool {
        matches!(self, PacketAccess::ReadWrite | PacketAccess::OptVal)
    }
}

/// What the verifier must know of a program type.
#[derive(Clone, Copy, Debug)]
pub struct ProgTypeProps {
    /// `BPF_PROG_TYPE_*` number.
    pub prog_type: u32,
    /// Name as bpftool prints it, `sched_cls`.
    pub name: &'static str,
    /// Context.
    pub ctx: CtxLayout,
    /// Direct packet access.
    pub packet: PacketAccess,
    /// Whether legacy packet loads (`LD_ABS`, `LD_IND`) are allowed.
    pub legacy_loads: bool,
    /// Inclusive range that the return value must lie in, where the kernel demands one.
    pub ret_range: Option<(i64, i64)>,
    /// Whether the program may sleep (always, for syscall programs).
    pub sleepable: bool,
}

/// What the verifier must know of a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapProps {
    /// `BPF_MAP_TYPE_*` number.
    pub map_type: u32,
    /// Name, for messages.
    pub name: String,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes.
    pub value_size: u32,
    /// Capacity in elements.
    pub max_entries: u32,
    /// `BPF_F_*` creation flags.
    pub flags: u32,
    /// Content of a frozen read-only array of one element: loads from it are constants.
    pub frozen_data: Option<Vec<u8>>,
    /// Whether values may be addressed directly (`BPF_PSEUDO_MAP_VALUE`).
    pub direct_value: bool,
    /// Properties of the inner maps, for map-in-map.
    pub inner: Option<Box<MapProps>>,
    /// Members of the value that only helpers and kernel functions may touch, by ascending offset.
    pub fields: Vec<Field>,
    /// Types of its keys and values.
    pub types: Option<MapTypes>,
}

/// Types of a map's keys and values.
#[derive(Clone, Debug)]
pub struct MapTypes {
    /// Where they are described.
    pub btf: Arc<Btf>,
    /// Type id of the key there; 0 for none.
    pub key: u32,
    /// Type id of the value there; 0 for none.
    pub value: u32,
}

impl PartialEq for MapTypes {
    fn eq(&self, other: &MapTypes) -> bool {
        Arc::ptr_eq(&self.btf, &other.btf) && self.key == other.key && self.value == other.value
    }
}

impl Eq for MapTypes {}

/// A program that another one attaches to.
#[derive(Clone, Debug)]
pub struct TargetProg {
    /// Its types.
    pub btf: Arc<Btf>,
    /// Its type's properties.
    pub props: ProgTypeProps,
    /// Its `BPF_*` attach type, or 0.
    pub expected_attach_type: u32,
    /// Its functions.
    pub funcs: Vec<TargetFunc>,
    /// Whether it is itself attached to a program.
    pub is_nested: bool,
}

/// A function of a program that another one attaches to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetFunc {
    /// BTF type id of the `FUNC`.
    pub type_id: u32,
    /// Whether its arguments are what its prototype says, as far as verification knows.
    pub is_reliable: bool,
    /// Whether it is called when an exception is thrown.
    pub is_exception_callback: bool,
}

/// What a program may use: implemented by the subsystem, or by a host with its own helpers.
pub trait Env {
    /// The program type's properties.
    fn prog_type(&self) -> &ProgTypeProps;
    /// Looks up a helper by number, for this program type and privilege.
    fn helper(&self, id: i32) -> HelperLookup<'_>;
    /// The map at an index of the load's fd array; maps by fd are resolved to indices before.
    fn map(&self, idx: u32) -> Option<&MapProps>;
    /// The program's own BTF, for names and source lines.
    fn btf(&self) -> Option<&Btf>;
    /// The types of the kernel that the program is for, if it may use them.
    fn kernel_btf(&self) -> Option<&Btf> {
        None
    }
    /// The types of a kernel module, by index in the load's fd array.
    fn module_btf(&self, _fd_idx: u16) -> Option<&Btf> {
        None
    }
    /// Looks up a kernel function by name, for this program type.
    fn kfunc(&self, _name: &str) -> KfuncLookup<'_> {
        KfuncLookup::NotAllowed
    }
    /// How many CPUs a program may find itself on (`nr_cpu_ids`).
    fn cpus(&self) -> u32 {
        u32::MAX
    }
    /// The program that this one attaches to, if it is one.
    fn target(&self) -> Option<&TargetProg> {
        None
    }
    /// Who loads.
    fn privilege(&self) -> Privilege;
    /// The loader's capabilities.
    fn caps(&self) -> Caps {
        self.privilege().caps()
    }
}
