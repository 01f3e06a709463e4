//! CO-RE: what a program that was compiled against one set of types must be told about another.
//!
//! A [`Relocator`] pairs the program's BTF with a target's. [`Relocator::resolve`] computes one
//! [`Resolution`]; [`patch`] writes it into an instruction. Nothing here knows ELF.
//!
//! - `spec`: an access string parsed against the local types, and found again in the target.
//! - `compat`: when two types count as the same.
//! - `resolve`: values and the choice among candidates.
//! - `patch`: instructions.
//!
//! Source: "BPF CO-RE" in Documentation/bpf/llvm_reloc.rst, `enum bpf_core_relo_kind` in linux/bpf.h; the
//! behaviour is that of libbpf 1.7.

mod compat;
mod error;
mod patch;
mod resolve;
mod spec;

pub use compat::types_compatible;
pub use error::CoreError;
pub use patch::{POISON_HELPER, patch};
pub use resolve::{MemAccess, Relocator, Resolution};

/// Deepest nesting of accesses (`BPF_CORE_SPEC_MAX_LEN` of libbpf).
const MAX_SPEC_LEN: usize = 64;

/// Steps that are left for matching types, so that hostile BTF cannot keep it busy.
struct Budget(u32);

impl Budget {
    const STEPS: u32 = 10_000_000;

    fn new() -> Budget {
        Budget(Budget::STEPS)
    }

    fn step(&mut self) -> Result<(), CoreError> {
        self.0 = self.0.checked_sub(1).ok_or(CoreError::TooDeep)?;
        Ok(())
    }
}
