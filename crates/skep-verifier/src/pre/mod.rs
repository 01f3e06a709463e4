//! What is known before any path is walked: [`Program`].
//!
//! One pass a file, in the kernel's order: [`resolve`] (decoding, maps), [`subprog`] (functions, jump ranges),
//! [`cfg`] (reachability, back-edges, prune points), [`liveness`] (registers live before each slot).

pub(crate) mod attach;
mod cfg;
mod effects;
mod exception;
mod fastcall;
mod func_info;
pub(crate) mod kernel_ctx;
mod kfunc;
mod kfunc_arg;
mod ksym;
mod liveness;
mod map_use;
mod records;
mod resolve;
mod signature;
mod subprog;

use crate::env::{Caps, Env};
use crate::log::Log;
use crate::prog::LoadRequest;
use crate::reject::{ProgReject, Reject, VerifyError};
use skep_abi::insn::{CallTarget, Imm64, Insn};
use skep_abi::uapi::BPF_F_SLEEPABLE;

pub(crate) use attach::{Attach, ReturnRule};
pub(crate) use effects::Effects;
pub(crate) use exception::check_exception_callback;
pub(crate) use fastcall::Fastcall;
pub(crate) use kfunc::{Kfunc, KfuncRet, KfuncTable, MAX_ARGS as MAX_KFUNC_ARGS, kind_text};
pub(crate) use kfunc_arg::{
    ArgKind, KfuncArg, OtherPtr, PtrArg, ScalarArg, SizedBy, is_scalar_struct,
};
pub(crate) use liveness::use_def;
pub(crate) use records::{Records, has_lock};
pub(crate) use resolve::{MapId, MapTable};
pub(crate) use signature::{FuncArg, FuncFacts, Linkage, Signature, Unclear};
pub(crate) use subprog::Subprog;

/// A decoded program with everything that needs no path to be known.
#[derive(Debug)]
pub(crate) struct Program {
    /// One entry a slot.
    pub(crate) insns: Vec<Insn>,
    /// Functions by ascending start; never empty.
    pub(crate) subprogs: Vec<Subprog>,
    /// Index into `subprogs` for each slot.
    pub(crate) subprog_of: Vec<u16>,
    /// What pruning must know of each slot.
    pub(crate) marks: Vec<Marks>,
    /// Registers live before each slot, as a bit mask.
    pub(crate) live_before: Vec<u16>,
    /// Registers that each slot reads or writes, as a bit mask.
    pub(crate) touched: Vec<u16>,
    /// Maps that the program names, with their inner maps.
    pub(crate) maps: MapTable,
    /// Spills and fills around calls that leave registers alone.
    pub(crate) fastcall: Fastcall,
    /// Kernel functions that it calls.
    pub(crate) kfuncs: KfuncTable,
    /// Special members of what it can allocate.
    pub(crate) records: Records,
    /// Function that is called with an exception that nobody catches.
    pub(crate) exception_cb: Option<u16>,
    /// Whether it may sleep.
    pub(crate) is_sleepable: bool,
    /// What it attaches to.
    pub(crate) attach: Attach,
    /// Kernel variables whose address it loads.
    pub(crate) ksyms: ksym::KsymTable,
    /// What BTF says of each function.
    pub(crate) funcs: Vec<FuncFacts>,
    /// What calling each function may do.
    pub(crate) effects: Vec<Effects>,
}

/// Flags of a slot that `cfg` finds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Marks(u8);

impl Marks {
    /// States are compared and kept here.
    pub(crate) const PRUNE: Marks = Marks(1);
    /// A state is always kept here, for loops to converge on.
    pub(crate) const FORCE_CHECKPOINT: Marks = Marks(2);
    /// A helper call that calls back.
    pub(crate) const CALLS_CALLBACK: Marks = Marks(4);
    /// A call that gives an iterator's next element.
    pub(crate) const ITER_NEXT: Marks = Marks(16);
    /// A `may_goto`.
    pub(crate) const MAY_GOTO: Marks = Marks(8);
    /// Reached otherwise than from the slot before: what the history is counted by.
    pub(crate) const JUMP_TARGET: Marks = Marks(32);

    pub(crate) fn set(&mut self, m: Marks) {
        self.0 |= m.0;
    }

    pub(crate) fn has(self, m: Marks) -> bool {
        self.0 & m.0 != 0
    }
}

