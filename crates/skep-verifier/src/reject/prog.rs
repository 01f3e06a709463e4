//! [`ProgReject`]: reasons about what a program is, and what it attaches to.

use crate::env::Caps;

kinds! {
    /// A reason about what a program is, and what it attaches to.
    enum ProgReject delegates {}
    TypeNeedsCaps { name: &'static str, needs: Caps } = EPERM,
        "loading {name} programs needs {needs}";
    NoBtf { } = EINVAL, "Tracing programs must provide btf_id";
}
