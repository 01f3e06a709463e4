//! Which pointers an argument takes (`check_reg_type`), and how far they may have been moved.

use super::args::CallArgs;
use crate::env::{ArgType, DynptrArg, HelperProto, MemAccess, MemArg, Nullable, SockArg};
use crate::mem::check_moved;
use crate::reject::{HelperReject, RejectKind};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Walk};
use skep_abi::insn::Reg;

/// NULL will do (`PTR_MAYBE_NULL` of the argument).
pub(super) fn is_nullable(arg: ArgType) -> bool {
    match arg {
        ArgType::Mem(m) | ArgType::FixedMem(m, _) | ArgType::AlignedMem(m, _) => {
            m.nullable == Nullable::Yes
        }
        ArgType::Socket(n) | ArgType::Btf(_, n) => n == Nullable::Yes,
        ArgType::BtfSockCommon(how) => how == SockArg::OrNull,
        ArgType::MapValueOrNull
        | ArgType::CtxOrNull
        | ArgType::StackOrNull
        | ArgType::KptrSource => true,
        ArgType::None
        | ArgType::Anything
        | ArgType::ConstMap
        | ArgType::MapKey
        | ArgType::MapValue
        | ArgType::UninitMapValue
        | ArgType::Size
        | ArgType::SizeOrZero
        | ArgType::AllocSize
        | ArgType::Ctx
        | ArgType::SpinLock
        | ArgType::Timer
        | ArgType::SockCommon
        | ArgType::RingbufMem
        | ArgType::PercpuBtf
        | ArgType::Func
        | ArgType::ConstStr
        | ArgType::KptrDest
        | ArgType::Dynptr(_) => false,
    }
}

/// The helper takes what it is given (`OBJ_RELEASE`).
pub(super) fn is_release(arg: ArgType) -> bool {
    matches!(
        arg,
        ArgType::BtfSockCommon(SockArg::Release)
            | ArgType::RingbufMem
            | ArgType::KptrSource
            | ArgType::Dynptr(DynptrArg::Release(_))
    )
}

/// Memory that is only read will do (`MEM_RDONLY` of the argument).
fn takes_read_only(arg: ArgType) -> bool {
    match arg {
        ArgType::Mem(MemArg { access, .. })
        | ArgType::FixedMem(MemArg { access, .. }, _)
        | ArgType::AlignedMem(MemArg { access, .. }, _) => access == MemAccess::Read,
        _ => false,
    }
}

fn is_memory(kind: RegKind, flags: PtrFlags) -> bool {
    match kind {
        RegKind::Stack(_)
        | RegKind::Packet(_)
        | RegKind::PacketMeta(_)
        | RegKind::MapKey(_)
        | RegKind::MapValue(_)
        | RegKind::Buf => flags == PtrFlags::NONE,
        RegKind::Mem(_) => flags == PtrFlags::NONE || flags == PtrFlags::RINGBUF,
        RegKind::Btf(_) => flags == PtrFlags::TRUSTED,
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
        | RegKind::Dynptr(_) => false,
    }
}

const MEMORY: &str = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
const SOCKETS: &str = "sock_common, sock, tcp_sock, xdp_sock";
const BTF_SOCKETS: &str = "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_";

