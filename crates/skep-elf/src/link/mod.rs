//! Static linking of objects, as `bpftool gen object` does it.
//!
//! The result is not written out as a file: what was merged is opened at once. Order matters only where the rules for
//! symbols say so (the first of several weak definitions wins) and for the order of maps and programs.
//!
//! - `sections`: sections of one name are joined.
//! - `symbols`: which definition of a name counts.
//! - `types`: BTF and `.BTF.ext` joined, with ids and offsets moved.
//! - `matches`: whether two declarations of a name agree.

mod matches;
mod sections;
mod symbols;
mod types;

use skep_btf::Btf;
use skep_btf::ext::BtfExt;

use crate::error::ElfError;
use crate::file::ElfFile;
use crate::layout::{self, DataSection};
use crate::model::Object;
use crate::open::{self, Opening};
use crate::options::OpenOptions;

/// Most objects that are linked at once.
const MAX_INPUTS: usize = 4096;

/// One input, read.
struct Unit<'d> {
    name: &'d str,
    file: ElfFile<'d>,
    btf: Option<Btf>,
    ext: Option<BtfExt>,
    data: Vec<DataSection>,
}

impl<'d> Unit<'d> {
    fn read(
        name: &'d str,
        bytes: &'d [u8],
        options: &OpenOptions<'_>,
    ) -> Result<Unit<'d>, ElfError> {
        let file = ElfFile::parse(bytes)?;
        open::check_endian(&file, options)?;
        let (btf, ext) = open::read_btf(&file)?;
        let data = match &btf {
            Some(btf) => layout::data_sections(&file, btf)?,
            None => Vec::new(),
        };
        Ok(Unit { name, file, btf, ext, data })
    }
}

/// Links objects (name and bytes each) and opens the result under `name`.
///
/// # Errors
///
/// [`ElfError`] names the input, and the section or symbol in it: conflicting definitions, declarations that do not
/// agree, externs that nothing defines, and all that [`Object::open`] refuses.
pub fn link(
    name: &str,
    inputs: &[(&str, &[u8])],
    options: &OpenOptions<'_>,
) -> Result<Object, ElfError> {
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        return Err(ElfError::new(format!(
            "{} objects to link, 1 to {MAX_INPUTS} are possible",
            inputs.len()
        )));
    }
    let units: Vec<Unit<'_>> = inputs
        .iter()
        .map(|(name, bytes)| Unit::read(name, bytes, options).map_err(|e| e.in_object(name)))
        .collect::<Result<_, _>>()?;
    let mut joined = sections::join(&units)?;
    let symbols = symbols::resolve(&units, &joined)?;
    sections::move_relocations(&units, &symbols, &mut joined)?;
    let types = types::join(&units, &symbols, &joined)?;
    let file = joined.file(&units, &symbols);
    let (btf, ext) = match types {
        Some((btf, ext)) => (Some(btf), Some(ext)),
        None => (None, None),
    };
    Opening::new(name, file, btf, ext, options)?.finish()
}
