//! CO-RE relocations: each function's instructions adjusted to the target's types.
//!
//! Done before subprograms are appended, so each function is adjusted once.

use skep_btf::Btf;
use skep_btf::core::{self, Relocator};
use skep_btf::ext::{BtfExt, CoreRelo, CoreReloKind};

use crate::code::{self, Func};
use crate::error::ElfError;
use crate::file::ElfFile;
use crate::options::OpenOptions;

/// Applies all relocations. A failure in a function for which `optional` is true is kept in the function; any other
/// refuses the object.
pub(crate) fn apply(
    file: &ElfFile<'_>,
    btf: &Btf,
    ext: &BtfExt,
    options: &OpenOptions<'_>,
    funcs: &mut [Func],
    optional: impl Fn(&Func) -> bool,
) -> Result<(), ElfError> {
    let modules: Vec<&Btf> = options.target_modules.iter().map(|(_, btf)| *btf).collect();
    // Without a target only what asks for local ids can be done; those do not look at the target.
    let mut relocator = Relocator::new(btf, options.target_btf.unwrap_or(btf), &modules);
    for part in &ext.core_relo {
        let Some(section) = file.section_by_name(&part.section) else { continue };
        for relo in &part.records {
            let slot = (relo.insn_off / 8) as usize;
            // None: a weak function that another object overrode.
            let Some(index) = code::find(funcs, section.index, slot) else { continue };
            let Some(func) = funcs.get_mut(index) else { continue };
            let result = if relo.insn_off % 8 != 0 {
                Err(ElfError::new("CO-RE: relocation is not at an instruction"))
            } else if options.target_btf.is_none() && relo.kind != CoreReloKind::TypeIdLocal {
                Err(ElfError::new(
                    "CO-RE: the program depends on kernel types, but no target BTF was given",
                ))
            } else {
                apply_one(&mut relocator, relo, func, slot)
            };
            if let Err(e) = result {
                let e =
                    e.in_program(&func.name).in_section(&part.section).at(u64::from(relo.insn_off));
                if !optional(func) {
                    return Err(e);
                }
                func.core_error.get_or_insert(e);
            }
        }
    }
    Ok(())
}

fn apply_one(
    relocator: &mut Relocator<'_>,
    relo: &CoreRelo,
    func: &mut Func,
    slot: usize,
) -> Result<(), ElfError> {
    let text = |e: core::CoreError| ElfError::new(e.to_string());
    let result = relocator.resolve(relo).map_err(text)?;
    core::patch(&mut func.insns, slot - func.sec_slot, &result).map_err(text)
}
