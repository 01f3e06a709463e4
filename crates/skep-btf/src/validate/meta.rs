//! Rules about one type by itself: names, sizes, flags, offsets.

use super::{at, fault, id_in_range, rule};
use crate::error::{BtfError, TypeFault};
use crate::types::{Composite, Datasec, Enum, Int, Kind, Type, TypeView};

/// `KSYM_NAME_LEN`
const MAX_NAME: usize = 512;
/// Bits of `info` that mean something.
const INFO_MASK: u32 = 0x9f00_ffff;

/// A C identifier; compilers also make names with dots.
pub(super) fn is_identifier(name: &str) -> bool {
    let ok = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'.';
    !name.is_empty()
        && name.len() < MAX_NAME
        && !name.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && name.bytes().all(ok)
}

fn is_section(name: &str) -> bool {
    !name.is_empty() && name.len() < MAX_NAME && name.bytes().all(|c| (0x20..0x7f).contains(&c))
}

/// Whether a type may, must or must not have a name.
enum Naming {
    None,
    Maybe,
    Must,
    Section,
    Text,
    Free,
}

/// Checks one type.
pub(super) fn check(ty: Type<'_>) -> Result<(), BtfError> {
    if ty.info() & !INFO_MASK != 0 {
        return Err(rule(ty, "Invalid btf_info"));
    }
    let kind = ty.kind();
    if !has_vlen(kind) && ty.vlen() != 0 {
        return Err(rule(ty, "vlen != 0"));
    }
    if ty.kind_flag() && !may_have_flag(kind) {
        return Err(rule(ty, "Invalid btf_info kind_flag"));
    }
    let name = ty.name();
    let name_is_right = match naming(kind) {
        Naming::None => ty.name_off() == 0,
        Naming::Maybe => ty.name_off() == 0 || is_identifier(name),
        Naming::Must => is_identifier(name),
        Naming::Section => is_section(name),
        Naming::Text => !name.is_empty(),
        Naming::Free => true,
    };
    if !name_is_right {
        return Err(rule(ty, "Invalid name"));
    }
    if ty.referenced().is_some_and(|id| !id_in_range(id)) {
        return Err(rule(ty, "Invalid type_id"));
    }
    match ty.view() {
        TypeView::Int(int) => check_int(ty, int),
        TypeView::Array(array) => {
            if ty.size_or_type() != 0 {
                return Err(rule(ty, "size != 0"));
            }
            if array.elem.is_void() || !id_in_range(array.elem) {
                return Err(rule(ty, "Invalid elem"));
            }
            if array.index.is_void() || !id_in_range(array.index) {
                return Err(rule(ty, "Invalid index"));
            }
            Ok(())
        }
        TypeView::Struct(fields) | TypeView::Union(fields) => check_members(ty, fields),
        TypeView::Enum(e) | TypeView::Enum64(e) => check_values(ty, e),
        TypeView::Fwd(_) if ty.size_or_type() != 0 => Err(rule(ty, "type != 0")),
        TypeView::Func { .. } if ty.vlen() > 1 => Err(rule(ty, "Invalid func linkage")),
        TypeView::Var { ty: of, linkage } => {
            if of.is_void() {
                return Err(rule(ty, "Invalid type_id"));
            }
            if linkage.raw() > 1 {
                return Err(rule(ty, "Linkage not supported"));
            }
            Ok(())
        }
        TypeView::Datasec(sec) => check_datasec(ty, sec),
        TypeView::Float(size) if !matches!(size, 2 | 4 | 8 | 12 | 16) => {
            Err(rule(ty, "Invalid type_size"))
        }
        TypeView::DeclTag { component: Some(index), .. } if index > i32::MAX as u32 => {
            Err(rule(ty, "Invalid component_idx"))
        }
        TypeView::Void
        | TypeView::Ptr(_)
        | TypeView::Fwd(_)
        | TypeView::Typedef(_)
        | TypeView::Volatile(_)
        | TypeView::Const(_)
        | TypeView::Restrict(_)
        | TypeView::Func { .. }
        | TypeView::FuncProto(_)
        | TypeView::Float(_)
        | TypeView::DeclTag { .. }
        | TypeView::TypeTag(_) => Ok(()),
    }
}

