//! Helper calls: may it be called, are its arguments right, and what is known of its result.

use crate::caps;
use crate::domain::{Range, Scalar};
use crate::env::{Callback, HelperLookup, HelperProto, RetType};
use crate::object::Leaving;
use crate::pre::MapId;
use crate::reject::RejectKind;
use crate::state::{RegKind, RegState};
use crate::walk::{Flow, Res, Stop, Walk, unsupported};
use skep_abi::insn::Reg;
use skep_abi::uapi::{
    BPF_F_RDONLY_PROG, BPF_FUNC_for_each_map_elem, BPF_FUNC_map_delete_elem,
    BPF_FUNC_map_lookup_elem, BPF_FUNC_map_lookup_percpu_elem, BPF_FUNC_map_update_elem,
    BPF_FUNC_tail_call, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH,
    BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
    BPF_MAP_TYPE_PROG_ARRAY,
};

impl Walk<'_> {
    pub(crate) fn exec_helper(&mut self, id: i32) -> Res<Flow> {
        let env = self.env;
        let proto: &HelperProto = match caps::helper(env, id) {
            HelperLookup::Known(p) => p,
            HelperLookup::NotAllowed(name) => {
                return Err(RejectKind::HelperNotAllowed { name: name.into(), id }.into());
            }
            HelperLookup::Unsupported(name) => {
                return Err(RejectKind::HelperUnsupported { name: name.into(), id }.into());
            }
            HelperLookup::Unknown => return Err(RejectKind::HelperUnknown { id }.into()),
        };
        if proto.gpl_only && !self.is_gpl {
            return Err(RejectKind::HelperGpl {}.into());
        }
        let args = self.check_args(proto)?;
        if let Some(map) = args.map {
            self.check_map_call(map, proto)?;
        }
        if proto.ret == RetType::TailCall {
            self.check_nothing_held(Leaving::TailCall)?;
            if self.cur.reg(Reg::R3).num.const_value().is_some() {
                // The kernel calls a known program directly, and so depends on which one it is.
                self.mark_precise(Reg::R3)?;
            }
        }
        if proto.callback != Callback::None {
            let callback = args.callback.ok_or(Stop::Bug("a callback helper without callback"))?;
            self.schedule_callback(proto.callback, callback, args.map)?;
        }
        for fill in args.fills.into_iter().flatten() {
            self.mark_filled(fill);
        }
        self.mark_caller_saved_lost();
        let ret = match proto.ret {
            RetType::Integer => RegState::UNKNOWN,
            // SOUND: an engine may leave anything in R0, even an address.
            RetType::Void | RetType::TailCall => RegState::NOT_INIT,
            RetType::MapValueOrNull => {
                let map = args.map.ok_or(Stop::Bug("a map value without a map"))?;
                let is_there = proto.id.cast_unsigned() == BPF_FUNC_map_lookup_elem
                    && args
                        .const_key
                        .is_some_and(|k| self.map(map).is_ok_and(|m| k < u64::from(m.max_entries)));
                if is_there {
                    // SOUND: see `has_all_elements`.
                    RegState::pointer(RegKind::MapValue(map))
                } else {
                    RegState::pointer_or_null(RegKind::MapValue(map), self.new_id())
                }
            }
        };
        *self.cur.reg_mut(Reg::R0) = ret;
        if proto.callback == Callback::Loop {
            // The kernel knows no bounds of the result either.
            self.cur.reg_mut(Reg::R0).num = Scalar::from_u64(Range::FULL);
        }
        if proto.changes_pkt_data {
            self.mark_packet_pointers_lost();
        }
        if proto.ret == RetType::TailCall {
            self.guard_tail_call(args.map);
            self.push_tail_return()?;
        }
        Ok(Flow::Next)
    }

    /// Where a tail call of a function that succeeds goes on: the program that was called returns in its place.
    // SOUND: nothing is known of what it returns; that it may have changed the packet is in the state already.
    fn push_tail_return(&mut self) -> Res<()> {
        if self.cur.cur_idx() == 0 {
            return Ok(());
        }
        let f = self.cur.cur();
        if f.callback.is_some() {
            return Err(unsupported("a tail call in a callback"));
        }
        let behind = f.callsite + 1;
        let mut state = self.cur.clone();
        state.frames.pop();
        *state.reg_mut(Reg::R0) = RegState::UNKNOWN;
        self.push_path(behind, state)
    }

    /// Every packet pointer, in every frame and spilled ones too, no longer is one (`clear_all_pkt_pointers`).
    pub(crate) fn mark_packet_pointers_lost(&mut self) {
        let lost = self.lost_register();
        self.cur.update_regs(|r| r.kind.is_packet_any(), |r| *r = lost);
    }

    /// The helper works on this type of map (`check_map_func_compatibility`).
    // Only types listed here are known to be sound; others are refused rather than guessed at.
    #[expect(non_upper_case_globals, reason = "names are the uapi's own")]
    fn check_map_call(&self, id: MapId, proto: &HelperProto) -> Res<()> {
        let map = self.map(id)?;
        let func = u32::try_from(proto.id).unwrap_or(u32::MAX);
        let is_plain = matches!(
            map.map_type,
            BPF_MAP_TYPE_HASH
                | BPF_MAP_TYPE_ARRAY
                | BPF_MAP_TYPE_PERCPU_HASH
                | BPF_MAP_TYPE_PERCPU_ARRAY
                | BPF_MAP_TYPE_LRU_HASH
                | BPF_MAP_TYPE_LRU_PERCPU_HASH
        );
        let is_percpu = matches!(
            map.map_type,
            BPF_MAP_TYPE_PERCPU_HASH | BPF_MAP_TYPE_PERCPU_ARRAY | BPF_MAP_TYPE_LRU_PERCPU_HASH
        );
        let is_of_maps = map.inner.is_some();
        let ok = match func {
            BPF_FUNC_map_lookup_elem => is_plain || is_of_maps,
            BPF_FUNC_map_update_elem | BPF_FUNC_map_delete_elem | BPF_FUNC_for_each_map_elem => {
                is_plain
            }
            BPF_FUNC_map_lookup_percpu_elem => is_percpu,
            BPF_FUNC_tail_call => map.map_type == BPF_MAP_TYPE_PROG_ARRAY,
            _ => true,
        };
        // SOUND: what is constant to the verifier must be so for the program's own helper calls too.
        let changes = matches!(func, BPF_FUNC_map_update_elem | BPF_FUNC_map_delete_elem);
        if ok && changes && map.flags & BPF_F_RDONLY_PROG != 0 {
            return Err(RejectKind::MapReadOnly {}.into());
        }
        if ok {
            return Ok(());
        }
        if func == BPF_FUNC_tail_call {
            return Err(RejectKind::TailCallMap {}.into());
        }
        let (map_type, name, id) = (map.map_type, proto.name, proto.id);
        Err(RejectKind::MapFunc { map_type, name, id }.into())
    }
}
