//! [`parse`]: the decimal text of a filter.

use core::fmt;

use super::{MAX_INSNS, SockFilter};

/// Why a text is no filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Which instruction, from 0, or `None` for the count at the beginning.
    pub insn: Option<usize>,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseErrorKind {
    /// There is no text.
    Empty,
    /// The count is no number from 1 to [`MAX_INSNS`]; the text found.
    Count(String),
    /// An instruction is not four numbers; the text found.
    Fields(String),
    /// A number is none, or too large for its field: name, largest value, text found.
    Number(&'static str, u32, String),
    /// More or fewer instructions than the count says: count, found.
    Length(usize, usize),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(insn) = self.insn {
            write!(f, ", instruction {insn}")?;
        }
        match &self.kind {
            ParseErrorKind::Empty => f.write_str(": no text; expected the count of instructions"),
            ParseErrorKind::Count(found) => {
                write!(f, ": expected the count of instructions, 1 to {MAX_INSNS}, found `{found}`")
            }
            ParseErrorKind::Fields(found) => {
                write!(f, ": expected four numbers `code jt jf k`, found `{found}`")
            }
            ParseErrorKind::Number(field, max, found) => {
                write!(f, ": expected `{field}` as a number from 0 to {max}, found `{found}`")
            }
            ParseErrorKind::Length(count, found) => {
                write!(f, ": the count says {count} instructions, but there are {found}")
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// Reads a filter: the output of `tcpdump -ddd` (the count on a line, then `code jt jf k` a line), or the same in one
/// line with commas (`4,40 0 0 12,…`) as tc and iptables take it.
///
/// # Errors
///
/// Names the line and the instruction. Whether the instructions make sense is for [`super::check`] to say.
pub fn parse(text: &str) -> Result<Vec<SockFilter>, ParseError> {
    let mut items = text
        .lines()
        .enumerate()
        .flat_map(|(at, line)| line.split(',').map(move |item| (at + 1, item.trim())))
        .filter(|(_, item)| !item.is_empty());

    let Some((line, count_text)) = items.next() else {
        return Err(ParseError { line: 1, insn: None, kind: ParseErrorKind::Empty });
    };
    let count = match count_text.parse::<usize>() {
        Ok(count) if (1..=MAX_INSNS).contains(&count) => count,
        Ok(_) | Err(_) => {
            return Err(ParseError {
                line,
                insn: None,
                kind: ParseErrorKind::Count(shorten(count_text)),
            });
        }
    };

    let mut filter = Vec::with_capacity(count);
    let mut last_line = line;
    for (line, item) in items {
        last_line = line;
        if filter.len() < count {
            let insn = parse_insn(item).map_err(|kind| ParseError {
                line,
                insn: Some(filter.len()),
                kind,
            })?;
            filter.push(insn);
        } else {
            let kind = ParseErrorKind::Length(count, count + 1);
            return Err(ParseError { line, insn: Some(count), kind });
        }
    }
    if filter.len() != count {
        let kind = ParseErrorKind::Length(count, filter.len());
        return Err(ParseError { line: last_line, insn: None, kind });
    }
    Ok(filter)
}

/// At most 32 characters of what was found, for a message.
fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

fn parse_insn(item: &str) -> Result<SockFilter, ParseErrorKind> {
    let mut words = item.split_whitespace();
    let fields = [words.next(), words.next(), words.next(), words.next()];
    let ([Some(code), Some(jt), Some(jf), Some(k)], None) = (fields, words.next()) else {
        return Err(ParseErrorKind::Fields(shorten(item)));
    };
    let number = |name, text: &str, max: u32| match text.parse::<u32>() {
        Ok(number) if number <= max => Ok(number),
        Ok(_) | Err(_) => Err(ParseErrorKind::Number(name, max, shorten(text))),
    };
    // Each number has been compared with the largest of its field.
    Ok(SockFilter {
        code: number("code", code, u16::MAX.into())? as u16,
        jt: number("jt", jt, u8::MAX.into())? as u8,
        jf: number("jf", jf, u8::MAX.into())? as u8,
        k: number("k", k, u32::MAX)?,
    })
}
