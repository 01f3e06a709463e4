//! Bytes to [`Btf`]: header, type section, string section.
//!
//! Everything in a type section is a 32-bit word, so the section is kept as words in the host's order
//! with a table of where each type starts.

use std::sync::{Arc, OnceLock};

use crate::btf::Btf;
use crate::error::{BtfError, HeaderFault, TypeFault};
use crate::slots::{Slot, slots};
use crate::types::{Kind, TypeId};

/// `BTF_MAGIC`
pub(crate) const MAGIC: u16 = 0xeb9f;
/// Bytes of `struct btf_header`.
pub(crate) const HEADER_LEN: usize = 24;

/// Byte order of stored data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// The host's.
    pub const HOST: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };

    pub(crate) fn u32(self, b: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(b),
            ByteOrder::Big => u32::from_be_bytes(b),
        }
    }

    pub(crate) fn put_u32(self, v: u32) -> [u8; 4] {
        match self {
            ByteOrder::Little => v.to_le_bytes(),
            ByteOrder::Big => v.to_be_bytes(),
        }
    }

    pub(crate) fn put_u16(self, v: u16) -> [u8; 2] {
        match self {
            ByteOrder::Little => v.to_le_bytes(),
            ByteOrder::Big => v.to_be_bytes(),
        }
    }
}

/// What to do with data in the other byte order than the host's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Foreign {
    /// Convert it.
    #[default]
    Convert,
    /// Refuse it, as the kernel does.
    Reject,
}

/// How to parse.
#[derive(Clone, Default, Debug)]
pub struct ParseOptions {
    /// Types and strings that the data continues (split BTF: kernel modules).
    pub base: Option<Arc<Btf>>,
    /// Data in the other byte order.
    pub foreign: Foreign,
}

/// Reads a word at a byte offset.
pub(crate) fn word_at(data: &[u8], at: usize, order: ByteOrder) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(order.u32(bytes.try_into().ok()?))
}

/// Magic, version, flags and header length, which `.BTF` and `.BTF.ext` share.
/// Gives the byte order and the header length.
pub(crate) fn common_header(
    data: &[u8],
    known_len: usize,
    min_len: usize,
    foreign: Foreign,
) -> Result<(ByteOrder, usize), HeaderFault> {
    let truncated = |need| HeaderFault::Truncated { need, have: data.len() };
    let [m0, m1, version, flags, ..] = *data else { return Err(truncated(min_len)) };
    let order = match u16::from_le_bytes([m0, m1]) {
        MAGIC => ByteOrder::Little,
        m if m.swap_bytes() == MAGIC => ByteOrder::Big,
        m => return Err(HeaderFault::Magic(m)),
    };
    if order != ByteOrder::HOST && foreign == Foreign::Reject {
        return Err(HeaderFault::Foreign);
    }
    if version != 1 {
        return Err(HeaderFault::Version(version));
    }
    if flags != 0 {
        return Err(HeaderFault::Flags(flags));
    }
    let len = word_at(data, 4, order).ok_or_else(|| truncated(min_len))? as usize;
    if len < min_len || data.len() < len {
        return Err(truncated(len.max(min_len)));
    }
    if data.get(known_len..len).is_some_and(|tail| tail.iter().any(|&b| b != 0)) {
        return Err(HeaderFault::UnknownTail);
    }
    Ok((order, len))
}

/// A section after the header.
pub(crate) fn section<'a>(
    body: &'a [u8],
    name: &'static str,
    off: u32,
    len: u32,
) -> Result<&'a [u8], HeaderFault> {
    let start = off as usize;
    start
        .checked_add(len as usize)
        .and_then(|end| body.get(start..end))
        .ok_or(HeaderFault::Section { name, off, len, have: body.len() })
}

/// The string section as text, checked: it begins and ends with NUL. A split one may be empty.
fn parse_strings(bytes: &[u8], split: bool) -> Result<Box<str>, HeaderFault> {
    match (bytes.first(), bytes.last()) {
        (None, _) if split => {}
        (None, _) => return Err(HeaderFault::Strings("is empty")),
        (Some(&first), _) if first != 0 && !split => {
            return Err(HeaderFault::Strings("does not begin with a NUL byte"));
        }
        (_, Some(&last)) if last != 0 => {
            return Err(HeaderFault::Strings("does not end with a NUL byte"));
        }
        _ => {}
    }
    // DEVIATION: the kernel takes any bytes in tags; text that is not UTF-8 is refused here, so that
    // names are `str` everywhere.
    let text = core::str::from_utf8(bytes).map_err(|e| HeaderFault::NotUtf8(e.valid_up_to()))?;
    Ok(text.into())
}

