//! Decoding, and the maps that a program names: [`MapTable`].

use super::map_use;
use crate::env::{Caps, Env, MapProps};
use crate::prog::LoadRequest;
use crate::reject::{DecodeText, Reject, RejectKind};
use skep_abi::insn::{Imm64, Insn, decode};
use skep_abi::uapi::BPF_MAP_TYPE_ARENA;

/// Number of a map within one verification: index into [`MapTable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) struct MapId(u16);

impl MapId {
    /// The number alone.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

/// One map that the program can come to hold.
#[derive(Debug)]
pub(crate) struct MapEntry {
    pub(crate) props: MapProps,
    /// Index into the fd array; for an inner map that of the outer one.
    pub(crate) fd_idx: u32,
    /// What a lookup in it gives, for a map of maps.
    pub(crate) inner: Option<MapId>,
}

/// The maps that a program names, with what their lookups give.
#[derive(Debug, Default)]
pub(crate) struct MapTable {
    entries: Vec<MapEntry>,
}

/// `MAX_USED_MAPS`.
const MAX_USED_MAPS: usize = 64;

impl MapTable {
    /// The map; ids come only from this table.
    pub(crate) fn get(&self, id: MapId) -> Option<&MapEntry> {
        self.entries.get(usize::from(id.0))
    }

    /// The id of the map at an index of the fd array.
    pub(crate) fn by_fd_idx(&self, fd_idx: u32) -> Option<MapId> {
        let at = self.entries.iter().position(|e| e.fd_idx == fd_idx)?;
        u16::try_from(at).ok().map(MapId)
    }

    /// The maps that the program names, by index in the load's fd array; without those in them.
    pub(crate) fn named(&self) -> impl Iterator<Item = (u32, &MapProps)> {
        // What is in a map stands right behind it.
        let behind = std::iter::once(None).chain(self.entries.iter().map(|e| e.inner));
        let named = self.entries.iter().zip(behind).filter(|(_, outer)| outer.is_none());
        named.map(|(e, _)| (e.fd_idx, &e.props))
    }

    /// All maps, with those in maps.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MapProps> {
        self.entries.iter().map(|e| &e.props)
    }

    fn add(&mut self, fd_idx: u32, props: &MapProps) {
        let id = self.entries.len();
        let inner = props.inner.as_ref().map(|_| MapId(id as u16 + 1));
        self.entries.push(MapEntry { props: props.clone(), fd_idx, inner });
        if let Some(i) = &props.inner {
            self.entries.push(MapEntry { props: (**i).clone(), fd_idx, inner: None });
        }
    }
}

/// `BPF_MAXINSNS`, for the unprivileged.
const MAX_INSNS_UNPRIV: usize = 4096;
/// `BPF_COMPLEXITY_LIMIT_INSNS`, for the privileged.
const MAX_INSNS: usize = 1_000_000;

/// Offsets into a value stay below this (`BPF_MAX_VAR_OFF`).
const MAX_VALUE_OFF: u32 = 1 << 29;

/// The program is not longer than its loader may make it.
pub(super) fn check_length(req: &LoadRequest, env: &dyn Env) -> Result<(), Reject> {
    let max = if env.caps().allows(Caps::BPF) { MAX_INSNS } else { MAX_INSNS_UNPRIV };
    if req.insns.is_empty() {
        return Err(Reject::new(0, RejectKind::Empty {}));
    }
    if req.insns.len() > max {
        return Err(Reject::new(0, RejectKind::TooLarge { max }));
    }
    Ok(())
}

/// Decodes the program.
pub(super) fn decode_all(req: &LoadRequest) -> Result<Vec<Insn>, Reject> {
    decode(&req.insns).map_err(|e| {
        // The kernel looks at the end of the program before it looks at each instruction.
        let last = req.insns.len().saturating_sub(1);
        match req.insns.get(last).map(|insn| insn.code) {
            Some(EXIT | GOTO | GOTO32) | None => {
                Reject::new(e.slot as u32, RejectKind::Decode { error: DecodeText(e) })
            }
            Some(_) => Reject::new(last as u32, RejectKind::LastInsn {}),
        }
    })
}

/// Opcodes that a program may end with.
const EXIT: u8 = 0x95;
const GOTO: u8 = 0x05;
const GOTO32: u8 = 0x06;

/// Finds every map that the program names.
pub(super) fn resolve_maps(
    insns: &[Insn],
    env: &dyn Env,
    may_sleep: bool,
) -> Result<MapTable, Reject> {
    let mut table = MapTable::default();
    let mut used = 0usize;
    for (idx, insn) in (0u32..).zip(insns) {
        let Insn::LdImm64 { imm, .. } = insn else { continue };
        let (fd_idx, value_off) = match *imm {
            Imm64::Value(_) | Imm64::Func(..) | Imm64::BtfId(..) => continue,
            Imm64::MapIdx(i, _) => (i, None),
            Imm64::MapIdxValue(i, off) => (i, Some(off)),
            Imm64::MapFd(fd, _) | Imm64::MapValue(fd, _) => {
                return Err(Reject::new(idx, RejectKind::MapByFd { fd }));
            }
        };
        let props = u32::try_from(fd_idx).ok().and_then(|i| Some((i, env.map(i)?)));
        let Some((fd_idx, props)) = props else {
            return Err(Reject::new(idx, RejectKind::NoSuchMap { fd: fd_idx }));
        };
        let is_new = table.by_fd_idx(fd_idx).is_none();
        if is_new {
            used += 1;
            if used > MAX_USED_MAPS {
                return Err(Reject::new(idx, RejectKind::TooManyMaps {}));
            }
            map_use::check(props, env.prog_type().prog_type, may_sleep)
                .map_err(|e| Reject::new(idx, e.into()))?;
        }
        let is_arena = props.map_type == BPF_MAP_TYPE_ARENA;
        if is_arena && !env.caps().allows(Caps::BPF | Caps::PERFMON) {
            return Err(Reject::new(idx, RejectKind::ArenaNeedsCaps {}));
        }
        let is_other_arena =
            |e: &MapEntry| e.props.map_type == BPF_MAP_TYPE_ARENA && e.fd_idx != fd_idx;
        if is_arena && table.entries.iter().any(is_other_arena) {
            return Err(Reject::new(idx, RejectKind::TwoArenas {}));
        }
        if let Some(off) = value_off.filter(|_| !is_arena) {
            // As in the kernel, only arrays of one element: the offset then stays in one value.
            if !props.direct_value || props.max_entries != 1 {
                return Err(Reject::new(idx, RejectKind::NoDirectValue {}));
            }
            let value_size = props.value_size;
            if off >= MAX_VALUE_OFF {
                return Err(Reject::new(idx, RejectKind::DirectValueFar { off }));
            }
            if off >= value_size {
                return Err(Reject::new(idx, RejectKind::DirectValueOff { value_size, off }));
            }
        }
        if is_new {
            table.add(fd_idx, props);
        }
    }
    Ok(table)
}
