//! What the verifier knows of a number: pure values, no program state, no errors.
//!
//! - [`Tnum`]: knowledge bit by bit; [`Range`]: an interval of one integer type;
//! - [`Scalar`]: a tnum and four intervals (unsigned and signed, 64 and 32 bits) that sharpen each other;
//! - `alu`: arithmetic on scalars ([`Scalar::alu`] and the other operations);
//! - `branch`: what a comparison decides ([`branch_taken`]) and teaches ([`refine`]);
//! - `log`: scalars as the kernel's verifier log prints them ([`Scalar::log_fields`]).
//!
//! Soundness is the contract: for every operation, the result holds whatever the concrete operation
//! gives for members of the operands. Precision follows Linux 6.18, because clients see the verdicts.

mod alu;
mod branch;
mod log;
pub mod range;
mod scalar;
#[cfg(test)]
mod tests;
mod tnum;

pub use branch::{Contradiction, Edge, branch_taken, refine, refine_same};
pub use log::{LogFields, LogNum};
pub use range::Range;
pub use scalar::Scalar;
pub use tnum::Tnum;
