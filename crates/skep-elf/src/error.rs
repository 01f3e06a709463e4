//! [`ElfError`]: why an object is refused.

use core::fmt;

/// Why an object file was refused: what is wrong, and in which section, symbol and place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElfError {
    message: String,
    section: Option<String>,
    symbol: Option<String>,
    offset: Option<u64>,
    program: Option<String>,
}

impl ElfError {
    /// An error about the whole file.
    pub(crate) fn new(message: impl Into<String>) -> ElfError {
        ElfError {
            message: message.into(),
            section: None,
            symbol: None,
            offset: None,
            program: None,
        }
    }

    /// Section that is at fault.
    pub fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }

    /// Symbol (map, program, variable) that is at fault.
    pub fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    /// Byte offset in the section.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// Program whose relocation failed.
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// What is wrong and what would have been right, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(program) = &self.program {
            write!(f, "program '{program}': ")?;
        }
        if let Some(section) = &self.section {
            write!(f, "section '{section}': ")?;
        }
        if let Some(symbol) = &self.symbol {
            write!(f, "symbol '{symbol}': ")?;
        }
        if let Some(offset) = self.offset {
            write!(f, "offset {offset:#x}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ElfError {}
