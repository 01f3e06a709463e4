//! [`Object`] and what it is made of: plain data, equal for equal input.

use std::sync::Arc;

use skep_abi::insn::RawInsn;
use skep_btf::Btf;

use crate::error::ElfError;

/// Byte order of an object file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endian {
    /// Little-endian (`bpfel`).
    Little,
    /// Big-endian (`bpfeb`).
    Big,
}

/// An opened and relocated object file.
#[derive(Clone, Debug)]
pub struct Object {
    /// Name given at open.
    pub name: String,
    /// Contents of the `license` section, without the NUL; empty if there is none.
    pub license: String,
    /// Contents of the `version` section; 0 if there is none.
    pub kernel_version: u32,
    /// Byte order of the file. Everything here is in the host's byte order already.
    pub endian: Endian,
    /// Maps, in the order in which libbpf makes them; instructions refer to them by index.
    pub maps: Vec<MapDef>,
    /// Entry programs, by section and then by offset.
    pub programs: Vec<ProgramDef>,
    /// Sections of the file that have a meaning, by section index.
    pub sections: Vec<SecDef>,
    /// Externs, with what they were resolved to.
    pub externs: Vec<ExternDef>,
    /// The object's types, with section sizes and variable offsets filled in; `func_info` and the map's type ids
    /// refer to it.
    pub btf: Option<Arc<Btf>>,
    /// Modules whose BTF the instructions refer to: a kfunc call with `off` n > 0 means `modules[n - 1]`.
    pub modules: Vec<String>,
}

impl Object {
    /// Finds a program by the name of its function.
    pub fn program(&self, name: &str) -> Option<&ProgramDef> {
        self.programs.iter().find(|p| p.name == name)
    }

    /// Finds a map by name, as written in the source or (for global data) as created.
    pub fn map(&self, name: &str) -> Option<&MapDef> {
        self.maps.iter().find(|m| m.symbol == name || m.name == name)
    }
}

/// A section with a meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecDef {
    /// Index in the file.
    pub index: usize,
    /// Name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Meaning.
    pub kind: SecKind,
}

/// Meaning of a section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SecKind {
    /// Instructions: programs or, in `.text`, subprograms.
    Code,
    /// Initialised global variables.
    Data,
    /// Constants.
    Rodata,
    /// Zeroed global variables.
    Bss,
    /// BTF-defined maps.
    Maps,
    /// Maps defined by `struct bpf_map_def`.
    LegacyMaps,
    /// Initial values of struct_ops maps.
    StructOps,
    /// Arena variables (`.addr_space.1`).
    Arena,
    /// Licence string.
    License,
    /// Kernel version.
    Version,
    /// Types.
    Btf,
    /// Line, function and CO-RE records.
    BtfExt,
    /// Relocations of another section.
    Relocations,
}

/// Where a map came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MapKind {
    /// `SEC(".maps")` or `SEC("maps")`.
    User,
    /// `.data*`.
    Data,
    /// `.rodata*`; to be frozen after it is filled.
    Rodata,
    /// `.bss*`.
    Bss,
    /// `.kconfig`; to be frozen after it is filled.
    Kconfig,
    /// A variable of `SEC(".struct_ops")` or `SEC(".struct_ops.link")`.
    StructOps,
}

/// `__uint(pinning, …)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pinning {
    /// `LIBBPF_PIN_NONE`.
    #[default]
    None,
    /// `LIBBPF_PIN_BY_NAME`: pinned under the map's name, reused if it is there.
    ByName,
}

/// A map to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapDef {
    /// Name to create it with, at most 15 bytes (`BPF_OBJ_NAME_LEN` - 1).
    pub name: String,
    /// Name in the source: the variable's, or the section's for global data.
    pub symbol: String,
    /// Where it came from.
    pub kind: MapKind,
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes; of struct_ops maps the target's, if there is a target.
    pub value_size: u32,
    /// Capacity in elements; in bytes for ring buffers. 0 where the loader decides (one for each CPU for a
    /// perf event array).
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// NUMA node, with `BPF_F_NUMA_NODE`.
    pub numa_node: u32,
    /// `map_extra`.
    pub map_extra: u64,
    /// Type of the key in the object's BTF; 0 for none.
    pub btf_key_type_id: u32,
    /// Type of the value in the object's BTF; 0 for none.
    pub btf_value_type_id: u32,
    /// Pinning.
    pub pinning: Pinning,
    /// Template of the inner map of a map-in-map.
    pub inner: Option<Box<MapDef>>,
    /// What is put into it at load.
    pub init: MapInit,
    /// Whether it is created at load; false for struct_ops in a `?` section.
    pub autocreate: bool,
    /// For struct_ops maps.
    pub struct_ops: Option<StructOpsDef>,
}

/// What a map holds at first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum MapInit {
    /// Nothing (zeroes).
    #[default]
    None,
    /// The value of the only element (global data), or the first bytes of an arena.
    Bytes(Vec<u8>),
    /// Elements that refer to maps or programs (`values` initialiser): key and referent.
    Slots(Vec<(u32, MapSlot)>),
}

/// What an initial element refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MapSlot {
    /// Index in [`Object::maps`].
    Map(usize),
    /// Index in [`Object::programs`].
    Program(usize),
}

