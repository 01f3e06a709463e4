//! Memory: may this address be accessed, and what comes of it. One file for each kind of pointer.
//!
//! [`Walk::access_memory`] is what loads, stores and atomics use; [`Walk::check_helper_mem`] what helpers use for
//! the memory that they are given. Neighbours: `insn/memory` and `call/args` call these.

pub(crate) mod btf;
mod buffer;
mod ctx;
mod fields;
mod flow_keys;
mod map;
mod map_object;
mod memory;
mod packet;
mod region;
mod socket;
mod stack;

use crate::domain::{Scalar, Tnum};
use crate::env::MemAccess as HelperAccess;
use crate::reject::{HelperReject, OffText, RejectKind};
use crate::state::{PtrFlags, RegKind, RegState, SockKind};
use crate::walk::{Res, Walk};
use skep_abi::insn::{Reg, Size, Width};
use skep_abi::uapi::{BPF_F_ANY_ALIGNMENT, BPF_F_STRICT_ALIGNMENT};

pub(crate) use btf::writes::BtfWrites;
pub(crate) use ctx::field_at;
pub(crate) use region::ZeroSize;
pub(crate) use stack::{RawFill, slot_of};

/// Whether an access must be aligned beyond what the pointer's kind demands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    /// As the pointer's kind demands.
    Natural,
    /// To its size.
    Strict,
}

/// How a narrow load fills its register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extend {
    /// With zeros.
    Zero,
    /// With the sign.
    Sign,
}

/// What is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// A register.
    Reg(Reg),
    /// An immediate.
    Imm(i32),
    /// Anything: what an atomic operation leaves.
    Unknown,
}

/// Which way an access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From memory; nowhere, for the read half of an atomic operation.
    Read {
        /// Register that is filled.
        into: Option<Reg>,
        /// How.
        extend: Extend,
    },
    /// To memory.
    Write {
        /// What.
        value: Value,
    },
}

impl Direction {
    fn is_write(self) -> bool {
        matches!(self, Direction::Write { .. })
    }
}

/// Where an instruction accesses memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemAccess {
    /// Register with the address.
    pub(crate) base: Reg,
    /// Offset in the instruction, in bytes.
    pub(crate) off: i32,
    /// How much.
    pub(crate) size: Size,
    /// How aligned.
    pub(crate) align: Align,
}

/// What a helper does with memory, and how much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HelperMem {
    /// Direction.
    pub(crate) access: HelperAccess,
    /// At the most, in bytes.
    pub(crate) size: u64,
    /// Whether the size is surely that.
    pub(crate) exact: Exact,
    /// Whether nothing may be accessed.
    pub(crate) zero: ZeroSize,
}

/// Whether a size is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exact {
    /// It is.
    Yes,
    /// It is a bound.
    No,
}

