//! Reading and writing packet captures, pcap and pcapng, one record at a time.
//!
//! [`Reader`] yields [`Item`]s: packets, and everything else as bytes to copy. [`Packet::encode`] gives a packet's
//! record again, with other data if a program changed it, so that a written capture keeps the input's format, byte
//! order, timestamps, interfaces and options. Memory is bounded by the largest record and the number of interfaces.
//!
//! Formats: `draft-ietf-opsawg-pcap`, `draft-ietf-opsawg-pcapng`. Neighbours: `play` reads, `link` names link types.
//!
//! It is written here because the `pcap-file` crate (2.0) refuses snapped packets (original length above the snapshot
//! length), takes the padding of simple packet blocks for data, and cannot say where in a file a record begins.

mod error;
mod link;
mod pcap;
mod pcapng;
mod source;

#[cfg(test)]
mod tests;

pub use error::{CaptureError, CaptureErrorKind};
pub use link::LinkType;

use source::Source;
use std::io::Read;

/// Byte order of a capture or of a pcapng section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(crate) fn put32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The 16-bit number at `at`, or `None` beyond the end.
    pub(crate) fn get16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..at.checked_add(2)?)?;
        Some(self.u16(bytes.try_into().ok()?))
    }

    /// The 32-bit number at `at`, or `None` beyond the end.
    pub(crate) fn get32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        Some(self.u32(bytes.try_into().ok()?))
    }
}

/// One packet of a capture.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Number within the capture, from 1 (as `tshark` counts).
    pub number: u64,
    /// Where its record begins in the file, in bytes.
    pub offset: u64,
    /// What the data begins with.
    pub link_type: LinkType,
    /// Length on the wire in bytes; above `data.len()` if the packet was snapped.
    pub original_len: u32,
    /// The captured bytes.
    pub data: &'a [u8],
    record: Record<'a>,
}

/// What else the record of a packet holds.
#[derive(Clone, Copy, Debug)]
enum Record<'a> {
    Pcap(pcap::Record<'a>),
    Pcapng(pcapng::Record<'a>),
}

impl Packet<'_> {
    /// Whether only the beginning of the packet was captured.
    pub fn is_snapped(&self) -> bool {
        (self.data.len() as u64) < u64::from(self.original_len)
    }

    /// Appends the packet's record to `out`, holding `data` in place of the captured bytes.
    ///
    /// The length on the wire changes by as much as the data does. A packet of a pcapng simple packet block that would
    /// not fit its interface's snapshot length becomes an enhanced packet block with a timestamp of zero.
    pub fn encode(&self, data: &[u8], out: &mut Vec<u8>) {
        let missing = u64::from(self.original_len).saturating_sub(self.data.len() as u64);
        let original_len = u32::try_from(missing.saturating_add(data.len() as u64));
        // Some writers record an original length below the captured one: kept for data of the same length.
        let original_len = if data.len() == self.data.len() {
            self.original_len
        } else {
            original_len.unwrap_or(u32::MAX)
        };
        self.encode_as(data, original_len, out);
    }

    /// As [`encode`](Self::encode), but the length on the wire stays: `data` is what was kept of the packet.
    pub fn encode_snapped(&self, data: &[u8], out: &mut Vec<u8>) {
        self.encode_as(data, self.original_len, out);
    }

    fn encode_as(&self, data: &[u8], original_len: u32, out: &mut Vec<u8>) {
        match &self.record {
            Record::Pcap(record) => record.encode(data, original_len, out),
            Record::Pcapng(record) => record.encode(data, original_len, data != self.data, out),
        }
    }
}

/// What a capture consists of.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// File header, or block that is no packet: to be copied to an output as it is.
    Other(&'a [u8]),
    /// A packet.
    Packet(Packet<'a>),
}

/// Streams the items of a capture.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    format: Format,
    packets: u64,
}

#[derive(Debug)]
enum Format {
    Pcap { state: pcap::State, header_given: bool },
    Pcapng(pcapng::State),
}

impl<R: Read> Reader<R> {
    /// Recognises the format by its first bytes. Wants a buffered `input`.
    pub fn new(input: R) -> Result<Self, CaptureError> {
        let mut source = Source::new(input);
        let at_start = |kind| CaptureError { packet: None, offset: 0, kind };
        let magic = source.peek_magic().map_err(at_start)?;
        let format = if magic == pcapng::SECTION_MAGIC {
            Format::Pcapng(pcapng::State::default())
        } else {
            Format::Pcap {
                state: pcap::State::open(&mut source, magic).map_err(at_start)?,
                header_given: false,
            }
        };
        Ok(Self { source, format, packets: 0 })
    }

    /// The link type of the whole capture; `None` where each interface has its own (pcapng).
    pub fn link_type(&self) -> Option<LinkType> {
        match &self.format {
            Format::Pcap { state, .. } => Some(state.link_type()),
            Format::Pcapng(_) => None,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// The next item, or `None` at the end. After an error the capture cannot be read further.
    #[expect(clippy::should_implement_trait, reason = "an item borrows the reader's buffer")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, CaptureError> {
        let offset = self.source.position();
        let number = self.packets + 1;
        let fail = |kind| CaptureError { packet: Some(number), offset, kind };
        match &mut self.format {
            Format::Pcap { state, header_given } => {
                if !*header_given {
                    *header_given = true;
                    return Ok(Some(Item::Other(state.header())));
                }
                let Some(packet) = state.next(&mut self.source, number, offset).map_err(fail)?
                else {
                    return Ok(None);
                };
                self.packets = number;
                Ok(Some(Item::Packet(packet)))
            }
            Format::Pcapng(state) => {
                let Some(item) = state.next(&mut self.source, number, offset).map_err(fail)? else {
                    return Ok(None);
                };
                if let Item::Packet(_) = item {
                    self.packets = number;
                }
                Ok(Some(item))
            }
        }
    }
}
