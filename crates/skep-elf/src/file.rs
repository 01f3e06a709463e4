//! [`ElfFile`]: the container, checked and turned into plain lists.
//!
//! Knows ELF and nothing of BPF. Everything that a later step indexes (section numbers in symbols, symbol numbers in
//! relocations, offsets in string tables) is looked up through a method that may say no.

use std::collections::HashMap;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::read::{SectionIndex, StringTable};

use crate::error::ElfError;
use crate::model::Endian;

/// Most sections that a file may have.
const MAX_SECTIONS: usize = 1 << 16;
/// Most symbols that a file may have.
const MAX_SYMBOLS: usize = 1 << 22;
/// Largest size that a section without bytes in the file (`.bss`) may have.
pub(crate) const MAX_NOBITS: u64 = 1 << 32;

/// `st_shndx` of undefined symbols.
pub(crate) const SHN_UNDEF: u32 = 0;
/// First reserved section number.
pub(crate) const SHN_LORESERVE: u32 = 0xff00;

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section<'d> {
    pub(crate) index: usize,
    pub(crate) name: &'d str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entsize: u64,
    pub(crate) size: u64,
    /// Empty for `SHT_NOBITS`.
    pub(crate) data: &'d [u8],
}

impl Section<'_> {
    pub(crate) fn is_progbits(&self) -> bool {
        self.kind == elf::SHT_PROGBITS.0
    }

    pub(crate) fn is_nobits(&self) -> bool {
        self.kind == elf::SHT_NOBITS.0
    }

    pub(crate) fn is_rel(&self) -> bool {
        self.kind == elf::SHT_REL.0
    }

    pub(crate) fn is_code(&self) -> bool {
        self.flags & elf::SHF_EXECINSTR.0 != 0
    }
}

/// Binding of a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bind {
    Local,
    Global,
    Weak,
    Other,
}

/// Type of a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SymKind {
    NoType,
    Object,
    Func,
    Section,
    Other,
}

/// One symbol.
#[derive(Clone, Debug)]
pub(crate) struct Symbol<'d> {
    pub(crate) name: &'d str,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) section: u32,
    pub(crate) kind: SymKind,
    pub(crate) bind: Bind,
    /// `STV_HIDDEN` or `STV_INTERNAL`.
    pub(crate) hidden: bool,
}

impl Symbol<'_> {
    /// Undefined, without a type, global or weak: what clang makes of `extern`.
    pub(crate) fn is_extern(&self) -> bool {
        self.section == SHN_UNDEF
            && matches!(self.bind, Bind::Global | Bind::Weak)
            && self.kind == SymKind::NoType
    }

    pub(crate) fn is_global(&self) -> bool {
        matches!(self.bind, Bind::Global | Bind::Weak)
    }
}

/// One relocation (`Elf64_Rel`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rel {
    pub(crate) offset: u64,
    pub(crate) symbol: u32,
    pub(crate) kind: u32,
}

/// A relocatable BPF file.
#[derive(Clone, Debug)]
pub(crate) struct ElfFile<'d> {
    pub(crate) endian: Endian,
    /// By section number; number 0 is the null section.
    pub(crate) sections: Vec<Section<'d>>,
    /// By symbol number.
    pub(crate) symbols: Vec<Symbol<'d>>,
    /// Number of the symbol table's section.
    pub(crate) symtab: usize,
    /// First section of each name.
    by_name: HashMap<&'d str, usize>,
}

type Header = elf::FileHeader64<Endianness>;