/// What is special about a struct_ops map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructOpsDef {
    /// Name of the kernel's structure, without `___flavor`.
    pub type_name: String,
    /// Type in the object's BTF.
    pub btf_type_id: u32,
    /// Whether it attaches through a link (`.struct_ops.link`).
    pub link: bool,
    /// Initial bytes in the object's layout.
    pub data: Vec<u8>,
    /// Members that are programs.
    pub members: Vec<StructOpsMember>,
    /// The same for the kernel's structure, if the object was opened with a target BTF.
    pub kernel: Option<KernStructOps>,
}

/// A struct_ops map fitted to the kernel's structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernStructOps {
    /// `struct NAME` in the target's BTF: what programs attach to.
    pub type_id: u32,
    /// `struct bpf_struct_ops_NAME` in the target's BTF: `btf_vmlinux_value_type_id`.
    pub value_type_id: u32,
    /// 0 for the kernel, n > 0 for [`Object::modules`]`[n - 1]`.
    pub module: u32,
    /// The map's value, with zeroes where function pointers go.
    pub value: Vec<u8>,
    /// Function pointers: offset in the value in bytes, and index in [`Object::programs`].
    pub programs: Vec<(u32, usize)>,
}

/// A function pointer of a struct_ops map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructOpsMember {
    /// Name of the member.
    pub name: String,
    /// Index of the member in the object's structure.
    pub index: u32,
    /// Program, as an index in [`Object::programs`].
    pub program: usize,
}

/// What a program attaches to, as far as its section name says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum AttachTarget {
    /// The section name names none.
    #[default]
    None,
    /// What follows the prefix: a function, tracepoint, hook or path, as written.
    Named(String),
}

/// An entry program, with its subprograms appended and everything relocated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramDef {
    /// Name of the function.
    pub name: String,
    /// Name of the section, as written (with a leading `?`).
    pub section: String,
    /// Offset in the section in bytes.
    pub section_offset: u64,
    /// `BPF_PROG_TYPE_*`; 0 (`BPF_PROG_TYPE_UNSPEC`) for a section name that libbpf does not know.
    pub prog_type: u32,
    /// `BPF_*` attach type, or 0.
    pub expected_attach_type: u32,
    /// Whether [`expected_attach_type`](Self::expected_attach_type) may be left out for old kernels
    /// (`SEC_EXP_ATTACH_OPT`).
    pub attach_type_optional: bool,
    /// Attach target from the section name.
    pub attach_to: AttachTarget,
    /// For struct_ops programs of a map that was fitted to a target: `struct NAME` in the target's BTF, and
    /// [`expected_attach_type`](Self::expected_attach_type) is then the index of the member. 0 otherwise.
    pub attach_btf_id: u32,
    /// Whether the program is loaded by default; false with a leading `?`.
    pub autoload: bool,
    /// `BPF_F_*` load flags (`BPF_F_SLEEPABLE`, `BPF_F_XDP_HAS_FRAGS`).
    pub flags: u32,
    /// Instructions; maps by index.
    pub insns: Vec<RawInsn>,
    /// Subprograms by ascending first slot; the first is the program itself.
    pub subprogs: Vec<Subprog>,
    /// Function records by ascending slot; empty if the object has none.
    pub func_info: Vec<FuncInfo>,
    /// Line records by ascending slot; empty if the object has none.
    pub line_info: Vec<LineInfo>,
    /// Why the program cannot be loaded against this target. Only where `autoload` is false: otherwise the object
    /// is refused.
    pub unresolved: Option<ElfError>,
}

/// A function within a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subprog {
    /// Name.
    pub name: String,
    /// First slot.
    pub start: u32,
    /// Length in slots.
    pub len: u32,
}

/// `struct bpf_func_info`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FuncInfo {
    /// First slot.
    pub insn_off: u32,
    /// `BTF_KIND_FUNC` in the object's BTF.
    pub type_id: u32,
}

/// `struct bpf_line_info`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LineInfo {
    /// First slot.
    pub insn_off: u32,
    /// File name: offset in the strings of the object's BTF.
    pub file_name_off: u32,
    /// Text of the line: offset in the strings of the object's BTF.
    pub line_off: u32,
    /// Line and column: `line << 10 | column`.
    pub line_col: u32,
}

impl LineInfo {
    /// Line number.
    pub const fn line(self) -> u32 {
        self.line_col >> 10
    }

    /// Column.
    pub const fn column(self) -> u32 {
        self.line_col & 0x3ff
    }
}

/// An extern variable or function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternDef {
    /// Name.
    pub name: String,
    /// Whether it may stay unresolved.
    pub weak: bool,
    /// What it is.
    pub kind: ExternKind,
    /// What it was resolved to.
    pub value: ExternValue,
}

/// What an extern is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExternKind {
    /// Kernel configuration value, in the `.kconfig` map.
    Kconfig,
    /// Kernel symbol without a type: its address.
    KsymAddr,
    /// Kernel variable with a type.
    KsymVar,
    /// Kernel function (kfunc).
    KsymFunc,
}

/// What an extern was resolved to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExternValue {
    /// Not there; zero, as it is weak.
    Unresolved,
    /// Offset of the value in the `.kconfig` map.
    KconfigOffset(u32),
    /// Address.
    Addr(u64),
    /// Type of a variable or function in the target's BTF.
    BtfId {
        /// The id.
        id: u32,
        /// 0 for the kernel, n > 0 for `Object::modules[n - 1]`.
        module: u32,
    },
}
