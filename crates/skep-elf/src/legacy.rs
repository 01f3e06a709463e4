//! Legacy maps: `struct bpf_map_def` variables in `SEC("maps")`.
//!
//! DEVIATION: libbpf 1.0 and later refuse them; older libbpf, iproute2, Cilium and many old objects have them, so they are
//! read here. What the definitions cannot say (fields after the flags) must be zero.

use skep_btf::{Btf, TypeId, TypeView};

use crate::btf_maps::kernel_name;
use crate::code;
use crate::error::ElfError;
use crate::file::{ElfFile, Section, SymKind, Symbol};
use crate::maps::{Site, SitedMap};
use crate::model::{MapDef, MapKind};

/// Section of legacy maps.
pub(crate) const LEGACY_MAPS: &str = "maps";
/// Bytes of the first definition that was ever used: type, key size, value size, entries.
const MIN_DEF: u64 = 16;

/// Reads all definitions, by their offset.
pub(crate) fn read(
    file: &ElfFile<'_>,
    btf: Option<&Btf>,
    section: &Section<'_>,
) -> Result<Vec<SitedMap>, ElfError> {
    let mut symbols: Vec<&Symbol<'_>> = file
        .symbols
        .iter()
        .filter(|s| {
            s.section as usize == section.index
                && matches!(s.kind, SymKind::Object | SymKind::NoType)
                && !s.name.is_empty()
        })
        .collect();
    symbols.sort_by_key(|s| s.value);
    if symbols.is_empty() {
        return Ok(Vec::new());
    }
    let count = symbols.len() as u64;
    let size = section.size / count;
    if !section.size.is_multiple_of(count) || size < MIN_DEF {
        return Err(ElfError::new(format!(
            "{} bytes for {count} maps; each definition has the same size, at least {MIN_DEF} bytes",
            section.size
        ))
        .in_section(LEGACY_MAPS));
    }
    symbols
        .into_iter()
        .map(|symbol| {
            read_one(file, btf, section, symbol, size)
                .map_err(|e| e.in_section(LEGACY_MAPS).of_symbol(symbol.name).at(symbol.value))
        })
        .collect()
}

fn read_one(
    file: &ElfFile<'_>,
    btf: Option<&Btf>,
    section: &Section<'_>,
    symbol: &Symbol<'_>,
    size: u64,
) -> Result<SitedMap, ElfError> {
    let bytes = code::range(section.data, symbol.value, size)
        .ok_or_else(|| ElfError::new("the definition crosses the end of the section"))?;
    let (words, _) = bytes.as_chunks::<4>();
    let mut words = words.iter().map(|w| file.read_u32(*w));
    let mut next = || words.next().unwrap_or(0);
    let mut map = MapDef::empty(MapKind::User);
    map.name = kernel_name(symbol.name);
    map.symbol = symbol.name.to_owned();
    map.map_type = next();
    map.key_size = next();
    map.value_size = next();
    map.max_entries = next();
    map.flags = next();
    if bytes.iter().skip(20).any(|&b| b != 0) {
        return Err(ElfError::new(
            "the definition has fields after map_flags that are not zero; iproute2's extensions are not supported",
        ));
    }
    if let Some((key, value)) = btf.and_then(|btf| annotation(btf, symbol.name, &map)) {
        map.btf_key_type_id = key.0;
        map.btf_value_type_id = value.0;
    }
    let site = Site { section: section.index, offset: symbol.value, size, ty: TypeId::VOID };
    Ok(SitedMap { map, site })
}

/// Types from `BPF_ANNOTATE_KV_PAIR`: a struct `____btf_map_NAME` with members key and value of the right sizes.
fn annotation(btf: &Btf, name: &str, map: &MapDef) -> Option<(TypeId, TypeId)> {
    let wanted = format!("____btf_map_{name}");
    let ty = btf.find_by_name_kind(&wanted, skep_btf::Kind::Struct)?;
    let TypeView::Struct(def) = ty.view() else { return None };
    let key = def.members.get(0).filter(|m| m.name == "key")?.ty;
    let value = def.members.get(1).filter(|m| m.name == "value")?.ty;
    let right = |id, size: u32| btf.size_of(id).is_ok_and(|s| s == u64::from(size));
    (right(key, map.key_size) && right(value, map.value_size)).then_some((key, value))
}
