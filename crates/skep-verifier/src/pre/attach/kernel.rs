//! Programs that attach to functions, tracepoints and hooks of the kernel (`bpf_check_attach_target`).

use super::{
    ArgInfo, ArgInfoKind, Attach, CtxBounds, CtxResult, Request, ReturnRule, TypedCtx, check_proto,
    lists,
};
use crate::mem::BtfWrites;
use crate::reject::{ProgReject, RejectKind};
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use skep_abi::uapi::{
    BPF_LSM_CGROUP, BPF_LSM_MAC, BPF_MODIFY_RETURN, BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_LSM,
    BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_ITER, BPF_TRACE_RAW_TP,
};
use skep_btf::{Btf, Kind, Type, TypeId, TypeView};
use std::rc::Rc;

/// A named type of the kernel's that the program is to attach to.
struct Named<'a> {
    owner: BtfOwner,
    btf: &'a Btf,
    ty: Type<'a>,
    name: &'a str,
}

/// Errors of functions lie above this (`MAX_ERRNO`).
const MAX_ERRNO: i32 = 4095;

pub(super) fn resolve(at: &Request<'_>) -> Result<Attach, RejectKind> {
    let id = at.req.attach_btf_id;
    if id == 0 {
        return Err(ProgReject::NoBtf {}.into());
    }
    let Some((owner, btf)) = at.btf() else {
        return Err(ProgReject::NoKernelBtf {}.into());
    };
    let Some(ty) = btf.type_by_id(TypeId(id)) else {
        return Err(ProgReject::BadBtfId { id }.into());
    };
    if ty.is_anon() {
        return Err(ProgReject::NamelessBtfId { id }.into());
    }
    if at.kind() == BPF_PROG_TYPE_EXT {
        return Err(ProgReject::ReplacesKernel {}.into());
    }
    let named = Named { owner, btf, ty, name: ty.name() };
    let attach = at.req.expected_attach_type;
    Ok(match (at.kind(), attach) {
        (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP) => tracepoint(&named)?,
        (BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER) => iterator(&named)?,
        (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY | BPF_TRACE_FEXIT | BPF_MODIFY_RETURN) => {
            function(at, &named)?
        }
        (BPF_PROG_TYPE_LSM, BPF_LSM_MAC | BPF_LSM_CGROUP) => hook(at, &named)?,
        _ => return Err(ProgReject::BadAttachType { attach }.into()),
    })
}

impl Named<'_> {
    /// The prototype, if this is a function.
    fn proto(&self) -> Result<TypeId, RejectKind> {
        let id = self.ty.id().0;
        match self.ty.view() {
            TypeView::Func { proto, .. } => Ok(proto),
            _ => Err(ProgReject::NotAFunction { id }.into()),
        }
    }

    /// The prototype, if a trampoline can call the function.
    fn callable_proto(&self) -> Result<TypeId, RejectKind> {
        let id = self.proto()?;
        match self.btf.type_by_id(id).and_then(|t| t.as_func_proto()) {
            Some(p) => check_proto(self.btf, &p, self.name)?,
            None => return Err(ProgReject::NotAFunction { id: self.ty.id().0 }.into()),
        }
        Ok(id)
    }

    fn ctx(&self, proto: TypeId) -> TypedCtx {
        TypedCtx {
            func: self.name.to_owned(),
            btf: self.owner,
            proto: Some(proto),
            hidden: 0,
            flags: PtrFlags::NONE,
            null_args: 0,
            result: CtxResult::None,
            args: Vec::new(),
            bounds: CtxBounds::Tracing,
            of_prog: None,
            is_tcp: false,
        }
    }

    fn returns_nothing(&self, proto: TypeId) -> bool {
        let proto = self.btf.type_by_id(proto).and_then(|t| t.as_func_proto());
        proto.is_some_and(|p| p.ret.is_void())
    }
}

fn with_ctx(ctx: TypedCtx, ret: ReturnRule) -> Attach {
    Attach { ctx: Some(Rc::new(ctx)), ret, writes: BtfWrites::Nothing }
}

/// `tp_btf`: the typedef `btf_trace_NAME` is a pointer to the prototype of the tracepoint's functions.
fn tracepoint(at: &Named<'_>) -> Result<Attach, RejectKind> {
    let id = at.ty.id().0;
    let TypeView::Typedef(to) = at.ty.view() else {
        return Err(ProgReject::NotATypedef { id }.into());
    };
    let Some(name) = at.name.strip_prefix("btf_trace_") else {
        return Err(ProgReject::WrongTypeName { id, name: at.name.to_owned() }.into());
    };
    // The function behind it names its arguments; tracepoints of a class share one of another name.
    // DEVIATION: the kernel knows the class of each tracepoint.
    let func = at.btf.find_by_name_kind(&format!("__bpf_trace_{name}"), Kind::Func);
    let proto = match func.map(|f| f.view()) {
        Some(TypeView::Func { proto, .. }) => Some(proto),
        _ => match at.btf.type_by_id(to).map(|t| t.view()) {
            Some(TypeView::Ptr(proto)) => Some(proto),
            _ => None,
        },
    };
    let is_proto =
        |id: &TypeId| at.btf.type_by_id(*id).is_some_and(|t| t.kind() == Kind::FuncProto);
    let Some(proto) = proto.filter(is_proto) else {
        return Err(ProgReject::NotATypedef { id }.into());
    };
    let is_module = at.owner != BtfOwner::Kernel;
    let null_args = lists::null_args(name).unwrap_or(if is_module { lists::ALL_NULL } else { 0 });
    let func = name.to_owned();
    let flags = PtrFlags::TRUSTED;
    let ctx = TypedCtx { func, hidden: 1, flags, null_args, ..at.ctx(proto) };
    Ok(with_ctx(ctx, ReturnRule::Any))
}

