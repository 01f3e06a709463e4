//! Relocations of map definitions: elements that a map starts with (`values` initialisers) and the function pointers of
//! struct_ops variables.

use skep_abi::uapi::{
    BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_PROG_ARRAY, BPF_PROG_TYPE_STRUCT_OPS,
};
use skep_btf::{Btf, Composite, TypeId, TypeView};

use crate::btf_maps::is_map_of_maps;
use crate::code::{self, Func};
use crate::error::ElfError;
use crate::file::{Rel, SHN_LORESERVE, Section};
use crate::maps::MAPS;
use crate::model::{MapInit, MapSlot, ProgramDef, StructOpsMember};
use crate::relocs::Context;

/// Entry programs, to be found by place.
pub(crate) struct Entries<'a> {
    pub(crate) funcs: &'a [Func],
    /// Index of the function of each program.
    pub(crate) programs: &'a [usize],
    pub(crate) defs: &'a [ProgramDef],
}

impl Entries<'_> {
    /// The program that begins at, or holds, a byte of a section.
    fn at(&self, section: u32, offset: u64) -> Option<(usize, &ProgramDef, &Func)> {
        let slot = usize::try_from(offset / 8).ok()?;
        let func = code::find(self.funcs, section as usize, slot)?;
        let index = self.programs.binary_search(&func).ok()?;
        Some((index, self.defs.get(index)?, self.funcs.get(func)?))
    }
}

/// Elements to put in at a place of a map, found with the maps borrowed.
struct Found {
    map: usize,
    key: u32,
    slot: MapSlot,
}

/// Reads the relocations of `.maps`: the `values` of maps of maps and program arrays.
pub(crate) fn map_values(
    cx: &Context<'_, '_>,
    btf: Option<&Btf>,
    entries: &Entries<'_>,
    rel_section: &Section<'_>,
) -> Result<Vec<(usize, MapInit)>, ElfError> {
    let btf = btf.ok_or_else(|| ElfError::new("maps without BTF").in_section(MAPS))?;
    let mut found = Vec::new();
    for rel in cx.file.relocations(rel_section)? {
        found
            .push(map_value(cx, btf, entries, rel).map_err(|e| e.in_section(MAPS).at(rel.offset))?);
    }
    // By map and key; where one is given twice, the later relocation counts.
    found.sort_by_key(|f| (f.map, f.key));
    let mut out: Vec<(usize, MapInit)> = Vec::new();
    for Found { map, key, slot } in found {
        match out.last_mut() {
            Some((last, MapInit::Slots(slots))) if *last == map => match slots.last_mut() {
                Some((k, s)) if *k == key => *s = slot,
                _ => slots.push((key, slot)),
            },
            _ => out.push((map, MapInit::Slots(vec![(key, slot)]))),
        }
    }
    Ok(out)
}

fn map_value(
    cx: &Context<'_, '_>,
    btf: &Btf,
    entries: &Entries<'_>,
    rel: Rel,
) -> Result<Found, ElfError> {
    let symbol = cx.symbol(rel)?;
    let name = cx.file.symbol_name(symbol);
    let (map, sited) = cx
        .maps
        .iter()
        .enumerate()
        .find(|(_, m)| {
            cx.kind_of(m.site.section as u32) == Some(crate::model::SecKind::Maps)
                && m.site.offset <= rel.offset
                && rel.offset.saturating_add(8) <= m.site.offset.saturating_add(m.site.size)
        })
        .ok_or_else(|| ElfError::new("relocation is in no map's definition").of_symbol(name))?;
    let fail = |m: String| ElfError::new(m).of_symbol(&sited.map.symbol);
    let slot = if is_map_of_maps(sited.map.map_type) {
        if sited.map.map_type == BPF_MAP_TYPE_HASH_OF_MAPS && sited.map.key_size != 4 {
            return Err(fail(format!(
                "key of {} bytes; a hash of maps with initial elements has 4",
                sited.map.key_size
            )));
        }
        let inner = cx
            .map_at(symbol.section, symbol.value)
            .filter(|&i| cx.maps.get(i).is_some_and(|m| m.map.symbol == name))
            .ok_or_else(|| fail(format!("element '{name}' is not a map of section .maps")))?;
        MapSlot::Map(inner)
    } else if sited.map.map_type == BPF_MAP_TYPE_PROG_ARRAY {
        let program = entries
            .at(symbol.section, symbol.value)
            .filter(|(_, def, func)| def.name == name && func.sec_slot as u64 * 8 == symbol.value)
            .ok_or_else(|| fail(format!("element '{name}' is not an entry program")))?;
        MapSlot::Program(program.0)
    } else {
        return Err(fail(format!(
            "maps of type {} have no initial elements; maps of maps and program arrays do",
            sited.map.map_type
        )));
    };
    let offset = values_offset(btf, sited.site.ty)
        .ok_or_else(|| fail("has no attribute 'values' for its initial elements".to_owned()))?;
    let key = (rel.offset - sited.site.offset)
        .checked_sub(offset)
        .filter(|o| o.is_multiple_of(8))
        .and_then(|o| u32::try_from(o / 8).ok())
        .ok_or_else(|| fail("relocation is not at an element of 'values'".to_owned()))?;
    Ok(Found { map, key, slot })
}

