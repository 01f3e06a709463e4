//! Rules about what types refer to. Each type is resolved once; a type that is met again while it is being resolved
//! contains itself.

use super::meta::is_identifier;
use super::{at, fault, rule};
use crate::btf::Btf;
use crate::error::{BtfError, TypeFault};
use crate::types::{
    Array, Composite, Datasec, FuncProto, Int, Kind, Member, Type, TypeId, TypeView,
};

/// `MAX_RESOLVE_DEPTH`
const MAX_DEPTH: usize = 32;

/// Which references end the walk. Chains of pointers end at what they point to; structs end at pointers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Undecided,
    Pointer,
    Contents,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Entered,
    Done,
}

struct Resolver<'a> {
    btf: &'a Btf,
    states: Vec<State>,
}

/// Checks the own types of a set.
pub(super) fn check(btf: &Btf) -> Result<(), BtfError> {
    let own = (btf.next_id() - btf.first_own_id().0) as usize;
    let mut resolver = Resolver { btf, states: vec![State::New; own] };
    for ty in btf.own_types() {
        if needs_resolve(ty.kind()) {
            resolver.walk(ty)?;
        }
        match ty.view() {
            TypeView::FuncProto(proto) => check_proto(&mut resolver, ty, proto)?,
            TypeView::Func { proto, .. } => check_func(btf, ty, proto)?,
            _ => {}
        }
    }
    Ok(())
}

/// Kinds that refer to others by content.
fn needs_resolve(kind: Kind) -> bool {
    kind.is_modifier()
        || kind.is_composite()
        || matches!(
            kind,
            Kind::Typedef | Kind::Ptr | Kind::Array | Kind::Var | Kind::Datasec | Kind::DeclTag
        )
}

/// Nothing may refer to these as to a type.
fn is_source_only(kind: Kind) -> bool {
    matches!(kind, Kind::Var | Kind::DeclTag | Kind::Datasec)
}

fn is_modifier(kind: Kind) -> bool {
    kind.is_modifier() || kind == Kind::Typedef
}

/// One level of the walk: a type and its references that are still to be followed.
struct Level<'a> {
    ty: Type<'a>,
    todo: std::vec::IntoIter<TypeId>,
}

impl<'a> Resolver<'a> {
    fn state(&mut self, id: TypeId) -> Option<&mut State> {
        let index = id.0.checked_sub(self.btf.first_own_id().0)?;
        self.states.get_mut(index as usize)
    }

    fn is_done(&mut self, id: TypeId) -> bool {
        // Types of the base were checked with it.
        self.state(id).is_none_or(|s| *s == State::Done)
    }

