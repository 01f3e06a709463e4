//! [`KfuncArg`]: what a kernel function's type says of an argument (`get_kfunc_ptr_arg_type`).
//!
//! The suffixes of parameter names are a convention of the kernel's (Documentation/bpf/kfuncs.rst).

use super::kernel_ctx::KernelCtx;
use super::kfunc::kind_text;
use crate::call::Special;
use skep_btf::{Btf, FuncProto, Kind, Type, TypeId, TypeView};

/// One argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KfuncArg {
    /// What it must be.
    pub(crate) kind: ArgKind,
    /// NULL is allowed.
    pub(crate) is_nullable: bool,
    /// Kind of what it points to, or of itself, for messages.
    pub(crate) kind_text: &'static str,
    /// Name of that type.
    pub(crate) type_name: String,
}

/// What an argument must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArgKind {
    /// Nothing: the kernel gives it (`__prog`).
    Prog,
    /// Nothing that the verifier looks at (`__ign`).
    Ignored,
    /// A number.
    Scalar(ScalarArg),
    /// Neither a number nor a pointer.
    Odd,
    /// A pointer.
    Ptr(PtrArg),
}

/// What is known of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ScalarArg {
    /// Nothing.
    Plain,
    /// It is known (`__k`).
    Constant,
    /// It is the size of the read-only memory that is returned.
    RdonlyBufSize,
    /// It is the size of the memory that is returned.
    RdwrBufSize,
}

/// What a pointer must point to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PtrArg {
    /// The context.
    Ctx,
    /// An object that the program allocated, to be given back.
    Alloc,
    /// The same, with a reference count.
    RefcountedKptr,
    /// A dynptr.
    Dynptr {
        /// It is made by the call (`__uninit`).
        is_uninit: bool,
    },
    /// An iterator, by the structure's id.
    Iter(Option<TypeId>),
    /// The head of a list.
    ListHead,
    /// A list's node.
    ListNode,
    /// The root of a tree.
    RbRoot,
    /// A tree's node.
    RbNode,
    /// A string that is known.
    ConstStr,
    /// A map.
    Map,
    /// A work queue.
    Wq,
    /// A task's work.
    TaskWork,
    /// A saved interrupt state.
    IrqFlag {
        /// It is made by the call (`__uninit`).
        is_uninit: bool,
    },
    /// A lock.
    ResSpinLock,
    /// A structure, a callback or memory, as the register says.
    Other(OtherPtr),
}

/// What a pointer may point to beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OtherPtr {
    /// The type that it points to.
    pub(crate) target: TypeId,
    /// A structure or union.
    pub(crate) is_struct: bool,
    /// A function.
    pub(crate) is_callback: bool,
    /// A number, or a structure of nothing but numbers.
    pub(crate) is_scalars: bool,
    /// `void`.
    pub(crate) is_void: bool,
    /// Bytes, if that can be told.
    pub(crate) size: Option<u32>,
    /// What the next argument says of the size.
    pub(crate) sized: SizedBy,
    /// May be NULL when a size is given (`__opt`).
    pub(crate) is_optional: bool,
}

/// What an argument says of the size of the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SizedBy {
    /// Nothing.
    Nothing,
    /// It is the size (`__sz`).
    Value,
    /// It is the size, and known (`__szk`).
    Constant,
}

/// Structures that have arguments of their own, by name.
fn by_struct(name: &str, is_uninit: bool) -> Option<PtrArg> {
    Some(match name {
        "bpf_dynptr" | "bpf_dynptr_kern" => PtrArg::Dynptr { is_uninit },
        "bpf_list_head" => PtrArg::ListHead,
        "bpf_list_node" => PtrArg::ListNode,
        "bpf_rb_root" => PtrArg::RbRoot,
        "bpf_rb_node" => PtrArg::RbNode,
        "bpf_wq" => PtrArg::Wq,
        "bpf_task_work" => PtrArg::TaskWork,
        "bpf_res_spin_lock" => PtrArg::ResSpinLock,
        _ => return None,
    })
}

/// What the function's type says of its arguments.
pub(super) fn args_of(
    btf: &Btf,
    proto: &FuncProto<'_>,
    special: Special,
    is_iter: bool,
    ctx: &KernelCtx,
) -> Vec<KfuncArg> {
    let params: Vec<_> = proto.params.iter().collect();
    (0..params.len())
        .filter_map(|n| {
            let (p, next) = (params.get(n)?, params.get(n + 1));
            let sized = next.map_or(SizedBy::Nothing, |next| size_arg(btf, next.name, next.ty));
            let how = Context { btf, special, is_iter: is_iter && n == 0, ctx, sized };
            Some(how.arg(p.name, p.ty))
        })
        .collect()
}

fn size_arg(btf: &Btf, name: &str, ty: TypeId) -> SizedBy {
    let is_scalar = btf.skip_typedefs_and_modifiers(ty).is_some_and(|t| is_scalar(&t));
    match (is_scalar, name) {
        (true, n) if n.ends_with("__szk") => SizedBy::Constant,
        (true, n) if n.ends_with("__sz") => SizedBy::Value,
        (true | false, _) => SizedBy::Nothing,
    }
}

