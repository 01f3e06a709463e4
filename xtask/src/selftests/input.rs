//! What is loaded, and what a test expects of it: [`Case`], one load of one program by somebody.
//!
//! `arrays` and `objects` make cases; `native` and `ours` load them; `judge` compares.

use std::sync::Arc;

use skep_abi::insn::RawInsn;
use skep_btf::fields::{Scope, fields};
use skep_btf::{Btf, TypeId};
use skep_elf::MapDef;
use skep_verifier::env::Caps;

use super::pattern::Pattern;

/// Where a case comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Source {
    /// `verifier/*.c`.
    Array,
    /// `progs/*.c`, with expectations.
    Annotated,
    /// `progs/*.c`, without.
    Plain,
}

impl Source {
    pub(super) const ALL: [Source; 3] = [Source::Array, Source::Annotated, Source::Plain];

    pub(super) fn text(self) -> &'static str {
        match self {
            Source::Array => "arrays",
            Source::Annotated => "annotated",
            Source::Plain => "other",
        }
    }
}

/// Who loads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Mode {
    /// Somebody with all capabilities.
    Privileged,
    /// Somebody with none of those that bpf(2) asks for.
    Unprivileged,
}

impl Mode {
    pub(super) const ALL: [Mode; 2] = [Mode::Privileged, Mode::Unprivileged];

    pub(super) fn text(self) -> &'static str {
        match self {
            Mode::Privileged => "priv",
            Mode::Unprivileged => "unpriv",
        }
    }
}

/// A capability that bpf(2) asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cap {
    pub(super) name: &'static str,
    /// Its number in `linux/capability.h`.
    pub(super) number: u32,
    pub(super) ours: Caps,
}

/// All of them.
pub(super) const CAPS: [Cap; 4] = [
    Cap { name: "CAP_NET_ADMIN", number: 12, ours: Caps::NET_ADMIN },
    Cap { name: "CAP_SYS_ADMIN", number: 21, ours: Caps::SYS_ADMIN },
    Cap { name: "CAP_PERFMON", number: 38, ours: Caps::PERFMON },
    Cap { name: "CAP_BPF", number: 39, ours: Caps::BPF },
];

/// What becomes of a map whose types the kernel does not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Untyped {
    /// It is made without, as libbpf does.
    Allowed,
    /// It is not made, as in `test_verifier.c`.
    Refused,
}

/// A map that a program refers to.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) def: MapDef,
    /// The types that `def` refers to.
    pub(super) btf: Option<Arc<Btf>>,
    /// What to do where the kernel does not take the types.
    pub(super) untyped: Untyped,
    /// Elements to set: key and value.
    pub(super) elements: Vec<(Vec<u8>, Vec<u8>)>,
    /// Elements to set, of a program array: key and index in [`Load::helpers`].
    pub(super) programs: Vec<(u32, usize)>,
}

impl Map {
    /// Whether its values have members that are more than bytes to the verifier.
    pub(super) fn has_fields(&self) -> bool {
        let (id, size) = (TypeId(self.def.btf_value_type_id), self.def.value_size);
        let found = self.btf.as_ref().map(|btf| fields(btf, id, size, Scope::MapValue));
        found.is_some_and(|f| f.is_ok_and(|f| !f.is_empty()))
    }
}

/// Everything that a load gets.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) prog_type: u32,
    pub(super) attach_type: u32,
    /// `BPF_F_*`.
    pub(super) flags: u32,
    pub(super) license: String,
    /// Instructions; maps by index (`BPF_PSEUDO_MAP_IDX`, `BPF_PSEUDO_MAP_IDX_VALUE`).
    pub(super) insns: Vec<RawInsn>,
    pub(super) maps: Arc<Vec<Map>>,
    /// Programs that program arrays hold.
    pub(super) helpers: Vec<Helper>,
    pub(super) btf: Option<Arc<Btf>>,
    pub(super) func_info: Vec<(u32, u32)>,
    /// File name, text, `line << 10 | column` of each slot that starts a line.
    pub(super) line_info: Vec<[u32; 4]>,
    /// Type in the kernel's BTF that it attaches to, or 0.
    pub(super) attach_btf_id: u32,
}

/// A program that a program array holds.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) prog_type: u32,
    pub(super) insns: Vec<RawInsn>,
}

/// A run of the program that a test asks for.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// What it must answer; `None` if anything will do.
    pub(super) retval: Option<u32>,
    pub(super) data: Vec<u8>,
}

/// What a test expects of a load.
#[derive(Debug, Default)]
pub(super) struct Expect {
    /// Whether the kernel that the test was written for accepts.
    pub(super) accepted: Option<bool>,
    /// What its log holds, in this order.
    pub(super) messages: Vec<Pattern>,
    /// How much log the test asks for.
    pub(super) log_level: u32,
    pub(super) runs: Vec<Run>,
}

/// One load of one program.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) source: Source,
    pub(super) mode: Mode,
    /// Which capabilities are left to somebody without privileges.
    pub(super) caps: Vec<Cap>,
    /// Name of the file, without extensions.
    pub(super) file: String,
    /// Name of the test.
    pub(super) name: String,
    pub(super) load: Arc<Load>,
    pub(super) expect: Expect,
}

impl Case {
    /// `file/name`, with `@unpriv` for loads without privileges.
    pub(super) fn id(&self) -> String {
        let mode = match self.mode {
            Mode::Privileged => "",
            Mode::Unprivileged => " @unpriv",
        };
        format!("{}/{}{mode}", self.file, self.name)
    }
}

/// The maps that instructions name by index.
pub(super) fn used_maps(insns: &[RawInsn]) -> Vec<usize> {
    let mut used: Vec<usize> = map_slots(insns).map(|i| insns[i].imm as usize).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// The slots that name a map by index.
pub(super) fn map_slots(insns: &[RawInsn]) -> impl Iterator<Item = usize> + '_ {
    const LD_IMM64: u8 = 0x18;
    let mut second_half = false;
    insns.iter().enumerate().filter_map(move |(i, insn)| {
        let first = !second_half && insn.code == LD_IMM64;
        second_half = first;
        (first && matches!(insn.src, 5 | 6)).then_some(i)
    })
}
