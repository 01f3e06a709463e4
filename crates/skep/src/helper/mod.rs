//! Helpers of Linux 6.18: one descriptor each, next to its code; [`HELPERS`] lists them by topic.
//!
//! A [`Helper`] says what the verifier must know ([`HelperProto`]), who may call it, since when Linux has it, and
//! how much of it works. A helper without code is *judged*: programs that call it are verified, but cannot be linked to
//! run. A helper whose prototype depends on the program's type has a descriptor for each.

mod allowed;
mod bpf;
mod cbpf;
mod cgroup;
mod control;
mod csum;
mod dynptr;
mod format;
mod lirc;
mod maps;
mod misc;
mod object;
mod printk;
mod probe;
mod queue;
mod ringbuf;
mod route;
mod skb;
mod skb_shape;
mod sock_map;
mod socket;
mod stack;
mod storage;
mod strings;
mod task;
mod tcp;
mod time;
mod tracing;
mod xdp;

use crate::prog_type::ProgTypes;
use crate::support::Support;
use core::fmt;
use skep_abi::Errno;
use skep_verifier::env::{
    ArgType, Callback, DynptrArg, DynptrSort, HelperLookup, HelperProto, MemAccess, MemArg,
    Nullable, RefEffect, RetType, SockArg, SockRet,
};
use skep_vm::{HelperEntry, HelperFn, HelperTable};
use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use allowed::{Allowed, Caller, is_sleepable_hook};

/// A helper.
#[derive(Clone, Copy)]
pub struct Helper {
    /// What the verifier must know.
    pub proto: HelperProto,
    /// Linux version that introduced it, `(major, minor)`; `(0, 0)` for what only translated classic BPF calls.
    pub since: (u16, u16),
    /// Program types that may call it.
    pub progs: ProgTypes,
    /// Attach types (`BPF_*`) that it is only for; none for all.
    pub attach: &'static [u32],
    /// What else must hold.
    pub allowed: Allowed,
    /// What works.
    pub support: Support,
    /// Its code; none where it is only judged.
    pub run: Option<HelperFn>,
}

impl Helper {
    /// Why it cannot be run, if it is only judged.
    pub fn no_code(&self) -> Option<&'static str> {
        match (self.run, self.support) {
            (None, Support::No(_, note) | Support::Partial(note)) => Some(note),
            (None, Support::Full) => Some("it has no code"),
            (Some(_), _) => None,
        }
    }

    fn is_for(&self, caller: &Caller<'_>) -> bool {
        self.progs.contains(caller.types)
            && (self.attach.is_empty() || self.attach.contains(&caller.attach_type))
            && allowed::sockopt_fits(self.proto.id, caller)
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.proto.name, self.proto.id)
    }
}

/// All helpers, by topic.
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
    queue::HELPERS,
    ringbuf::HELPERS,
    dynptr::HELPERS,
    object::HELPERS,
    storage::HELPERS,
    task::HELPERS,
    stack::HELPERS,
    cgroup::HELPERS,
    route::HELPERS,
    socket::HELPERS,
    tcp::HELPERS,
    sock_map::HELPERS,
    tracing::HELPERS,
    lirc::HELPERS,
    bpf::HELPERS,
];

fn all() -> impl Iterator<Item = &'static Helper> {
    HELPERS.iter().flat_map(|topic| topic.iter())
}

/// The descriptors of each number; calls are looked up for each instruction that the verifier walks over.
static BY_ID: LazyLock<BTreeMap<i32, Vec<&'static Helper>>> = LazyLock::new(|| {
    let mut by_id: BTreeMap<i32, Vec<&'static Helper>> = BTreeMap::new();
    for h in all() {
        by_id.entry(h.proto.id).or_default().push(h);
    }
    by_id
});

/// Finds a helper by number: the descriptor with code, if there is one.
pub fn helper(id: i32) -> Option<&'static Helper> {
    let found = BY_ID.get(&id)?;
    found.iter().find(|h| h.run.is_some()).or(found.first()).copied()
}

