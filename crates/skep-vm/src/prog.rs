//! [`Prog`]: a program resolved against its maps and helpers, ready for an engine.

use core::fmt;
use skep_abi::insn::{CallTarget, Imm64, Insn};
use skep_maps::MapOps;
use skep_verifier::env::{HelperProto, MapProps};
use skep_verifier::{KernelObjects, VerifiedProg};
use std::sync::Arc;

use crate::call::Call;

/// A helper's code: reads its arguments from the [`Call`], answers R0.
pub type HelperFn = fn(&mut Call<'_>) -> u64;

/// A helper as engines know it.
#[derive(Clone, Copy)]
pub struct HelperEntry {
    /// What it demands; must be what the verifier was told.
    pub proto: &'static HelperProto,
    /// Its code.
    pub run: HelperFn,
}

impl fmt::Debug for HelperEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "helper {}#{}", self.proto.name, self.proto.id)
    }
}

/// The helpers that programs can be linked with.
pub trait HelperTable {
    /// The helper with this number.
    fn helper(&self, id: i32) -> Option<HelperEntry>;
}

/// A table without helpers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHelpers;

impl HelperTable for NoHelpers {
    fn helper(&self, _id: i32) -> Option<HelperEntry> {
        None
    }
}

impl HelperTable for [HelperEntry] {
    fn helper(&self, id: i32) -> Option<HelperEntry> {
        self.iter().copied().find(|h| h.proto.id == id)
    }
}

/// Map pointers that programs hold are not addresses but this plus an index into [`Prog::maps`].
/// (Not a canonical user address on any supported machine, so that a stray access faults.)
const MAP_HANDLE: u64 = 0xffff_c000_0000_0000;
/// Likewise for subprograms: this plus the first slot.
const FUNC_HANDLE: u64 = 0xffff_d000_0000_0000;

/// How far the program is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// Came from a `VerifiedProg`.
    Verified,
    /// Nobody looked at it: each access is checked at run time.
    Unverified,
}

/// A program ready to run.
#[derive(Debug)]
pub struct Prog {
    insns: Vec<Insn>,
    helpers: Vec<HelperEntry>,
    maps: Vec<Arc<dyn MapOps>>,
    trust: Trust,
    ctx_bytes: usize,
}

/// Why a program cannot be made ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgError {
    /// Slot of the instruction.
    pub slot: u32,
    /// What is wrong with it.
    pub kind: ProgErrorKind,
}

/// See [`ProgError`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProgErrorKind {
    /// The program has no instructions.
    Empty,
    /// A jump, call or function address leads outside the program or into a 64-bit immediate.
    BadTarget(i64),
    /// A 64-bit immediate load without its second slot, or a second slot alone.
    HalfImm64,
    /// No map has this index.
    NoMap(i32),
    /// The map's values cannot be addressed directly, or not at this offset.
    NoDirectValue {
        /// Index of the map.
        map: i32,
        /// Offset in bytes.
        off: u32,
    },
    /// The map with this index differs from the one that the program was verified with.
    OtherMap(i32),
    /// The helper with this number differs from the one that the program was verified with.
    OtherHelper(i32),
    /// The helper table has no helper with this number.
    NoHelper(i32),
    /// What engines do not run: named.
    Unsupported(&'static str),
}

impl fmt::Display for ProgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: ", self.slot)?;
        match &self.kind {
            ProgErrorKind::Empty => f.write_str("the program has no instructions"),
            ProgErrorKind::BadTarget(to) => {
                write!(f, "target slot {to} is not the start of an instruction of the program")
            }
            ProgErrorKind::HalfImm64 => f.write_str("a 64-bit immediate load needs two slots"),
            ProgErrorKind::NoMap(idx) => write!(f, "the program was given no map {idx}"),
            ProgErrorKind::NoDirectValue { map, off } => {
                write!(f, "map {map} has no directly addressable value at offset {off}")
            }
            ProgErrorKind::OtherMap(idx) => {
                write!(f, "map {idx} is not like the one that the program was verified with")
            }
            ProgErrorKind::OtherHelper(id) => {
                write!(f, "helper {id} is not the one that the program was verified with")
            }
            ProgErrorKind::NoHelper(id) => write!(f, "there is no helper {id}"),
            ProgErrorKind::Unsupported(what) => write!(f, "{what} cannot be executed"),
        }
    }
}