impl<'d> ElfFile<'d> {
    /// Checks the container.
    pub(crate) fn parse(data: &'d [u8]) -> Result<ElfFile<'d>, ElfError> {
        let header = check_header(data)?;
        let endian = header.endian().map_err(|e| ElfError::new(format!("ELF header: {e}")))?;
        if header.e_type(endian) != elf::ET_REL {
            return Err(ElfError::new(format!(
                "ELF type is {}, a BPF object is relocatable (ET_REL, 1)",
                header.e_type(endian).0
            )));
        }
        let machine = header.e_machine(endian);
        if machine != elf::EM_NONE && machine != elf::EM_BPF {
            return Err(ElfError::new(format!(
                "ELF machine is {}, a BPF object has EM_BPF (247) or EM_NONE (0)",
                machine.0
            )));
        }
        let table = header
            .sections(endian, data)
            .map_err(|e| ElfError::new(format!("section headers: {e}")))?;
        if table.len() > MAX_SECTIONS {
            return Err(ElfError::new(format!(
                "{} sections, at most {MAX_SECTIONS} are supported",
                table.len()
            )));
        }
        let mut sections = Vec::with_capacity(table.len());
        let mut symtab = None;
        for (index, header) in table.iter().enumerate() {
            let name = table.section_name(endian, header).map_err(|e| {
                ElfError::new(format!("section {index}: name is not in the string table: {e}"))
            })?;
            let name = core::str::from_utf8(name)
                .map_err(|_| ElfError::new(format!("section {index}: name is not UTF-8")))?;
            let bytes = if index == 0 {
                &[][..]
            } else {
                header.data(endian, data).map_err(|_| {
                    ElfError::new(format!(
                        "bytes {:#x} to {:#x} are beyond the end of the file ({:#x} bytes): truncated?",
                        header.sh_offset(endian),
                        header.sh_offset(endian).saturating_add(header.sh_size(endian)),
                        data.len()
                    ))
                    .in_section(name)
                })?
            };
            if header.sh_type(endian) == elf::SHT_SYMTAB && symtab.replace(index).is_some() {
                return Err(ElfError::new("second symbol table, one is allowed").in_section(name));
            }
            let size = header.sh_size(endian);
            if header.sh_type(endian) == elf::SHT_NOBITS && size > MAX_NOBITS {
                return Err(ElfError::new(format!(
                    "size {size:#x} is above the limit {MAX_NOBITS:#x}"
                ))
                .in_section(name));
            }
            sections.push(Section {
                index,
                name,
                kind: header.sh_type(endian).0,
                flags: header.sh_flags(endian).0,
                info: header.sh_info(endian),
                align: header.sh_addralign(endian),
                entsize: header.sh_entsize(endian),
                size,
                data: bytes,
            });
        }
        let symtab =
            symtab.ok_or_else(|| ElfError::new("no symbol table: was the object stripped?"))?;
        let symbols = parse_symbols(data, endian, &table, symtab)?;
        let endian = match endian {
            Endianness::Little => Endian::Little,
            Endianness::Big => Endian::Big,
        };
        Ok(ElfFile::new(endian, sections, symbols, symtab))
    }

    /// A file of parts that are known to be right; section 0 is the null section.
    pub(crate) fn new(
        endian: Endian,
        sections: Vec<Section<'d>>,
        symbols: Vec<Symbol<'d>>,
        symtab: usize,
    ) -> ElfFile<'d> {
        let mut by_name = HashMap::new();
        for section in sections.iter().skip(1) {
            by_name.entry(section.name).or_insert(section.index);
        }
        ElfFile { endian, sections, symbols, symtab, by_name }
    }

