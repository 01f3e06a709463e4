//! Calls of kernel functions: may it be called, are its arguments right, and what is known of its result
//! (`check_kfunc_call`).
//!
//! - [`special`]: the functions that the verifier knows by name;
//! - [`args`]: arguments against the function's type;
//! - [`object`]: arguments that are objects of the kernel's types;
//! - [`mem`]: arguments that are memory;
//! - `ret`: results;
//! - [`types`]: their types;
//! - [`section`]: RCU read sections, and those without preemption;
//! - [`owned`]: where a call leads to locks, lists, trees and timers.
//!
//! What the types and flags say was found once, in `pre/kfunc`.

mod args;
mod mem;
mod object;
mod owned;
mod ret;
mod section;
mod special;
mod types;

pub(crate) use special::Special;

use crate::env::KfuncFlags;
use crate::object::{DynptrInfo, IterPlace, Leaving, Root};
use crate::pre::{Kfunc, MapId};
use crate::reject::KfuncReject;
use crate::state::PtrFlags;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::walk::{Flow, Res, Stop, Walk};
use skep_abi::insn::Reg;
use std::rc::Rc;

/// What the arguments of one call said (`struct bpf_kfunc_call_arg_meta`).
#[derive(Clone, Debug, Default)]
pub(crate) struct KfuncCall {
    /// The argument that is a reference, and its id.
    pub(crate) ref_id: u32,
    /// The register whose reference is given back.
    pub(crate) release: Option<Reg>,
    /// The number that must be known.
    pub(crate) constant: Option<u64>,
    /// Size of the memory that is returned, as an argument says it.
    pub(crate) ret_size: Option<u32>,
    /// That memory is only read.
    pub(crate) ret_rdonly: bool,
    /// The map, and the id of the register that named it.
    pub(crate) map: Option<(MapId, u32)>,
    /// The callback.
    pub(crate) callback: Option<u16>,
    /// The dynptr that was given.
    pub(crate) dynptr: Option<DynptrInfo>,
    /// The dynptr that was given first.
    pub(crate) target: Option<DynptrInfo>,
    /// The iterator that was given.
    pub(crate) iter: Option<IterPlace>,
    /// Type of the allocated object that was given.
    pub(crate) object: Option<BtfType>,
    /// That object is owned, not only seen while a lock is held.
    pub(crate) is_owning: bool,
    /// The list's head or tree's root that was given.
    pub(crate) root: Option<Root>,
}

impl Walk<'_> {
    pub(crate) fn exec_kfunc(&mut self, btf_id: i32, btf_fd_idx: i16) -> Res<Flow> {
        if btf_id == 0 && btf_fd_idx == 0 {
            // `post` refuses it if it is still there in the end.
            return Ok(Flow::Next);
        }
        let k: Rc<Kfunc> = self
            .prog
            .kfuncs
            .get(btf_id, btf_fd_idx)
            .ok_or(Stop::Bug("a kernel function was not resolved"))?;
        self.check_callable(&k)?;
        let mut call = KfuncCall::default();
        self.before_args(&k)?;
        self.check_kfunc_args(&k, &mut call)?;
        self.schedule_kfunc_callback(&k, &call)?;
        self.exec_section(&k)?;
        self.release_kfunc_arg(&k, &call)?;
        self.give_to_graph(&k, &mut call)?;
        if k.special == Special::Throw {
            return self.exec_throw();
        }
        self.mark_caller_saved_lost();
        let ret = self.kfunc_result(&k, &call)?;
        *self.cur.reg_mut(Reg::R0) = ret;
        let is_moved = k.writes_dynptr() && call.target.is_some_and(|of| self.is_packet_write(of));
        if k.special == Special::XdpPullData || is_moved {
            self.mark_packet_pointers_lost();
        }
        if k.has(KfuncFlags::ITER_NEXT) {
            self.exec_iter_next(&call)?;
        }
        Ok(Flow::Next)
    }

    fn check_callable(&self, k: &Kfunc) -> Res<()> {
        let name = || k.name.clone();
        if self.cur.held.has_lock() && !k.is_allowed_in_lock() {
            return Err(KfuncReject::InLock {}.into());
        }
        if k.flags.is_none() {
            return Err(KfuncReject::NotAllowed { name: name() }.into());
        }
        if k.special == Special::Trap {
            return Err(KfuncReject::Trap {}.into());
        }
        // CAP_SYS_BOOT is no capability of this subsystem's.
        if k.has(KfuncFlags::DESTRUCTIVE) {
            return Err(KfuncReject::Destructive {}.into());
        }
        if k.has(KfuncFlags::SLEEPABLE) && !self.in_sleepable() {
            return Err(KfuncReject::NotSleepable { name: name() }.into());
        }
        Ok(())
    }

    /// The reference that the function takes is gone.
    fn release_kfunc_arg(&mut self, k: &Kfunc, call: &KfuncCall) -> Res<()> {
        let Some(r) = call.release else { return Ok(()) };
        let id = self.cur.reg(r).ref_id;
        let is_non_owning = self.cur.reg(r).flags.has(PtrFlags::NON_OWN);
        if is_non_owning || !self.mark_released(id) {
            let (name, id) = (k.name.clone(), k.func.id);
            return Err(KfuncReject::NotAcquired { name, id }.into());
        }
        Ok(())
    }

    /// `bpf_throw` ends the program.
    // SOUND: nothing may be held, in any frame; the value becomes the program's result.
    fn exec_throw(&mut self) -> Res<Flow> {
        self.check_exception_value()?;
        self.check_nothing_held(Leaving::Throw)?;
        Ok(Flow::End)
    }
}

impl Kfunc {
    /// Whether it may be called while a lock is held (`kfunc_spin_allowed`).
    fn is_allowed_in_lock(&self) -> bool {
        let is_iter_num = self.func.btf == BtfOwner::Kernel
            && matches!(
                self.name.as_str(),
                "bpf_iter_num_new" | "bpf_iter_num_next" | "bpf_iter_num_destroy"
            );
        is_iter_num || self.special.is_graph() || self.special.is_res_lock()
    }
}
