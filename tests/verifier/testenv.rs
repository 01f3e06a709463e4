//! What the test programs may use: a few program types, helpers and maps, as the live kernel has them.

use skep_abi::uapi::*;
use skep_btf::Btf;
use skep_verifier::env::*;
use std::sync::OnceLock;

const fn read() -> MemArg {
    MemArg { access: MemAccess::Read, nullable: Nullable::No }
}

const fn fill() -> MemArg {
    MemArg { access: MemAccess::Write, nullable: Nullable::No }
}

const fn read_or_null() -> MemArg {
    MemArg { access: MemAccess::Read, nullable: Nullable::Yes }
}

const BASE: HelperProto = HelperProto::PLAIN;

macro_rules! helper {
    ($id:ident, $name:literal, [$($arg:expr),*], $ret:ident $(, $f:ident = $v:expr)*) => {{
        let mut args = [ArgType::None; 5];
        let given = [$($arg),*];
        let mut i = 0;
        while i < given.len() {
            args[i] = given[i];
            i += 1;
        }
        HelperProto { id: $id as i32, name: $name, args, ret: RetType::$ret, $($f: $v,)* ..BASE }
    }};
}

use ArgType::{
    Anything, ConstMap, Ctx, Func, MapKey, MapValue, Mem, Size as MemSize, SizeOrZero, StackOrNull,
};

static COMMON: &[HelperProto] = &[
    helper!(
        BPF_FUNC_map_lookup_elem,
        "map_lookup_elem",
        [ConstMap, MapKey],
        MapValueOrNull,
        pkt_access = true
    ),
    helper!(
        BPF_FUNC_map_update_elem,
        "map_update_elem",
        [ConstMap, MapKey, MapValue, Anything],
        Integer,
        pkt_access = true
    ),
    helper!(
        BPF_FUNC_map_delete_elem,
        "map_delete_elem",
        [ConstMap, MapKey],
        Integer,
        pkt_access = true
    ),
    helper!(BPF_FUNC_ktime_get_ns, "ktime_get_ns", [], Integer),
    helper!(BPF_FUNC_get_prandom_u32, "get_prandom_u32", [], Integer),
    helper!(
        BPF_FUNC_tail_call,
        "tail_call",
        [Ctx, ConstMap, Anything],
        TailCall,
        changes_pkt_data = true
    ),
    helper!(
        BPF_FUNC_trace_printk,
        "trace_printk",
        [Mem(read()), MemSize, Anything, Anything, Anything],
        Integer,
        gpl_only = true
    ),
    helper!(
        BPF_FUNC_loop,
        "loop",
        [Anything, Func, StackOrNull, Anything],
        Integer,
        callback = Callback::Loop
    ),
    helper!(
        BPF_FUNC_for_each_map_elem,
        "for_each_map_elem",
        [ConstMap, Func, StackOrNull, Anything],
        Integer,
        callback = Callback::ForEachMapElem
    ),
];

static NET: &[HelperProto] = &[helper!(
    BPF_FUNC_csum_diff,
    "csum_diff",
    [Mem(read_or_null()), SizeOrZero, Mem(read_or_null()), SizeOrZero, Anything],
    Integer,
    pkt_access = true
)];

static SKB: &[HelperProto] = &[helper!(
    BPF_FUNC_skb_load_bytes,
    "skb_load_bytes",
    [Ctx, Anything, Mem(fill()), MemSize],
    Integer
)];

static TC: &[HelperProto] = &[
    helper!(
        BPF_FUNC_skb_store_bytes,
        "skb_store_bytes",
        [Ctx, Anything, Mem(read()), MemSize, Anything],
        Integer,
        changes_pkt_data = true
    ),
    helper!(
        BPF_FUNC_skb_pull_data,
        "skb_pull_data",
        [Ctx, Anything],
        Integer,
        changes_pkt_data = true
    ),
];

static XDP: &[HelperProto] = &[helper!(
    BPF_FUNC_xdp_adjust_head,
    "xdp_adjust_head",
    [Ctx, Anything],
    Integer,
    changes_pkt_data = true
)];

const fn field(off: u32, size: u32, kind: CtxFieldKind, write: CtxWrite) -> CtxField {
    CtxField { size, kind, write, native_off: off * 2, ..CtxField::number("", off) }
}

const NARROW: CtxFieldKind = CtxFieldKind::Scalar { narrow: Narrow::Any };

static SOCKET_FIELDS: &[CtxField] = &[
    field(0, 4, NARROW, CtxWrite::No),
    field(4, 4, NARROW, CtxWrite::No),
    field(8, 4, NARROW, CtxWrite::No),
    field(16, 4, NARROW, CtxWrite::No),
    field(48, 20, NARROW, CtxWrite::Any),
];

static TC_FIELDS: &[CtxField] = &[
    field(0, 4, NARROW, CtxWrite::No),
    field(4, 4, NARROW, CtxWrite::No),
    field(8, 4, NARROW, CtxWrite::Whole),
    field(16, 4, NARROW, CtxWrite::No),
    field(48, 20, NARROW, CtxWrite::Any),
    field(76, 4, CtxFieldKind::PacketData, CtxWrite::No),
    field(80, 4, CtxFieldKind::PacketEnd, CtxWrite::No),
    field(140, 4, CtxFieldKind::PacketMeta, CtxWrite::No),
];

