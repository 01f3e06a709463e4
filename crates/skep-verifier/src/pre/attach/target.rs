//! Programs that attach to a function of another program: `fentry`, `fexit`, `freplace` (`bpf_check_attach_target`).

use super::{Attach, CtxBounds, CtxResult, Request, ReturnRule, TypedCtx, check_proto};
use crate::env::TargetProg;
use crate::mem::BtfWrites;
use crate::reject::{ProgReject, RejectKind};
use crate::state::PtrFlags;
use crate::state::ptr::BtfOwner;
use skep_abi::uapi::{
    BPF_MODIFY_RETURN, BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT,
};
use skep_btf::{Btf, FuncLinkage, FuncProto, Kind, Type, TypeId, TypeView};
use std::rc::Rc;

pub(super) fn resolve(at: &Request<'_>, target: &TargetProg) -> Result<Attach, RejectKind> {
    let id = at.req.attach_btf_id;
    if id == 0 {
        return Err(ProgReject::NoBtf {}.into());
    }
    let btf = &*target.btf;
    let Some(ty) = btf.type_by_id(TypeId(id)) else {
        return Err(ProgReject::BadBtfId { id }.into());
    };
    let name = ty.name();
    let Some(func) = target.funcs.iter().find(|f| f.type_id == id) else {
        return Err(ProgReject::NoSubprog { name: name.to_owned() }.into());
    };
    let is_ext = at.kind() == BPF_PROG_TYPE_EXT;
    let (kind, attach) = (target.props.prog_type, target.expected_attach_type);
    if func.is_exception_callback {
        let kind = if is_ext { "Extension" } else { "FENTRY/FEXIT" };
        return Err(ProgReject::ExceptionCallback { kind }.into());
    }
    if is_ext && !func.is_reliable {
        return Err(ProgReject::ReplacesStatic {}.into());
    }
    if at.kind() == BPF_PROG_TYPE_TRACING {
        if kind == BPF_PROG_TYPE_TRACING && target.is_nested {
            return Err(ProgReject::Nested {}.into());
        }
    } else if kind == at.kind() {
        return Err(ProgReject::Recursive {}.into());
    }
    let traces = matches!(attach, BPF_TRACE_FENTRY | BPF_TRACE_FEXIT);
    if is_ext && kind == BPF_PROG_TYPE_TRACING && traces {
        return Err(ProgReject::ExtendsTracing {}.into());
    }
    let how = at.req.expected_attach_type;
    if !is_ext && !matches!(how, BPF_TRACE_FENTRY | BPF_TRACE_FEXIT | BPF_MODIFY_RETURN) {
        return Err(ProgReject::OnlyTracesProgs {}.into());
    }
    let TypeView::Func { proto: proto_id, .. } = ty.view() else {
        return Err(ProgReject::NotAFunction { id }.into());
    };
    let proto = btf.type_by_id(proto_id).and_then(|t| t.as_func_proto());
    let Some(proto) = proto else { return Err(ProgReject::NotAFunction { id }.into()) };
    if is_ext {
        check_same(at, &ty, &proto)?;
    }
    if func.is_reliable {
        check_proto(btf, &proto, name)?;
    }
    if at.sleeps() {
        return Err(ProgReject::NotSleepable { name: name.to_owned() }.into());
    }
    if how == BPF_MODIFY_RETURN && !is_ext {
        return Err(ProgReject::ModifiesProg {}.into());
    }
    if is_ext {
        // Judged as a program of the target's type.
        return Ok(Attach { ctx: None, ret: ReturnRule::Props, writes: BtfWrites::Nothing });
    }
    let result = if how == BPF_TRACE_FEXIT { CtxResult::Any } else { CtxResult::None };
    let ctx = TypedCtx {
        func: name.to_owned(),
        btf: BtfOwner::Target,
        proto: func.is_reliable.then_some(proto_id),
        hidden: 0,
        flags: PtrFlags::NONE,
        null_args: 0,
        result,
        args: Vec::new(),
        bounds: CtxBounds::Tracing,
        of_prog: Some(kind),
        is_tcp: false,
    };
    Ok(Attach { ctx: Some(Rc::new(ctx)), ret: ReturnRule::Range(0, 0), writes: BtfWrites::Nothing })
}

