//! ELF relocations read and given a meaning: which instruction refers to which map, variable, function or extern.
//!
//! Nothing is patched here; `append` and `patch` do that, for each entry program apart.

use std::collections::HashMap;

use skep_abi::uapi::BPF_MAP_TYPE_ARENA;

use crate::code::{self, Func, Reloc, Target};
use crate::error::ElfError;
use crate::externs::Extern;
use crate::file::{Bind, ElfFile, Rel, SHN_LORESERVE, Section, SymKind, Symbol};
use crate::maps::SitedMap;
use crate::model::{MapKind, SecDef, SecKind};

/// What a relocation may refer to.
pub(crate) struct Context<'a, 'd> {
    pub(crate) file: &'a ElfFile<'d>,
    pub(crate) secs: &'a [SecDef],
    pub(crate) maps: &'a [SitedMap],
    /// Section number of `.text`, if it has code.
    pub(crate) text: Option<usize>,
    /// Extern by number of its symbol.
    by_symbol: HashMap<u32, usize>,
    /// Map by section and offset of its definition; a map for a whole section has offset 0.
    by_place: HashMap<(usize, u64), usize>,
    arena: Option<usize>,
}

impl<'a, 'd> Context<'a, 'd> {
    pub(crate) fn new(
        file: &'a ElfFile<'d>,
        secs: &'a [SecDef],
        maps: &'a [SitedMap],
        externs: &'a [Extern],
        text: Option<usize>,
    ) -> Context<'a, 'd> {
        let mut by_place = HashMap::new();
        for (index, map) in maps.iter().enumerate() {
            if map.map.kind != MapKind::Kconfig {
                by_place.entry((map.site.section, map.site.offset)).or_insert(index);
            }
        }
        let by_symbol = externs.iter().enumerate().map(|(i, e)| (e.symbol, i)).collect();
        let arena = maps.iter().position(|m| m.map.map_type == BPF_MAP_TYPE_ARENA);
        Context { file, secs, maps, text, by_symbol, by_place, arena }
    }

    /// The map that is defined at a place.
    pub(crate) fn map_at(&self, section: u32, offset: u64) -> Option<usize> {
        self.by_place.get(&(section as usize, offset)).copied()
    }
}

impl Context<'_, '_> {
    pub(crate) fn kind_of(&self, section: u32) -> Option<SecKind> {
        let at = self.secs.binary_search_by_key(&(section as usize), |s| s.index).ok()?;
        self.secs.get(at).map(|s| s.kind)
    }

    /// A relocation's symbol, with its section checked.
    pub(crate) fn symbol(&self, rel: Rel) -> Result<&Symbol<'_>, ElfError> {
        let symbol = self.file.symbol(rel.symbol).ok_or_else(|| {
            ElfError::new(format!(
                "relocation against symbol {}, the file has {}",
                rel.symbol,
                self.file.symbols.len()
            ))
        })?;
        let sections = self.file.sections.len();
        if symbol.section as usize >= sections && symbol.section < SHN_LORESERVE {
            return Err(ElfError::new(format!(
                "symbol is in section {}, the file has {sections}",
                symbol.section
            ))
            .of_symbol(symbol.name));
        }
        Ok(symbol)
    }
}

/// Reads the relocations of one section of code into its functions; `funcs` is sorted.
pub(crate) fn collect(
    cx: &Context<'_, '_>,
    funcs: &mut [Func],
    rel_section: &Section<'_>,
) -> Result<(), ElfError> {
    let target = rel_section.info as usize;
    let Some(code) = cx.file.section(rel_section.info) else {
        return Err(ElfError::new(format!("relocates section {target}, which does not exist"))
            .in_section(rel_section.name));
    };
    for rel in cx.file.relocations(rel_section)? {
        collect_one(cx, funcs, code, rel).map_err(|e| e.in_section(code.name).at(rel.offset))?;
    }
    Ok(())
}

/// Sorts each function's relocations by slot; one slot has one.
pub(crate) fn sort(funcs: &mut [Func]) {
    for func in funcs {
        func.relocs.sort_by_key(|r| r.slot);
        func.relocs.dedup_by_key(|r| r.slot);
    }
}

