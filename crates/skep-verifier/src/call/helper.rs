//! Helper calls: may it be called, are its arguments right, and what becomes of the state.
//!
//! Neighbours: `args` and `compat` judge arguments, `map_func` maps, `rules` what only some helpers demand, `ret` says
//! what is known of the result.

use super::args::CallArgs;
use crate::caps;
use crate::env::{Callback, HelperLookup, HelperProto, RetType};
use crate::object::{DynptrInfo, Leaving, Sleeper};
use crate::reject::{HelperReject, RejectKind};
use crate::state::ptr::DynptrKind;
use crate::state::{PtrFlags, RegState};
use crate::walk::{Flow, Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::{BPF_FUNC_dynptr_write, BPF_PROG_TYPE_EXT};

impl<'a> Walk<'a> {
    pub(crate) fn exec_helper(&mut self, id: i32) -> Res<Flow> {
        let proto = self.resolve_helper(id)?;
        let args = self.check_args(proto)?;
        if let Some(map) = args.map {
            self.check_map_writable(map, proto)?;
        }
        if proto.ret == RetType::TailCall {
            self.check_tail_call_map(args.map)?;
            if self.cur.reg(Reg::R3).num.const_value().is_some() {
                // The kernel calls a known program directly, and so depends on which one it is.
                self.mark_precise(Reg::R3)?;
            }
        }
        for fill in args.fills.into_iter().flatten() {
            self.mark_filled(fill);
        }
        if args.release.is_some() {
            self.release_arg(proto, &args)?;
        }
        if proto.ret == RetType::TailCall {
            self.check_nothing_held(Leaving::TailCall)?;
        }
        self.check_helper_rules(proto, &args)?;
        if proto.callback != Callback::None {
            let callback = args.callback.ok_or(Stop::Bug("a callback helper without callback"))?;
            let map = args.map.map(|m| (m, args.map_uid));
            self.schedule_callback(proto.callback, callback, map)?;
        }
        let changes_packet = proto.changes_pkt_data || self.is_packet_helper(proto, &args);
        self.mark_caller_saved_lost();
        self.mark_returned(proto, &args)?;
        if let Some(map) = args.map {
            self.check_map_call(map, proto)?;
        }
        if proto.ret == RetType::TailCall {
            self.guard_tail_call(args.map);
            return self.leave_by_tail_call();
        }
        if changes_packet {
            self.mark_packet_pointers_lost();
        }
        Ok(Flow::Next)
    }

    /// The helper's prototype, if the program may call it here.
    fn resolve_helper(&self, id: i32) -> Res<&'a HelperProto> {
        let env = self.env;
        let proto = match caps::helper(env, id) {
            HelperLookup::Known(p) => p,
            HelperLookup::NotAllowed(name) => {
                return Err(RejectKind::HelperNotAllowed { name: name.into(), id }.into());
            }
            HelperLookup::NotHere(_) => return Err(HelperReject::NotInProbe {}.into()),
            HelperLookup::Unsupported(name) => {
                return Err(RejectKind::HelperUnsupported { name: name.into(), id }.into());
            }
            HelperLookup::Unknown => return Err(RejectKind::HelperUnknown { id }.into()),
        };
        if proto.gpl_only && !self.is_gpl {
            return Err(RejectKind::HelperGpl {}.into());
        }
        if proto.might_sleep {
            if !self.in_sleepable() {
                return Err(HelperReject::SleepableOnly {}.into());
            }
            self.check_sleeps(Sleeper::Helper(proto.name, proto.id))?;
        }
        Ok(proto)
    }

    /// Behind a tail call: where it failed the function goes on, else the program that was called returns in its place.
    // SOUND: nothing is known of what that returns, and it may have changed the packet. The path that goes on behind the
    // call is the one on which no other program ran.
    fn leave_by_tail_call(&mut self) -> Res<Flow> {
        if self.cur.cur_idx() == 0 {
            return Ok(Flow::Next);
        }
        let failed = self.cur.clone();
        self.push_path(self.idx + 1, failed)?;
        self.mark_packet_pointers_lost();
        *self.cur.reg_mut(Reg::R0) = RegState::UNKNOWN;
        self.leave_function()
    }

    /// Every packet pointer, in every frame and spilled ones too, no longer is one (`clear_all_pkt_pointers`).
    pub(crate) fn mark_packet_pointers_lost(&mut self) {
        let lost = self.lost_register();
        let is_packet = |r: &RegState| r.kind.is_packet_any() || r.flags.has(PtrFlags::PKT_SLICE);
        self.cur.update_regs(is_packet, |r| *r = lost);
    }

    /// Whether a helper writes through a dynptr and so may move the packet.
    fn is_packet_helper(&self, proto: &HelperProto, args: &CallArgs) -> bool {
        let is_write = proto.id.cast_unsigned() == BPF_FUNC_dynptr_write;
        is_write && args.dynptr.is_some_and(|of| self.is_packet_write(of))
    }

    /// Whether a write through a dynptr may move the packet.
    pub(super) fn is_packet_write(&self, of: DynptrInfo) -> bool {
        match of.kind {
            DynptrKind::Skb | DynptrKind::SkbMeta => true,
            DynptrKind::Local => self.is_unknown_dynptr(of),
            DynptrKind::Ringbuf | DynptrKind::Xdp => false,
        }
    }

    /// Whether a dynptr that looks local may lead into a packet: a global function takes any.
    // DEVIATION: the kernel takes all that a global function is given, and clones of them, for local ones.
    pub(super) fn is_unknown_dynptr(&self, of: DynptrInfo) -> bool {
        let is_main = self.cur.frames.first().is_none_or(|f| f.subprog == 0);
        let is_extension = self.env.prog_type().prog_type == BPF_PROG_TYPE_EXT;
        of.kind == DynptrKind::Local
            && (is_extension || (!is_main && self.prog.kfuncs.makes_packet_dynptrs()))
    }
}
