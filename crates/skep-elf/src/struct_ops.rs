//! struct_ops maps: variables of `SEC(".struct_ops")` and `SEC(".struct_ops.link")`, read here and fitted to the kernel's
//! structure in `kern_struct_ops`.

use skep_abi::uapi::{BPF_F_LINK, BPF_MAP_TYPE_STRUCT_OPS};
use skep_btf::{Btf, TypeView, essential_name};

use crate::btf_maps::kernel_name;
use crate::code;
use crate::error::ElfError;
use crate::file::Section;
use crate::layout::{DataSection, Var};
use crate::maps::{Site, SitedMap};
use crate::model::{MapDef, MapKind, StructOpsDef};

/// Most bytes that the variables of a section may have.
const MAX_TOTAL: usize = 1 << 26;

/// Whether a section holds struct_ops variables, by its name.
pub(crate) fn is_section(name: &str) -> bool {
    matches!(name.strip_prefix('?').unwrap_or(name), ".struct_ops" | ".struct_ops.link")
}

/// Reads the variables of one section, by offset.
pub(crate) fn read(
    btf: Option<&Btf>,
    data: &[DataSection],
    section: &Section<'_>,
) -> Result<Vec<SitedMap>, ElfError> {
    let need = || {
        ElfError::new("BTF has no DATASEC of this name; compile with -g").in_section(section.name)
    };
    let btf = btf.ok_or_else(need)?;
    let vars = &data.iter().find(|d| d.name == section.name).ok_or_else(need)?.vars;
    // Variables may overlap, so the section's size is no limit.
    let mut total = 0usize;
    vars.iter()
        .map(|var| {
            let located = |e: ElfError| e.in_section(section.name).of_symbol(&var.name);
            let map = read_one(btf, section, var).map_err(located)?;
            total = total.saturating_add(map.map.value_size as usize);
            if total > MAX_TOTAL {
                let m = format!("the section's variables have more than {MAX_TOTAL} bytes");
                return Err(located(ElfError::new(m)));
            }
            Ok(map)
        })
        .collect()
}

fn read_one(btf: &Btf, section: &Section<'_>, var: &Var) -> Result<SitedMap, ElfError> {
    let ty = btf.skip_typedefs_and_modifiers(var.ty);
    let Some((ty, TypeView::Struct(def))) = ty.map(|t| (t, t.view())) else {
        return Err(ElfError::new("a struct_ops variable is a struct"));
    };
    if ty.is_anon() {
        return Err(ElfError::new("a struct_ops variable has a named struct as its type"));
    }
    let size = u64::from(def.size);
    let bytes = code::range(section.data, u64::from(var.offset), size).ok_or_else(|| {
        ElfError::new(format!(
            "the variable's {size} bytes at offset {} cross the end of the section ({} bytes)",
            var.offset,
            section.data.len()
        ))
    })?;
    let optional = section.name.starts_with('?');
    let link = section.name.ends_with(".link");
    let mut map = MapDef::empty(MapKind::StructOps);
    map.name = kernel_name(&var.name);
    map.symbol = var.name.clone();
    map.map_type = BPF_MAP_TYPE_STRUCT_OPS;
    map.key_size = 4;
    map.value_size = def.size;
    map.max_entries = 1;
    map.flags = if link { BPF_F_LINK } else { 0 };
    map.btf_value_type_id = ty.id().0;
    map.autocreate = !optional;
    map.struct_ops = Some(StructOpsDef {
        type_name: essential_name(ty.name()).to_owned(),
        btf_type_id: ty.id().0,
        link,
        data: bytes.to_vec(),
        members: Vec::new(),
        kernel: None,
    });
    let site = Site { section: section.index, offset: u64::from(var.offset), size, ty: ty.id() };
    Ok(SitedMap { map, site })
}
