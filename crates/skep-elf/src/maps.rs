//! All maps of an object, in libbpf's order: legacy, BTF-defined, global data, `.kconfig`, struct_ops.

use skep_abi::uapi::{BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_MAP_TYPE_ARENA, BPF_MAP_TYPE_ARRAY};
use skep_btf::{Btf, TypeId, VarLinkage};

use crate::btf_maps;
use crate::error::ElfError;
use crate::file::{ElfFile, Section};
use crate::layout::{DataSection, KCONFIG};
use crate::legacy;
use crate::model::{MapDef, MapInit, MapKind, SecDef, SecKind};
use crate::struct_ops;

/// Section of BTF-defined maps.
pub(crate) const MAPS: &str = ".maps";

/// Most bytes of initialised data. Sections of a file may overlap, so the file's size is no limit.
const MAX_DATA: u64 = 1 << 28;

/// Place of a map's definition in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Section number.
    pub(crate) section: usize,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Type of the variable; void for global data.
    pub(crate) ty: TypeId,
}

/// A map with the place of its definition.
#[derive(Clone, Debug)]
pub(crate) struct SitedMap {
    pub(crate) map: MapDef,
    pub(crate) site: Site,
}

/// What the maps are made from.
pub(crate) struct Input<'a, 'd> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a ElfFile<'d>,
    pub(crate) btf: Option<&'a Btf>,
    pub(crate) secs: &'a [SecDef],
    pub(crate) data: &'a [DataSection],
    /// Contents of the `.kconfig` map.
    pub(crate) kconfig: Option<Vec<u8>>,
}

/// Makes the maps.
pub(crate) fn collect(input: Input<'_, '_>) -> Result<Vec<SitedMap>, ElfError> {
    let mut out = Vec::new();
    for section in of_kind(&input, SecKind::LegacyMaps) {
        out.extend(legacy::read(input.file, input.btf, section)?);
    }
    for section in of_kind(&input, SecKind::Maps) {
        let need = || {
            ElfError::new(
                "maps are defined in BTF, but BTF has no DATASEC of this name; compile with -g",
            )
            .in_section(MAPS)
        };
        let btf = input.btf.ok_or_else(need)?;
        let vars = input.data.iter().find(|d| d.name == MAPS).ok_or_else(need)?;
        out.extend(btf_maps::read(btf, vars, section.index, section.size)?);
    }
    arena(&input, &mut out)?;
    let mut total = 0u64;
    for sec in input.secs {
        let kind = match sec.kind {
            SecKind::Data => MapKind::Data,
            SecKind::Rodata => MapKind::Rodata,
            SecKind::Bss => MapKind::Bss,
            SecKind::Code
            | SecKind::Maps
            | SecKind::LegacyMaps
            | SecKind::StructOps
            | SecKind::Arena
            | SecKind::License
            | SecKind::Version
            | SecKind::Btf
            | SecKind::BtfExt
            | SecKind::Relocations => continue,
        };
        if let Some(section) = input.file.sections.get(sec.index).filter(|s| s.size != 0) {
            let init = if section.is_nobits() {
                MapInit::None
            } else {
                total = total.saturating_add(section.size);
                if total > MAX_DATA {
                    return Err(ElfError::new(format!(
                        "the object has more than {MAX_DATA} bytes of data with this section's {}",
                        section.size
                    ))
                    .in_section(section.name));
                }
                MapInit::Bytes(section.data.to_vec())
            };
            out.push(internal(&input, section.name, kind, section.index, section.size, init)?);
        }
    }
    if let Some(data) = &input.kconfig {
        let size = data.len() as u64;
        let init = MapInit::Bytes(data.clone());
        let home = input.file.symtab;
        out.push(internal(&input, KCONFIG, MapKind::Kconfig, home, size, init)?);
    }
    for section in of_kind(&input, SecKind::StructOps) {
        out.extend(struct_ops::read(input.btf, input.data, section)?);
    }
    Ok(out)
}

fn of_kind<'a, 'd>(
    input: &Input<'a, 'd>,
    kind: SecKind,
) -> impl Iterator<Item = &'a Section<'d>> + use<'a, 'd> {
    let file = input.file;
    input.secs.iter().filter(move |s| s.kind == kind).filter_map(|s| file.sections.get(s.index))
}

