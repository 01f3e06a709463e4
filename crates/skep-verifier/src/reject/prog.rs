//! [`ProgReject`]: reasons about what a program is, and what it attaches to.

kinds! {
    /// A reason about what a program is, and what it attaches to.
    enum ProgReject delegates {}
    NoBtf { } = EINVAL, "Tracing programs must provide btf_id";
}
