//! [`Cursor`]: one line of assembler text and the place in it; the tokens that both notations share.

use super::{AsmError, AsmErrorKind, Label};
use crate::insn::table::Pseudo;
use crate::insn::{Reg, Src, Width};

/// A position in one line.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    pos: usize,
    line: usize,
    /// The label that a jump target named; its offset is filled in at the end.
    pub(super) label: Option<Label<'a>>,
}

pub(super) type Parse<T> = Result<T, AsmError>;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, line: usize) -> Cursor<'a> {
        Cursor { text, pos: 0, line, label: None }
    }

    /// What is left of the line.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    /// Column of the cursor, from 1, in characters.
    pub(super) fn column(&self) -> usize {
        self.text.get(..self.pos).map_or(0, |before| before.chars().count()) + 1
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start().len();
    }

    pub(super) fn fail<T>(&self, kind: AsmErrorKind) -> Parse<T> {
        Err(AsmError { line: self.line, column: self.column(), kind })
    }

    /// The error that something else was expected here.
    pub(super) fn expected<T>(&self, what: impl Into<String>) -> Parse<T> {
        let found = match self.rest().split_whitespace().next() {
            Some(word) => format!("`{}`", word.chars().take(32).collect::<String>()),
            None => "the end of the line".to_owned(),
        };
        self.fail(AsmErrorKind::Expected { expected: what.into(), found })
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest().trim().is_empty()
    }

    /// Takes a token if it is next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.pos += token.len();
        }
        is_next
    }

    /// Takes a token, or fails.
    pub(super) fn token(&mut self, token: &str) -> Parse<()> {
        if self.eat(token) { Ok(()) } else { self.expected(format!("`{token}`")) }
    }

    /// Takes a word of letters, digits, `_`, `.` and `$`; empty if there is none.
    pub(super) fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')))
            .unwrap_or(rest.len());
        self.pos += end;
        rest.get(..end).unwrap_or("")
    }

    /// Takes this word (not a longer one that begins so), or fails.
    pub(super) fn keyword(&mut self, keyword: &str) -> Parse<()> {
        let before = self.clone();
        if self.word() == keyword {
            return Ok(());
        }
        *self = before;
        self.skip_space();
        self.expected(format!("`{keyword}`"))
    }

    /// Takes a sign of the table: the longest of `signs` that comes next.
    pub(super) fn longest<T: Copy>(
        &mut self,
        what: &str,
        signs: impl Iterator<Item = (&'static str, T)>,
    ) -> Parse<T> {
        self.skip_space();
        let rest = self.rest();
        match signs.filter(|(sign, _)| rest.starts_with(sign)).max_by_key(|(sign, _)| sign.len()) {
            Some((sign, value)) => {
                self.pos += sign.len();
                Ok(value)
            }
            None => self.expected(what),
        }
    }

    /// A register with the letter of its width, optionally after `%`.
    pub(super) fn reg(&mut self, width: Width) -> Parse<Reg> {
        let what = match width {
            Width::W32 => "a register, w0 to w10",
            Width::W64 => "a register, r0 to r10",
        };
        self.skip_space();
        let before = self.clone();
        self.eat("%");
        let reg = self
            .word()
            .strip_prefix(width.letter())
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .and_then(Reg::new);
        match reg {
            Some(reg) => Ok(reg),
            None => {
                *self = before;
                self.expected(what)
            }
        }
    }

    /// A register of either width, which tells the width.
    pub(super) fn any_reg(&mut self) -> Parse<(Width, Reg)> {
        let mut narrow = self.clone();
        if let Ok(reg) = narrow.reg(Width::W32) {
            *self = narrow;
            return Ok((Width::W32, reg));
        }
        Ok((Width::W64, self.reg(Width::W64)?))
    }

    /// Any integer: decimal or 0x, with an optional sign, within `min..=max`.
    pub(super) fn integer(&mut self, what: &str, min: i128, max: i128) -> Parse<i128> {
        self.skip_space();
        let before = self.clone();
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        let word = self.word();
        let magnitude = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => word.parse::<u64>(),
        };
        let value = magnitude.map(|m| if negative { -i128::from(m) } else { i128::from(m) });
        match value {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            Ok(_) | Err(_) => {
                *self = before;
                self.expected(format!("{what} ({min} to {max})"))
            }
        }
    }

    /// A 32-bit immediate, signed or as its unsigned bits.
    pub(super) fn imm32(&mut self) -> Parse<i32> {
        // Both halves of the range are 32 bits wide, so the cast keeps them.
        self.integer("a 32-bit immediate", i32::MIN.into(), u32::MAX.into()).map(|v| v as i32)
    }

    /// A 64-bit immediate, signed or as its unsigned bits.
    pub(super) fn imm64(&mut self) -> Parse<u64> {
        self.integer("a 64-bit immediate", i64::MIN.into(), u64::MAX.into()).map(|v| v as u64)
    }

    /// A signed 32-bit number.
    pub(super) fn int32(&mut self, what: &str) -> Parse<i32> {
        self.integer(what, i32::MIN.into(), i32::MAX.into()).map(|v| v as i32)
    }

    /// A signed 16-bit number.
    pub(super) fn int16(&mut self, what: &str) -> Parse<i16> {
        self.integer(what, i16::MIN.into(), i16::MAX.into()).map(|v| v as i16)
    }

    /// A register of this width, or an immediate.
    pub(super) fn reg_or_imm(&mut self, width: Width) -> Parse<Src> {
        let mut as_reg = self.clone();
        if let Ok(reg) = as_reg.reg(width) {
            *self = as_reg;
            return Ok(Src::Reg(reg));
        }
        let mut as_imm = self.clone();
        match as_imm.imm32() {
            Ok(imm) => {
                *self = as_imm;
                Ok(Src::Imm(imm))
            }
            Err(_) => {
                self.skip_space();
                let letter = width.letter();
                self.expected(format!("a register ({letter}0 to {letter}10) or a 32-bit immediate"))
            }
        }
    }

    /// A jump target: `pc+3`, `+3`, `3` or a label. A label gives 0 here and is kept in [`Cursor::label`].
    pub(super) fn target(&mut self) -> Parse<i32> {
        self.skip_space();
        let column = self.column();
        let mut number = self.clone();
        let mut after = number.clone();
        if after.eat("pc") && matches!(after.rest().as_bytes().first(), Some(b'+' | b'-')) {
            number = after;
        }
        if let Ok(off) = number.int32("a jump offset") {
            *self = number;
            return Ok(off);
        }
        let before = self.clone();
        let name = self.word();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            *self = before;
            return self.expected("a jump target: a label, or an offset in slots such as `pc+3`");
        }
        self.label = Some(Label { name, column });
        Ok(0)
    }

    /// A jump target whose instruction has a 16-bit offset.
    pub(super) fn target16(&mut self) -> Parse<i16> {
        self.skip_space();
        let before = self.clone();
        let off = self.target()?;
        match i16::try_from(off) {
            Ok(off) => Ok(off),
            Err(_) => {
                *self = before;
                self.expected("a jump offset of 16 bits (-32768 to 32767)")
            }
        }
    }

    /// Name of a pseudo source inside brackets, such as `fd:`.
    pub(super) fn pseudo(&mut self, choices: &[(&'static str, Pseudo)]) -> Parse<Pseudo> {
        self.longest("`fd:` or `idx:`", choices.iter().copied())
    }
}
