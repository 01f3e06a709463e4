//! [`Value`]: bytes decoded by a BTF type, as a tree and as C-like text.
//!
//! `Display` writes one line, `{ .pid = 1, .comm = "init", .flags = { 0, 1 } }`; the alternate form (`{:#}`) writes a
//! member a line.

use core::fmt;

use crate::btf::Btf;
use crate::error::BtfError;
use crate::parse::ByteOrder;
use crate::types::{Array, Composite, Enum, Int, Type, TypeId, TypeView};

/// How deep types are followed.
const MAX_DEPTH: u32 = 64;
/// How many values one tree may have: some for each byte, since the members of a union share theirs.
const NODES_PER_BYTE: u32 = 64;
const MIN_NODES: u32 = 4096;
const MAX_NODES: u32 = 16 << 20;

/// A decoded value. Names are borrowed from the BTF.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    /// Nothing: `void`, or a type without a value.
    Void,
    /// Signed number.
    Signed(i64),
    /// Unsigned number.
    Unsigned(u64),
    /// Number of more than 64 bits.
    Wide(u128),
    /// `bool`
    Bool(bool),
    /// Floating point number.
    Float(f64),
    /// Array of characters that is text up to its first NUL byte and zero after it.
    Str(String),
    /// Enum with the name of the value, if one has it.
    Enum {
        /// Name.
        name: Option<&'a str>,
        /// The number, sign-extended where the enum is signed.
        value: i128,
    },
    /// Pointer.
    Ptr(u64),
    /// Struct, or a data section with its variables: name and value of each member. Members of anonymous ones are lifted into it.
    Struct(Vec<(&'a str, Value<'a>)>),
    /// Union: as a struct; each member reads the same bytes.
    Union(Vec<(&'a str, Value<'a>)>),
    /// Array.
    Array(Vec<Value<'a>>),
}

/// Why bytes could not be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueError {
    /// The type is broken.
    Btf(BtfError),
    /// There are fewer bytes than the type has.
    Truncated {
        /// What is being decoded.
        id: TypeId,
        /// Name of the type, empty where it has none.
        name: String,
        /// Bytes needed from the start of the data.
        need: u64,
        /// Bytes there.
        have: usize,
    },
    /// Types are nested too deeply.
    TooDeep(TypeId),
    /// The tree would have too many values.
    TooLarge(TypeId),
    /// A number has a size that is not known.
    Size {
        /// The number's type.
        id: TypeId,
        /// Its size in bytes.
        size: u32,
    },
}

impl From<BtfError> for ValueError {
    fn from(error: BtfError) -> ValueError {
        ValueError::Btf(error)
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Btf(error) => write!(f, "{error}"),
            ValueError::Truncated { id, name, need, have } => {
                write!(f, "value of type [{id}] '{name}' needs {need} bytes, there are {have}")
            }
            ValueError::TooDeep(id) => write!(f, "value of type [{id}] is nested too deeply"),
            ValueError::TooLarge(id) => write!(f, "value of type [{id}] has too many parts"),
            ValueError::Size { id, size } => {
                write!(f, "number of type [{id}] has an unknown size of {size} bytes")
            }
        }
    }
}

impl core::error::Error for ValueError {}

/// Decodes `data` by a type. Bytes after those of the type are ignored, as maps round values up.
///
/// # Errors
/// [`ValueError`] for truncated data and types that have no value.
pub fn decode<'a>(btf: &'a Btf, id: TypeId, data: &[u8]) -> Result<Value<'a>, ValueError> {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let nodes = len.saturating_mul(NODES_PER_BYTE).clamp(MIN_NODES, MAX_NODES);
    let mut decoder = Decoder { btf, data, order: btf.byte_order(), nodes };
    decoder.value(id, 0, 0, 0)
}

struct Decoder<'a, 'd> {
    btf: &'a Btf,
    data: &'d [u8],
    order: ByteOrder,
    nodes: u32,
}