    fn walk(&mut self, root: Type<'a>) -> Result<(), BtfError> {
        if self.is_done(root.id()) {
            return Ok(());
        }
        let mut mode = Mode::Undecided;
        let mut stack: Vec<Level<'a>> = Vec::new();
        self.enter(root, &mut stack, &mut mode)?;
        while let Some(level) = stack.last_mut() {
            let user = level.ty;
            let Some(next) = level.todo.next() else {
                if let Some(state) = self.state(user.id()) {
                    *state = State::Done;
                }
                self.finish(user)?;
                stack.pop();
                continue;
            };
            let ty = self.btf.get(next)?;
            if !is_sink(ty.kind(), mode) && !self.is_done(next) {
                self.enter(ty, &mut stack, &mut mode)?;
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        ty: Type<'a>,
        stack: &mut Vec<Level<'a>>,
        mode: &mut Mode,
    ) -> Result<(), BtfError> {
        if stack.len() == MAX_DEPTH {
            return Err(fault(ty, TypeFault::TooDeep(MAX_DEPTH)));
        }
        if let Some(state) = self.state(ty.id()) {
            if *state != State::New {
                return Err(fault(ty, TypeFault::Cycle));
            }
            *state = State::Entered;
        }
        if *mode == Mode::Undecided {
            *mode = match ty.kind() {
                Kind::Ptr => Mode::Pointer,
                Kind::Struct | Kind::Union | Kind::Array => Mode::Contents,
                _ => Mode::Undecided,
            };
        }
        let todo = self.references(ty)?;
        stack.push(Level { ty, todo: todo.into_iter() });
        Ok(())
    }

    /// The types that must be resolved before this one; their kinds are checked here.
    fn references(&self, ty: Type<'a>) -> Result<Vec<TypeId>, BtfError> {
        let check = |id: TypeId, text| {
            let kind = self.btf.get(id)?.kind();
            if is_source_only(kind) { Err(rule(ty, text)) } else { Ok(id) }
        };
        Ok(match ty.view() {
            TypeView::Array(array) => {
                let nosize =
                    |id: TypeId| self.btf.type_by_id(id).is_none_or(|t| has_no_size(t.kind()));
                if nosize(array.index) {
                    return Err(rule(ty, "Invalid index"));
                }
                if nosize(array.elem) {
                    return Err(rule(ty, "Invalid elem"));
                }
                vec![check(array.index, "Invalid index")?, check(array.elem, "Invalid elem")?]
            }
            TypeView::Struct(fields) | TypeView::Union(fields) => {
                for (index, m) in fields.members.iter().enumerate() {
                    let kind = self.btf.get(m.ty)?.kind();
                    if is_source_only(kind) || has_no_size(kind) {
                        return Err(at(ty, index, m.name, "Invalid member"));
                    }
                }
                fields.members.iter().map(|m| m.ty).collect()
            }
            TypeView::Datasec(sec) => {
                for (index, var) in sec.vars.iter().enumerate() {
                    let of = self.btf.get(var.ty)?;
                    if of.kind() != Kind::Var {
                        return Err(at(ty, index, of.name(), "Not a VAR kind member"));
                    }
                }
                sec.vars.iter().map(|var| var.ty).collect()
            }
            TypeView::DeclTag { target, .. } => {
                let kind = self.btf.get(target)?.kind();
                let fits =
                    kind.is_composite() || matches!(kind, Kind::Func | Kind::Var | Kind::Typedef);
                if !fits {
                    return Err(rule(ty, "Invalid type_id"));
                }
                if kind == Kind::Func { Vec::new() } else { vec![target] }
            }
            _ => match ty.referenced() {
                Some(id) => vec![check(id, "Invalid type_id")?],
                None => Vec::new(),
            },
        })
    }

    /// Checks that need the references resolved.
    fn finish(&self, ty: Type<'a>) -> Result<(), BtfError> {
        match ty.view() {
            TypeView::Ptr(to)
            | TypeView::Typedef(to)
            | TypeView::Volatile(to)
            | TypeView::Const(to)
            | TypeView::Restrict(to)
            | TypeView::TypeTag(to) => {
                let last = self.last(to)?;
                let fits = last.is_some_and(|t| {
                    matches!(t.kind(), Kind::Void | Kind::Fwd | Kind::FuncProto)
                        || has_size(t.kind())
                        // The kernel takes a function that it has already seen for its prototype.
                        || (t.kind() == Kind::Func && t.id() < ty.id())
                });
                if fits { Ok(()) } else { Err(rule(ty, "Invalid type_id")) }
            }
            TypeView::Var { ty: of, .. } => {
                if self.last(of)?.is_some_and(|t| has_size(t.kind())) {
                    Ok(())
                } else {
                    Err(rule(ty, "Invalid type_id"))
                }
            }
            TypeView::Array(array) => self.finish_array(ty, array),
            TypeView::Struct(fields) | TypeView::Union(fields) => self.finish_members(ty, fields),
            TypeView::Datasec(sec) => self.finish_datasec(ty, sec),
            TypeView::DeclTag { target, component: Some(index) } => {
                let of = self.btf.get(target)?;
                let count = match of.view() {
                    TypeView::Struct(c) | TypeView::Union(c) => c.members.len(),
                    TypeView::Func { proto, .. } => {
                        self.btf.get(proto)?.as_func_proto().map_or(0, |proto| proto.params.len())
                    }
                    _ => 0,
                };
                if (index as usize) < count {
                    Ok(())
                } else {
                    Err(rule(ty, "Invalid component_idx"))
                }
            }
            _ => Ok(()),
        }
    }

    /// Past typedefs and modifiers.
    fn last(&self, id: TypeId) -> Result<Option<Type<'a>>, BtfError> {
        self.btf.get(id)?;
        Ok(self.btf.skip_typedefs_and_modifiers(id))
    }

    fn finish_array(&self, ty: Type<'a>, array: Array) -> Result<(), BtfError> {
        let index = self.last(array.index)?;
        if !index.and_then(|t| t.as_int()).is_some_and(is_regular) {
            return Err(rule(ty, "Invalid index"));
        }
        let elem = self
            .last(array.elem)?
            .filter(|t| has_size(t.kind()))
            .ok_or_else(|| rule(ty, "Invalid elem"))?;
        if elem.as_int().is_some_and(|int| !is_regular(int)) {
            return Err(rule(ty, "Invalid array of int"));
        }
        let size = self.btf.size_of(elem.id())?.checked_mul(u64::from(array.nelems));
        if size.is_none_or(|size| size > u64::from(u32::MAX)) {
            return Err(rule(ty, "Array size overflows u32"));
        }
        Ok(())
    }

    fn finish_members(&self, ty: Type<'a>, fields: Composite<'a>) -> Result<(), BtfError> {
        for (index, m) in fields.members.iter().enumerate() {
            let of = self
                .last(m.ty)?
                .filter(|t| has_size(t.kind()))
                .ok_or_else(|| at(ty, index, m.name, "Invalid member"))?;
            let checked = if ty.kind_flag() {
                self.check_flag_member(m, of, fields.size)
            } else {
                self.check_member(m, of, fields.size)
            };
            checked.map_err(|text| at(ty, index, m.name, text))?;
        }
        Ok(())
    }

    /// A member of a struct whose offsets may carry bitfield sizes.
    fn check_flag_member(
        &self,
        m: Member<'_>,
        of: Type<'_>,
        size: u32,
    ) -> Result<(), &'static str> {
        let max = match of.view() {
            TypeView::Int(int) if is_regular(int) => u32::from(int.bits),
            TypeView::Int(_) => return Err("Invalid member base type"),
            // The kernel takes any enum for an `int` here.
            TypeView::Enum(_) => 32,
            TypeView::Enum64(_) => 32,
            _ if m.bitfield_bits != 0 => return Err("Invalid member bitfield_size"),
            _ => return self.check_member(m, of, size),
        };
        let bits = match u32::from(m.bitfield_bits) {
            0 if !m.bit_offset.is_multiple_of(8) => return Err("Invalid member offset"),
            0 => max,
            bits if bits > max => return Err("Invalid member bitfield_size"),
            bits => bits,
        };
        fits(m.bit_offset, bits, size)
    }

