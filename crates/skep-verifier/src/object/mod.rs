//! What programs hold: references, locks, sections, kernel pointers, lists and trees.
//!
//! - [`irq`], [`lock`], [`section`]: saved interrupt states, locks, and sections that forbid to sleep;
//! - [`refs`]: acquiring, releasing, and that nothing is left at the end.
#![expect(clippy::allow_attributes, reason = "while users land one by one")]

#[allow(dead_code, reason = "its users land one by one")]
mod irq;
#[allow(dead_code, reason = "its users land one by one")]
mod lock;
#[allow(dead_code, reason = "its users land one by one")]
mod refs;
#[allow(dead_code, reason = "its users land one by one")]
mod section;

#[allow(unused_imports, reason = "its users land one by one")]
pub(crate) use irq::IrqBy;
pub(crate) use refs::{Leaving, forget_ref};
#[allow(unused_imports, reason = "its users land one by one")]
pub(crate) use section::{SectionCall, Sleeper};
