//! [`ElfError`]: why an object is refused.

use core::fmt;

/// Why an object file was refused: what is wrong, and in which section, symbol and place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElfError {
    // Boxed: errors are rare, and `Result`s of them are everywhere.
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Inner {
    message: String,
    object: Option<String>,
    section: Option<String>,
    symbol: Option<String>,
    offset: Option<u64>,
    program: Option<String>,
}

impl ElfError {
    /// An error about the whole file.
    pub(crate) fn new(message: impl Into<String>) -> ElfError {
        ElfError { inner: Box::new(Inner { message: message.into(), ..Inner::default() }) }
    }

    /// Says which section; the innermost caller wins.
    #[must_use]
    pub(crate) fn in_section(mut self, name: &str) -> ElfError {
        self.inner.section.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Says which symbol; the innermost caller wins.
    #[must_use]
    pub(crate) fn of_symbol(mut self, name: &str) -> ElfError {
        self.inner.symbol.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Says at which byte of the section; the innermost caller wins.
    #[must_use]
    pub(crate) fn at(mut self, offset: u64) -> ElfError {
        self.inner.offset.get_or_insert(offset);
        self
    }

    /// Says in which program.
    #[must_use]
    pub(crate) fn in_program(mut self, name: &str) -> ElfError {
        self.inner.program.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Says in which object, where there are several.
    #[must_use]
    pub(crate) fn in_object(mut self, name: &str) -> ElfError {
        self.inner.object.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Object that is at fault, when several are linked.
    pub fn object(&self) -> Option<&str> {
        self.inner.object.as_deref()
    }

    /// Section that is at fault.
    pub fn section(&self) -> Option<&str> {
        self.inner.section.as_deref()
    }

    /// Symbol (map, program, variable) that is at fault.
    pub fn symbol(&self) -> Option<&str> {
        self.inner.symbol.as_deref()
    }

    /// Byte offset in the section.
    pub fn offset(&self) -> Option<u64> {
        self.inner.offset
    }

    /// Program whose relocation failed.
    pub fn program(&self) -> Option<&str> {
        self.inner.program.as_deref()
    }

    /// What is wrong and what would have been right, without the place.
    pub fn message(&self) -> &str {
        &self.inner.message
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, object, section, symbol, offset, program } = &*self.inner;
        if let Some(object) = object {
            write!(f, "object '{object}': ")?;
        }
        if let Some(program) = program {
            write!(f, "program '{program}': ")?;
        }
        if let Some(section) = section {
            write!(f, "section '{section}': ")?;
        }
        if let Some(symbol) = symbol {
            write!(f, "symbol '{symbol}': ")?;
        }
        if let Some(offset) = offset {
            write!(f, "offset {offset:#x}: ")?;
        }
        f.write_str(message)
    }
}

impl std::error::Error for ElfError {}
