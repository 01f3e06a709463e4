//! BTF and `.BTF.ext` of all objects joined.

use std::collections::{HashMap, HashSet};

use skep_btf::build::{BtfBuilder, IdMap};
use skep_btf::ext::{BtfExt, CoreRelo, FuncInfo, LineInfo, SecRecords};
use skep_btf::{Btf, BtfError, Kind, SecVar, TypeId};

use super::Unit;
use super::sections::{Joined, is_single};
use super::symbols::{Symbols, TypeRef, is_kept};
use crate::error::ElfError;

/// Section that clang puts externs without a section of their own into.
const EXTERN: &str = ".extern";

/// Ids of all units' types in the joined BTF.
struct Ids {
    units: Vec<IdMap>,
    /// Types of a unit that another's stands for.
    replaced: HashMap<(usize, TypeId), TypeRef>,
    /// What became of an id when equal types were merged; `None` before that.
    merged: Option<IdMap>,
}

impl Ids {
    fn get(&self, unit: usize, id: TypeId) -> Option<TypeId> {
        let at = self.replaced.get(&(unit, id)).copied().unwrap_or(TypeRef { unit, id });
        let id = self.units.get(at.unit)?.get(at.id)?;
        match &self.merged {
            Some(merged) => merged.get(id),
            None => Some(id),
        }
    }
}

/// Joins the types; `None` if no object has any.
pub(super) fn join(
    units: &[Unit<'_>],
    symbols: &Symbols<'_>,
    joined: &Joined<'_>,
) -> Result<Option<(Btf, BtfExt)>, ElfError> {
    if units.iter().all(|u| u.btf.is_none()) {
        return Ok(None);
    }
    let mut builder = BtfBuilder::new();
    let mut ids = Ids { units: Vec::new(), replaced: HashMap::new(), merged: None };
    for (number, unit) in units.iter().enumerate() {
        let empty = Btf::parse(EMPTY);
        let btf = match (&unit.btf, &empty) {
            (Some(btf), _) => btf,
            (None, Ok(empty)) => empty,
            (None, Err(e)) => return Err(ElfError::new(e.to_string())),
        };
        let shared = shared_names(unit, btf, symbols);
        for (&id, name) in &shared {
            if let Some(winner) = name.and_then(|name| symbols.winner(name)) {
                ids.replaced.insert((number, id), winner);
            }
        }
        let keep = |id: TypeId, kind: Kind| -> bool {
            if kind == Kind::DeclTag {
                // Tags go with what they are on.
                let on = btf.type_by_id(id).and_then(|t| t.referenced());
                return on.is_none_or(|on| {
                    let Some(target) = btf.type_by_id(on) else { return true };
                    shared.get(&on).is_none_or(|name| {
                        name.is_some() && is_kept(symbols, number, on, target.kind(), *name)
                    })
                });
            }
            match shared.get(&id) {
                Some(None) => false,
                Some(name) => is_kept(symbols, number, id, kind, *name),
                None => is_kept(symbols, number, id, kind, None),
            }
        };
        let map = builder
            .append_filtered(btf, keep)
            .map_err(|e| ElfError::new(e.to_string()).in_section(".BTF").in_object(unit.name))?;
        ids.units.push(map);
    }
    data_sections(units, joined, &ids, &mut builder)?;
    let failed = |e: BtfError| ElfError::new(e.to_string()).in_section(".BTF");
    let (mut builder, merged) = builder.dedup().map_err(failed)?;
    ids.merged = Some(merged);
    let ext = records(units, joined, &ids, &mut builder)?;
    let btf = builder.build().map_err(failed)?;
    Ok(Some((btf, ext)))
}

/// BTF without types: what an object that was compiled without `-g` has.
const EMPTY: &[u8] = &{
    let mut bytes = [0; 25];
    let magic = 0xeb9fu16.to_ne_bytes();
    bytes[0] = magic[0];
    bytes[1] = magic[1];
    bytes[2] = 1;
    let header = 24u32.to_ne_bytes();
    let strings = 1u32.to_ne_bytes();
    let mut i = 0;
    while i < 4 {
        bytes[4 + i] = header[i];
        bytes[20 + i] = strings[i];
        i += 1;
    }
    bytes
};

/// Variables and functions of a unit that the symbols know by name. `None` for those of sections that another unit's
/// copy stands for (the licence): they go.
fn shared_names<'a>(
    unit: &Unit<'_>,
    btf: &'a Btf,
    symbols: &Symbols<'_>,
) -> HashMap<TypeId, Option<&'a str>> {
    let mut out = HashMap::new();
    for ty in btf.own_types() {
        let is_static = match ty.view() {
            skep_btf::TypeView::Var { linkage, .. } => linkage == skep_btf::VarLinkage::Static,
            skep_btf::TypeView::Func { linkage, .. } => linkage == skep_btf::FuncLinkage::Static,
            _ => continue,
        };
        if !is_static && symbols.winner(ty.name()).is_some() {
            out.insert(ty.id(), Some(ty.name()));
        }
    }
    for section in unit.data.iter().filter(|d| is_single(&d.name)) {
        for var in &section.vars {
            out.insert(var.id, None);
        }
    }
    out
}