/// Gives the arena map the contents of `.addr_space.1`.
fn arena(input: &Input<'_, '_>, maps: &mut [SitedMap]) -> Result<(), ElfError> {
    let mut arenas = maps.iter_mut().filter(|m| m.map.map_type == BPF_MAP_TYPE_ARENA);
    let arena = arenas.next();
    if let (Some(first), Some(second)) = (&arena, arenas.next()) {
        return Err(ElfError::new(format!(
            "second arena; an object has one, and '{}' is one",
            first.map.symbol
        ))
        .in_section(MAPS)
        .of_symbol(&second.map.symbol));
    }
    let Some(section) = of_kind(input, SecKind::Arena).next() else { return Ok(()) };
    let Some(arena) = arena else {
        return Err(ElfError::new(
            "global arena variables need a map of type BPF_MAP_TYPE_ARENA in .maps",
        )
        .in_section(section.name));
    };
    let room = u64::from(arena.map.max_entries) * 4096;
    if section.size > room {
        return Err(ElfError::new(format!(
            "{} bytes of arena variables, the arena '{}' has {room}",
            section.size, arena.map.symbol
        ))
        .in_section(section.name));
    }
    arena.map.init = MapInit::Bytes(section.data.to_vec());
    Ok(())
}

fn internal(
    input: &Input<'_, '_>,
    name: &str,
    kind: MapKind,
    section: usize,
    size: u64,
    init: MapInit,
) -> Result<SitedMap, ElfError> {
    let mut map = MapDef::empty(kind);
    map.name = internal_name(input.name, name);
    map.symbol = name.to_owned();
    map.map_type = BPF_MAP_TYPE_ARRAY;
    map.key_size = 4;
    map.value_size = u32::try_from(size).map_err(|_| {
        ElfError::new(format!("{size} bytes, a map's value has less than 4 GiB")).in_section(name)
    })?;
    map.max_entries = 1;
    if matches!(kind, MapKind::Rodata | MapKind::Kconfig) {
        map.flags |= BPF_F_RDONLY_PROG;
    }
    // The compiler's own sections (.rodata.str1.1) have no DATASEC.
    if let Some(ty) = input.btf.and_then(|btf| btf.find_by_name(name)) {
        map.btf_value_type_id = ty.id().0;
        let vars = input.data.iter().find(|d| d.id == ty.id()).map_or(&[][..], |d| &d.vars);
        // Mappable only if user space may see at least one variable. Configuration values count: they are
        // made global when their places are known.
        if vars.iter().any(|v| v.linkage != VarLinkage::Static) {
            map.flags |= BPF_F_MMAPABLE;
        }
    }
    map.init = init;
    Ok(SitedMap { map, site: Site { section, offset: 0, size, ty: TypeId::VOID } })
}

/// Name of a map for global data: as much of the object's name as fits before the section's, which has room for at least
/// seven bytes. Sections with a second dot go without the object's name (`internal_map_name` of libbpf).
fn internal_name(object: &str, section: &str) -> String {
    const MAX: usize = 15;
    let suffix_len = section.len().clamp(7, MAX);
    let custom = section.get(1..).is_some_and(|s| s.contains('.'));
    let prefix_len = if custom { 0 } else { (MAX - suffix_len).min(object.len()) };
    let bytes = object.bytes().take(prefix_len).chain(section.bytes().take(suffix_len)).take(MAX);
    bytes
        .map(|b| if b.is_ascii_alphanumeric() || b == b'_' || b == b'.' { b as char } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::internal_name;

    #[test]
    fn names_of_global_data_are_libbpfs() {
        assert_eq!(internal_name("my_object_name", ".rodata"), "my_objec.rodata");
        assert_eq!(internal_name("my_object_name", ".bss"), "my_objec.bss");
        assert_eq!(internal_name("my_object_name", ".kconfig"), "my_obje.kconfig");
        assert_eq!(internal_name("my_object_name", ".rodata.abracadabra"), ".rodata.abracad");
        assert_eq!(internal_name("a", ".data"), "a.data");
        assert_eq!(internal_name("a-b", ".data"), "a_b.data");
        assert_eq!(internal_name("", ".data"), ".data");
    }
}
