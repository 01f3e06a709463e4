//! [`Records`]: the special members of the structs that a program can allocate.

use super::MapTable;
use crate::env::Env;
use crate::state::BtfOwner;
use crate::state::{RegKind, RegState};
use skep_abi::insn::{CallTarget, Insn};
use skep_btf::TypeId;
use skep_btf::fields::{Field, FieldKind, StructFields};
use std::sync::Arc;

/// Special members of structs in the program's BTF, by type id (`btf_parse_struct_metas`).
#[derive(Debug, Default)]
pub(crate) struct Records {
    structs: Arc<StructFields>,
}

impl Records {
    /// Looks into every struct, if the program can come to hold one.
    pub(super) fn find(insns: &[Insn], maps: &MapTable, env: &dyn Env) -> Records {
        let calls = |i: &Insn| matches!(i, Insn::Call(CallTarget::Kfunc { .. }));
        let may_hold = maps.all().any(|m| !m.fields.is_empty()) || insns.iter().any(calls);
        let Some(btf) = env.btf().filter(|_| may_hold) else { return Records::default() };
        Records { structs: btf.fields_of_allocated() }
    }

    /// The special members of a struct of the program's; none if it has none.
    pub(crate) fn of(&self, type_id: u32) -> &[Field] {
        self.structs.get(&TypeId(type_id)).map_or(&[], Vec::as_slice)
    }

    /// The special members of what a register points into (`reg_btf_record`).
    pub(crate) fn of_reg<'a>(&'a self, maps: &'a MapTable, reg: &RegState) -> &'a [Field] {
        match reg.kind {
            RegKind::MapValue(m) => maps.get(m).map_or(&[], |e| &e.props.fields),
            RegKind::Btf(ty) if ty.btf == BtfOwner::Program => self.of(ty.id),
            RegKind::Btf(_)
            | RegKind::NotInit
            | RegKind::Scalar
            | RegKind::Ctx
            | RegKind::Map(_)
            | RegKind::MapKey(_)
            | RegKind::Stack(_)
            | RegKind::Packet(_)
            | RegKind::PacketMeta(_)
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::FlowKeys
            | RegKind::Socket(_)
            | RegKind::TpBuffer
            | RegKind::Mem(_)
            | RegKind::Buf
            | RegKind::Arena
            | RegKind::Dynptr(_) => &[],
        }
    }
}

/// Whether there is a lock among special members: its pointer's id tells the locks of two objects apart.
pub(crate) fn has_lock(fields: &[Field]) -> bool {
    fields.iter().any(|f| matches!(f.kind, FieldKind::SpinLock | FieldKind::ResSpinLock))
}
