//! [`RegState`]: what one register holds.

use super::link::Shift;
use super::ptr::{BtfType, DynptrKind, PtrFlags, SockKind, TypeText};
use crate::domain::Scalar;
use crate::pre::MapId;

/// How far behind a packet pointer the packet is known to reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum PacketRange {
    /// That many bytes after the variable part of the pointer; 0 is nothing.
    Bytes(u16),
    /// The pointer is at the packet's end or beyond it.
    AtEnd,
    /// The pointer is beyond the packet's end.
    BeyondEnd,
}

/// Type of a register's content (`enum bpf_reg_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum RegKind {
    /// Nothing that may be read.
    NotInit,
    /// A number.
    Scalar,
    /// The context.
    Ctx,
    /// A map.
    Map(MapId),
    /// A map's value.
    MapValue(MapId),
    /// A map's key, in a callback.
    MapKey(MapId),
    /// The frame of that number, at its top.
    Stack(u8),
    /// The packet.
    Packet(PacketRange),
    /// The metadata before the packet.
    PacketMeta(PacketRange),
    /// The packet's end.
    PacketEnd,
    /// The subprogram of that number.
    Func(u16),
    /// The flow dissector's keys.
    FlowKeys,
    /// A socket.
    Socket(SockKind),
    /// The buffer of a raw tracepoint that is writable.
    TpBuffer,
    /// Memory of that many bytes.
    Mem(u32),
    /// A buffer whose size is known when the program runs.
    Buf,
    /// A place in the arena.
    Arena,
    /// An object of a type that BTF describes.
    Btf(BtfType),
    /// A dynptr that the program was given, as a callback or a global function is.
    Dynptr(DynptrKind),
}

impl RegKind {
    /// The kernel's name of the type, as in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            RegKind::NotInit => "?",
            RegKind::Scalar => "scalar",
            RegKind::Ctx => "ctx",
            RegKind::Map(_) => "map_ptr",
            RegKind::MapValue(_) => "map_value",
            RegKind::MapKey(_) => "map_key",
            RegKind::Stack(_) => "fp",
            RegKind::Packet(_) => "pkt",
            RegKind::PacketMeta(_) => "pkt_meta",
            RegKind::PacketEnd => "pkt_end",
            RegKind::Func(_) => "func",
            RegKind::FlowKeys => "flow_keys",
            RegKind::Socket(kind) => kind.name(),
            RegKind::TpBuffer => "tp_buffer",
            RegKind::Mem(_) => "mem",
            RegKind::Buf => "buf",
            RegKind::Arena => "arena",
            RegKind::Btf(_) => "ptr_",
            RegKind::Dynptr(_) => "dynptr_ptr",
        }
    }

    /// Whether it is an address.
    pub(crate) fn is_pointer(self) -> bool {
        !matches!(self, RegKind::NotInit | RegKind::Scalar)
    }

    /// Packet or metadata.
    pub(crate) fn is_packet(self) -> bool {
        matches!(self, RegKind::Packet(_) | RegKind::PacketMeta(_))
    }

    /// Packet, metadata or packet end.
    pub(crate) fn is_packet_any(self) -> bool {
        self.is_packet() || self == RegKind::PacketEnd
    }

    /// Whether both are packet pointers of the same sort, whatever their ranges.
    pub(crate) fn same_packet(self, other: RegKind) -> bool {
        matches!(
            (self, other),
            (RegKind::Packet(_), RegKind::Packet(_))
                | (RegKind::PacketMeta(_), RegKind::PacketMeta(_))
        )
    }

    /// The range, of a packet pointer.
    pub(crate) fn packet_range(self) -> Option<PacketRange> {
        match self {
            RegKind::Packet(r) | RegKind::PacketMeta(r) => Some(r),
            RegKind::NotInit
            | RegKind::Scalar
            | RegKind::Ctx
            | RegKind::Map(_)
            | RegKind::MapValue(_)
            | RegKind::MapKey(_)
            | RegKind::Stack(_)
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::FlowKeys
            | RegKind::Socket(_)
            | RegKind::TpBuffer
            | RegKind::Mem(_)
            | RegKind::Buf
            | RegKind::Arena
            | RegKind::Btf(_)
            | RegKind::Dynptr(_) => None,
        }
    }

    /// The same kind with another range, if it is a packet pointer.
    pub(crate) fn with_range(self, range: PacketRange) -> RegKind {
        match self {
            RegKind::Packet(_) => RegKind::Packet(range),
            RegKind::PacketMeta(_) => RegKind::PacketMeta(range),
            other => other,
        }
    }
}

