//! Arguments of kernel functions that are objects of the kernel's types, maps, or allocated by the program.

use super::args::arg_reg;
use super::{KfuncCall, Special};
use crate::env::KfuncFlags;
use crate::pre::{Kfunc, KfuncArg, OtherPtr};
use crate::reject::{KfuncReject, WrongObject};
use crate::state::ptr::{BtfOwner, BtfType, SockKind};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::Kind;

/// Flags of a pointer that may be trusted (`BPF_REG_TRUSTED_MODIFIERS`).
const TRUSTED: PtrFlags = PtrFlags::ALLOC.with(PtrFlags::TRUSTED).with(PtrFlags::NON_OWN);

/// What the kernel has behind a pointer that is not one to an object by itself (`reg2btf_ids`).
fn kernel_name(kind: RegKind) -> Option<&'static str> {
    match kind {
        RegKind::Map(_) => Some("bpf_map"),
        RegKind::Socket(SockKind::Full) => Some("sock"),
        RegKind::Socket(SockKind::Common) => Some("sock_common"),
        RegKind::Socket(SockKind::Tcp) => Some("tcp_sock"),
        RegKind::Socket(SockKind::Xdp)
        | RegKind::NotInit
        | RegKind::Scalar
        | RegKind::Ctx
        | RegKind::MapValue(_)
        | RegKind::MapKey(_)
        | RegKind::Stack(_)
        | RegKind::Packet(_)
        | RegKind::PacketMeta(_)
        | RegKind::PacketEnd
        | RegKind::Func(_)
        | RegKind::FlowKeys
        | RegKind::TpBuffer
        | RegKind::Mem(_)
        | RegKind::Buf
        | RegKind::Arena
        | RegKind::Btf(_)
        | RegKind::Dynptr(_) => None,
    }
}