fn has_vlen(kind: Kind) -> bool {
    kind.is_composite()
        || kind.is_enum()
        || matches!(kind, Kind::FuncProto | Kind::Datasec | Kind::Func)
}

fn may_have_flag(kind: Kind) -> bool {
    kind.is_composite()
        || kind.is_enum()
        || matches!(kind, Kind::Fwd | Kind::DeclTag | Kind::TypeTag)
}

fn naming(kind: Kind) -> Naming {
    match kind {
        Kind::Void
        | Kind::Ptr
        | Kind::Array
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto => Naming::None,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => Naming::Maybe,
        Kind::Fwd | Kind::Typedef | Kind::Func | Kind::Var => Naming::Must,
        Kind::Datasec => Naming::Section,
        Kind::DeclTag | Kind::TypeTag => Naming::Text,
        Kind::Int | Kind::Float => Naming::Free,
    }
}

fn check_int(ty: Type<'_>, int: Int) -> Result<(), BtfError> {
    let data = ty.tail_words().first().copied().unwrap_or(0);
    if data & 0xf000_0000 != 0 {
        return Err(rule(ty, "Invalid int_data"));
    }
    let bits = u32::from(int.bits) + u32::from(int.bit_offset);
    if bits > 128 {
        return Err(rule(ty, "nr_bits exceeds 128"));
    }
    if bits.div_ceil(8) > int.size {
        return Err(rule(ty, "nr_bits exceeds type_size"));
    }
    if !matches!(int.encoding, 0 | Int::SIGNED | Int::CHAR | Int::BOOL) {
        return Err(fault(ty, TypeFault::Unsupported("Unsupported encoding")));
    }
    Ok(())
}

fn check_members(ty: Type<'_>, fields: Composite<'_>) -> Result<(), BtfError> {
    let mut last = 0;
    for (index, (m, words)) in
        fields.members.iter().zip(ty.tail_words().chunks_exact(3)).enumerate()
    {
        let bad = |text| Err(at(ty, index, m.name, text));
        if words.first() != Some(&0) && !is_identifier(m.name) {
            return bad("Invalid name");
        }
        if m.ty.is_void() || !id_in_range(m.ty) {
            return bad("Invalid type_id");
        }
        if m.bit_offset < last || (ty.kind() == Kind::Union && m.bit_offset != 0) {
            return bad("Invalid member bits_offset");
        }
        if m.bit_offset.div_ceil(8) > fields.size {
            return bad("Member bits_offset exceeds its struct size");
        }
        last = m.bit_offset;
    }
    Ok(())
}

fn check_values(ty: Type<'_>, e: Enum<'_>) -> Result<(), BtfError> {
    if e.size > 8 || !e.size.is_power_of_two() {
        return Err(rule(ty, "Unexpected size"));
    }
    match e.values.iter().enumerate().find(|(_, v)| !is_identifier(v.name)) {
        Some((index, v)) => Err(at(ty, index, v.name, "Invalid name")),
        None => Ok(()),
    }
}

fn check_datasec(ty: Type<'_>, sec: Datasec<'_>) -> Result<(), BtfError> {
    if sec.size == 0 {
        return Err(rule(ty, "size == 0"));
    }
    let mut end = 0u64;
    let mut sum = 0u64;
    for (index, var) in sec.vars.iter().enumerate() {
        let name = ty.btf().type_by_id(var.ty).map_or("", |t| t.name());
        let bad = |text| Err(at(ty, index, name, text));
        if var.ty.is_void() || !id_in_range(var.ty) {
            return bad("Invalid type_id");
        }
        if u64::from(var.offset) < end || var.offset >= sec.size {
            return bad("Invalid offset");
        }
        if var.size == 0 || var.size > sec.size {
            return bad("Invalid size");
        }
        end = u64::from(var.offset) + u64::from(var.size);
        if end > u64::from(sec.size) {
            return bad("Invalid offset+size");
        }
        sum += u64::from(var.size);
    }
    if u64::from(sec.size) < sum {
        return Err(rule(ty, "Invalid btf_info size"));
    }
    Ok(())
}
