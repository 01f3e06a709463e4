//! Types of the BTFs that a call of a kernel function has to do with.

use crate::mem::btf::member::Flexible;
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::walk::{Res, Stop, Walk};
use skep_btf::{Btf, TypeId};

impl<'a> Walk<'a> {
    /// The BTF of an owner.
    pub(crate) fn btf_at(&self, owner: BtfOwner) -> Option<&'a Btf> {
        match owner {
            BtfOwner::Kernel => self.env.kernel_btf(),
            BtfOwner::Module(idx) => self.env.module_btf(idx),
            BtfOwner::Program => self.env.btf(),
            BtfOwner::Target => self.env.target().map(|t| &*t.btf),
        }
    }

    /// Kind and name of a type, as messages have them.
    pub(crate) fn type_names(&self, ty: BtfType) -> Res<(&'static str, &'a str)> {
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
    pub(super) fn begins_with_type(
        &self,
        have: BtfType,
        off: i32,
        need: BtfType,
        flags: PtrFlags,
    ) -> bool {
        let is_alloc = flags.has(PtrFlags::ALLOC);
        let flexible = if is_alloc { Flexible::No } else { Flexible::Yes };
        self.is_btf_match(have, off, need, flexible)
    }
}
