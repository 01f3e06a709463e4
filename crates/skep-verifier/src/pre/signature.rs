//! What a function's BTF says of its arguments: [`Signature`] (`btf_prepare_func_args`).
//!
//! Global functions are judged once, for any arguments that fit their signature, and calls of them only by it. Of
//! static functions the signature says whether what their BTF says is true, which who attaches to them must know.

use super::kernel_ctx::KernelCtx;
use crate::env::Env;
use crate::prog::LoadRequest;
use crate::reject::ProgReject;
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use skep_abi::uapi::*;
use skep_btf::{Btf, FuncLinkage, Kind, Type, TypeId, TypeView};

/// Arguments in registers (`MAX_BPF_FUNC_REG_ARGS`).
const MAX_ARGS: usize = 5;

/// What one argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FuncArg {
    /// A number.
    Number,
    /// The context.
    Ctx,
    /// An initialised dynptr, which the function does not change.
    Dynptr,
    /// Memory of so many bytes, to be read and written; maybe NULL.
    Mem(u32, PtrFlags),
    /// Memory that may not be there, only to be read.
    UntrustedMem,
    /// An object of the kernel's.
    Object(BtfType, PtrFlags),
    /// A place in the arena, or a number.
    Arena,
}

/// Arguments of a function.
pub(crate) type Signature = Vec<FuncArg>;

/// Whether a function may be called from anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Linkage {
    /// It is global: judged by its signature.
    Global,
    /// It is not, or BTF does not say: judged with each call.
    Static,
}

/// What is known of one function.
#[derive(Clone, Debug)]
pub(crate) struct FuncFacts {
    /// Its linkage.
    pub(crate) linkage: Linkage,
    /// Its name; empty without BTF.
    pub(crate) name: String,
    /// Its arguments, or why BTF does not tell.
    pub(crate) args: Result<Signature, Unclear>,
}

/// Why a signature is not to be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unclear {
    /// There is no BTF, or types that only static functions may have.
    Silent,
    /// A global function may not be like that.
    Message(ProgReject),
}

/// What decl tags say of an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tags(u8);

impl Tags {
    const CTX: Tags = Tags(1);
    const NONNULL: Tags = Tags(2);
    const TRUSTED: Tags = Tags(4);
    const NULLABLE: Tags = Tags(8);
    const ARENA: Tags = Tags(16);
    const UNTRUSTED: Tags = Tags(32);

    fn has(self, other: Tags) -> bool {
        self.0 & other.0 != 0
    }

    fn has_but(self, other: Tags) -> bool {
        self.0 & !other.0 != 0
    }
}

/// Facts of all functions, in their order.
pub(super) fn all(count: usize, req: &LoadRequest, env: &dyn Env) -> Vec<FuncFacts> {
    let unknown =
        || FuncFacts { linkage: Linkage::Static, name: String::new(), args: Err(Unclear::Silent) };
    let Some(btf) = env.btf().filter(|_| !req.func_info.is_empty()) else {
        return (0..count).map(|_| unknown()).collect();
    };
    let prog_type = match env.target() {
        Some(t) if env.prog_type().prog_type == BPF_PROG_TYPE_EXT => t.props.prog_type,
        Some(_) | None => env.prog_type().prog_type,
    };
    let tags = arg_tags(btf);
    let find = Find { btf, env, prog_type, attach: req.expected_attach_type, tags };
    (0..count)
        .map(|n| {
            let func = req.func_info.get(n).and_then(|f| btf.type_by_id(TypeId(f.1)));
            let Some(func) = func else { return unknown() };
            let linkage = match func.view() {
                TypeView::Func { linkage: FuncLinkage::Global, .. } => Linkage::Global,
                _ => Linkage::Static,
            };
            let args = find.signature(&func, linkage);
            FuncFacts { linkage, name: func.name().to_owned(), args }
        })
        .collect()
}

/// A tag on an argument of a function.
struct ArgTag<'a> {
    func: TypeId,
    arg: u32,
    text: &'a str,
}

