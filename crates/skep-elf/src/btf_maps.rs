//! BTF-defined maps: `SEC(".maps")`, where the type of a variable says everything.
//!
//! An attribute `__uint(name, N)` is a pointer to an array of N; `__type(name, T)` a pointer to T; `__array(name, T)`
//! an array of pointers to T; `__ulong(name, N)` an enum whose only value is N.

use skep_abi::uapi::{
    BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_PROG_ARRAY,
    BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_USER_RINGBUF,
};
use skep_btf::{Btf, Composite, TypeId, TypeView, VarLinkage};

use crate::error::ElfError;
use crate::layout::{DataSection, Var};
use crate::maps::{MAPS, Site, SitedMap};
use crate::model::{MapDef, MapInit, MapKind, Pinning};

/// Page size that ring buffers are rounded to; that of the reference platforms.
const PAGE_SIZE: u32 = 4096;

/// Whether the map's values are maps.
pub(crate) const fn is_map_of_maps(map_type: u32) -> bool {
    matches!(map_type, BPF_MAP_TYPE_ARRAY_OF_MAPS | BPF_MAP_TYPE_HASH_OF_MAPS)
}

/// Reads all maps of the section, by their offset.
pub(crate) fn read(
    btf: &Btf,
    section: &DataSection,
    index: usize,
    section_size: u64,
) -> Result<Vec<SitedMap>, ElfError> {
    section
        .vars
        .iter()
        .map(|var| {
            read_one(btf, var, index, section_size)
                .map_err(|e| e.in_section(MAPS).of_symbol(&var.name))
        })
        .collect()
}

fn read_one(btf: &Btf, var: &Var, section: usize, section_size: u64) -> Result<SitedMap, ElfError> {
    if var.name.is_empty() {
        return Err(ElfError::new("a map needs a name"));
    }
    let end = u64::from(var.offset) + u64::from(var.size);
    if end > section_size {
        return Err(ElfError::new(format!(
            "the map ends at byte {end}, the section has {section_size}"
        )));
    }
    if var.linkage != VarLinkage::Global {
        return Err(ElfError::new("a map must be a global variable, not static, hidden or extern"));
    }
    let ty = btf.skip_typedefs_and_modifiers(var.ty);
    let Some(TypeView::Struct(def)) = ty.map(|t| t.view()) else {
        return Err(ElfError::new("a map is defined by a struct"));
    };
    if def.size > var.size {
        return Err(ElfError::new(format!(
            "the struct has {} bytes, the variable {}",
            def.size, var.size
        )));
    }
    let mut map = parse_def(btf, def, Level::Outer)?;
    map.name = kernel_name(&var.name);
    map.symbol = var.name.clone();
    if let Some(inner) = &mut map.inner {
        inner.symbol = format!("{}.inner", var.name);
        inner.name = kernel_name(&inner.symbol);
    }
    let site =
        Site { section, offset: u64::from(var.offset), size: u64::from(var.size), ty: var.ty };
    Ok(SitedMap { map, site })
}

/// The definition that a variable's type is, without a name.
pub(crate) fn parse_var(btf: &Btf, var: TypeId) -> Result<MapDef, ElfError> {
    let ty = match btf.type_by_id(var).map(|t| t.view()) {
        Some(TypeView::Var { ty, .. }) => btf.skip_typedefs_and_modifiers(ty),
        _ => None,
    };
    match ty.map(|t| t.view()) {
        Some(TypeView::Struct(def)) => parse_def(btf, def, Level::Outer),
        _ => Err(ElfError::new("a map is defined by a struct")),
    }
}

/// A name as the kernel takes it: at most 15 bytes.
pub(crate) fn kernel_name(name: &str) -> String {
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or("").to_owned()
}

/// Whether a definition may itself hold maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Outer,
    Inner,
}

