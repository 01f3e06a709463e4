//! What is known of a helper's result.

use super::args::CallArgs;
use crate::domain::{Range, Scalar};
use crate::env::{Callback, HelperProto, RefEffect, RetType, SockRet};
use crate::pre::{MapId, has_lock};
use crate::state::{PtrFlags, RegKind, RegState, SockKind};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::{
    BPF_FUNC_get_smp_processor_id, BPF_FUNC_get_stack, BPF_FUNC_get_task_stack,
    BPF_FUNC_map_lookup_elem, BPF_FUNC_probe_read_kernel_str, BPF_FUNC_probe_read_str,
    BPF_FUNC_probe_read_user_str, BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP,
};

/// Errors that helpers return are at the most this (`MAX_ERRNO`).
const MAX_ERRNO: i64 = 4095;

impl Walk<'_> {
    /// Puts the result into R0.
    pub(super) fn mark_returned(&mut self, proto: &HelperProto, args: &CallArgs) -> Res<()> {
        let mut ret = self.returned(proto, args)?;
        if self.acquires(proto, args)? {
            let id = self.mark_acquired();
            (ret.id, ret.ref_id) = (id, id);
        } else if proto.refs == RefEffect::Passes {
            ret.ref_id = args.ref_id;
        }
        if let RegKind::MapValue(map) = ret.kind {
            ret.map_uid = args.map_uid;
            if !ret.may_be_null() && has_lock(&self.map(map)?.fields) {
                ret.id = self.new_id();
            }
        }
        *self.cur.reg_mut(Reg::R0) = ret;
        Ok(())
    }

    /// What is returned is a new reference (`is_acquire_function`).
    fn acquires(&self, proto: &HelperProto, args: &CallArgs) -> Res<bool> {
        if proto.id.cast_unsigned() != BPF_FUNC_map_lookup_elem {
            return Ok(proto.refs == RefEffect::Acquires);
        }
        let map_type = self.map(map_of(args)?)?.map_type;
        Ok(matches!(map_type, BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH))
    }

    fn returned(&mut self, proto: &HelperProto, args: &CallArgs) -> Res<RegState> {
        let or_null = |walk: &mut Self, kind, flags: PtrFlags| {
            let ptr = RegState::pointer_or_null(kind, walk.new_id());
            RegState { flags: ptr.flags.with(flags), ..ptr }
        };
        let none = PtrFlags::NONE;
        Ok(match proto.ret {
            RetType::Integer => RegState::scalar(self.returned_number(proto, args)),
            // SOUND: a helper that comes back from a tail call failed, and says nothing.
            RetType::Void | RetType::TailCall => RegState::NOT_INIT,
            RetType::MapValue => RegState::pointer(RegKind::MapValue(map_of(args)?)),
            RetType::MapValueOrNull => {
                let map = map_of(args)?;
                let kind = RegKind::MapValue(map);
                let is_there = proto.id.cast_unsigned() == BPF_FUNC_map_lookup_elem
                    && args
                        .const_key
                        .is_some_and(|k| self.map(map).is_ok_and(|m| k < u64::from(m.max_entries)));
                if is_there {
                    // SOUND: see `has_all_elements`.
                    RegState::pointer(kind)
                } else {
                    or_null(self, kind, none)
                }
            }
            RetType::SockOrNull(sort) => {
                let kind = match sort {
                    SockRet::Full => SockKind::Full,
                    SockRet::Common => SockKind::Common,
                    SockRet::Tcp => SockKind::Tcp,
                };
                or_null(self, RegKind::Socket(kind), none)
            }
            RetType::RingbufMemOrNull => {
                or_null(self, RegKind::Mem(args.alloc_size), PtrFlags::RINGBUF)
            }
            RetType::KptrOrNull => {
                let (field, ty) = args.kptr.as_ref().ok_or(Stop::Bug("no place for a pointer"))?;
                self.exchanged_kptr(field, *ty)
            }
            RetType::DynptrMemOrNull => {
                let dynptr_id = args.dynptr.map_or(0, |of| of.id);
                RegState { dynptr_id, ..or_null(self, RegKind::Mem(args.alloc_size), none) }
            }
            RetType::Percpu
            | RetType::PercpuOrNull
            | RetType::Btf(_)
            | RetType::BtfTrusted(_)
            | RetType::BtfOrNull(_) => self.returned_object(proto, args)?,
        })
    }

    /// What is known of a number that a helper returns (`do_refine_retval_range`).
    // SOUND: the kernel's implementations return nothing else, and ours are held to the same.
    #[expect(non_upper_case_globals, reason = "names are the uapi's own")]
    fn returned_number(&self, proto: &HelperProto, args: &CallArgs) -> Scalar {
        if proto.callback == Callback::Loop {
            // The kernel knows no bounds of the result either.
            return Scalar::from_u64(Range::FULL);
        }
        match proto.id.cast_unsigned() {
            BPF_FUNC_get_stack
            | BPF_FUNC_get_task_stack
            | BPF_FUNC_probe_read_str
            | BPF_FUNC_probe_read_kernel_str
            | BPF_FUNC_probe_read_user_str => {
                let max = i32::try_from(args.max_size).unwrap_or(i32::MAX);
                Scalar::from_s64(Range { min: -MAX_ERRNO, max: max.into() })
            }
            BPF_FUNC_get_smp_processor_id => {
                let last = u64::from(self.env.cpus().saturating_sub(1));
                Scalar::from_u64(Range { min: 0, max: last })
            }
            _ => Scalar::UNKNOWN,
        }
    }
}

fn map_of(args: &CallArgs) -> Res<MapId> {
    args.map.ok_or(Stop::Bug("a map value without a map"))
}
