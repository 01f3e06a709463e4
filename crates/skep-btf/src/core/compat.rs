//! When a local type and a target type count as the same: three relations of increasing strictness.
//!
//! - [`fields`]: a field may be read as the other (names and sizes do not matter much).
//! - [`types`]: the kinds agree along pointers, arrays and prototypes.
//! - [`matching`]: names, members, values and signs agree too.

use super::{Budget, CoreError};
use crate::btf::{Btf, essential_name};
use crate::types::{Enum, FwdKind, Kind, Type, TypeId, TypeView};

/// How deep prototypes and structs are followed, and how long one chain of references may be (libbpf: 32).
const MAX_DEPTH: u32 = 32;

/// A type in its set.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) btf: &'a Btf,
    pub(super) id: TypeId,
}

impl<'a> Side<'a> {
    fn to(self, id: TypeId) -> Side<'a> {
        Side { id, ..self }
    }

    /// Past typedefs and modifiers.
    fn resolve(self) -> Result<Type<'a>, CoreError> {
        resolve(self.btf, self.id)
    }
}

/// The type past typedefs and modifiers.
pub(super) fn resolve(btf: &Btf, id: TypeId) -> Result<Type<'_>, CoreError> {
    btf.get(id)?;
    btf.skip_typedefs_and_modifiers(id).ok_or(CoreError::TooDeep)
}

/// Same kind; the two kinds of enum count as one.
pub(super) fn same_kind(a: Kind, b: Kind) -> bool {
    a == b || (a.is_enum() && b.is_enum())
}

/// Same name up to flavors.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    essential_name(a) == essential_name(b)
}

/// Whether a local field can stand for a target's.
pub(super) fn fields(mut local: Side<'_>, mut target: Side<'_>) -> Result<bool, CoreError> {
    // Each turn goes one array deeper.
    for _ in 0..MAX_DEPTH {
        let (l, t) = (local.resolve()?, target.resolve()?);
        if l.kind().is_composite() && t.kind().is_composite() {
            return Ok(true);
        }
        if !same_kind(l.kind(), t.kind()) {
            return Ok(false);
        }
        match (l.view(), t.view()) {
            (TypeView::Ptr(_), _) | (TypeView::Float(_), _) => return Ok(true),
            (TypeView::Fwd(_) | TypeView::Enum(_) | TypeView::Enum64(_), _) => {
                return Ok(l.is_anon() || t.is_anon() || same_name(l.name(), t.name()));
            }
            (TypeView::Int(a), TypeView::Int(b)) => {
                return Ok(a.bit_offset == 0 && b.bit_offset == 0);
            }
            (TypeView::Array(a), TypeView::Array(b)) => {
                local = local.to(a.elem);
                target = target.to(b.elem);
            }
            _ => return Ok(false),
        }
    }
    Err(CoreError::TooDeep)
}

/// Whether two types of the same name are compatible (`bpf_core_type_exists` and its like).
pub(super) fn types(
    local: Side<'_>,
    target: Side<'_>,
    budget: &mut Budget,
) -> Result<bool, CoreError> {
    // Before typedefs are looked through, the roots must be of one kind.
    if !same_kind(local.btf.get(local.id)?.kind(), target.btf.get(target.id)?.kind()) {
        return Ok(false);
    }
    types_at(local, target, MAX_DEPTH, budget)
}

/// Whether a local type stands for the target's of the same name: what is asked of typed kernel symbols
/// (`bpf_core_types_are_compat` of libbpf).
///
/// # Errors
/// [`CoreError`] where a type is broken or nested too deeply.
pub fn types_compatible(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    let (local, target) = (Side { btf: local, id: local_id }, Side { btf: target, id: target_id });
    types(local, target, &mut Budget::new())
}

fn types_at(
    mut local: Side<'_>,
    mut target: Side<'_>,
    level: u32,
    budget: &mut Budget,
) -> Result<bool, CoreError> {
    for _ in 0..MAX_DEPTH {
        budget.step()?;
        let (l, t) = (local.resolve()?, target.resolve()?);
        if !same_kind(l.kind(), t.kind()) {
            return Ok(false);
        }
        match (l.view(), t.view()) {
            (
                TypeView::Void
                | TypeView::Struct(_)
                | TypeView::Union(_)
                | TypeView::Enum(_)
                | TypeView::Enum64(_)
                | TypeView::Fwd(_),
                _,
            ) => return Ok(true),
            (TypeView::Int(a), TypeView::Int(b)) => {
                return Ok(a.bit_offset == 0 && b.bit_offset == 0);
            }
            (TypeView::Ptr(a), TypeView::Ptr(b)) => {
                local = local.to(a);
                target = target.to(b);
            }
            (TypeView::Array(a), TypeView::Array(b)) => {
                local = local.to(a.elem);
                target = target.to(b.elem);
            }
            (TypeView::FuncProto(a), TypeView::FuncProto(b)) => {
                if a.params.len() != b.params.len() {
                    return Ok(false);
                }
                let next = level.checked_sub(1).ok_or(CoreError::TooDeep)?;
                for (pa, pb) in a.params.iter().zip(b.params.iter()) {
                    if !types_at(local.to(pa.ty), target.to(pb.ty), next, budget)? {
                        return Ok(false);
                    }
                }
                local = local.to(a.ret);
                target = target.to(b.ret);
            }
            _ => return Ok(false),
        }
    }
    Err(CoreError::TooDeep)
}

