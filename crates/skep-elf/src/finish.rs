//! The object's types made fit for loading: places of variables filled in, externs turned into definitions, hidden
//! subprograms into static ones.
//!
//! Kernels take no externs in BTF. As libbpf does, each kernel symbol becomes a variable of type `int` (a function a dummy
//! variable, the same for all), each configuration value a variable at its place in the `.kconfig` map.

use skep_btf::{Btf, BtfError, FuncLinkage, Kind, SecVar, TypeId, TypeView, VarLinkage};

use crate::code::Func;
use crate::externs::{Extern, Origin, kconfig_size};
use crate::layout::{DataSection, KCONFIG, KSYMS, Var};

/// Variable that stands for each kernel function.
const DUMMY: &str = "dummy_ksym";

/// Changes the types.
pub(crate) fn finish(
    btf: &mut Btf,
    data: &[DataSection],
    externs: &[Extern],
    funcs: &[Func],
    text: Option<usize>,
) -> Result<(), BtfError> {
    for section in data {
        match section.name.as_str() {
            KCONFIG => kconfig(btf, section, externs)?,
            KSYMS => ksyms(btf, section, externs)?,
            _ => section_of_file(btf, section)?,
        }
    }
    // Seen as static, they are verified with what their callers know.
    for func in funcs.iter().filter(|f| f.hidden && Some(f.section) == text) {
        if let Some(id) = btf.find_by_name_kind(&func.name, Kind::Func).map(|t| t.id()) {
            btf.set_func_linkage(id, FuncLinkage::Static)?;
        }
    }
    Ok(())
}

fn placed(var: &Var, offset: u32) -> SecVar {
    SecVar { ty: var.id, offset, size: var.size }
}

fn section_of_file(btf: &mut Btf, section: &DataSection) -> Result<(), BtfError> {
    let vars: Vec<SecVar> = section.vars.iter().map(|v| placed(v, v.offset)).collect();
    btf.set_datasec(section.id, section.size, &vars)?;
    for var in section.vars.iter().filter(|v| v.linkage == VarLinkage::Static) {
        btf.set_var(var.id, var.ty, VarLinkage::Static)?;
    }
    Ok(())
}

fn kconfig(btf: &mut Btf, section: &DataSection, externs: &[Extern]) -> Result<(), BtfError> {
    // A value that nothing uses has no symbol, hence no place.
    let place = |var: &Var| {
        externs.iter().find_map(|e| match e.kind {
            Origin::Config(_, place) if e.name == var.name => Some(place.offset),
            Origin::Config(..) | Origin::Addr | Origin::Var(_) | Origin::Func(_) => None,
        })
    };
    let vars: Vec<SecVar> =
        section.vars.iter().map(|v| placed(v, place(v).unwrap_or(v.offset))).collect();
    btf.set_datasec(section.id, kconfig_size(externs), &vars)?;
    for var in &section.vars {
        if is_var(btf, var.id) {
            btf.set_var(var.id, var.ty, VarLinkage::Global)?;
        }
    }
    Ok(())
}

fn is_var(btf: &Btf, id: TypeId) -> bool {
    btf.type_by_id(id).is_some_and(|t| t.kind() == Kind::Var)
}

fn ksyms(btf: &mut Btf, section: &DataSection, externs: &[Extern]) -> Result<(), BtfError> {
    if externs.is_empty() {
        return Ok(());
    }
    let int = btf
        .types()
        .find(|t| matches!(t.view(), TypeView::Int(int) if int.bits == 32))
        .map_or(TypeId::VOID, |t| t.id());
    let has_funcs = section.vars.iter().any(|v| !is_var(btf, v.id));
    let dummy = if has_funcs { Some(btf.push_var(DUMMY, int, VarLinkage::Global)?) } else { None };
    let mut vars = Vec::with_capacity(section.vars.len());
    let mut offset = 0u32;
    for var in &section.vars {
        let ty = match dummy.filter(|_| !is_var(btf, var.id)) {
            Some(dummy) => {
                let name = btf.get(dummy)?.name_off();
                btf.name_params(var.ty, name)?;
                btf.set_func_linkage(var.id, FuncLinkage::Global)?;
                dummy
            }
            None => {
                btf.set_var(var.id, int, VarLinkage::Global)?;
                var.id
            }
        };
        vars.push(SecVar { ty, offset, size: 4 });
        // A section has at most 65535 entries.
        offset = offset.saturating_add(4);
    }
    btf.set_datasec(section.id, offset, &vars)
}
