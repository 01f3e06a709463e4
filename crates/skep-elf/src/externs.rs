//! [`Extern`]: undefined symbols of `.kconfig` and `.ksyms`, found here and resolved in `kconfig` and `ksyms`.

use std::collections::HashMap;

use skep_btf::{Btf, FuncLinkage, Kind, TypeId, TypeView, VarLinkage};

use crate::error::ElfError;
use crate::file::{Bind, ElfFile};
use crate::layout::{DataSection, KCONFIG, KSYMS};
use crate::model::{ExternDef, ExternKind, ExternValue};

/// An extern before and after it is resolved.
#[derive(Clone, Debug)]
pub(crate) struct Extern {
    pub(crate) name: String,
    /// Number of its symbol.
    pub(crate) symbol: u32,
    pub(crate) weak: bool,
    pub(crate) kind: Origin,
    /// `None` until it is resolved.
    pub(crate) value: Option<ExternValue>,
}

/// What it is, with what its type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Configuration value.
    Config(ConfigType, ConfigPlace),
    /// Kernel symbol without a type.
    Addr,
    /// Kernel variable; its type in the object.
    Var(TypeId),
    /// Kernel function; its prototype in the object.
    Func(TypeId),
}

/// Type of a configuration value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConfigType {
    Bool,
    Char { signed: bool },
    Tristate,
    Int { signed: bool },
    Text,
}

/// Place of a configuration value in the `.kconfig` map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConfigPlace {
    pub(crate) offset: u32,
    pub(crate) size: u32,
    align: u32,
}

impl Extern {
    /// As shown to the user.
    pub(crate) fn def(&self) -> ExternDef {
        ExternDef {
            name: self.name.clone(),
            weak: self.weak,
            kind: match self.kind {
                Origin::Config(..) => ExternKind::Kconfig,
                Origin::Addr => ExternKind::KsymAddr,
                Origin::Var(_) => ExternKind::KsymVar,
                Origin::Func(_) => ExternKind::KsymFunc,
            },
            value: self.value.unwrap_or(ExternValue::Unresolved),
        }
    }
}

/// Finds the externs: configuration values first, by their place; then kernel symbols by name.
pub(crate) fn collect(
    file: &ElfFile<'_>,
    btf: Option<&Btf>,
    sections: &[DataSection],
) -> Result<Vec<Extern>, ElfError> {
    let mut homes: HashMap<TypeId, &str> = HashMap::new();
    for section in sections {
        for var in &section.vars {
            homes.entry(var.id).or_insert(&section.name);
        }
    }
    let mut out = Vec::new();
    for (number, symbol) in (0u32..).zip(&file.symbols) {
        if !symbol.is_extern() || symbol.name.is_empty() {
            continue;
        }
        let found = btf
            .ok_or_else(|| {
                ElfError::new("extern without BTF; compile with -g so that its type is known")
            })
            .and_then(|btf| find(btf, &homes, symbol.name));
        let kind = found.map_err(|e| e.of_symbol(symbol.name))?;
        out.push(Extern {
            name: symbol.name.to_owned(),
            symbol: number,
            weak: symbol.bind == Bind::Weak,
            kind,
            value: None,
        });
    }
    out.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    place(&mut out)?;
    Ok(out)
}

/// The order that decides where configuration values lie: large alignment first, then small size, then name.
fn sort_key(ext: &Extern) -> (bool, core::cmp::Reverse<u32>, u32, &str) {
    match ext.kind {
        Origin::Config(_, at) => (false, core::cmp::Reverse(at.align), at.size, &ext.name),
        Origin::Addr | Origin::Var(_) | Origin::Func(_) => {
            (true, core::cmp::Reverse(0), 0, &ext.name)
        }
    }
}

fn place(externs: &mut [Extern]) -> Result<(), ElfError> {
    let mut end = 0u32;
    for ext in externs {
        if let Origin::Config(_, at) = &mut ext.kind {
            let next = end.checked_next_multiple_of(at.align).and_then(|offset| {
                at.offset = offset;
                offset.checked_add(at.size)
            });
            end = next.ok_or_else(|| {
                ElfError::new("configuration values take more than 4 GiB")
                    .in_section(KCONFIG)
                    .of_symbol(&ext.name)
            })?;
        }
    }
    Ok(())
}