impl<'a> Decoder<'a, '_> {
    /// Decodes what starts at `bit`; `bits` is the width of a bitfield or 0.
    fn value(
        &mut self,
        id: TypeId,
        bit: u64,
        bits: u32,
        depth: u32,
    ) -> Result<Value<'a>, ValueError> {
        self.nodes = self.nodes.checked_sub(1).ok_or(ValueError::TooLarge(id))?;
        if depth > MAX_DEPTH {
            return Err(ValueError::TooDeep(id));
        }
        self.btf.get(id)?;
        let ty = self.btf.skip_typedefs_and_modifiers(id).ok_or(ValueError::TooDeep(id))?;
        match ty.view() {
            TypeView::Int(int) => self.int(ty, int, bit, bits),
            TypeView::Enum(e) | TypeView::Enum64(e) => self.enum_value(ty, e, bit, bits),
            TypeView::Ptr(_) => {
                let size = self.btf.pointer_size();
                Ok(Value::Ptr(self.number(ty, bit, size * 8, size)? as u64))
            }
            TypeView::Float(size) => {
                let raw = self.number(ty, bit, size.min(16) * 8, size)?;
                match size {
                    4 => Ok(Value::Float(f64::from(f32::from_bits(raw as u32)))),
                    8 => Ok(Value::Float(f64::from_bits(raw as u64))),
                    // Wider ones have no counterpart here.
                    _ => Ok(Value::Wide(raw)),
                }
            }
            TypeView::Array(array) => self.array(ty, array, bit, depth),
            TypeView::Struct(fields) => {
                let mut out = Vec::new();
                self.fields(ty, fields, bit, depth, &mut out)?;
                Ok(Value::Struct(out))
            }
            TypeView::Union(fields) => {
                let mut out = Vec::new();
                self.fields(ty, fields, bit, depth, &mut out)?;
                Ok(Value::Union(out))
            }
            TypeView::Var { ty: of, .. } => self.value(of, bit, 0, depth + 1),
            TypeView::Datasec(sec) => {
                let mut out = Vec::new();
                for var in sec.vars.iter() {
                    let name = self.btf.get(var.ty)?.name();
                    let at = bit.saturating_add(u64::from(var.offset) * 8);
                    out.push((name, self.value(var.ty, at, 0, depth + 1)?));
                }
                Ok(Value::Struct(out))
            }
            TypeView::DeclTag { target, .. } => self.value(target, bit, bits, depth + 1),
            TypeView::Void
            | TypeView::Fwd(_)
            | TypeView::Func { .. }
            | TypeView::FuncProto(_)
            | TypeView::Typedef(_)
            | TypeView::Volatile(_)
            | TypeView::Const(_)
            | TypeView::Restrict(_)
            | TypeView::TypeTag(_) => Ok(Value::Void),
        }
    }

    fn truncated(&self, ty: Type<'_>, need: u64) -> ValueError {
        let name = ty.name().to_owned();
        ValueError::Truncated { id: ty.id(), name, need, have: self.data.len() }
    }

    fn bytes(&self, ty: Type<'_>, start: u64, len: u64) -> Result<&[u8], ValueError> {
        let end = start.saturating_add(len);
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        range
            .and_then(|(start, end)| self.data.get(start..end))
            .ok_or_else(|| self.truncated(ty, end))
    }

    /// `bits` at `bit`, at most 128; `size` is that of the storage in bytes, for the error.
    fn number(&self, ty: Type<'_>, bit: u64, bits: u32, size: u32) -> Result<u128, ValueError> {
        if bits == 0 || bits > 128 {
            return Err(ValueError::Size { id: ty.id(), size });
        }
        let skip = (bit % 8) as u32;
        let len = u64::from(skip + bits).div_ceil(8);
        let bytes = self.bytes(ty, bit / 8, len)?;
        let mask = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
        if len > 16 {
            return Err(ValueError::Size { id: ty.id(), size });
        }
        let (value, shift) = match self.order {
            ByteOrder::Little => {
                (bytes.iter().rev().fold(0u128, |v, &b| v << 8 | u128::from(b)), skip)
            }
            ByteOrder::Big => (
                bytes.iter().fold(0u128, |v, &b| v << 8 | u128::from(b)),
                len as u32 * 8 - skip - bits,
            ),
        };
        Ok(value >> shift & mask)
    }

    fn int(&self, ty: Type<'_>, int: Int, bit: u64, bits: u32) -> Result<Value<'a>, ValueError> {
        let (bit, bits) = match bits {
            0 => (bit.saturating_add(u64::from(int.bit_offset)), u32::from(int.bits)),
            bits => (bit, bits),
        };
        let raw = self.number(ty, bit, bits, int.size)?;
        if bits > 64 {
            return Ok(Value::Wide(raw));
        }
        if int.is_bool() && raw <= 1 {
            return Ok(Value::Bool(raw == 1));
        }
        if int.is_signed() {
            return Ok(Value::Signed(sign_extend(raw, bits) as i64));
        }
        Ok(Value::Unsigned(raw as u64))
    }

    fn enum_value(
        &self,
        ty: Type<'a>,
        e: Enum<'a>,
        bit: u64,
        bits: u32,
    ) -> Result<Value<'a>, ValueError> {
        let bits = if bits == 0 { e.size.min(32) * 8 } else { bits };
        let raw = self.number(ty, bit, bits, e.size)?;
        let (value, stored) = if e.signed {
            let value = sign_extend(raw, bits);
            (value, value as i64 as u64)
        } else {
            (raw as i128, raw as u64)
        };
        let name = e.values.iter().find(|v| v.value == stored).map(|v| v.name);
        Ok(Value::Enum { name, value })
    }

    fn array(
        &mut self,
        ty: Type<'a>,
        array: Array,
        bit: u64,
        depth: u32,
    ) -> Result<Value<'a>, ValueError> {
        let size = self.btf.size_of(array.elem)?;
        if size == 0 || array.nelems == 0 {
            return Ok(Value::Array(Vec::new()));
        }
        let total = size.checked_mul(u64::from(array.nelems));
        let all = self.bytes(ty, bit / 8, total.unwrap_or(u64::MAX))?;
        let elem = self.btf.skip_typedefs_and_modifiers(array.elem);
        if elem.is_some_and(is_char)
            && let Some(text) = text_of(all)
        {
            return Ok(Value::Str(text.to_owned()));
        }
        let mut out = Vec::new();
        for index in 0..u64::from(array.nelems) {
            let at = bit.saturating_add((index * size).saturating_mul(8));
            out.push(self.value(array.elem, at, 0, depth + 1)?);
        }
        Ok(Value::Array(out))
    }

    fn fields(
        &mut self,
        ty: Type<'a>,
        fields: Composite<'a>,
        bit: u64,
        depth: u32,
        out: &mut Vec<(&'a str, Value<'a>)>,
    ) -> Result<(), ValueError> {
        if depth > MAX_DEPTH {
            return Err(ValueError::TooDeep(ty.id()));
        }
        self.bytes(ty, bit / 8, u64::from(fields.size))?;
        for m in fields.members.iter() {
            let at = bit.saturating_add(u64::from(m.bit_offset));
            if m.name.is_empty()
                && let Some(inner) = self.btf.skip_typedefs_and_modifiers(m.ty)
                && let Some(inner_fields) = inner.as_composite()
            {
                self.nodes = self.nodes.checked_sub(1).ok_or(ValueError::TooLarge(m.ty))?;
                self.fields(inner, inner_fields, at, depth + 1, out)?;
                continue;
            }
            let bits = u32::from(m.bitfield_bits);
            out.push((m.name, self.value(m.ty, at, bits, depth + 1)?));
        }
        Ok(())
    }
}