    fn check_member(&self, m: Member<'_>, of: Type<'_>, size: u32) -> Result<(), &'static str> {
        if let TypeView::Int(int) = of.view() {
            let start = m
                .bit_offset
                .checked_add(u32::from(int.bit_offset))
                .ok_or("bits exceeds U32_MAX")?;
            return fits(start, u32::from(int.bits), size);
        }
        if !m.bit_offset.is_multiple_of(8) {
            return Err("Member is not byte aligned");
        }
        let need = match of.view() {
            TypeView::Enum(_) => 4,
            _ => self.btf.size_of(of.id()).map_err(|_| "Member exceeds struct_size")?,
        };
        let offset = u64::from(m.bit_offset / 8);
        if let TypeView::Float(bytes) = of.view() {
            // The greatest power of two in the size, at most that of a pointer.
            let align = u64::from(1u32 << bytes.trailing_zeros().min(3));
            if offset % align != 0 {
                return Err("Member is not properly aligned");
            }
        }
        if offset + need > u64::from(size) {
            return Err("Member exceeds struct_size");
        }
        Ok(())
    }

    fn finish_datasec(&self, ty: Type<'a>, sec: Datasec<'a>) -> Result<(), BtfError> {
        for (index, var) in sec.vars.iter().enumerate() {
            let of = self.btf.get(var.ty)?;
            let need =
                self.btf.size_of(var.ty).map_err(|_| at(ty, index, of.name(), "Invalid type"))?;
            if u64::from(var.size) < need {
                return Err(at(ty, index, of.name(), "Invalid size"));
            }
        }
        Ok(())
    }
}

