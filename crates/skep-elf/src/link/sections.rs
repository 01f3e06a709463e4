//! Sections of one name joined: data one after the other, relocations moved along.

use std::collections::HashMap;

use super::Unit;
use super::symbols::Symbols;
use crate::code;
use crate::error::ElfError;
use crate::file::{ElfFile, MAX_NOBITS, Section, SymKind};
use crate::model::Endian;

/// Most bytes of joined data. Sections of a file may overlap, so the file's size is no limit.
const MAX_BYTES: usize = 1 << 28;
/// Largest alignment of a section: it is paid for in padding.
const MAX_ALIGN: u64 = 1 << 16;

/// Where a unit's section went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// Number of the joined section.
    pub(super) to: usize,
    /// Offset of the unit's part in it.
    pub(super) offset: u64,
}

/// A joined section.
#[derive(Debug)]
pub(super) struct Part<'d> {
    pub(super) name: &'d str,
    kind: u32,
    flags: u64,
    info: u32,
    align: u64,
    entsize: u64,
    size: u64,
    data: Vec<u8>,
}

/// All joined sections.
#[derive(Debug)]
pub(super) struct Joined<'d> {
    /// By number from 1.
    parts: Vec<Part<'d>>,
    by_name: HashMap<&'d str, usize>,
    /// By unit and section number; `None` for sections that are left out.
    moved: Vec<Vec<Option<Moved>>>,
    bytes: usize,
}

impl<'d> Joined<'d> {
    /// Where a unit's section went.
    pub(super) fn place(&self, unit: usize, section: usize) -> Option<Moved> {
        self.moved.get(unit)?.get(section).copied().flatten()
    }

    /// The number and size of the joined section of a name.
    pub(super) fn by_name(&self, name: &str) -> Option<(usize, u64)> {
        let number = *self.by_name.get(name)?;
        Some((number, self.parts.get(number.checked_sub(1)?)?.size))
    }

    /// Adds a part to the section of its name.
    fn add(&mut self, section: &Section<'d>) -> Result<Moved, ElfError> {
        let number = *self.by_name.entry(section.name).or_insert_with(|| {
            self.parts.push(Part {
                name: section.name,
                kind: section.kind,
                flags: section.flags,
                info: 0,
                align: 1,
                entsize: section.entsize,
                size: 0,
                data: Vec::new(),
            });
            self.parts.len()
        });
        let part =
            self.parts.get_mut(number - 1).ok_or_else(|| ElfError::new("no such section"))?;
        let same =
            (part.kind, part.flags, part.entsize) == (section.kind, section.flags, section.entsize);
        if !same {
            return Err(ElfError::new(format!(
                "type {}, flags {:#x} and entry size {} do not fit those of the other objects' section: {}, {:#x} and {}",
                section.kind, section.flags, section.entsize, part.kind, part.flags, part.entsize
            )));
        }
        let align = section.align.max(1);
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(ElfError::new(format!(
                "alignment {align:#x}; it is a power of two, at most {MAX_ALIGN:#x}"
            )));
        }
        part.align = part.align.max(align);
        let placed = part
            .size
            .checked_next_multiple_of(part.align)
            .and_then(|offset| Some((offset, offset.checked_add(section.size)?)))
            .filter(|(_, end)| *end <= MAX_NOBITS);
        let Some((offset, end)) = placed else {
            return Err(ElfError::new(format!(
                "joined section would have more than {MAX_NOBITS:#x} bytes"
            )));
        };
        part.size = end;
        if !section.is_nobits() {
            let padded = usize::try_from(offset).unwrap_or(usize::MAX);
            self.bytes = self
                .bytes
                .saturating_add(padded.saturating_sub(part.data.len()))
                .saturating_add(section.data.len());
            if self.bytes > MAX_BYTES {
                return Err(ElfError::new(format!("joined data has more than {MAX_BYTES} bytes")));
            }
            part.data.resize(padded, 0);
            part.data.extend_from_slice(section.data);
        }
        Ok(Moved { to: number, offset })
    }

    /// The joined sections as a file.
    pub(super) fn file<'a>(
        &'a self,
        units: &'a [Unit<'_>],
        symbols: &'a Symbols<'_>,
    ) -> ElfFile<'a> {
        let null = Section {
            index: 0,
            name: "",
            kind: 0,
            flags: 0,
            info: 0,
            align: 0,
            entsize: 0,
            size: 0,
            data: &[],
        };
        let parts = self.parts.iter().zip(1..).map(|(part, index)| Section {
            index,
            name: part.name,
            kind: part.kind,
            flags: part.flags,
            info: part.info,
            align: part.align,
            entsize: part.entsize,
            size: part.size,
            data: &part.data,
        });
        let sections: Vec<_> = core::iter::once(null).chain(parts).collect();
        let endian = units.first().map_or(Endian::Little, |u| u.file.endian);
        // The symbol table has no section of its own here; the number after the last stands for it.
        let symtab = sections.len();
        ElfFile::new(endian, sections, symbols.list.clone(), symtab)
    }
}

/// Sections that BTF replaces, debuggers want or that hold nothing.
fn is_left_out(section: &Section<'_>) -> bool {
    matches!(section.name, ".BTF" | ".BTF.ext")
        || section.name.starts_with(".debug_")
        || (section.name == ".text" && section.size == 0)
}

