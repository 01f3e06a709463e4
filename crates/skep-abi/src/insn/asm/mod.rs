//! The text assembler: [`assemble`] reads the kernel's notation and the mnemonics of the public ISA vectors.
//!
//! Key types: [`AsmError`] with line and column. `cursor` reads tokens, `kernel` and `mnemonic` each read every
//! [`Form`] of the table in their notation.
//!
//! A line holds a label (`name:`), a slot number (`12:`, which must be right), an instruction, or nothing. A comment
//! begins with `;`, `//`, or a `#` that follows white space or begins the line. The opcode in front of the
//! kernel's notation, `(b7)`, may be left out; then `r1 = 5` is a move, and a number that does not fit 32 bits or is
//! followed by `ll` a 64-bit load. A jump to `exit` where no label has that name goes to the last `exit` instruction.

mod cursor;
mod kernel;
mod mnemonic;

use core::fmt;
use std::collections::HashMap;

use self::cursor::{Cursor, Parse};
use super::encode::{encode, encode_one};
use super::raw::RawInsn;
use super::table::Form;
use super::types::{CallTarget, EndianOp, Imm64, Insn, Size, Width};

/// Why a text is no program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: AsmErrorKind,
}

/// What is wrong with the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AsmErrorKind {
    /// Something else should stand here.
    Expected {
        /// What should.
        expected: String,
        /// What does.
        found: String,
    },
    /// A call through a register (`callx`), which Linux does not have.
    CallRegister,
    /// A label that is nowhere defined.
    UndefinedLabel(String),
    /// A label that was defined before, on this line.
    DuplicateLabel(String, usize),
    /// A slot number that is not that of its instruction, which is given.
    SlotNumber(usize),
    /// A jump to a label that is too many slots away, as given, for a 16-bit offset.
    TooFar(i64),
    /// More slots than offsets can count.
    TooLong,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match &self.kind {
            AsmErrorKind::Expected { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            AsmErrorKind::CallRegister => f.write_str(
                "call through a register: Linux has no such instruction; call a helper or a label",
            ),
            AsmErrorKind::UndefinedLabel(name) => {
                write!(f, "label `{name}` is not defined; add a line `{name}:`")
            }
            AsmErrorKind::DuplicateLabel(name, line) => {
                write!(f, "label `{name}` was defined on line {line}; a label must be unique")
            }
            AsmErrorKind::SlotNumber(slot) => {
                write!(f, "this instruction is at slot {slot}; write that or no number")
            }
            AsmErrorKind::TooFar(off) => {
                write!(
                    f,
                    "the label is {off} slots away, and 16 bits hold -32768 to 32767; use `gotol` or `ja32`"
                )
            }
            AsmErrorKind::TooLong => f.write_str("the program is too long for 32-bit offsets"),
        }
    }
}

impl core::error::Error for AsmError {}

/// A label that an instruction names.
#[derive(Clone, Copy)]
struct Label<'a> {
    name: &'a str,
    column: usize,
}

/// A use of a label, to be resolved at the end.
struct Use<'a> {
    label: Label<'a>,
    slot: usize,
    line: usize,
}

/// Assembles a program; see the [module](self) for what a line may hold.
///
/// # Errors
///
/// The first line that is no instruction, with the column and what was expected there; then the first label that
/// cannot be resolved.
pub fn assemble(text: &str) -> Result<Vec<RawInsn>, AsmError> {
    assemble_insns(text).map(|insns| encode(&insns))
}

