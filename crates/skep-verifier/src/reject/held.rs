//! [`HeldReject`]: reasons about references, locks and sections.

kinds! {
    /// A reason about references, locks and sections.
    enum HeldReject delegates {}
    Unreleased { leaks: Leaks, doing: &'static str } = EINVAL,
        "{leaks}{doing} would lead to reference leak";
    NotAcquired { name: &'static str, id: i32 } = EINVAL,
        "func bpf_{name}#{id} reference has not been acquired before";
    InLock { doing: &'static str } = EINVAL,
        "{doing} cannot be used inside bpf_spin_lock-ed region";
    InIrq { doing: &'static str } = EINVAL,
        "{doing} cannot be used inside bpf_local_irq_save-ed region";
    InRcu { doing: &'static str } = EINVAL,
        "{doing} cannot be used inside bpf_rcu_read_lock-ed region";
    InPreempt { doing: &'static str } = EINVAL,
        "{doing} cannot be used inside bpf_preempt_disable-ed region";
}

/// References that were not given back: id and slot of each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaks(pub(crate) Vec<(u32, u32)>);

impl core::fmt::Display for Leaks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (id, insn_idx) in &self.0 {
            writeln!(f, "Unreleased reference id={id} alloc_insn={insn_idx}")?;
        }
        Ok(())
    }
}