impl core::error::Error for ProgError {}

impl Prog {
    /// Resolves a verified program. `maps` are those of the load's fd array, in that order.
    ///
    /// # Errors
    /// [`ProgError`] if the program refers to a map or helper that it is not given, or if one is not what it was
    /// verified with.
    pub fn new(
        prog: &VerifiedProg,
        maps: Vec<Arc<dyn MapOps>>,
        helpers: &(impl HelperTable + ?Sized),
    ) -> Result<Prog, ProgError> {
        let premises = prog.premises();
        if premises.kernel_objects == KernelObjects::Needed {
            let kind = ProgErrorKind::Unsupported("a program that follows pointers of a kernel's");
            return Err(ProgError { slot: 0, kind });
        }
        for (idx, props) in &premises.maps {
            let map = i32::try_from(*idx).unwrap_or(i32::MAX);
            let err = |kind| ProgError { slot: 0, kind };
            if !is_as_verified(map_at(&maps, map).map_err(err)?.as_ref(), props) {
                return Err(err(ProgErrorKind::OtherMap(map)));
            }
        }
        let linked = Prog::resolve(prog.insns().to_vec(), maps, helpers, Trust::Verified)?;
        if let Some(other) =
            linked.helpers.iter().find(|h| !premises.helpers.contains(h.proto)).map(|h| h.proto.id)
        {
            return Err(ProgError { slot: 0, kind: ProgErrorKind::OtherHelper(other) });
        }
        Ok(Prog { ctx_bytes: premises.ctx_bytes as usize, ..linked })
    }

    /// Resolves instructions that nobody verified, one for each slot. They always run in
    /// [`Mode::Checked`](crate::Mode::Checked), whatever the runtime says.
    ///
    /// # Errors
    /// [`ProgError`] if a jump leads outside the program, or if it refers to a map or helper that it is
    /// not given.
    pub fn unverified(
        insns: Vec<Insn>,
        maps: Vec<Arc<dyn MapOps>>,
        helpers: &(impl HelperTable + ?Sized),
    ) -> Result<Prog, ProgError> {
        Prog::resolve(insns, maps, helpers, Trust::Unverified)
    }

    fn resolve(
        mut insns: Vec<Insn>,
        maps: Vec<Arc<dyn MapOps>>,
        table: &(impl HelperTable + ?Sized),
        trust: Trust,
    ) -> Result<Prog, ProgError> {
        if insns.is_empty() {
            return Err(ProgError { slot: 0, kind: ProgErrorKind::Empty });
        }
        let mut helpers: Vec<HelperEntry> = Vec::new();
        for pc in 0..insns.len() {
            let err = |kind| ProgError { slot: pc as u32, kind };
            let target = |off: i32| check_target(&insns, pc, off).map_err(err);
            match insns[pc] {
                Insn::Goto { off, .. } => {
                    target(off)?;
                }
                Insn::MayGoto { off } | Insn::JumpIf { off, .. } => {
                    target(i32::from(off))?;
                }
                Insn::Call(CallTarget::Local(off)) => {
                    target(off)?;
                }
                Insn::Call(CallTarget::Helper(id)) => {
                    let idx = match helpers.iter().position(|h| h.proto.id == id) {
                        Some(idx) => idx,
                        None => {
                            let entry =
                                table.helper(id).ok_or_else(|| err(ProgErrorKind::NoHelper(id)))?;
                            helpers.push(entry);
                            helpers.len() - 1
                        }
                    };
                    // From here on the number is an index into `self.helpers`.
                    insns[pc] = Insn::Call(CallTarget::Helper(idx as i32));
                }
                Insn::Call(CallTarget::Kfunc { .. }) => {
                    return Err(err(ProgErrorKind::Unsupported("a kfunc call")));
                }
                Insn::AddrSpaceCast { .. } => {
                    return Err(err(ProgErrorKind::Unsupported("addr_space_cast")));
                }
                Insn::LdImm64 { dst, imm } => {
                    if insns.get(pc + 1) != Some(&Insn::Imm64Hi) {
                        return Err(err(ProgErrorKind::HalfImm64));
                    }
                    let value = match imm {
                        Imm64::Value(v) => v,
                        Imm64::MapIdx(idx, _) => {
                            map_at(&maps, idx).map_err(err)?;
                            MAP_HANDLE + idx as u64
                        }
                        Imm64::MapIdxValue(idx, off) => {
                            let none = ProgErrorKind::NoDirectValue { map: idx, off };
                            match map_at(&maps, idx).map_err(err)?.direct_values() {
                                Some((addr, len)) if (off as usize) < len => addr + u64::from(off),
                                _ => return Err(err(none)),
                            }
                        }
                        Imm64::Func(off, _) => FUNC_HANDLE + target(off)? as u64,
                        Imm64::MapFd(..) | Imm64::MapValue(..) => {
                            let what = "a map named by file descriptor";
                            return Err(err(ProgErrorKind::Unsupported(what)));
                        }
                        Imm64::BtfId(..) => {
                            let what = "the address of a kernel variable";
                            return Err(err(ProgErrorKind::Unsupported(what)));
                        }
                    };
                    insns[pc] = Insn::LdImm64 { dst, imm: Imm64::Value(value) };
                }
                Insn::Imm64Hi => {
                    let before = pc.checked_sub(1).and_then(|i| insns.get(i));
                    if !matches!(before, Some(Insn::LdImm64 { .. })) {
                        return Err(err(ProgErrorKind::HalfImm64));
                    }
                }
                Insn::Alu { .. }
                | Insn::MovSx { .. }
                | Insn::Neg { .. }
                | Insn::Endian { .. }
                | Insn::LdAbs { .. }
                | Insn::LdInd { .. }
                | Insn::Load { .. }
                | Insn::Store { .. }
                | Insn::Atomic { .. }
                | Insn::LoadAcquire { .. }
                | Insn::StoreRelease { .. }
                | Insn::Exit => {}
            }
        }
        Ok(Prog { insns, helpers, maps, trust, ctx_bytes: 0 })
    }

