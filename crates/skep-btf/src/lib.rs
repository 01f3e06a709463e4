//! BTF, the BPF Type Format: parse, validate, build, dump as C, relocate (CO-RE).
#![forbid(unsafe_code)]

/// A set of types with their strings.
#[derive(Debug)]
pub struct Btf {}
