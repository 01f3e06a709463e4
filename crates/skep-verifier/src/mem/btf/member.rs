//! What lies in a structure at an offset: [`find`], and whether one type begins another: [`begins_with`].
//!
//! Pure functions of a [`Btf`]. Neighbours: `access` asks for what a load yields, `call/` whether an argument fits.

use crate::reject::BtfReject;
use crate::state::PtrFlags;
use skep_btf::{Btf, Composite, Kind, Type, TypeId, TypeView};

/// Structures nested in one another are followed so deep; BTF that is valid nests less.
const MAX_DEPTH: usize = 64;

/// Bytes of a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// First.
    pub(crate) off: u32,
    /// How many.
    pub(crate) size: u32,
}

impl Span {
    fn end(self) -> u64 {
        u64::from(self.off) + u64::from(self.size)
    }
}

/// Whether an array of no elements at the end of a structure goes on behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flexible {
    /// It does: the kernel's own structures are allocated with it.
    Yes,
    /// It does not.
    No,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found<'a> {
    /// Bytes that are a number.
    Scalar,
    /// A pointer to a structure.
    Pointer {
        /// To which.
        to: TypeId,
        /// What its tags say, and whether unions on the way make it untrusted.
        flags: PtrFlags,
        /// Name of the member.
        member: &'a str,
    },
    /// A pointer to something else.
    LeafPointer,
}

/// Where one step into a structure leads.
enum Step<'a> {
    Done(Found<'a>),
    /// To the start of a nested structure.
    Into(TypeId),
}

/// What lies in structure `id` at some bytes (`btf_struct_access`).
///
/// # Errors
/// [`BtfReject`] with the message of the kernel.
pub(crate) fn find(
    btf: &Btf,
    id: TypeId,
    at: Span,
    flexible: Flexible,
) -> Result<Found<'_>, BtfReject> {
    let mut flags = PtrFlags::NONE;
    let (mut id, mut at) = (id, at);
    for _ in 0..MAX_DEPTH {
        match step(btf, id, at, flexible, &mut flags)? {
            Step::Done(found) => return Ok(found),
            Step::Into(inner) => {
                id = inner;
                at.off = 0;
            }
        }
    }
    Err(BtfReject::NotAStruct { name: name_of(btf, id) })
}

/// Whether a pointer to `id` plus an offset points to a `need` too (`btf_struct_ids_match` without `strict`).
pub(crate) fn begins_with(
    btf: &Btf,
    id: TypeId,
    off: u32,
    flexible: Flexible,
    need: impl Fn(TypeId) -> bool,
) -> bool {
    if off == 0 && need(id) {
        return true;
    }
    let (mut id, mut off) = (id, off);
    let mut flags = PtrFlags::NONE;
    for _ in 0..MAX_DEPTH {
        match step(btf, id, Span { off, size: 1 }, flexible, &mut flags) {
            Ok(Step::Into(inner)) if need(inner) => return true,
            Ok(Step::Into(inner)) => {
                id = inner;
                off = 0;
            }
            Ok(Step::Done(_)) | Err(_) => return false,
        }
    }
    false
}

/// A type's name.
pub(crate) fn name_of(btf: &Btf, id: TypeId) -> String {
    btf.type_by_id(id).map(|t| t.name().to_owned()).unwrap_or_default()
}

/// A member's type with its modifiers gone, linearised if it is an array.
struct Shape<'a> {
    /// The element of an array, or the type itself.
    one: Type<'a>,
    /// Elements; `None` if it is no array.
    count: Option<u64>,
    /// Bytes of all of it.
    size: u64,
}

fn shape(btf: &Btf, id: TypeId) -> Option<Shape<'_>> {
    let mut ty = btf.skip_typedefs_and_modifiers(id)?;
    let mut count: Option<u64> = None;
    for _ in 0..MAX_DEPTH {
        let TypeView::Array(array) = ty.view() else {
            let one = btf.size_of(ty.id()).ok()?;
            let size = one.checked_mul(count.unwrap_or(1))?;
            u32::try_from(size).ok()?;
            return Some(Shape { one: ty, count, size });
        };
        count = Some(count.unwrap_or(1).checked_mul(array.nelems.into())?);
        ty = btf.skip_typedefs_and_modifiers(array.elem)?;
    }
    None
}

fn as_struct<'a>(ty: &Type<'a>) -> Option<Composite<'a>> {
    matches!(ty.kind(), Kind::Struct | Kind::Union).then(|| ty.as_composite()).flatten()
}