    /// The maps, in the order of the load's fd array.
    pub fn maps(&self) -> &[Arc<dyn MapOps>] {
        &self.maps
    }

    pub(crate) fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// Bytes of context that it may access unchecked.
    pub(crate) fn ctx_bytes(&self) -> usize {
        self.ctx_bytes
    }

    pub(crate) fn trust(&self) -> Trust {
        self.trust
    }

    /// The helper at an index that `resolve` put into a call instruction.
    pub(crate) fn helper_at(&self, idx: i32) -> Option<HelperEntry> {
        self.helpers.get(usize::try_from(idx).ok()?).copied()
    }

    /// The map that a handle in a register means.
    pub(crate) fn map_of(&self, handle: u64) -> Option<&Arc<dyn MapOps>> {
        self.maps.get(usize::try_from(handle.checked_sub(MAP_HANDLE)?).ok()?)
    }

    /// The first slot of the subprogram that a handle in a register means.
    pub(crate) fn func_of(&self, handle: u64) -> Option<usize> {
        let slot = usize::try_from(handle.checked_sub(FUNC_HANDLE)?).ok()?;
        match self.insns.get(slot) {
            None | Some(Insn::Imm64Hi) => None,
            Some(_) => Some(slot),
        }
    }
}

/// Whether a map is what the verifier was told.
fn is_as_verified(map: &dyn MapOps, props: &MapProps) -> bool {
    let spec = map.spec();
    let same = (spec.map_type, spec.key_size, spec.value_size, spec.max_entries, spec.flags)
        == (props.map_type, props.key_size, props.value_size, props.max_entries, props.flags);
    let constant = props.frozen_data.as_ref().is_none_or(|data| {
        let mut now = vec![0; map.user_value_size()];
        map.is_frozen() && map.user_lookup(&0u32.to_ne_bytes(), &mut now, 0).is_ok() && now == *data
    });
    same && constant
}

fn check_target(insns: &[Insn], pc: usize, off: i32) -> Result<usize, ProgErrorKind> {
    let to = pc as i64 + 1 + i64::from(off);
    match usize::try_from(to).ok().and_then(|t| Some((t, insns.get(t)?))) {
        None | Some((_, Insn::Imm64Hi)) => Err(ProgErrorKind::BadTarget(to)),
        Some((t, _)) => Ok(t),
    }
}

fn map_at(maps: &[Arc<dyn MapOps>], idx: i32) -> Result<&Arc<dyn MapOps>, ProgErrorKind> {
    usize::try_from(idx).ok().and_then(|i| maps.get(i)).ok_or(ProgErrorKind::NoMap(idx))
}
