//! The pcapng format: sections of blocks, each with its length before and after.

use super::source::Source;
use super::{CaptureErrorKind, Endian, Item, LinkType, Packet};
use std::io::Read;

/// Type of a section header block, the same in both byte orders.
pub(super) const SECTION_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Longest block that is believed, as in libpcap for links of large transfers.
const MAX_BLOCK_LEN: u32 = (128 << 20) + 4096;
/// Type and length before, length after.
const FRAME_LEN: u32 = 12;

/// Option that holds a hash of the packet, which is wrong once the packet changes.
const OPTION_END: u16 = 0;
const OPTION_HASH: u16 = 3;

#[derive(Debug, Default)]
pub(super) struct State {
    endian: Option<Endian>,
    interfaces: Vec<Interface>,
    buf: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    /// 0 for no limit, in bytes.
    snap_len: u32,
}

/// What the block of a packet holds besides data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    endian: Endian,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    /// Enhanced, or obsolete, which differ in the block type and the meaning of the first word only.
    Full {
        block: u32,
        /// Interface and timestamp.
        head: &'a [u8],
        options: &'a [u8],
    },
    Simple {
        snap_len: u32,
    },
}

impl State {
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    pub(super) fn next(
        &mut self,
        source: &mut Source<impl Read>,
        number: u64,
        offset: u64,
    ) -> Result<Option<Item<'_>>, CaptureErrorKind> {
        self.buf.clear();
        if !source.read(&mut self.buf, 8, "a block's header")? {
            return Ok(None);
        }
        if self.buf.starts_with(&SECTION_MAGIC) {
            source.read_rest(&mut self.buf, 4, "a section header")?;
            let magic: [u8; 4] =
                self.buf.get(8..12).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            self.endian = Some(match magic {
                [0x4d, 0x3c, 0x2b, 0x1a] => Endian::Little,
                [0x1a, 0x2b, 0x3c, 0x4d] => Endian::Big,
                other => return Err(CaptureErrorKind::ByteOrder(other)),
            });
            self.interfaces.clear();
        }
        // The file begins with a section header, so that there is one.
        let endian = self.endian.unwrap_or(Endian::Little);
        let block = endian.get32(&self.buf, 0).unwrap_or(0);
        let len = endian.get32(&self.buf, 4).unwrap_or(0);
        check_block_len(block, len)?;
        let rest = u64::from(len) - self.buf.len() as u64;
        source.read_rest(&mut self.buf, rest, "a block")?;
        let last = endian.get32(&self.buf, self.buf.len().saturating_sub(4)).unwrap_or(0);
        if last != len {
            return Err(CaptureErrorKind::BlockTrailer { block, first: len, last });
        }

        if block == SECTION_HEADER {
            // The section's length holds no longer when packets are left out: -1 leaves it open.
            if let Some(section_len) = self.buf.get_mut(16..24) {
                section_len.fill(0xff);
            }
        }
        let Self { interfaces, buf, .. } = self;
        let buf: &[u8] = buf;
        let body = buf.get(8..buf.len() - 4).unwrap_or_default();
        match block {
            SECTION_HEADER => match (endian.get16(body, 4), endian.get16(body, 6)) {
                (Some(1), _) => Ok(Some(Item::Other(buf))),
                (major, minor) => {
                    Err(CaptureErrorKind::Version(major.unwrap_or(0), minor.unwrap_or(0)))
                }
            },
            INTERFACE_DESCRIPTION => {
                interfaces.push(Interface {
                    link_type: LinkType(u32::from(endian.get16(body, 0).unwrap_or(0))),
                    snap_len: endian.get32(body, 4).unwrap_or(0),
                });
                Ok(Some(Item::Other(buf)))
            }
            ENHANCED_PACKET | OBSOLETE_PACKET => {
                let index = if block == ENHANCED_PACKET {
                    endian.get32(body, 0).unwrap_or(0)
                } else {
                    u32::from(endian.get16(body, 0).unwrap_or(0))
                };
                let interface = interface(interfaces, index)?;
                let len = endian.get32(body, 12).unwrap_or(0);
                let have = body.get(20..).unwrap_or_default();
                let beyond = CaptureErrorKind::DataBeyondBlock { len, have: have.len() };
                let Some((data, rest)) = have.split_at_checked(len as usize) else {
                    return Err(beyond);
                };
                let options = rest.get(padding(data.len())..).unwrap_or_default();
                let head = body.get(..12).unwrap_or_default();
                Ok(Some(Item::Packet(Packet {
                    number,
                    offset,
                    link_type: interface.link_type,
                    original_len: endian.get32(body, 16).unwrap_or(0),
                    data,
                    record: super::Record::Pcapng(Record {
                        endian,
                        kind: Kind::Full { block, head, options },
                    }),
                })))
            }
            SIMPLE_PACKET => {
                let interface = interface(interfaces, 0)?;
                let original_len = endian.get32(body, 0).unwrap_or(0);
                let have = body.get(4..).unwrap_or_default();
                let len = match interface.snap_len {
                    0 => original_len,
                    snap_len => original_len.min(snap_len),
                };
                let beyond = CaptureErrorKind::DataBeyondBlock { len, have: have.len() };
                let Some(data) = have.get(..len as usize) else {
                    return Err(beyond);
                };
                let kind = Kind::Simple { snap_len: interface.snap_len };
                Ok(Some(Item::Packet(Packet {
                    number,
                    offset,
                    link_type: interface.link_type,
                    original_len,
                    data,
                    record: super::Record::Pcapng(Record { endian, kind }),
                })))
            }
            // Names, statistics, secrets, custom blocks and what is not defined yet.
            _ => Ok(Some(Item::Other(buf))),
        }
    }
}

