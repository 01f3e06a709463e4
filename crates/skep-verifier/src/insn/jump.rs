//! Conditional jumps: which edges are possible, and what each teaches about the operands.

use crate::domain::{Edge, Scalar, branch_taken, refine, refine_same};
use crate::mem::btf::trust::is_trusted;
use crate::object::forget_ref;
use crate::pre::{MapId, MapTable, Program, has_lock};
use crate::prune::LinkSet;
use crate::reject::RejectKind;
use crate::state::{PacketRange, Place, PtrFlags, RegKind, RegState, SockKind, VerifierState};
use crate::walk::{Flow, Res, Walk};
use skep_abi::insn::{JmpOp, Reg, Src, Width};
use skep_abi::uapi::{BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_XSKMAP};
use skep_btf::fields::FieldKind;

/// The packet reaches no further than this behind a pointer (`MAX_PACKET_OFF`).
const MAX_PACKET_OFF: u64 = 0xffff;

/// Operands swapped, same truth (`flip_opcode`).
fn flip(op: JmpOp) -> JmpOp {
    match op {
        JmpOp::Gt => JmpOp::Lt,
        JmpOp::Ge => JmpOp::Le,
        JmpOp::Lt => JmpOp::Gt,
        JmpOp::Le => JmpOp::Ge,
        JmpOp::Sgt => JmpOp::Slt,
        JmpOp::Sge => JmpOp::Sle,
        JmpOp::Slt => JmpOp::Sgt,
        JmpOp::Sle => JmpOp::Sge,
        JmpOp::Eq | JmpOp::Ne | JmpOp::Set => op,
    }
}

