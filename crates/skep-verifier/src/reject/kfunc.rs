//! [`KfuncReject`]: reasons about kernel functions.

kinds! {
    /// A reason about kernel functions.
    enum KfuncReject delegates {}
    NotAllowed { name: String } = EACCES, "calling kernel function {name} is not allowed";
}
