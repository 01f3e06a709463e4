//! `.BTF.ext`: [`BtfExt`] with records about functions, source lines and CO-RE relocations, per ELF section.
//!
//! The strings that records name are in the `.BTF` of the same object. Records that are larger than known
//! are read as far as they are known.

use crate::btf::Btf;
use crate::error::{BtfError, HeaderFault};
use crate::parse::{ByteOrder, Foreign, common_header, section, word_at};
use crate::types::TypeId;

/// Bytes of a header without the CO-RE fields, which came later.
const MIN_HEADER: usize = 24;
/// Bytes of a header with them.
const HEADER: usize = 32;

/// A parsed `.BTF.ext` section.
#[derive(Clone, Debug, Default)]
pub struct BtfExt {
    /// Function records by ELF section.
    pub func_info: Vec<SecRecords<FuncInfo>>,
    /// Line records by ELF section.
    pub line_info: Vec<SecRecords<LineInfo>>,
    /// CO-RE relocations by ELF section.
    pub core_relo: Vec<SecRecords<CoreRelo>>,
}

/// The records of one ELF section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecRecords<R> {
    /// Name of the ELF section.
    pub section: String,
    /// Its records in stored order.
    pub records: Vec<R>,
}

/// `struct bpf_func_info`: a function starts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Offset of the first instruction in the ELF section in bytes.
    pub insn_off: u32,
    /// The function's FUNC type.
    pub type_id: TypeId,
}

/// `struct bpf_line_info`: the source line of an instruction and those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Offset of the instruction in the ELF section in bytes.
    pub insn_off: u32,
    /// String offset of the file's name.
    pub file_name_off: u32,
    /// String offset of the line's text.
    pub line_off: u32,
    /// Line number in the upper 22 bits, column in the lower 10.
    pub line_col: u32,
}

impl LineInfo {
    /// Line number from 1.
    pub const fn line(self) -> u32 {
        self.line_col >> 10
    }

    /// Column from 1; 0 where unknown.
    pub const fn column(self) -> u32 {
        self.line_col & 0x3ff
    }
}

macro_rules! relo_kinds {
    ($($variant:ident = $num:literal, $text:literal, $doc:literal;)*) => {
        /// What a CO-RE relocation asks for (`enum bpf_core_relo_kind`).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum CoreReloKind {
            $(#[doc = $doc] $variant,)*
        }

        impl CoreReloKind {
            /// `None` for a number that is no kind.
            pub const fn from_raw(num: u32) -> Option<CoreReloKind> {
                match num { $($num => Some(CoreReloKind::$variant),)* _ => None }
            }

            /// The number as stored.
            pub const fn raw(self) -> u32 {
                match self { $(CoreReloKind::$variant => $num,)* }
            }

            /// Short name, as in libbpf's log.
            pub const fn name(self) -> &'static str {
                match self { $(CoreReloKind::$variant => $text,)* }
            }
        }
    };
}

relo_kinds! {
    FieldByteOffset = 0, "byte_off", "Offset of a field in bytes.";
    FieldByteSize = 1, "byte_sz", "Size of a field in bytes.";
    FieldExists = 2, "field_exists", "1 if the field exists.";
    FieldSigned = 3, "signed", "1 if the field is signed.";
    FieldLshiftU64 = 4, "lshift_u64", "Left shift that brings a bitfield to the top of 64 bits.";
    FieldRshiftU64 = 5, "rshift_u64", "Right shift that then brings it to the bottom.";
    TypeIdLocal = 6, "local_type_id", "Id of the type in the program's BTF.";
    TypeIdTarget = 7, "target_type_id", "Id of the type in the target BTF.";
    TypeExists = 8, "type_exists", "1 if the type exists.";
    TypeSize = 9, "type_size", "Size of the type in bytes.";
    EnumvalExists = 10, "enumval_exists", "1 if the enum value exists.";
    EnumvalValue = 11, "enumval_value", "The enum value.";
    TypeMatches = 12, "type_matches", "1 if the type matches in detail.";
}

impl CoreReloKind {
    /// Concerns a field.
    pub const fn is_field(self) -> bool {
        matches!(
            self,
            CoreReloKind::FieldByteOffset
                | CoreReloKind::FieldByteSize
                | CoreReloKind::FieldExists
                | CoreReloKind::FieldSigned
                | CoreReloKind::FieldLshiftU64
                | CoreReloKind::FieldRshiftU64
        )
    }

    /// Concerns an enum value.
    pub const fn is_enumval(self) -> bool {
        matches!(self, CoreReloKind::EnumvalExists | CoreReloKind::EnumvalValue)
    }

    /// Concerns a whole type.
    pub const fn is_type(self) -> bool {
        !self.is_field() && !self.is_enumval()
    }
}

