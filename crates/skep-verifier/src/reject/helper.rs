//! [`HelperReject`]: reasons about helpers.

kinds! {
    /// A reason about helpers.
    enum HelperReject delegates {}
    SleepableOnly { name: &'static str, id: i32 } = EINVAL,
        "helper call might sleep in a non-sleepable prog: bpf_{name}#{id}";
}
