//! Facts as `skep-elf` gives them.

use skep_elf::{MapDef, MapInit, MapKind, MapSlot, Object};

use super::facts::{Code, Facts, MapFacts, ProgFacts};

/// The facts of an object.
pub(super) fn facts(object: &Object) -> Facts {
    Facts {
        license: object.license.clone(),
        types: None,
        programs: object
            .programs
            .iter()
            .map(|p| ProgFacts {
                name: p.name.clone(),
                section: p.section.strip_prefix('?').unwrap_or(&p.section).to_owned(),
                prog_type: p.prog_type,
                attach_type: p.expected_attach_type,
                autoload: p.autoload,
                code: p.unresolved.is_none().then(|| Code {
                    insns: p.insns.clone(),
                    func_info: p.func_info.iter().map(|f| [f.insn_off, f.type_id]).collect(),
                    line_info: p
                        .line_info
                        .iter()
                        .map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col])
                        .collect(),
                }),
            })
            .collect(),
        maps: object.maps.iter().map(map_facts).collect(),
    }
}

fn numbers(map: &MapDef) -> [u32; 8] {
    [
        map.map_type,
        map.key_size,
        map.value_size,
        map.max_entries,
        map.flags,
        map.numa_node,
        map.btf_key_type_id,
        map.btf_value_type_id,
    ]
}

fn map_facts(map: &MapDef) -> MapFacts {
    // libbpf shows the section's name for custom .data and .rodata sections.
    let custom = matches!(map.kind, MapKind::Data | MapKind::Rodata)
        && !matches!(map.symbol.as_str(), ".data" | ".rodata");
    let by_source = custom || matches!(map.kind, MapKind::User | MapKind::StructOps);
    let contents = match &map.init {
        MapInit::Bytes(bytes) => Some(bytes.clone()),
        MapInit::None if map.kind == MapKind::Bss => Some(vec![0; map.value_size as usize]),
        MapInit::None | MapInit::Slots(_) => None,
    };
    let inner_slots = match &map.init {
        MapInit::Slots(slots) => slots
            .iter()
            .filter_map(|(key, slot)| match slot {
                MapSlot::Map(index) => Some((*key, *index)),
                MapSlot::Program(_) => None,
            })
            .collect(),
        MapInit::None | MapInit::Bytes(_) => Vec::new(),
    };
    MapFacts {
        name: if by_source { map.symbol.clone() } else { map.name.clone() },
        numbers: numbers(map),
        extra: map.map_extra,
        autocreate: map.autocreate,
        pinned: map.pinning != skep_elf::Pinning::None,
        inner: map.inner.as_deref().map(numbers),
        contents,
        inner_slots,
    }
}