struct Context<'a> {
    btf: &'a Btf,
    special: Special,
    is_iter: bool,
    ctx: &'a KernelCtx,
    sized: SizedBy,
}

impl Context<'_> {
    fn arg(&self, name: &str, ty: TypeId) -> KfuncArg {
        let is_nullable = name.ends_with("__nullable");
        let odd = |kind_text| KfuncArg {
            kind: ArgKind::Odd,
            is_nullable,
            kind_text,
            type_name: String::new(),
        };
        let Some(t) = self.btf.skip_typedefs_and_modifiers(ty) else { return odd("UNKNOWN") };
        let plain = |kind| KfuncArg {
            kind,
            is_nullable,
            kind_text: kind_text(&t),
            type_name: t.name().to_owned(),
        };
        if name.ends_with("__prog") {
            return plain(ArgKind::Prog);
        }
        if name.ends_with("__ign") {
            return plain(ArgKind::Ignored);
        }
        if is_scalar(&t) {
            return plain(ArgKind::Scalar(match name {
                "rdonly_buf_size" => ScalarArg::RdonlyBufSize,
                "rdwr_buf_size" => ScalarArg::RdwrBufSize,
                n if n.ends_with("__k") => ScalarArg::Constant,
                _ => ScalarArg::Plain,
            }));
        }
        let TypeView::Ptr(to) = t.view() else { return odd(kind_text(&t)) };
        let Some(target) = self.btf.skip_typedefs_and_modifiers(to) else {
            return odd("UNKNOWN");
        };
        KfuncArg {
            kind: ArgKind::Ptr(self.ptr(name, &target)),
            is_nullable,
            kind_text: kind_text(&target),
            type_name: target.name().to_owned(),
        }
    }

    fn ptr(&self, name: &str, target: &Type<'_>) -> PtrArg {
        let btf = self.btf;
        // Module BTF continues the kernel's, so either finds the context.
        if self.special == Special::CastToKernCtx || self.ctx.is_context(btf, btf, target.id()) {
            return PtrArg::Ctx;
        }
        if name.ends_with("__alloc") {
            return PtrArg::Alloc;
        }
        if name.ends_with("__refcounted_kptr") {
            return PtrArg::RefcountedKptr;
        }
        let is_uninit = name.ends_with("__uninit");
        let is_struct = target.kind() == Kind::Struct;
        let found = if is_struct { by_struct(target.name(), is_uninit) } else { None };
        if let Some(PtrArg::Dynptr { .. }) = found {
            return PtrArg::Dynptr { is_uninit };
        }
        if self.is_iter || name.ends_with("__iter") {
            let is_iter = is_struct && target.name().starts_with("bpf_iter_");
            return PtrArg::Iter(is_iter.then(|| target.id()));
        }
        if let Some(found) = found {
            return found;
        }
        if name.ends_with("__str") {
            return PtrArg::ConstStr;
        }
        if name.ends_with("__map") {
            return PtrArg::Map;
        }
        if name.ends_with("__irq_flag") {
            return PtrArg::IrqFlag { is_uninit: self.special.saves_irq() };
        }
        PtrArg::Other(OtherPtr {
            target: target.id(),
            is_struct: matches!(target.kind(), Kind::Struct | Kind::Union),
            is_callback: target.kind() == Kind::FuncProto,
            is_scalars: is_scalar(target) || is_scalar_struct(btf, target, 0),
            is_void: target.kind() == Kind::Void,
            size: btf.size_of(target.id()).ok().and_then(|s| u32::try_from(s).ok()),
            sized: self.sized,
            is_optional: name.ends_with("__opt"),
        })
    }
}

/// A number (`btf_type_is_scalar`).
fn is_scalar(ty: &Type<'_>) -> bool {
    matches!(ty.kind(), Kind::Int | Kind::Enum | Kind::Enum64)
}

/// Structures in structures are looked into so deep (`__btf_type_is_scalar_struct`).
const MAX_NESTED: u32 = 3;

/// Whether a structure holds nothing but numbers.
pub(crate) fn is_scalar_struct(btf: &Btf, ty: &Type<'_>, depth: u32) -> bool {
    let Some(def) = ty.as_composite() else { return false };
    def.members.iter().all(|m| {
        let Some(t) = btf.skip_typedefs_and_modifiers(m.ty) else { return false };
        match t.view() {
            TypeView::Struct(_) | TypeView::Union(_) => {
                depth < MAX_NESTED && is_scalar_struct(btf, &t, depth + 1)
            }
            TypeView::Array(a) => {
                let elem = btf.skip_typedefs_and_modifiers(a.elem);
                a.nelems != 0 && elem.is_some_and(|e| is_scalar(&e))
            }
            _ => is_scalar(&t),
        }
    })
}