/// A number of bits in a struct.
fn fits(bit_offset: u32, bits: u32, size: u32) -> Result<(), &'static str> {
    let copied = bits + bit_offset % 8;
    if copied > 128 {
        return Err("nr_copy_bits exceeds 128");
    }
    let end = u64::from(bit_offset / 8) + u64::from(copied.div_ceil(8));
    if end > u64::from(size) { Err("Member exceeds struct_size") } else { Ok(()) }
}

fn is_sink(kind: Kind, mode: Mode) -> bool {
    match mode {
        Mode::Undecided => !needs_resolve(kind),
        Mode::Pointer => !is_modifier(kind) && kind != Kind::Ptr,
        Mode::Contents => !is_modifier(kind) && !kind.is_composite() && kind != Kind::Array,
    }
}

/// A whole number of bytes, and one that a register or two can hold.
fn is_regular(int: Int) -> bool {
    int.bit_offset == 0 && matches!(int.bits, 8 | 16 | 32 | 64 | 128)
}

fn has_no_size(kind: Kind) -> bool {
    matches!(kind, Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto)
}

fn has_size(kind: Kind) -> bool {
    kind.is_composite()
        || kind.is_enum()
        || matches!(kind, Kind::Int | Kind::Ptr | Kind::Array | Kind::Float)
}

fn check_func(btf: &Btf, ty: Type<'_>, proto: TypeId) -> Result<(), BtfError> {
    let Some(proto) = btf.get(proto)?.as_func_proto() else {
        return Err(rule(ty, "Invalid type_id"));
    };
    match proto.params.iter().position(|p| p.name.is_empty() && !p.ty.is_void()) {
        Some(index) => Err(at(ty, index, "", "Invalid arg")),
        None => Ok(()),
    }
}

fn check_proto<'a>(
    resolver: &mut Resolver<'a>,
    ty: Type<'a>,
    proto: FuncProto<'a>,
) -> Result<(), BtfError> {
    if !proto.ret.is_void() && !is_value(resolver, proto.ret)? {
        return Err(rule(ty, "Invalid return type"));
    }
    let last = proto.params.len().checked_sub(1);
    for (index, (p, words)) in proto.params.iter().zip(ty.tail_words().chunks_exact(2)).enumerate()
    {
        let bad = || at(ty, index, p.name, "Invalid arg");
        // A name that is there but empty is not the same as no name.
        let is_named = words.first() != Some(&0);
        if p.ty.is_void() {
            if Some(index) == last && !is_named {
                continue;
            }
            return Err(bad());
        }
        if is_named && !is_identifier(p.name) {
            return Err(bad());
        }
        if !is_value(resolver, p.ty)? {
            return Err(bad());
        }
    }
    Ok(())
}

/// Whether it can be passed or returned; resolves it first.
fn is_value<'a>(resolver: &mut Resolver<'a>, id: TypeId) -> Result<bool, BtfError> {
    let ty = resolver.btf.get(id)?;
    if is_source_only(ty.kind()) {
        return Ok(false);
    }
    if needs_resolve(ty.kind()) {
        resolver.walk(ty)?;
    }
    Ok(resolver.last(id)?.is_some_and(|t| has_size(t.kind())))
}