/// Whether a program may call a helper, as the verifier asks.
pub fn lookup(id: i32, caller: &Caller<'_>) -> HelperLookup<'static> {
    let Some(found) = BY_ID.get(&id) else { return HelperLookup::Unknown };
    match found.iter().find(|h| h.is_for(caller)) {
        None => {
            found.first().map_or(HelperLookup::Unknown, |h| HelperLookup::NotAllowed(h.proto.name))
        }
        Some(h) if !h.allowed.holds(caller) => HelperLookup::NotHere(h.proto.name),
        Some(h) => HelperLookup::Known(&h.proto),
    }
}

/// The helper table that programs are linked with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Table;

impl HelperTable for Table {
    fn helper(&self, id: i32) -> Option<HelperEntry> {
        let h = helper(id)?;
        Some(HelperEntry { proto: &h.proto, run: h.run? })
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
    /// What works when it runs; everything is judged.
    pub support: Support,
}

/// All helpers of Linux 6.18 by ascending number.
pub fn helpers() -> Vec<HelperInfo> {
    let found = BY_ID.keys().filter_map(|id| helper(*id)).filter(|h| h.since != (0, 0));
    found
        .map(|h| HelperInfo {
            id: h.proto.id,
            name: h.proto.name,
            since: h.since,
            support: h.support,
        })
        .collect()
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
const IN_OUT: ArgType = mem(MemAccess::ReadWrite, Nullable::No);
const IN_OUT_OR_NULL: ArgType = mem(MemAccess::ReadWrite, Nullable::Yes);
const SOCK: ArgType = ArgType::BtfSockCommon(SockArg::Plain);
const SOCK_OR_NULL: ArgType = ArgType::BtfSockCommon(SockArg::OrNull);
const SOCK_RELEASE: ArgType = ArgType::BtfSockCommon(SockArg::Release);
const DYNPTR: ArgType = ArgType::Dynptr(DynptrArg::Use);

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

const fn fixed(access: MemAccess, size: u32) -> ArgType {
    ArgType::FixedMem(MemArg { access, nullable: Nullable::No }, size)
}

const fn aligned(access: MemAccess, size: u32) -> ArgType {
    ArgType::AlignedMem(MemArg { access, nullable: Nullable::No }, size)
}

const fn object(name: &'static str) -> ArgType {
    ArgType::Btf(name, Nullable::No)
}

const fn object_or_null(name: &'static str) -> ArgType {
    ArgType::Btf(name, Nullable::Yes)
}

const fn sleeps(p: HelperProto) -> HelperProto {
    HelperProto { might_sleep: true, ..p }
}

const fn fastcall(p: HelperProto) -> HelperProto {
    HelperProto { fastcall: true, ..p }
}

const fn acquires(p: HelperProto) -> HelperProto {
    HelperProto { refs: RefEffect::Acquires, ..p }
}

const fn passes(p: HelperProto) -> HelperProto {
    HelperProto { refs: RefEffect::Passes, ..p }
}

const fn calls_back(p: HelperProto, callback: Callback) -> HelperProto {
    HelperProto { callback, ..p }
}

/// A fully supported helper.
const fn helper_of(
    proto: HelperProto,
    since: (u16, u16),
    progs: ProgTypes,
    run: HelperFn,
) -> Helper {
    let support = Support::Full;
    Helper { proto, since, progs, attach: &[], allowed: Allowed::Always, support, run: Some(run) }
}

/// A helper without code.
const fn judged(
    proto: HelperProto,
    since: (u16, u16),
    progs: ProgTypes,
    note: &'static str,
) -> Helper {
    let support = Support::No(Errno::EINVAL, note);
    Helper { proto, since, progs, attach: &[], allowed: Allowed::Always, support, run: None }
}

const fn attached(h: Helper, attach: &'static [u32]) -> Helper {
    Helper { attach, ..h }
}

const fn allowed(h: Helper, allowed: Allowed) -> Helper {
    Helper { allowed, ..h }
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
        let xdp = Caller::of(P::XDP);
        assert!(matches!(lookup(1, &xdp), HelperLookup::Known(p) if p.name == "map_lookup_elem"));
        assert!(matches!(lookup(44, &Caller::of(P::SCHED_CLS)), HelperLookup::NotAllowed(_)));
        assert!(matches!(lookup(69, &xdp), HelperLookup::Known(p) if p.name == "fib_lookup"));
        assert!(matches!(lookup(0, &xdp), HelperLookup::Unknown));
        assert!(matches!(lookup(212, &xdp), HelperLookup::Unknown));
        assert!(Table.helper(69).is_none(), "it is only judged");
        let iter = Caller { attach_type: 28, ..Caller::of(P::TRACING) };
        assert!(matches!(lookup(126, &iter), HelperLookup::Known(_)));
        assert!(matches!(lookup(126, &Caller::of(P::TRACING)), HelperLookup::NotAllowed(_)));
        assert!(matches!(lookup(147, &Caller::of(P::TRACING)), HelperLookup::NotHere(_)));
    }
}
