//! Whom to trust: what a pointer that was loaded from an object is worth.
//!
//! A pointer is *trusted* (surely valid), valid within an RCU read section, *untrusted* (only to be read, with faults
//! caught), or of the old sort without flags, which helpers take but nothing else does.

use super::member::Found;
use crate::state::{PtrFlags, RegState};
use crate::walk::Walk;
use skep_btf::{Btf, TypeId, TypeView};

/// Flags of a pointer that may be trusted (`BPF_REG_TRUSTED_MODIFIERS`).
const TRUSTED_FLAGS: PtrFlags = PtrFlags::ALLOC.with(PtrFlags::TRUSTED).with(PtrFlags::NON_OWN);

/// Whether the pointer is surely valid (`is_trusted_reg`, for pointers that BTF describes).
pub(crate) fn is_trusted(reg: &RegState) -> bool {
    reg.ref_id != 0
        || (reg.flags.has_any(TRUSTED_FLAGS) && reg.flags.without(TRUSTED_FLAGS) == PtrFlags::NONE)
}

/// Whether the pointer is valid as long as the RCU read section lasts (`is_rcu_reg`).
pub(crate) fn is_rcu(reg: &RegState) -> bool {
    reg.flags.has(PtrFlags::RCU)
}

impl Walk<'_> {
    /// Flags of a pointer that was found in what `ptr` points to (the trust rules of `check_ptr_to_btf_access`).
    // SOUND: without one of the reasons below nothing keeps the target alive.
    pub(super) fn inherited_trust(&self, btf: &Btf, ptr: &RegState, found: Loaded<'_>) -> PtrFlags {
        let Loaded { flags, .. } = found;
        if ptr.flags.has(PtrFlags::UNTRUSTED) {
            return PtrFlags::UNTRUSTED;
        }
        let plain = flags.without(TRUSTED_FLAGS.with(PtrFlags::RCU));
        if !is_trusted(ptr) && !is_rcu(ptr) {
            return plain;
        }
        let listed = |suffix| is_listed(btf, found, suffix);
        if listed("__safe_trusted") {
            return flags.with(PtrFlags::TRUSTED);
        }
        if listed("__safe_trusted_or_null") {
            return flags.with(PtrFlags::TRUSTED).with(PtrFlags::MAYBE_NULL);
        }
        if !self.in_rcu() || ptr.may_be_null() {
            return PtrFlags::UNTRUSTED;
        }
        if listed("__safe_rcu") {
            return flags.with(PtrFlags::RCU);
        }
        let or_null = listed("__safe_rcu_or_null");
        if or_null || flags.has(PtrFlags::RCU) {
            let flags = flags.with(PtrFlags::RCU).with(PtrFlags::MAYBE_NULL);
            return if or_null { flags.without(PtrFlags::UNTRUSTED) } else { flags };
        }
        if flags.has_any(PtrFlags::PERCPU.with(PtrFlags::USER)) { flags } else { plain }
    }
}

/// A pointer as it was found in an object.
#[derive(Clone, Copy)]
pub(super) struct Loaded<'a> {
    /// Type of the object.
    pub(super) within: TypeId,
    /// Type of what the pointer points to.
    pub(super) to: TypeId,
    /// Name of the member.
    pub(super) member: &'a str,
    /// What the type says of it.
    pub(super) flags: PtrFlags,
}

impl<'a> Loaded<'a> {
    /// From what was found in an object of type `within`, if it is a pointer.
    pub(super) fn of(found: Found<'a>, within: TypeId) -> Option<Loaded<'a>> {
        match found {
            Found::Pointer { to, flags, member } => Some(Loaded { within, to, member, flags }),
            Found::Scalar | Found::LeafPointer => None,
        }
    }
}

/// Whether the kernel's list of such members has this one (`btf_nested_type_is_trusted`): the list of `task_struct` is
/// a structure `task_struct` with a suffix in the kernel's own BTF.
fn is_listed(btf: &Btf, found: Loaded<'_>, suffix: &str) -> bool {
    const LONGEST_NAME: usize = 63;
    let Some(within) = btf.type_by_id(found.within) else { return false };
    let name = format!("{}{suffix}", within.name());
    if name.len() > LONGEST_NAME {
        return false;
    }
    let list = btf.find_by_name_kind(&name, within.kind());
    let Some(list) = list.and_then(|t| t.as_composite()) else { return false };
    list.members.iter().filter(|m| m.name == found.member).any(|m| {
        let Some(TypeView::Ptr(to)) = btf.type_by_id(m.ty).map(|t| t.view()) else { return false };
        btf.skip_typedefs_and_modifiers(to).is_some_and(|t| t.id() == found.to)
    })
}
