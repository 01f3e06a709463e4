//! Data sections as BTF and the symbol table together describe them.
//!
//! clang leaves sizes and offsets in a `DATASEC` at zero, since it does not know them; the symbol table does. A
//! static linker has filled them in already.

use std::collections::HashMap;

use skep_btf::{Btf, TypeId, TypeView, VarLinkage};

use crate::error::ElfError;
use crate::file::{ElfFile, SymKind, Symbol};

/// Name of the section of kernel configuration externs.
pub(crate) const KCONFIG: &str = ".kconfig";
/// Name of the section of kernel symbol externs.
pub(crate) const KSYMS: &str = ".ksyms";

/// A variable (in `.ksyms` also a function) of a data section.
#[derive(Clone, Debug)]
pub(crate) struct Var {
    /// Its `VAR` (or `FUNC`).
    pub(crate) id: TypeId,
    pub(crate) name: String,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    /// Type of its value.
    pub(crate) ty: TypeId,
    pub(crate) linkage: VarLinkage,
}

/// A `DATASEC`, filled in.
#[derive(Clone, Debug)]
pub(crate) struct DataSection {
    pub(crate) id: TypeId,
    pub(crate) name: String,
    pub(crate) size: u32,
    /// By ascending offset.
    pub(crate) vars: Vec<Var>,
}

impl DataSection {
    /// Externs: they have no bytes in the file.
    pub(crate) fn is_extern(&self) -> bool {
        self.name == KCONFIG || self.name == KSYMS
    }
}

/// All data sections of the object.
pub(crate) fn data_sections(file: &ElfFile<'_>, btf: &Btf) -> Result<Vec<DataSection>, ElfError> {
    let mut symbols: HashMap<&str, &Symbol<'_>> = HashMap::new();
    for symbol in &file.symbols {
        if symbol.kind == SymKind::Object && symbol.is_global() {
            symbols.entry(symbol.name).or_insert(symbol);
        }
    }
    let mut out = Vec::new();
    for ty in btf.types() {
        if let TypeView::Datasec(sec) = ty.view() {
            let name = ty.name();
            let mut section = DataSection {
                id: ty.id(),
                name: name.to_owned(),
                size: sec.size,
                vars: Vec::with_capacity(sec.vars.len()),
            };
            for var in sec.vars.iter() {
                section.vars.push(read_var(btf, var).map_err(|e| e.in_section(name))?);
            }
            if !section.is_extern() {
                fill_in(file, &symbols, &mut section).map_err(|e| e.in_section(name))?;
            }
            // Stable: variables without an offset keep their order.
            section.vars.sort_by_key(|v| v.offset);
            out.push(section);
        }
    }
    Ok(out)
}

fn read_var(btf: &Btf, var: skep_btf::SecVar) -> Result<Var, ElfError> {
    let found = btf.type_by_id(var.ty);
    let (ty, linkage) = match found.map(|t| t.view()) {
        Some(TypeView::Var { ty, linkage }) => (ty, linkage),
        Some(TypeView::Func { proto, .. }) => (proto, VarLinkage::Extern),
        _ => {
            return Err(ElfError::new(format!(
                "BTF type [{}] is listed in the DATASEC but is no variable",
                var.ty
            )));
        }
    };
    Ok(Var {
        id: var.ty,
        name: found.map_or("", |t| t.name()).to_owned(),
        offset: var.offset,
        size: var.size,
        ty,
        linkage,
    })
}

fn fill_in(
    file: &ElfFile<'_>,
    symbols: &HashMap<&str, &Symbol<'_>>,
    section: &mut DataSection,
) -> Result<(), ElfError> {
    let set_offsets = section.size == 0;
    if set_offsets {
        let size = file.section_by_name(&section.name).map_or(0, |s| s.size);
        section.size = u32::try_from(size).ok().filter(|&s| s != 0).ok_or_else(|| {
            ElfError::new(format!(
                "BTF has a DATASEC of this name; the file's section has {size} bytes, 1 to {} are possible",
                u32::MAX
            ))
        })?;
    }
    for var in &mut section.vars {
        if matches!(var.linkage, VarLinkage::Static | VarLinkage::Extern) {
            continue;
        }
        let symbol = symbols.get(var.name.as_str()).ok_or_else(|| {
            ElfError::new("BTF has a global variable without a symbol in the file")
                .of_symbol(&var.name)
        })?;
        if set_offsets {
            var.offset = u32::try_from(symbol.value).map_err(|_| {
                ElfError::new("offset does not fit 32 bits").of_symbol(&var.name).at(symbol.value)
            })?;
        }
        // Hidden variables are not for user space: the map then need not be mappable.
        if symbol.hidden {
            var.linkage = VarLinkage::Static;
        }
    }
    Ok(())
}
