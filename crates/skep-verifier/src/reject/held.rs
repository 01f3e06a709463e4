//! [`HeldReject`]: reasons about references, locks and sections.

kinds! {
    /// A reason about references, locks and sections.
    enum HeldReject delegates {}
    Unreleased { id: u32, insn_idx: u32 } = EINVAL,
        "Unreleased reference id={id} alloc_insn={insn_idx}";
}
