//! Objects of the kernel's as arguments and results of helpers and global functions.

use super::args::CallArgs;
use super::compat::judge_btf;
use crate::env::{ArgType, HelperProto, RetType};
use crate::mem::btf::member::Flexible;
use crate::reject::{BtfReject, RejectKind};
use crate::state::ptr::BtfType;
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::{Kind, TypeId};

impl Walk<'_> {
    /// A pointer to an object of a type, for a global function (`check_reg_type`).
    pub(super) fn check_global_object_type(
        &self,
        r: Reg,
        need: BtfType,
        nullable: bool,
    ) -> Res<()> {
        let reg = *self.cur.reg(r);
        let mut flags = reg.flags;
        if nullable {
            flags = flags.without(PtrFlags::MAYBE_NULL);
        }
        let (ok, expected) = judge_btf(reg.kind, flags);
        if !ok {
            let ty = reg.type_text();
            return Err(RejectKind::ArgType { reg: r.num(), ty, expected: expected.into() }.into());
        }
        self.check_object_type(r, need)
    }

    /// An object is of the type that a helper takes.
    pub(super) fn check_arg_btf(&self, arg: ArgType, r: Reg, call: &CallArgs) -> Res<()> {
        let name = match arg {
            ArgType::Btf(name, _) => name,
            ArgType::BtfSockCommon(_) => "sock_common",
            ArgType::KptrSource => {
                let (field, ty) = call.kptr.as_ref().ok_or(Stop::Bug("no place for a pointer"))?;
                return self.check_kptr_type(field, *ty, r);
            }
            _ => return Err(Stop::Bug("an object for an argument that takes none")),
        };
        match self.kernel_struct(name) {
            Some(need) => self.check_object_type(r, need),
            None => Err(BtfReject::NoKernelType { name: name.to_owned() }.into()),
        }
    }

    // SOUND: the object is of the type, or begins at that offset with one that is.
    fn check_object_type(&self, r: Reg, need: BtfType) -> Res<()> {
        let reg = *self.cur.reg(r);
        let RegKind::Btf(have) = reg.kind else { return Err(Stop::Bug("no object")) };
        let is_alloc = reg.flags.has(PtrFlags::ALLOC);
        let flexible = if is_alloc { Flexible::No } else { Flexible::Yes };
        if self.is_btf_match(have, reg.off, need, flexible) {
            return Ok(());
        }
        let (have, need) = (self.btf_name(have)?.to_owned(), self.btf_name(need)?.to_owned());
        Err(BtfReject::OtherType { reg: r.num(), have, need }.into())
    }

    /// An object that a helper returns.
    pub(super) fn returned_object(
        &mut self,
        proto: &HelperProto,
        args: &CallArgs,
    ) -> Res<RegState> {
        let (name, flags) = match proto.ret {
            RetType::Btf(name) => (name, PtrFlags::NONE),
            RetType::BtfTrusted(name) => (name, PtrFlags::TRUSTED),
            RetType::BtfOrNull(name) => (name, PtrFlags::MAYBE_NULL),
            RetType::Percpu => return self.returned_percpu(args, PtrFlags::NONE),
            RetType::PercpuOrNull => return self.returned_percpu(args, PtrFlags::MAYBE_NULL),
            _ => {
                let what = format!("kernel pointers that helpers return (bpf_{})", proto.name);
                return Err(crate::walk::unsupported(what));
            }
        };
        let Some(ty) = self.kernel_struct(name) else {
            return Err(BtfReject::NoKernelType { name: name.to_owned() }.into());
        };
        Ok(self.object(ty, flags))
    }

    fn object(&mut self, ty: BtfType, flags: PtrFlags) -> RegState {
        let id = if flags.has(PtrFlags::MAYBE_NULL) { self.new_id() } else { 0 };
        RegState { flags, id, ..RegState::pointer(RegKind::Btf(ty)) }
    }

    /// Some CPU's instance of a variable: an object, or memory that is only read.
    fn returned_percpu(&mut self, args: &CallArgs, null: PtrFlags) -> Res<RegState> {
        let Some(percpu) = args.percpu else { return Err(Stop::Bug("no variable of each CPU")) };
        let RegKind::Btf(ty) = percpu.kind else { return Err(Stop::Bug("no object")) };
        let btf = self.btf_of(ty.btf)?;
        let of = btf.skip_typedefs_and_modifiers(TypeId(ty.id));
        let of = of.ok_or(Stop::Bug("no such type"))?;
        if matches!(of.kind(), Kind::Struct | Kind::Union) {
            let ty = BtfType { id: of.id().0, ..ty };
            if percpu.flags.has(PtrFlags::ALLOC) {
                // The program's own, kept by RCU.
                let flags = PtrFlags::ALLOC.with(PtrFlags::RCU).with(null);
                return Ok(self.object(ty, flags));
            }
            return Ok(self.object(ty, null));
        }
        let size = btf.size_of(of.id()).ok().and_then(|s| u32::try_from(s).ok());
        let Some(size) = size else {
            return Err(BtfReject::PercpuNoSize { name: of.name().to_owned() }.into());
        };
        let flags = PtrFlags::RDONLY.with(null);
        let id = if null.has(PtrFlags::MAYBE_NULL) { self.new_id() } else { 0 };
        Ok(RegState { flags, id, ..RegState::pointer(RegKind::Mem(size)) })
    }
}
