//! [`Object::open`]: the steps in order.

use std::collections::HashSet;
use std::sync::Arc;

use skep_btf::ext::BtfExt;
use skep_btf::{Btf, BtfError};

use crate::append::{Functions, MAX_TOTAL_INSNS, Whole};
use crate::code::{self, Func, Text};
use crate::error::ElfError;
use crate::exception::Callbacks;
use crate::externs::{self, Extern};
use crate::file::{ElfFile, Section};
use crate::info::Records;
use crate::layout::{self, DataSection};
use crate::legacy::LEGACY_MAPS;
use crate::maps::{self, MAPS, SitedMap};
use crate::model::{Endian, Object, ProgramDef, SecDef, SecKind, Subprog};
use crate::options::{EndianPolicy, OpenOptions};
use crate::relocs::{self, Context};
use crate::secname;
use crate::slots::{self, Entries};
use crate::target::Target;
use crate::{corerelo, finish, kconfig, kern_struct_ops, ksyms, patch, struct_ops};

/// Section of the object's types.
const BTF: &str = ".BTF";
/// Section of records about instructions.
const BTF_EXT: &str = ".BTF.ext";
/// Section of subprograms.
const TEXT: &str = ".text";
/// Section of arena variables.
const ARENA: &str = ".addr_space.1";
/// Most bytes of a licence, as libbpf keeps it.
const MAX_LICENSE: usize = 63;

impl Object {
    /// Opens an object file.
    ///
    /// `name` is the object's name, usually the file name up to the first dot; it becomes part of the names
    /// of the maps for global data. The bytes are not trusted.
    ///
    /// # Errors
    ///
    /// [`ElfError`] names the section, symbol or relocation that is wrong.
    pub fn open(name: &str, bytes: &[u8], options: &OpenOptions<'_>) -> Result<Object, ElfError> {
        let file = ElfFile::parse(bytes)?;
        check_endian(&file, options)?;
        let (btf, ext) = read_btf(&file)?;
        Opening::new(name, file, btf, ext, options)?.finish()
    }
}

/// Parses the object's types and its records about instructions.
pub(crate) fn read_btf(file: &ElfFile<'_>) -> Result<(Option<Btf>, Option<BtfExt>), ElfError> {
    let failed = |e: BtfError, section| ElfError::new(e.to_string()).in_section(section);
    let Some(section) = file.section_by_name(BTF) else { return Ok((None, None)) };
    let btf = Btf::parse(section.data).map_err(|e| failed(e, BTF))?;
    let ext = match file.section_by_name(BTF_EXT) {
        Some(section) => Some(BtfExt::parse(section.data, &btf).map_err(|e| failed(e, BTF_EXT))?),
        None => None,
    };
    Ok((Some(btf), ext))
}

/// What is known before programs and maps are read.
pub(crate) struct Opening<'a, 'd> {
    name: &'a str,
    file: ElfFile<'d>,
    secs: Vec<SecDef>,
    btf: Option<Btf>,
    ext: Option<BtfExt>,
    data: Vec<DataSection>,
    options: &'a OpenOptions<'a>,
}

impl<'a, 'd> Opening<'a, 'd> {
    /// Sorts out the sections of a file, or of several that were linked.
    pub(crate) fn new(
        name: &'a str,
        file: ElfFile<'d>,
        btf: Option<Btf>,
        ext: Option<BtfExt>,
        options: &'a OpenOptions<'a>,
    ) -> Result<Opening<'a, 'd>, ElfError> {
        let secs = classify(&file);
        let data = match &btf {
            Some(btf) => layout::data_sections(&file, btf)?,
            None => Vec::new(),
        };
        Ok(Opening { name, file, secs, btf, ext, data, options })
    }

    /// Reads maps and programs.
    pub(crate) fn finish(self) -> Result<Object, ElfError> {
        let license = license(&self.file, &self.secs);
        let kernel_version = version(&self.file, &self.secs)?;
        let mut externs = externs::collect(&self.file, self.btf.as_ref(), &self.data)?;
        let config = kconfig::resolve(&mut externs, self.options)?;
        let mut target = Target::new(self.options);
        ksyms::resolve(&mut externs, self.btf.as_ref(), &mut target, self.options)?;
        let mut maps = maps::collect(maps::Input {
            name: self.name,
            file: &self.file,
            btf: self.btf.as_ref(),
            secs: &self.secs,
            data: &self.data,
            kconfig: config,
        })?;
        let text = self.text();
        let mut funcs = self.functions(text)?;
        let entries: Vec<usize> = funcs
            .iter()
            .enumerate()
            .filter(|(_, f)| Some(f.section) != text)
            .map(|(i, _)| i)
            .collect();
        let mut programs = self.programs(&funcs, &entries);
        self.relocations(text, &mut funcs, &mut maps, &externs, &entries, &programs)?;
        kern_struct_ops::fit(&mut maps, &mut programs, self.btf.as_ref(), &mut target)?;
        if let (Some(btf), Some(ext)) = (&self.btf, &self.ext) {
            let idle: HashSet<(usize, u64)> = programs
                .iter()
                .zip(&entries)
                .filter(|(p, _)| !p.autoload)
                .filter_map(|(p, &i)| Some((funcs.get(i)?.section, p.section_offset)))
                .collect();
            let optional = |f: &Func| idle.contains(&(f.section, f.sec_slot as u64 * 8));
            corerelo::apply(&self.file, btf, ext, self.options, &mut funcs, optional)?;
        }
        self.whole_programs(text, &funcs, &entries, &maps, &externs, &mut programs)?;
        let btf = match self.btf {
            Some(mut btf) => {
                finish::finish(&mut btf, &self.data, &externs, &funcs, text)
                    .map_err(|e| ElfError::new(e.to_string()).in_section(BTF))?;
                Some(Arc::new(btf))
            }
            None => None,
        };
        Ok(Object {
            name: self.name.to_owned(),
            license,
            kernel_version,
            endian: self.file.endian,
            maps: maps.into_iter().map(|m| m.map).collect(),
            programs,
            sections: self.secs,
            externs: externs.iter().map(Extern::def).collect(),
            btf,
            modules: target.into_names(),
        })
    }

