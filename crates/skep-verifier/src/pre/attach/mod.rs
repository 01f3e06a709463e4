//! What a program of a BTF-typed kind attaches to, and what follows from it: [`Attach`] (`check_attach_btf_id`).
//!
//! Tracing programs (`fentry`, `fexit`, `fmod_ret`, `tp_btf`, `iter`) and LSM programs name a function, struct_ops
//! programs a member of a structure, extensions a function of another program. From its prototype come the types of
//! the context ([`TypedCtx`]), from the kind what may be returned ([`ReturnRule`]) and written.
//!
//! - [`kernel`]: functions, tracepoints and hooks of the kernel;
//! - [`ops`]: members of structures;
//! - [`target`]: functions of other programs;
//! - [`lists`]: facts of Linux 6.18 that no BTF tells.

mod kernel;
mod lists;
mod ops;
mod target;

pub use lists::is_sleepable_hook;

use crate::env::Env;
use crate::mem::BtfWrites;
use crate::prog::LoadRequest;
use crate::reject::{ProgReject, Reject, RejectKind};
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::walk::is_gpl_compatible;
use skep_abi::uapi::{
    BPF_F_SLEEPABLE, BPF_LSM_CGROUP, BPF_MODIFY_RETURN, BPF_PROG_TYPE_EXT, BPF_PROG_TYPE_KPROBE,
    BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_STRUCT_OPS,
    BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_XDP, BPF_TRACE_FENTRY,
    BPF_TRACE_FEXIT, BPF_TRACE_ITER,
};
use skep_btf::{Btf, FuncProto, TypeId};
use std::rc::Rc;

/// What a program attaches to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attach {
    /// The arguments that are the context; `None` where the program type's own layout describes it.
    pub(crate) ctx: Option<Rc<TypedCtx>>,
    /// What may be returned.
    pub(crate) ret: ReturnRule,
    /// What may be written of the kernel's objects.
    pub(crate) writes: BtfWrites,
}

impl Attach {
    /// As the program type's descriptor says.
    const PLAIN: Attach = Attach { ctx: None, ret: ReturnRule::Props, writes: BtfWrites::Nothing };
}

/// What the program may return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReturnRule {
    /// What the program type's descriptor says.
    Props,
    /// Nothing: R0 need not be set.
    Void,
    /// Any number.
    Any,
    /// A number in the range, all 64 bits of it.
    Range(i64, i64),
    /// A number whose low 32 bits, signed, are in the range.
    Range32(i32, i32),
}

/// A context that is the arguments of a function, 8 bytes or more each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TypedCtx {
    /// The function's name, for messages.
    pub(crate) func: String,
    /// Whose BTF the prototype is in.
    pub(crate) btf: BtfOwner,
    /// The prototype; `None` if what is called is not known, and every argument is a number.
    pub(crate) proto: Option<TypeId>,
    /// Arguments before the first that the program sees.
    pub(crate) hidden: usize,
    /// Flags of arguments that are pointers.
    pub(crate) flags: PtrFlags,
    /// Of tracepoints: four bits an argument, 1 if it may be NULL, 2 if it may be an error.
    pub(crate) null_args: u64,
    /// What is behind the arguments.
    pub(crate) result: CtxResult,
    /// What else is known of arguments.
    pub(crate) args: Vec<ArgInfo>,
    /// Which accesses there can be at all.
    pub(crate) bounds: CtxBounds,
    /// The program's type and the type of the program that is attached to, whose context the pointers are to.
    pub(crate) of_prog: Option<u32>,
    /// A `struct sock` is a `struct tcp_sock`.
    pub(crate) is_tcp: bool,
}

/// What lies behind the arguments in the context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CtxResult {
    /// Nothing.
    None,
    /// What the function returned.
    Any,
    /// What the function returned; the program may only be attached if that is a small integer.
    Integer,
    /// The result so far of a chain of hooks, in that range.
    Hook(i32, i32),
}

/// Which accesses of the context there can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CtxBounds {
    /// Aligned loads of the first twelve words (`bpf_tracing_btf_ctx_access`).
    Tracing,
    /// What the types say, and no more (LSM).
    Types,
}

/// What is known of one argument beside its type (`struct bpf_ctx_arg_aux`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ArgInfo {
    /// Offset in the context, in bytes.
    pub(crate) off: u32,
    /// What it is.
    pub(crate) kind: ArgInfoKind,
    /// Its flags.
    pub(crate) flags: PtrFlags,
}

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArgInfoKind {
    /// A buffer whose size is known when the program runs.
    Buf,
    /// An object of that type.
    Btf(BtfType),
}

/// Finds out what the program attaches to.
///
/// # Errors
/// [`Reject`] with the kernel's reason.
pub(super) fn resolve(req: &LoadRequest, env: &dyn Env) -> Result<Attach, Reject> {
    find(req, env).map_err(|kind| Reject::new(0, kind))
}