impl Walk<'_> {
    pub(crate) fn exec_may_goto(&mut self, off: i16) -> Res<Flow> {
        self.jumps_processed += 1;
        // The path in hand leaves the loop; the one that stays is put aside, with what the loop changes made
        // unknown so that it converges.
        let mut stays = self.cur.clone();
        stays.may_goto_depth = stays.may_goto_depth.saturating_add(1);
        let frame = stays.cur_mut();
        frame.may_goto_depth = frame.may_goto_depth.saturating_add(1);
        self.widen_to_previous(self.idx, self.parent, &mut stays);
        self.push_path(self.idx + 1, stays)?;
        self.jump_target(off.into())
    }

    pub(crate) fn exec_jump_if(
        &mut self,
        width: Width,
        op: JmpOp,
        dst: Reg,
        src: Src,
        off: i16,
    ) -> Res<Flow> {
        self.jumps_processed += 1;
        self.check_readable(dst)?;
        self.check_src(src)?;
        let a = *self.cur.reg(dst);
        let b = match src {
            Src::Reg(r) => *self.cur.reg(r),
            Src::Imm(imm) => RegState::scalar(Scalar::imm(imm)),
        };
        if let Src::Reg(r) = src {
            let both_packet = a.kind.is_packet_any() && b.kind.is_packet_any();
            if !both_packet && self.is_secret(r) {
                return Err(RejectKind::PointerComparison { reg: r.num() }.into());
            }
        }
        if let Some(edge) = decide(width, op, &a, &b) {
            // The other edge was never looked at: that rests on these numbers.
            if a.is_scalar() {
                self.mark_precise(dst)?;
            }
            if let Src::Reg(r) = src
                && b.is_scalar()
            {
                self.mark_precise(r)?;
            }
            let target = self.slot_at(off.into())?;
            return match edge {
                Edge::Jump => {
                    self.push_mispredicted(self.idx + 1, dst, src)?;
                    Ok(Flow::To(target))
                }
                Edge::Fallthrough => {
                    self.push_mispredicted(target, dst, src)?;
                    Ok(Flow::Next)
                }
            };
        }
        if let Err(stop) = self.check_null_comparison(width, op, dst, src, &a, &b) {
            if self.cur.is_speculative {
                // The kernel has put the other edge aside by then, and finds there what else needs a barrier.
                self.push_path(self.slot_at(off.into())?, self.cur.clone())?;
            }
            return Err(stop);
        }

        let frame = self.cur.cur_idx() as u8;
        let links = self.collect_links(dst, src);
        let mut jumped = self.cur.clone();
        let target = self.slot_at(off.into())?;
        let mut possible = [true, true];
        if a.is_scalar() && b.is_scalar() {
            for (edge, state, ok) in
                [(Edge::Fallthrough, &mut self.cur, 0usize), (Edge::Jump, &mut jumped, 1usize)]
            {
                let (mut x, mut y) = (a.num, b.num);
                let narrowed = if src == Src::Reg(dst) {
                    refine_same(op, width, edge, &mut x)
                } else {
                    refine(op, width, edge, &mut x, &mut y)
                };
                if narrowed.is_err() {
                    possible[ok] = false;
                    continue;
                }
                state.reg_mut(dst).num = x;
                if let Src::Reg(r) = src
                    && r != dst
                {
                    state.reg_mut(r).num = y;
                    sync_links(state, frame, r, &links);
                }
                sync_links(state, frame, dst, &links);
            }
        } else {
            let prog = &self.prog;
            learn_pointers(prog, (width, op, dst, src), &mut self.cur, &mut jumped);
        }
        match possible {
            // SOUND: no pair of numbers takes a contradicted edge, but that rests on their bounds.
            [true, false] | [false, true] => {
                self.mark_precise(dst)?;
                if let Src::Reg(r) = src {
                    self.mark_precise(r)?;
                }
                if possible[0] {
                    self.push_mispredicted(target, dst, src)?;
                    return Ok(Flow::Next);
                }
                self.cur = jumped;
                self.push_mispredicted(self.idx + 1, dst, src)?;
                Ok(Flow::To(target))
            }
            [true, true] => {
                self.push_path(target, jumped)?;
                Ok(Flow::Next)
            }
            [false, false] => {
                self.mark_precise(dst)?;
                if let Src::Reg(r) = src {
                    self.mark_precise(r)?;
                }
                Ok(Flow::End)
            }
        }
    }

    /// Which comparisons of an address an unprivileged program may make.
    fn check_null_comparison(
        &self,
        width: Width,
        op: JmpOp,
        dst: Reg,
        src: Src,
        a: &RegState,
        b: &RegState,
    ) -> Res<()> {
        if !self.is_secret(dst) {
            return Ok(());
        }
        let null_check = width == Width::W64
            && src == Src::Imm(0)
            && matches!(op, JmpOp::Eq | JmpOp::Ne)
            && (a.may_be_null() || is_not_null(a));
        if null_check || packet_comparison(width, op, src, a, b).is_some() {
            return Ok(());
        }
        Err(RejectKind::PointerComparison { reg: dst.num() }.into())
    }

    /// Registers of a frame that are live: before the instruction in hand, or before the call that the frame is in.
    fn live_in_frame(&self, n: usize) -> u16 {
        let at = self.cur.frames.get(n + 1).map_or(self.idx, |inner| inner.callsite);
        self.prog.live_before.get(at as usize).copied().unwrap_or(u16::MAX)
    }

    /// Finds the registers that learn with the operands, and records them for precision (`collect_linked_regs`).
    fn collect_links(&mut self, dst: Reg, src: Src) -> LinkSet {
        let mut set = LinkSet::default();
        let other = match src {
            Src::Reg(r) => Some(r),
            Src::Imm(_) => None,
        };
        for r in [other, Some(dst)].into_iter().flatten() {
            let id = self.cur.reg(r).id;
            if !self.cur.reg(r).is_scalar() || id == 0 {
                continue;
            }
            let mut dropped = Vec::new();
            for (f, frame) in (0u8..).zip(&self.cur.frames) {
                // What nothing reads needs no learning.
                let live = self.live_in_frame(usize::from(f));
                let regs = (0u8..)
                    .zip(&frame.regs)
                    .filter(|(n, _)| live >> n & 1 != 0)
                    .map(|(n, r)| (Place::Reg(f, n), r));
                let spills = (0u8..)
                    .zip(&frame.stack)
                    .filter_map(|(n, s)| Some((Place::Slot(f, n), s.spill()?)));
                for (place, _) in regs.chain(spills).filter(|(_, r)| r.is_scalar() && r.id == id) {
                    if !set.add(place) {
                        dropped.push(place);
                    }
                }
            }
            for place in dropped {
                // SOUND: what precision could not follow must not learn.
                if let Some(r) = place_mut(&mut self.cur, place) {
                    r.unlink();
                }
            }
        }
        if set.len() > 1 {
            self.history.note_links(set);
        }
        set
    }
}