/// Whether an argument takes a pointer with these flags, and what it takes.
fn judge(arg: ArgType, kind: RegKind, flags: PtrFlags) -> (bool, &'static str) {
    let plain = flags == PtrFlags::NONE;
    let is_btf = matches!(kind, RegKind::Btf(_));
    let is_socket = plain && matches!(kind, RegKind::Socket(_));
    match arg {
        ArgType::None | ArgType::Anything => (true, ""),
        ArgType::ConstMap => (plain && matches!(kind, RegKind::Map(_)), "map_ptr"),
        ArgType::MapKey
        | ArgType::MapValue
        | ArgType::MapValueOrNull
        | ArgType::UninitMapValue
        | ArgType::Mem(_)
        | ArgType::FixedMem(..)
        | ArgType::AlignedMem(..) => (is_memory(kind, flags), MEMORY),
        ArgType::Size | ArgType::SizeOrZero | ArgType::AllocSize => {
            (kind == RegKind::Scalar, "scalar")
        }
        ArgType::Ctx | ArgType::CtxOrNull => (plain && kind == RegKind::Ctx, "ctx"),
        ArgType::SpinLock | ArgType::KptrDest => {
            let is_value = plain && matches!(kind, RegKind::MapValue(_));
            (is_value || (is_btf && flags == PtrFlags::ALLOC), "map_value, ptr_")
        }
        ArgType::Timer | ArgType::ConstStr => {
            (plain && matches!(kind, RegKind::MapValue(_)), "map_value")
        }
        ArgType::SockCommon => (is_socket, SOCKETS),
        ArgType::Socket(_) => {
            let is_full = kind == RegKind::Socket(crate::state::SockKind::Full);
            (plain && is_full, "sock")
        }
        ArgType::Btf(..) | ArgType::KptrSource => judge_btf(kind, flags),
        ArgType::BtfSockCommon(_) => {
            let is_object = is_btf && (plain || flags == PtrFlags::TRUSTED);
            (is_socket || is_object, BTF_SOCKETS)
        }
        ArgType::RingbufMem => {
            (matches!(kind, RegKind::Mem(_)) && flags == PtrFlags::RINGBUF, "ringbuf_mem")
        }
        ArgType::PercpuBtf => {
            let rest = flags.without(PtrFlags::PERCPU);
            let ok = flags.has(PtrFlags::PERCPU)
                && (rest == PtrFlags::NONE || rest == PtrFlags::RCU || rest == PtrFlags::TRUSTED);
            (is_btf && ok, "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
        }
        ArgType::Func => (plain && matches!(kind, RegKind::Func(_)), "func"),
        ArgType::StackOrNull => (plain && matches!(kind, RegKind::Stack(_)), "fp"),
        ArgType::Dynptr(_) => {
            let ok = matches!(kind, RegKind::Stack(_) | RegKind::Dynptr(_));
            (plain && ok, "fp, dynptr_ptr")
        }
    }
}

/// Whether an argument that is an object takes a pointer with these flags, and what it takes.
pub(super) fn judge_btf(kind: RegKind, flags: PtrFlags) -> (bool, &'static str) {
    let is_btf = matches!(kind, RegKind::Btf(_));
    let is_object = flags == PtrFlags::NONE || flags == PtrFlags::TRUSTED || flags == PtrFlags::RCU;
    (is_btf && is_object, "ptr_, trusted_ptr_, rcu_ptr_")
}

impl Walk<'_> {
    /// The register is of a kind that the argument takes (`check_reg_type`).
    pub(super) fn check_arg_type(
        &self,
        proto: &HelperProto,
        arg: ArgType,
        r: Reg,
        call: &CallArgs,
    ) -> Res<()> {
        let reg = *self.cur.reg(r);
        let mut flags = reg.flags.without(PtrFlags::PKT_SLICE);
        if takes_read_only(arg) || arg == ArgType::Dynptr(DynptrArg::Use) {
            flags = flags.without(PtrFlags::RDONLY);
        }
        if is_nullable(arg) {
            flags = flags.without(PtrFlags::MAYBE_NULL);
        }
        if arg == ArgType::KptrSource {
            flags = flags.without(PtrFlags::ALLOC.with(PtrFlags::PERCPU));
        }
        let (ok, expected) = judge(arg, reg.kind, flags);
        let ty = reg.type_text();
        if !ok {
            return Err(RejectKind::ArgType { reg: r.num(), ty, expected: expected.into() }.into());
        }
        if !matches!(reg.kind, RegKind::Btf(_)) {
            return Ok(());
        }
        if expected == MEMORY {
            if takes_read_only(arg) {
                return Ok(());
            }
            let name = proto.name;
            return Err(HelperReject::MayWrite { name, reg: r.num(), ty }.into());
        }
        if matches!(arg, ArgType::SpinLock | ArgType::KptrDest | ArgType::PercpuBtf) {
            return Ok(());
        }
        if reg.may_be_null() && (!is_nullable(arg) || is_release(arg)) {
            return Err(HelperReject::PossiblyNull { arg: r.num() }.into());
        }
        self.check_arg_btf(arg, r, call)
    }
}

/// What a pointer to an object may be for it to be moved.
const MOVABLE: [PtrFlags; 6] = [
    PtrFlags::NONE,
    PtrFlags::TRUSTED,
    PtrFlags::RCU,
    PtrFlags::ALLOC,
    PtrFlags::ALLOC.with(PtrFlags::NON_OWN),
    PtrFlags::ALLOC.with(PtrFlags::NON_OWN).with(PtrFlags::RCU),
];

/// How far a pointer that the helper does not take may have been moved (`check_func_arg_reg_off`).
// SOUND: a moved function pointer would name an instruction that was never verified as an entry.
pub(super) fn check_offset(reg: &RegState, r: Reg) -> Res<()> {
    match reg.kind {
        RegKind::Scalar
        | RegKind::Stack(_)
        | RegKind::Packet(_)
        | RegKind::PacketMeta(_)
        | RegKind::MapKey(_)
        | RegKind::MapValue(_)
        | RegKind::Mem(_)
        | RegKind::Buf
        | RegKind::Arena => Ok(()),
        // Its type is judged at its offset.
        RegKind::Btf(_) if MOVABLE.contains(&reg.flags) => {
            check_moved(&RegState { off: reg.off.min(0), ..*reg }, r)
        }
        RegKind::NotInit
        | RegKind::Ctx
        | RegKind::Map(_)
        | RegKind::PacketEnd
        | RegKind::Func(_)
        | RegKind::FlowKeys
        | RegKind::Socket(_)
        | RegKind::TpBuffer
        | RegKind::Btf(_)
        | RegKind::Dynptr(_) => check_moved(reg, r),
    }
}