/// Bytes of the `.kconfig` map.
pub(crate) fn kconfig_size(externs: &[Extern]) -> u32 {
    externs
        .iter()
        .filter_map(|e| match e.kind {
            Origin::Config(_, at) => Some(at.offset.saturating_add(at.size)),
            Origin::Addr | Origin::Var(_) | Origin::Func(_) => None,
        })
        .max()
        .unwrap_or(0)
}

fn find(btf: &Btf, homes: &HashMap<TypeId, &str>, name: &str) -> Result<Origin, ElfError> {
    let ty = btf
        .ids_by_name(name)
        .filter_map(|id| btf.type_by_id(id))
        .find(|t| matches!(t.kind(), Kind::Var | Kind::Func))
        .ok_or_else(|| {
            ElfError::new(
                "extern is not in the object's BTF; declare it with __kconfig or __ksym and compile with -g",
            )
        })?;
    let defined = || ElfError::new("undefined in the symbol table but defined in BTF");
    let (target, is_func) = match ty.view() {
        TypeView::Var { ty, linkage: VarLinkage::Extern } => (ty, false),
        TypeView::Func { proto, linkage: FuncLinkage::Extern } => (proto, true),
        _ => return Err(defined()),
    };
    let home = homes.get(&ty.id()).copied().ok_or_else(|| {
        ElfError::new("extern is in no section; link the object that defines it, or declare it with __kconfig or __ksym")
    })?;
    let kind = match home {
        KCONFIG if is_func => {
            return Err(
                ElfError::new("a function cannot be a configuration value").in_section(KCONFIG)
            );
        }
        KCONFIG => config(btf, target).map_err(|e| e.in_section(KCONFIG))?,
        KSYMS if is_func => Origin::Func(target),
        KSYMS => {
            let resolved = btf.skip_typedefs_and_modifiers(target).map(|t| t.id());
            match resolved {
                Some(TypeId::VOID) => Origin::Addr,
                Some(id) => Origin::Var(id),
                None => return Err(ElfError::new(format!("type [{target}] refers to itself"))),
            }
        }
        other => {
            return Err(ElfError::new(
                "externs are supported in .kconfig and .ksyms; if another object defines it, link them",
            )
            .in_section(other));
        }
    };
    Ok(kind)
}

/// How deep arrays of arrays are looked into; C has no reason to go deeper than one.
const MAX_ARRAY_DEPTH: u32 = 8;

fn config(btf: &Btf, id: TypeId) -> Result<Origin, ElfError> {
    let size = btf
        .size_of(id)
        .ok()
        .and_then(|s| u32::try_from(s).ok())
        .filter(|&s| s != 0)
        .ok_or_else(|| ElfError::new("size of the configuration value is not known"))?;
    let ty = config_type(btf, id, MAX_ARRAY_DEPTH).ok_or_else(|| {
        ElfError::new(
            "type is unsupported; a configuration value is a bool, char, integer of 1, 2, 4 or 8 bytes, enum libbpf_tristate or array of char",
        )
    })?;
    let align = match ty {
        ConfigType::Text => 1,
        ConfigType::Bool
        | ConfigType::Char { .. }
        | ConfigType::Tristate
        | ConfigType::Int { .. } => size.min(8),
    };
    Ok(Origin::Config(ty, ConfigPlace { offset: 0, size, align }))
}

fn config_type(btf: &Btf, id: TypeId, depth: u32) -> Option<ConfigType> {
    let ty = btf.skip_typedefs_and_modifiers(id)?;
    match ty.view() {
        TypeView::Int(int) if int.is_bool() => (int.size == 1).then_some(ConfigType::Bool),
        TypeView::Int(int) if int.size == 1 => Some(ConfigType::Char { signed: int.is_signed() }),
        TypeView::Int(int) => {
            matches!(int.size, 2 | 4 | 8).then_some(ConfigType::Int { signed: int.is_signed() })
        }
        TypeView::Enum(e) => {
            (e.size == 4 && ty.name() == "libbpf_tristate").then_some(ConfigType::Tristate)
        }
        TypeView::Enum64(_) => (ty.name() == "libbpf_tristate").then_some(ConfigType::Tristate),
        TypeView::Array(array) if array.nelems > 0 && depth > 0 => {
            match config_type(btf, array.elem, depth - 1)? {
                ConfigType::Char { .. } => Some(ConfigType::Text),
                ConfigType::Bool
                | ConfigType::Tristate
                | ConfigType::Int { .. }
                | ConfigType::Text => None,
            }
        }
        _ => None,
    }
}