impl Walk<'_> {
    /// A structure of the kernel's, by name.
    pub(in crate::call) fn kernel_struct(&self, name: &str) -> Option<BtfType> {
        let ty = self.env.kernel_btf()?.find_by_name_kind(name, Kind::Struct)?;
        Some(BtfType { btf: BtfOwner::Kernel, id: ty.id().0 })
    }

    /// The type of the object that a register points to, if it is one.
    pub(super) fn object_type(&self, reg: &RegState) -> Option<BtfType> {
        match reg.kind {
            RegKind::Btf(ty) => Some(ty),
            kind => kernel_name(kind).and_then(|n| self.kernel_struct(n)),
        }
    }

    /// Whether the pointer is surely valid (`is_trusted_reg`).
    pub(super) fn is_trusted_arg(&self, reg: &RegState) -> bool {
        let is_safe = reg.flags.without(TRUSTED) == PtrFlags::NONE;
        reg.ref_id != 0
            || (is_safe && (kernel_name(reg.kind).is_some() || reg.flags.has_any(TRUSTED)))
    }

    /// Whether the pointer is valid within an RCU read section (`is_rcu_reg`).
    pub(super) fn is_rcu_arg(&self, reg: &RegState) -> bool {
        reg.flags.has(PtrFlags::RCU)
    }

    pub(super) fn check_map_arg(&self, k: &Kfunc, r: Reg, call: &mut KfuncCall) -> Res<()> {
        let reg = self.cur.reg(r);
        let map = match reg.kind {
            RegKind::Map(map) | RegKind::MapValue(map) | RegKind::MapKey(map) => map,
            // An object of the kernel's, which may be a map.
            RegKind::Btf(_) => return Ok(()),
            _ => return Err(KfuncReject::NotMap { reg: r.num() }.into()),
        };
        self.check_same_map(k, (map, reg.map_uid), call)?;
        call.map = Some((map, reg.map_uid));
        Ok(())
    }

    /// The function takes any map (`struct bpf_map`).
    pub(super) fn check_map_type(&self, k: &Kfunc, n: usize) -> Res<()> {
        let reg = self.cur.reg(arg_reg(n)?);
        if self.object_type(reg).is_none() {
            let ty = reg.type_text();
            return Err(KfuncReject::UnsafeObject { arg: n, ty, expected: ty }.into());
        }
        let Some(need) = self.kernel_struct("bpf_map") else {
            return Err(Stop::Bug("the kernel's types have no maps"));
        };
        self.check_object(k, n, need, ("STRUCT", "bpf_map"))
    }

    pub(super) fn check_object_arg(
        &self,
        k: &Kfunc,
        n: usize,
        arg: &KfuncArg,
        other: OtherPtr,
    ) -> Res<()> {
        let reg = *self.cur.reg(arg_reg(n)?);
        let is_unsafe = reg.flags.without(TRUSTED) != PtrFlags::NONE;
        let is_btf = matches!(reg.kind, RegKind::Btf(_));
        if is_btf && is_unsafe && !self.is_rcu_arg(&reg) {
            let mut expected = reg.type_text();
            expected.flags = PtrFlags::NONE;
            for flag in [PtrFlags::ALLOC, PtrFlags::TRUSTED, PtrFlags::NON_OWN] {
                if reg.flags.has(flag) {
                    expected.flags = expected.flags.with(flag);
                }
            }
            return Err(KfuncReject::UnsafeObject { arg: n, ty: reg.type_text(), expected }.into());
        }
        let need = self.in_btf_of(k.func.btf, other.target.0);
        self.check_object(k, n, need, (arg.kind_text, &arg.type_name))
    }

    /// A type of a BTF; one that a module takes over from the kernel is the kernel's.
    fn in_btf_of(&self, owner: BtfOwner, id: u32) -> BtfType {
        self.canonical_type(BtfType { btf: owner, id })
    }

    /// The object is of the type that is needed (`process_kf_arg_ptr_to_btf_id`).
    fn check_object(
        &self,
        k: &Kfunc,
        n: usize,
        need: BtfType,
        text: (&'static str, &str),
    ) -> Res<()> {
        let r = arg_reg(n)?;
        let reg = *self.cur.reg(r);
        let have = self.object_type(&reg).ok_or(Stop::Bug("not an object"))?;
        let (have_kind, have_name) = self.type_names(have)?;
        let (kind, name) = text;
        let is_strict =
            (k.has(KfuncFlags::RELEASE) && reg.ref_id != 0) || is_nocast_alias(have_name, name);
        let same = if is_strict {
            reg.off == 0 && self.canonical_type(have) == self.canonical_type(need)
        } else {
            self.begins_with_type(have, reg.off, need, reg.flags)
        };
        // SOUND: a context that programs see stands for the kernel's own, which alone is passed.
        if same || is_projection(name, have_name) {
            return Ok(());
        }
        let what = WrongObject {
            func: k.name.clone(),
            arg: n,
            need: (kind, name.to_owned()),
            reg: r.num(),
            have: (have_kind, have_name.to_owned()),
        };
        Err(KfuncReject::WrongObject { what: Box::new(what) }.into())
    }

    /// An object that the program allocated and gives back.
    pub(super) fn check_alloc_arg(
        &self,
        k: &Kfunc,
        n: usize,
        reg: &RegState,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let RegKind::Btf(ty) = reg.kind else {
            return Err(KfuncReject::NotAllocated { arg: n }.into());
        };
        let percpu = PtrFlags::ALLOC.with(PtrFlags::PERCPU);
        let (wanted, func) = match reg.flags {
            PtrFlags::ALLOC => (Special::ObjDrop, "bpf_obj_drop_impl"),
            flags if flags == percpu => (Special::PercpuObjDrop, "bpf_percpu_obj_drop_impl"),
            _ => return Err(KfuncReject::NotAllocated { arg: n }.into()),
        };
        if k.special != wanted {
            return Err(KfuncReject::ExpectedFor { arg: n, func }.into());
        }
        if reg.ref_id == 0 {
            return Err(KfuncReject::MustBeReferenced {}.into());
        }
        call.object = Some(ty);
        Ok(())
    }
}

/// Whether two names are those of a type and of its twin before initialisation (`btf_type_ids_nocast_alias`).
fn is_nocast_alias(a: &str, b: &str) -> bool {
    a != b && (a.strip_suffix("___init") == Some(b) || b.strip_suffix("___init") == Some(a))
}

/// Whether a context of programs stands for this type of the kernel's (`btf_is_projection_of`).
fn is_projection(seen: &str, kernel: &str) -> bool {
    matches!((seen, kernel), ("__sk_buff", "sk_buff") | ("xdp_md", "xdp_buff"))
}
