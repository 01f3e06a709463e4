//! The exception callback: the function that the main program's BTF names for exceptions that nobody catches.

use crate::env::Env;
use crate::prog::LoadRequest;
use crate::reject::{ProgReject, Reject};
use skep_btf::{Btf, FuncLinkage, Kind, Type, TypeId, TypeView};

/// Tag on the main program, before the function's name.
const TAG: &str = "exception_callback:";

/// First slot of the exception callback, if the program has one (`bpf_find_exception_callback_insn_off`).
pub(super) fn find(req: &LoadRequest, env: &dyn Env) -> Result<Option<u32>, Reject> {
    let (Some((_, main)), Some(btf)) = (req.func_info.first(), env.btf()) else { return Ok(None) };
    let refuse = |why: ProgReject| Reject::new(0, why.into());
    let mut names = btf.types().filter_map(|t| match t.view() {
        TypeView::DeclTag { target, component: None } if target.0 == *main => {
            t.name().strip_prefix(TAG)
        }
        _ => None,
    });
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(refuse(ProgReject::TwoExceptionTags {}));
    }
    let owned = || name.to_owned();
    let Some(func) = btf.find_by_name_kind(name, Kind::Func) else {
        return Err(refuse(ProgReject::NoExceptionCallback { name: owned() }));
    };
    if !matches!(func.view(), TypeView::Func { linkage: FuncLinkage::Global, .. }) {
        return Err(refuse(ProgReject::ExceptionCallbackStatic { name: owned() }));
    }
    let id = func.id().0;
    let Some((off, _)) = req.func_info.iter().rev().find(|(_, ty)| *ty == id) else {
        return Err(refuse(ProgReject::ExceptionCallbackInfo {}));
    };
    if *off == 0 {
        return Err(refuse(ProgReject::ExceptionCallbackMain {}));
    }
    Ok(Some(*off))
}

/// The exception callback takes one number and returns one.
pub(crate) fn check_exception_callback(btf: &Btf, func: TypeId) -> Result<(), ProgReject> {
    let is_number = |id: TypeId| {
        let ty = btf.skip_typedefs_and_modifiers(id);
        ty.is_some_and(|t: Type<'_>| matches!(t.kind(), Kind::Int | Kind::Enum | Kind::Enum64))
    };
    let proto = btf.type_by_id(func).and_then(|f| f.referenced());
    let proto = proto.and_then(|p| btf.type_by_id(p));
    let Some(proto) = proto.and_then(|p| p.as_func_proto()) else {
        return Err(ProgReject::ExceptionCallbackInfo {});
    };
    if !is_number(proto.ret) {
        let name = btf.type_by_id(func).map(|t| t.name().to_owned()).unwrap_or_default();
        return Err(ProgReject::ExceptionCallbackReturn { name });
    }
    let mut args = proto.params.iter();
    if args.len() != 1 || !args.next().is_some_and(|a| is_number(a.ty)) {
        return Err(ProgReject::ExceptionCallbackArgs {});
    }
    Ok(())
}