/// Checks the stated length against what the block type needs at least.
fn check_block_len(block: u32, len: u32) -> Result<(), CaptureErrorKind> {
    let (least, expected) = match block {
        SECTION_HEADER => (FRAME_LEN + 16, "at least 28 for a section header"),
        INTERFACE_DESCRIPTION => (FRAME_LEN + 8, "at least 20 for an interface description"),
        ENHANCED_PACKET | OBSOLETE_PACKET => (FRAME_LEN + 20, "at least 32 for a packet"),
        SIMPLE_PACKET => (FRAME_LEN + 4, "at least 16 for a simple packet"),
        _ => (FRAME_LEN, "at least 12"),
    };
    let expected = match len {
        len if len < least => expected,
        len if len % 4 != 0 => "a multiple of 4",
        len if len > MAX_BLOCK_LEN => "at most 128 MiB",
        _ => return Ok(()),
    };
    Err(CaptureErrorKind::BlockLength { block, len, expected })
}

fn interface(interfaces: &[Interface], index: u32) -> Result<Interface, CaptureErrorKind> {
    interfaces
        .get(index as usize)
        .copied()
        .ok_or(CaptureErrorKind::UnknownInterface { interface: index, known: interfaces.len() })
}

/// Bytes that fill `len` up to a multiple of 4.
fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

impl Record<'_> {
    pub(super) fn encode(&self, data: &[u8], original_len: u32, changed: bool, out: &mut Vec<u8>) {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        match self.kind {
            Kind::Simple { snap_len } if len == original_len.min(nonzero_or_max(snap_len)) => {
                self.block(SIMPLE_PACKET, out, |out| {
                    out.extend_from_slice(&self.endian.put32(original_len));
                    put_padded(data, out);
                });
            }
            Kind::Simple { .. } => self.block(ENHANCED_PACKET, out, |out| {
                out.extend_from_slice(&[0; 12]);
                out.extend_from_slice(&self.endian.put32(len));
                out.extend_from_slice(&self.endian.put32(original_len));
                put_padded(data, out);
            }),
            Kind::Full { block, head, options } => self.block(block, out, |out| {
                out.extend_from_slice(head);
                out.extend_from_slice(&self.endian.put32(len));
                out.extend_from_slice(&self.endian.put32(original_len));
                put_padded(data, out);
                if changed {
                    self.put_options_without_hash(options, out);
                } else {
                    out.extend_from_slice(options);
                }
            }),
        }
    }

    fn block(&self, block: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(&self.endian.put32(block));
        out.extend_from_slice(&[0; 4]);
        body(out);
        let len = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start + 4..start + 8) {
            place.copy_from_slice(&self.endian.put32(len));
        }
        out.extend_from_slice(&self.endian.put32(len));
    }

    fn put_options_without_hash(&self, mut options: &[u8], out: &mut Vec<u8>) {
        while let (Some(code), Some(len)) =
            (self.endian.get16(options, 0), self.endian.get16(options, 2))
        {
            let len = usize::from(len);
            let whole = (4 + len + padding(len)).min(options.len());
            let (option, rest) = options.split_at(whole);
            if code != OPTION_HASH {
                out.extend_from_slice(option);
            }
            options = rest;
            if code == OPTION_END {
                break;
            }
        }
    }
}

fn nonzero_or_max(len: u32) -> u32 {
    if len == 0 { u32::MAX } else { len }
}

fn put_padded(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(data);
    out.extend_from_slice([0; 3].get(..padding(data.len())).unwrap_or_default());
}