impl Walk<'_> {
    /// Judges an access, then does it (`check_mem_access`).
    pub(crate) fn access_memory(&mut self, a: MemAccess, dir: Direction) -> Res<()> {
        let ptr = *self.cur.reg(a.base);
        let align = if self.is_strict() { Align::Strict } else { a.align };
        check_alignment(&ptr, a.off, a.size.bytes(), align)?;
        if ptr.may_be_null() {
            let ty = ptr.type_text();
            return Err(RejectKind::InvalidMemAccess { reg: a.base.num(), ty }.into());
        }
        let loaded = match ptr.kind {
            RegKind::Stack(frame) => {
                return self.access_stack(frame, &ptr, a, self.lend(frame, a, dir));
            }
            RegKind::Ctx => match self.prog.attach.ctx.clone() {
                Some(ctx) => self.check_typed_ctx(&ctx, &ptr, a, dir)?,
                None => self.check_ctx(&ptr, a, dir)?,
            },
            RegKind::MapValue(map) => self.check_map_value(map, &ptr, a, dir)?,
            RegKind::MapKey(map) => self.check_map_key(map, &ptr, a, dir)?,
            RegKind::Packet(_) | RegKind::PacketMeta(_) => self.check_packet(&ptr, a, dir)?,
            RegKind::FlowKeys => self.check_flow_keys(&ptr, a, dir)?,
            RegKind::Socket(sort) => self.check_socket(sort, &ptr, a, dir)?,
            RegKind::TpBuffer | RegKind::Buf => self.check_buffer(&ptr, a, dir)?,
            RegKind::Mem(size) => self.check_memory(size, &ptr, a, dir)?,
            RegKind::Btf(ty) => self.check_btf(ty, &ptr, a, dir)?,
            // SOUND: wherever in 32 bits it points, it is the arena's, or a hole whose fault is caught.
            RegKind::Arena => UNKNOWN,
            RegKind::Map(map) => self.check_map_object(map, a, dir)?,
            RegKind::NotInit
            | RegKind::Scalar
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::Dynptr(_) => {
                let ty = ptr.type_text();
                return Err(RejectKind::InvalidMemAccess { reg: a.base.num(), ty }.into());
            }
        };
        if let Direction::Read { into: Some(dst), extend } = dir {
            self.mark_loaded(dst, loaded, a.size, extend);
        }
        Ok(())
    }

    /// What a store into a frame leaves there, where that outlives what is stored.
    // SOUND: a key is lent to a callback for one call; a frame below the running one may be there when it is gone.
    // DEVIATION: the kernel lets the caller of the callback read what was the key.
    fn lend(&self, frame: u8, a: MemAccess, dir: Direction) -> Direction {
        match dir {
            Direction::Write { value: Value::Reg(r) }
                if a.size == Size::DW
                    && usize::from(frame) != self.cur.cur_idx()
                    && matches!(self.cur.reg(r).kind, RegKind::MapKey(_)) =>
            {
                Direction::Write { value: Value::Unknown }
            }
            Direction::Write { .. } | Direction::Read { .. } => dir,
        }
    }

    /// Puts what was loaded into a register, as wide as the load.
    pub(crate) fn mark_loaded(
        &mut self,
        dst: Reg,
        mut value: RegState,
        size: Size,
        extend: Extend,
    ) {
        if value.is_scalar() && size != Size::DW {
            // SOUND: the load extends the low bytes of what memory holds.
            value.num = match extend {
                Extend::Zero => value.num.truncate(size),
                Extend::Sign => value.num.sign_extend(size, Width::W64),
            };
        }
        *self.cur.reg_mut(dst) = value;
    }

    /// An address that this program must not reveal is not stored where it could be read.
    fn check_leak(&self, dir: Direction, kind: impl Fn(u8) -> RejectKind) -> Res<()> {
        match dir {
            Direction::Write { value: Value::Reg(r) } if self.is_secret(r) => {
                Err(kind(r.num()).into())
            }
            Direction::Write { .. } | Direction::Read { .. } => Ok(()),
        }
    }

    /// Each access must be aligned (`strict_alignment`).
    fn is_strict(&self) -> bool {
        self.req.flags & (BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT) == BPF_F_STRICT_ALIGNMENT
    }

    /// The pointer is as it was given: no fixed or variable offset (`check_ptr_off_reg`).
    pub(crate) fn check_unmoved(&self, r: Reg) -> Res<()> {
        check_moved(self.cur.reg(r), r)
    }

    /// A helper may access the memory behind a register (`check_helper_mem_access`).
    ///
    /// Stack memory that it fills without reading is returned, to be marked once all arguments are checked.
    pub(crate) fn check_helper_mem(&mut self, r: Reg, m: HelperMem) -> Res<Option<RawFill>> {
        let ptr = *self.cur.reg(r);
        if ptr.may_be_null() {
            let (reg, ty) = (r.num(), ptr.type_text());
            return Err(RejectKind::ArgType { reg, ty, expected: "fp".into() }.into());
        }
        match ptr.kind {
            RegKind::Packet(_) | RegKind::PacketMeta(_) => {
                if m.access.writes() && !self.props.packet.is_writable() {
                    return Err(RejectKind::PacketWrite {}.into());
                }
                self.check_packet_range(&ptr, r, ptr.off.into(), m.size, m.zero)?;
                Ok(None)
            }
            RegKind::MapValue(map) => {
                self.check_helper_map_value(map, &ptr, r, m)?;
                Ok(None)
            }
            RegKind::MapKey(map) => {
                self.check_helper_map_key(map, &ptr, r, m)?;
                Ok(None)
            }
            RegKind::Stack(frame) => self.check_helper_stack(frame, &ptr, r, m),
            RegKind::Mem(size) => {
                self.check_helper_memory(size, &ptr, r, m)?;
                Ok(None)
            }
            RegKind::Buf => {
                self.check_helper_buffer(&ptr, r, m)?;
                Ok(None)
            }
            RegKind::Btf(ty) => {
                self.check_helper_object(ty, &ptr, r, m)?;
                Ok(None)
            }
            RegKind::Ctx if self.has_plain_context() => {
                self.check_helper_ctx(r, m)?;
                Ok(None)
            }
            RegKind::NotInit
            | RegKind::Scalar
            | RegKind::Ctx
            | RegKind::Map(_)
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::FlowKeys
            | RegKind::Socket(_)
            | RegKind::TpBuffer
            | RegKind::Arena
            | RegKind::Dynptr(_) => {
                if m.zero == ZeroSize::Allowed && m.size == 0 && ptr.is_null() {
                    return Ok(None);
                }
                let (reg, ty) = (r.num(), ptr.type_text());
                Err(RejectKind::ArgType { reg, ty, expected: "fp".into() }.into())
            }
        }
    }
}