/// `struct bpf_core_relo`: an instruction that depends on the target's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// Offset of the instruction in the ELF section in bytes.
    pub insn_off: u32,
    /// Root type in the program's BTF.
    pub type_id: TypeId,
    /// String offset of the access string, such as `0:1:2`.
    pub access_str_off: u32,
    /// What is asked for.
    pub kind: CoreReloKind,
}

impl BtfExt {
    /// Parses a `.BTF.ext` section whose strings are in `btf`. Data in the other byte order is converted.
    ///
    /// # Errors
    /// [`BtfError::Header`] naming the part and the place.
    pub fn parse(data: &[u8], btf: &Btf) -> Result<BtfExt, BtfError> {
        let (order, hdr_len) = common_header(data, HEADER, MIN_HEADER, Foreign::Convert)?;
        let body = data.get(hdr_len..).unwrap_or(&[]);
        let part = |name, at: usize| -> Result<Part<'_>, BtfError> {
            if at + 8 > hdr_len {
                return Ok(Part { name, data: &[], order, btf });
            }
            let field = |at| word_at(data, at, order).unwrap_or(0);
            let (off, len) = (field(at), field(at + 4));
            if off % 4 != 0 {
                return Err(HeaderFault::Unaligned { name, off }.into());
            }
            Ok(Part { name, data: section(body, name, off, len)?, order, btf })
        };
        Ok(BtfExt {
            func_info: part("func_info", 8)?.sections(|[insn_off, type_id]| {
                Ok(FuncInfo { insn_off, type_id: TypeId(type_id) })
            })?,
            line_info: part("line_info", 16)?.sections(
                |[insn_off, file_name_off, line_off, line_col]| {
                    Ok(LineInfo { insn_off, file_name_off, line_off, line_col })
                },
            )?,
            core_relo: part("core_relo", 24)?.sections(
                |[insn_off, type_id, access_str_off, kind]| {
                    let kind = CoreReloKind::from_raw(kind).ok_or(HeaderFault::ReloKind(kind))?;
                    Ok(CoreRelo { insn_off, type_id: TypeId(type_id), access_str_off, kind })
                },
            )?,
        })
    }

    /// Function records of an ELF section.
    pub fn func_info_of(&self, section: &str) -> &[FuncInfo] {
        records_of(&self.func_info, section)
    }

    /// Line records of an ELF section.
    pub fn line_info_of(&self, section: &str) -> &[LineInfo] {
        records_of(&self.line_info, section)
    }

    /// CO-RE relocations of an ELF section.
    pub fn core_relo_of(&self, section: &str) -> &[CoreRelo] {
        records_of(&self.core_relo, section)
    }
}

fn records_of<'a, R>(parts: &'a [SecRecords<R>], section: &str) -> &'a [R] {
    parts.iter().find(|p| p.section == section).map_or(&[], |p| &p.records)
}

/// One of the three parts.
struct Part<'a> {
    name: &'static str,
    data: &'a [u8],
    order: ByteOrder,
    btf: &'a Btf,
}

impl Part<'_> {
    /// Reads records of `N` known words each.
    fn sections<const N: usize, R>(
        &self,
        read: impl Fn([u32; N]) -> Result<R, HeaderFault>,
    ) -> Result<Vec<SecRecords<R>>, HeaderFault> {
        let mut out: Vec<SecRecords<R>> = Vec::new();
        if self.data.is_empty() {
            return Ok(out);
        }
        let name = self.name;
        let word =
            |at: usize| word_at(self.data, at, self.order).ok_or(HeaderFault::Records { name, at });
        let size = word(0)?;
        let min = (N * 4) as u32;
        if size < min || size % 4 != 0 {
            return Err(HeaderFault::RecordSize { name, size, min });
        }
        let mut at = 4;
        while at < self.data.len() {
            let start = at;
            let sec_off = word(at)?;
            let count = word(at + 4)?;
            at += 8;
            let section = self
                .btf
                .str_at(sec_off)
                .filter(|s| !s.is_empty())
                .ok_or(HeaderFault::StringOffset { name, off: sec_off })?;
            if count == 0 {
                return Err(HeaderFault::NoRecords { name, at: start });
            }
            let mut records = Vec::new();
            for _ in 0..count {
                let end = at + size as usize;
                if end > self.data.len() {
                    return Err(HeaderFault::Records { name, at });
                }
                let mut words = [0; N];
                for (i, w) in words.iter_mut().enumerate() {
                    *w = word(at + i * 4)?;
                }
                records.push(read(words)?);
                at = end;
            }
            out.push(SecRecords { section: section.to_owned(), records });
        }
        Ok(out)
    }
}
