//! [`SpecReject`]: reasons about what an unprivileged program might do under speculation.

kinds! {
    /// A reason about what an unprivileged program might do under speculation.
    enum SpecReject delegates {}
    CannotVerify { } = EACCES, "the program cannot be verified due to speculation";
}
