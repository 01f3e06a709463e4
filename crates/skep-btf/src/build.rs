//! [`BtfBuilder`]: makes BTF, type by type or by appending whole sets (for linking).
//!
//! Strings are stored once each. Neighbour: `dedup`, which merges equal types.

use std::collections::HashMap;
use std::sync::Arc;

use crate::btf::Btf;
use crate::error::{BtfError, TypeFault};
use crate::parse::{self, ByteOrder};
use crate::slots::{Slot, slots};
use crate::types::{Array, FuncLinkage, FwdKind, Int, Kind, SecVar, TypeId, TypeView, VarLinkage};

/// Makes BTF. Ids are handed out in order; types may refer to ids that come later.
#[derive(Debug)]
pub struct BtfBuilder {
    pub(crate) base: Option<Arc<Btf>>,
    order: ByteOrder,
    pub(crate) words: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    strs: String,
    offsets: HashMap<String, u32>,
}

impl Default for BtfBuilder {
    fn default() -> BtfBuilder {
        BtfBuilder::new()
    }
}

/// A member to be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewMember<'a> {
    /// Name, empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Offset in bits.
    pub bit_offset: u32,
    /// Width in bits of a bitfield; 0 for an ordinary member.
    pub bitfield_bits: u8,
}

/// Ids of appended or deduplicated types: from the old number to the new one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdMap {
    /// The old id of the first entry; ids below it did not change.
    first: u32,
    ids: Vec<u32>,
}

impl IdMap {
    pub(crate) fn new(first: u32, ids: Vec<u32>) -> IdMap {
        IdMap { first, ids }
    }

    /// The new id; `None` for an id that was not there.
    pub fn get(&self, old: TypeId) -> Option<TypeId> {
        match old.0.checked_sub(self.first) {
            None => Some(old),
            Some(at) => self.ids.get(at as usize).copied().map(TypeId),
        }
    }
}

impl BtfBuilder {
    /// An empty set.
    pub fn new() -> BtfBuilder {
        BtfBuilder {
            base: None,
            order: ByteOrder::HOST,
            words: Vec::new(),
            starts: Vec::new(),
            strs: "\0".to_owned(),
            offsets: HashMap::new(),
        }
    }

    /// A set that continues `base`.
    pub fn with_base(base: Arc<Btf>) -> BtfBuilder {
        BtfBuilder { base: Some(base), strs: String::new(), ..BtfBuilder::new() }
    }

    /// Byte order that the set is for; the host's unless set.
    pub fn set_byte_order(&mut self, order: ByteOrder) {
        self.order = order;
    }

    fn start_id(&self) -> u32 {
        self.base.as_ref().map_or(1, |base| base.next_id())
    }

    fn start_str(&self) -> u32 {
        self.base.as_ref().map_or(0, |base| base.str_end())
    }

    /// The id that the next type gets.
    pub fn next_id(&self) -> TypeId {
        TypeId(self.start_id() + self.starts.len() as u32)
    }

    /// Adds a string, or finds it. A NUL byte would end it, so what follows one is dropped.
    pub fn add_str(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or("");
        if text.is_empty() {
            return 0;
        }
        if let Some(&off) = self.offsets.get(text) {
            return off;
        }
        let off = self.start_str() + self.strs.len() as u32;
        self.strs.push_str(text);
        self.strs.push('\0');
        self.offsets.insert(text.to_owned(), off);
        off
    }

    /// Adds a type whose string offsets and ids are already this set's.
    pub(crate) fn add_words(&mut self, words: &[u32]) -> TypeId {
        let id = self.next_id();
        self.starts.push(self.words.len() as u32);
        self.words.extend_from_slice(words);
        id
    }

    fn add(&mut self, kind: Kind, name: &str, info: u32, third: u32) -> TypeId {
        let name = self.add_str(name);
        self.add_words(&[name, (kind as u32) << 24 | info, third])
    }

    /// Adds an integer.
    pub fn add_int(&mut self, name: &str, int: Int) -> TypeId {
        let id = self.add(Kind::Int, name, 0, int.size);
        self.words.push(
            u32::from(int.encoding & 0xf) << 24
                | u32::from(int.bit_offset) << 16
                | u32::from(int.bits),
        );
        id
    }

    /// Adds a floating point type of a size in bytes.
    pub fn add_float(&mut self, name: &str, size: u32) -> TypeId {
        self.add(Kind::Float, name, 0, size)
    }

    /// Adds a pointer.
    pub fn add_ptr(&mut self, to: TypeId) -> TypeId {
        self.add(Kind::Ptr, "", 0, to.0)
    }