fn parse_def(btf: &Btf, def: Composite<'_>, level: Level) -> Result<MapDef, ElfError> {
    let mut map = MapDef::empty(MapKind::User);
    let count = def.members.len();
    for (i, member) in def.members.iter().enumerate() {
        let attribute =
            |e: ElfError| ElfError::new(format!("attribute '{}': {}", member.name, e.message()));
        match member.name {
            "type" => map.map_type = uint(btf, member.ty).map_err(attribute)?,
            "max_entries" => map.max_entries = uint(btf, member.ty).map_err(attribute)?,
            "map_flags" => map.flags = uint(btf, member.ty).map_err(attribute)?,
            "numa_node" => map.numa_node = uint(btf, member.ty).map_err(attribute)?,
            "map_extra" => map.map_extra = ulong(btf, member.ty).map_err(attribute)?,
            "key_size" => {
                let size = uint(btf, member.ty).map_err(attribute)?;
                set_size(&mut map.key_size, size).map_err(attribute)?;
            }
            "value_size" => {
                let size = uint(btf, member.ty).map_err(attribute)?;
                set_size(&mut map.value_size, size).map_err(attribute)?;
            }
            "key" => {
                let (id, size) = sized_type(btf, member.ty).map_err(attribute)?;
                set_size(&mut map.key_size, size).map_err(attribute)?;
                map.btf_key_type_id = id.0;
            }
            "value" => {
                let (id, size) = sized_type(btf, member.ty).map_err(attribute)?;
                set_size(&mut map.value_size, size).map_err(attribute)?;
                map.btf_value_type_id = id.0;
            }
            "values" => {
                if level == Level::Inner {
                    return Err(ElfError::new("maps of maps of maps are not supported"));
                }
                if i + 1 != count {
                    return Err(ElfError::new("attribute 'values' must be the last"));
                }
                let inner = values(btf, map.map_type, member.ty).map_err(attribute)?;
                set_size(&mut map.value_size, 4).map_err(attribute)?;
                map.inner = inner.map(Box::new);
            }
            "pinning" => {
                if level == Level::Inner {
                    return Err(ElfError::new("an inner map cannot be pinned"));
                }
                map.pinning = match uint(btf, member.ty).map_err(attribute)? {
                    0 => Pinning::None,
                    1 => Pinning::ByName,
                    other => {
                        return Err(ElfError::new(format!(
                            "pinning is {other}, it is LIBBPF_PIN_NONE (0) or LIBBPF_PIN_BY_NAME (1)"
                        )));
                    }
                };
            }
            other => return Err(ElfError::new(format!("unknown attribute '{other}'"))),
        }
    }
    if map.map_type == 0 {
        return Err(ElfError::new("the map has no attribute 'type'"));
    }
    if matches!(map.map_type, BPF_MAP_TYPE_RINGBUF | BPF_MAP_TYPE_USER_RINGBUF) {
        map.max_entries = ring_size(map.max_entries);
    }
    Ok(map)
}

/// Sets a size that may be given twice, if equal.
fn set_size(size: &mut u32, new: u32) -> Result<(), ElfError> {
    if *size != 0 && *size != new {
        return Err(ElfError::new(format!("conflicting sizes {size} and {new}")));
    }
    *size = new;
    Ok(())
}

fn kind_name(btf: &Btf, id: TypeId) -> &'static str {
    btf.type_by_id(id).map_or("nothing", |t| t.kind().name())
}

/// `__uint`: a pointer to an array; its length is the value.
fn uint(btf: &Btf, id: TypeId) -> Result<u32, ElfError> {
    if let Some(TypeView::Ptr(target)) = btf.skip_typedefs_and_modifiers(id).map(|t| t.view())
        && let Some(TypeView::Array(array)) = btf.type_by_id(target).map(|t| t.view())
    {
        return Ok(array.nelems);
    }
    Err(ElfError::new(format!(
        "is not of the form __uint(name, value): its type is {}",
        kind_name(btf, id)
    )))
}

/// `__uint` or `__ulong`: an enum with one value.
fn ulong(btf: &Btf, id: TypeId) -> Result<u64, ElfError> {
    match btf.skip_typedefs_and_modifiers(id).map(|t| t.view()) {
        Some(TypeView::Enum(e) | TypeView::Enum64(e)) if e.values.len() == 1 => {
            Ok(e.values.get(0).map_or(0, |v| v.value))
        }
        _ => uint(btf, id).map(u64::from),
    }
}

