//! Contexts that are the arguments of a function (`btf_ctx_access`).

use super::member::{name_of, tag_flags};
use crate::domain::{Range, Scalar};
use crate::mem::{Direction, MemAccess, UNKNOWN};
use crate::pre::attach::{ArgInfoKind, CtxBounds, CtxResult, TypedCtx};
use crate::reject::{BtfReject, RejectKind};
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::uapi::*;
use skep_btf::{Btf, FuncProto, Kind, TypeId, TypeView};

/// Arguments of a function whose prototype is not known (`MAX_BPF_FUNC_REG_ARGS`).
const UNTYPED_ARGS: usize = 5;
/// Arguments that a trampoline passes at the most (`MAX_BPF_FUNC_ARGS`).
const MAX_ARGS: i64 = 12;

/// What an argument's type says.
enum Arg {
    /// A number.
    Number,
    /// A pointer to a structure.
    Object(BtfType, PtrFlags),
    /// The same, of which a line of the log tells.
    Logged(BtfType, PtrFlags, String),
}

impl Walk<'_> {
    /// Judges a load from the context and gives what it yields.
    pub(in crate::mem) fn check_typed_ctx(
        &mut self,
        ctx: &TypedCtx,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        self.check_unmoved(a.base)?;
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = a.size.bytes();
        let invalid = |why: Option<BtfReject>| -> Stop {
            match why {
                Some(why) => BtfReject::Ctx { why: Box::new(why), off, size }.into(),
                None => RejectKind::CtxAccess { off, size }.into(),
            }
        };
        let in_bounds = match ctx.bounds {
            CtxBounds::Tracing => {
                off < 8 * MAX_ARGS && off.rem_euclid(i64::from(size)) == 0 && !dir.is_write()
            }
            // SOUND: the arguments are the kernel's own, on its stack; nothing of them is changed.
            CtxBounds::Types => !dir.is_write(),
        };
        let at = u32::try_from(off).ok().filter(|_| in_bounds);
        let Some(at) = at else { return Err(invalid(None)) };
        let arg = self.typed_arg(ctx, at, size).map_err(|why| invalid(Some(why)))?;
        let (ty, flags) = match arg {
            Arg::Number => return Ok(self.number(ctx, at)),
            Arg::Object(ty, flags) => (ty, flags),
            Arg::Logged(ty, flags, line) => {
                self.log.put(format_args!("{line}\n"));
                (ty, flags)
            }
        };
        let id = if flags.has(PtrFlags::MAYBE_NULL) { self.new_id() } else { 0 };
        let kind = match buffer_at(ctx, at) {
            Some(_) => RegKind::Buf,
            None => RegKind::Btf(ty),
        };
        Ok(RegState { flags, id, ..RegState::pointer(kind) })
    }

    // SOUND: what hooks before this one returned is an error or 0, or whatever the hook's own range is.
    fn number(&self, ctx: &TypedCtx, at: u32) -> RegState {
        let CtxResult::Hook(min, max) = ctx.result else { return UNKNOWN };
        let Some((btf, proto)) = self.proto_of(ctx) else { return UNKNOWN };
        if arg_index(btf, &proto, at) != proto.params.len() {
            return UNKNOWN;
        }
        RegState::scalar(Scalar::from_s64(Range::new(min.into(), max.into())))
    }

    fn proto_of(&self, ctx: &TypedCtx) -> Option<(&Btf, FuncProto<'_>)> {
        let btf = self.btf_of(ctx.btf).ok()?;
        Some((btf, btf.type_by_id(ctx.proto?)?.as_func_proto()?))
    }

    fn typed_arg(&self, ctx: &TypedCtx, at: u32, size: u32) -> Result<Arg, BtfReject> {
        let func = || ctx.func.clone();
        if !at.is_multiple_of(8) {
            return Err(BtfReject::CtxUnaligned { func: func(), off: at });
        }
        let Some((btf, proto)) = self.proto_of(ctx) else {
            let nth = at as usize / 8;
            let known = nth < UNTYPED_ARGS || (nth == UNTYPED_ARGS && ctx.result == CtxResult::Any);
            let err = BtfReject::NoSuchArg { func: func(), nth: nth + 1 };
            return if known { Ok(Arg::Number) } else { Err(err) };
        };
        let nth = arg_index(btf, &proto, at);
        let count = proto.params.len().saturating_sub(ctx.hidden);
        let none = || BtfReject::NoSuchArg { func: func(), nth: nth + 1 };
        let param = proto.params.get(nth + ctx.hidden);
        let ty = match (nth.cmp(&count), param, ctx.result) {
            (core::cmp::Ordering::Less, Some(param), _) => param.ty,
            (core::cmp::Ordering::Equal, _, CtxResult::Any | CtxResult::Hook(..)) => proto.ret,
            (core::cmp::Ordering::Equal, _, CtxResult::Integer) => {
                let ty = btf.skip_typedefs_and_modifiers(proto.ret);
                let kind = ty.map_or(Kind::Void, |t| t.kind());
                if kind != Kind::Int {
                    return Err(BtfReject::NotModifiableResult { kind: kind.name() });
                }
                proto.ret
            }
            _ => return Err(none()),
        };
        let resolved = btf.skip_typedefs_and_modifiers(ty).ok_or_else(none)?;
        let to = match resolved.view() {
            TypeView::Ptr(to) => to,
            TypeView::Int(_) | TypeView::Enum(_) | TypeView::Enum64(_) | TypeView::Struct(_) => {
                return Ok(Arg::Number);
            }
            _ => {
                return Err(BtfReject::ArgKind {
                    func: func(),
                    nth,
                    name: resolved.name().to_owned(),
                    kind: resolved.kind().name(),
                });
            }
        };
        if size != 8 {
            return Err(BtfReject::ArgSize { func: func(), size });
        }
        if let Some(flags) = buffer_at(ctx, at) {
            return Ok(Arg::Object(BtfType { btf: ctx.btf, id: 0 }, flags));
        }
        let target = btf.skip_typedefs_and_modifiers(to).ok_or_else(none)?;
        if matches!(target.kind(), Kind::Void | Kind::Int) {
            return Ok(Arg::Number);
        }
        if let Some(info) = ctx.args.iter().find(|i| i.off == at)
            && let ArgInfoKind::Btf(ty) = info.kind
        {
            return Ok(Arg::Object(ty, info.flags));
        }
        let mut flags = ctx.flags;
        if param.is_some_and(|p| p.name.ends_with("__nullable")) {
            flags = flags.with(PtrFlags::MAYBE_NULL);
        }
        let null = ctx.null_args.checked_shr(4 * nth as u32).unwrap_or(0);
        if null & 1 != 0 {
            flags = flags.with(PtrFlags::MAYBE_NULL);
        }
        if let Some(kind) = ctx.of_prog {
            let name = target.name();
            let id = self.kernel_ctx(kind, name).ok_or_else(|| BtfReject::NotOfProg {
                func: func(),
                nth,
                name: name.to_owned(),
            })?;
            return Ok(Arg::Object(BtfType { btf: BtfOwner::Kernel, id }, flags));
        }
        flags = flags.with(tag_flags(btf, to).without(PtrFlags::RCU));
        if !matches!(target.kind(), Kind::Struct | Kind::Union) {
            let kind = target.kind().name();
            return Err(BtfReject::ArgNotStruct { func: func(), nth, kind });
        }
        let mut id = target.id();
        let line = format!(
            "func '{}' arg{nth} has btf_id {} type {} '{}'",
            ctx.func,
            id.0,
            target.kind().name(),
            target.name()
        );
        if null & 2 != 0 {
            return Ok(Arg::Number);
        }
        if ctx.is_tcp && flags.without(PtrFlags::TRUSTED) == PtrFlags::NONE {
            id = self.promoted(btf, id);
        }
        Ok(Arg::Logged(BtfType { btf: ctx.btf, id: id.0 }, flags, line))
    }

    /// To congestion control a `struct sock` is a `struct tcp_sock`.
    fn promoted(&self, btf: &Btf, id: TypeId) -> TypeId {
        if name_of(btf, id) != "sock" {
            return id;
        }
        btf.find_by_name_kind("tcp_sock", Kind::Struct).map_or(id, |t| t.id())
    }

    /// The kernel's own structure behind the context of a program type (`btf_translate_to_vmlinux`).
    fn kernel_ctx(&self, prog_type: u32, name: &str) -> Option<u32> {
        let btf = self.env.kernel_btf()?;
        let pairs = btf.find_by_name_kind("bpf_ctx_convert", Kind::Struct)?.as_composite()?.members;
        let prog = format!("{}_prog", prog_type_name(prog_type)?);
        let at = pairs.iter().position(|m| m.name == prog)?;
        let struct_of = |id: TypeId| btf.skip_typedefs_and_modifiers(id);
        let seen = struct_of(pairs.get(at)?.ty)?;
        if seen.name() != name {
            return None;
        }
        Some(struct_of(pairs.get(at + 1)?.ty)?.id().0)
    }
}

