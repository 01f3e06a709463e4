//! Arguments of kernel functions against their types (`check_kfunc_args`).

use super::{KfuncCall, Special};
use crate::call::compat::check_offset;
use crate::env::KfuncFlags;
use crate::pre::{ArgKind, Kfunc, KfuncArg, MAX_KFUNC_ARGS, OtherPtr, PtrArg, ScalarArg, SizedBy};
use crate::reject::{KfuncReject, RejectKind};
use crate::state::{RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::{BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER};

/// What an argument turned out to be, with the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PtrUse {
    /// NULL, which is allowed.
    Null,
    /// As the type says.
    Known(PtrArg),
    /// A structure.
    Object(OtherPtr),
    /// A callback.
    Callback,
    /// Memory, of the type's size or that of the next argument.
    Mem(OtherPtr),
}

/// Whether an argument takes the next one along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    One,
    Two,
}

pub(super) fn arg_reg(n: usize) -> Res<Reg> {
    u8::try_from(n + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("too many arguments"))
}

impl Walk<'_> {
    pub(super) fn check_kfunc_args(&mut self, k: &Kfunc, call: &mut KfuncCall) -> Res<()> {
        let count = k.args.len();
        if count > MAX_KFUNC_ARGS {
            let (name, max) = (k.name.clone(), MAX_KFUNC_ARGS);
            return Err(KfuncReject::TooManyArgs { name, count, max }.into());
        }
        let mut n = 0;
        while let Some(arg) = k.args.get(n) {
            match self.check_kfunc_arg(k, n, arg, call)? {
                Takes::One => n += 1,
                Takes::Two => n += 2,
            }
        }
        if k.has(KfuncFlags::RELEASE) && call.release.is_none() {
            return Err(KfuncReject::ReleasesNothing { name: k.name.clone() }.into());
        }
        Ok(())
    }

    fn check_kfunc_arg(
        &mut self,
        k: &Kfunc,
        n: usize,
        arg: &KfuncArg,
        call: &mut KfuncCall,
    ) -> Res<Takes> {
        let r = arg_reg(n)?;
        match arg.kind {
            ArgKind::Prog | ArgKind::Ignored => Ok(Takes::One),
            ArgKind::Scalar(how) => {
                self.check_kfunc_scalar(how, r, call)?;
                Ok(Takes::One)
            }
            ArgKind::Odd => Err(KfuncReject::OddArg { arg: n, kind: arg.kind_text }.into()),
            ArgKind::Ptr(ptr) => self.check_kfunc_ptr(k, n, arg, ptr, call),
        }
    }

    fn check_kfunc_scalar(&mut self, how: ScalarArg, r: Reg, call: &mut KfuncCall) -> Res<()> {
        let (state, reg) = (*self.cur.reg(r), r.num());
        if !state.is_scalar() {
            return Err(KfuncReject::NotScalar { reg }.into());
        }
        match how {
            ScalarArg::Plain => Ok(()),
            ScalarArg::Constant => {
                call.constant = Some(self.known_number(r)?);
                Ok(())
            }
            ScalarArg::RdonlyBufSize | ScalarArg::RdwrBufSize => {
                let Some(size) = state.num.const_value() else {
                    return Err(KfuncReject::SizeNotConst { reg }.into());
                };
                let Ok(size) = u32::try_from(size) else {
                    return Err(KfuncReject::SizeTooLarge { reg }.into());
                };
                call.ret_rdonly |= how == ScalarArg::RdonlyBufSize;
                call.ret_size = Some(size);
                self.mark_precise(r)
            }
        }
    }

    /// The number in a register, which must be known.
    pub(super) fn known_number(&mut self, r: Reg) -> Res<u64> {
        let Some(value) = self.cur.reg(r).num.const_value() else {
            return Err(KfuncReject::NotConstant { reg: r.num() }.into());
        };
        self.mark_precise(r)?;
        Ok(value)
    }

    fn check_kfunc_ptr(
        &mut self,
        k: &Kfunc,
        n: usize,
        arg: &KfuncArg,
        ptr: PtrArg,
        call: &mut KfuncCall,
    ) -> Res<Takes> {
        let r = arg_reg(n)?;
        let reg = *self.cur.reg(r);
        let releases = k.has(KfuncFlags::RELEASE);
        let trusted = releases || k.has(KfuncFlags::TRUSTED_ARGS);
        let rcu = k.has(KfuncFlags::RCU);
        if (trusted || rcu) && (reg.is_null() || reg.may_be_null()) && !arg.is_nullable {
            return Err(KfuncReject::MaybeNull { arg: n }.into());
        }
        if reg.is_null() {
            // SOUND: another number in its place would not be NULL.
            self.mark_precise(r)?;
        }
        if reg.ref_id != 0 {
            if releases && call.ref_id != 0 {
                return Err(KfuncReject::TwoReferences { reg: r.num() }.into());
            }
            call.ref_id = reg.ref_id;
            // SOUND: only an object can be given back, not memory that lives as long as some other reference.
            // DEVIATION: the kernel takes the memory of a ring buffer's record for a set of CPUs, and frees it.
            if releases && matches!(reg.kind, RegKind::Btf(_) | RegKind::Socket(_)) {
                call.release = Some(r);
            }
        }
        let used = self.ptr_use(k, n, arg, ptr, &reg)?;
        if used == PtrUse::Null {
            return Ok(Takes::One);
        }
        let is_map = used == PtrUse::Known(PtrArg::Map);
        if is_map {
            self.check_map_arg(k, r, call)?;
        }
        let is_object = is_map || matches!(used, PtrUse::Object(_) | PtrUse::Known(PtrArg::Alloc));
        if is_object && (trusted || rcu) && !self.is_trusted_arg(&reg) {
            if !rcu {
                return Err(KfuncReject::NotTrusted { reg: r.num() }.into());
            }
            if !self.is_rcu_arg(&reg) {
                return Err(KfuncReject::NotRcu { reg: r.num() }.into());
            }
        }
        self.check_kfunc_arg_offset(r, releases && reg.ref_id != 0)?;
        self.check_ptr_use(k, n, arg, used, call)
    }

    /// Which of its meanings the argument has (`get_kfunc_ptr_arg_type`).
    fn ptr_use(
        &self,
        k: &Kfunc,
        n: usize,
        arg: &KfuncArg,
        ptr: PtrArg,
        reg: &RegState,
    ) -> Res<PtrUse> {
        if ptr == PtrArg::Ctx {
            return Ok(PtrUse::Known(ptr));
        }
        if arg.is_nullable && reg.is_null() {
            return Ok(PtrUse::Null);
        }
        let PtrArg::Other(other) = ptr else { return Ok(PtrUse::Known(ptr)) };
        let (kind, name) = (arg.kind_text, arg.type_name.clone());
        if self.object_type(reg).is_some() {
            if !other.is_struct {
                let func = k.name.clone();
                return Err(KfuncReject::ObjectType { func, arg: n, kind, name }.into());
            }
            return Ok(PtrUse::Object(other));
        }
        if other.is_callback {
            return Ok(PtrUse::Callback);
        }
        let sized = self.is_sized(n, other);
        let fits = other.is_scalars || (sized && other.is_void);
        if !fits {
            let void = if sized { "void, " } else { "" };
            return Err(KfuncReject::MemType { arg: n, kind, name, void }.into());
        }
        Ok(PtrUse::Mem(other))
    }

    /// Whether the next argument is this one's size.
    fn is_sized(&self, n: usize, other: OtherPtr) -> bool {
        let next = arg_reg(n + 1).map(|r| self.cur.reg(r).is_scalar());
        other.sized != SizedBy::Nothing && next.unwrap_or(false)
    }

    fn check_ptr_use(
        &mut self,
        k: &Kfunc,
        n: usize,
        arg: &KfuncArg,
        used: PtrUse,
        call: &mut KfuncCall,
    ) -> Res<Takes> {
        let r = arg_reg(n)?;
        match used {
            PtrUse::Null => {}
            PtrUse::Callback => {
                let RegKind::Func(subprog) = self.cur.reg(r).kind else {
                    return Err(KfuncReject::NotFunc { arg: n }.into());
                };
                call.callback = Some(subprog);
            }
            PtrUse::Object(other) => self.check_object_arg(k, n, arg, other)?,
            PtrUse::Mem(other) if self.is_sized(n, other) => {
                self.check_sized_arg(n, other, call)?;
                return Ok(Takes::Two);
            }
            PtrUse::Mem(other) => self.check_fixed_mem(n, arg, other)?,
            PtrUse::Known(ptr) => self.check_known_ptr(k, n, ptr, call)?,
        }
        Ok(Takes::One)
    }

    fn check_known_ptr(
        &mut self,
        k: &Kfunc,
        n: usize,
        ptr: PtrArg,
        call: &mut KfuncCall,
    ) -> Res<()> {
        let r = arg_reg(n)?;
        let reg = *self.cur.reg(r);
        match ptr {
            PtrArg::Ctx => {
                if reg.kind == RegKind::Ctx && !reg.may_be_null() {
                    return Ok(());
                }
                Err(KfuncReject::NotCtx { arg: n, ty: reg.type_text() }.into())
            }
            PtrArg::Alloc => self.check_alloc_arg(k, n, &reg, call),
            PtrArg::Dynptr { is_uninit } => self.check_dynptr_arg_of(k, n, is_uninit, call),
            PtrArg::Iter(ty) => {
                if k.special == Special::IterCssTaskNew && !self.allows_css_task() {
                    return Err(KfuncReject::CssTask {}.into());
                }
                self.exec_iter_arg(k, n, ty, call)
            }
            PtrArg::ConstStr => {
                if !matches!(reg.kind, RegKind::MapValue(_)) || reg.may_be_null() {
                    return Err(KfuncReject::NotConstStr { arg: n }.into());
                }
                self.check_const_str(r)
            }
            PtrArg::Map => self.check_map_type(k, n),
            PtrArg::RefcountedKptr
            | PtrArg::ListHead
            | PtrArg::ListNode
            | PtrArg::RbRoot
            | PtrArg::RbNode
            | PtrArg::Wq
            | PtrArg::TaskWork
            | PtrArg::IrqFlag { .. }
            | PtrArg::ResSpinLock => self.check_owned_arg(k, n, ptr, call),
            PtrArg::Other(_) => Err(Stop::Bug("an argument without a meaning")),
        }
    }

    /// Who may walk the tasks of a control group (`check_css_task_iter_allowlist`).
    fn allows_css_task(&self) -> bool {
        self.props.prog_type == BPF_PROG_TYPE_LSM
            || (self.props.prog_type == BPF_PROG_TYPE_TRACING
                && self.req.expected_attach_type == BPF_TRACE_ITER)
            || self.in_sleepable()
    }

    /// The offset is one that such a pointer may have in an argument (`check_func_arg_reg_off`).
    fn check_kfunc_arg_offset(&self, r: Reg, releases: bool) -> Res<()> {
        let reg = self.cur.reg(r);
        if releases && reg.off != 0 {
            return Err(KfuncReject::ReleaseOffset { reg: r.num() }.into());
        }
        check_offset(reg, r)
    }

    /// The offset is known and not below zero.
    pub(crate) fn check_fixed_offset(&self, r: Reg) -> Res<()> {
        let ptr = self.cur.reg(r);
        let (ty, reg, off) = (ptr.type_text(), r.num(), ptr.off);
        if off < 0 {
            return Err(RejectKind::NegativePointer { ty, reg, off }.into());
        }
        if ptr.num.const_value() != Some(0) {
            return Err(RejectKind::VariablePointer { ty, var_off: ptr.num.var_off }.into());
        }
        Ok(())
    }
}