    fn text(&self) -> Option<usize> {
        self.secs.iter().find(|s| s.kind == SecKind::Code && s.name == TEXT).map(|s| s.index)
    }

    fn functions(&self, text: Option<usize>) -> Result<Vec<Func>, ElfError> {
        let mut funcs = Vec::new();
        let mut total = 0usize;
        let symbols = code::symbols(&self.file);
        for sec in self.secs.iter().filter(|s| s.kind == SecKind::Code) {
            if let Some(section) = self.file.sections.get(sec.index) {
                let is_text = if text == Some(sec.index) { Text::Yes } else { Text::No };
                let symbols = symbols.get(&sec.index).map_or(&[][..], Vec::as_slice);
                let endian = self.file.endian;
                code::functions(endian, section, symbols, is_text, &mut total, &mut funcs)?;
            }
        }
        funcs.sort_by_key(|f| (f.section, f.sec_slot));
        Ok(funcs)
    }

    fn programs(&self, funcs: &[Func], entries: &[usize]) -> Vec<ProgramDef> {
        entries
            .iter()
            .filter_map(|&i| funcs.get(i))
            .map(|func| {
                let section = self.file.sections.get(func.section).map_or("", |s| s.name);
                let bare = section.strip_prefix('?').unwrap_or(section);
                let meaning = secname::meaning(bare);
                ProgramDef {
                    name: func.name.clone(),
                    section: section.to_owned(),
                    section_offset: func.sec_slot as u64 * 8,
                    prog_type: meaning.prog_type,
                    expected_attach_type: meaning.attach_type,
                    attach_type_optional: meaning.attach_type_optional,
                    attach_to: meaning.attach_to,
                    attach_btf_id: 0,
                    autoload: bare.len() == section.len(),
                    flags: meaning.flags,
                    insns: Vec::new(),
                    subprogs: Vec::new(),
                    func_info: Vec::new(),
                    line_info: Vec::new(),
                    unresolved: None,
                }
            })
            .collect()
    }

    fn relocations(
        &self,
        text: Option<usize>,
        funcs: &mut [Func],
        maps: &mut [SitedMap],
        externs: &[Extern],
        entries: &[usize],
        programs: &[ProgramDef],
    ) -> Result<(), ElfError> {
        let mut inits = Vec::new();
        let mut members = Vec::new();
        let cx = Context::new(&self.file, &self.secs, maps, externs, text);
        for sec in self.secs.iter().filter(|s| s.kind == SecKind::Relocations) {
            let Some(section) = self.file.sections.get(sec.index) else { continue };
            match cx.kind_of(section.info) {
                Some(SecKind::Code) => relocs::collect(&cx, funcs, section)?,
                Some(kind @ (SecKind::Maps | SecKind::StructOps)) => {
                    let entries = Entries { funcs, programs: entries, defs: programs };
                    let btf = self.btf.as_ref();
                    if kind == SecKind::Maps {
                        inits.extend(slots::map_values(&cx, btf, &entries, section)?);
                    } else {
                        members.extend(slots::struct_ops(&cx, btf, &entries, section)?);
                    }
                }
                _ => {}
            }
        }
        relocs::sort(funcs);
        for (index, init) in inits {
            if let Some(sited) = maps.get_mut(index) {
                sited.map.init = init;
            }
        }
        for (index, member) in members {
            if let Some(ops) = maps.get_mut(index).and_then(|m| m.map.struct_ops.as_mut()) {
                ops.members.push(member);
            }
        }
        Ok(())
    }

