//! What programs hold: references, locks, sections, kernel pointers, lists and trees.
//!
//! - [`irq`], [`lock`], [`section`]: saved interrupt states, locks, and sections that forbid to sleep;
//! - [`dynptr`], [`iter`]: objects that a program keeps on its stack; [`place`]: where they are;
//! - [`refs`]: acquiring, releasing, and that nothing is left at the end.
#![expect(clippy::allow_attributes, reason = "while users land one by one")]

mod dynptr;
#[allow(dead_code, reason = "its users land one by one")]
mod graph;
#[allow(dead_code, reason = "its users land one by one")]
mod irq;
mod iter;
#[allow(dead_code, reason = "its users land one by one")]
mod kptr;
#[allow(dead_code, reason = "its users land one by one")]
mod lock;
mod place;
#[allow(dead_code, reason = "its users land one by one")]
mod refs;
#[allow(dead_code, reason = "its users land one by one")]
mod section;
#[allow(dead_code, reason = "its users land one by one")]
mod timer;

pub(crate) use dynptr::{DynptrInfo, DynptrUse};
#[allow(unused_imports, reason = "its users land one by one")]
pub(crate) use graph::{NodeUse, Root};
#[allow(unused_imports, reason = "its users land one by one")]
pub(crate) use irq::IrqBy;
pub(crate) use iter::{IterPlace, depths_differ};
pub(crate) use kptr::kptr_name;
pub(crate) use refs::{Leaving, forget_ref};
#[allow(unused_imports, reason = "its users land one by one")]
pub(crate) use section::{SectionCall, Sleeper};