/// `iter`: the function `bpf_iter_NAME` has the members of the iterator's context as arguments.
fn iterator(at: &Named<'_>) -> Result<Attach, RejectKind> {
    let proto = at.callable_proto()?;
    let target = at.name.strip_prefix("bpf_iter_").and_then(lists::iterator);
    let Some(target) = target else {
        return Err(ProgReject::NoIterator { name: at.name.to_owned() }.into());
    };
    let mut args = Vec::new();
    for arg in target.args {
        let kind = match arg.ty {
            None => ArgInfoKind::Buf,
            Some(name) => {
                let Some(ty) = at.btf.find_by_name_kind(name, Kind::Struct) else { continue };
                ArgInfoKind::Btf(BtfType { btf: at.owner, id: ty.id().0 })
            }
        };
        args.push(ArgInfo { off: arg.off, kind, flags: arg.flags });
    }
    let ctx = TypedCtx { flags: PtrFlags::TRUSTED, args, ..at.ctx(proto) };
    Ok(with_ctx(ctx, ReturnRule::Range(0, 1)))
}

/// `fentry`, `fexit` and `fmod_ret`.
fn function(at: &Request<'_>, named: &Named<'_>) -> Result<Attach, RejectKind> {
    let proto = named.callable_proto()?;
    let name = named.name;
    let injectable = lists::is_error_injectable(name);
    let attach = at.req.expected_attach_type;
    if at.sleeps() {
        let ok = injectable && !lists::NEVER_SLEEPS.contains(&name)
            || lists::MODIFIABLE_ASLEEP.contains(&name);
        if !ok {
            return Err(ProgReject::NotSleepable { name: name.to_owned() }.into());
        }
    } else if attach == BPF_MODIFY_RETURN {
        let ok = injectable || name.starts_with("security_") || lists::is_modifiable(name);
        if !ok {
            return Err(ProgReject::NotModifiable { name: name.to_owned() }.into());
        }
    }
    if lists::NEVER_TRACED.contains(&name) {
        return Err(ProgReject::NeverTraced { name: name.to_owned() }.into());
    }
    if attach != BPF_TRACE_FENTRY && lists::NEVER_RETURNS.contains(&name) {
        return Err(ProgReject::NeverReturns { name: name.to_owned() }.into());
    }
    let (result, ret) = match attach {
        BPF_TRACE_FEXIT => (CtxResult::Any, ReturnRule::Range(0, 0)),
        BPF_MODIFY_RETURN => (CtxResult::Integer, ReturnRule::Any),
        _ => (CtxResult::None, ReturnRule::Range(0, 0)),
    };
    Ok(with_ctx(TypedCtx { result, ..named.ctx(proto) }, ret))
}

/// LSM hooks: functions `bpf_lsm_NAME` that do nothing until a program is attached.
fn hook(at: &Request<'_>, named: &Named<'_>) -> Result<Attach, RejectKind> {
    let proto = named.callable_proto()?;
    let (name, id) = (named.name, named.ty.id().0);
    if at.sleeps() && !lists::is_sleepable_hook(name) {
        return Err(ProgReject::NotSleepable { name: name.to_owned() }.into());
    }
    if !at.is_gpl() {
        return Err(ProgReject::LsmNeedsGpl {}.into());
    }
    if lists::DISABLED_HOOKS.contains(&name) {
        return Err(ProgReject::DisabledHook { id, name: name.to_owned() }.into());
    }
    if !lists::is_hook(name) {
        return Err(ProgReject::WrongTypeName { id, name: name.to_owned() }.into());
    }
    let is_cgroup = at.req.expected_attach_type == BPF_LSM_CGROUP;
    let is_void = named.returns_nothing(proto);
    let (min, max) = if lists::BOOL_HOOKS.contains(&name) { (0, 1) } else { (-MAX_ERRNO, 0) };
    let ret = match (is_cgroup, is_void) {
        (true, true) => ReturnRule::Range(1, 1),
        (true, false) => ReturnRule::Range(0, 1),
        (false, true) => ReturnRule::Void,
        (false, false) => ReturnRule::Range32(min, max),
    };
    let result = match (is_cgroup, is_void) {
        (false, false) => CtxResult::Hook(min, max),
        (true, _) | (_, true) => CtxResult::Any,
    };
    let trusted = !lists::UNTRUSTED_HOOKS.contains(&name);
    let flags = if trusted { PtrFlags::TRUSTED } else { PtrFlags::NONE };
    let ctx = TypedCtx { flags, result, bounds: CtxBounds::Types, ..named.ctx(proto) };
    Ok(with_ctx(ctx, ret))
}