/// As [`assemble`], but gives decoded instructions.
///
/// # Errors
///
/// As [`assemble`].
pub fn assemble_insns(text: &str) -> Result<Vec<Insn>, AsmError> {
    let mut insns = Vec::new();
    let mut labels: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut uses = Vec::new();
    let mut last_exit = None;

    for (number, line_text) in text.lines().enumerate() {
        let line = number + 1;
        let mut c = Cursor::new(without_comment(line_text), line);
        while let Some((name, before)) = label_definition(&mut c) {
            match name.parse::<usize>() {
                Ok(slot) if slot == insns.len() => {}
                Ok(_) => return before.fail(AsmErrorKind::SlotNumber(insns.len())),
                Err(_) => {
                    if let Some((_, first)) = labels.insert(name, (insns.len(), line)) {
                        return before.fail(AsmErrorKind::DuplicateLabel(name.to_owned(), first));
                    }
                }
            }
        }
        if c.at_end() {
            continue;
        }
        let (insn, label) = parse_insn(c)?;
        if let Some(label) = label {
            uses.push(Use { label, slot: insns.len(), line });
        }
        if insn == Insn::Exit {
            last_exit = Some(insns.len());
        }
        insns.push(insn);
        if matches!(insn, Insn::LdImm64 { .. }) {
            insns.push(Insn::Imm64Hi);
        }
    }

    for used in uses {
        let Label { name, column } = used.label;
        let fail = |kind| Err(AsmError { line: used.line, column, kind });
        let target = match labels.get(name) {
            Some((slot, _)) => *slot,
            None => match last_exit.filter(|_| name == "exit") {
                Some(slot) => slot,
                None => return fail(AsmErrorKind::UndefinedLabel(name.to_owned())),
            },
        };
        let (Ok(target), Ok(slot)) = (i32::try_from(target), i32::try_from(used.slot)) else {
            return fail(AsmErrorKind::TooLong);
        };
        // Both are not negative, so neither subtraction can overflow.
        let off = target - slot - 1;
        if let Some(insn) = insns.get_mut(used.slot)
            && let Err(kind) = set_target(insn, off)
        {
            return fail(kind);
        }
    }
    Ok(insns)
}

/// The line up to its comment.
fn without_comment(line: &str) -> &str {
    let mut previous = ' ';
    for (at, ch) in line.char_indices() {
        let rest = line.get(at..).unwrap_or("");
        if ch == ';' || (ch == '#' && previous.is_whitespace()) || rest.starts_with("//") {
            return line.get(..at).unwrap_or(line);
        }
        previous = ch;
    }
    line
}

/// Takes `name:` if it is next; also gives the cursor before it, for errors.
fn label_definition<'a>(c: &mut Cursor<'a>) -> Option<(&'a str, Cursor<'a>)> {
    c.skip_space();
    let before = c.clone();
    let mut after = c.clone();
    let name = after.word();
    if name.is_empty() || !after.eat(":") {
        return None;
    }
    *c = after;
    Some((name, before))
}