/// The pointer is as it was given: no fixed or variable offset (`__check_ptr_off_reg`).
pub(crate) fn check_moved(ptr: &RegState, r: Reg) -> Res<()> {
    let (ty, reg, off) = (ptr.type_text(), r.num(), ptr.off);
    if off < 0 {
        return Err(RejectKind::NegativePointer { ty, reg, off }.into());
    }
    if off != 0 {
        return Err(RejectKind::ModifiedPointer { ty, reg, off }.into());
    }
    if ptr.num.const_value() != Some(0) {
        return Err(RejectKind::VariablePointer { ty, var_off: ptr.num.var_off }.into());
    }
    Ok(())
}

/// Accesses of `size` bytes at an offset from a pointer are aligned (`check_ptr_alignment`).
pub(crate) fn check_alignment(ptr: &RegState, off: i32, size: u32, align: Align) -> Res<()> {
    let is_plain = ptr.flags == PtrFlags::NONE;
    let what = match ptr.kind {
        _ if !is_plain => "",
        RegKind::Stack(_) => "stack ",
        RegKind::MapValue(_) => "value ",
        RegKind::Ctx => "context ",
        RegKind::MapKey(_) => "key ",
        RegKind::Packet(_) | RegKind::PacketMeta(_) => "packet ",
        RegKind::FlowKeys => "flow keys ",
        RegKind::Socket(SockKind::Full) => "sock ",
        RegKind::Socket(SockKind::Common) => "sock_common ",
        RegKind::Socket(SockKind::Tcp) => "tcp_sock ",
        RegKind::Socket(SockKind::Xdp) => "xdp_sock ",
        RegKind::Arena => return Ok(()),
        RegKind::NotInit
        | RegKind::Scalar
        | RegKind::Map(_)
        | RegKind::PacketEnd
        | RegKind::Func(_)
        | RegKind::TpBuffer
        | RegKind::Mem(_)
        | RegKind::Buf
        | RegKind::Btf(_)
        | RegKind::Dynptr(_) => "",
    };
    // Only the stack demands alignment of ordinary accesses; atomics do everywhere, but for the arena.
    let is_stack = is_plain && matches!(ptr.kind, RegKind::Stack(_));
    let is_arena = ptr.kind == RegKind::Arena;
    if is_arena || (align == Align::Natural && !is_stack) || size == 1 {
        return Ok(());
    }
    let is_packet = is_plain && ptr.kind.is_packet();
    let fixed = i64::from(ptr.off) + i64::from(off) + if is_packet { IP_ALIGN } else { 0 };
    if ptr.num.var_off.add(Tnum::constant(fixed as u64)).is_aligned(size.into()) {
        return Ok(());
    }
    let (var_off, ptr_off) = (OffText(ptr.num.var_off), ptr.off);
    Err(if is_packet {
        HelperReject::PacketMisaligned { var_off, ptr_off, off, size }.into()
    } else {
        RejectKind::Misaligned { what, var_off, ptr_off, off, size }.into()
    })
}

/// The network header is aligned, so the packet is not: its link header has 14 bytes (`NET_IP_ALIGN`).
const IP_ALIGN: i64 = 2;

/// Any number, as loaded from memory that nothing is known of.
const UNKNOWN: RegState = RegState::scalar(Scalar::UNKNOWN);
