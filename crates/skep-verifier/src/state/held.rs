//! [`Held`]: what a path must give back before it ends: references, locks, and sections it is in.

/// What was acquired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum HeldKind {
    /// A reference, named by a pointer's `ref_id`.
    Ref,
    /// The state of the interrupts before they were disabled, in a stack slot.
    Irq,
    /// A `bpf_spin_lock`.
    Lock,
    /// A `bpf_res_spin_lock`.
    ResLock,
    /// A `bpf_res_spin_lock` that also disabled interrupts.
    ResLockIrq,
}

/// One thing that is held (`struct bpf_reference_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldItem {
    /// What.
    pub(crate) kind: HeldKind,
    /// Reference id; of a lock, the id of the pointer that it was taken through.
    pub(crate) id: u32,
    /// Slot of the instruction that acquired it.
    pub(crate) insn_idx: u32,
    /// Of a lock: what it is in, as the number of the map or of the allocated object.
    pub(crate) owner: u64,
}

/// All that is held on a path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    /// In the order of acquisition.
    pub(crate) items: Vec<HeldItem>,
    /// RCU read sections that were entered.
    pub(crate) rcu: u32,
    /// Sections without preemption that were entered.
    pub(crate) preempt: u32,
    /// Id of the innermost saved interrupt state; 0 is none.
    pub(crate) irq_id: u32,
}
