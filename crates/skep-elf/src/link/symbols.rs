//! Which definition of a name counts.
//!
//! A strong definition beats a weak one, the first weak one beats later ones, any beats an extern; two strong ones
//! conflict. The stricter visibility and the stronger binding of all declarations stay.

use std::collections::HashMap;

use skep_btf::{FuncLinkage, Kind, TypeId, TypeView, VarLinkage};

use super::Unit;
use super::matches;
use super::sections::{Joined, is_single};
use crate::error::ElfError;
use crate::file::{Bind, SHN_LORESERVE, SHN_UNDEF, SymKind, Symbol};
use crate::maps::MAPS;

/// A VAR or FUNC of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TypeRef {
    pub(super) unit: usize,
    pub(super) id: TypeId,
}

/// What is known of a global name.
#[derive(Debug)]
struct Global {
    /// Number of its symbol in the list.
    symbol: u32,
    is_extern: bool,
    is_weak: bool,
    /// The declaration that counts: the definition's, else the first extern's.
    ty: Option<TypeRef>,
    in_maps: bool,
}

/// The joined symbol table.
#[derive(Debug)]
pub(super) struct Symbols<'d> {
    pub(super) list: Vec<Symbol<'d>>,
    /// By unit and symbol number.
    moved: Vec<Vec<Option<u32>>>,
    globals: HashMap<&'d str, Global>,
}

impl Symbols<'_> {
    /// Number of a unit's symbol in the joined table.
    pub(super) fn moved(&self, unit: usize, symbol: u32) -> Option<u32> {
        self.moved.get(unit)?.get(usize::try_from(symbol).ok()?).copied().flatten()
    }

    /// The declaration of a global name that counts.
    pub(super) fn winner(&self, name: &str) -> Option<TypeRef> {
        self.globals.get(name)?.ty
    }
}

/// Resolves all symbols.
pub(super) fn resolve<'d>(
    units: &[Unit<'d>],
    joined: &Joined<'d>,
) -> Result<Symbols<'d>, ElfError> {
    let null = Symbol {
        name: "",
        value: 0,
        size: 0,
        section: SHN_UNDEF,
        kind: SymKind::NoType,
        bind: Bind::Local,
        hidden: false,
    };
    let mut out = Symbols { list: vec![null], moved: Vec::new(), globals: HashMap::new() };
    let mut section_symbols: HashMap<usize, u32> = HashMap::new();
    for (number, unit) in units.iter().enumerate() {
        let names = declarations(unit);
        let mut moved = vec![None; unit.file.symbols.len()];
        for (symbol, to) in unit.file.symbols.iter().zip(&mut moved).skip(1) {
            let placed = place(symbol, number, joined);
            let Some(placed) = placed.map_err(|e| e.in_object(unit.name))? else { continue };
            *to = if symbol.kind == SymKind::Section {
                let section = placed.section as usize;
                Some(
                    *section_symbols
                        .entry(section)
                        .or_insert_with(|| push(&mut out.list, Symbol { value: 0, ..placed })),
                )
            } else if symbol.is_global() {
                let ty = names.get(symbol.name).copied();
                let ty = ty.map(|id| TypeRef { unit: number, id });
                let global = add_global(&mut out, units, placed, symbol, ty);
                Some(global.map_err(|e| e.of_symbol(symbol.name).in_object(unit.name))?)
            } else {
                Some(push(&mut out.list, placed))
            };
        }
        out.moved.push(moved);
    }
    Ok(out)
}

fn push<'d>(list: &mut Vec<Symbol<'d>>, symbol: Symbol<'d>) -> u32 {
    list.push(symbol);
    u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
}

/// The symbol at its place in the joined sections; `None` if its section is left out.
fn place<'d>(
    symbol: &Symbol<'d>,
    unit: usize,
    joined: &Joined<'_>,
) -> Result<Option<Symbol<'d>>, ElfError> {
    if symbol.section == SHN_UNDEF || symbol.section >= SHN_LORESERVE {
        return Ok(Some(symbol.clone()));
    }
    let Some(moved) = joined.place(unit, symbol.section as usize) else { return Ok(None) };
    let too_far = || ElfError::new("value is beyond any section").of_symbol(symbol.name);
    Ok(Some(Symbol {
        section: u32::try_from(moved.to)
            .ok()
            .filter(|&s| s < SHN_LORESERVE)
            .ok_or_else(|| ElfError::new("too many sections"))?,
        value: symbol.value.checked_add(moved.offset).ok_or_else(too_far)?,
        ..symbol.clone()
    }))
}

