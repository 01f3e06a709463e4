//! Helper arguments against the prototype (`check_func_arg`).
//!
//! `compat` says which pointers an argument takes; `special` leads to the analyses of locks, timers, dynptrs and
//! kernel pointers.

use super::compat::{check_offset, is_nullable, is_release};
use crate::env::{ArgType, HelperProto, MapProps, MemAccess, MemArg, PacketAccess};
use crate::mem::{Align, Exact, HelperMem, RawFill, ZeroSize, check_alignment};
use crate::object::DynptrInfo;
use crate::pre::MapId;
use crate::reject::{HelperReject, RejectKind};
use crate::state::ptr::BtfType;
use crate::state::{RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::{
    BPF_F_INNER_MAP, BPF_F_RDONLY_PROG, BPF_FUNC_map_peek_elem, BPF_MAP_TYPE_ARRAY,
    BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_SOCKHASH,
    BPF_MAP_TYPE_SOCKMAP,
};
use skep_btf::fields::{Field, FieldKind};

/// Memory sizes that helpers are given stay below this (`BPF_MAX_VAR_SIZ`).
const MAX_VAR_SIZE: u64 = 1 << 29;

/// What the arguments of one call said (`struct bpf_call_arg_meta`).
#[derive(Clone, Debug, Default)]
pub(crate) struct CallArgs {
    /// The map argument.
    pub(crate) map: Option<MapId>,
    /// Which lookup the map came from, if it was found in a map.
    pub(crate) map_uid: u32,
    /// The member that `bpf_kptr_xchg` changes, and what it leads to.
    pub(crate) kptr: Option<(Field, BtfType)>,
    /// The map argument's key, where it is a known number.
    pub(crate) const_key: Option<u64>,
    /// The callback.
    pub(crate) callback: Option<u16>,
    /// Stack memory that the helper fills.
    pub(crate) fills: [Option<RawFill>; 5],
    /// Size that memory is at the most given with (`msize_max_value`).
    pub(crate) max_size: u64,
    /// Size of the memory that is returned (`mem_size`).
    pub(crate) alloc_size: u32,
    /// The argument that is given back.
    pub(crate) release: Option<Reg>,
    /// The reference that an argument stands for; 0 is none.
    pub(crate) ref_id: u32,
    /// The dynptr argument.
    pub(crate) dynptr: Option<DynptrInfo>,
    /// The argument that each CPU has its own of.
    pub(crate) percpu: Option<RegState>,
}

pub(super) fn arg_reg(i: usize) -> Res<Reg> {
    u8::try_from(i + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("too many arguments"))
}

/// Whether every key below `max_entries` is always there (`can_elide_value_nullness`).
// SOUND: so it is in arrays, but an array in a map of maps may be replaced by a smaller one if its template allows that.
pub(super) fn has_all_elements(map: &MapProps) -> bool {
    matches!(map.map_type, BPF_MAP_TYPE_ARRAY | BPF_MAP_TYPE_PERCPU_ARRAY)
        && map.flags & BPF_F_INNER_MAP == 0
}

impl Walk<'_> {
    pub(super) fn check_args(&mut self, proto: &HelperProto) -> Res<CallArgs> {
        let mut call = CallArgs::default();
        for (i, arg) in proto.args.iter().enumerate() {
            if *arg == ArgType::None {
                continue;
            }
            let r = arg_reg(i)?;
            self.check_readable(r)?;
            let before = i.checked_sub(1).and_then(|p| proto.args.get(p)).copied();
            let fill = self.check_arg(proto, *arg, before, r, &mut call)?;
            if let Some(slot) = call.fills.get_mut(i) {
                *slot = fill;
            }
        }
        Ok(call)
    }

    fn check_arg(
        &mut self,
        proto: &HelperProto,
        arg: ArgType,
        before: Option<ArgType>,
        r: Reg,
        call: &mut CallArgs,
    ) -> Res<Option<RawFill>> {
        let reg = *self.cur.reg(r);
        if arg == ArgType::Anything {
            if self.is_secret(r) {
                return Err(RejectKind::LeakIntoHelper { reg: r.num() }.into());
            }
            return Ok(None);
        }
        if reg.kind.is_packet() && !self.may_read_packet(proto) {
            return Err(RejectKind::HelperPacket {}.into());
        }
        let arg = self.resolve_map_value(proto, arg, call)?;
        let is_null = is_nullable(arg) && reg.is_null();
        if is_null {
            // SOUND: another number in its place would not be NULL.
            self.mark_precise(r)?;
        } else {
            self.check_arg_type(proto, arg, r, call)?;
            self.check_arg_offset(arg, r)?;
        }
        self.check_arg_reference(arg, &reg, r, call)?;
        self.check_arg_content(proto, arg, before, r, is_null, call)
    }

    /// What is behind the register, once it is of the right type.
    fn check_arg_content(
        &mut self,
        proto: &HelperProto,
        arg: ArgType,
        before: Option<ArgType>,
        r: Reg,
        is_null: bool,
        call: &mut CallArgs,
    ) -> Res<Option<RawFill>> {
        let reg = *self.cur.reg(r);
        let exact = |size: u32, access: MemAccess| HelperMem {
            access,
            size: size.into(),
            exact: Exact::Yes,
            zero: ZeroSize::Forbidden,
        };
        let map_of = |call: &CallArgs| call.map.ok_or(Stop::Bug("no map argument before"));
        match arg {
            ArgType::None
            | ArgType::Anything
            | ArgType::Ctx
            | ArgType::CtxOrNull
            | ArgType::StackOrNull
            | ArgType::SockCommon
            | ArgType::Socket(_)
            | ArgType::Btf(..)
            | ArgType::BtfSockCommon(_)
            | ArgType::RingbufMem
            | ArgType::KptrSource
            // Judged with its size, which is the next argument.
            | ArgType::Mem(_) => Ok(None),
            ArgType::ConstMap => {
                if let RegKind::Map(id) = reg.kind {
                    if let Some(timer) = call.map {
                        let (timer, map) = ((timer, call.map_uid), (id, reg.map_uid));
                        self.check_field_map(FieldKind::Timer, timer, map)?;
                    }
                    (call.map, call.map_uid) = (Some(id), reg.map_uid);
                }
                Ok(None)
            }
            ArgType::MapKey => {
                let map = self.map(map_of(call)?)?;
                let (size, is_array) = (map.key_size, has_all_elements(map));
                let fill = self.check_helper_mem(r, exact(size, MemAccess::Read))?;
                if is_array {
                    call.const_key = self.constant_on_stack(r, size)?;
                }
                Ok(fill)
            }
            ArgType::MapValueOrNull if is_null => Ok(None),
            ArgType::MapValue | ArgType::MapValueOrNull => {
                let size = self.map(map_of(call)?)?.value_size;
                self.check_helper_mem(r, exact(size, MemAccess::Read))
            }
            ArgType::UninitMapValue => {
                let size = self.map(map_of(call)?)?.value_size;
                self.check_helper_mem(r, exact(size, MemAccess::Write))
            }
            ArgType::FixedMem(..) | ArgType::AlignedMem(..) if is_null => Ok(None),
            ArgType::FixedMem(m, size) => self.check_helper_mem(r, exact(size, m.access)),
            ArgType::AlignedMem(m, size) => {
                let fill = self.check_helper_mem(r, exact(size, m.access))?;
                check_alignment(&reg, 0, size, Align::Strict)?;
                Ok(fill)
            }
            ArgType::Size => self.check_size(before, r, ZeroSize::Forbidden, call),
            ArgType::SizeOrZero => self.check_size(before, r, ZeroSize::Allowed, call),
            ArgType::AllocSize => {
                let Some(size) = reg.num.const_value() else {
                    return Err(HelperReject::NotConstant { reg: r.num() }.into());
                };
                // The kernel keeps 32 bits of it.
                call.alloc_size = size as u32;
                self.mark_precise(r)?;
                Ok(None)
            }
            ArgType::PercpuBtf => {
                call.percpu = Some(reg);
                Ok(None)
            }
            ArgType::Func => {
                if let RegKind::Func(subprog) = reg.kind {
                    call.callback = Some(subprog);
                }
                Ok(None)
            }
            ArgType::ConstStr => {
                self.check_const_str(r)?;
                Ok(None)
            }
            ArgType::SpinLock => self.check_spin_lock_arg(proto, r).map(|()| None),
            ArgType::Timer => self.check_timer_arg(r, call).map(|()| None),
            ArgType::KptrDest => self.check_kptr_dest_arg(r, call).map(|()| None),
            ArgType::Dynptr(how) => self.check_dynptr_arg(r, how, call).map(|()| None),
        }
    }

    /// A helper may be given packet pointers (`may_access_direct_pkt_data`).
    fn may_read_packet(&self, proto: &HelperProto) -> bool {
        match self.props.packet {
            PacketAccess::None => false,
            PacketAccess::Read | PacketAccess::ReadWrite => proto.pkt_access,
            PacketAccess::OptVal => true,
        }
    }

    /// What `MapValue` stands for with this map (`resolve_map_arg_type`).
    fn resolve_map_value(
        &self,
        proto: &HelperProto,
        arg: ArgType,
        call: &CallArgs,
    ) -> Res<ArgType> {
        if !matches!(arg, ArgType::MapValue | ArgType::MapValueOrNull | ArgType::UninitMapValue) {
            return Ok(arg);
        }
        let map = self.map(call.map.ok_or(Stop::Bug("no map argument before"))?)?;
        match map.map_type {
            BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH if arg == ArgType::MapValue => {
                Ok(ArgType::BtfSockCommon(crate::env::SockArg::Plain))
            }
            BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH => Err(HelperReject::SockMapArg {}.into()),
            BPF_MAP_TYPE_BLOOM_FILTER if proto.id.cast_unsigned() == BPF_FUNC_map_peek_elem => {
                Ok(ArgType::MapValue)
            }
            _ => Ok(arg),
        }
    }

    /// How far the pointer may have been moved (`check_func_arg_reg_off`).
    fn check_arg_offset(&self, arg: ArgType, r: Reg) -> Res<()> {
        let reg = self.cur.reg(r);
        if is_release(arg) {
            if matches!(arg, ArgType::Dynptr(_)) && matches!(reg.kind, RegKind::Stack(_)) {
                return Ok(());
            }
            if reg.off != 0 {
                return Err(HelperReject::ReleaseOffset { reg: r.num() }.into());
            }
            return self.check_unmoved(r);
        }
        check_offset(reg, r)
    }

    /// The references that arguments stand for.
    fn check_arg_reference(
        &self,
        arg: ArgType,
        reg: &RegState,
        r: Reg,
        call: &mut CallArgs,
    ) -> Res<()> {
        if is_release(arg) {
            if matches!(arg, ArgType::Dynptr(_)) {
                self.check_dynptr_release(reg, r)?;
            } else if reg.ref_id == 0 && !reg.is_null() {
                return Err(HelperReject::ReleaseUnreferenced { reg: r.num() }.into());
            }
            if call.release.is_some() {
                return Err(Stop::Bug("two arguments are given back"));
            }
            call.release = Some(r);
        }
        if reg.ref_id != 0 && arg != ArgType::KptrDest {
            if call.ref_id != 0 {
                let (reg, one, other) = (r.num(), reg.ref_id, call.ref_id);
                return Err(HelperReject::TwoReferences { reg, one, other }.into());
            }
            call.ref_id = reg.ref_id;
        }
        Ok(())
    }

    /// A size, and the memory before it (`check_mem_size_reg`).
    fn check_size(
        &mut self,
        before: Option<ArgType>,
        r: Reg,
        zero: ZeroSize,
        call: &mut CallArgs,
    ) -> Res<Option<RawFill>> {
        let Some(ArgType::Mem(mem)) = before else {
            return Err(Stop::Bug("a size without memory before it"));
        };
        let base =
            r.num().checked_sub(1).and_then(Reg::new).ok_or(Stop::Bug("no memory argument"))?;
        call.max_size = self.cur.reg(r).num.umax();
        self.check_sized_mem(mem, base, r, zero)
    }

    /// Memory of as many bytes as a register says.
    pub(crate) fn check_sized_mem(
        &mut self,
        mem: MemArg,
        base: Reg,
        r: Reg,
        zero: ZeroSize,
    ) -> Res<Option<RawFill>> {
        let num = self.cur.reg(r).num;
        let reg = r.num();
        if num.smin() < 0 {
            return Err(RejectKind::SizeNegative { reg }.into());
        }
        if num.umin() == 0 && zero == ZeroSize::Forbidden {
            return Err(RejectKind::SizeZero { reg, min: 0, max: num.umax() }.into());
        }
        if num.umax() >= MAX_VAR_SIZE {
            return Err(RejectKind::SizeUnbounded { reg }.into());
        }
        let exact = if num.const_value().is_some() { Exact::Yes } else { Exact::No };
        let m = HelperMem { access: mem.access, size: num.umax(), exact, zero };
        let fill = self.check_helper_mem(base, m)?;
        self.mark_precise(r)?;
        Ok(fill)
    }

    /// A string constant: in a read-only map, at a known offset, with its end (`check_reg_const_str`).
    pub(crate) fn check_const_str(&self, r: Reg) -> Res<()> {
        let reg = *self.cur.reg(r);
        let RegKind::MapValue(id) = reg.kind else { return Err(Stop::Bug("not a map value")) };
        let map = self.map(id)?;
        let reg_no = r.num();
        if map.flags & BPF_F_RDONLY_PROG == 0 || map.frozen_data.is_none() {
            return Err(RejectKind::StrNotReadOnly { reg: reg_no }.into());
        }
        if reg.num.const_value().is_none() {
            return Err(RejectKind::StrVariable { reg: reg_no }.into());
        }
        match self.const_str(r)? {
            Some(_) => Ok(()),
            None => Err(RejectKind::StrNoEnd {}.into()),
        }
    }

    /// The bytes of a string constant without its end, if the register points to one.
    pub(super) fn const_str(&self, r: Reg) -> Res<Option<&[u8]>> {
        let reg = self.cur.reg(r);
        let (RegKind::MapValue(id), Some(var)) = (reg.kind, reg.num.const_value()) else {
            return Ok(None);
        };
        let at = i64::from(reg.off).checked_add(var as i64).and_then(|o| usize::try_from(o).ok());
        let bytes = self.map(id)?.frozen_data.as_deref();
        let text = bytes.zip(at).and_then(|(b, at)| b.get(at..));
        Ok(text.and_then(|t| t.iter().position(|b| *b == 0).and_then(|end| t.get(..end))))
    }
}
