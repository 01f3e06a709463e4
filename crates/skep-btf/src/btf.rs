//! [`Btf`]: a set of types, and what is asked of it: by id, by name, size, alignment.
//!
//! Made by `parse` or by a builder; [`Type`] views it.

use std::sync::{Arc, OnceLock};

use crate::error::{BtfError, TypeFault};
use crate::fields::{self, StructFields};
use crate::names::NameIndex;
use crate::parse::{self, ByteOrder, HEADER_LEN, MAGIC, ParseOptions};
use crate::types::{Kind, Type, TypeId, TypeView};

/// How many typedefs, modifiers or array levels are followed before a chain is taken for a cycle.
// DEVIATION: the kernel's limit (`MAX_RESOLVE_DEPTH`) is 32 for each type that it resolves, so a chain whose types
// come in the right order may be of any length there.
const MAX_CHAIN: usize = 256;

/// A set of types with their strings. Types are numbered from 1; a split set continues its base's numbers.
#[derive(Debug)]
pub struct Btf {
    pub(crate) base: Option<Arc<Btf>>,
    /// Byte order that the data was stored in.
    pub(crate) order: ByteOrder,
    /// Id of the first own type.
    pub(crate) start_id: u32,
    /// String offset of the first own string.
    pub(crate) start_str: u32,
    /// The type section in the host's order.
    pub(crate) words: Vec<u32>,
    /// Where in `words` each own type starts.
    pub(crate) starts: Vec<u32>,
    /// The string section.
    pub(crate) strs: Box<str>,
    pub(crate) by_name: OnceLock<NameIndex>,
    pub(crate) by_essential: OnceLock<NameIndex>,
    pub(crate) ptr_size: OnceLock<u32>,
    pub(crate) allocated: OnceLock<Arc<StructFields>>,
}

impl Btf {
    /// Parses a `.BTF` section, or a file such as `/sys/kernel/btf/vmlinux`. Data in the other byte order is converted.
    ///
    /// # Errors
    /// [`BtfError`] naming the type, or what is wrong with the header.
    pub fn parse(data: &[u8]) -> Result<Btf, BtfError> {
        parse::parse(data, ParseOptions::default())
    }

