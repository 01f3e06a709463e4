//! What programs hold: references, locks, sections, kernel pointers, lists and trees.
//!
//! - [`irq`], [`lock`], [`section`]: saved interrupt states, locks, and sections that forbid to sleep;
//! - [`dynptr`], [`iter`]: objects that a program keeps on its stack; [`place`]: where they are;
//! - [`kptr`], [`graph`], [`timer`]: members of map values and allocated objects that only the kernel may touch;
//! - [`refs`]: acquiring, releasing, and that nothing is left at the end.

mod dynptr;
mod graph;
mod irq;
mod iter;
mod kptr;
mod lock;
mod place;
mod refs;
mod section;
mod timer;

pub(crate) use dynptr::{DynptrInfo, DynptrUse};
pub(crate) use graph::{NodeUse, Root};
pub(crate) use irq::IrqBy;
pub(crate) use iter::{IterPlace, depths_differ};
pub(crate) use kptr::kptr_name;
pub(crate) use refs::{Leaving, forget_ref};
pub(crate) use section::{SectionCall, Sleeper};