    /// Adds `const`.
    pub fn add_const(&mut self, of: TypeId) -> TypeId {
        self.add(Kind::Const, "", 0, of.0)
    }

    /// Adds `volatile`.
    pub fn add_volatile(&mut self, of: TypeId) -> TypeId {
        self.add(Kind::Volatile, "", 0, of.0)
    }

    /// Adds `restrict`.
    pub fn add_restrict(&mut self, of: TypeId) -> TypeId {
        self.add(Kind::Restrict, "", 0, of.0)
    }

    /// Adds a typedef.
    pub fn add_typedef(&mut self, name: &str, of: TypeId) -> TypeId {
        self.add(Kind::Typedef, name, 0, of.0)
    }

    /// Adds a type tag.
    pub fn add_type_tag(&mut self, text: &str, of: TypeId) -> TypeId {
        self.add(Kind::TypeTag, text, 0, of.0)
    }

    /// Adds a declaration tag on a type, or on one of its members or parameters.
    pub fn add_decl_tag(&mut self, text: &str, on: TypeId, component: Option<u32>) -> TypeId {
        let id = self.add(Kind::DeclTag, text, 0, on.0);
        self.words.push(component.unwrap_or(u32::MAX));
        id
    }

    /// Adds an array.
    pub fn add_array(&mut self, array: Array) -> TypeId {
        let id = self.add(Kind::Array, "", 0, 0);
        self.words.extend([array.elem.0, array.index.0, array.nelems]);
        id
    }

    /// Adds a forward declaration.
    pub fn add_fwd(&mut self, name: &str, kind: FwdKind) -> TypeId {
        let flag = match kind {
            FwdKind::Struct => 0,
            FwdKind::Union => 1 << 31,
        };
        self.add(Kind::Fwd, name, flag, 0)
    }

