//! Kernel symbols: `.ksyms` externs resolved to BTF ids (typed variables, kfuncs) or addresses (without a type).

use skep_btf::core::types_compatible;
use skep_btf::{Btf, Kind, TypeId, TypeView, essential_name};

use crate::error::ElfError;
use crate::externs::{Extern, Origin};
use crate::layout::KSYMS;
use crate::model::ExternValue;
use crate::options::OpenOptions;
use crate::target::{Found, Target};

/// Resolves all kernel symbols. A weak one that is missing, or a weak function of another type, stays unresolved.
pub(crate) fn resolve(
    externs: &mut [Extern],
    btf: Option<&Btf>,
    target: &mut Target<'_>,
    options: &OpenOptions<'_>,
) -> Result<(), ElfError> {
    for ext in externs {
        let located = |e: ElfError| e.in_section(KSYMS).of_symbol(&ext.name);
        let value = match ext.kind {
            Origin::Config(..) => continue,
            Origin::Addr => addr(&ext.name, options),
            Origin::Var(local) => var(&ext.name, local, btf, target).map_err(located)?,
            Origin::Func(proto) => {
                func(&ext.name, proto, btf, target, ext.weak).map_err(located)?
            }
        };
        if value.is_none() && !ext.weak {
            let what = match ext.kind {
                Origin::Addr => "kernel symbol has no known address",
                Origin::Func(_) => "function is not in the target's BTF",
                Origin::Var(_) | Origin::Config(..) => "variable is not in the target's BTF",
            };
            let hint = if target.kernel.is_none() { " (no target BTF was given)" } else { "" };
            return Err(located(ElfError::new(format!(
                "{what}{hint}; mark it __weak if it may be missing"
            ))));
        }
        ext.value = value;
    }
    Ok(())
}

fn addr(name: &str, options: &OpenOptions<'_>) -> Option<ExternValue> {
    options.ksym_addr.and_then(|lookup| lookup(name)).map(ExternValue::Addr)
}

fn is_compatible(
    btf: Option<&Btf>,
    local: TypeId,
    found: &Found<'_>,
    id: TypeId,
) -> Result<bool, ElfError> {
    let Some(btf) = btf else { return Ok(false) };
    types_compatible(btf, local, found.btf, id).map_err(|e| ElfError::new(e.to_string()))
}

fn var(
    name: &str,
    local: TypeId,
    btf: Option<&Btf>,
    target: &mut Target<'_>,
) -> Result<Option<ExternValue>, ElfError> {
    let Some(found) = target.find(name, Kind::Var) else { return Ok(None) };
    let TypeView::Var { ty, .. } = found.ty.view() else { return Ok(None) };
    let ty = found.btf.skip_typedefs_and_modifiers(ty).map_or(ty, |t| t.id());
    if !is_compatible(btf, local, &found, ty)? {
        return Err(ElfError::new(format!(
            "type [{local}] of the object does not fit the target's [{ty}] {}",
            found.btf.type_by_id(ty).map_or("", |t| t.name())
        )));
    }
    Ok(Some(btf_id(&found, target)))
}

fn func(
    name: &str,
    local: TypeId,
    btf: Option<&Btf>,
    target: &mut Target<'_>,
    weak: bool,
) -> Result<Option<ExternValue>, ElfError> {
    let Some(found) = target.find(essential_name(name), Kind::Func) else { return Ok(None) };
    let TypeView::Func { proto, .. } = found.ty.view() else { return Ok(None) };
    if is_compatible(btf, local, &found, proto)? {
        return Ok(Some(btf_id(&found, target)));
    }
    if weak {
        return Ok(None);
    }
    Err(ElfError::new(format!(
        "prototype [{local}] of the object does not fit the target's [{proto}]"
    )))
}

fn btf_id(found: &Found<'_>, target: &mut Target<'_>) -> ExternValue {
    ExternValue::BtfId { id: found.ty.id().0, module: target.refer(found) }
}