    /// Section by number.
    pub(crate) fn section(&self, index: u32) -> Option<&Section<'d>> {
        self.sections.get(usize::try_from(index).ok()?).filter(|s| s.index != 0)
    }

    /// First section of a name.
    pub(crate) fn section_by_name(&self, name: &str) -> Option<&Section<'d>> {
        self.sections.get(*self.by_name.get(name)?)
    }

    /// Symbol by number.
    pub(crate) fn symbol(&self, index: u32) -> Option<&Symbol<'d>> {
        self.symbols.get(usize::try_from(index).ok()?)
    }

    /// Name of what a symbol stands for: a section symbol has the section's name.
    pub(crate) fn symbol_name(&self, symbol: &Symbol<'d>) -> &'d str {
        if symbol.kind == SymKind::Section && symbol.name.is_empty() {
            self.section(symbol.section).map_or("", |s| s.name)
        } else {
            symbol.name
        }
    }

    /// A 32-bit word of the file's byte order.
    pub(crate) fn read_u32(&self, b: [u8; 4]) -> u32 {
        match self.endian {
            Endian::Little => u32::from_le_bytes(b),
            Endian::Big => u32::from_be_bytes(b),
        }
    }

    fn read_u64(&self, b: [u8; 8]) -> u64 {
        match self.endian {
            Endian::Little => u64::from_le_bytes(b),
            Endian::Big => u64::from_be_bytes(b),
        }
    }

    /// The relocations of an `SHT_REL` section.
    pub(crate) fn relocations(&self, section: &Section<'d>) -> Result<Vec<Rel>, ElfError> {
        if section.entsize != 16 || !section.data.len().is_multiple_of(16) {
            return Err(ElfError::new(format!(
                "entry size {} and size {}, relocations (Elf64_Rel) have 16 bytes",
                section.entsize,
                section.data.len()
            ))
            .in_section(section.name));
        }
        let (entries, _) = section.data.as_chunks::<16>();
        Ok(entries
            .iter()
            .map(|e| {
                let [a, b, c, d, e0, f, g, h, i, j, k, l, m, n, o, p] = *e;
                let info = self.read_u64([i, j, k, l, m, n, o, p]);
                Rel {
                    offset: self.read_u64([a, b, c, d, e0, f, g, h]),
                    symbol: (info >> 32) as u32,
                    kind: info as u32,
                }
            })
            .collect())
    }
}

/// The header, or what is wrong with it.
fn check_header(data: &[u8]) -> Result<&Header, ElfError> {
    const IDENT: &[u8; 4] = b"\x7fELF";
    if !data.starts_with(IDENT) {
        return Err(ElfError::new("not an ELF file: it does not start with 7f 45 4c 46"));
    }
    match data.get(4) {
        Some(2) => {}
        other => {
            return Err(ElfError::new(format!(
                "ELF class is {}, a BPF object is 64-bit (ELFCLASS64, 2)",
                other.copied().unwrap_or(0)
            )));
        }
    }
    match data.get(5) {
        Some(1 | 2) => {}
        other => {
            return Err(ElfError::new(format!(
                "unknown byte order {}, it is little (1) or big (2)",
                other.copied().unwrap_or(0)
            )));
        }
    }
    Header::parse(data).map_err(|e| {
        ElfError::new(format!("ELF header: {e} (the file has {} bytes, a header 64)", data.len()))
    })
}

fn parse_symbols<'d>(
    data: &'d [u8],
    endian: Endianness,
    table: &object::read::elf::SectionTable<'d, Header>,
    symtab: usize,
) -> Result<Vec<Symbol<'d>>, ElfError> {
    let symbols = table
        .symbol_table_by_index(endian, data, SectionIndex(symtab))
        .map_err(|e| ElfError::new(format!("symbol table: {e}")))?;
    if symbols.len() > MAX_SYMBOLS {
        return Err(ElfError::new(format!(
            "{} symbols, at most {MAX_SYMBOLS} are supported",
            symbols.len()
        )));
    }
    let strings: StringTable<'d> = symbols.strings();
    let mut out = Vec::with_capacity(symbols.len());
    for (number, symbol) in symbols.iter().enumerate() {
        let name = symbol.name(endian, strings).map_err(|e| {
            ElfError::new(format!("symbol {number}: name is not in the string table: {e}"))
        })?;
        let name = core::str::from_utf8(name)
            .map_err(|_| ElfError::new(format!("symbol {number}: name is not UTF-8")))?;
        let kind = match symbol.st_type() {
            elf::STT_NOTYPE => SymKind::NoType,
            elf::STT_OBJECT => SymKind::Object,
            elf::STT_FUNC => SymKind::Func,
            elf::STT_SECTION => SymKind::Section,
            _ => SymKind::Other,
        };
        let bind = match symbol.st_bind() {
            elf::STB_LOCAL => Bind::Local,
            elf::STB_GLOBAL => Bind::Global,
            elf::STB_WEAK => Bind::Weak,
            _ => Bind::Other,
        };
        let hidden = matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL);
        out.push(Symbol {
            name,
            value: symbol.st_value(endian),
            size: symbol.st_size(endian),
            section: u32::from(symbol.st_shndx(endian).0),
            kind,
            bind,
            hidden,
        });
    }
    Ok(out)
}
