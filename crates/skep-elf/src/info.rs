//! Function and line records of `.BTF.ext`, moved to where a program's functions ended up.

use std::collections::HashMap;

use skep_btf::ext::{self, BtfExt};

use crate::append::Whole;
use crate::code::Func;
use crate::error::ElfError;
use crate::file::ElfFile;
use crate::model::{FuncInfo, LineInfo};

/// The records by section number.
#[derive(Debug, Default)]
pub(crate) struct Records<'a> {
    func: HashMap<usize, Listed<'a, ext::FuncInfo>>,
    line: HashMap<usize, Listed<'a, ext::LineInfo>>,
}

/// The records of a section.
#[derive(Clone, Copy, Debug)]
struct Listed<'a, R> {
    list: &'a [R],
    /// Compilers and linkers sort records; what is not sorted is searched from the start, as libbpf does.
    is_sorted: bool,
}

impl<'a, R> Listed<'a, R> {
    fn new(list: &'a [R], byte_of: impl Fn(&R) -> u32) -> Listed<'a, R> {
        Listed { list, is_sorted: list.is_sorted_by_key(byte_of) }
    }
}

impl<'a> Records<'a> {
    /// Finds the sections that the records name.
    pub(crate) fn new(file: &ElfFile<'_>, ext: Option<&'a BtfExt>) -> Records<'a> {
        let mut out = Records::default();
        let Some(ext) = ext else { return out };
        for part in &ext.func_info {
            if let Some(section) = file.section_by_name(&part.section) {
                let listed = Listed::new(&part.records, |r| r.insn_off);
                out.func.entry(section.index).or_insert(listed);
            }
        }
        for part in &ext.line_info {
            if let Some(section) = file.section_by_name(&part.section) {
                let listed = Listed::new(&part.records, |r| r.insn_off);
                out.line.entry(section.index).or_insert(listed);
            }
        }
        out
    }

    /// The records of a whole program.
    ///
    /// If the entry function has none, the program has none; if it has some, each subprogram must have some.
    pub(crate) fn of(
        &self,
        whole: &Whole,
        funcs: &[Func],
    ) -> Result<(Vec<FuncInfo>, Vec<LineInfo>), ElfError> {
        let func_info = gather(
            &self.func,
            whole,
            funcs,
            "function",
            |r| r.insn_off,
            |r, slot| FuncInfo { insn_off: slot, type_id: r.type_id.0 },
        )?;
        let line_info = gather(
            &self.line,
            whole,
            funcs,
            "line",
            |r| r.insn_off,
            |r, slot| LineInfo {
                insn_off: slot,
                file_name_off: r.file_name_off,
                line_off: r.line_off,
                line_col: r.line_col,
            },
        )?;
        Ok((func_info, line_info))
    }
}

fn gather<R: Copy, O>(
    records: &HashMap<usize, Listed<'_, R>>,
    whole: &Whole,
    funcs: &[Func],
    what: &str,
    byte_of: impl Fn(&R) -> u32,
    make: impl Fn(R, u32) -> O,
) -> Result<Vec<O>, ElfError> {
    let mut out = Vec::new();
    for (number, part) in whole.parts.iter().enumerate() {
        let Some(func) = funcs.get(part.func) else { continue };
        let Some(Listed { list, is_sorted }) = records.get(&func.section).copied() else {
            if number == 0 {
                return Ok(Vec::new());
            }
            return Err(missing(what, func));
        };
        let before = out.len();
        let from = if is_sorted {
            list.partition_point(|r| ((byte_of(r) / 8) as usize) < func.sec_slot)
        } else {
            0
        };
        for record in list.iter().skip(from) {
            let slot = (byte_of(record) / 8) as usize;
            if slot < func.sec_slot {
                continue;
            }
            if !func.contains(slot) {
                break;
            }
            // Within the program, which is limited.
            let at = part.start + (slot - func.sec_slot);
            out.push(make(*record, u32::try_from(at).unwrap_or(u32::MAX)));
        }
        if out.len() == before {
            if number == 0 {
                return Ok(Vec::new());
            }
            return Err(missing(what, func));
        }
    }
    Ok(out)
}

fn missing(what: &str, func: &Func) -> ElfError {
    ElfError::new(format!(
        ".BTF.ext has {what} records for the program but none for the subprogram '{}'",
        func.name
    ))
}