    fn whole_programs(
        &self,
        text: Option<usize>,
        funcs: &[Func],
        entries: &[usize],
        maps: &[SitedMap],
        externs: &[Extern],
        programs: &mut [ProgramDef],
    ) -> Result<(), ElfError> {
        let callbacks = Callbacks::new(self.btf.as_ref())?;
        let records = Records::new(&self.file, self.ext.as_ref());
        let mut functions = Functions { funcs, text, budget: MAX_TOTAL_INSNS };
        for (program, &entry) in programs.iter_mut().zip(entries) {
            let made = callbacks.of(&program.name, funcs, text).and_then(|callback| {
                if let Some(e) = funcs.get(entry).and_then(|f| f.core_error.clone()) {
                    return Err(e);
                }
                let mut whole = functions.whole(entry, callback)?;
                patch::references(&mut whole, funcs, maps, externs)?;
                let info = records.of(&whole, funcs)?;
                Ok((whole, info))
            });
            let section = self.file.sections.get(funcs.get(entry).map_or(0, |f| f.section));
            let located = |e: ElfError| {
                e.in_program(&program.name).in_section(section.map_or("", |s| s.name))
            };
            match made {
                Ok((whole, (func_info, line_info))) => {
                    program.subprogs = subprogs(&whole, funcs);
                    program.insns = whole.insns;
                    program.func_info = func_info;
                    program.line_info = line_info;
                }
                Err(e) if program.autoload => return Err(located(e)),
                // Not loaded unless asked for; then the reason counts.
                Err(e) => program.unresolved = Some(located(e)),
            }
        }
        Ok(())
    }
}

fn subprogs(whole: &Whole, funcs: &[Func]) -> Vec<Subprog> {
    whole
        .parts
        .iter()
        .filter_map(|part| Some((part, funcs.get(part.func)?)))
        .map(|(part, func)| Subprog {
            name: func.name.clone(),
            // Limited by MAX_TOTAL_INSNS.
            start: u32::try_from(part.start).unwrap_or(u32::MAX),
            len: u32::try_from(func.insns.len()).unwrap_or(u32::MAX),
        })
        .collect()
}

/// Refuses the other byte order than the host's, unless it is to be converted.
pub(crate) fn check_endian(file: &ElfFile<'_>, options: &OpenOptions<'_>) -> Result<(), ElfError> {
    let host = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
    if file.endian == host || options.endian == EndianPolicy::Convert {
        return Ok(());
    }
    let (is, want) = match file.endian {
        Endian::Big => ("big-endian", "-mlittle-endian"),
        Endian::Little => ("little-endian", "-mbig-endian"),
    };
    Err(ElfError::new(format!(
        "the object is {is}, this host is not; compile with {want} (or -target bpf, which takes the host's order)"
    )))
}

/// Finds out what each section means.
fn classify(file: &ElfFile<'_>) -> Vec<SecDef> {
    file.sections
        .iter()
        .skip(1)
        .filter_map(|section| {
            let kind = kind_of(file, section)?;
            Some(SecDef {
                index: section.index,
                name: section.name.to_owned(),
                size: section.size,
                kind,
            })
        })
        .collect()
}

fn kind_of(file: &ElfFile<'_>, section: &Section<'_>) -> Option<SecKind> {
    let name = section.name;
    let is = |base: &str| {
        name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let by_name = match name {
        "license" => Some(SecKind::License),
        "version" => Some(SecKind::Version),
        MAPS => Some(SecKind::Maps),
        LEGACY_MAPS => Some(SecKind::LegacyMaps),
        BTF => Some(SecKind::Btf),
        BTF_EXT => Some(SecKind::BtfExt),
        _ => None,
    };
    if name.starts_with(".debug_") {
        None
    } else if section.is_rel() {
        let target = file.section(section.info)?;
        let of_code = target.is_code() && target.is_progbits();
        (of_code || target.name == MAPS || struct_ops::is_section(target.name))
            .then_some(SecKind::Relocations)
    } else if by_name.is_some() && !section.is_code() {
        by_name
    } else if section.is_progbits() && section.size > 0 {
        match name {
            _ if section.is_code() => Some(SecKind::Code),
            _ if is(".data") => Some(SecKind::Data),
            _ if is(".rodata") => Some(SecKind::Rodata),
            _ if struct_ops::is_section(name) => Some(SecKind::StructOps),
            ARENA => Some(SecKind::Arena),
            _ => None,
        }
    } else if section.is_nobits() && is(".bss") {
        Some(SecKind::Bss)
    } else {
        None
    }
}

fn section_of<'f, 'd>(
    file: &'f ElfFile<'d>,
    secs: &[SecDef],
    kind: SecKind,
) -> Option<&'f Section<'d>> {
    let sec = secs.iter().find(|s| s.kind == kind)?;
    file.sections.get(sec.index)
}

fn license(file: &ElfFile<'_>, secs: &[SecDef]) -> String {
    let bytes = section_of(file, secs, SecKind::License).map_or(&[][..], |s| s.data);
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text.get(..MAX_LICENSE).unwrap_or(text)).into_owned()
}

fn version(file: &ElfFile<'_>, secs: &[SecDef]) -> Result<u32, ElfError> {
    let Some(section) = section_of(file, secs, SecKind::Version) else { return Ok(0) };
    let bytes: [u8; 4] = section.data.try_into().map_err(|_| {
        ElfError::new(format!("{} bytes, a version has 4", section.data.len()))
            .in_section("version")
    })?;
    Ok(file.read_u32(bytes))
}