// SOUND: bytes are given the type of the member that they lie in; those of no member, or of parts of several, are
// refused. What a union holds is not known, so a pointer from one is untrusted.
fn step<'a>(
    btf: &'a Btf,
    id: TypeId,
    at: Span,
    flexible: Flexible,
    flags: &mut PtrFlags,
) -> Result<Step<'a>, BtfReject> {
    let (mut id, mut at) = (id, at);
    for _ in 0..MAX_DEPTH {
        let ty = btf.skip_typedefs_and_modifiers(id);
        let (Some(ty), Some(def)) = (ty, ty.as_ref().and_then(as_struct)) else {
            return Err(BtfReject::NotAStruct { name: name_of(btf, id) });
        };
        if ty.kind() == Kind::Union && def.members.len() != 1 {
            *flags = flags.with(PtrFlags::UNTRUSTED);
        }
        if at.end() > u64::from(def.size) {
            match behind(btf, &def, at, flexible) {
                Some(Behind::Number) => return Ok(Step::Done(Found::Scalar)),
                Some(Behind::Element { ty, off }) => {
                    id = ty;
                    at.off = off;
                    continue;
                }
                None => {
                    let name = ty.name().to_owned();
                    return Err(BtfReject::BeyondStruct { name, off: at.off, size: at.size });
                }
            }
        }
        match in_members(btf, &ty, &def, at, flags)? {
            Inner::Done(step) => return Ok(step),
            Inner::Deeper { ty, off } => {
                id = ty;
                at.off = off;
            }
        }
    }
    Err(BtfReject::NotAStruct { name: name_of(btf, id) })
}

enum Behind {
    Number,
    Element { ty: TypeId, off: u32 },
}

/// What lies behind the end of a structure whose last member is an array of any length.
fn behind(btf: &Btf, def: &Composite<'_>, at: Span, flexible: Flexible) -> Option<Behind> {
    if flexible == Flexible::No {
        return None;
    }
    let last = def.members.get(def.members.len().checked_sub(1)?)?;
    let array = btf.skip_typedefs_and_modifiers(last.ty)?.as_array()?;
    let off = at.off.checked_sub(last.bit_offset / 8)?;
    if array.nelems != 0 {
        return None;
    }
    let elem = btf.skip_typedefs_and_modifiers(array.elem)?;
    if elem.kind() == Kind::Int {
        return Some(Behind::Number);
    }
    let size = as_struct(&elem)?.size;
    Some(Behind::Element { ty: elem.id(), off: off.checked_rem(size)? })
}

enum Inner<'a> {
    Done(Step<'a>),
    Deeper { ty: TypeId, off: u32 },
}

fn in_members<'a>(
    btf: &'a Btf,
    ty: &Type<'a>,
    def: &Composite<'a>,
    at: Span,
    flags: &mut PtrFlags,
) -> Result<Inner<'a>, BtfReject> {
    let off = u64::from(at.off);
    let scalar = Ok(Inner::Done(Step::Done(Found::Scalar)));
    for member in def.members.iter() {
        let start = u64::from(member.bit_offset / 8);
        if at.end() <= start {
            break;
        }
        if member.bitfield_bits != 0 {
            let end_bit = u64::from(member.bit_offset) + u64::from(member.bitfield_bits);
            if off <= start && end_bit.div_ceil(8) <= at.end() {
                return scalar;
            }
            continue;
        }
        if off < start {
            break;
        }
        let Some(shape) = shape(btf, member.ty) else {
            return Err(BtfReject::NoSize { name: member.name.to_owned() });
        };
        let end = start + shape.size;
        if off >= end {
            continue;
        }
        // Of an array, the element that the first byte is in.
        let (start, size) = match shape.count {
            Some(count) => {
                let one = shape.size / count.max(1);
                (start + (off - start) / one.max(1) * one, one)
            }
            None => (start, shape.size),
        };
        if as_struct(&shape.one).is_some() {
            let inner = shape.one.id();
            if off == start {
                return Ok(Inner::Done(Step::Into(inner)));
            }
            let off = u32::try_from(off - start).unwrap_or(u32::MAX);
            return Ok(Inner::Deeper { ty: inner, off });
        }
        if let TypeView::Ptr(to) = shape.one.view() {
            if size != u64::from(at.size) || off != start {
                return Err(BtfReject::PartOfPointer {
                    member: member.name.to_owned(),
                    start,
                    name: ty.name().to_owned(),
                    off: at.off,
                    size: at.size,
                });
            }
            let target = btf.skip_typedefs_and_modifiers(to);
            let Some(target) = target.filter(|t| as_struct(t).is_some()) else {
                return Ok(Inner::Done(Step::Done(Found::LeafPointer)));
            };
            let flags = flags.with(tag_flags(btf, to));
            let found = Found::Pointer { to: target.id(), flags, member: member.name };
            return Ok(Inner::Done(Step::Done(found)));
        }
        if at.end() > end && !flags.has(PtrFlags::UNTRUSTED) {
            return Err(BtfReject::BeyondMember {
                member: member.name.to_owned(),
                end,
                name: ty.name().to_owned(),
                off: at.off,
                size: at.size,
            });
        }
        return scalar;
    }
    Err(BtfReject::NoMember { name: ty.name().to_owned(), off: at.off })
}

/// What the type tag that a pointer's target carries says (`__user`, `__percpu`, `__rcu`).
pub(crate) fn tag_flags(btf: &Btf, target: TypeId) -> PtrFlags {
    let Some(ty) = btf.type_by_id(target) else { return PtrFlags::NONE };
    match ty.view() {
        TypeView::TypeTag(_) => match ty.name() {
            "user" => PtrFlags::USER,
            "percpu" => PtrFlags::PERCPU,
            "rcu" => PtrFlags::RCU,
            _ => PtrFlags::NONE,
        },
        _ => PtrFlags::NONE,
    }
}

#[cfg(test)]
mod tests;