/// What one register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RegState {
    /// Type.
    pub(crate) kind: RegKind,
    /// Of a pointer: what else is known of it.
    pub(crate) flags: PtrFlags,
    /// Of a pointer: the fixed part of its offset, in bytes. Of a scalar with a `shift`: what it is
    /// above the others of its id.
    pub(crate) off: i32,
    /// Registers of the same id hold the same number, or came from the same pointer; 0 is none.
    pub(crate) id: u32,
    /// The reference that the pointer stands for (`ref_obj_id`); 0 is none.
    pub(crate) ref_id: u32,
    /// Of memory: the dynptr that it is a slice of; 0 is none.
    pub(crate) dynptr_id: u32,
    /// Of a map that was looked up in a map, and of its keys and values: which lookup it was; 0 for none.
    pub(crate) map_uid: u32,
    /// Of a scalar with an id: how it follows from the others.
    pub(crate) shift: Shift,
    /// The number; of a pointer, the variable part of its offset.
    pub(crate) num: Scalar,
}

impl RegState {
    /// Nothing that may be read.
    pub(crate) const NOT_INIT: RegState = RegState {
        kind: RegKind::NotInit,
        flags: PtrFlags::NONE,
        off: 0,
        id: 0,
        ref_id: 0,
        dynptr_id: 0,
        map_uid: 0,
        shift: Shift::None,
        num: Scalar::UNKNOWN,
    };

    /// A number with bounds.
    pub(crate) const fn scalar(num: Scalar) -> RegState {
        RegState { kind: RegKind::Scalar, num, ..RegState::NOT_INIT }
    }

    /// Any number.
    pub(crate) const UNKNOWN: RegState = RegState::scalar(Scalar::UNKNOWN);

    /// A pointer to the start of something.
    pub(crate) const fn pointer(kind: RegKind) -> RegState {
        RegState { kind, num: Scalar::ZERO, ..RegState::NOT_INIT }
    }

    /// A pointer to the start of something, or NULL.
    pub(crate) const fn pointer_or_null(kind: RegKind, id: u32) -> RegState {
        RegState { id, flags: PtrFlags::MAYBE_NULL, ..RegState::pointer(kind) }
    }

    /// Whether it is a pointer that may be NULL.
    pub(crate) fn may_be_null(&self) -> bool {
        self.flags.has(PtrFlags::MAYBE_NULL)
    }

    /// The kernel's name of the type, as in messages (`reg_type_str`).
    pub(crate) fn type_text(&self) -> TypeText {
        TypeText { base: self.kind.name(), flags: self.flags }
    }

    /// Whether it is the number 0 for sure.
    pub(crate) fn is_null(&self) -> bool {
        self.kind == RegKind::Scalar && self.num.const_value() == Some(0)
    }

    /// Whether it is a number.
    pub(crate) fn is_scalar(&self) -> bool {
        self.kind == RegKind::Scalar
    }

    /// Whether it is an address.
    pub(crate) fn is_pointer(&self) -> bool {
        self.kind.is_pointer()
    }

    /// Forgets the link to other registers.
    pub(crate) fn unlink(&mut self) {
        self.id = 0;
        if self.is_scalar() {
            self.off = 0;
        }
        self.shift = Shift::None;
    }

    /// How many low bits can be set (`get_reg_width`).
    pub(crate) fn width_bits(&self) -> u32 {
        64 - self.num.umax().leading_zeros()
    }
}
