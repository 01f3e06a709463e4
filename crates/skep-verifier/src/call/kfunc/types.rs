//! Types of the BTFs that a call of a kernel function has to do with.

use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::walk::{Res, Stop, Walk};
use skep_btf::{Btf, Kind, TypeId};

/// Structures nested in one another are followed so deep.
const MAX_DEPTH: usize = 32;

impl<'a> Walk<'a> {
    /// The BTF of an owner.
    pub(crate) fn btf_at(&self, owner: BtfOwner) -> Option<&'a Btf> {
        match owner {
            BtfOwner::Kernel => self.env.kernel_btf(),
            BtfOwner::Module(idx) => self.env.module_btf(idx),
            BtfOwner::Program => self.env.btf(),
        }
    }

    /// Kind and name of a type, as messages have them.
    pub(super) fn type_names(&self, ty: BtfType) -> Res<(&'static str, &'a str)> {
        let found = self.btf_at(ty.btf).and_then(|b| b.skip_typedefs_and_modifiers(TypeId(ty.id)));
        let found = found.ok_or(Stop::Bug("no such type"))?;
        Ok((crate::pre::kind_text(&found), found.name()))
    }

    /// The type where it was first described: modules go on counting where the kernel ends.
    pub(crate) fn canonical_type(&self, ty: BtfType) -> BtfType {
        let BtfOwner::Module(idx) = ty.btf else { return ty };
        match self.env.module_btf(idx) {
            Some(btf) if ty.id < btf.first_own_id().0 => BtfType { btf: BtfOwner::Kernel, ..ty },
            Some(_) | None => ty,
        }
    }

    /// Whether a pointer to a type, moved by an offset, points to another (`btf_struct_ids_match`).
    // SOUND: only a structure that lies there whole is found.
    pub(super) fn begins_with_type(
        &self,
        have: BtfType,
        off: i32,
        need: BtfType,
        _flags: PtrFlags,
    ) -> bool {
        let Ok(mut off) = u32::try_from(off) else { return false };
        let Some(btf) = self.btf_at(have.btf) else { return false };
        let need = self.canonical_type(need);
        let mut id = have.id;
        for _ in 0..MAX_DEPTH {
            if off == 0 && self.canonical_type(BtfType { id, ..have }) == need {
                return true;
            }
            let Some(def) = btf.type_by_id(TypeId(id)).and_then(|t| t.as_composite()) else {
                return false;
            };
            let inner = def.members.iter().find_map(|m| {
                let ty = btf.skip_typedefs_and_modifiers(m.ty)?;
                let start = m.bit_offset / 8;
                let is_struct = matches!(ty.kind(), Kind::Struct | Kind::Union);
                let size = u32::try_from(btf.size_of(ty.id()).ok()?).ok()?;
                let within = off.checked_sub(start).filter(|o| *o < size)?;
                (is_struct && m.bitfield_bits == 0).then_some((ty.id().0, within))
            });
            let Some(next) = inner else { return false };
            (id, off) = next;
        }
        false
    }
}
