//! Kernel functions that the program calls: what their types and flags say, found once a load ([`KfuncTable`]).
//!
//! Neighbours: `call/kfunc` judges calls by it; the environment gives the types and the flags.

use super::kernel_ctx::KernelCtx;
use super::kfunc_arg::{KfuncArg, args_of};
use crate::call::Special;
use crate::env::{Caps, Env, KfuncFlags, KfuncLookup};
use crate::prog::LoadRequest;
use crate::reject::{KfuncReject, Reject, RejectKind};
use crate::state::ptr::{BtfOwner, BtfType};
use skep_abi::insn::{CallTarget, Insn};
use skep_btf::{Btf, Kind, Type, TypeId, TypeView};
use std::rc::Rc;

/// Different kernel functions that one program calls at the most (`MAX_KFUNC_DESCS`).
const MAX_KFUNCS: usize = 256;
/// Arguments at the most (`MAX_BPF_FUNC_REG_ARGS`).
pub(crate) const MAX_ARGS: usize = 5;

/// What a kernel function returns, as its type says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KfuncRet {
    /// Nothing.
    Void,
    /// A number.
    Scalar,
    /// A `void *`, which is as good as a number.
    Opaque,
    /// A pointer to a structure.
    Struct(BtfType),
    /// A pointer to something else, of that many bytes if that can be told.
    Mem {
        /// Bytes.
        size: Option<u32>,
        /// Sort and name of the type, for messages.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A structure by value or the like, which no kernel function returns.
    Other,
}

/// A kernel function that the program calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kfunc {
    /// The function in its BTF.
    pub(crate) func: BtfType,
    /// Name.
    pub(crate) name: String,
    /// Flags; `None` where this program must not call it.
    pub(crate) flags: Option<KfuncFlags>,
    /// What the verifier knows of it by name.
    pub(crate) special: Special,
    /// Arguments; more than [`MAX_ARGS`] are refused at the call.
    pub(crate) args: Vec<KfuncArg>,
    /// Result.
    pub(crate) ret: KfuncRet,
}

impl Kfunc {
    /// Whether it has all of these flags.
    pub(crate) fn has(&self, flags: KfuncFlags) -> bool {
        self.flags.is_some_and(|f| f.has(flags))
    }

    /// Whether it writes through the dynptr that is its first argument.
    pub(crate) fn writes_dynptr(&self) -> bool {
        let name = self.name.as_str();
        matches!(name, "bpf_dynptr_copy" | "bpf_dynptr_memset") || name.ends_with("_dynptr")
    }
}

/// The kernel functions that a program calls.
#[derive(Debug, Default)]
pub(crate) struct KfuncTable {
    entries: Vec<Rc<Kfunc>>,
    /// By BTF id and fd index, ascending.
    index: Vec<((i32, i16), usize)>,
    /// The kernel's view of the program's context.
    pub(crate) ctx: KernelCtx,
}

impl KfuncTable {
    /// The function of a call.
    pub(crate) fn get(&self, btf_id: i32, btf_fd_idx: i16) -> Option<Rc<Kfunc>> {
        let at = self.index.binary_search_by_key(&(btf_id, btf_fd_idx), |(k, _)| *k).ok()?;
        self.entries.get(self.index.get(at)?.1).cloned()
    }

    /// Whether some dynptr of the program may lead into a socket buffer, which writes may move.
    pub(crate) fn makes_skb_dynptrs(&self) -> bool {
        let makes = |s| matches!(s, Special::DynptrFromSkb | Special::DynptrFromSkbMeta);
        self.entries.iter().any(|k| makes(k.special))
    }

    /// Whether some dynptr of the program may lead into a packet.
    pub(crate) fn makes_packet_dynptrs(&self) -> bool {
        self.makes_skb_dynptrs() || self.entries.iter().any(|k| k.special == Special::DynptrFromXdp)
    }

    /// The function that an instruction calls.
    pub(crate) fn of_insn(&self, insn: &Insn) -> Option<Rc<Kfunc>> {
        match insn {
            Insn::Call(CallTarget::Kfunc { btf_id, btf_fd_idx }) => self.get(*btf_id, *btf_fd_idx),
            _ => None,
        }
    }
}

/// Finds the kernel functions that the program calls (`add_kfunc_call`).
pub(super) fn resolve(
    insns: &[Insn],
    req: &LoadRequest,
    env: &dyn Env,
) -> Result<KfuncTable, Reject> {
    let mut table = KfuncTable::default();
    for (idx, insn) in (0u32..).zip(insns) {
        let Insn::Call(CallTarget::Kfunc { btf_id, btf_fd_idx }) = *insn else { continue };
        let fail = |kind: RejectKind| Reject::new(idx, kind);
        if !env.caps().allows(Caps::BPF) {
            return Err(fail(RejectKind::SubprogsNeedCap {}));
        }
        let Some(kernel) = env.kernel_btf() else {
            return Err(fail(KfuncReject::NoKernelTypes {}.into()));
        };
        if !crate::walk::is_gpl_compatible(&req.license) {
            return Err(fail(KfuncReject::NeedsGpl {}.into()));
        }
        // A function that does not exist is refused where the call survives dead code removal.
        if btf_id == 0 && btf_fd_idx == 0 {
            continue;
        }
        let key = (btf_id, btf_fd_idx);
        let Err(at) = table.index.binary_search_by_key(&key, |(k, _)| *k) else { continue };
        if table.entries.is_empty() {
            table.ctx = KernelCtx::find(kernel, env.prog_type().prog_type);
        }
        let (owner, btf) = owner(env, kernel, btf_fd_idx).map_err(|e| fail(e.into()))?;
        if table.entries.len() >= MAX_KFUNCS {
            return Err(fail(KfuncReject::TooMany {}.into()));
        }
        let found = describe(env, btf, owner, btf_id, &table.ctx).map_err(|e| fail(e.into()))?;
        table.index.insert(at, (key, table.entries.len()));
        table.entries.push(Rc::new(found));
    }
    Ok(table)
}

