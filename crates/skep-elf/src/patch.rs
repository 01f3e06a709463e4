//! References to maps, variables and externs patched into a whole program.

use skep_abi::insn::RawInsn;

use crate::append::Whole;
use crate::code::{Func, Target};
use crate::error::ElfError;
use crate::externs::{Extern, Origin};
use crate::maps::SitedMap;
use crate::model::{ExternValue, MapKind};

/// `BPF_PSEUDO_KFUNC_CALL`.
const PSEUDO_KFUNC_CALL: u8 = 2;
/// `BPF_PSEUDO_BTF_ID`.
const PSEUDO_BTF_ID: u8 = 3;
/// `BPF_PSEUDO_MAP_IDX`.
const PSEUDO_MAP_IDX: u8 = 5;
/// `BPF_PSEUDO_MAP_IDX_VALUE`.
const PSEUDO_MAP_IDX_VALUE: u8 = 6;
/// Helper number that stands for a map that is not created, plus the map's index (libbpf's number).
const POISON_MAP: i32 = 2_001_000_000;
/// Helper number that stands for a kfunc that the kernel does not have, plus the extern's index (libbpf's number).
const POISON_KFUNC: i32 = 2_002_000_000;

/// Patches all references of a program.
pub(crate) fn references(
    whole: &mut Whole,
    funcs: &[Func],
    maps: &[SitedMap],
    externs: &[Extern],
) -> Result<(), ElfError> {
    for part in &whole.parts {
        let Some(func) = funcs.get(part.func) else { continue };
        for reloc in &func.relocs {
            let at = part.start + reloc.slot;
            let place = |e: ElfError| {
                e.in_program(&func.name)
                    .at((func.sec_slot as u64).saturating_add(reloc.slot as u64) * 8)
            };
            let Some([first, rest @ ..]) = whole.insns.get_mut(at..) else { continue };
            match reloc.target {
                Target::Call(_) | Target::FuncAddr(_) => {}
                Target::ExternCall(index) => {
                    kfunc(first, externs, index).map_err(place)?;
                }
                Target::Map(_) | Target::Data(..) | Target::ExternLoad(_) => {
                    // A load has its second slot: checked when the relocation was read.
                    let Some(second) = rest.first_mut() else { continue };
                    load(first, second, reloc.target, maps, externs).map_err(place)?;
                }
            }
        }
    }
    Ok(())
}

fn index_imm(index: usize) -> Result<i32, ElfError> {
    i32::try_from(index).map_err(|_| ElfError::new("more maps or externs than an index can name"))
}

fn load(
    first: &mut RawInsn,
    second: &mut RawInsn,
    target: Target,
    maps: &[SitedMap],
    externs: &[Extern],
) -> Result<(), ElfError> {
    match target {
        Target::Map(index) => {
            first.src = PSEUDO_MAP_IDX;
            first.imm = index_imm(index)?;
            poison(first, second, maps, index)?;
        }
        Target::Data(index, offset) => {
            // Modulo 2^32, as the instruction's field is; the verifier checks that it is in the value.
            second.imm = first.imm.wrapping_add(offset as i32);
            first.src = PSEUDO_MAP_IDX_VALUE;
            first.imm = index_imm(index)?;
            poison(first, second, maps, index)?;
        }
        Target::ExternLoad(index) => {
            if let Some(ext) = externs.get(index) {
                extern_load(first, second, ext, maps)?;
            }
        }
        Target::Call(_) | Target::FuncAddr(_) | Target::ExternCall(_) => {}
    }
    Ok(())
}

/// A reference to a map that is not created becomes a call of a helper that does not exist: fine in dead code.
fn poison(
    first: &mut RawInsn,
    second: &mut RawInsn,
    maps: &[SitedMap],
    index: usize,
) -> Result<(), ElfError> {
    if maps.get(index).is_some_and(|m| !m.map.autocreate) {
        let imm = POISON_MAP.saturating_add(index_imm(index)?);
        *first = RawInsn { code: 0x85, dst: 0, src: 0, off: 0, imm };
        *second = *first;
    }
    Ok(())
}

fn extern_load(
    first: &mut RawInsn,
    second: &mut RawInsn,
    ext: &Extern,
    maps: &[SitedMap],
) -> Result<(), ElfError> {
    match (ext.kind, ext.value) {
        (Origin::Config(_, place), _) => {
            let map = maps.iter().position(|m| m.map.kind == MapKind::Kconfig).unwrap_or(0);
            first.src = PSEUDO_MAP_IDX_VALUE;
            first.imm = index_imm(map)?;
            second.imm = place.offset as i32;
        }
        (Origin::Addr | Origin::Var(_) | Origin::Func(_), value) => match value {
            Some(ExternValue::BtfId { id, module }) => {
                first.src = PSEUDO_BTF_ID;
                first.imm = id as i32;
                second.imm = module as i32;
            }
            Some(ExternValue::Addr(addr)) => {
                first.imm = addr as i32;
                second.imm = (addr >> 32) as i32;
            }
            Some(ExternValue::Unresolved | ExternValue::KconfigOffset(_)) | None => {
                first.imm = 0;
                second.imm = 0;
            }
        },
    }
    Ok(())
}

fn kfunc(insn: &mut RawInsn, externs: &[Extern], index: usize) -> Result<(), ElfError> {
    match externs.get(index).and_then(|e| e.value) {
        Some(ExternValue::BtfId { id, module }) => {
            insn.src = PSEUDO_KFUNC_CALL;
            insn.imm = id as i32;
            insn.off = i16::try_from(module).map_err(|_| {
                ElfError::new("more modules than a call instruction can name (32767)")
            })?;
        }
        Some(ExternValue::Unresolved | ExternValue::Addr(_) | ExternValue::KconfigOffset(_))
        | None => {
            let imm = POISON_KFUNC.saturating_add(index_imm(index)?);
            *insn = RawInsn { code: 0x85, dst: 0, src: 0, off: 0, imm };
        }
    }
    Ok(())
}
