//! Kernel pointers in map values and allocated objects: what may be loaded, stored and exchanged.
//!
//! A pointer tagged `kptr` owns a reference and is only changed by `bpf_kptr_xchg`; one tagged `kptr_untrusted` is
//! just remembered; one tagged `uptr` leads to a page of user memory. Neighbours: `mem/fields` finds the member that
//! an access touches, `call/special` calls the checks of `bpf_kptr_xchg`.

use crate::mem::btf::member::Flexible;
use crate::reject::{FieldReject, KptrText};
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk, unsupported};
use skep_abi::insn::{Insn, Reg, Src};
use skep_btf::Kind;
use skep_btf::fields::{Field, FieldKind};

/// Structures of the kernel that stay while an RCU read section lasts (`rcu_protected_types`).
const RCU_PROTECTED: [&str; 5] =
    ["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"];

impl Walk<'_> {
    /// The type of the objects that a member of what `reg` points into leads to.
    ///
    /// A structure that the kernel has is the kernel's; any other is the program's own (`btf_parse_kptr`).
    // SOUND: type ids of the map's BTF mean something to this program only if both have the same BTF.
    pub(crate) fn field_target(&self, reg: &RegState, field: &Field) -> Res<BtfType> {
        let target = field.target.ok_or(Stop::Bug("a member without a target"))?;
        let own = BtfType { btf: BtfOwner::Program, id: target.ty.0 };
        let types = match reg.kind {
            RegKind::MapValue(map) => {
                Some(self.map(map)?.types.as_ref().ok_or(Stop::Bug("members without types"))?)
            }
            _ => None,
        };
        let btf = match types {
            Some(types) => Some(&*types.btf),
            None => self.env.btf(),
        };
        let ty = btf.and_then(|b| b.type_by_id(target.ty));
        let name = ty.map(|t| t.name()).unwrap_or_default();
        if field.kind.is_pointer()
            && field.kind != FieldKind::Uptr
            && let Some(ty) = self.kernel_type(name)
        {
            return Ok(ty);
        }
        let Some(types) = types else { return Ok(own) };
        match self.env.btf() {
            Some(btf) if core::ptr::eq(btf, &*types.btf) => Ok(own),
            Some(_) | None => Err(unsupported("members of a map that has another program's BTF")),
        }
    }

    /// A structure or union of the kernel's or a module's, by name (`bpf_find_btf_id`).
    pub(crate) fn kernel_type(&self, name: &str) -> Option<BtfType> {
        let find = |btf: &skep_btf::Btf| {
            let found = btf.find_by_name_kind(name, Kind::Struct);
            found.or_else(|| btf.find_by_name_kind(name, Kind::Union)).map(|t| t.id().0)
        };
        let kernel = self.env.kernel_btf()?;
        if let Some(id) = find(kernel) {
            return Some(BtfType { btf: BtfOwner::Kernel, id });
        }
        (1..=u16::MAX)
            .map_while(|n| Some((n, self.env.module_btf(n)?)))
            .find_map(|(n, btf)| find(btf).map(|id| BtfType { btf: BtfOwner::Module(n), id }))
    }

    /// The instruction in hand accesses a kernel pointer in a map value, as a whole and at its place
    /// (`check_map_kptr_access`); gives what a load of it yields.
    pub(crate) fn exec_kptr_access(&mut self, ptr: &RegState, field: &Field) -> Res<RegState> {
        let is_uptr = field.kind == FieldKind::Uptr;
        let name = kptr_name(field.kind);
        match self.insn() {
            Insn::Load { .. } if is_uptr => self.load_uptr(ptr, field),
            Insn::Load { .. } => {
                let ty = self.field_target(ptr, field)?;
                let flags = self.loaded_kptr_flags(field, ty)?;
                let id = self.new_id();
                Ok(RegState { flags, ..RegState::pointer_or_null(RegKind::Btf(ty), id) })
            }
            Insn::Store { .. } if field.kind != FieldKind::KptrUntrusted => {
                Err(if is_uptr { FieldReject::StoreUptr {} } else { FieldReject::StoreKptr {} }
                    .into())
            }
            Insn::Store { src: Src::Imm(imm), .. } => {
                if imm != 0 {
                    return Err(FieldReject::StoreImm { name, off: field.offset }.into());
                }
                Ok(RegState::UNKNOWN)
            }
            Insn::Store { src: Src::Reg(r), .. } => {
                if self.cur.reg(r).is_null() {
                    // SOUND: another number in its place would not be NULL.
                    self.mark_precise(r)?;
                    return Ok(RegState::UNKNOWN);
                }
                let ty = self.field_target(ptr, field)?;
                self.check_kptr_type(field, ty, r)?;
                Ok(RegState::UNKNOWN)
            }
            _ => Err(FieldReject::KptrMode { name }.into()),
        }
    }

    /// A page of user memory, or NULL (`mark_uptr_ld_reg`).
    fn load_uptr(&mut self, ptr: &RegState, field: &Field) -> Res<RegState> {
        let ty = self.field_target(ptr, field)?;
        let btf = self.btf_of(ty.btf)?;
        let size = btf.size_of(skep_btf::TypeId(ty.id)).ok().and_then(|s| u32::try_from(s).ok());
        let size = size.ok_or(Stop::Bug("a user page of no size"))?;
        Ok(RegState::pointer_or_null(RegKind::Mem(size), self.new_id()))
    }

    /// What a kernel pointer is worth that was just loaded (`btf_ld_kptr_type`).
    // SOUND: what owns a reference may be exchanged and freed by another CPU at any time; only RCU keeps it, and only
    // for types that are freed after a grace period.
    fn loaded_kptr_flags(&self, field: &Field, ty: BtfType) -> Res<PtrFlags> {
        let or_null = PtrFlags::MAYBE_NULL;
        let is_own = ty.btf == BtfOwner::Program;
        let is_rcu_safe = match field.kind {
            FieldKind::PercpuKptr => true,
            FieldKind::Kptr => is_own || RCU_PROTECTED.contains(&self.btf_name(ty)?),
            _ => false,
        };
        if !is_rcu_safe || !self.in_rcu() {
            return Ok(or_null.with(PtrFlags::UNTRUSTED));
        }
        let mut flags = or_null.with(PtrFlags::RCU);
        if field.kind == FieldKind::PercpuKptr {
            flags = flags.with(PtrFlags::PERCPU);
        } else if is_own {
            flags = flags.with(PtrFlags::ALLOC);
        }
        let is_node = |f: &Field| matches!(f.kind, FieldKind::ListNode | FieldKind::RbNode);
        if is_own && self.prog.records.of(ty.id).iter().any(is_node) {
            flags = flags.with(PtrFlags::NON_OWN);
        }
        Ok(flags)
    }

    /// The register holds a pointer that may be put into a member (`map_kptr_match_type`).
    pub(crate) fn check_kptr_type(&self, field: &Field, wanted: BtfType, r: Reg) -> Res<()> {
        let reg = self.cur.reg(r);
        if let RegKind::Btf(ty) = reg.kind {
            let is_own = ty.btf == BtfOwner::Program;
            let mut allowed = PtrFlags::MAYBE_NULL;
            if is_own {
                allowed = allowed.with(PtrFlags::ALLOC);
                if field.kind == FieldKind::PercpuKptr {
                    allowed = allowed.with(PtrFlags::PERCPU);
                }
            } else {
                allowed = allowed.with(PtrFlags::TRUSTED).with(PtrFlags::RCU);
                if field.kind == FieldKind::KptrUntrusted {
                    allowed = allowed.with(PtrFlags::UNTRUSTED);
                }
            }
            // SOUND: what is read back as per-CPU must have been so.
            let is_percpu = reg.flags.has(PtrFlags::PERCPU);
            let same_sort = (field.kind == FieldKind::PercpuKptr) == is_percpu;
            if reg.flags.without(allowed) == PtrFlags::NONE && same_sort {
                self.check_fixed_offset(r)?;
                let is_strict = field.kind != FieldKind::KptrUntrusted;
                let matches = if is_strict {
                    reg.off == 0 && self.canonical_type(ty) == self.canonical_type(wanted)
                } else {
                    {
                        let is_alloc = reg.flags.has(PtrFlags::ALLOC);
                        let flexible = if is_alloc { Flexible::No } else { Flexible::Yes };
                        self.is_btf_match(ty, reg.off, wanted, flexible)
                    }
                };
                if matches {
                    return Ok(());
                }
            }
        }
        let name = match reg.kind {
            RegKind::Btf(ty) => self.btf_name(ty)?.to_owned(),
            _ => String::new(),
        };
        let text = KptrText {
            ty: reg.type_text(),
            name,
            expected: self.btf_name(wanted)?.to_owned(),
            or_untrusted: field.kind == FieldKind::KptrUntrusted,
        };
        Err(FieldReject::KptrType { reg: r.num(), text }.into())
    }

    /// The member that `bpf_kptr_xchg` is to change: which, and what it leads to (`process_kptr_func`).
    pub(crate) fn check_kptr_place(&self, r: Reg) -> Res<(Field, BtfType)> {
        let reg = self.cur.reg(r);
        if let RegKind::MapValue(map) = reg.kind {
            let map = self.map(map)?;
            if map.types.is_none() {
                return Err(FieldReject::KptrNoBtf { name: map.name.clone() }.into());
            }
        }
        let no = r.num();
        let Some(var) = reg.num.const_value() else {
            return Err(FieldReject::KptrVariable { reg: no }.into());
        };
        let is_kptr = |k: FieldKind| {
            matches!(k, FieldKind::Kptr | FieldKind::KptrUntrusted | FieldKind::PercpuKptr)
        };
        let fields = self.prog.records.of_reg(&self.prog.maps, reg);
        if !fields.iter().any(|f| is_kptr(f.kind)) {
            return Err(FieldReject::NoKptr { reg: no }.into());
        }
        let off = i64::from(reg.off).wrapping_add(var as i64);
        let at = |f: &&Field| is_kptr(f.kind) && i64::from(f.offset) == off;
        let Some(field) = fields.iter().find(at) else {
            return Err(FieldReject::NotKptr { off }.into());
        };
        if field.kind == FieldKind::KptrUntrusted {
            return Err(FieldReject::NotOwningKptr { off }.into());
        }
        Ok((field.clone(), self.field_target(reg, field)?))
    }

    /// What `bpf_kptr_xchg` gives back: the old pointer, without its reference id.
    pub(crate) fn exchanged_kptr(&mut self, field: &Field, ty: BtfType) -> RegState {
        let mut flags = PtrFlags::MAYBE_NULL;
        if ty.btf == BtfOwner::Program {
            flags = flags.with(PtrFlags::ALLOC);
            if field.kind == FieldKind::PercpuKptr {
                flags = flags.with(PtrFlags::PERCPU);
            }
        }
        RegState { flags, ..RegState::pointer_or_null(RegKind::Btf(ty), self.new_id()) }
    }

    /// `bpf_kptr_xchg` takes the reference of the pointer that was put in; whether it was held.
    // SOUND: the pointer belongs to the map now, so other CPUs may free it; per-CPU objects stay for a grace period.
    pub(crate) fn mark_kptr_given(&mut self, ref_id: u32) -> bool {
        if !self.cur.held.has_ref(ref_id) {
            return false;
        }
        self.mark_ref_forgotten(ref_id);
        if self.in_rcu() {
            let percpu = PtrFlags::ALLOC.with(PtrFlags::PERCPU);
            self.cur.update_regs(
                |r| r.ref_id == ref_id && r.is_pointer() && r.flags.has(percpu),
                |r| {
                    r.ref_id = 0;
                    r.flags = r.flags.without(PtrFlags::ALLOC).with(PtrFlags::RCU);
                },
            );
        }
        self.mark_ref_pointers_lost(ref_id);
        true
    }
}

/// A kernel pointer's sort as messages name it (`btf_field_type_name`).
pub(crate) fn kptr_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::KptrUntrusted | FieldKind::Kptr => "kptr",
        FieldKind::PercpuKptr => "percpu_kptr",
        other => other.name(),
    }
}