/// Reads one instruction in either notation.
fn parse_insn(mut c: Cursor<'_>) -> Parse<(Insn, Option<Label<'_>>)> {
    let opcode = opcode_prefix(&mut c)?;
    c.skip_space();
    let start = c.column();
    // Of all forms that do not match, the one that got furthest says what is missing.
    let mut furthest: Option<AsmError> = None;
    let rank =
        |error: &AsmError| (error.column, !matches!(error.kind, AsmErrorKind::Expected { .. }));
    let readers: &[fn(Form, &mut Cursor<'_>) -> Parse<Insn>] =
        if opcode.is_some() { &[kernel::parse] } else { &[kernel::parse, mnemonic::parse] };
    for read in readers {
        for &form in Form::ALL {
            if opcode.is_some_and(|code| !form.opcodes().contains(&code)) {
                continue;
            }
            let mut attempt = c.clone();
            let error = match read(form, &mut attempt) {
                Ok(_) if !attempt.at_end() => {
                    attempt.skip_space();
                    attempt.expected::<Insn>("the end of the line").err()
                }
                Ok(insn) => match opcode {
                    Some(code) if encode_one(&insn).code != code => {
                        c.expected::<Insn>(format!("an instruction with opcode {code:02x}")).err()
                    }
                    Some(_) | None => return Ok((insn, attempt.label)),
                },
                Err(error) => Some(error),
            };
            if let Some(error) = error
                && furthest.as_ref().is_none_or(|f| rank(&error) > rank(f))
            {
                furthest = Some(error);
            }
        }
    }
    match furthest {
        Some(error) if error.column > start => Err(error),
        Some(_) | None if opcode.is_none() => c.expected("an instruction"),
        Some(error) => Err(error),
        None => c.expected("an instruction with an opcode that exists"),
    }
}

/// Takes `(b7)` if it is next.
fn opcode_prefix(c: &mut Cursor<'_>) -> Parse<Option<u8>> {
    let mut after = c.clone();
    if !after.eat("(") {
        return Ok(None);
    }
    let before = after.clone();
    let word = after.word();
    match u8::from_str_radix(word, 16) {
        Ok(code) if word.len() == 2 && after.eat(")") => {
            *c = after;
            Ok(Some(code))
        }
        Ok(_) | Err(_) => before.expected("an opcode of two hexadecimal digits and `)`"),
    }
}

/// `+8` or `-8`: an offset, whose sign is not optional.
fn signed_offset(c: &mut Cursor<'_>) -> Parse<i16> {
    c.skip_space();
    if !c.rest().starts_with(['+', '-']) {
        return c.expected("`+` or `-` and an offset in bytes");
    }
    c.int16("an offset in bytes")
}

/// `, 0, 1`: destination and source address space, which are all there are.
fn address_spaces(c: &mut Cursor<'_>) -> Parse<(u16, u16)> {
    let mut spaces = [0u16; 2];
    for space in &mut spaces {
        c.token(",")?;
        *space = c.integer("an address space", 0, 1)? as u16;
    }
    match spaces {
        [0, 1] => Ok((0, 1)),
        [1, 0] => Ok((1, 0)),
        _ => c.expected("a cast between two address spaces: `0, 1` or `1, 0` before this"),
    }
}

/// `be16`: an operation by its name in the table or one of the others given, and a width.
fn endian(c: &mut Cursor<'_>, others: &[(&'static str, EndianOp)]) -> Parse<(EndianOp, Size)> {
    c.skip_space();
    let mut after = c.clone();
    let word = after.word();
    for (name, op) in
        EndianOp::ALL.iter().map(|op| (op.row().name, *op)).chain(others.iter().copied())
    {
        let bits = word.strip_prefix(name);
        for size in [Size::H, Size::W, Size::DW] {
            if bits == Some(size.bits().to_string().as_str()) {
                *c = after;
                return Ok((op, size));
            }
        }
    }
    c.expected("a byte order conversion such as `be16`")
}

/// Puts the offset of a resolved label into an instruction.
fn set_target(insn: &mut Insn, target: i32) -> Result<(), AsmErrorKind> {
    let short = || i16::try_from(target).map_err(|_| AsmErrorKind::TooFar(target.into()));
    match insn {
        Insn::Goto { width: Width::W64, off } => *off = short()?.into(),
        Insn::Goto { width: Width::W32, off } => *off = target,
        Insn::MayGoto { off } | Insn::JumpIf { off, .. } => *off = short()?,
        Insn::Call(CallTarget::Local(off)) | Insn::LdImm64 { imm: Imm64::Func(off, _), .. } => {
            *off = target
        }
        Insn::Call(CallTarget::Helper(_) | CallTarget::Kfunc { .. })
        | Insn::LdImm64 { .. }
        | Insn::Alu { .. }
        | Insn::MovSx { .. }
        | Insn::AddrSpaceCast { .. }
        | Insn::Neg { .. }
        | Insn::Endian { .. }
        | Insn::Imm64Hi
        | Insn::LdAbs { .. }
        | Insn::LdInd { .. }
        | Insn::Load { .. }
        | Insn::Store { .. }
        | Insn::Atomic { .. }
        | Insn::LoadAcquire { .. }
        | Insn::StoreRelease { .. }
        | Insn::Exit => {}
    }
    Ok(())
}
