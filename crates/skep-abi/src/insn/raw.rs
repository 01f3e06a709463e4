//! [`RawInsn`]: the 8 bytes of one instruction slot.

/// One instruction slot as stored in an object file or passed to `BPF_PROG_LOAD` (`struct bpf_insn`).
///
/// Host byte order in the fields; [`RawInsn::from_le_bytes`] and [`RawInsn::from_be_bytes`] convert.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct RawInsn {
    /// Opcode: class in the low three bits.
    pub code: u8,
    /// Destination register number, 0 to 15 (only 0 to 10 are registers).
    pub dst: u8,
    /// Source register number, or the pseudo source of an immediate.
    pub src: u8,
    /// Signed 16-bit offset.
    pub off: i16,
    /// Signed 32-bit immediate.
    pub imm: i32,
}

impl RawInsn {
    /// Bytes of one slot.
    pub const SIZE: usize = 8;

    /// Reads a slot stored by a little-endian target.
    pub const fn from_le_bytes(b: [u8; 8]) -> RawInsn {
        RawInsn {
            code: b[0],
            dst: b[1] & 0xf,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// Reads a slot stored by a big-endian target, whose register nibbles are swapped too.
    pub const fn from_be_bytes(b: [u8; 8]) -> RawInsn {
        RawInsn {
            code: b[0],
            dst: b[1] >> 4,
            src: b[1] & 0xf,
            off: i16::from_be_bytes([b[2], b[3]]),
            imm: i32::from_be_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// The slot as a little-endian target stores it.
    pub const fn to_le_bytes(self) -> [u8; 8] {
        let off = self.off.to_le_bytes();
        let imm = self.imm.to_le_bytes();
        [
            self.code,
            (self.dst & 0xf) | (self.src << 4),
            off[0],
            off[1],
            imm[0],
            imm[1],
            imm[2],
            imm[3],
        ]
    }
}