    /// Parses a set that continues `base`, such as a kernel module's.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_split(data: &[u8], base: Arc<Btf>) -> Result<Btf, BtfError> {
        parse::parse(data, ParseOptions { base: Some(base), ..ParseOptions::default() })
    }

    /// Parses as told.
    ///
    /// # Errors
    /// As [`Btf::parse`], and [`crate::HeaderFault::Foreign`].
    pub fn parse_with(data: &[u8], options: ParseOptions) -> Result<Btf, BtfError> {
        parse::parse(data, options)
    }

    /// The set that this one continues.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// Byte order that the data was stored in.
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// Id of the first type that is not the base's.
    pub fn first_own_id(&self) -> TypeId {
        TypeId(self.start_id)
    }

    /// One more than the highest id.
    pub fn next_id(&self) -> u32 {
        // `parse` makes sure that this does not overflow.
        self.start_id + self.starts.len() as u32
    }

    /// The type with this id; `void` for 0.
    pub fn type_by_id(&self, id: TypeId) -> Option<Type<'_>> {
        if id.is_void() {
            return Some(Type::void(self));
        }
        let mut layer = self;
        while id.0 < layer.start_id {
            layer = layer.base.as_deref()?;
        }
        let start = *layer.starts.get((id.0 - layer.start_id) as usize)? as usize;
        let info = *layer.words.get(start + 1)?;
        let kind = Kind::from_raw((info >> 24) & 0x1f)?;
        let end = start + 3 + kind.tail_words((info & 0xffff) as usize);
        Some(Type::new(self, id, layer.words.get(start..end)?, kind))
    }

    /// As [`Btf::type_by_id`].
    ///
    /// # Errors
    /// [`BtfError::NoSuchType`].
    pub fn get(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        self.type_by_id(id).ok_or(BtfError::NoSuchType { id, end: self.next_id() })
    }

    /// All types but `void`, the base's first, in order of their ids.
    pub fn types(&self) -> impl Iterator<Item = Type<'_>> {
        (1..self.next_id()).filter_map(|id| self.type_by_id(TypeId(id)))
    }

    /// The types that are not the base's.
    pub fn own_types(&self) -> impl Iterator<Item = Type<'_>> {
        (self.start_id..self.next_id()).filter_map(|id| self.type_by_id(TypeId(id)))
    }

    /// One more than the highest string offset.
    pub(crate) fn str_end(&self) -> u32 {
        // A string section is at most 4 GiB; saturating keeps an offset that does not fit invalid.
        self.start_str.saturating_add(u32::try_from(self.strs.len()).unwrap_or(u32::MAX))
    }

    /// The string at an offset; `None` where the offset is out of range or inside a character.
    pub fn str_at(&self, off: u32) -> Option<&str> {
        if off == 0 {
            return Some("");
        }
        let mut layer = self;
        while off < layer.start_str {
            layer = layer.base.as_deref()?;
        }
        let text = layer.strs.get((off - layer.start_str) as usize..)?;
        let end = text.as_bytes().iter().position(|&b| b == 0)?;
        text.get(..end)
    }

    /// This set and those it continues, the base first.
    fn layers(&self) -> impl Iterator<Item = &Btf> {
        let mut layers: Vec<&Btf> =
            core::iter::successors(Some(self), |layer| layer.base.as_deref()).collect();
        layers.reverse();
        layers.into_iter()
    }

    /// Ids of all types with this name, of any kind, in ascending order. Anonymous types are not found.
    pub fn ids_by_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.layers()
            .flat_map(move |layer| {
                layer.by_name.get_or_init(|| NameIndex::build(layer, |name| name)).candidates(name)
            })
            .filter(move |&id| self.type_by_id(id).is_some_and(|t| t.name() == name))
    }

    /// Ids of all types whose name up to a `___flavor` suffix is `name`, in ascending order.
    pub fn ids_by_essential_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.layers()
            .flat_map(move |layer| {
                layer
                    .by_essential
                    .get_or_init(|| NameIndex::build(layer, essential_name))
                    .candidates(name)
            })
            .filter(move |&id| {
                self.type_by_id(id).is_some_and(|t| essential_name(t.name()) == name)
            })
    }

    /// The first type with this name.
    pub fn find_by_name(&self, name: &str) -> Option<Type<'_>> {
        let id = self.ids_by_name(name).next()?;
        self.type_by_id(id)
    }

    /// The first type with this name and kind.
    pub fn find_by_name_kind(&self, name: &str, kind: Kind) -> Option<Type<'_>> {
        let id = self
            .ids_by_name(name)
            .find(|&id| self.type_by_id(id).is_some_and(|t| t.kind() == kind))?;
        self.type_by_id(id)
    }

    /// Follows `const`, `volatile`, `restrict` and type tags. `None` for an id that does not exist or a cycle.
    pub fn skip_modifiers(&self, id: TypeId) -> Option<Type<'_>> {
        self.skip_while(id, Kind::is_modifier)
    }

    /// Follows typedefs and modifiers. `None` for an id that does not exist or a cycle.
    pub fn skip_typedefs_and_modifiers(&self, id: TypeId) -> Option<Type<'_>> {
        self.skip_while(id, |k| k.is_modifier() || k == Kind::Typedef)
    }

    fn skip_while(&self, mut id: TypeId, skip: impl Fn(Kind) -> bool) -> Option<Type<'_>> {
        for _ in 0..MAX_CHAIN {
            let ty = self.type_by_id(id)?;
            if !skip(ty.kind()) {
                return Some(ty);
            }
            id = ty.referenced()?;
        }
        None
    }

    /// Special members of all structs, if a program allocates one, by type id; only structs that have any. Found once
    /// for all programs that share the types.
    pub fn fields_of_allocated(&self) -> Arc<StructFields> {
        self.allocated.get_or_init(|| Arc::new(fields::of_allocated(self))).clone()
    }

    /// Size of a pointer in bytes, 4 or 8: that of `long`, which is as large on Linux. 8 where there is no `long`,
    /// as for BPF programs.
    pub fn pointer_size(&self) -> u32 {
        *self.ptr_size.get_or_init(|| {
            if let Some(base) = &self.base {
                return base.pointer_size();
            }
            self.own_types()
                .filter(|t| t.kind() == Kind::Int && is_long(t.name()))
                .map(|t| t.size_or_type())
                .find(|size| matches!(size, 4 | 8))
                .unwrap_or(8)
        })
    }

    /// Size of a value of this type in bytes.
    ///
    /// # Errors
    /// [`BtfError::Type`] for types without a size (void, functions, forward declarations), cycles and overflow.
    pub fn size_of(&self, id: TypeId) -> Result<u64, BtfError> {
        let mut factor = 1u64;
        let mut at = id;
        for _ in 0..MAX_CHAIN {
            let ty = self.get(at)?;
            let one = match ty.view() {
                TypeView::Ptr(_) => u64::from(self.pointer_size()),
                TypeView::Array(array) => {
                    factor = factor
                        .checked_mul(u64::from(array.nelems))
                        .ok_or_else(|| self.type_error(id, TypeFault::Overflow))?;
                    at = array.elem;
                    continue;
                }
                TypeView::Typedef(next)
                | TypeView::Volatile(next)
                | TypeView::Const(next)
                | TypeView::Restrict(next)
                | TypeView::TypeTag(next)
                | TypeView::DeclTag { target: next, .. }
                | TypeView::Var { ty: next, .. } => {
                    at = next;
                    continue;
                }
                TypeView::Int(int) => u64::from(int.size),
                TypeView::Struct(c) | TypeView::Union(c) => u64::from(c.size),
                TypeView::Enum(e) | TypeView::Enum64(e) => u64::from(e.size),
                TypeView::Float(size) => u64::from(size),
                TypeView::Datasec(sec) => u64::from(sec.size),
                TypeView::Void
                | TypeView::Fwd(_)
                | TypeView::Func { .. }
                | TypeView::FuncProto(_) => {
                    return Err(self.type_error(at, TypeFault::Rule("has no size")));
                }
            };
            return one.checked_mul(factor).ok_or_else(|| self.type_error(id, TypeFault::Overflow));
        }
        Err(self.type_error(id, TypeFault::TooDeep(MAX_CHAIN)))
    }

    /// An error about one type of this set.
    pub(crate) fn type_error(&self, id: TypeId, fault: TypeFault) -> BtfError {
        let ty = self.type_by_id(id);
        BtfError::Type {
            id,
            kind: ty.map(|t| t.kind()),
            name: ty.map(|t| t.name().to_owned()).unwrap_or_default(),
            fault,
        }
    }

    /// The own types and strings as a `.BTF` section in a byte order.
    pub fn to_bytes(&self, order: ByteOrder) -> Vec<u8> {
        let type_len = self.words.len() * 4;
        let mut out = Vec::with_capacity(HEADER_LEN + type_len + self.strs.len());
        out.extend(order.put_u16(MAGIC));
        out.extend([1, 0]);
        let header =
            [HEADER_LEN as u32, 0, type_len as u32, type_len as u32, self.strs.len() as u32];
        for word in header.iter().chain(&self.words) {
            out.extend(order.put_u32(*word));
        }
        out.extend(self.strs.as_bytes());
        out
    }
}

/// Whether this is one of the ways to write `long`, signed or not.
fn is_long(name: &str) -> bool {
    let mut longs = 0;
    for word in name.split(' ') {
        match word {
            "long" => longs += 1,
            "int" | "unsigned" | "signed" => {}
            _ => return false,
        }
    }
    longs == 1
}

/// A name without its `___flavor` suffix (`bpf_core_essential_name_len` of libbpf).
///
/// `task_struct___old` is `task_struct`; the character before the underscores and the one after
/// them must not be underscores.
pub fn essential_name(name: &str) -> &str {
    let b = name.as_bytes();
    let mut i = b.len().saturating_sub(5);
    // The last place where `x___y` matches, with neither x nor y an underscore.
    loop {
        if let Some([before, b'_', b'_', b'_', after]) = b.get(i..i + 5)
            && *before != b'_'
            && *after != b'_'
        {
            return name.get(..=i).unwrap_or(name);
        }
        match i.checked_sub(1) {
            Some(next) => i = next,
            None => return name,
        }
    }
}
