//! Sections that kernel functions enter and leave, and what must not be called in them.

use crate::env::KfuncFlags;
use crate::object::{SectionCall, Sleeper};
use crate::pre::Kfunc;
use crate::reject::KfuncReject;
use crate::state::ptr::BtfOwner;
use crate::walk::{Res, Walk};

impl Walk<'_> {
    /// Enters or leaves a section; what sleeps must not be in one.
    pub(super) fn exec_section(&mut self, k: &Kfunc) -> Res<()> {
        let is_kernel = k.func.btf == BtfOwner::Kernel;
        if let Some(section) = SectionCall::by_name(&k.name).filter(|_| is_kernel) {
            self.check_section(section)?;
            self.mark_section(section);
        }
        if k.has(KfuncFlags::SLEEPABLE) {
            self.check_sleeps(Sleeper::Kfunc(&k.name))?;
        }
        if k.has(KfuncFlags::RCU_PROTECTED) && !self.in_rcu() {
            return Err(KfuncReject::NeedsRcu { name: k.name.clone() }.into());
        }
        Ok(())
    }
}
