//! What the test binaries share: the live kernel and Skep as two callers of the same source.

pub mod differential;
pub mod generate;
pub mod native;
pub mod random;
pub mod reduce;
