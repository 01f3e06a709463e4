//! Global functions: judged once by their signature, and calls of them only against it.

use super::compat::check_offset;
use crate::domain::Scalar;
use crate::env::MemAccess;
use crate::mem::btf::access::untrusted_memory;
use crate::mem::btf::trust::{is_rcu, is_trusted};
use crate::mem::{Exact, HelperMem, ZeroSize};
use crate::object::{DynptrUse, Leaving};
use crate::pre::{FuncArg, Linkage, Signature, Unclear};
use crate::reject::{ProgReject, RejectKind};
use crate::state::ptr::DynptrKind;
use crate::state::{Frame, PtrFlags, RegKind, RegState};
use crate::walk::{Flow, Res, Stop, Walk};
use skep_abi::insn::Reg;

fn arg_reg(n: usize) -> Res<Reg> {
    u8::try_from(n + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("too many arguments"))
}

impl Walk<'_> {
    /// Whether a function is judged by its signature alone.
    pub(super) fn is_global(&self, subprog: u16) -> bool {
        let f = self.prog.funcs.get(usize::from(subprog));
        f.is_some_and(|f| f.linkage == Linkage::Global)
    }

    /// What a call says of a static function's signature: nothing is refused, but who attaches to the function must
    /// know whether it is true.
    pub(super) fn note_static_call(&mut self, subprog: u16) {
        let n = usize::from(subprog);
        let is_true = self.prog.funcs.get(n).is_some_and(|f| match &f.args {
            Ok(args) => args.iter().enumerate().all(|(i, arg)| {
                let reg = arg_reg(i).map(|r| *self.cur.reg(r));
                match arg {
                    FuncArg::Number => reg.is_ok_and(|r| r.is_scalar()),
                    FuncArg::Ctx => reg.is_ok_and(|r| r.kind == RegKind::Ctx && r.off == 0),
                    FuncArg::Dynptr
                    | FuncArg::Mem(..)
                    | FuncArg::UntrustedMem
                    | FuncArg::Object(..)
                    | FuncArg::Arena => false,
                }
            }),
            Err(_) => false,
        });
        if !is_true && let Some(reliable) = self.reliable.get_mut(n) {
            *reliable = false;
        }
    }

    /// A call of a global function (`check_func_call`).
    // SOUND: the function is walked for any arguments that fit its signature, from a state in which nothing is held; the
    // packet may be another behind it if it or what it calls can change it; it returns any number.
    pub(super) fn exec_global_call(&mut self, subprog: u16) -> Res<Flow> {
        let n = usize::from(subprog);
        let Some(func) = self.prog.funcs.get(n) else { return Err(Stop::Bug("no such function")) };
        let (name, args) = (func.name.clone(), func.args.clone());
        let matches = self.check_global_args(args);
        if self.cur.held.has_lock() {
            return Err(ProgReject::GlobalInLock {}.into());
        }
        let effects = self.prog.effects.get(n).copied().unwrap_or_default();
        let held = &self.cur.held;
        let is_atomic =
            held.rcu > 0 || held.preempt > 0 || held.irq_id != 0 || !self.in_sleepable();
        if effects.might_sleep && is_atomic {
            return Err(ProgReject::GlobalSleeps {}.into());
        }
        if effects.might_throw {
            // DEVIATION: the kernel lets a global function throw away what its callers hold.
            self.check_nothing_held(Leaving::Throw)?;
        }
        match matches {
            Ok(()) => {}
            Err(Stop::Reject(why)) => {
                return Err(ProgReject::GlobalArgsDiffer { why, subprog, name }.into());
            }
            Err(stop @ Stop::Bug(_)) => return Err(stop),
        }
        self.log.put(format_args!("Func#{subprog} ('{name}') is global and assumed valid.\n"));
        if effects.changes_packet {
            self.mark_packet_pointers_lost();
        }
        if let Some(called) = self.called.get_mut(n) {
            *called = true;
        }
        if self.in_sleepable() && !self.prog.is_sleepable {
            // DEVIATION: the kernel judges it once, as if RCU protected it here too.
            if let Some(called) = self.called_sleepable.get_mut(n) {
                *called = true;
            }
        }
        self.mark_caller_saved_lost();
        *self.cur.reg_mut(Reg::R0) = RegState::UNKNOWN;
        Ok(Flow::Next)
    }

    /// The arguments fit a signature (`btf_check_func_arg_match`).
    fn check_global_args(&mut self, args: Result<Signature, Unclear>) -> Res<()> {
        let args = match args {
            Ok(args) => args,
            Err(Unclear::Message(why)) => return Err(why.into()),
            Err(Unclear::Silent) => return Err(ProgReject::GlobalNoBtf {}.into()),
        };
        for (n, arg) in args.into_iter().enumerate() {
            self.check_global_arg(n, arg)?;
        }
        Ok(())
    }

    fn check_global_arg(&mut self, n: usize, arg: FuncArg) -> Res<()> {
        let r = arg_reg(n)?;
        let reg = *self.cur.reg(r);
        match arg {
            FuncArg::Number if reg.is_scalar() => {
                // SOUND: whatever number it is, the function was judged for it.
                Ok(())
            }
            FuncArg::Number => Err(ProgReject::NotANumber { reg: r.num() }.into()),
            FuncArg::Ctx => {
                check_offset(&reg, r)?;
                if reg.kind == RegKind::Ctx {
                    return Ok(());
                }
                Err(ProgReject::NotTheCtx { arg: n }.into())
            }
            FuncArg::Mem(size, flags) => {
                check_offset(&reg, r)?;
                self.check_global_mem(r, size)?;
                let is_nullable = flags.has(PtrFlags::MAYBE_NULL);
                // SOUND: a known NULL too is none that the function was judged for.
                // DEVIATION: the kernel lets a constant NULL through.
                if !is_nullable && (reg.may_be_null() || reg.is_null()) {
                    return Err(ProgReject::GlobalArgNull { arg: n }.into());
                }
                Ok(())
            }
            // SOUND: what faults is caught, so any value does.
            FuncArg::UntrustedMem => Ok(()),
            FuncArg::Object(_, flags) if flags.has(PtrFlags::UNTRUSTED) => Ok(()),
            FuncArg::Arena => {
                if reg.kind == RegKind::Arena || reg.is_scalar() {
                    return Ok(());
                }
                Err(ProgReject::NotArena { reg: r.num() }.into())
            }
            FuncArg::Dynptr => {
                let is_stack = matches!(reg.kind, RegKind::Stack(_));
                if !is_stack {
                    check_offset(&reg, r)?;
                }
                self.check_dynptr(r, DynptrUse::Read).map(|_| ())
            }
            FuncArg::Object(ty, flags) => self.check_global_object(r, &reg, ty, flags),
        }
    }

    /// Memory of a size, to be read and written (`check_mem_reg`).
    fn check_global_mem(&mut self, r: Reg, size: u32) -> Res<()> {
        let saved = *self.cur.reg(r);
        if saved.is_null() {
            // SOUND: another number in its place would be an address.
            return self.mark_precise(r);
        }
        let known = self.cur.reg_mut(r);
        known.flags = known.flags.without(PtrFlags::MAYBE_NULL);
        let access = MemAccess::ReadWrite;
        let mem =
            HelperMem { access, size: size.into(), exact: Exact::Yes, zero: ZeroSize::Allowed };
        // As in the kernel, first that it may be read.
        let read = self.check_helper_mem(r, HelperMem { access: MemAccess::Read, ..mem });
        let fill = read.and_then(|_| self.check_helper_mem(r, mem));
        *self.cur.reg_mut(r) = saved;
        if let Some(fill) = fill? {
            self.mark_filled(fill);
        }
        Ok(())
    }

    /// An object of the kernel's that is surely there.
    fn check_global_object(
        &mut self,
        r: Reg,
        reg: &RegState,
        ty: crate::state::ptr::BtfType,
        flags: PtrFlags,
    ) -> Res<()> {
        let is_nullable = flags.has(PtrFlags::MAYBE_NULL);
        if reg.is_null() && is_nullable {
            return self.mark_precise(r);
        }
        self.check_global_object_type(r, ty, is_nullable)?;
        let known = RegState { flags: reg.flags.without(PtrFlags::MAYBE_NULL), ..*reg };
        if !is_trusted(&known) && !is_rcu(&known) {
            // DEVIATION: the kernel takes a pointer of the old sort, which may be NULL or gone, for one to be trusted.
            let (ty, expected) = (reg.type_text(), "trusted_ptr_, rcu_ptr_".into());
            return Err(RejectKind::ArgType { reg: r.num(), ty, expected }.into());
        }
        check_offset(reg, r)
    }

    /// The first frame of a walk of a function by its signature (`do_check_common`).
    pub(crate) fn frame_of_signature(&mut self, subprog: u16, args: &Signature) -> Res<Frame> {
        let mut frame = Frame::new(subprog, u32::MAX, RegState::pointer(RegKind::Stack(0)));
        for (n, arg) in args.iter().enumerate() {
            let reg = match *arg {
                FuncArg::Number | FuncArg::Arena => RegState::scalar(Scalar::UNKNOWN),
                FuncArg::Ctx => RegState::pointer(RegKind::Ctx),
                FuncArg::Dynptr => {
                    let kind = RegKind::Dynptr(DynptrKind::Local);
                    RegState { id: self.new_id(), ..RegState::pointer(kind) }
                }
                FuncArg::Mem(size, flags) => {
                    let id = self.new_id();
                    RegState { flags, id, ..RegState::pointer(RegKind::Mem(size)) }
                }
                FuncArg::UntrustedMem => untrusted_memory(),
                FuncArg::Object(ty, flags) => {
                    let id = self.new_id();
                    RegState { flags, id, ..RegState::pointer(RegKind::Btf(ty)) }
                }
            };
            let r = arg_reg(n)?;
            frame.regs[r.index()] = reg;
        }
        Ok(frame)
    }

    /// The result of a function that was walked by its signature.
    pub(super) fn check_global_return(&self, r: Reg) -> Res<()> {
        let result = self.cur.reg(r);
        if result.is_scalar() {
            return Ok(());
        }
        Err(ProgReject::GlobalNotScalar { reg: r.num(), ty: result.type_text() }.into())
    }
}