/// The BTF that the second half of a call's target names (`find_kfunc_desc_btf`).
fn owner<'a>(
    env: &'a dyn Env,
    kernel: &'a Btf,
    fd_idx: i16,
) -> Result<(BtfOwner, &'a Btf), KfuncReject> {
    match u16::try_from(fd_idx) {
        Ok(0) => Ok((BtfOwner::Kernel, kernel)),
        Ok(idx) => match env.module_btf(idx) {
            Some(btf) => Ok((BtfOwner::Module(idx), btf)),
            None => Err(KfuncReject::NoModule {}),
        },
        Err(_) => Err(KfuncReject::NegativeOffset {}),
    }
}

fn describe(
    env: &dyn Env,
    btf: &Btf,
    owner: BtfOwner,
    btf_id: i32,
    ctx: &KernelCtx,
) -> Result<Kfunc, KfuncReject> {
    let id = btf_id.cast_unsigned();
    let func = btf.type_by_id(TypeId(id)).filter(|t| t.kind() == Kind::Func);
    let Some(func) = func else { return Err(KfuncReject::NotAFunction { id }) };
    let proto = func.referenced().and_then(|p| btf.type_by_id(p));
    let Some(proto) = proto.and_then(|p| p.as_func_proto()) else {
        return Err(KfuncReject::NoProto { id });
    };
    let name = func.name();
    let flags = match env.kfunc(name) {
        KfuncLookup::Known(k) => Some(k.flags),
        KfuncLookup::NotAllowed => None,
        KfuncLookup::DeviceBound => return Err(KfuncReject::DeviceBound {}),
    };
    let func = BtfType { btf: owner, id };
    let special = if owner == BtfOwner::Kernel { Special::by_name(name) } else { Special::None };
    let iter = flags.is_some_and(|f| {
        [KfuncFlags::ITER_NEW, KfuncFlags::ITER_NEXT, KfuncFlags::ITER_DESTROY]
            .iter()
            .any(|i| f.has(*i))
    });
    let args = args_of(btf, &proto, special, iter, ctx);
    let ret = ret_of(btf, owner, proto.ret);
    Ok(Kfunc { func, name: name.to_owned(), flags, special, args, ret })
}

fn ret_of(btf: &Btf, owner: BtfOwner, id: TypeId) -> KfuncRet {
    let Some(ty) = btf.skip_typedefs_and_modifiers(id) else { return KfuncRet::Other };
    match ty.view() {
        TypeView::Void => KfuncRet::Void,
        TypeView::Int(_) | TypeView::Enum(_) | TypeView::Enum64(_) => KfuncRet::Scalar,
        TypeView::Ptr(to) => {
            let Some(to) = btf.skip_typedefs_and_modifiers(to) else { return KfuncRet::Other };
            match to.kind() {
                Kind::Void => KfuncRet::Opaque,
                Kind::Struct => KfuncRet::Struct(BtfType { btf: owner, id: to.id().0 }),
                _ => KfuncRet::Mem {
                    size: btf.size_of(to.id()).ok().and_then(|s| u32::try_from(s).ok()),
                    kind: kind_text(&to),
                    name: to.name().to_owned(),
                },
            }
        }
        _ => KfuncRet::Other,
    }
}

/// A kind of type as the kernel's messages name it (`btf_type_str`).
pub(crate) fn kind_text(ty: &Type<'_>) -> &'static str {
    match ty.kind() {
        Kind::Void => "UNKNOWN",
        Kind::Int => "INT",
        Kind::Ptr => "PTR",
        Kind::Array => "ARRAY",
        Kind::Struct => "STRUCT",
        Kind::Union => "UNION",
        Kind::Enum => "ENUM",
        Kind::Fwd => "FWD",
        Kind::Typedef => "TYPEDEF",
        Kind::Volatile => "VOLATILE",
        Kind::Const => "CONST",
        Kind::Restrict => "RESTRICT",
        Kind::Func => "FUNC",
        Kind::FuncProto => "FUNC_PROTO",
        Kind::Var => "VAR",
        Kind::Datasec => "DATASEC",
        Kind::Float => "FLOAT",
        Kind::DeclTag => "DECL_TAG",
        Kind::TypeTag => "TYPE_TAG",
        Kind::Enum64 => "ENUM64",
    }
}