fn data_sections(
    units: &[Unit<'_>],
    joined: &Joined<'_>,
    ids: &Ids,
    builder: &mut BtfBuilder,
) -> Result<(), ElfError> {
    let mut order: Vec<&str> = Vec::new();
    let mut vars: HashMap<&str, Vec<SecVar>> = HashMap::new();
    let mut listed: HashSet<(&str, TypeId)> = HashSet::new();
    for (number, unit) in units.iter().enumerate() {
        for section in &unit.data {
            if section.name == EXTERN || is_single(&section.name) {
                continue;
            }
            let list = vars.entry(&section.name).or_insert_with(|| {
                order.push(&section.name);
                Vec::new()
            });
            let home = unit.file.section_by_name(&section.name);
            let offset = home.and_then(|s| joined.place(number, s.index)).map_or(0, |m| m.offset);
            for var in &section.vars {
                // A variable that lost to another's is listed where the other is defined.
                let winner = ids.replaced.get(&(number, var.id));
                let is_own = winner.is_none_or(|w| w.unit == number && w.id == var.id);
                if !is_own && (!section.is_extern() || winner.is_none()) {
                    continue;
                }
                let Some(ty) = ids.get(number, var.id) else { continue };
                if !listed.insert((section.name.as_str(), ty)) {
                    continue;
                }
                let offset = u64::from(var.offset).saturating_add(offset);
                let offset = u32::try_from(offset).map_err(|_| {
                    ElfError::new("offset in the joined section does not fit 32 bits")
                        .in_section(&section.name)
                        .of_symbol(&var.name)
                        .in_object(unit.name)
                })?;
                list.push(SecVar { ty, offset, size: var.size });
            }
        }
    }
    for name in order {
        let mut list = vars.remove(name).unwrap_or_default();
        list.sort_by_key(|v| v.offset);
        let size = joined.by_name(name).map_or(0, |(_, size)| size);
        let size = u32::try_from(size)
            .map_err(|_| ElfError::new("joined section has more than 4 GiB").in_section(name))?;
        builder.add_datasec(name, size, &list);
    }
    Ok(())
}

fn records(
    units: &[Unit<'_>],
    joined: &Joined<'_>,
    ids: &Ids,
    builder: &mut BtfBuilder,
) -> Result<BtfExt, ElfError> {
    let mut out = BtfExt::default();
    for (number, unit) in units.iter().enumerate() {
        let (Some(btf), Some(ext)) = (&unit.btf, &unit.ext) else { continue };
        let id = |id: TypeId| ids.get(number, id).unwrap_or_default();
        move_records(unit, number, joined, &ext.func_info, &mut out.func_info, |r, by| {
            Some(FuncInfo { insn_off: r.insn_off.checked_add(by)?, type_id: id(r.type_id) })
        })?;
        let mut text = |off: u32| builder.add_str(btf.str_at(off).unwrap_or(""));
        move_records(unit, number, joined, &ext.line_info, &mut out.line_info, |r, by| {
            Some(LineInfo {
                insn_off: r.insn_off.checked_add(by)?,
                file_name_off: text(r.file_name_off),
                line_off: text(r.line_off),
                line_col: r.line_col,
            })
        })?;
        move_records(unit, number, joined, &ext.core_relo, &mut out.core_relo, |r, by| {
            Some(CoreRelo {
                insn_off: r.insn_off.checked_add(by)?,
                type_id: id(r.type_id),
                access_str_off: text(r.access_str_off),
                kind: r.kind,
            })
        })?;
    }
    Ok(out)
}

fn move_records<R: Copy>(
    unit: &Unit<'_>,
    number: usize,
    joined: &Joined<'_>,
    from: &[SecRecords<R>],
    to: &mut Vec<SecRecords<R>>,
    mut change: impl FnMut(R, u32) -> Option<R>,
) -> Result<(), ElfError> {
    for part in from {
        let fail = |m: &str| {
            ElfError::new(format!(".BTF.ext: {m}")).in_section(&part.section).in_object(unit.name)
        };
        let section = unit
            .file
            .section_by_name(&part.section)
            .ok_or_else(|| fail("records for a section that does not exist"))?;
        let Some(moved) = joined.place(number, section.index) else { continue };
        let by = u32::try_from(moved.offset).map_err(|_| fail("offset does not fit 32 bits"))?;
        let at = match to.iter().position(|p| p.section == part.section) {
            Some(at) => at,
            None => {
                to.push(SecRecords { section: part.section.clone(), records: Vec::new() });
                to.len() - 1
            }
        };
        let Some(target) = to.get_mut(at) else { continue };
        for record in &part.records {
            let changed = change(*record, by);
            target.records.push(changed.ok_or_else(|| fail("offset does not fit 32 bits"))?);
        }
    }
    Ok(())
}