static XDP_FIELDS: &[CtxField] = &[
    field(0, 4, CtxFieldKind::PacketData, CtxWrite::No),
    field(4, 4, CtxFieldKind::PacketEnd, CtxWrite::No),
    field(8, 4, CtxFieldKind::PacketMeta, CtxWrite::No),
    field(12, 4, CtxFieldKind::Scalar { narrow: Narrow::No }, CtxWrite::No),
    field(16, 4, CtxFieldKind::Scalar { narrow: Narrow::No }, CtxWrite::No),
];

const fn layout(name: &'static str, size: u32, fields: &'static [CtxField]) -> CtxLayout {
    CtxLayout { name, size, fields, raw_memory: None }
}

/// Program types that cases may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Socket,
    Tc,
    Xdp,
    Syscall,
}

impl Type {
    pub(crate) fn props(self) -> ProgTypeProps {
        let base = ProgTypeProps {
            prog_type: BPF_PROG_TYPE_SOCKET_FILTER,
            name: "socket_filter",
            ctx: layout("__sk_buff", 192, SOCKET_FIELDS),
            packet: PacketAccess::None,
            legacy_loads: true,
            ret_range: None,
            sleepable: false,
        };
        match self {
            Type::Socket => base,
            Type::Tc => ProgTypeProps {
                prog_type: BPF_PROG_TYPE_SCHED_CLS,
                name: "sched_cls",
                ctx: layout("__sk_buff", 192, TC_FIELDS),
                packet: PacketAccess::ReadWrite,
                ..base
            },
            Type::Xdp => ProgTypeProps {
                prog_type: BPF_PROG_TYPE_XDP,
                name: "xdp",
                ctx: layout("xdp_md", 24, XDP_FIELDS),
                packet: PacketAccess::ReadWrite,
                legacy_loads: false,
                ..base
            },
            Type::Syscall => ProgTypeProps {
                prog_type: BPF_PROG_TYPE_SYSCALL,
                name: "syscall",
                ctx: CtxLayout { name: "void", size: 0, fields: &[], raw_memory: Some(65535) },
                legacy_loads: false,
                sleepable: true,
                ..base
            },
        }
    }

    fn helpers(self) -> Vec<&'static [HelperProto]> {
        match self {
            Type::Socket => vec![COMMON, SKB],
            Type::Tc => vec![COMMON, NET, SKB, TC],
            Type::Xdp => vec![COMMON, NET, XDP],
            Type::Syscall => vec![COMMON],
        }
    }
}

/// Bytes of the read-only map, frozen.
pub(crate) const RODATA: [u8; 16] =
    [8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, b'h', b'i', 0, 0, 1, 2, 3, 4];

/// The maps that cases name by index.
pub(crate) fn maps() -> Vec<MapProps> {
    let map = |map_type, key_size, value_size, max_entries, flags| MapProps {
        map_type,
        name: String::new(),
        key_size,
        value_size,
        max_entries,
        flags,
        frozen_data: None,
        direct_value: map_type == BPF_MAP_TYPE_ARRAY,
        inner: None,
        fields: Vec::new(),
        types: None,
    };
    let ro = MapProps {
        frozen_data: Some(RODATA.to_vec()),
        ..map(BPF_MAP_TYPE_ARRAY, 4, 16, 1, BPF_F_RDONLY_PROG)
    };
    vec![
        map(BPF_MAP_TYPE_HASH, 8, 8, 16, 0),
        map(BPF_MAP_TYPE_ARRAY, 4, 48, 1, 0),
        ro,
        map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 8, 0),
        map(BPF_MAP_TYPE_HASH, 8, 16, 16, BPF_F_RDONLY_PROG),
        map(BPF_MAP_TYPE_HASH, 8, 16, 16, BPF_F_WRONLY_PROG),
        map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 64, 4, 0),
    ]
}

/// Environment of one case.
#[derive(Debug)]
pub(crate) struct TestEnv {
    kind: Type,
    props: ProgTypeProps,
    maps: Vec<MapProps>,
    privilege: Privilege,
}

impl TestEnv {
    pub(crate) fn new(kind: Type, privilege: Privilege) -> TestEnv {
        TestEnv { kind, props: kind.props(), maps: maps(), privilege }
    }
}

/// The live kernel's types, if it is a Linux 6.18.
pub(crate) fn kernel_btf() -> Option<&'static Btf> {
    static BTF: OnceLock<Option<Btf>> = OnceLock::new();
    let read = || {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
        release.starts_with("6.18.").then(|| Btf::parse(&bytes).expect("the kernel's types"))
    };
    BTF.get_or_init(read).as_ref()
}

impl Env for TestEnv {
    fn prog_type(&self) -> &ProgTypeProps {
        &self.props
    }

    fn helper(&self, id: i32) -> HelperLookup<'_> {
        let found = self.kind.helpers().into_iter().flatten().find(|h| h.id == id);
        found.map_or(HelperLookup::Unknown, HelperLookup::Known)
    }

    fn map(&self, idx: u32) -> Option<&MapProps> {
        self.maps.get(idx as usize)
    }

    fn btf(&self) -> Option<&Btf> {
        None
    }

    fn kernel_btf(&self) -> Option<&Btf> {
        kernel_btf()
    }

    fn kfunc(&self, name: &str) -> KfuncLookup<'_> {
        skep::kfunc::lookup(name, self.props.prog_type, 0)
    }

    fn privilege(&self) -> Privilege {
        self.privilege
    }
}
