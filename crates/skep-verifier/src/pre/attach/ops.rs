//! Programs that are members of a structure of function pointers (`check_struct_ops_btf_id`).

use super::{ArgInfo, ArgInfoKind, Attach, CtxBounds, CtxResult, Request, ReturnRule, TypedCtx};
use crate::mem::BtfWrites;
use crate::reject::{ProgReject, RejectKind};
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use skep_btf::{Btf, FuncProto, Kind, TypeId, TypeView};
use std::rc::Rc;

/// The structure that user space fills, and what the kernel keeps with it.
const VALUE_PREFIX: &str = "bpf_struct_ops_";

/// Members of structures that the kernel calls but lets no program implement.
const UNSUPPORTED: &[(&str, &str)] = &[("tcp_congestion_ops", "get_info")];

pub(super) fn resolve(at: &Request<'_>) -> Result<Attach, RejectKind> {
    if !at.is_gpl() {
        return Err(ProgReject::OpsNeedGpl {}.into());
    }
    let id = at.req.attach_btf_id;
    if id == 0 {
        return Err(ProgReject::NoOps {}.into());
    }
    let Some((owner, btf)) = at.btf() else {
        return Err(ProgReject::NoKernelBtf {}.into());
    };
    let not_ops = || RejectKind::from(ProgReject::NotOps { id });
    let ty = btf.type_by_id(TypeId(id)).filter(|t| t.kind() == Kind::Struct).ok_or_else(not_ops)?;
    let def = ty.as_composite().ok_or_else(not_ops)?;
    let ops = ty.name();
    // What the kernel registers has a structure of that name.
    let value = btf.find_by_name_kind(&format!("{VALUE_PREFIX}{ops}"), Kind::Struct);
    if value.is_none() || ops.is_empty() {
        return Err(not_ops());
    }
    let index = at.req.expected_attach_type;
    let name = || ops.to_owned();
    let member = usize::try_from(index).ok().and_then(|i| def.members.get(i));
    let Some(member) = member else {
        return Err(ProgReject::NoSuchOp { index, name: name() }.into());
    };
    let op = || member.name.to_owned();
    let Some(proto_id) = func_pointer(btf, member.ty) else {
        return Err(ProgReject::NotAnOp { op: op(), index, name: name() }.into());
    };
    let unsupported = UNSUPPORTED.contains(&(ops, member.name))
        || (ops == "bpf_dummy_ops" && at.sleeps() && member.name != "test_sleepable");
    if unsupported {
        return Err(ProgReject::UnsupportedOp { op: op(), name: name() }.into());
    }
    let proto = btf.type_by_id(proto_id).and_then(|t| t.as_func_proto());
    let proto = proto.ok_or_else(not_ops)?;
    let args = stub_args(btf, owner, ops, member.name, &proto);
    let ret = if proto.ret.is_void() { ReturnRule::Void } else { ReturnRule::Any };
    let writes = match ops {
        "tcp_congestion_ops" => BtfWrites::TcpSock,
        "bpf_dummy_ops" => BtfWrites::DummyState,
        _ => BtfWrites::Nothing,
    };
    let ctx = TypedCtx {
        func: op(),
        btf: owner,
        proto: Some(proto_id),
        hidden: 0,
        flags: PtrFlags::TRUSTED,
        null_args: 0,
        result: CtxResult::None,
        args,
        bounds: CtxBounds::Tracing,
        of_prog: None,
        is_tcp: ops == "tcp_congestion_ops",
    };
    Ok(Attach { ctx: Some(Rc::new(ctx)), ret, writes })
}

/// The prototype behind a pointer to a function (`btf_type_resolve_func_ptr`).
fn func_pointer(btf: &Btf, id: TypeId) -> Option<TypeId> {
    let TypeView::Ptr(to) = btf.skip_typedefs_and_modifiers(id)?.view() else { return None };
    let to = btf.skip_typedefs_and_modifiers(to)?;
    (to.kind() == Kind::FuncProto).then(|| to.id())
}

/// What the names of the arguments of the kernel's own stub say: `__nullable` and `__ref` (`prepare_arg_info`).
fn stub_args(
    btf: &Btf,
    owner: BtfOwner,
    ops: &str,
    member: &str,
    proto: &FuncProto<'_>,
) -> Vec<ArgInfo> {
    let mut args = Vec::new();
    let stub = btf.find_by_name_kind(&format!("{ops}__{member}"), Kind::Func);
    let stub = stub.and_then(|f| f.referenced()).and_then(|p| btf.type_by_id(p)?.as_func_proto());
    let Some(stub) = stub else { return args };
    let mut off = 0u32;
    for (param, named) in proto.params.iter().zip(stub.params.iter()) {
        let ty = btf.skip_typedefs_and_modifiers(param.ty);
        let here = off;
        let size = match ty.map(|t| t.view()) {
            Some(TypeView::Ptr(_)) | None => 8,
            Some(_) => btf.size_of(param.ty).unwrap_or(8),
        };
        off = off.saturating_add(u32::try_from(size.next_multiple_of(8)).unwrap_or(8));
        let flags = if named.name.ends_with("__nullable") {
            PtrFlags::TRUSTED.with(PtrFlags::MAYBE_NULL)
        } else {
            continue;
        };
        let Some(TypeView::Ptr(to)) = ty.map(|t| t.view()) else { continue };
        let Some(to) = btf.skip_typedefs_and_modifiers(to) else { continue };
        let kind = ArgInfoKind::Btf(BtfType { btf: owner, id: to.id().0 });
        args.push(ArgInfo { off: here, kind, flags });
    }
    args
}
