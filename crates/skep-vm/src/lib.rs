//! Execution of BPF programs: the readable interpreter that every other engine must equal.
//!
//! - [`Prog`]: a program ready to run, from a [`skep_verifier::VerifiedProg`] ([`Prog::new`]) or from
//!   instructions that nobody verified ([`Prog::unverified`], which always run checked).
//! - [`Context`]: what a program is given: its native context memory, the memory it may reach, and
//!   legacy packet loads. [`NativeMem`] is the memory both sides share.
//! - [`Runtime`]: one run's stacks, budgets and sources of time and randomness ([`Host`]).
//! - [`run`]: the interpreter; [`Trap`] says why and where a run was stopped.
//! - [`Call`]: what a helper function sees of its caller, typed by the helper's prototype.
//!
//! # What is trusted
//!
//! A verified program runs on real addresses without checks. That is sound if what the verifier was
//! told is true: the prototypes of its `Env` are those of the helpers given to [`Prog::new`], the map
//! properties those of the maps, the context layout that of the [`Context`]. [`Mode::Checked`] trusts none
//! of this: each access is checked against the memory that the run may touch.

mod access;
mod call;
mod context;
mod exec;
mod interp;
mod mem;
mod prog;
mod region;
mod runtime;
mod trap;

pub use call::{Call, MemRef};
pub use context::{Context, MemContext};
pub use interp::run;
pub use mem::{NativeMem, OutOfRange};
pub use prog::{HelperEntry, HelperFn, HelperTable, NoHelpers, Prog, ProgError, ProgErrorKind};
pub use region::{Region, RegionAccess};
pub use runtime::{Clock, FixedHost, Host, Limits, MAX_TAIL_CALL_CNT, Mode, Runtime, SystemHost};
pub use trap::{Access, Trap, TrapKind};