fn sign_extend(raw: u128, bits: u32) -> i128 {
    let shift = 128 - bits.clamp(1, 128);
    (raw as i128) << shift >> shift
}

/// Whether arrays of this hold text. Clang calls a character a signed number of one byte, so the name decides too.
fn is_char(ty: Type<'_>) -> bool {
    ty.as_int().is_some_and(|int| int.size == 1 && (int.is_char() || ty.name() == "char"))
}

/// The text up to the first NUL byte, if it can be printed and only NUL bytes follow.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&b| b == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    if rest.iter().any(|&b| b != 0) {
        return None;
    }
    let text = core::str::from_utf8(text).ok()?;
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t').then_some(text)
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(self, f, 0)
    }
}

fn write_value(value: &Value<'_>, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
    match value {
        Value::Void => write!(f, "void"),
        Value::Signed(v) => write!(f, "{v}"),
        Value::Unsigned(v) => write!(f, "{v}"),
        Value::Wide(v) => write!(f, "{v:#x}"),
        Value::Bool(v) => write!(f, "{v}"),
        Value::Float(v) => write!(f, "{v}"),
        Value::Str(v) => write!(f, "{v:?}"),
        Value::Enum { name: Some(name), .. } => write!(f, "{name}"),
        Value::Enum { name: None, value } => write!(f, "{value}"),
        Value::Ptr(v) => write!(f, "{v:#x}"),
        Value::Struct(fields) | Value::Union(fields) => {
            let each = |f: &mut fmt::Formatter<'_>, i: usize, inner| {
                let (name, value): &(&str, Value<'_>) = &fields[i];
                write!(f, ".{name} = ")?;
                write_value(value, f, inner)
            };
            write_list(f, fields.len(), indent, each)
        }
        Value::Array(items) => {
            write_list(f, items.len(), indent, |f, i, inner| write_value(&items[i], f, inner))
        }
    }
}

/// Writes `{ a, b }`, in the alternate form one a line. `each` is called with indices below `len`.
fn write_list(
    f: &mut fmt::Formatter<'_>,
    len: usize,
    indent: usize,
    each: impl Fn(&mut fmt::Formatter<'_>, usize, usize) -> fmt::Result,
) -> fmt::Result {
    if len == 0 {
        return write!(f, "{{}}");
    }
    if f.alternate() {
        writeln!(f, "{{")?;
        for i in 0..len {
            write!(f, "{:width$}", "", width = (indent + 1) * 4)?;
            each(f, i, indent + 1)?;
            writeln!(f, ",")?;
        }
        return write!(f, "{:width$}}}", "", width = indent * 4);
    }
    write!(f, "{{ ")?;
    for i in 0..len {
        if i > 0 {
            write!(f, ", ")?;
        }
        each(f, i, indent)?;
    }
    write!(f, " }}")
}