fn arg_tags(btf: &Btf) -> Vec<ArgTag<'_>> {
    let tag = |t: Type<'_>| match t.view() {
        TypeView::DeclTag { target, component: Some(arg) } => Some((target, arg)),
        _ => None,
    };
    btf.types()
        .filter_map(|t| {
            let (func, arg) = tag(t)?;
            Some(ArgTag { func, arg, text: t.name().strip_prefix("arg:")? })
        })
        .collect()
}

struct Find<'a> {
    btf: &'a Btf,
    env: &'a dyn Env,
    prog_type: u32,
    attach: u32,
    tags: Vec<ArgTag<'a>>,
}

impl Find<'_> {
    fn signature(&self, func: &Type<'_>, linkage: Linkage) -> Result<Signature, Unclear> {
        let proto = func.referenced().and_then(|p| self.btf.type_by_id(p)?.as_func_proto());
        let proto = proto.ok_or(Unclear::Silent)?;
        let name = || func.name().to_owned();
        let global = |reject: ProgReject| match linkage {
            Linkage::Global => Unclear::Message(reject),
            Linkage::Static => Unclear::Silent,
        };
        let args = proto.params.len();
        if args > MAX_ARGS {
            return Err(global(ProgReject::GlobalArgs { func: name(), args, max: MAX_ARGS }));
        }
        let ret = self.btf.skip_typedefs_and_modifiers(proto.ret);
        if !ret.is_some_and(|t| is_number(&t)) {
            return Err(global(ProgReject::GlobalReturn { func: name() }));
        }
        let mut found = Vec::with_capacity(args);
        for (n, p) in proto.params.iter().enumerate() {
            let tags = self.tags_of(func.id(), n, linkage).map_err(Unclear::Message)?;
            let ty = self.btf.skip_typedefs_and_modifiers(p.ty).ok_or(Unclear::Silent)?;
            if let TypeView::Ptr(to) = ty.view()
                && let Some(arg) = self.pointer(n, to, tags, linkage).map_err(Unclear::Message)?
            {
                found.push(arg);
                continue;
            }
            if tags != Tags::default() {
                return Err(Unclear::Message(ProgReject::TagOnNumber { arg: n }));
            }
            if !is_number(&ty) {
                let kind = ty.kind().name();
                return Err(global(ProgReject::GlobalArgKind { arg: n, kind, func: name() }));
            }
            found.push(FuncArg::Number);
        }
        Ok(found)
    }

    fn tags_of(&self, func: TypeId, arg: usize, linkage: Linkage) -> Result<Tags, ProgReject> {
        let mut all = Tags::default();
        for tag in self.tags.iter().filter(|t| t.func == func && t.arg as usize == arg) {
            if linkage == Linkage::Static {
                return Err(ProgReject::TagOnStatic { arg });
            }
            let one = match tag.text {
                "ctx" => Tags::CTX,
                "trusted" => Tags::TRUSTED,
                "untrusted" => Tags::UNTRUSTED,
                "nonnull" => Tags::NONNULL,
                "nullable" => Tags::NULLABLE,
                "arena" => Tags::ARENA,
                _ => return Err(ProgReject::UnknownTags { arg }),
            };
            all = Tags(all.0 | one.0);
        }
        Ok(all)
    }

    /// What a pointer argument is; `None` for one that only a static function may have.
    fn pointer(
        &self,
        arg: usize,
        to: TypeId,
        tags: Tags,
        linkage: Linkage,
    ) -> Result<Option<FuncArg>, ProgReject> {
        let invalid = || ProgReject::TagsClash { arg };
        if tags.has(Tags::CTX) || self.is_ctx(to) {
            if tags.has_but(Tags::CTX) {
                return Err(invalid());
            }
            if tags.has(Tags::CTX) {
                self.check_ctx(arg, to)?;
            }
            return Ok(Some(FuncArg::Ctx));
        }
        let target = self.btf.skip_typedefs_and_modifiers(to);
        let is_dynptr = target.is_some_and(|t| {
            matches!(t.kind(), Kind::Struct | Kind::Fwd) && t.name() == "bpf_dynptr"
        });
        if is_dynptr {
            return if tags == Tags::default() {
                Ok(Some(FuncArg::Dynptr))
            } else {
                Err(invalid())
            };
        }
        if tags.has(Tags::TRUSTED) {
            if tags.has(Tags::NONNULL) {
                return Err(invalid());
            }
            let id = self.kernel_type(arg, target)?;
            let nullable = tags.has(Tags::NULLABLE);
            let null = if nullable { PtrFlags::MAYBE_NULL } else { PtrFlags::NONE };
            let ty = BtfType { btf: BtfOwner::Kernel, id: id.0 };
            return Ok(Some(FuncArg::Object(ty, PtrFlags::TRUSTED.with(null))));
        }
        if tags.has(Tags::UNTRUSTED) {
            if tags.has_but(Tags::UNTRUSTED) {
                return Err(ProgReject::UntrustedClash { arg });
            }
            return self.untrusted(arg, target).map(Some);
        }
        if tags.has(Tags::ARENA) {
            let clash = tags.has_but(Tags::ARENA);
            return if clash {
                Err(ProgReject::ArenaClash { arg })
            } else {
                Ok(Some(FuncArg::Arena))
            };
        }
        if linkage == Linkage::Static {
            return Ok(None);
        }
        if tags.has(Tags::NULLABLE) {
            return Err(invalid());
        }
        let size = self.btf.size_of(to).ok().and_then(|s| u32::try_from(s).ok());
        let Some(size) = size else {
            let (kind, name) = described(target);
            return Err(ProgReject::ArgNoSize { arg, kind, name });
        };
        let nonnull = tags.has(Tags::NONNULL);
        let null = if nonnull { PtrFlags::NONE } else { PtrFlags::MAYBE_NULL };
        Ok(Some(FuncArg::Mem(size, null)))
    }

    fn untrusted(&self, arg: usize, target: Option<Type<'_>>) -> Result<FuncArg, ProgReject> {
        let is_leaf = target.is_some_and(|t| {
            matches!(t.kind(), Kind::Void | Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Float)
        });
        if is_leaf {
            return Ok(FuncArg::UntrustedMem);
        }
        let id = self.kernel_type(arg, target)?;
        let ty = self.env.kernel_btf().and_then(|b| b.type_by_id(id));
        if !ty.is_some_and(|t| matches!(t.kind(), Kind::Struct | Kind::Union)) {
            let (kind, name) = described(ty);
            return Err(ProgReject::UntrustedKind { arg, kind, name });
        }
        let ty = BtfType { btf: BtfOwner::Kernel, id: id.0 };
        Ok(FuncArg::Object(ty, PtrFlags::UNTRUSTED))
    }

    /// The kernel's type of the name and kind that the program's type has (`btf_get_ptr_to_btf_id`).
    fn kernel_type(&self, arg: usize, ours: Option<Type<'_>>) -> Result<TypeId, ProgReject> {
        let (kind, name) = described(ours);
        let none = |what| ProgReject::ArgNoMatch { arg, kind, name: name.clone(), what };
        let (Some(ours), Some(kernel)) = (ours, self.env.kernel_btf()) else {
            return Err(none("has no matches"));
        };
        let essential = skep_btf::essential_name(ours.name());
        let mut found = kernel
            .ids_by_essential_name(essential)
            .filter(|id| kernel.type_by_id(*id).is_some_and(|t| t.kind() == ours.kind()));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(none("has no matches")),
            (Some(_), Some(_)) => Err(none("is ambiguous")),
        }
    }

    /// Whether a pointer's target is the context by its name alone (`btf_is_prog_ctx_type`).
    fn is_ctx(&self, to: TypeId) -> bool {
        if self.prog_type == BPF_PROG_TYPE_KPROBE && self.is_pt_regs(to) {
            return true;
        }
        let Some(target) = self.btf.skip_typedefs_and_modifiers(to) else { return false };
        let name = target.name();
        if !matches!(target.kind(), Kind::Struct | Kind::Union) || name.is_empty() {
            return false;
        }
        let Some(kernel) = self.env.kernel_btf() else {
            return name == self.env.prog_type().ctx.name;
        };
        let ctx = KernelCtx::find(kernel, self.prog_type);
        let seen = ctx.prog.and_then(|id| kernel.type_by_id(id)).map_or("", |t| t.name());
        ctx.is_context(kernel, self.btf, to)
            || matches!((seen, name), ("__sk_buff", "sk_buff") | ("xdp_md", "xdp_buff"))
    }

    /// `bpf_user_pt_regs_t`, before typedefs are followed.
    fn is_pt_regs(&self, to: TypeId) -> bool {
        let ty = self.btf.skip_modifiers(to);
        ty.is_some_and(|t| t.kind() == Kind::Typedef && t.name() == "bpf_user_pt_regs_t")
    }

    /// The type of an argument that is tagged as the context can be that (`btf_validate_prog_ctx_type`).
    fn check_ctx(&self, arg: usize, to: TypeId) -> Result<(), ProgReject> {
        let kind = self.prog_type;
        let has_regs = matches!(kind, BPF_PROG_TYPE_KPROBE | BPF_PROG_TYPE_PERF_EVENT);
        if has_regs && self.is_pt_regs(to) {
            return Ok(());
        }
        let Some(target) = self.btf.skip_typedefs_and_modifiers(to) else {
            return Err(ProgReject::CtxNameless { arg });
        };
        if target.kind() == Kind::Void {
            return Ok(());
        }
        let name = target.name();
        if name.is_empty() {
            return Err(ProgReject::CtxNameless { arg });
        }
        let is_struct = matches!(target.kind(), Kind::Struct | Kind::Union);
        let is_word = target.as_int().is_some_and(|i| i.size == 8);
        let special = match kind {
            // DEVIATION: of the architectures' names of these registers only x86's is known.
            BPF_PROG_TYPE_KPROBE | BPF_PROG_TYPE_PERF_EVENT => is_struct && name == "pt_regs",
            BPF_PROG_TYPE_RAW_TRACEPOINT | BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE => is_word,
            BPF_PROG_TYPE_TRACING => match self.attach {
                BPF_TRACE_RAW_TP => is_word || (is_struct && name == "bpf_raw_tracepoint_args"),
                BPF_TRACE_ITER => is_struct && name.starts_with("bpf_iter__"),
                BPF_TRACE_FENTRY | BPF_TRACE_FEXIT | BPF_MODIFY_RETURN => is_word,
                _ => false,
            },
            BPF_PROG_TYPE_LSM | BPF_PROG_TYPE_STRUCT_OPS => is_word,
            BPF_PROG_TYPE_TRACEPOINT | BPF_PROG_TYPE_SYSCALL | BPF_PROG_TYPE_EXT => true,
            _ => false,
        };
        if special {
            return Ok(());
        }
        let seen = self.env.kernel_btf().and_then(|kernel| {
            let id = KernelCtx::find(kernel, kind).prog?;
            kernel.skip_typedefs_and_modifiers(id)
        });
        let is_struct_type = |t: &Type<'_>| matches!(t.kind(), Kind::Struct | Kind::Union);
        let seen = match seen {
            Some(t) if is_struct_type(&t) => t.name(),
            Some(_) => return Err(ProgReject::CtxVoid { arg }),
            None => self.env.prog_type().ctx.name,
        };
        if is_struct && seen == name {
            return Ok(());
        }
        Err(ProgReject::CtxName { arg, name: seen.to_owned() })
    }
}

fn is_number(ty: &Type<'_>) -> bool {
    matches!(ty.kind(), Kind::Int | Kind::Enum | Kind::Enum64)
}

fn described(ty: Option<Type<'_>>) -> (&'static str, String) {
    ty.map_or(("UNKN", String::new()), |t| (t.kind().name(), t.name().to_owned()))
}