/// The program's function may stand in for the target's (`btf_check_func_type_match`).
fn check_same(
    at: &Request<'_>,
    theirs: &Type<'_>,
    their_proto: &FuncProto<'_>,
) -> Result<(), ProgReject> {
    let (Some(btf1), Some((_, id))) = (at.env.btf(), at.req.func_info.first()) else {
        return Err(ProgReject::ExtensionNeedsBtf {});
    };
    let ours = btf1.type_by_id(TypeId(*id));
    let (Some(ours), btf2) = (ours, theirs.btf()) else {
        return Err(ProgReject::ExtensionNeedsBtf {});
    };
    for func in [&ours, theirs] {
        let is_global = matches!(func.view(), TypeView::Func { linkage: FuncLinkage::Global, .. });
        if !is_global {
            return Err(ProgReject::NotGlobal { func: func.name().to_owned() });
        }
    }
    let our_proto = ours.referenced().and_then(|p| btf1.type_by_id(p)?.as_func_proto());
    let Some(our_proto) = our_proto else { return Err(ProgReject::ExtensionNeedsBtf {}) };
    let names = || (ours.name().to_owned(), theirs.name().to_owned());
    let (args1, args2) = (our_proto.params.len(), their_proto.params.len());
    if args1 != args2 {
        let (func1, func2) = names();
        return Err(ProgReject::ArgCount { func1, args1, func2, args2 });
    }
    let (ret1, ret2) = (resolved(btf1, our_proto.ret), resolved(btf2, their_proto.ret));
    if ret1.map(|t| t.info()) != ret2.map(|t| t.info()) {
        let ((func1, func2), kind1, kind2) = (names(), kind(ret1), kind(ret2));
        return Err(ProgReject::ReturnDiffers { kind1, func1, kind2, func2 });
    }
    for (arg, (p1, p2)) in our_proto.params.iter().zip(their_proto.params.iter()).enumerate() {
        check_same_arg(arg, (btf1, p1.ty), (btf2, p2.ty), names)?;
    }
    Ok(())
}

fn check_same_arg(
    arg: usize,
    (btf1, id1): (&Btf, TypeId),
    (btf2, id2): (&Btf, TypeId),
    names: impl Fn() -> (String, String),
) -> Result<(), ProgReject> {
    let (t1, t2) = (resolved(btf1, id1), resolved(btf2, id2));
    let (func1, func2) = names();
    let (Some(t1), Some(t2)) = (t1, t2) else {
        return Err(ProgReject::ArgUnknown { arg, func: func1 });
    };
    if t1.info() != t2.info() {
        let (kind1, kind2) = (t1.kind().name(), t2.kind().name());
        return Err(ProgReject::ArgDiffers { arg, func1, kind1, func2, kind2 });
    }
    let (size1, size2) = (t1.stated_size(), t2.stated_size());
    if let (Some(size1), Some(size2)) = (size1, size2)
        && size1 != size2
    {
        return Err(ProgReject::ArgSize { arg, func1, size1, func2, size2 });
    }
    let (to1, to2) = match (t1.view(), t2.view()) {
        (TypeView::Int(_) | TypeView::Enum(_) | TypeView::Enum64(_), _) => return Ok(()),
        (TypeView::Ptr(a), TypeView::Ptr(b)) => (resolved(btf1, a), resolved(btf2, b)),
        _ => return Err(ProgReject::ArgUnknown { arg, func: func1 }),
    };
    let is_struct = |t: &Type<'_>| matches!(t.kind(), Kind::Struct | Kind::Union);
    let Some(to1) = to1.filter(is_struct) else {
        return Err(ProgReject::ArgNotCtx { arg, func: func1 });
    };
    let Some(to2) = to2.filter(is_struct) else {
        return Err(ProgReject::ArgNotCtx { arg, func: func2 });
    };
    if to1.name() != to2.name() {
        let (name1, name2) = (to1.name().to_owned(), to2.name().to_owned());
        return Err(ProgReject::ArgStruct { arg, func1, name1, func2, name2 });
    }
    Ok(())
}

fn resolved(btf: &Btf, id: TypeId) -> Option<Type<'_>> {
    btf.skip_typedefs_and_modifiers(id)
}

fn kind(ty: Option<Type<'_>>) -> &'static str {
    ty.map_or("UNKN", |t| t.kind().name())
}