fn place_mut(state: &mut VerifierState, place: Place) -> Option<&mut RegState> {
    match place {
        Place::Reg(f, r) => state.frame_mut(f)?.regs.get_mut(usize::from(r)),
        Place::Slot(f, s) => {
            let slot = state.frame_mut(f)?.stack.get_mut(usize::from(s))?;
            slot.is_spill().then_some(&mut slot.reg)
        }
    }
}

/// Gives the registers that are linked to `reg` what was learned of it (`sync_linked_regs`).
fn sync_links(state: &mut VerifierState, frame: u8, reg: Reg, links: &LinkSet) {
    let Some(known) = state.at(Place::Reg(frame, reg.num())).copied() else { return };
    if known.id == 0 || !known.is_scalar() {
        return;
    }
    for place in links.places() {
        if place == Place::Reg(frame, reg.num()) {
            continue;
        }
        let Some(other) = place_mut(state, place) else { continue };
        if !other.is_scalar() || other.id != known.id {
            continue;
        }
        other.num = other.follow(&known);
    }
}

/// Pointers that are surely not NULL (`reg_not_null`).
fn is_not_null(r: &RegState) -> bool {
    if r.may_be_null() {
        return false;
    }
    match r.kind {
        RegKind::MapValue(_)
        | RegKind::MapKey(_)
        | RegKind::Map(_)
        | RegKind::Socket(SockKind::Full | SockKind::Common | SockKind::Tcp) => true,
        RegKind::Mem(_) => !r.flags.has(PtrFlags::UNTRUSTED),
        RegKind::Btf(_) => is_trusted(r),
        RegKind::NotInit
        | RegKind::Scalar
        | RegKind::Ctx
        | RegKind::Stack(_)
        | RegKind::Packet(_)
        | RegKind::PacketMeta(_)
        | RegKind::PacketEnd
        | RegKind::Func(_)
        | RegKind::FlowKeys
        | RegKind::Socket(SockKind::Xdp)
        | RegKind::TpBuffer
        | RegKind::Buf
        | RegKind::Arena
        | RegKind::Dynptr(_) => false,
    }
}

/// The edge that is surely taken (`is_branch_taken`).
fn decide(width: Width, op: JmpOp, a: &RegState, b: &RegState) -> Option<Edge> {
    if a.is_scalar() && b.is_scalar() {
        return branch_taken(op, width, &a.num, &b.num);
    }
    if width == Width::W32 {
        // DEVIATION: the kernel takes half of an address for not zero if the address is not NULL.
        return None;
    }
    if a.kind.is_packet_any() && b.kind.is_packet_any() {
        return decide_packet(op, a, b);
    }
    let (ptr, num) = if a.is_pointer() { (a, b) } else { (b, a) };
    if !num.is_null() || !is_not_null(ptr) {
        return None;
    }
    match op {
        JmpOp::Eq => Some(Edge::Fallthrough),
        JmpOp::Ne => Some(Edge::Jump),
        _ => None,
    }
}

