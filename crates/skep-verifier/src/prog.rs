//! What goes in ([`LoadRequest`]) and what comes out ([`VerifiedProg`]).

use crate::env::{HelperProto, MapProps, TargetFunc};
use skep_abi::insn::{Insn, RawInsn};

/// A program to verify.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// Name, for messages.
    pub name: String,
    /// Instructions. Maps are named by index into the fd array (`Imm64::MapIdx`, `MapIdxValue`).
    pub insns: Vec<RawInsn>,
    /// Licence string; decides about GPL-only helpers.
    pub license: String,
    /// `BPF_F_*` of the load.
    pub flags: u32,
    /// `BPF_*` attach type, or 0.
    pub expected_attach_type: u32,
    /// BTF type id that the program attaches to, in the BTF that `attach_btf` names; 0 for none.
    pub attach_btf_id: u32,
    /// Where `attach_btf_id` lies: 0 for the kernel, n > 0 for the module at index n - 1 of the environment's.
    pub attach_btf: u32,
    /// First slot and BTF function type id of each subprogram, from `.BTF.ext`; may be empty.
    pub func_info: Vec<(u32, u32)>,
    /// Source lines, from `.BTF.ext`, sorted by slot; may be empty.
    pub line_info: Vec<LineInfo>,
}

/// One source line (`struct bpf_line_info`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineInfo {
    /// First slot of the line.
    pub insn_off: u32,
    /// Offset of the file name in BTF's strings.
    pub file_name_off: u32,
    /// Offset of the line's text in BTF's strings.
    pub line_off: u32,
    /// Line number.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// One subprogram of a verified program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubprogInfo {
    /// First slot.
    pub start: u32,
    /// One past the last slot.
    pub end: u32,
    /// Stack bytes used, rounded up to 8.
    pub stack_depth: u32,
    /// Name from BTF, if there is one.
    pub name: Option<String>,
}

/// A program that was proved safe: the only thing an engine runs.
///
/// Slots are numbered as in the rewritten program. Context accesses are native; dead code is gone;
/// what protects against speculation is in place, which uses [`skep_abi::insn::Reg::AX`] as a twelfth register;
/// maps are named by [`skep_abi::insn::Imm64::MapIdx`] and `MapIdxValue` into the load's fd array.
#[derive(Clone, Debug)]
pub struct VerifiedProg {
    pub(crate) insns: Vec<Insn>,
    pub(crate) origin: Vec<u32>,
    pub(crate) subprogs: Vec<SubprogInfo>,
    pub(crate) line_info: Vec<LineInfo>,
    pub(crate) stats: VerifyStats,
    pub(crate) premises: Premises,
    pub(crate) funcs: Vec<TargetFunc>,
    pub(crate) barriers: Vec<u32>,
}

/// What the proof took for granted. Who runs the program must give it just that.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Premises {
    /// The maps that it names, each with its index in the load's fd array.
    pub maps: Vec<(u32, MapProps)>,
    /// The helpers that it calls.
    pub helpers: Vec<HelperProto>,
    /// Size of the native context, in bytes, that it may access.
    pub ctx_bytes: u32,
    /// Whether it follows pointers to objects of the kernel's.
    pub kernel_objects: KernelObjects,
}

/// Whether a program needs the objects of a kernel around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KernelObjects {
    /// It does not.
    #[default]
    None,
    /// It does: its context or what it loads are addresses of such objects.
    Needed,
}

/// What verification cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VerifyStats {
    /// Instructions simulated over all paths (`verified_insns`).
    pub insns_processed: u64,
    /// States kept at the most.
    pub peak_states: u64,
    /// States kept in all.
    pub total_states: u64,
}

impl VerifiedProg {
    /// What the proof rests on.
    pub fn premises(&self) -> &Premises {
        &self.premises
    }

    /// The instructions, one for each slot.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The subprograms by ascending start; the first is the main program.
    pub fn subprogs(&self) -> &[SubprogInfo] {
        &self.subprogs
    }

    /// For each slot, its number in the program that was given.
    pub fn origin(&self) -> &[u32] {
        &self.origin
    }

    /// Source lines of the slots that are left, sorted by slot.
    pub fn line_info(&self) -> &[LineInfo] {
        &self.line_info
    }

    /// Slots, in order, before which nothing may run ahead: an engine that makes machine code puts a speculation barrier
    /// there (`BPF_NOSPEC`). Empty for a loader with CAP_PERFMON.
    pub fn barriers(&self) -> &[u32] {
        &self.barriers
    }

    /// The functions that BTF describes, for programs that attach to them.
    pub fn target_funcs(&self) -> &[TargetFunc] {
        &self.funcs
    }

    /// What verification cost.
    pub fn stats(&self) -> VerifyStats {
        self.stats
    }
}
