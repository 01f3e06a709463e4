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

impl HeldKind {
    /// Whether it is a lock of any sort.
    pub(crate) fn is_lock(self) -> bool {
        match self {
            HeldKind::Lock | HeldKind::ResLock | HeldKind::ResLockIrq => true,
            HeldKind::Ref | HeldKind::Irq => false,
        }
    }
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

impl Held {
    /// The references.
    pub(crate) fn refs(&self) -> impl Iterator<Item = &HeldItem> {
        self.items.iter().filter(|i| i.kind == HeldKind::Ref)
    }

    /// Whether a reference of that id is held.
    pub(crate) fn has_ref(&self, id: u32) -> bool {
        self.refs().any(|i| i.id == id)
    }

    /// Whether any lock is held.
    pub(crate) fn has_lock(&self) -> bool {
        self.items.iter().any(|i| i.kind.is_lock())
    }

    /// The lock that was taken last.
    pub(crate) fn innermost_lock(&self) -> Option<&HeldItem> {
        self.items.iter().rev().find(|i| i.kind.is_lock())
    }

    /// Adds an item; a saved interrupt state becomes the innermost.
    pub(crate) fn add(&mut self, item: HeldItem) {
        if item.kind == HeldKind::Irq {
            self.irq_id = item.id;
        }
        self.items.push(item);
    }

    /// Forgets the newest item for which `which` holds; the others keep their order.
    pub(crate) fn remove(&mut self, which: impl Fn(&HeldItem) -> bool) {
        if let Some(at) = self.items.iter().rposition(which) {
            self.items.remove(at);
        }
        let irq = self.items.iter().rev().find(|i| i.kind == HeldKind::Irq);
        self.irq_id = irq.map_or(0, |i| i.id);
    }
}
