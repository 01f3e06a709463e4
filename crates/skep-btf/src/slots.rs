//! Where in the words of a type there are type ids and string offsets: used to check and to rewrite them.

use crate::types::Kind;

/// What a word refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// A type.
    Id,
    /// A string.
    Str,
}

/// Indices of the words of a type that refer to something. `len` is the number of its words.
pub(crate) fn slots(kind: Kind, len: usize) -> impl Iterator<Item = (usize, Slot)> {
    let (width, pattern): (usize, &'static [(usize, Slot)]) = match kind {
        Kind::Array => (3, &[(0, Slot::Id), (1, Slot::Id)]),
        Kind::Struct | Kind::Union => (3, &[(0, Slot::Str), (1, Slot::Id)]),
        Kind::FuncProto => (2, &[(0, Slot::Str), (1, Slot::Id)]),
        Kind::Enum => (2, &[(0, Slot::Str)]),
        Kind::Enum64 => (3, &[(0, Slot::Str)]),
        Kind::Datasec => (3, &[(0, Slot::Id)]),
        Kind::Void
        | Kind::Int
        | Kind::Ptr
        | Kind::Fwd
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Var
        | Kind::Float
        | Kind::DeclTag
        | Kind::TypeTag => (1, &[]),
    };
    let groups = if pattern.is_empty() { 0 } else { len.saturating_sub(3) / width };
    let third = kind.refers().then_some((2, Slot::Id));
    core::iter::once((0, Slot::Str)).chain(third).chain((0..groups).flat_map(move |group| {
        pattern.iter().map(move |&(at, slot)| (3 + group * width + at, slot))
    }))
}
