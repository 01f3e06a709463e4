//! The flow dissector's keys (`struct bpf_flow_keys`): plain memory of a fixed size.

use super::region::fits;
use super::{Direction, MemAccess, UNKNOWN, ZeroSize};
use crate::reject::{HelperReject, RejectKind};
use crate::state::RegState;
use crate::walk::{Res, Walk};

/// `sizeof(struct bpf_flow_keys)`.
const FLOW_KEYS_SIZE: u64 = 56;

impl Walk<'_> {
    // SOUND: such a pointer is moved only by known numbers, so its fixed offset is all of it.
    pub(super) fn check_flow_keys(
        &self,
        ptr: &RegState,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        self.check_leak(dir, |reg| HelperReject::LeakIntoFlowKeys { reg }.into())?;
        let off = i64::from(ptr.off) + i64::from(a.off);
        let size = u64::from(a.size.bytes());
        let is_known = ptr.num.const_value() == Some(0);
        if !is_known || !fits(FLOW_KEYS_SIZE, off, size, ZeroSize::Forbidden) {
            return Err(RejectKind::from(HelperReject::FlowKeysAccess { off, size }).into());
        }
        Ok(UNKNOWN)
    }
}