/// Offset in bytes of the attribute `values`, which is the last.
fn values_offset(btf: &Btf, ty: TypeId) -> Option<u64> {
    let TypeView::Struct(def) = btf.skip_typedefs_and_modifiers(ty)?.view() else { return None };
    let last = def.members.get(def.members.len().checked_sub(1)?)?;
    (last.name == "values").then_some(u64::from(last.bit_offset) / 8)
}

/// Reads the relocations of a struct_ops section: which member of which map is which program.
pub(crate) fn struct_ops(
    cx: &Context<'_, '_>,
    btf: Option<&Btf>,
    entries: &Entries<'_>,
    rel_section: &Section<'_>,
) -> Result<Vec<(usize, StructOpsMember)>, ElfError> {
    let home = cx.file.section(rel_section.info).map_or("", |s| s.name);
    let btf = btf.ok_or_else(|| ElfError::new("struct_ops without BTF").in_section(home))?;
    cx.file
        .relocations(rel_section)?
        .into_iter()
        .map(|rel| {
            member(cx, btf, entries, rel_section.info as usize, rel)
                .map_err(|e| e.in_section(home).at(rel.offset))
        })
        .collect()
}

fn member(
    cx: &Context<'_, '_>,
    btf: &Btf,
    entries: &Entries<'_>,
    section: usize,
    rel: Rel,
) -> Result<(usize, StructOpsMember), ElfError> {
    let symbol = cx.symbol(rel)?;
    let (map, sited) = cx
        .maps
        .iter()
        .enumerate()
        .find(|(_, m)| {
            m.map.struct_ops.is_some()
                && m.site.section == section
                && m.site.offset <= rel.offset
                && rel.offset - m.site.offset < m.site.size
        })
        .ok_or_else(|| ElfError::new("relocation is in no struct_ops variable"))?;
    let fail = |m: String| ElfError::new(m).of_symbol(&sited.map.symbol);
    if symbol.section >= SHN_LORESERVE || !symbol.value.is_multiple_of(8) {
        return Err(fail("a function pointer's value must be a function of this file".to_owned()));
    }
    let Some(TypeView::Struct(def)) = btf.type_by_id(sited.site.ty).map(|t| t.view()) else {
        return Err(fail("is no struct".to_owned()));
    };
    let bits = (rel.offset - sited.site.offset) * 8;
    let (index, name) = member_at(btf, def, bits)
        .ok_or_else(|| fail("relocation is at no member that is a function pointer".to_owned()))?;
    let (program, prog, _) = entries
        .at(symbol.section, symbol.value)
        .ok_or_else(|| fail(format!("member '{name}' is set to something that is no program")))?;
    if prog.prog_type != BPF_PROG_TYPE_STRUCT_OPS {
        return Err(fail(format!(
            "member '{name}' is set to program '{}' of section '{}', it must be in SEC(\"struct_ops\")",
            prog.name, prog.section
        )));
    }
    Ok((map, StructOpsMember { name: name.to_owned(), index, program }))
}

fn member_at<'a>(btf: &Btf, def: Composite<'a>, bits: u64) -> Option<(u32, &'a str)> {
    let (index, member) =
        (0u32..).zip(def.members.iter()).find(|(_, m)| u64::from(m.bit_offset) == bits)?;
    let TypeView::Ptr(target) = btf.skip_typedefs_and_modifiers(member.ty)?.view() else {
        return None;
    };
    match btf.skip_typedefs_and_modifiers(target)?.view() {
        TypeView::FuncProto(_) => Some((index, member.name)),
        _ => None,
    }
}