/// `__type`: a pointer to the type.
fn sized_type(btf: &Btf, id: TypeId) -> Result<(TypeId, u32), ElfError> {
    let Some(TypeView::Ptr(target)) = btf.type_by_id(id).map(|t| t.view()) else {
        return Err(ElfError::new(format!(
            "is not of the form __type(name, type): its type is {}",
            kind_name(btf, id)
        )));
    };
    let size = btf.size_of(target).map_err(|e| ElfError::new(e.to_string()))?;
    let size = u32::try_from(size)
        .map_err(|_| ElfError::new(format!("type of {size} bytes; 4 GiB is the limit")))?;
    Ok((target, size))
}

/// `__array(values, T)`: the inner map's definition, or nothing for programs.
fn values(btf: &Btf, map_type: u32, id: TypeId) -> Result<Option<MapDef>, ElfError> {
    if !is_map_of_maps(map_type) && map_type != BPF_MAP_TYPE_PROG_ARRAY {
        return Err(ElfError::new("is for arrays of maps, hashes of maps and program arrays"));
    }
    let Some(TypeView::Array(array)) = btf.type_by_id(id).map(|t| t.view()) else {
        return Err(ElfError::new("is not of the form __array(values, type)"));
    };
    if array.nelems != 0 {
        return Err(ElfError::new(format!("has {} elements, it must have none", array.nelems)));
    }
    let target = match btf.skip_typedefs_and_modifiers(array.elem).map(|t| t.view()) {
        Some(TypeView::Ptr(target)) => btf.skip_typedefs_and_modifiers(target),
        _ => None,
    };
    match target.map(|t| t.view()) {
        Some(TypeView::FuncProto(_)) if map_type == BPF_MAP_TYPE_PROG_ARRAY => Ok(None),
        Some(TypeView::Struct(def)) if is_map_of_maps(map_type) => {
            parse_def(btf, def, Level::Inner).map(Some)
        }
        _ => Err(ElfError::new(
            "elements must be pointers to map definitions or, in a program array, to functions",
        )),
    }
}

/// Ring buffers need a power of two of pages; what is not one is rounded up.
fn ring_size(size: u32) -> u32 {
    if size == 0 || (size.is_multiple_of(PAGE_SIZE) && (size / PAGE_SIZE).is_power_of_two()) {
        return size;
    }
    // A size that cannot be rounded is left for map creation to refuse.
    let pages = size / PAGE_SIZE + 1;
    pages.checked_next_power_of_two().and_then(|p| p.checked_mul(PAGE_SIZE)).unwrap_or(size)
}

impl MapDef {
    /// A map of no type yet.
    pub(crate) fn empty(kind: MapKind) -> MapDef {
        MapDef {
            name: String::new(),
            symbol: String::new(),
            kind,
            map_type: 0,
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            numa_node: 0,
            map_extra: 0,
            btf_key_type_id: 0,
            btf_value_type_id: 0,
            pinning: Pinning::None,
            inner: None,
            init: MapInit::None,
            autocreate: true,
            struct_ops: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_powers_of_two_of_pages() {
        assert_eq!(ring_size(0), 0);
        assert_eq!(ring_size(1), 4096);
        assert_eq!(ring_size(4096), 4096);
        assert_eq!(ring_size(4097), 8192);
        assert_eq!(ring_size(3 * 4096), 4 * 4096);
        assert_eq!(ring_size(1 << 31), 1 << 31);
        assert_eq!(ring_size(u32::MAX), u32::MAX);
    }

    #[test]
    fn names_are_cut_at_a_character() {
        assert_eq!(kernel_name("a_long_name_of_a_map"), "a_long_name_of_");
        assert_eq!(kernel_name("aaaaaaaaaaaaaaé"), "aaaaaaaaaaaaaa");
    }
}
