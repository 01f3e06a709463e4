//! Whether two declarations of a name agree.
//!
//! Types must be the same in all that code depends on: kinds, names of structures, sizes, members and their places.
//! Behind a pointer, names are enough, and a forward declaration stands for its structure.

use skep_btf::{Btf, Composite, FuncLinkage, FwdKind, TypeId, TypeView, VarLinkage};

use crate::btf_maps;

/// How deep types are followed.
const MAX_DEPTH: u32 = 64;
/// How many types are looked at.
const MAX_STEPS: u32 = 1 << 20;

/// A type in its set.
type Side<'a> = (&'a Btf, TypeId);

/// Whether members matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Exact,
    /// Behind a pointer.
    Shape,
}

/// Compares two variables or functions.
pub(super) fn declarations(a: Side<'_>, b: Side<'_>) -> Result<(), String> {
    compare(a, b, Depth::Exact, MAX_DEPTH, &mut MAX_STEPS.clone())
}

/// Compares two map definitions: all attributes must be given and equal.
pub(super) fn maps(a: Side<'_>, b: Side<'_>) -> Result<(), String> {
    let parse = |(btf, id): Side<'_>| btf_maps::parse_var(btf, id).map_err(|e| e.to_string());
    let (x, y) = (parse(a)?, parse(b)?);
    attributes(&x, &y)?;
    let mut steps = MAX_STEPS;
    for (key, other) in
        [(x.btf_key_type_id, y.btf_key_type_id), (x.btf_value_type_id, y.btf_value_type_id)]
    {
        compare((a.0, TypeId(key)), (b.0, TypeId(other)), Depth::Exact, MAX_DEPTH, &mut steps)?;
    }
    match (&x.inner, &y.inner) {
        (None, None) => Ok(()),
        (Some(x), Some(y)) => attributes(x, y),
        _ => Err("one has an inner map, the other has none".to_owned()),
    }
}

fn attributes(x: &crate::model::MapDef, y: &crate::model::MapDef) -> Result<(), String> {
    let list = |m: &crate::model::MapDef| {
        [
            ("type", u64::from(m.map_type)),
            ("key size", u64::from(m.key_size)),
            ("value size", u64::from(m.value_size)),
            ("max_entries", u64::from(m.max_entries)),
            ("map_flags", u64::from(m.flags)),
            ("numa_node", u64::from(m.numa_node)),
            ("map_extra", m.map_extra),
            ("pinning", u64::from(m.pinning == crate::model::Pinning::ByName)),
        ]
    };
    for ((name, a), (_, b)) in list(x).into_iter().zip(list(y)) {
        if a != b {
            return Err(format!("map attribute {name} is {a} and {b}"));
        }
    }
    Ok(())
}

fn compare(
    a: Side<'_>,
    b: Side<'_>,
    depth: Depth,
    level: u32,
    steps: &mut u32,
) -> Result<(), String> {
    let (mut a, mut b, mut depth) = (a, b, depth);
    loop {
        *steps = steps.checked_sub(1).ok_or_else(|| "types are too large to compare".to_owned())?;
        let (Some(x), Some(y)) =
            (a.0.skip_typedefs_and_modifiers(a.1), b.0.skip_typedefs_and_modifiers(b.1))
        else {
            return Err("a type refers to itself".to_owned());
        };
        let names = |what: &str| {
            if x.name() == y.name() {
                Ok(())
            } else {
                Err(format!("{what} '{}' and '{}'", x.name(), y.name()))
            }
        };
        let kinds = || Err(format!("kinds {} and {}", x.kind(), y.kind()));
        // What the next turn compares.
        let (next_a, next_b) = match (x.view(), y.view()) {
            (TypeView::Void, TypeView::Void) => return Ok(()),
            (TypeView::Fwd(_), TypeView::Fwd(_)) => return names("forward declarations"),
            (TypeView::Fwd(FwdKind::Struct), TypeView::Struct(_))
            | (TypeView::Struct(_), TypeView::Fwd(FwdKind::Struct))
            | (TypeView::Fwd(FwdKind::Union), TypeView::Union(_))
            | (TypeView::Union(_), TypeView::Fwd(FwdKind::Union))
                if depth == Depth::Shape =>
            {
                return names("forward declaration and structure");
            }
            (TypeView::Int(p), TypeView::Int(q)) => return sizes(p.size, q.size),
            (TypeView::Float(p), TypeView::Float(q)) => return sizes(p, q),
            (TypeView::Enum(p), TypeView::Enum(q)) | (TypeView::Enum64(p), TypeView::Enum64(q)) => {
                names("enums")?;
                return sizes(p.size, q.size);
            }
            (TypeView::Ptr(p), TypeView::Ptr(q)) => {
                depth = Depth::Shape;
                (p, q)
            }
            (TypeView::Array(p), TypeView::Array(q)) => (p.elem, q.elem),
            (
                TypeView::Func { proto: p, linkage: lp },
                TypeView::Func { proto: q, linkage: lq },
            ) => {
                names("functions")?;
                if (lp == FuncLinkage::Static) != (lq == FuncLinkage::Static) {
                    return Err("one is static".to_owned());
                }
                (p, q)
            }
            (TypeView::Var { ty: p, linkage: lp }, TypeView::Var { ty: q, linkage: lq }) => {
                names("variables")?;
                if (lp == VarLinkage::Static) != (lq == VarLinkage::Static) {
                    return Err("one is static".to_owned());
                }
                (p, q)
            }
            (TypeView::Struct(p), TypeView::Struct(q))
            | (TypeView::Union(p), TypeView::Union(q)) => {
                names("structures")?;
                if depth == Depth::Shape {
                    return Ok(());
                }
                return members((a.0, p), (b.0, q), level, steps);
            }
            (TypeView::FuncProto(p), TypeView::FuncProto(q)) => {
                if p.params.len() != q.params.len() {
                    return Err(format!("{} and {} parameters", p.params.len(), q.params.len()));
                }
                let level = deeper(level)?;
                for (p, q) in p.params.iter().zip(q.params.iter()) {
                    compare((a.0, p.ty), (b.0, q.ty), depth, level, steps)?;
                }
                (p.ret, q.ret)
            }
            _ => return kinds(),
        };
        a.1 = next_a;
        b.1 = next_b;
    }
}

fn deeper(level: u32) -> Result<u32, String> {
    level.checked_sub(1).ok_or_else(|| "types are nested too deeply".to_owned())
}

fn sizes(a: u32, b: u32) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(format!("sizes {a} and {b}")) }
}

fn members(
    (a, p): (&Btf, Composite<'_>),
    (b, q): (&Btf, Composite<'_>),
    level: u32,
    steps: &mut u32,
) -> Result<(), String> {
    if p.members.len() != q.members.len() {
        return Err(format!("{} and {} members", p.members.len(), q.members.len()));
    }
    let level = deeper(level)?;
    for (p, q) in p.members.iter().zip(q.members.iter()) {
        if p.name != q.name || p.bit_offset != q.bit_offset {
            return Err(format!(
                "member '{}' at bit {} and '{}' at bit {}",
                p.name, p.bit_offset, q.name, q.bit_offset
            ));
        }
        compare((a, p.ty), (b, q.ty), Depth::Exact, level, steps)
            .map_err(|e| format!("member '{}': {e}", p.name))?;
    }
    Ok(())
}