/// Whether a struct is reached directly or through a pointer, where its members no longer matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    Directly,
    BehindPointer,
}

/// Whether two types agree in detail (`bpf_core_type_matches`).
pub(super) fn matching(
    local: Side<'_>,
    target: Side<'_>,
    budget: &mut Budget,
) -> Result<bool, CoreError> {
    matching_at(local, target, Reached::Directly, MAX_DEPTH, budget)
}

fn matching_at(
    mut local: Side<'_>,
    mut target: Side<'_>,
    mut reached: Reached,
    level: u32,
    budget: &mut Budget,
) -> Result<bool, CoreError> {
    let next = level.checked_sub(1).ok_or(CoreError::TooDeep)?;
    for _ in 0..MAX_DEPTH {
        budget.step()?;
        let (l, t) = (local.resolve()?, target.resolve()?);
        if !same_name(l.name(), t.name()) {
            return Ok(false);
        }
        match (l.view(), t.view()) {
            (TypeView::Void, TypeView::Void) => return Ok(true),
            (TypeView::Fwd(a), TypeView::Fwd(b)) => return Ok(a == b),
            (TypeView::Fwd(a), TypeView::Struct(_)) => {
                return Ok(reached == Reached::BehindPointer && a == FwdKind::Struct);
            }
            (TypeView::Fwd(a), TypeView::Union(_)) => {
                return Ok(reached == Reached::BehindPointer && a == FwdKind::Union);
            }
            (TypeView::Enum(a) | TypeView::Enum64(a), TypeView::Enum(b) | TypeView::Enum64(b)) => {
                return enums_match(a, b, budget);
            }
            (TypeView::Struct(_), TypeView::Fwd(b)) => {
                return Ok(reached == Reached::BehindPointer && b == FwdKind::Struct);
            }
            (TypeView::Union(_), TypeView::Fwd(b)) => {
                return Ok(reached == Reached::BehindPointer && b == FwdKind::Union);
            }
            (TypeView::Struct(a), TypeView::Struct(b))
            | (TypeView::Union(a), TypeView::Union(b)) => {
                if reached == Reached::BehindPointer {
                    return Ok(true);
                }
                if a.members.len() > b.members.len() {
                    return Ok(false);
                }
                for ma in a.members.iter() {
                    let mut found = false;
                    for mb in b.members.iter() {
                        budget.step()?;
                        if same_name(ma.name, mb.name)
                            && matching_at(
                                local.to(ma.ty),
                                target.to(mb.ty),
                                reached,
                                next,
                                budget,
                            )?
                        {
                            found = true;
                            break;
                        }
                    }
                    if !found {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            (TypeView::Int(a), TypeView::Int(b)) => {
                return Ok(a.size == b.size && a.is_signed() == b.is_signed());
            }
            (TypeView::Ptr(a), TypeView::Ptr(b)) => {
                reached = Reached::BehindPointer;
                local = local.to(a);
                target = target.to(b);
            }
            (TypeView::Array(a), TypeView::Array(b)) => {
                if a.nelems != b.nelems {
                    return Ok(false);
                }
                local = local.to(a.elem);
                target = target.to(b.elem);
            }
            (TypeView::FuncProto(a), TypeView::FuncProto(b)) => {
                if a.params.len() != b.params.len() {
                    return Ok(false);
                }
                for (pa, pb) in a.params.iter().zip(b.params.iter()) {
                    let (pl, pt) = (local.to(pa.ty), target.to(pb.ty));
                    if !matching_at(pl, pt, reached, next, budget)? {
                        return Ok(false);
                    }
                }
                local = local.to(a.ret);
                target = target.to(b.ret);
            }
            _ => return Ok(false),
        }
    }
    Err(CoreError::TooDeep)
}

fn enums_match(a: Enum<'_>, b: Enum<'_>, budget: &mut Budget) -> Result<bool, CoreError> {
    if a.size != b.size || a.values.len() > b.values.len() {
        return Ok(false);
    }
    for va in a.values.iter() {
        let mut found = false;
        for vb in b.values.iter() {
            budget.step()?;
            if same_name(va.name, vb.name) {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}
