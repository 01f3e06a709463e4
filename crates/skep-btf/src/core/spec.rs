//! [`Spec`]: an access such as `0:1:2` as a path through types; parsed from the local side, then found again in a target.

use super::compat::{self, Side, resolve, same_kind, same_name};
use super::{Budget, CoreError, MAX_SPEC_LEN};
use crate::btf::Btf;
use crate::ext::{CoreRelo, CoreReloKind};
use crate::types::{Array, Member, Type, TypeId, TypeView};

/// One step of an access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accessor {
    /// The struct, union or enum that has the member or value; else the type of the array element.
    pub(super) ty: TypeId,
    /// Number of the member, value or element.
    pub(super) index: u32,
    /// Whether this names a member or a value, and is not an array index.
    pub(super) named: bool,
}

/// A path through types.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) btf: &'a Btf,
    pub(super) root: TypeId,
    /// Anonymous members are not in it.
    pub(super) path: Vec<Accessor>,
    /// Where the path ends, in bits from the start of the root.
    pub(super) bit_offset: u32,
}

impl<'a> Spec<'a> {
    fn new(btf: &'a Btf, root: TypeId) -> Spec<'a> {
        Spec { btf, root, path: Vec::new(), bit_offset: 0 }
    }

    fn push(&mut self, ty: TypeId, index: u32, named: bool) -> Result<(), CoreError> {
        if self.path.len() >= MAX_SPEC_LEN {
            return Err(CoreError::TooDeep);
        }
        self.path.push(Accessor { ty, index, named });
        Ok(())
    }

    /// Moves on by `index` elements of a type.
    fn advance(&mut self, index: u32, elem: TypeId) -> Result<(), CoreError> {
        let bits = self
            .btf
            .size_of(elem)?
            .checked_mul(8)
            .and_then(|bits| bits.checked_mul(u64::from(index)))
            .and_then(|bits| bits.checked_add(u64::from(self.bit_offset)))
            .and_then(|bits| u32::try_from(bits).ok());
        self.bit_offset = bits.ok_or(CoreError::TooDeep)?;
        Ok(())
    }

    /// Whether an array at the end of the path is a flexible one: the last member of its struct, with no elements.
    fn is_flexible(&self, array: Array) -> bool {
        array.nelems == 0
            && self.path.last().is_some_and(|last| {
                last.named
                    && self
                        .btf
                        .type_by_id(last.ty)
                        .is_some_and(|t| u32::from(t.vlen()).checked_sub(1) == Some(last.index))
            })
    }

    /// The member at the end of the path; `None` where it ends in an array element.
    pub(super) fn last_member(&self) -> Option<Member<'a>> {
        let last = self.path.last().filter(|last| last.named)?;
        let fields = self.btf.type_by_id(last.ty)?.as_composite()?;
        fields.members.get(last.index as usize)
    }
}

/// Parses `0:1:2`.
fn indices(text: &str) -> Option<Vec<u32>> {
    // A number more than a spec may have is enough to tell that there are too many.
    text.split(':').take(MAX_SPEC_LEN + 1).map(|n| n.parse().ok()).collect()
}

/// Parses the access of a relocation against the local types.
pub(super) fn parse<'a>(btf: &'a Btf, relo: &CoreRelo) -> Result<Spec<'a>, CoreError> {
    let access = btf.str_at(relo.access_str_off).unwrap_or("");
    let bad = |reason| CoreError::Access { root: relo.type_id, access: access.to_owned(), reason };
    let mut spec = Spec::new(btf, relo.type_id);
    if relo.kind.is_type() {
        return if access == "0" { Ok(spec) } else { Err(bad("expected \"0\" for a type")) };
    }
    let indices = indices(access).ok_or_else(|| bad("expected numbers separated by colons"))?;
    if indices.len() > MAX_SPEC_LEN {
        return Err(bad("more than 64 levels"));
    }
    let Some((&first, rest)) = indices.split_first() else { return Err(bad("is empty")) };

    let mut ty = resolve(btf, relo.type_id)?;
    if relo.kind.is_enumval() {
        let values = ty.as_enum().ok_or_else(|| bad("the root type is not an enum"))?.values;
        if !rest.is_empty() || first as usize >= values.len() {
            return Err(bad("the enum has no such value"));
        }
        spec.push(ty.id(), first, true)?;
        return Ok(spec);
    }
    spec.push(ty.id(), first, false)?;
    spec.advance(first, ty.id())?;
    for &index in rest {
        ty = step(&mut spec, ty, index, bad)?;
    }
    Ok(spec)
}

