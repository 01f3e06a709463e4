//! Helpers: one descriptor each, next to its code; [`HELPERS`] lists them, [`helpers`] all of Linux 6.18.
//!
//! A [`Helper`] says what the verifier must know ([`HelperProto`]), who may call it, since when Linux has it, and
//! how much of it works. Helpers that Skep does not have yet are in `missing`.

mod cbpf;
mod control;
mod csum;
mod format;
mod maps;
mod misc;
mod missing;
mod printk;
mod probe;
mod skb;
mod skb_shape;
mod strings;
mod time;
mod xdp;

use crate::prog_type::ProgTypes;
use crate::support::Support;
use core::fmt;
use skep_abi::Errno;
use skep_verifier::env::{
    ArgType, Callback, HelperLookup, HelperProto, MemAccess, MemArg, Nullable, RetType,
};
use skep_vm::{HelperEntry, HelperFn, HelperTable};

pub use missing::{MISSING, Missing};

/// What a caller needs to be allowed to load a program with a helper, besides the program type's needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cap {
    /// Nothing more.
    None,
    /// CAP_BPF.
    Bpf,
    /// CAP_PERFMON.
    Perfmon,
}

/// One helper that Skep has.
#[derive(Clone, Copy)]
pub struct Helper {
    /// What the verifier must know.
    pub proto: HelperProto,
    /// Linux version that introduced it, `(major, minor)`; `(0, 0)` for what only translated classic BPF calls.
    pub since: (u16, u16),
    /// Privilege.
    pub cap: Cap,
    /// Program types that may call it.
    pub progs: ProgTypes,
    /// What works.
    pub support: Support,
    /// Its code.
    pub run: HelperFn,
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.proto.name, self.proto.id)
    }
}

/// All helpers that Skep has, by topic.
pub static HELPERS: &[&[Helper]] = &[
    maps::HELPERS,
    time::HELPERS,
    misc::HELPERS,
    printk::HELPERS,
    probe::HELPERS,
    strings::HELPERS,
    skb::HELPERS,
    skb_shape::HELPERS,
    csum::HELPERS,
    xdp::HELPERS,
    control::HELPERS,
    cbpf::HELPERS,
];

/// Finds a helper that Skep has by number.
pub fn helper(id: i32) -> Option<&'static Helper> {
    HELPERS.iter().flat_map(|topic| topic.iter()).find(|h| h.proto.id == id)
}

/// Whether a program type may call a helper, as the verifier asks.
pub fn lookup(id: i32, prog: ProgTypes) -> HelperLookup<'static> {
    if let Some(h) = helper(id) {
        return match h.support {
            _ if !h.progs.contains(prog) => HelperLookup::NotAllowed(h.proto.name),
            Support::No(..) => HelperLookup::Unsupported(h.proto.name),
            Support::Full | Support::Partial(_) => HelperLookup::Known(&h.proto),
        };
    }
    match MISSING.iter().find(|m| m.id == id) {
        Some(m) => HelperLookup::Unsupported(m.name),
        None => HelperLookup::Unknown,
    }
}

/// The helper table that programs are linked with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Table;

impl HelperTable for Table {
    fn helper(&self, id: i32) -> Option<HelperEntry> {
        let h = helper(id)?;
        Some(HelperEntry { proto: &h.proto, run: h.run })
    }
}

/// A line of the list of all helpers of Linux 6.18.
#[derive(Clone, Copy, Debug)]
pub struct HelperInfo {
    /// Number.
    pub id: i32,
    /// Name without prefix.
    pub name: &'static str,
    /// Linux version that introduced it.
    pub since: (u16, u16),
    /// What works.
    pub support: Support,
}

/// All helpers of Linux 6.18 by ascending number.
pub fn helpers() -> Vec<HelperInfo> {
    let have = HELPERS.iter().flat_map(|topic| topic.iter()).filter(|h| h.since != (0, 0));
    let mut all: Vec<HelperInfo> = have
        .map(|h| HelperInfo {
            id: h.proto.id,
            name: h.proto.name,
            since: h.since,
            support: h.support,
        })
        .collect();
    all.extend(MISSING.iter().map(|m| HelperInfo {
        id: m.id,
        name: m.name,
        since: m.since,
        support: Support::No(Errno::EINVAL, m.note),
    }));
    all.sort_by_key(|h| h.id);
    all
}

// Shorthand for the descriptors.

const NONE: ArgType = ArgType::None;
const ANY: ArgType = ArgType::Anything;
const CTX: ArgType = ArgType::Ctx;
const MAP: ArgType = ArgType::ConstMap;
const KEY: ArgType = ArgType::MapKey;
const VALUE: ArgType = ArgType::MapValue;
const SIZE: ArgType = ArgType::Size;
const SIZE0: ArgType = ArgType::SizeOrZero;
const STR: ArgType = ArgType::ConstStr;
const IN: ArgType = mem(MemAccess::Read, Nullable::No);
const IN_OR_NULL: ArgType = mem(MemAccess::Read, Nullable::Yes);
const OUT: ArgType = mem(MemAccess::Write, Nullable::No);
const OUT_OR_NULL: ArgType = mem(MemAccess::Write, Nullable::Yes);

const fn mem(access: MemAccess, nullable: Nullable) -> ArgType {
    ArgType::Mem(MemArg { access, nullable })
}

/// A prototype that returns a scalar; the constants below change what differs.
const fn proto(id: i32, name: &'static str, args: &[ArgType]) -> HelperProto {
    let mut all = [ArgType::None; 5];
    let mut i = 0;
    while i < args.len() {
        all[i] = args[i];
        i += 1;
    }
    HelperProto { id, name, args: all, ..HelperProto::PLAIN }
}

const fn pkt_access(p: HelperProto) -> HelperProto {
    HelperProto { pkt_access: true, ..p }
}

const fn changes_pkt(p: HelperProto) -> HelperProto {
    HelperProto { changes_pkt_data: true, ..p }
}

const fn gpl(p: HelperProto) -> HelperProto {
    HelperProto { gpl_only: true, ..p }
}

const fn returns(p: HelperProto, ret: RetType) -> HelperProto {
    HelperProto { ret, ..p }
}

/// A fully supported helper without needs.
const fn helper_of(
    proto: HelperProto,
    since: (u16, u16),
    progs: ProgTypes,
    run: HelperFn,
) -> Helper {
    Helper { proto, since, cap: Cap::None, progs, support: Support::Full, run }
}

/// What a helper returns for a result.
fn ret(result: Result<(), Errno>) -> u64 {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_ret(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_helper_of_linux_is_listed_once() {
        let all = helpers();
        let ids: Vec<i32> = all.iter().map(|h| h.id).collect();
        assert_eq!(ids, (1..=211).collect::<Vec<_>>());
        assert!(all.iter().all(|h| h.since >= (3, 19)), "each has a version");
    }

    #[test]
    fn lookups_tell_the_cases_apart() {
        use crate::prog_type::ProgTypes as P;
        assert!(matches!(lookup(1, P::XDP), HelperLookup::Known(p) if p.name == "map_lookup_elem"));
        assert!(matches!(lookup(44, P::SCHED_CLS), HelperLookup::NotAllowed(_)));
        assert!(matches!(lookup(69, P::XDP), HelperLookup::Unsupported(_)));
        assert!(matches!(lookup(0, P::XDP), HelperLookup::Unknown));
        assert!(matches!(lookup(212, P::XDP), HelperLookup::Unknown));
    }
}
