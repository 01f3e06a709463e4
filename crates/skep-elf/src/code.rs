//! Functions as the file has them: entry programs and, in `.text`, subprograms, before anything is relocated.

use std::collections::HashMap;

use skep_abi::insn::RawInsn;

use crate::error::ElfError;
use crate::file::{Bind, ElfFile, Section, SymKind, Symbol};
use crate::model::Endian;

/// Most instructions that one function may have (the verifier's limit on a whole program, twice).
const MAX_FUNC_INSNS: usize = 1 << 21;
/// Most instructions that all functions may have.
const MAX_TOTAL: usize = 1 << 23;

/// One function with its own instructions.
#[derive(Clone, Debug)]
pub(crate) struct Func {
    pub(crate) name: String,
    /// Section number.
    pub(crate) section: usize,
    /// First slot in the section.
    pub(crate) sec_slot: usize,
    pub(crate) insns: Vec<RawInsn>,
    /// Not `static`.
    pub(crate) global: bool,
    /// Hidden or internal visibility: verified as if it were static.
    pub(crate) hidden: bool,
    /// Relocations by ascending slot of the function.
    pub(crate) relocs: Vec<Reloc>,
    /// Why its CO-RE relocations could not be applied.
    pub(crate) core_error: Option<ElfError>,
}

impl Func {
    /// Whether a slot of the section belongs to it.
    pub(crate) fn contains(&self, slot: usize) -> bool {
        slot >= self.sec_slot && slot - self.sec_slot < self.insns.len()
    }
}

/// One relocation of a function's instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reloc {
    /// Slot in the function.
    pub(crate) slot: usize,
    pub(crate) target: Target,
}

/// What a relocated instruction refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Call of a subprogram; byte offset of the symbol in `.text`.
    Call(u64),
    /// Address of a subprogram; byte offset of the symbol in `.text`.
    FuncAddr(u64),
    /// A map, by index.
    Map(usize),
    /// A place in a map's value: index and byte offset of the symbol.
    Data(usize, u64),
    /// Value or address of an extern, by index.
    ExternLoad(usize),
    /// Call of an extern function, by index.
    ExternCall(usize),
}

/// Whether it is a 64-bit immediate load (two slots).
pub(crate) const fn is_ld_imm64(insn: RawInsn) -> bool {
    insn.code == 0x18
}

/// Whether it is a call of any kind.
pub(crate) const fn is_call(insn: RawInsn) -> bool {
    insn.code == 0x85
}

/// Whether it is a call of a subprogram, as the compiler writes it.
pub(crate) const fn is_local_call(insn: RawInsn) -> bool {
    is_call(insn) && insn.src == 1 && insn.dst == 0 && insn.off == 0
}

/// The symbols of functions by section, in the order of the symbol table.
pub(crate) fn symbols<'f, 'd>(file: &'f ElfFile<'d>) -> HashMap<usize, Vec<&'f Symbol<'d>>> {
    let mut out: HashMap<usize, Vec<_>> = HashMap::new();
    for symbol in file.symbols.iter().filter(|s| s.kind == SymKind::Func) {
        out.entry(symbol.section as usize).or_default().push(symbol);
    }
    out
}

/// Makes functions of the symbols of one section of code.
pub(crate) fn functions(
    endian: Endian,
    section: &Section<'_>,
    symbols: &[&Symbol<'_>],
    is_text: Text,
    total: &mut usize,
    out: &mut Vec<Func>,
) -> Result<(), ElfError> {
    for symbol in symbols {
        let fail = |m: String| {
            ElfError::new(m).in_section(section.name).of_symbol(symbol.name).at(symbol.value)
        };
        let bytes = range(section.data, symbol.value, symbol.size).ok_or_else(|| {
            fail(format!(
                "the function's {} bytes cross the end of the section ({} bytes)",
                symbol.size,
                section.data.len()
            ))
        })?;
        if is_text == Text::No && symbol.bind == Bind::Local {
            return Err(fail(
                "static functions are supported in .text only; an entry program must be global"
                    .to_owned(),
            ));
        }
        let (slots, rest) = bytes.as_chunks::<{ RawInsn::SIZE }>();
        if slots.is_empty() || !rest.is_empty() || !symbol.value.is_multiple_of(8) {
            return Err(fail(format!(
                "corrupted program of {} bytes; it is a whole number of 8-byte slots, at least one",
                symbol.size
            )));
        }
        if slots.len() > MAX_FUNC_INSNS {
            return Err(fail(format!(
                "{} instructions, a function may have {MAX_FUNC_INSNS}",
                slots.len()
            )));
        }
        // Symbols may overlap: without a limit, a small file could ask for any amount of memory.
        *total = total.saturating_add(slots.len());
        if *total > MAX_TOTAL {
            return Err(fail(format!(
                "the object's functions have more than {MAX_TOTAL} instructions"
            )));
        }
        out.push(Func {
            name: symbol.name.to_owned(),
            section: section.index,
            sec_slot: usize::try_from(symbol.value / 8).unwrap_or(usize::MAX),
            insns: slots.iter().map(|s| decode(*s, endian)).collect(),
            global: symbol.bind != Bind::Local,
            hidden: symbol.bind != Bind::Local && symbol.hidden,
            relocs: Vec::new(),
            core_error: None,
        });
    }
    Ok(())
}

/// Whether a section of code is `.text`, which holds subprograms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Text {
    Yes,
    No,
}

fn decode(slot: [u8; RawInsn::SIZE], endian: Endian) -> RawInsn {
    match endian {
        Endian::Little => RawInsn::from_le_bytes(slot),
        Endian::Big => RawInsn::from_be_bytes(slot),
    }
}

/// `len` bytes from `start`, if they are there.
pub(crate) fn range(data: &[u8], start: u64, len: u64) -> Option<&[u8]> {
    let end = usize::try_from(start.checked_add(len)?).ok()?;
    data.get(usize::try_from(start).ok()?..end)
}

/// Finds the function that holds a slot of a section; `funcs` is sorted.
pub(crate) fn find(funcs: &[Func], section: usize, slot: usize) -> Option<usize> {
    let after = funcs.partition_point(|f| (f.section, f.sec_slot) <= (section, slot));
    let index = after.checked_sub(1)?;
    let func = funcs.get(index)?;
    (func.section == section && func.contains(slot)).then_some(index)
}
