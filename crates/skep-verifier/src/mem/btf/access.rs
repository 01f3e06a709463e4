//! Loads and stores through pointers to objects that BTF describes (`check_ptr_to_btf_access`).

use super::member::{Flexible, Found, Span, find};
use super::trust::Loaded;
use super::writes::check_write;
use crate::mem::{Direction, HelperMem, MemAccess, UNKNOWN, ZeroSize};
use crate::reject::BtfReject;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::{Btf, TypeId, fields};

impl<'a> Walk<'a> {
    /// The BTF that a type is in.
    pub(crate) fn btf_of(&self, owner: BtfOwner) -> Res<&'a Btf> {
        self.btf_at(owner).ok_or(Stop::Bug("a type of a BTF that is not there"))
    }

    /// A type's name.
    pub(crate) fn btf_name(&self, ty: BtfType) -> Res<&'a str> {
        let ty = self.btf_of(ty.btf)?.type_by_id(TypeId(ty.id));
        ty.map(|t| t.name()).ok_or(Stop::Bug("no such type"))
    }

    /// Whether a pointer to a type, moved by an offset, points to a `need` (`btf_struct_ids_match`).
    pub(crate) fn is_btf_match(
        &self,
        have: BtfType,
        off: i32,
        need: BtfType,
        flexible: Flexible,
    ) -> bool {
        let Ok(off) = u32::try_from(off) else { return false };
        let Ok(btf) = self.btf_of(have.btf) else { return false };
        let need = self.canonical_type(need);
        super::member::begins_with(btf, TypeId(have.id), off, flexible, |id| {
            self.canonical_type(BtfType { id: id.0, ..have }) == need
        })
    }

    /// Judges an access to an object and gives what a load of it yields.
    pub(in crate::mem) fn check_btf(
        &mut self,
        ty: BtfType,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        let access = ObjectAccess {
            reg: a.base.num(),
            off: i64::from(ptr.off) + i64::from(a.off),
            size: a.size.bytes(),
            is_write: dir.is_write(),
        };
        let found = self.check_object_bytes(ty, ptr, access)?;
        if dir.is_write() || ptr.flags.has(PtrFlags::ALLOC) {
            return Ok(UNKNOWN);
        }
        if let Some(loaded) = Loaded::of(found, TypeId(ty.id)) {
            let flags = self.inherited_trust(self.btf_of(ty.btf)?, ptr, loaded);
            let kind = RegKind::Btf(BtfType { id: loaded.to.0, ..ty });
            let id = if flags.has(PtrFlags::MAYBE_NULL) { self.new_id() } else { 0 };
            return Ok(RegState { flags, id, ..RegState::pointer(kind) });
        }
        match found {
            Found::LeafPointer => Ok(untrusted_memory()),
            Found::Scalar | Found::Pointer { .. } => Ok(UNKNOWN),
        }
    }

    /// A helper reads bytes of an object.
    // DEVIATION: the kernel takes a write for a read here.
    pub(in crate::mem) fn check_helper_object(
        &self,
        ty: BtfType,
        ptr: &RegState,
        r: Reg,
        m: HelperMem,
    ) -> Res<()> {
        if m.size == 0 && m.zero == ZeroSize::Allowed {
            return Ok(());
        }
        let access = ObjectAccess {
            reg: r.num(),
            off: ptr.off.into(),
            size: u32::try_from(m.size).unwrap_or(u32::MAX),
            is_write: m.access.writes(),
        };
        self.check_object_bytes(ty, ptr, access).map(|_| ())
    }

    fn check_object_bytes(
        &self,
        ty: BtfType,
        ptr: &RegState,
        access: ObjectAccess,
    ) -> Res<Found<'a>> {
        let ObjectAccess { reg, off, size, is_write } = access;
        let btf = self.btf_of(ty.btf)?;
        let name = || self.btf_name(ty).map(str::to_owned);
        if !self.rights.allow_ptr_leaks {
            return Err(BtfReject::NeedsPerfmon { name: name()? }.into());
        }
        if !self.is_gpl && ty.btf != BtfOwner::Program {
            return Err(BtfReject::NeedsGpl { name: name()? }.into());
        }
        let Ok(at) = u32::try_from(off) else {
            return Err(BtfReject::NegativeOff { reg, name: name()?, off }.into());
        };
        if ptr.num.const_value() != Some(0) {
            let var_off = ptr.num.var_off;
            return Err(BtfReject::VariableOff { reg, name: name()?, off, var_off }.into());
        }
        if ptr.flags.has(PtrFlags::USER) {
            return Err(BtfReject::UserMemory { reg, name: name()?, off }.into());
        }
        if ptr.flags.has(PtrFlags::PERCPU) {
            return Err(BtfReject::PercpuMemory { reg, name: name()?, off }.into());
        }
        let at = Span { off: at, size };
        let is_alloc = ptr.flags.has(PtrFlags::ALLOC);
        if is_write {
            if ptr.flags.has(PtrFlags::UNTRUSTED) {
                return Err(BtfReject::OnlyRead {}.into());
            }
            if !is_alloc {
                check_write(self.prog.attach.writes, btf, TypeId(ty.id), at)?;
                return Ok(Found::Scalar);
            }
        }
        if is_alloc {
            check_special(btf, TypeId(ty.id), at)?;
        }
        // What the program allocates is just as large as its type.
        let flexible = if is_alloc { Flexible::No } else { Flexible::Yes };
        Ok(find(btf, TypeId(ty.id), at, flexible)?)
    }
}

/// Bytes of an object that are accessed.
#[derive(Clone, Copy)]
struct ObjectAccess {
    reg: u8,
    off: i64,
    size: u32,
    is_write: bool,
}

/// Memory of no known size that may be read, with faults caught.
pub(crate) fn untrusted_memory() -> RegState {
    let flags = PtrFlags::RDONLY.with(PtrFlags::UNTRUSTED);
    RegState { flags, ..RegState::pointer(RegKind::Mem(0)) }
}

/// Members that only helpers and kernel functions may touch are not accessed directly.
fn check_special(btf: &Btf, id: TypeId, at: Span) -> Result<(), BtfReject> {
    let size = btf.size_of(id).ok().and_then(|s| u32::try_from(s).ok()).unwrap_or(0);
    let Ok(found) = fields::fields(btf, id, size, fields::Scope::Allocated) else { return Ok(()) };
    let overlaps = |f: &&fields::Field| {
        u64::from(at.off) < u64::from(f.offset) + u64::from(f.size)
            && u64::from(f.offset) < u64::from(at.off) + u64::from(at.size)
    };
    match found.iter().find(overlaps) {
        Some(f) => Err(BtfReject::SpecialMember { kind: f.kind.name() }),
        None => Ok(()),
    }
}
