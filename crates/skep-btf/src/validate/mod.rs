//! The kernel's rules for BTF that `BPF_BTF_LOAD` accepts: [`load`] for bytes, [`types`] for a parsed set.
//!
//! - `meta`: each type by itself.
//! - `resolve`: what types refer to; cycles and depth.
//!
//! The rules about locks, timers and kernel pointers in structs are apart, in `fields`.
//!
//! Source: kernel/bpf/btf.c of Linux 6.18 (`btf_parse_hdr`, `btf_check_all_metas`, `btf_check_all_types`,
//! `btf_check_type_tags`).

mod meta;
mod resolve;

use std::sync::Arc;

use crate::btf::Btf;
use crate::error::{BtfError, HeaderFault, TypeFault};
use crate::parse::{Foreign, HEADER_LEN, ParseOptions, common_header, word_at};
use crate::types::{Kind, Type, TypeId};

/// `BTF_MAX_TYPE`
const MAX_TYPE: u32 = 0xf_ffff;
/// `BTF_MAX_NAME_OFFSET`
const MAX_NAME_OFFSET: u32 = 0xff_ffff;

/// Parses and checks bytes as `BPF_BTF_LOAD` does: host byte order, sections without holes or overlap, every type right.
///
/// # Errors
/// [`BtfError`], whose [`BtfError::errno`] is the kernel's.
pub fn load(data: &[u8], base: Option<Arc<Btf>>) -> Result<Btf, BtfError> {
    header(data, base.is_some())?;
    let btf = Btf::parse_with(data, ParseOptions { base, foreign: Foreign::Reject })?;
    types(&btf)?;
    Ok(btf)
}

/// Checks the own types of a set.
///
/// # Errors
/// [`BtfError::Type`] for the first type that breaks a rule.
pub fn types(btf: &Btf) -> Result<(), BtfError> {
    if btf.next_id() > MAX_TYPE + 1 {
        return Err(HeaderFault::TooManyTypes.into());
    }
    for ty in btf.own_types() {
        meta::check(ty)?;
    }
    resolve::check(btf)?;
    tags(btf)
}

/// The layout of the sections.
fn header(data: &[u8], split: bool) -> Result<(), BtfError> {
    let (order, hdr_len) = common_header(data, HEADER_LEN, HEADER_LEN, Foreign::Reject)?;
    let field = |at| u64::from(word_at(data, at, order).unwrap_or(0));
    let (type_off, type_len, str_off, str_len) = (field(8), field(12), field(16), field(20));
    let body = (data.len() - hdr_len) as u64;
    let layout = |what| Err(HeaderFault::Layout(what).into());
    if body == 0 && !split {
        return layout("No data");
    }
    let mut sections = [(type_off, type_len), (str_off, str_len)];
    sections.sort_by_key(|s| s.0);
    let mut end = 0;
    for (off, len) in sections {
        if off < end {
            return layout("Section overlap found");
        }
        if off > end {
            return layout("Unsupported section found");
        }
        end = off + len;
        if end > body {
            return layout("Total section length too long");
        }
    }
    if end < body {
        return layout("Unsupported section found");
    }
    if type_len == 0 && !split {
        return Err(HeaderFault::NoTypes.into());
    }
    if str_off + str_len != body {
        return layout("String section is not at the end");
    }
    if str_len > u64::from(MAX_NAME_OFFSET) {
        return Err(HeaderFault::Strings("is too long").into());
    }
    Ok(())
}

/// Type tags come before other modifiers of what a pointer points to.
fn tags(btf: &Btf) -> Result<(), BtfError> {
    let passes = |kind: Kind| kind.is_modifier() || kind == Kind::Typedef;
    for ty in btf.own_types() {
        let mut at = ty;
        let mut others = false;
        // The depth was checked; cycles are gone.
        while passes(at.kind()) {
            if at.kind() == Kind::TypeTag {
                if others {
                    return Err(rule(at, "Type tags don't precede modifiers"));
                }
            } else {
                others = true;
            }
            at = btf.get(at.referenced().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// A broken rule of one type.
fn rule(ty: Type<'_>, text: &'static str) -> BtfError {
    fault(ty, TypeFault::Rule(text))
}

fn fault(ty: Type<'_>, fault: TypeFault) -> BtfError {
    BtfError::Type { id: ty.id(), kind: Some(ty.kind()), name: ty.name().to_owned(), fault }
}

/// A broken rule at one member, value, parameter or variable.
fn at(ty: Type<'_>, index: usize, name: &str, rule: &'static str) -> BtfError {
    fault(ty, TypeFault::At { index, name: name.to_owned(), rule })
}

fn id_in_range(id: TypeId) -> bool {
    id.0 <= MAX_TYPE
}
