//! Timers, work queues and task work: members of map values that call back later.

use crate::pre::MapId;
use crate::reject::FieldReject;
use crate::state::RegKind;
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::fields::FieldKind;

impl Walk<'_> {
    /// The register points to the member of that kind in a map's value; gives the map, and which of its like it is
    /// (`check_map_field_pointer`).
    pub(crate) fn check_map_field(&self, r: Reg, kind: FieldKind) -> Res<(MapId, u32)> {
        let reg = self.cur.reg(r);
        let RegKind::MapValue(id) = reg.kind else { return Err(Stop::Bug("not a map value")) };
        let name = kind.name();
        let Some(var) = reg.num.const_value() else {
            return Err(FieldReject::FieldVariable { reg: r.num(), name }.into());
        };
        let map = self.map(id)?;
        if map.types.is_none() {
            return Err(FieldReject::FieldNoBtf { map: map.name.clone(), name }.into());
        }
        let Some(field) = map.fields.iter().find(|f| f.kind == kind) else {
            return Err(FieldReject::NoField { map: map.name.clone(), name }.into());
        };
        let off = i64::from(reg.off).wrapping_add(var as i64);
        if off != i64::from(field.offset) {
            return Err(FieldReject::FieldOffset { off, name, at: field.offset }.into());
        }
        Ok((id, reg.map_uid))
    }

    /// The map that a register names is the one that the member is in.
    // SOUND: maps that are looked up in a map have the same number here, so the lookup's own id is compared too.
    pub(crate) fn check_field_map(
        &self,
        kind: FieldKind,
        field: (MapId, u32),
        map: (MapId, u32),
    ) -> Res<()> {
        if field == map {
            return Ok(());
        }
        let (uid, map_uid) = (field.1, map.1);
        Err(match kind {
            FieldKind::Workqueue => FieldReject::WqOtherMap { uid, map_uid },
            FieldKind::TaskWork => FieldReject::TaskWorkOtherMap { uid, map_uid },
            _ => FieldReject::TimerOtherMap { uid, map_uid },
        }
        .into())
    }
}