/// Parses a whole `.BTF` section or file.
pub(crate) fn parse(data: &[u8], options: ParseOptions) -> Result<Btf, BtfError> {
    let (order, hdr_len) = common_header(data, HEADER_LEN, HEADER_LEN, options.foreign)?;
    let field = |at| word_at(data, at, order).unwrap_or(0);
    let (type_off, type_len, str_off, str_len) = (field(8), field(12), field(16), field(20));
    let body = data.get(hdr_len..).unwrap_or(&[]);
    if type_off % 4 != 0 {
        return Err(HeaderFault::Unaligned { name: "type", off: type_off }.into());
    }
    let types = section(body, "type", type_off, type_len)?;
    let strs = section(body, "string", str_off, str_len)?;

    let strs = parse_strings(strs, options.base.is_some())?;
    let words: Vec<u32> =
        types.chunks_exact(4).map(|b| order.u32([b[0], b[1], b[2], b[3]])).collect();
    let btf = Btf::from_parts(options.base, order, words, strs);
    finish(btf, types.len() % 4 != 0)
}

/// Indexes and checks a set whose words and strings are in place. `ragged` says that the type section has bytes after
/// the last whole word.
pub(crate) fn finish(mut btf: Btf, ragged: bool) -> Result<Btf, BtfError> {
    index_types(&mut btf, ragged)?;
    check_references(&btf)?;
    Ok(btf)
}

fn fault(btf: &Btf, id: u32, kind: Option<Kind>, name_off: u32, fault: TypeFault) -> BtfError {
    let name = btf.str_at(name_off).unwrap_or("").to_owned();
    BtfError::Type { id: TypeId(id), kind, name, fault }
}

/// Fills the table of where types start.
fn index_types(btf: &mut Btf, ragged: bool) -> Result<(), BtfError> {
    let mut starts = Vec::with_capacity(btf.words.len() / 5);
    let mut at = 0usize;
    while at < btf.words.len() {
        let id = u32::try_from(starts.len())
            .ok()
            .and_then(|n| n.checked_add(btf.start_id))
            .filter(|&id| id < u32::MAX)
            .ok_or(HeaderFault::TooManyTypes)?;
        let [name_off, info, _] = *btf.words.get(at..at + 3).unwrap_or(&[]) else {
            return Err(fault(btf, id, None, 0, TypeFault::Truncated));
        };
        let raw_kind = (info >> 24) & 0x1f;
        let kind = match Kind::from_raw(raw_kind) {
            Some(kind) if kind != Kind::Void => kind,
            _ => return Err(fault(btf, id, None, name_off, TypeFault::UnknownKind(raw_kind))),
        };
        let end = at + 3 + kind.tail_words((info & 0xffff) as usize);
        if end > btf.words.len() {
            return Err(fault(btf, id, Some(kind), name_off, TypeFault::Truncated));
        }
        // A type section is at most 4 GiB, so its words can be numbered with 32 bits.
        starts.push(at as u32);
        at = end;
    }
    if ragged {
        let id = btf.start_id.saturating_add(u32::try_from(starts.len()).unwrap_or(u32::MAX));
        return Err(fault(btf, id, None, 0, TypeFault::Truncated));
    }
    starts.shrink_to_fit();
    btf.starts = starts;
    Ok(())
}

/// Checks that every type id and string offset points into the set.
fn check_references(btf: &Btf) -> Result<(), BtfError> {
    let (ids, strs) = (btf.next_id(), btf.str_end());
    for ty in btf.own_types() {
        let words = ty.words();
        for (at, slot) in slots(ty.kind(), words.len()) {
            let value = words.get(at).copied().unwrap_or(0);
            let wrong = match slot {
                Slot::Id if value >= ids => TypeFault::TypeId(value),
                // An empty split string section still has the offset 0 in its base.
                Slot::Str if value >= strs && value != 0 => TypeFault::StringOffset(value),
                Slot::Id | Slot::Str => continue,
            };
            return Err(fault(btf, ty.id().0, Some(ty.kind()), ty.name_off(), wrong));
        }
    }
    Ok(())
}

impl Btf {
    pub(crate) fn from_parts(
        base: Option<Arc<Btf>>,
        order: ByteOrder,
        words: Vec<u32>,
        strs: Box<str>,
    ) -> Btf {
        let (start_id, start_str) = match &base {
            Some(base) => (base.next_id(), base.str_end()),
            None => (1, 0),
        };
        Btf {
            base,
            order,
            start_id,
            start_str,
            words,
            starts: Vec::new(),
            strs,
            by_name: OnceLock::new(),
            by_essential: OnceLock::new(),
            ptr_size: OnceLock::new(),
            allocated: OnceLock::new(),
        }
    }
}