/// Joins everything but relocations.
pub(super) fn join<'d>(units: &[Unit<'d>]) -> Result<Joined<'d>, ElfError> {
    let mut joined =
        Joined { parts: Vec::new(), by_name: HashMap::new(), moved: Vec::new(), bytes: 0 };
    let endian = units.first().map(|u| u.file.endian);
    for unit in units {
        if Some(unit.file.endian) != endian {
            return Err(
                ElfError::new("byte order is not that of the first object").in_object(unit.name)
            );
        }
        let mut moved = Vec::with_capacity(unit.file.sections.len());
        for section in &unit.file.sections {
            let data = section.is_progbits() || section.is_nobits();
            let place = if section.index == 0 || !data || is_left_out(section) {
                None
            } else if is_single(section.name) && joined.by_name.contains_key(section.name) {
                same_contents(&joined, section).map_err(|e| e.in_object(unit.name))?;
                None
            } else {
                let added = joined.add(section);
                Some(added.map_err(|e| e.in_section(section.name).in_object(unit.name))?)
            };
            moved.push(place);
        }
        joined.moved.push(moved);
    }
    Ok(joined)
}

/// Sections of which an object has one, whatever it is made of.
pub(super) fn is_single(name: &str) -> bool {
    matches!(name, "license" | "version")
}

fn same_contents(joined: &Joined<'_>, section: &Section<'_>) -> Result<(), ElfError> {
    let first = joined.parts.iter().find(|p| p.name == section.name);
    if first.is_some_and(|p| p.data != section.data) {
        return Err(
            ElfError::new("contents differ from the first object's").in_section(section.name)
        );
    }
    Ok(())
}

/// Joins the relocations, with places and symbols moved. An instruction that refers to a section by an offset gets the
/// new one.
pub(super) fn move_relocations<'d>(
    units: &[Unit<'d>],
    symbols: &Symbols<'_>,
    joined: &mut Joined<'d>,
) -> Result<(), ElfError> {
    for (number, unit) in units.iter().enumerate() {
        for section in unit.file.sections.iter().filter(|s| s.is_rel()) {
            let Some(target) = joined.place(number, section.info as usize) else { continue };
            move_section(joined, symbols, number, unit, section, target)
                .map_err(|e| e.in_section(section.name).in_object(unit.name))?;
        }
    }
    Ok(())
}

fn move_section<'d>(
    joined: &mut Joined<'d>,
    symbols: &Symbols<'_>,
    number: usize,
    unit: &Unit<'d>,
    section: &Section<'d>,
    target: Moved,
) -> Result<(), ElfError> {
    let endian = unit.file.endian;
    let rels = unit.file.relocations(section)?;
    let is_code = unit.file.section(section.info).is_some_and(Section::is_code);
    let mut bytes = Vec::with_capacity(rels.len() * 16);
    for rel in rels {
        let symbol = unit.file.symbol(rel.symbol).ok_or_else(|| {
            ElfError::new(format!("relocation against symbol {}, which does not exist", rel.symbol))
                .at(rel.offset)
        })?;
        let to = symbols.moved(number, rel.symbol).ok_or_else(|| {
            ElfError::new("relocation against a symbol of a section that is left out")
                .of_symbol(symbol.name)
                .at(rel.offset)
        })?;
        let offset = rel
            .offset
            .checked_add(target.offset)
            .ok_or_else(|| ElfError::new("relocation is beyond the section").at(rel.offset))?;
        if symbol.kind == SymKind::Section {
            let by = joined.place(number, symbol.section as usize).map_or(0, |m| m.offset);
            if !is_code {
                return Err(ElfError::new(
                    "relocation of data against a section; only symbols are supported there",
                )
                .at(rel.offset));
            }
            adjust(joined, target.to, offset, by, endian).map_err(|e| e.at(rel.offset))?;
        }
        let info = u64::from(to) << 32 | u64::from(rel.kind);
        for word in [offset, info] {
            bytes.extend(match endian {
                Endian::Little => word.to_le_bytes(),
                Endian::Big => word.to_be_bytes(),
            });
        }
    }
    let merged = Section { data: &[], size: 0, ..section.clone() };
    let place = joined.add(&merged)?;
    if let Some(part) = joined.parts.get_mut(place.to - 1) {
        part.info = u32::try_from(target.to).unwrap_or(u32::MAX);
        part.data.extend_from_slice(&bytes);
        part.size = part.data.len() as u64;
    }
    Ok(())
}

/// Adds to the immediate of an instruction: slots for a call, bytes for a load.
fn adjust(
    joined: &mut Joined<'_>,
    section: usize,
    offset: u64,
    by: u64,
    endian: Endian,
) -> Result<(), ElfError> {
    let bad = || ElfError::new("relocation is at no instruction");
    let part = joined.parts.get_mut(section.wrapping_sub(1)).ok_or_else(bad)?;
    if code::range(&part.data, offset, 8).is_none() {
        return Err(bad());
    }
    let start = usize::try_from(offset).map_err(|_| bad())?;
    let Some([code, _, _, _, imm @ ..]) = part.data.get_mut(start..start + 8) else {
        return Err(bad());
    };
    let slot: &mut [u8; 4] = imm.try_into().map_err(|_| bad())?;
    let by = if *code == 0x85 { by / 8 } else { by };
    let old = match endian {
        Endian::Little => i32::from_le_bytes(*slot),
        Endian::Big => i32::from_be_bytes(*slot),
    };
    let new = i32::try_from(by)
        .ok()
        .and_then(|by| old.checked_add(by))
        .ok_or_else(|| ElfError::new("offset in the joined section does not fit 32 bits"))?;
    *slot = match endian {
        Endian::Little => new.to_le_bytes(),
        Endian::Big => new.to_be_bytes(),
    };
    Ok(())
}
