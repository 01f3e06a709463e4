//! [`Source`]: counted reads from a capture, never allocating more than the file has.

use super::CaptureErrorKind;
use std::io::Read;

/// How much a buffer grows at a time: what a length field claims is believed only as data arrives.
const STEP: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Source<R> {
    input: R,
    /// First bytes, read to recognise the format, and to be read once more.
    magic: Option<[u8; 4]>,
    position: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, magic: None, position: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The first four bytes, which are read again afterwards.
    pub(super) fn peek_magic(&mut self) -> Result<[u8; 4], CaptureErrorKind> {
        let mut first = Vec::new();
        let have = self.fill(&mut first, 4)?;
        self.position = 0;
        match <[u8; 4]>::try_from(first.as_slice()) {
            Ok(magic) => {
                self.magic = Some(magic);
                Ok(magic)
            }
            Err(_) if have == 0 => Err(CaptureErrorKind::Empty),
            Err(_) => Err(CaptureErrorKind::Truncated { what: "the file header", want: 24, have }),
        }
    }

    /// Appends `len` bytes to `buf`. At the end of the file appends nothing and says `false`.
    pub(super) fn read(
        &mut self,
        buf: &mut Vec<u8>,
        len: u64,
        what: &'static str,
    ) -> Result<bool, CaptureErrorKind> {
        match self.fill(buf, len)? {
            have if have == len => Ok(true),
            0 => Ok(false),
            have => Err(CaptureErrorKind::Truncated { what, want: len, have }),
        }
    }

    /// Appends up to `len` bytes; fewer only at the end of the file.
    fn fill(&mut self, buf: &mut Vec<u8>, len: u64) -> Result<u64, CaptureErrorKind> {
        let mut have = 0;
        if let Some(magic) = self.magic.take() {
            // What is read first is a header, longer than its magic.
            buf.extend_from_slice(&magic);
            have = 4;
        }
        while have < len {
            let step = (len - have).min(STEP);
            // Retries by itself when interrupted.
            let got =
                self.input.by_ref().take(step).read_to_end(buf).map_err(CaptureErrorKind::Io)?;
            have += got as u64;
            if (got as u64) < step {
                break;
            }
        }
        self.position += have;
        Ok(have)
    }

    /// Appends `len` bytes of a record that has begun, so that the end of the file is an error.
    pub(super) fn read_rest(
        &mut self,
        buf: &mut Vec<u8>,
        len: u64,
        what: &'static str,
    ) -> Result<(), CaptureErrorKind> {
        if len > 0 && !self.read(buf, len, what)? {
            return Err(CaptureErrorKind::Truncated { what, want: len, have: 0 });
        }
        Ok(())
    }
}