// SOUND: a range of `AtEnd` or `BeyondEnd` was learned from a comparison of this very pointer.
fn decide_packet(op: JmpOp, a: &RegState, b: &RegState) -> Option<Edge> {
    let (ptr, op) = match (a.kind, b.kind) {
        (_, RegKind::PacketEnd) => (a, op),
        (RegKind::PacketEnd, _) => (b, flip(op)),
        _ => return None,
    };
    let RegKind::Packet(range) = ptr.kind else { return None };
    match (op, range) {
        (JmpOp::Gt, PacketRange::BeyondEnd) => Some(Edge::Jump),
        (JmpOp::Le, PacketRange::BeyondEnd) => Some(Edge::Fallthrough),
        (JmpOp::Ge, PacketRange::AtEnd | PacketRange::BeyondEnd) => Some(Edge::Jump),
        (JmpOp::Lt, PacketRange::AtEnd | PacketRange::BeyondEnd) => Some(Edge::Fallthrough),
        _ => None,
    }
}

/// A comparison of a packet pointer with the end of what it points into: `ptr op end`.
struct PacketComparison {
    ptr_is_dst: bool,
    op: JmpOp,
}

fn packet_comparison(
    width: Width,
    op: JmpOp,
    src: Src,
    a: &RegState,
    b: &RegState,
) -> Option<PacketComparison> {
    let is_start = |r: &RegState| {
        matches!(r.kind, RegKind::Packet(_))
            && r.off == 0
            && r.num.const_value() == Some(0)
            && r.id == 0
    };
    let bounds = |ptr: &RegState, end: &RegState| match ptr.kind {
        RegKind::Packet(_) => end.kind == RegKind::PacketEnd,
        RegKind::PacketMeta(_) => is_start(end),
        _ => false,
    };
    if width == Width::W32
        || src == Src::Imm(0)
        || !matches!(op, JmpOp::Gt | JmpOp::Ge | JmpOp::Lt | JmpOp::Le)
    {
        return None;
    }
    if bounds(a, b) {
        Some(PacketComparison { ptr_is_dst: true, op })
    } else if bounds(b, a) {
        Some(PacketComparison { ptr_is_dst: false, op: flip(op) })
    } else {
        None
    }
}

/// What a comparison of pointers teaches on each edge.
fn learn_pointers(
    prog: &Program,
    (width, op, dst, src): (Width, JmpOp, Reg, Src),
    fall: &mut VerifierState,
    jump: &mut VerifierState,
) {
    let a = *fall.reg(dst);
    let b = match src {
        Src::Reg(r) => *fall.reg(r),
        Src::Imm(imm) => RegState::scalar(Scalar::imm(imm)),
    };
    if let Some(c) = packet_comparison(width, op, src, &a, &b) {
        let (ptr, reg) = match src {
            Src::Reg(r) if !c.ptr_is_dst => (b, r),
            Src::Reg(_) | Src::Imm(_) => (a, dst),
        };
        // SOUND: `ptr <= end` means that all bytes below `ptr` are in the packet, `ptr < end` one more.
        let (inside, outside, strict) = match c.op {
            JmpOp::Gt => (fall, jump, false),
            JmpOp::Ge => (fall, jump, true),
            JmpOp::Lt => (jump, fall, true),
            _ => (jump, fall, false),
        };
        extend_range(inside, &ptr, strict);
        if matches!(ptr.kind, RegKind::Packet(_)) {
            let range = if strict { PacketRange::AtEnd } else { PacketRange::BeyondEnd };
            outside.reg_mut(reg).kind = RegKind::Packet(range);
        }
        return;
    }
    if width == Width::W32 || !matches!(op, JmpOp::Eq | JmpOp::Ne) {
        return;
    }
    let (equal, unequal) = if op == JmpOp::Eq { (jump, fall) } else { (fall, jump) };
    if b.is_null() && a.may_be_null() && matches!(src, Src::Imm(_)) {
        if a.ref_id != 0 && a.ref_id == a.id {
            // SOUND: what is NULL was never acquired; only the pointer that the call gave has the id of its reference.
            forget_ref(equal, a.ref_id);
        }
        resolve_null(prog, equal, a.id, NullCheck::IsNull);
        resolve_null(prog, unequal, a.id, NullCheck::NotNull);
    } else if a.is_pointer() && b.is_pointer() && a.may_be_null() != b.may_be_null() {
        // SOUND: equal to a pointer that is not NULL; those to the kernel's objects may be, whatever they are marked.
        let (maybe, other) = if a.may_be_null() { (a, b) } else { (b, a) };
        let is_object = |r: &RegState| matches!(r.kind, RegKind::Btf(_));
        let is_there = is_not_null(&other) || other.kind == RegKind::Socket(SockKind::Xdp);
        if is_there
            && !is_object(&other)
            && !is_object(&maybe)
            && other.off == 0
            && other.num.const_value() == Some(0)
        {
            resolve_null(prog, equal, maybe.id, NullCheck::NotNull);
        }
    }
}

