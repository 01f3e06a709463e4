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

    // Locks.
    LockVariable { reg: u8, lock: &'static str } = EINVAL,
        "R{reg} doesn't have constant offset. {lock}_lock has to be at the constant offset";
    LockNoBtf { name: String, lock: &'static str } = EINVAL,
        "map '{name}' has to have BTF in order to use {lock}_lock";
    NoLock { what: &'static str, name: String, lock: &'static str } = EINVAL,
        "{what} '{name}' has no valid {lock}_lock";
    LockOffset { off: i64, lock: &'static str, at: u32 } = EINVAL,
        "off {off} doesn't point to 'struct {lock}_lock' that is at {at}";
    TwoLocks { } = EINVAL, "Locking two bpf_spin_locks are not allowed";
    SameLock { } = EINVAL, "Acquiring the same lock again, AA deadlock detected";
    UnlockNothing { lock: &'static str } = EINVAL, "{lock}_unlock without taking a lock";
    UnlockOther { lock: &'static str } = EINVAL, "{lock}_unlock of different lock";
    UnlockOrder { lock: &'static str } = EINVAL, "{lock}_unlock cannot be out of order";
    NotLocked { at: i64, root: &'static str, different: bool } = EINVAL,
        "{}bpf_spin_lock at off={at} must be held for {root}",
        if *different { "held lock and object are not in the same allocation\n" } else { "" };
    LockInCallback { } = EACCES, "can't spin_{{lock,unlock}} in rbtree cb";
    CallInLock { } = EINVAL, "function calls are not allowed while holding a lock";

    // Sections.
    SleepingHelper { name: &'static str, id: i32, place: &'static str } = EINVAL,
        "sleepable helper bpf_{name}#{id} in {place}";
    SleepingKfunc { name: String, place: &'static str } = EACCES,
        "kernel func {name} is sleepable within {place}";
    RcuInCallback { } = EACCES,
        "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback";
    RcuNested { name: &'static str } = EINVAL, "nested rcu read lock (kernel function {name})";
    RcuUnmatched { name: &'static str } = EINVAL, "unmatched rcu read unlock (kernel function {name})";
    PreemptUnmatched { name: &'static str } = EINVAL,
        "unmatched attempt to enable preemption (kernel function {name})";
    IrqNotStack { arg: u8 } = EINVAL, "arg#{arg} doesn't point to an irq flag on stack";
    IrqVariable { wants: &'static str, arg: u8 } = EINVAL,
        "irq_flag has to be at a constant offset\nexpected {wants} irq flag as arg#{arg}";
    IrqNotFree { arg: u8 } = EINVAL, "expected uninitialized irq flag as arg#{arg}";
    IrqNotSaved { arg: u8 } = EINVAL, "expected an initialized irq flag as arg#{arg}";
    IrqOther { flag: &'static str, used: &'static str } = EINVAL,
        "irq flag acquired by {flag} kfuncs cannot be restored with {used} kfuncs";
    IrqOrder { id: u32, at: u32 } = EACCES,
        "cannot restore irq state out of order, expected id={id} acquired at insn_idx={at}";
}

/// References that were not given back: id and slot of each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaks(pub(crate) Vec<(u32, u32)>);

impl Leaks {
    /// Slots of the calls that acquired them.
    pub fn acquired(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|(_, insn_idx)| *insn_idx)
    }
}

impl core::fmt::Display for Leaks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (id, insn_idx) in &self.0 {
            writeln!(f, "Unreleased reference id={id} alloc_insn={insn_idx}")?;
        }
        Ok(())
    }
}
