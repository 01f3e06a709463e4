//! What programs hold: references, locks, sections, kernel pointers, lists and trees.
//!
//! - [`refs`]: acquiring, releasing, and that nothing is left at the end.
#![expect(clippy::allow_attributes, reason = "while users land one by one")]

#[allow(dead_code, reason = "its users land one by one")]
mod refs;

pub(crate) use refs::{Leaving, forget_ref};