/// Lets every packet pointer of the same variable part know how far the packet reaches (`find_good_pkt_pointers`).
fn extend_range(state: &mut VerifierState, ptr: &RegState, strict: bool) {
    let Ok(off) = u64::try_from(ptr.off) else { return };
    if off == 0 && strict {
        // The kernel learns nothing from this comparison, though one byte could be.
        return;
    }
    // SOUND: with the largest offset within the packet's limit, offset and range cannot overflow.
    if ptr.num.umax().saturating_add(off) > MAX_PACKET_OFF {
        return;
    }
    let Ok(range) = u16::try_from(off + u64::from(strict)) else { return };
    let (kind, id) = (ptr.kind, ptr.id);
    state.update_regs(
        |r| r.kind.same_packet(kind) && r.id == id,
        |r| {
            let range = match r.kind.packet_range() {
                Some(PacketRange::Bytes(old)) => old.max(range),
                Some(PacketRange::AtEnd | PacketRange::BeyondEnd) | None => range,
            };
            r.kind = r.kind.with_range(PacketRange::Bytes(range));
        },
    );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NullCheck {
    IsNull,
    NotNull,
}

/// What a lookup has found if it is not NULL: sockets are not in the map's memory (`mark_ptr_not_null_reg`).
fn found(maps: &MapTable, m: MapId) -> RegKind {
    match maps.get(m).map(|e| e.props.map_type) {
        Some(BPF_MAP_TYPE_XSKMAP) => RegKind::Socket(SockKind::Xdp),
        Some(BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH) => RegKind::Socket(SockKind::Full),
        Some(_) | None => RegKind::MapValue(m),
    }
}

/// Whether the map's values have members that call back later.
fn calls_back(maps: &MapTable, m: MapId) -> bool {
    let later = |k| matches!(k, FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork);
    maps.get(m).is_some_and(|e| e.props.fields.iter().any(|f| later(f.kind)))
}

/// Tells every copy of a pointer whether it is NULL (`mark_ptr_or_null_regs`).
// SOUND: copies share an id, which is given by each lookup anew, and a pointer that may be NULL cannot be moved.
fn resolve_null(prog: &Program, state: &mut VerifierState, id: u32, check: NullCheck) {
    state.update_regs(
        |r| r.may_be_null() && r.id == id,
        |r| {
            *r = match (check, r.kind) {
                (NullCheck::IsNull, _) => RegState::scalar(Scalar::ZERO),
                (NullCheck::NotNull, kind) => {
                    let inner = |m| prog.maps.get(m).and_then(|e| e.inner);
                    let kind = match kind {
                        RegKind::MapValue(m) => inner(m).map_or(found(&prog.maps, m), RegKind::Map),
                        other => other,
                    };
                    let flags = r.flags.without(PtrFlags::MAYBE_NULL);
                    let resolved = RegState { kind, flags, ..*r };
                    // The id of what holds a lock says which one it is.
                    let keeps_id = has_lock(prog.records.of_reg(&prog.maps, &resolved));
                    let id = if keeps_id { r.id } else { 0 };
                    // What timers call back with must come from the same lookup of an inner map.
                    let map_uid = match resolved.kind {
                        RegKind::Map(m) if calls_back(&prog.maps, m) => r.id,
                        _ => r.map_uid,
                    };
                    RegState { id, map_uid, ..resolved }
                }
            };
        },
    );
}