/// Where control goes after a slot, within its function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Succ {
    /// The next instruction in order.
    pub(crate) next: Option<i64>,
    /// The target of a jump.
    pub(crate) jump: Option<i64>,
}

/// Successors of the instruction at `idx`; targets are not checked against the program.
pub(crate) fn successors(insn: &Insn, idx: u32) -> Succ {
    let at = i64::from(idx) + 1;
    match insn {
        Insn::Goto { off, .. } => Succ { next: None, jump: Some(at + i64::from(*off)) },
        Insn::JumpIf { off, .. } | Insn::MayGoto { off } => {
            Succ { next: Some(at), jump: Some(at + i64::from(*off)) }
        }
        Insn::Exit => Succ { next: None, jump: None },
        Insn::LdImm64 { .. } => Succ { next: Some(at + 1), jump: None },
        Insn::Alu { .. }
        | Insn::MovSx { .. }
        | Insn::Neg { .. }
        | Insn::Endian { .. }
        | Insn::AddrSpaceCast { .. }
        | Insn::Imm64Hi
        | Insn::LdAbs { .. }
        | Insn::LdInd { .. }
        | Insn::Load { .. }
        | Insn::Store { .. }
        | Insn::Atomic { .. }
        | Insn::LoadAcquire { .. }
        | Insn::StoreRelease { .. }
        | Insn::Call(_) => Succ { next: Some(at), jump: None },
    }
}

/// Slot of the function that an instruction names, by call or by address.
pub(crate) fn named_function(insn: &Insn, idx: u32) -> Option<i64> {
    match insn {
        Insn::Call(CallTarget::Local(off)) => Some(i64::from(idx) + 1 + i64::from(*off)),
        Insn::LdImm64 { imm: Imm64::Func(off, _), .. } => {
            Some(i64::from(idx) + 1 + i64::from(*off))
        }
        _ => None,
    }
}

/// The loader may load programs of this type.
fn check_prog_type(env: &dyn Env) -> Result<(), Reject> {
    let props = env.prog_type();
    let needs = Caps::for_prog_type(props.prog_type);
    if env.caps().allows(needs) {
        return Ok(());
    }
    Err(Reject::new(0, ProgReject::TypeNeedsCaps { name: props.name, needs }.into()))
}

/// Runs all passes.
pub(crate) fn prepare(
    req: &LoadRequest,
    env: &dyn Env,
    log: &mut Log,
) -> Result<Program, VerifyError> {
    resolve::check_length(req, env)?;
    check_prog_type(env)?;
    let insns = resolve::decode_all(req)?;
    func_info::check_records(req, env)?;
    let kfuncs = kfunc::resolve(&insns, req, env)?;
    let exception_cb = exception::find(req, env)?;
    let subprogs = subprog::find(&insns, req, env, exception_cb)?;
    let is_start = |s: &Subprog| Some(s.start) == exception_cb;
    let exception_cb = subprogs.iter().position(is_start).and_then(|n| u16::try_from(n).ok());
    log.put_functions(&subprogs);
    let subprog_of = subprog::check_jumps(&insns, &subprogs)?;
    subprog::check_abnormal_return(&insns, &subprogs, env)?;
    func_info::check_lines(&insns, &subprogs, req, env)?;
    let is_sleepable = env.prog_type().sleepable || req.flags & BPF_F_SLEEPABLE != 0;
    let maps = resolve::resolve_maps(&insns, env, is_sleepable)?;
    let ksyms = ksym::KsymTable::find(&insns, env)?;
    let records = Records::find(&insns, &maps, env);
    let entries = [Some(0), exception_cb.map(usize::from)];
    let marks = cfg::check(&insns, &subprogs, entries, &kfuncs, env)?;
    let attach = attach::resolve(req, env)?;
    let fastcall = fastcall::find(&insns, &subprogs, &kfuncs, env);
    let funcs = signature::all(subprogs.len(), req, env);
    let effects = effects::all(&insns, &subprogs, &subprog_of, &kfuncs, env);
    let (live_before, touched) = liveness::registers(&insns, &kfuncs, env);
    Ok(Program {
        insns,
        subprogs,
        subprog_of,
        marks,
        live_before,
        touched,
        maps,
        fastcall,
        kfuncs,
        records,
        exception_cb,
        is_sleepable,
        attach,
        ksyms,
        funcs,
        effects,
    })
}
