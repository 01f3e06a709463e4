//! The pcap format: a header of 24 bytes, then packets.

use super::source::Source;
use super::{CaptureErrorKind, Endian, LinkType, Packet};
use std::io::Read;

const HEADER_LEN: u64 = 24;

/// Captured length above which a packet is taken for damage, as libpcap does (`MAXIMUM_SNAPLEN`).
const MAX_LEN: u32 = 262_144;
/// The same for buses whose transfers are larger (D-Bus, USB).
const MAX_BUS_LEN: u32 = 128 << 20;

/// In which order a record has its two lengths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lengths {
    /// Captured, original.
    Normal,
    /// Original, captured: before version 2.3.
    Swapped,
    /// Either, in version 2.3: the captured one is the lesser.
    Lesser,
}

#[derive(Debug)]
pub(super) struct State {
    endian: Endian,
    lengths: Lengths,
    /// 16, or 24 in a variant that some old Linux programs write.
    record_header_len: u64,
    link_type: LinkType,
    header: Vec<u8>,
    buf: Vec<u8>,
}

/// What the record of a packet holds besides data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    endian: Endian,
    lengths: Lengths,
    header: &'a [u8],
}

impl State {
    pub(super) fn open(
        source: &mut Source<impl Read>,
        magic: [u8; 4],
    ) -> Result<Self, CaptureErrorKind> {
        let (endian, record_header_len) = match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 | 0xa1b2_3c4d => (Endian::Big, 16),
            0xd4c3_b2a1 | 0x4d3c_b2a1 => (Endian::Little, 16),
            0xa1b2_cd34 => (Endian::Big, 24),
            0x34cd_b2a1 => (Endian::Little, 24),
            other => {
                return Err(match (other >> 8, other) {
                    (0x001f_8b08, _) => CaptureErrorKind::Compressed("gzip"),
                    (_, 0x28b5_2ffd) => CaptureErrorKind::Compressed("zstd"),
                    (_, 0xfd37_7a58) => CaptureErrorKind::Compressed("xz"),
                    (_, 0x0422_4d18) => CaptureErrorKind::Compressed("lz4"),
                    (0x0042_5a68, _) => CaptureErrorKind::Compressed("bzip2"),
                    _ => CaptureErrorKind::UnknownMagic(magic),
                });
            }
        };
        let mut header = Vec::new();
        source.read_rest(&mut header, HEADER_LEN, "the file header")?;
        let truncated = CaptureErrorKind::Truncated {
            what: "the file header",
            want: HEADER_LEN,
            have: header.len() as u64,
        };
        let (Some(major), Some(minor), Some(link)) =
            (endian.get16(&header, 4), endian.get16(&header, 6), endian.get32(&header, 20))
        else {
            return Err(truncated);
        };
        let lengths = match (major, minor) {
            // 543.0 is a known mistake of one program.
            (2, 4) | (543, 0) => Lengths::Normal,
            (2, 3) => Lengths::Lesser,
            (2, 0..=2) => Lengths::Swapped,
            _ => return Err(CaptureErrorKind::Version(major, minor)),
        };
        // The upper six bits tell about frame check sequences.
        let link_type = LinkType(link & 0x03ff_ffff);
        Ok(Self { endian, lengths, record_header_len, link_type, header, buf: Vec::new() })
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(super) fn next(
        &mut self,
        source: &mut Source<impl Read>,
        number: u64,
        offset: u64,
    ) -> Result<Option<Packet<'_>>, CaptureErrorKind> {
        self.buf.clear();
        if !source.read(&mut self.buf, self.record_header_len, "a packet's header")? {
            return Ok(None);
        }
        let first = self.endian.get32(&self.buf, 8).unwrap_or(0);
        let second = self.endian.get32(&self.buf, 12).unwrap_or(0);
        let lengths = match self.lengths {
            Lengths::Lesser if first > second => Lengths::Swapped,
            Lengths::Lesser => Lengths::Normal,
            known => known,
        };
        let (len, original_len) = match lengths {
            Lengths::Swapped => (second, first),
            Lengths::Normal | Lengths::Lesser => (first, second),
        };
        let max = if self.link_type.is_bus() { MAX_BUS_LEN } else { MAX_LEN };
        if len > max {
            return Err(CaptureErrorKind::PacketTooLong { len, max });
        }
        source.read_rest(&mut self.buf, u64::from(len), "a packet's data")?;
        // `record_header_len` is 16 or 24, and that much was read.
        let (header, data) = self.buf.split_at(self.record_header_len as usize);
        Ok(Some(Packet {
            number,
            offset,
            link_type: self.link_type,
            original_len,
            data,
            record: super::Record::Pcap(Record { endian: self.endian, lengths, header }),
        }))
    }
}

impl Record<'_> {
    pub(super) fn encode(&self, data: &[u8], original_len: u32, out: &mut Vec<u8>) {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(self.header.get(..8).unwrap_or_default());
        let (first, second) = match self.lengths {
            Lengths::Swapped => (original_len, len),
            Lengths::Normal | Lengths::Lesser => (len, original_len),
        };
        out.extend_from_slice(&self.endian.put32(first));
        out.extend_from_slice(&self.endian.put32(second));
        out.extend_from_slice(self.header.get(16..).unwrap_or_default());
        out.extend_from_slice(data);
    }
}
