//! [`ObjectReject`]: reasons about dynptrs, iterators, graphs and kernel pointers.

kinds! {
    /// A reason about dynptrs, iterators, graphs and kernel pointers.
    enum ObjectReject delegates {}
    ExpectedDynptr { arg: u32 } = EINVAL, "Expected an initialized dynptr as arg #{arg}";
}