fn collect_one(
    cx: &Context<'_, '_>,
    funcs: &mut [Func],
    code: &Section<'_>,
    rel: Rel,
) -> Result<(), ElfError> {
    let symbol = cx.symbol(rel)?;
    let slot = usize::try_from(rel.offset / 8).unwrap_or(usize::MAX);
    if !rel.offset.is_multiple_of(8) || rel.offset >= code.size {
        return Err(ElfError::new(
            "relocation is not at an instruction of the section (a multiple of 8 within it)",
        ));
    }
    // Code of a weak function that another object overrode belongs to no function any more.
    let Some(index) = code::find(funcs, code.index, slot) else { return Ok(()) };
    let Some(func) = funcs.get_mut(index) else { return Ok(()) };
    let slot = slot - func.sec_slot;
    let name = cx.file.symbol_name(symbol);
    let target = meaning(cx, func, slot, symbol, rel)
        .map_err(|e| e.of_symbol(name).in_program(&func.name))?;
    func.relocs.push(Reloc { slot, target });
    Ok(())
}

fn meaning(
    cx: &Context<'_, '_>,
    func: &Func,
    slot: usize,
    symbol: &Symbol<'_>,
    rel: Rel,
) -> Result<Target, ElfError> {
    let Some(insn) = func.insns.get(slot).copied() else {
        return Err(ElfError::new("relocation is beyond the function"));
    };
    let is_load = code::is_ld_imm64(insn);
    if !is_load && !code::is_call(insn) {
        return Err(ElfError::new(format!(
            "relocation at an instruction with opcode {:#04x}; calls (0x85) and 64-bit immediate loads (0x18) are relocated",
            insn.code
        )));
    }
    if is_load && slot + 1 >= func.insns.len() {
        return Err(ElfError::new("64-bit immediate load without its second half"));
    }
    if symbol.is_extern() {
        let index = cx.by_symbol.get(&rel.symbol).copied().ok_or_else(|| {
            ElfError::new("relocation against an extern that has no name or type")
        })?;
        return Ok(if is_load { Target::ExternLoad(index) } else { Target::ExternCall(index) });
    }
    let in_text = cx.text.is_some_and(|text| symbol.section as usize == text);
    if !is_load {
        return call(cx, insn, symbol, in_text);
    }
    if symbol.section == 0 || symbol.section >= SHN_LORESERVE {
        return Err(ElfError::new(format!(
            "symbol is in special section {:#x}: a global variable without an initial value, or an extern that is not declared?",
            symbol.section
        )));
    }
    let is_func = (symbol.bind == Bind::Local && symbol.kind == SymKind::Section)
        || (symbol.is_global() && symbol.kind == SymKind::Func);
    if in_text && is_func {
        if !symbol.value.is_multiple_of(8) || insn.imm % 8 != 0 {
            return Err(ElfError::new(format!(
                "address of a function at {:#x}{:+}, which is not a multiple of 8",
                symbol.value, insn.imm
            )));
        }
        return Ok(Target::FuncAddr(symbol.value));
    }
    data(cx, symbol)
}

fn call(
    cx: &Context<'_, '_>,
    insn: skep_abi::insn::RawInsn,
    symbol: &Symbol<'_>,
    in_text: bool,
) -> Result<Target, ElfError> {
    if insn.src != 1 {
        return Err(ElfError::new(format!(
            "call has source {}, a relocated call has BPF_PSEUDO_CALL (1)",
            insn.src
        )));
    }
    if !in_text {
        let section = cx.file.section(symbol.section).map_or("(none)", |s| s.name);
        return Err(ElfError::new(format!(
            "call of a function in section '{section}'; subprograms are in .text"
        )));
    }
    if !symbol.value.is_multiple_of(8) {
        return Err(ElfError::new(format!(
            "call of a function at {:#x}, which is not a multiple of 8",
            symbol.value
        )));
    }
    Ok(Target::Call(symbol.value))
}

fn data(cx: &Context<'_, '_>, symbol: &Symbol<'_>) -> Result<Target, ElfError> {
    let section_name = cx.file.section(symbol.section).map_or("", |s| s.name);
    match cx.kind_of(symbol.section) {
        Some(SecKind::Arena) => cx
            .arena
            .map(|map| Target::Data(map, symbol.value))
            .ok_or_else(|| ElfError::new("arena variable, but the object has no arena map")),
        Some(SecKind::Maps | SecKind::LegacyMaps) => {
            cx.map_at(symbol.section, symbol.value).map(Target::Map).ok_or_else(|| {
                ElfError::new(format!(
                    "no map is defined at offset {:#x} of section '{section_name}'",
                    symbol.value
                ))
            })
        }
        Some(SecKind::Data | SecKind::Rodata | SecKind::Bss) => {
            cx.map_at(symbol.section, 0).map(|map| Target::Data(map, symbol.value)).ok_or_else(
                || ElfError::new(format!("section '{section_name}' is empty, so it has no map")),
            )
        }
        _ => Err(ElfError::new(format!(
            "relocation against section '{section_name}', which holds neither maps nor data"
        ))),
    }
}