/// The kernel's name of a program type that has a context of its own.
fn prog_type_name(prog_type: u32) -> Option<&'static str> {
    Some(match prog_type {
        BPF_PROG_TYPE_SOCKET_FILTER => "BPF_PROG_TYPE_SOCKET_FILTER",
        BPF_PROG_TYPE_SCHED_CLS => "BPF_PROG_TYPE_SCHED_CLS",
        BPF_PROG_TYPE_SCHED_ACT => "BPF_PROG_TYPE_SCHED_ACT",
        BPF_PROG_TYPE_XDP => "BPF_PROG_TYPE_XDP",
        BPF_PROG_TYPE_CGROUP_SKB => "BPF_PROG_TYPE_CGROUP_SKB",
        BPF_PROG_TYPE_CGROUP_SOCK => "BPF_PROG_TYPE_CGROUP_SOCK",
        BPF_PROG_TYPE_CGROUP_SOCK_ADDR => "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
        BPF_PROG_TYPE_LWT_IN => "BPF_PROG_TYPE_LWT_IN",
        BPF_PROG_TYPE_LWT_OUT => "BPF_PROG_TYPE_LWT_OUT",
        BPF_PROG_TYPE_LWT_XMIT => "BPF_PROG_TYPE_LWT_XMIT",
        BPF_PROG_TYPE_LWT_SEG6LOCAL => "BPF_PROG_TYPE_LWT_SEG6LOCAL",
        BPF_PROG_TYPE_SOCK_OPS => "BPF_PROG_TYPE_SOCK_OPS",
        BPF_PROG_TYPE_SK_SKB => "BPF_PROG_TYPE_SK_SKB",
        BPF_PROG_TYPE_SK_MSG => "BPF_PROG_TYPE_SK_MSG",
        BPF_PROG_TYPE_FLOW_DISSECTOR => "BPF_PROG_TYPE_FLOW_DISSECTOR",
        BPF_PROG_TYPE_PERF_EVENT => "BPF_PROG_TYPE_PERF_EVENT",
        BPF_PROG_TYPE_RAW_TRACEPOINT => "BPF_PROG_TYPE_RAW_TRACEPOINT",
        BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE => "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
        BPF_PROG_TYPE_CGROUP_DEVICE => "BPF_PROG_TYPE_CGROUP_DEVICE",
        BPF_PROG_TYPE_CGROUP_SYSCTL => "BPF_PROG_TYPE_CGROUP_SYSCTL",
        BPF_PROG_TYPE_CGROUP_SOCKOPT => "BPF_PROG_TYPE_CGROUP_SOCKOPT",
        BPF_PROG_TYPE_SK_REUSEPORT => "BPF_PROG_TYPE_SK_REUSEPORT",
        BPF_PROG_TYPE_SK_LOOKUP => "BPF_PROG_TYPE_SK_LOOKUP",
        BPF_PROG_TYPE_NETFILTER => "BPF_PROG_TYPE_NETFILTER",
        _ => return None,
    })
}

fn buffer_at(ctx: &TypedCtx, at: u32) -> Option<PtrFlags> {
    let info = ctx.args.iter().find(|i| i.off == at)?;
    matches!(info.kind, ArgInfoKind::Buf).then_some(info.flags)
}

/// Which argument an offset lies in, counted with those that the program does not see; one more for the result, and
/// two more for what is behind it (`get_ctx_arg_idx`).
fn arg_index(btf: &Btf, proto: &FuncProto<'_>, at: u32) -> usize {
    let size = |id: TypeId| {
        let ty = btf.skip_typedefs_and_modifiers(id);
        match ty {
            None => 0,
            Some(t) if t.kind() == Kind::Ptr => 8,
            Some(t) => u64::from(t.stated_size().unwrap_or(0)).next_multiple_of(8),
        }
    };
    let mut end = 0u64;
    for (i, p) in proto.params.iter().enumerate() {
        end += size(p.ty);
        if u64::from(at) < end {
            return i;
        }
    }
    end += size(proto.ret);
    let count = proto.params.len();
    if u64::from(at) < end { count } else { count + 1 }
}
