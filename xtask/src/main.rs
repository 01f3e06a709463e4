//! Generated code, oracle runs and CI of Skep.
fn main() {}