/// Names of a unit's non-static variables and functions, with their types. What sections that are joined as one hold
/// (the licence) is left out.
fn declarations<'a>(unit: &'a Unit<'_>) -> HashMap<&'a str, TypeId> {
    let mut out = HashMap::new();
    for ty in unit.btf.iter().flat_map(|btf| btf.own_types()) {
        let is_shared = match ty.view() {
            TypeView::Var { linkage, .. } => linkage != VarLinkage::Static,
            TypeView::Func { linkage, .. } => linkage != FuncLinkage::Static,
            _ => false,
        };
        if is_shared {
            out.entry(ty.name()).or_insert(ty.id());
        }
    }
    for section in unit.data.iter().filter(|d| is_single(&d.name)) {
        for var in &section.vars {
            out.remove(var.name.as_str());
        }
    }
    out
}

fn add_global<'d>(
    out: &mut Symbols<'d>,
    units: &[Unit<'d>],
    placed: Symbol<'d>,
    symbol: &Symbol<'d>,
    ty: Option<TypeRef>,
) -> Result<u32, ElfError> {
    let is_extern = symbol.section == SHN_UNDEF;
    let is_weak = symbol.bind == Bind::Weak;
    let in_maps = ty.is_some_and(|ty| is_map(units, ty));
    let Some(global) = out.globals.get_mut(symbol.name) else {
        if is_extern && ty.is_none() {
            return Err(ElfError::new("extern without a type; compile with -g"));
        }
        let number = push(&mut out.list, placed);
        let global = Global { symbol: number, is_extern, is_weak, ty, in_maps };
        out.globals.insert(symbol.name, global);
        return Ok(number);
    };
    if !is_extern && !global.is_extern && !global.is_weak && !is_weak {
        return Err(ElfError::new("defined twice; at most one definition may be without __weak"));
    }
    check_types(units, global, ty, in_maps)?;
    let number = global.symbol;
    let Some(joined) = out.list.get_mut(number as usize) else { return Ok(number) };
    if !is_weak {
        joined.bind = Bind::Global;
        global.is_weak = false;
    }
    joined.hidden |= symbol.hidden;
    let loses = is_extern || (!global.is_extern && is_weak);
    if !loses {
        *joined = Symbol { bind: joined.bind, hidden: joined.hidden, ..placed };
        global.is_extern = false;
        global.ty = ty;
        global.in_maps = in_maps;
    }
    Ok(number)
}

fn is_map(units: &[Unit<'_>], ty: TypeRef) -> bool {
    let Some(unit) = units.get(ty.unit) else { return false };
    let maps = unit.data.iter().find(|d| d.name == MAPS);
    maps.is_some_and(|d| d.vars.iter().any(|v| v.id == ty.id))
}

fn check_types(
    units: &[Unit<'_>],
    global: &Global,
    ty: Option<TypeRef>,
    in_maps: bool,
) -> Result<(), ElfError> {
    let (Some(ours), Some(theirs)) = (global.ty, ty) else {
        return Err(ElfError::new("shared between objects but without a type; compile with -g"));
    };
    let btf_of = |ty: TypeRef| units.get(ty.unit).and_then(|u| u.btf.as_ref());
    let (Some(ours_btf), Some(theirs_btf)) = (btf_of(ours), btf_of(theirs)) else { return Ok(()) };
    let first = units.get(ours.unit).map_or("", |u| u.name);
    let result = if global.in_maps || in_maps {
        matches::maps((ours_btf, ours.id), (theirs_btf, theirs.id))
    } else {
        matches::declarations((ours_btf, ours.id), (theirs_btf, theirs.id))
    };
    result.map_err(|why| {
        ElfError::new(format!("does not agree with the declaration in object '{first}': {why}"))
    })
}

/// Whether a type of a unit stays in the joined BTF: global names keep one declaration.
pub(super) fn is_kept(
    symbols: &Symbols<'_>,
    unit: usize,
    id: TypeId,
    kind: Kind,
    name: Option<&str>,
) -> bool {
    match kind {
        Kind::Datasec => false,
        Kind::Var | Kind::Func => match name {
            None => true,
            Some(name) => symbols.winner(name) == Some(TypeRef { unit, id }),
        },
        _ => true,
    }
}
