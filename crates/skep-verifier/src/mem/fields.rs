//! Members of map values that only the kernel may touch: no access as plain memory, except whole kernel pointers.

use crate::object::kptr_name;
use crate::pre::MapId;
use crate::reject::FieldReject;
use crate::state::RegState;
use crate::walk::{Res, Walk};
use skep_btf::fields::Field;

/// Who accesses a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AccessBy {
    /// An instruction.
    Insn,
    /// A helper, through a memory argument.
    Helper,
}

impl Walk<'_> {
    /// Judges an access to a value with special members; gives the kernel pointer that it accesses as a whole
    /// (the second half of `check_map_access`).
    pub(super) fn check_fields(
        &self,
        id: MapId,
        ptr: &RegState,
        off: i64,
        size: u64,
        by: AccessBy,
    ) -> Res<Option<Field>> {
        let map = self.map(id)?;
        let low = off.saturating_add(ptr.num.smin());
        let high = off.saturating_add_unsigned(ptr.num.umax().saturating_add(size));
        let touches =
            |f: &&Field| low < i64::from(f.offset) + i64::from(f.size) && high > f.offset.into();
        let mut found = None;
        for field in map.fields.iter().filter(touches) {
            let name = kptr_name(field.kind);
            if !field.kind.is_pointer() {
                return Err(FieldReject::DirectAccess { name }.into());
            }
            if by == AccessBy::Helper {
                return Err(FieldReject::KptrIndirect { name }.into());
            }
            let Some(var) = ptr.num.const_value() else {
                return Err(FieldReject::KptrVariableAccess { name }.into());
            };
            let at = off.wrapping_add(var as i64);
            if at != i64::from(field.offset) {
                let expected = field.offset;
                return Err(FieldReject::KptrMisaligned { name, expected, off: at }.into());
            }
            if size != 8 {
                return Err(FieldReject::KptrSize { name }.into());
            }
            found = Some(field.clone());
        }
        Ok(found)
    }
}