    /// Adds a struct.
    pub fn add_struct(&mut self, name: &str, size: u32, members: &[NewMember<'_>]) -> TypeId {
        self.add_composite(Kind::Struct, name, size, members)
    }

    /// Adds a union.
    pub fn add_union(&mut self, name: &str, size: u32, members: &[NewMember<'_>]) -> TypeId {
        self.add_composite(Kind::Union, name, size, members)
    }

    fn add_composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[NewMember<'_>],
    ) -> TypeId {
        let bitfields = members.iter().any(|m| m.bitfield_bits != 0);
        let mut words = vec![self.add_str(name), info(kind, members.len(), bitfields), size];
        for m in members.iter().take(0xffff) {
            let off = if bitfields {
                m.bit_offset & 0xff_ffff | u32::from(m.bitfield_bits) << 24
            } else {
                m.bit_offset
            };
            words.extend([self.add_str(m.name), m.ty.0, off]);
        }
        self.add_words(&words)
    }

    /// Adds an enum of up to 4 bytes, with unsigned values.
    pub fn add_enum(&mut self, name: &str, size: u32, values: &[(&str, u32)]) -> TypeId {
        let mut words = vec![self.add_str(name), info(Kind::Enum, values.len(), false), size];
        for (name, value) in values.iter().take(0xffff) {
            words.extend([self.add_str(name), *value]);
        }
        self.add_words(&words)
    }

    /// Adds an enum of 8 bytes, with unsigned values.
    pub fn add_enum64(&mut self, name: &str, values: &[(&str, u64)]) -> TypeId {
        let mut words = vec![self.add_str(name), info(Kind::Enum64, values.len(), false), 8];
        for (name, value) in values.iter().take(0xffff) {
            words.extend([self.add_str(name), *value as u32, (*value >> 32) as u32]);
        }
        self.add_words(&words)
    }

    /// Adds a prototype. A last parameter without name and type stands for `...`.
    pub fn add_func_proto(&mut self, ret: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let mut words = vec![0, info(Kind::FuncProto, params.len(), false), ret.0];
        for (name, ty) in params.iter().take(0xffff) {
            words.extend([self.add_str(name), ty.0]);
        }
        self.add_words(&words)
    }

    /// Adds a function.
    pub fn add_func(&mut self, name: &str, proto: TypeId, linkage: FuncLinkage) -> TypeId {
        self.add(Kind::Func, name, u32::from(linkage.raw()), proto.0)
    }

    /// Adds a variable.
    pub fn add_var(&mut self, name: &str, ty: TypeId, linkage: VarLinkage) -> TypeId {
        let id = self.add(Kind::Var, name, 0, ty.0);
        self.words.push(linkage.raw());
        id
    }

    /// Adds a data section.
    pub fn add_datasec(&mut self, name: &str, size: u32, vars: &[SecVar]) -> TypeId {
        let mut words = vec![self.add_str(name), info(Kind::Datasec, vars.len(), false), size];
        for var in vars.iter().take(0xffff) {
            words.extend([var.ty.0, var.offset, var.size]);
        }
        self.add_words(&words)
    }

    /// Appends a copy of all own types of `other`; tells which ids they got.
    ///
    /// # Errors
    /// [`BtfError`] if the sets are split on different bases.
    pub fn append(&mut self, other: &Btf) -> Result<IdMap, BtfError> {
        self.append_filtered(other, |_, _| true)
    }

    /// Appends the own types of `other` that `keep` accepts (by id and kind). Ids of others map to `void`, so the caller
    /// must drop whatever refers to them.
    ///
    /// # Errors
    /// As [`BtfBuilder::append`].
    pub fn append_filtered(
        &mut self,
        other: &Btf,
        keep: impl Fn(TypeId, Kind) -> bool,
    ) -> Result<IdMap, BtfError> {
        let same_base = match (&self.base, other.base()) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !same_base {
            let fault = TypeFault::Rule("is split on another base");
            return Err(other.type_error(other.first_own_id(), fault));
        }
        let mut next = self.next_id().0;
        let ids = other
            .own_types()
            .map(|ty| {
                if !keep(ty.id(), ty.kind()) {
                    return 0;
                }
                next += 1;
                next - 1
            })
            .collect();
        let map = IdMap::new(other.first_own_id().0, ids);
        for ty in other.own_types().filter(|ty| keep(ty.id(), ty.kind())) {
            let mut words = ty.words().to_vec();
            for (at, slot) in slots(ty.kind(), words.len()) {
                let Some(word) = words.get_mut(at) else { continue };
                *word = match slot {
                    Slot::Id => map.get(TypeId(*word)).unwrap_or_default().0,
                    Slot::Str => self.add_str(other.str_at(*word).unwrap_or("")),
                };
            }
            self.add_words(&words);
        }
        Ok(map)
    }

    /// The finished set.
    ///
    /// # Errors
    /// [`BtfError`] if a type refers to one that was never added.
    pub fn build(self) -> Result<Btf, BtfError> {
        let btf = Btf::from_parts(self.base, self.order, self.words, self.strs.into());
        parse::finish(btf, false)
    }
}

fn info(kind: Kind, vlen: usize, flag: bool) -> u32 {
    (kind as u32) << 24 | vlen.min(0xffff) as u32 | u32::from(flag) << 31
}

impl Btf {
    /// Sets the size of a data section, and the offsets and sizes of its variables, which a compiler leaves at 0.
    /// The variables are stored in order of their offsets.
    ///
    /// # Errors
    /// [`BtfError`] if `id` is not a data section of this set (not its base's) with as many variables.
    pub fn set_datasec(&mut self, id: TypeId, size: u32, vars: &[SecVar]) -> Result<(), BtfError> {
        let ty = self.get(id)?;
        let fits = matches!(ty.view(), TypeView::Datasec(sec) if sec.vars.len() == vars.len());
        if !fits || id < self.first_own_id() {
            let fault = TypeFault::Rule("is not an own data section of that many variables");
            return Err(self.type_error(id, fault));
        }
        for var in vars {
            self.get(var.ty)?;
        }
        let mut vars = vars.to_vec();
        vars.sort_by_key(|var| var.offset);
        let start = self.starts.get((id.0 - self.start_id) as usize).copied().unwrap_or(0) as usize;
        let tail = vars.iter().flat_map(|var| [var.ty.0, var.offset, var.size]);
        let values = core::iter::once(size).chain(tail);
        for (word, value) in self.words.iter_mut().skip(start + 2).zip(values) {
            *word = value;
        }
        Ok(())
    }

    /// Sets the linkage of a function, as static linking does to subprograms that are hidden.
    ///
    /// # Errors
    /// [`BtfError`] if `id` is not a function of this set (not its base's).
    pub fn set_func_linkage(&mut self, id: TypeId, linkage: FuncLinkage) -> Result<(), BtfError> {
        if self.get(id)?.kind() != Kind::Func || id < self.first_own_id() {
            return Err(self.type_error(id, TypeFault::Rule("is not an own function")));
        }
        let start = self.starts.get((id.0 - self.start_id) as usize).copied().unwrap_or(0) as usize;
        if let Some(info) = self.words.get_mut(start + 1) {
            *info = *info & !0xffff | u32::from(linkage.raw());
        }
        Ok(())
    }
}
