//! What only some helpers demand, once their arguments are right.

use super::args::CallArgs;
use super::format::check_format;
use crate::env::{Callback, HelperProto};
use crate::reject::{HelperReject, ObjectReject};
use crate::state::{PtrFlags, RegKind};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::*;

impl Walk<'_> {
    /// The rules of single helpers (`check_helper_call`).
    #[expect(non_upper_case_globals, reason = "names are the uapi's own")]
    pub(super) fn check_helper_rules(&mut self, proto: &HelperProto, args: &CallArgs) -> Res<()> {
        match proto.id.cast_unsigned() {
            BPF_FUNC_get_local_storage => {
                if !self.cur.reg(Reg::R2).is_null() {
                    return Err(HelperReject::LocalStorageFlags {}.into());
                }
                self.mark_precise(Reg::R2)
            }
            BPF_FUNC_dynptr_from_mem => self.check_dynptr_memory(),
            BPF_FUNC_snprintf => self.check_snprintf(),
            BPF_FUNC_get_func_ip => self.check_get_func_ip(),
            _ if proto.callback == Callback::ForEachMapElem => self.check_for_each(args),
            _ => Ok(()),
        }
    }

    /// A dynptr points only to map values.
    fn check_dynptr_memory(&self) -> Res<()> {
        let reg = self.cur.reg(Reg::R1);
        if matches!(reg.kind, RegKind::MapValue(_)) && reg.flags == PtrFlags::NONE {
            return Ok(());
        }
        Err(ObjectReject::DynptrMemory { ty: reg.type_text() }.into())
    }

    /// The map's elements can be visited (`map_for_each_callback`).
    fn check_for_each(&self, args: &CallArgs) -> Res<()> {
        let map = self.map(args.map.ok_or(Stop::Bug("for_each without a map"))?)?;
        match map.map_type {
            BPF_MAP_TYPE_HASH
            | BPF_MAP_TYPE_ARRAY
            | BPF_MAP_TYPE_PERCPU_HASH
            | BPF_MAP_TYPE_PERCPU_ARRAY
            | BPF_MAP_TYPE_LRU_HASH
            | BPF_MAP_TYPE_LRU_PERCPU_HASH => Ok(()),
            _ => Err(HelperReject::NoMapCallback {}.into()),
        }
    }

    /// The format of `bpf_snprintf` fits the number of its arguments (`check_bpf_snprintf_call`).
    fn check_snprintf(&mut self) -> Res<()> {
        let size = self.cur.reg(Reg::R5).num.var_off.value;
        if !size.is_multiple_of(8) {
            return Err(HelperReject::FormatData { size }.into());
        }
        let text = self.const_str(Reg::R3)?.ok_or(Stop::Bug("a format that is no string"))?;
        if check_format(text, size / 8) { Ok(()) } else { Err(HelperReject::Format {}.into()) }
    }

    /// The address of the traced function is known (`check_get_func_ip`).
    fn check_get_func_ip(&self) -> Res<()> {
        let is_trampoline = matches!(
            self.req.expected_attach_type,
            BPF_TRACE_FENTRY | BPF_TRACE_FEXIT | BPF_MODIFY_RETURN
        );
        match self.props.prog_type {
            BPF_PROG_TYPE_KPROBE => Ok(()),
            BPF_PROG_TYPE_TRACING if is_trampoline => Ok(()),
            BPF_PROG_TYPE_TRACING => Err(HelperReject::FuncIpTracing {}.into()),
            prog_type => Err(HelperReject::FuncIpProgType { prog_type }.into()),
        }
    }
}