fn find(req: &LoadRequest, env: &dyn Env) -> Result<Attach, RejectKind> {
    let at = Request { req, env };
    let kind = env.prog_type().prog_type;
    let sleepable = req.flags & BPF_F_SLEEPABLE != 0;
    if kind == BPF_PROG_TYPE_SYSCALL {
        return match sleepable || req.attach_btf_id == 0 && env.prog_type().sleepable {
            true => Ok(Attach::PLAIN),
            false => Err(ProgReject::SyscallSleeps {}.into()),
        };
    }
    if sleepable && !can_sleep(kind, req.expected_attach_type) {
        return Err(ProgReject::CannotSleep {}.into());
    }
    match kind {
        BPF_PROG_TYPE_STRUCT_OPS => ops::resolve(&at),
        BPF_PROG_TYPE_TRACING | BPF_PROG_TYPE_LSM | BPF_PROG_TYPE_EXT => match env.target() {
            Some(t) => target::resolve(&at, t),
            None => kernel::resolve(&at),
        },
        BPF_PROG_TYPE_SCHED_CLS | BPF_PROG_TYPE_SCHED_ACT | BPF_PROG_TYPE_XDP => {
            Ok(Attach { writes: BtfWrites::ConnMark, ..Attach::PLAIN })
        }
        _ => Ok(Attach::PLAIN),
    }
}

fn can_sleep(kind: u32, attach: u32) -> bool {
    match kind {
        BPF_PROG_TYPE_TRACING => matches!(
            attach,
            BPF_TRACE_FENTRY | BPF_TRACE_FEXIT | BPF_MODIFY_RETURN | BPF_TRACE_ITER
        ),
        BPF_PROG_TYPE_LSM => attach != BPF_LSM_CGROUP,
        _ => matches!(kind, BPF_PROG_TYPE_KPROBE | BPF_PROG_TYPE_STRUCT_OPS),
    }
}

/// What was asked for.
struct Request<'a> {
    req: &'a LoadRequest,
    env: &'a dyn Env,
}

impl<'a> Request<'a> {
    fn kind(&self) -> u32 {
        self.env.prog_type().prog_type
    }

    fn sleeps(&self) -> bool {
        self.req.flags & BPF_F_SLEEPABLE != 0
    }

    fn is_gpl(&self) -> bool {
        is_gpl_compatible(&self.req.license)
    }

    /// The BTF that the program attaches to, which the request names.
    fn btf(&self) -> Option<(BtfOwner, &'a Btf)> {
        match self.req.attach_btf.checked_sub(1) {
            None => Some((BtfOwner::Kernel, self.env.kernel_btf()?)),
            Some(n) => {
                let n = u16::try_from(n).ok()?;
                Some((BtfOwner::Module(n), self.env.module_btf(n)?))
            }
        }
    }
}

/// Why a function's prototype cannot be called through a trampoline (`btf_distill_func_proto`).
fn check_proto(btf: &Btf, proto: &FuncProto<'_>, name: &str) -> Result<(), ProgReject> {
    const MAX_ARGS: usize = 12;
    const MAX_ARG_BYTES: u64 = 16;
    let func = || name.to_owned();
    if proto.params.len() > MAX_ARGS {
        return Err(ProgReject::TooManyArgs { func: func(), args: proto.params.len() });
    }
    let size_of = |id: TypeId| {
        let ty = btf.skip_typedefs_and_modifiers(id)?;
        use skep_btf::Kind;
        match ty.kind() {
            Kind::Void if id.is_void() => Some(0),
            Kind::Ptr => Some(8),
            Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Struct => btf.size_of(ty.id()).ok(),
            _ => None,
        }
    };
    let kind_of = |id: TypeId| {
        let ty = btf.skip_typedefs_and_modifiers(id);
        ty.map_or("UNKN", |t| t.kind().name())
    };
    let is_struct = |id: TypeId| {
        let ty = btf.skip_typedefs_and_modifiers(id);
        ty.is_some_and(|t| t.kind() == skep_btf::Kind::Struct)
    };
    match size_of(proto.ret) {
        Some(_) if !is_struct(proto.ret) => {}
        _ => {
            return Err(ProgReject::ReturnType { func: func(), kind: kind_of(proto.ret) });
        }
    }
    for (i, p) in proto.params.iter().enumerate() {
        if i + 1 == proto.params.len() && p.ty.is_void() {
            return Err(ProgReject::VariadicArgs { func: func() });
        }
        match size_of(p.ty) {
            Some(0) => return Err(ProgReject::MalformedArg { func: func(), arg: i }),
            Some(n) if n <= MAX_ARG_BYTES => {}
            _ => {
                let kind = kind_of(p.ty);
                return Err(ProgReject::ArgKind { func: func(), arg: i, kind });
            }
        }
    }
    Ok(())
}
