//! [`CaptureError`]: what is wrong with a capture, and where.

use core::fmt;

/// An error, with the packet and the place in the file.
#[derive(Debug)]
pub struct CaptureError {
    /// Number of the packet that could not be read, or that would have come next; `None` for the file header.
    pub packet: Option<u64>,
    /// Where the broken record begins, in bytes from the start of the file.
    pub offset: u64,
    /// What is wrong.
    pub kind: CaptureErrorKind,
}

/// What is wrong.
#[derive(Debug)]
pub enum CaptureErrorKind {
    /// The file could not be read.
    Io(std::io::Error),
    /// The file is empty.
    Empty,
    /// Neither pcap nor pcapng; the first bytes.
    UnknownMagic([u8; 4]),
    /// The file is compressed, by this program.
    Compressed(&'static str),
    /// A version that nobody defined.
    Version(u16, u16),
    /// The file ends within a record: bytes wanted, bytes there.
    Truncated {
        /// What was cut off.
        what: &'static str,
        /// Bytes that it should have.
        want: u64,
        /// Bytes that the file has.
        have: u64,
    },
    /// A captured length that no capture program writes.
    PacketTooLong {
        /// Length that the record states, in bytes.
        len: u32,
        /// Largest believable length, in bytes.
        max: u32,
    },
    /// A pcapng block whose length is impossible.
    BlockLength {
        /// Block type.
        block: u32,
        /// Length that the block states, in bytes.
        len: u32,
        /// What would have been right.
        expected: &'static str,
    },
    /// The length after a pcapng block differs from the one before it.
    BlockTrailer {
        /// Block type.
        block: u32,
        /// Length before.
        first: u32,
        /// Length after.
        last: u32,
    },
    /// Neither byte order of the pcapng byte-order magic.
    ByteOrder([u8; 4]),
    /// The data of a pcapng packet goes beyond its block.
    DataBeyondBlock {
        /// Captured length that the block states, in bytes.
        len: u32,
        /// Bytes that the block has for it.
        have: usize,
    },
    /// A pcapng packet of an interface that no block described.
    UnknownInterface {
        /// Interface that the packet names.
        interface: u32,
        /// Interfaces described so far in this section.
        known: usize,
    },
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.packet {
            Some(packet) => write!(f, "packet {packet}, at byte {}: {}", self.offset, self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Display for CaptureErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(err) => err.fmt(f),
            Self::Empty => f.write_str("the file is empty"),
            Self::UnknownMagic([a, b, c, d]) => write!(
                f,
                "neither a pcap nor a pcapng capture: it begins with {a:02x} {b:02x} {c:02x} {d:02x}"
            ),
            Self::Compressed(by) => write!(f, "compressed by {by}: decompress it first"),
            Self::Version(major, minor) => {
                write!(f, "version {major}.{minor} of the capture format is unknown")
            }
            Self::Truncated { what, want, have } => {
                write!(f, "the file ends within {what}: {have} of {want} bytes")
            }
            Self::PacketTooLong { len, max } => {
                write!(f, "captured length of {len} bytes, above the largest possible ({max})")
            }
            Self::BlockLength { block, len, expected } => {
                write!(
                    f,
                    "block of type {block:#x} states a length of {len} bytes, expected {expected}"
                )
            }
            Self::BlockTrailer { block, first, last } => write!(
                f,
                "block of type {block:#x} states a length of {first} bytes at its start and {last} at its end"
            ),
            Self::ByteOrder([a, b, c, d]) => write!(
                f,
                "section with byte-order magic {a:02x} {b:02x} {c:02x} {d:02x}, expected 1a 2b 3c 4d or the reverse"
            ),
            Self::DataBeyondBlock { len, have } => {
                write!(f, "captured length of {len} bytes, but the block has {have}")
            }
            Self::UnknownInterface { interface, known } => {
                write!(f, "interface {interface}, but the section has described {known}")
            }
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}