/// Takes one step of a local access; gives the type that it leads to.
fn step<'a>(
    spec: &mut Spec<'a>,
    ty: Type<'a>,
    index: u32,
    bad: impl Fn(&'static str) -> CoreError,
) -> Result<Type<'a>, CoreError> {
    match ty.view() {
        TypeView::Struct(fields) | TypeView::Union(fields) => {
            let member = fields.members.get(index as usize).ok_or_else(|| bad("no such member"))?;
            spec.bit_offset = spec
                .bit_offset
                .checked_add(member.bit_offset)
                .ok_or_else(|| bad("the offset is too large"))?;
            if !member.name.is_empty() {
                spec.push(ty.id(), index, true)?;
            }
            resolve(spec.btf, member.ty)
        }
        TypeView::Array(array) => {
            let elem = resolve(spec.btf, array.elem)?;
            if index >= array.nelems && !spec.is_flexible(array) {
                return Err(bad("the array has no such element"));
            }
            spec.push(elem.id(), index, false)?;
            spec.advance(index, elem.id())?;
            Ok(elem)
        }
        _ => Err(bad("goes into a type that is no struct, union or array")),
    }
}

/// Finds a local access in a candidate; `None` where the candidate does not have it.
pub(super) fn find<'a>(
    local: &Spec<'_>,
    kind: CoreReloKind,
    target: Side<'a>,
    budget: &mut Budget,
) -> Result<Option<Spec<'a>>, CoreError> {
    let mut spec = Spec::new(target.btf, target.id);
    if kind.is_type() {
        let from = Side { btf: local.btf, id: local.root };
        let same = if kind == CoreReloKind::TypeMatches {
            compat::matching(from, target, budget)?
        } else {
            compat::types(from, target, budget)?
        };
        return Ok(same.then_some(spec));
    }
    if kind.is_enumval() {
        return find_value(local, spec);
    }
    let mut id = target.id;
    for (depth, acc) in local.path.iter().enumerate() {
        let ty = resolve(target.btf, id)?;
        if acc.named {
            match find_member(local.btf, acc, ty.id(), &mut spec, 0, budget)? {
                Some(next) => id = next,
                None => return Ok(None),
            }
            continue;
        }
        let elem = if depth == 0 {
            // The root counts as an element of an array of itself.
            ty
        } else {
            let Some(array) = ty.as_array() else { return Ok(None) };
            if acc.index >= array.nelems && !spec.is_flexible(array) {
                return Ok(None);
            }
            resolve(target.btf, array.elem)?
        };
        spec.push(elem.id(), acc.index, false)?;
        spec.advance(acc.index, elem.id())?;
        id = elem.id();
    }
    Ok(Some(spec))
}

fn find_value<'a>(local: &Spec<'_>, mut spec: Spec<'a>) -> Result<Option<Spec<'a>>, CoreError> {
    let ty = resolve(spec.btf, spec.root)?;
    let Some(values) = ty.as_enum().map(|e| e.values) else { return Ok(None) };
    let name = local
        .path
        .first()
        .and_then(|acc| {
            let e = local.btf.type_by_id(acc.ty)?.as_enum()?;
            e.values.get(acc.index as usize)
        })
        .map_or("", |v| v.name);
    let Some(at) = values.iter().position(|v| same_name(v.name, name)) else { return Ok(None) };
    // A vlen has 16 bits, so a position fits.
    spec.push(ty.id(), at as u32, true)?;
    Ok(Some(spec))
}

/// Searches a target struct, and the anonymous ones in it, for a local member. Extends the path and gives the member's type.
fn find_member(
    local_btf: &Btf,
    local: &Accessor,
    target: TypeId,
    spec: &mut Spec<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<Option<TypeId>, CoreError> {
    let ty = resolve(spec.btf, target)?;
    let Some(fields) = ty.as_composite() else { return Ok(None) };
    let wanted = local_btf
        .type_by_id(local.ty)
        .and_then(|t| t.as_composite())
        .and_then(|c| c.members.get(local.index as usize))
        .ok_or(CoreError::TooDeep)?;
    if depth + spec.path.len() >= MAX_SPEC_LEN {
        return Err(CoreError::TooDeep);
    }
    for (index, member) in fields.members.iter().enumerate() {
        budget.step()?;
        let before = spec.bit_offset;
        spec.bit_offset = before.checked_add(member.bit_offset).ok_or(CoreError::TooDeep)?;
        if member.name.is_empty() {
            let found = find_member(local_btf, local, member.ty, spec, depth + 1, budget)?;
            if found.is_some() {
                return Ok(found);
            }
        } else if member.name == wanted.name {
            let same = compat::fields(
                Side { btf: local_btf, id: wanted.ty },
                Side { btf: spec.btf, id: member.ty },
            )?;
            if !same {
                spec.bit_offset = before;
                return Ok(None);
            }
            spec.push(ty.id(), index as u32, true)?;
            return Ok(Some(member.ty));
        }
        spec.bit_offset = before;
    }
    Ok(None)
}

/// The types of a target that a local root type may mean: same kind, same name up to flavors.
pub(super) fn candidates<'a>(root: Type<'_>, target: &'a Btf) -> Vec<Side<'a>> {
    let name = crate::btf::essential_name(root.name());
    target
        .ids_by_essential_name(name)
        .filter(|&id| id >= target.first_own_id())
        .filter(|&id| target.type_by_id(id).is_some_and(|t| same_kind(t.kind(), root.kind())))
        .map(|id| Side { btf: target, id })
        .collect()
}
