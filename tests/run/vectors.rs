//! [`Vector`]: one file of the public ISA vectors in `conformance/`.
//!
//! A file has sections, each begun by a line `-- NAME`: `asm` (text), `raw` (64-bit hexadecimal words), `mem` (bytes
//! that R1 points to, with their count in R2), `result` (R0), and others that do not matter here.

use skep_abi::insn::RawInsn;
use skep_abi::insn::asm::{AsmError, assemble};
use std::path::PathBuf;

/// A program with what it is given and what it must return.
#[derive(Debug)]
pub(crate) struct Vector {
    /// File name without extension.
    pub(crate) name: String,
    /// The program, or why its text is none.
    pub(crate) program: Result<Vec<RawInsn>, AsmError>,
    /// The program as the file's raw words, where it has them.
    pub(crate) raw: Option<Vec<RawInsn>>,
    /// Memory at R1.
    pub(crate) mem: Vec<u8>,
    /// Expected R0.
    pub(crate) result: u64,
}

/// The vectors, in the order of their names. `SKEP_CONFORMANCE` names another directory to read them from.
pub(crate) fn all() -> Vec<Vector> {
    let dir = std::env::var_os("SKEP_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("run/conformance"),
        PathBuf::from,
    );
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "data"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).expect("a vector is text");
            parse(name, &text)
        })
        .collect()
}

/// The lines of a section without comments; `None` if the file does not have it.
fn section<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut lines =
        text.lines().skip_while(|line| line.strip_prefix("-- ").map(str::trim) != Some(name));
    lines.next()?;
    Some(lines.take_while(|line| !line.starts_with("-- ")).collect())
}

/// The words of a section.
fn words<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace()).collect()
}

fn number(name: &str, word: &str) -> u64 {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.unwrap_or_else(|e| panic!("{name}: `{word}`: {e}"))
}

fn parse(name: String, text: &str) -> Vector {
    let asm = section(text, "asm").unwrap_or_else(|| panic!("{name} has no program")).join("\n");
    let result = words(&section(text, "result").unwrap_or_else(|| panic!("{name} has no result")));
    let [result] = result[..] else { panic!("{name}: the result is not one number: {result:?}") };
    let mem = section(text, "mem").map(|lines| words(&lines)).unwrap_or_default();
    let raw = section(text, "raw").map(|lines| {
        let word = |word: &&str| RawInsn::from_le_bytes(number(&name, word).to_le_bytes());
        words(&lines).iter().map(word).collect()
    });
    Vector {
        program: assemble(&asm),
        raw,
        mem: mem
            .iter()
            .map(|byte| u8::from_str_radix(byte, 16).expect("a byte in hexadecimal"))
            .collect(),
        result: number(&name, result),
        name,
    }
}
