//! Results of kernel functions.

use super::{KfuncCall, Special};
use crate::env::KfuncFlags;
use crate::object::DynptrInfo;
use crate::pre::{Kfunc, KfuncRet, is_scalar_struct};
use crate::reject::KfuncReject;
use crate::state::ptr::{BtfOwner, BtfType, DynptrKind};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_btf::{Kind, TypeId};

/// Bytes of an object that each CPU has its own of, at the most (`BPF_GLOBAL_PERCPU_MA_MAX_SIZE`).
const MAX_PERCPU_SIZE: u64 = 512;

impl Walk<'_> {
    /// What R0 holds after the call.
    // SOUND: as the function's type and flags say; what they do not say is unknown.
    pub(super) fn kfunc_result(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<RegState> {
        let mut ret = match &k.ret {
            KfuncRet::Void => return Ok(RegState::NOT_INIT),
            KfuncRet::Scalar => {
                if k.has(KfuncFlags::ACQUIRE) {
                    return Err(KfuncReject::AcquiresNothing {}.into());
                }
                return Ok(self.scalar_result(k));
            }
            KfuncRet::Other => return Err(Stop::Bug("a kernel function returns no plain value")),
            KfuncRet::Opaque | KfuncRet::Struct(_) | KfuncRet::Mem { .. } => {
                self.pointer_result(k, call)?
            }
        };
        let acquires = k.has(KfuncFlags::ACQUIRE);
        // Another reference to what the program owns is always to be had.
        let is_sure = k.special == Special::RefcountAcquire && call.is_owning;
        let or_null = k.has(KfuncFlags::RET_NULL) && !is_sure;
        if or_null && ret.is_pointer() {
            ret.flags = ret.flags.with(PtrFlags::MAYBE_NULL);
            ret.id = self.new_id();
        }
        if acquires {
            let id = self.mark_acquired();
            if or_null {
                ret.id = id;
            }
            ret.ref_id = id;
        }
        if ret.flags.has(PtrFlags::ALLOC) && ret.id == 0 {
            ret.id = self.new_id();
        }
        Ok(ret)
    }

    fn pointer_result(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<RegState> {
        if let Some(known) = self.special_result(k, call)? {
            return Ok(known);
        }
        match &k.ret {
            KfuncRet::Struct(ty) => {
                let flags = if k.has(KfuncFlags::ITER_NEXT) {
                    self.iter_element_flags(call)
                } else if k.has(KfuncFlags::RCU_PROTECTED) {
                    PtrFlags::RCU
                } else {
                    PtrFlags::NONE
                };
                let ty = self.canonical_type(*ty);
                Ok(RegState { flags, ..RegState::pointer(RegKind::Btf(ty)) })
            }
            KfuncRet::Opaque if k.has(KfuncFlags::ACQUIRE) => {
                Err(KfuncReject::AcquiresNothing {}.into())
            }
            KfuncRet::Opaque => Ok(RegState::UNKNOWN),
            KfuncRet::Mem { size, kind, name } => {
                if k.has(KfuncFlags::ACQUIRE) {
                    return Err(KfuncReject::AcquiresNothing {}.into());
                }
                let given = match k.special {
                    Special::SessionCookie => Some((8, false)),
                    _ => call.ret_size.filter(|s| *s != 0).map(|s| (s, call.ret_rdonly)),
                };
                let Some((size, is_rdonly)) = given.or(size.map(|s| (s, true))) else {
                    let (func, kind, name) = (k.name.clone(), *kind, name.clone());
                    return Err(KfuncReject::RetType { func, kind, name }.into());
                };
                let flags = if is_rdonly { PtrFlags::RDONLY } else { PtrFlags::NONE };
                // SOUND: memory of an object is gone with its reference.
                let ref_id = call.ref_id;
                Ok(RegState { flags, ref_id, ..RegState::pointer(RegKind::Mem(size)) })
            }
            KfuncRet::Void | KfuncRet::Scalar | KfuncRet::Other => {
                Err(Stop::Bug("not a pointer result"))
            }
        }
    }

    /// What the functions that are known by name return.
    fn special_result(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<Option<RegState>> {
        let ret = match k.special {
            Special::ObjNew | Special::PercpuObjNew => self.new_object(k.special, call)?,
            Special::RefcountAcquire => {
                let ty = call.object.ok_or(Stop::Bug("no object"))?;
                allocated(ty, PtrFlags::ALLOC)
            }
            Special::ListPopFront
            | Special::ListPopBack
            | Special::ListFront
            | Special::ListBack
            | Special::RbtreeRemove
            | Special::RbtreeFirst
            | Special::RbtreeRoot
            | Special::RbtreeLeft
            | Special::RbtreeRight => self.graph_node_result(k, call)?,
            Special::CastToKernCtx => self.kernel_context()?,
            Special::RdonlyCast => self.cast_result(call)?,
            Special::DynptrSlice | Special::DynptrSliceRdwr => self.slice_result(k, call)?,
            _ => return Ok(None),
        };
        Ok(Some(ret))
    }

    fn new_object(&self, special: Special, call: &KfuncCall) -> Res<RegState> {
        let id = call.constant.ok_or(Stop::Bug("no type id"))?;
        let Ok(id) = u32::try_from(id) else { return Err(KfuncReject::TypeIdRange {}.into()) };
        let Some(btf) = self.env.btf() else { return Err(KfuncReject::NewNeedsBtf {}.into()) };
        let ty = btf.type_by_id(TypeId(id)).filter(|t| t.kind() == Kind::Struct);
        let Some(ty) = ty else { return Err(KfuncReject::NewNotStruct {}.into()) };
        let mut flags = PtrFlags::ALLOC;
        if special == Special::PercpuObjNew {
            let size = btf.size_of(ty.id()).unwrap_or(u64::MAX);
            if size > MAX_PERCPU_SIZE {
                return Err(KfuncReject::PercpuSize { size, max: MAX_PERCPU_SIZE }.into());
            }
            if !is_scalar_struct(btf, &ty, 0) {
                return Err(KfuncReject::PercpuNotScalars {}.into());
            }
            if !self.prog.records.of(id).is_empty() {
                return Err(KfuncReject::PercpuSpecial {}.into());
            }
            flags = flags.with(PtrFlags::PERCPU);
        }
        Ok(allocated(BtfType { btf: BtfOwner::Program, id }, flags))
    }

    /// The kernel's own structure behind the context.
    fn kernel_context(&self) -> Res<RegState> {
        let kern = self.prog.kfuncs.ctx.kern;
        let btf = self.env.kernel_btf().ok_or(Stop::Bug("no kernel types"))?;
        let ty = kern.and_then(|id| btf.skip_typedefs_and_modifiers(id));
        match ty.filter(|t| t.kind() == Kind::Struct) {
            Some(ty) => {
                let ty = BtfType { btf: BtfOwner::Kernel, id: ty.id().0 };
                let flags = PtrFlags::TRUSTED;
                Ok(RegState { flags, ..RegState::pointer(RegKind::Btf(ty)) })
            }
            None => Err(KfuncReject::NoKernelCtx { id: kern.map_or(0, |k| k.0) }.into()),
        }
    }

    /// A pointer that may only be read, of any type that the program says.
    // SOUND: loads through it have their faults caught.
    fn cast_result(&self, call: &KfuncCall) -> Res<RegState> {
        let id = call.constant.ok_or(Stop::Bug("no type id"))?;
        let btf = self.env.kernel_btf().ok_or(Stop::Bug("no kernel types"))?;
        let ty = u32::try_from(id).ok().and_then(|id| btf.type_by_id(TypeId(id)));
        match ty.map(|t| t.kind()) {
            Some(Kind::Struct | Kind::Union) => {
                let ty = BtfType { btf: BtfOwner::Kernel, id: id as u32 };
                let flags = PtrFlags::UNTRUSTED;
                Ok(RegState { flags, ..RegState::pointer(RegKind::Btf(ty)) })
            }
            Some(Kind::Void) => {
                let flags = PtrFlags::RDONLY.with(PtrFlags::UNTRUSTED);
                Ok(RegState { flags, ..RegState::pointer(RegKind::Mem(0)) })
            }
            Some(_) | None => Err(KfuncReject::CastNotStruct {}.into()),
        }
    }

    fn slice_result(&self, k: &Kfunc, call: &KfuncCall) -> Res<RegState> {
        let size = call.constant.ok_or(Stop::Bug("a slice without a size"))?;
        let of: DynptrInfo = call.dynptr.ok_or(Stop::Bug("a slice without a dynptr"))?;
        // The size was checked to be that of a buffer, or of no buffer at all.
        let size = size as u32;
        let is_packet = match of.kind {
            DynptrKind::Skb | DynptrKind::Xdp | DynptrKind::SkbMeta => true,
            DynptrKind::Local => self.is_unknown_dynptr(of),
            DynptrKind::Ringbuf => false,
        };
        let mut flags = if is_packet { PtrFlags::PKT_SLICE } else { PtrFlags::NONE };
        if k.special == Special::DynptrSlice {
            flags = flags.with(PtrFlags::RDONLY);
        } else if !self.props.packet.is_writable() {
            return Err(KfuncReject::NoPacketWrites {}.into());
        }
        // DEVIATION: the kernel lets a slice of a ring buffer's record be used after the record was given back.
        let ref_id = of.ref_id;
        let kind = RegKind::Mem(size);
        Ok(RegState { flags, ref_id, dynptr_id: of.id, ..RegState::pointer(kind) })
    }
}

fn allocated(ty: BtfType, flags: PtrFlags) -> RegState {
    RegState { flags, ..RegState::pointer(RegKind::Btf(ty)) }
}
