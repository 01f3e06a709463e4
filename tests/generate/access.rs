//! Blocks of [`Builder`] that touch memory: stack, context, packet, maps, atomics, helpers that take memory.

use skep_abi::insn::{AluOp, AtomicOp, CallTarget, Imm64, Insn, JmpOp, Reg, Size, Src, Width};

use super::blocks::Builder;
use super::state::{Kind, SLOTS, Slot};
use super::{Flavor, MAPS, mov, mov_imm};

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

/// Helper numbers of `linux/bpf.h`.
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const MAP_UPDATE_ELEM: i32 = 2;
    pub(super) const MAP_DELETE_ELEM: i32 = 3;
    pub(super) const SKB_STORE_BYTES: i32 = 9;
    pub(super) const SKB_LOAD_BYTES: i32 = 26;
    pub(super) const CSUM_DIFF: i32 = 28;
    pub(super) const XDP_ADJUST_HEAD: i32 = 44;
    pub(super) const XDP_ADJUST_TAIL: i32 = 65;
}

/// Offsets of `__sk_buff` and `xdp_md`.
mod ctx {
    pub(super) const SKB_DATA: i16 = 76;
    pub(super) const SKB_DATA_END: i16 = 80;
    pub(super) const SKB_CB: i16 = 48;
    /// len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, priority, ingress_ifindex,
    /// ifindex, tc_index, cb, hash.
    pub(super) const SKB_READ: [i16; 13] = [0, 4, 8, 12, 16, 20, 24, 32, 36, 40, 44, 48, 68];
    /// mark, priority. Not tc_index and tc_classid, of which the kernel keeps 16 bits.
    pub(super) const CLS_WRITE: [i16; 2] = [8, 32];
    pub(super) const XDP_DATA: i16 = 0;
    pub(super) const XDP_DATA_END: i16 = 4;
    /// ingress_ifindex, rx_queue_index.
    pub(super) const XDP_READ: [i16; 2] = [12, 16];
}

/// Offset from R10 of a stack slot.
pub(super) const fn slot_off(slot: usize) -> i16 {
    -8 * (slot as i16 + 1)
}

impl Builder<'_> {
    /// A load or store at an aligned place within eight bytes.
    fn place(&mut self) -> (Size, i16) {
        let size = self.rng.pick(&SIZES);
        let bytes = size.bytes() as i16;
        let at = self.rng.below((8 / bytes) as usize) as i16 * bytes;
        (size, at)
    }

    pub(super) fn source(&mut self) -> Src {
        match self.scalar() {
            Some(reg) if self.rng.chance(70) => Src::Reg(reg),
            _ => Src::Imm(self.rng.imm()),
        }
    }

    fn load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        let signed = size != Size::DW && self.rng.chance(25);
        self.put(Insn::Load { size, signed, dst, src, off });
        self.st.set(dst, Kind::Scalar);
    }

    /// Stores a number on the stack, or loads one.
    pub(crate) fn stack_access(&mut self) {
        let (size, at) = self.place();
        let bits = (((1u16 << size.bytes()) - 1) as u8) << at;
        if self.rng.chance(50) {
            let slot = self.rng.below(SLOTS);
            // A pointer must not be overwritten in part.
            if matches!(self.st.stack[slot], Slot::Spilled(k) if k != Kind::Scalar) {
                return;
            }
            let src = self.source();
            self.put(Insn::Store { size, dst: Reg::R10, off: slot_off(slot) + at, src });
            self.st.stack[slot] = match self.st.stack[slot] {
                Slot::Bytes(init) => Slot::Bytes(init | bits),
                Slot::Spilled(_) => Slot::Bytes(0xff),
            };
            return;
        }
        let readable: Vec<usize> = (0..SLOTS)
            .filter(|&s| match self.st.stack[s] {
                Slot::Bytes(init) => init & bits == bits,
                Slot::Spilled(k) => k == Kind::Scalar,
            })
            .collect();
        if let (Some(dst), false) = (self.writable_scalar(), readable.is_empty()) {
            let slot = self.rng.pick(&readable);
            self.load(size, dst, Reg::R10, slot_off(slot) + at);
        }
    }

    /// Saves a register on the stack, or restores one.
    pub(crate) fn spill_or_fill(&mut self) {
        let filled: Vec<usize> =
            (0..SLOTS).filter(|&s| matches!(self.st.stack[s], Slot::Spilled(_))).collect();
        if self.rng.chance(50) && !filled.is_empty() {
            let slot = self.rng.pick(&filled);
            let Slot::Spilled(kind) = self.st.stack[slot] else { return };
            let dst = self.target();
            let off = slot_off(slot);
            self.put(Insn::Load { size: Size::DW, signed: false, dst, src: Reg::R10, off });
            self.st.set(dst, kind);
            return;
        }
        let held = self.st.holding(|k| k != Kind::None);
        if held.is_empty() {
            return;
        }
        let (src, slot) = (self.rng.pick(&held), self.rng.below(SLOTS));
        self.put(Insn::Store {
            size: Size::DW,
            dst: Reg::R10,
            off: slot_off(slot),
            src: Src::Reg(src),
        });
        self.st.stack[slot] = Slot::Spilled(self.st.kind(src));
    }

    /// Reads or writes a context field.
    pub(crate) fn context_access(&mut self) {
        let bases = self.st.holding(|k| k == Kind::Ctx);
        if bases.is_empty() {
            return;
        }
        let base = self.rng.pick(&bases);
        if self.flavor.is_skb() && self.rng.chance(40) {
            let cls = self.flavor == Flavor::SchedCls && self.rng.chance(50);
            let (size, off) = if cls {
                (Size::W, self.rng.pick(&ctx::CLS_WRITE))
            } else {
                let (size, at) = self.place();
                (size, ctx::SKB_CB + 8 * self.rng.below(2) as i16 + at)
            };
            let src = self.source();
            self.put(Insn::Store { size, dst: base, off, src });
            return;
        }
        let off = if self.flavor.is_skb() {
            self.rng.pick(&ctx::SKB_READ)
        } else {
            self.rng.pick(&ctx::XDP_READ)
        };
        // Narrow loads only of fields that 6.18 allows them for, and from their start.
        let size = if self.flavor.is_skb() && self.rng.chance(20) {
            self.rng.pick(&[Size::B, Size::H])
        } else {
            Size::W
        };
        if let Some(dst) = self.writable_scalar() {
            self.put(Insn::Load { size, signed: false, dst, src: base, off });
        }
    }

    /// Packet bytes: directly behind a bounds check, by legacy load or by helper.
    pub(crate) fn packet_access(&mut self) {
        let direct = self.flavor != Flavor::SocketFilter;
        match self.rng.below(4) {
            0 if self.legacy_loads && self.st.kind(Reg::R6) == Kind::Ctx => self.legacy_load(),
            1 if self.flavor.is_skb() => self.load_bytes(),
            1 if self.rng.chance(30) => self.change_packet(),
            2 if direct && self.rng.chance(20) => self.change_packet(),
            _ if direct => self.bounds_check(),
            _ => {}
        }
    }

    fn legacy_load(&mut self) {
        let size = self.rng.pick(&[Size::B, Size::H, Size::W]);
        // Within the packet mostly: beyond it the program ends.
        let imm = self.rng.below(80) as i32;
        match self.scalar() {
            Some(src) if self.rng.chance(30) => {
                if let Some(dst) = self.writable_scalar() {
                    self.put(mov(dst, src));
                    self.and_imm(dst, 31);
                    self.put(Insn::LdInd { size, src: dst, imm });
                } else {
                    return;
                }
            }
            _ => {
                self.put(Insn::LdAbs { size, imm });
            }
        }
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// `bpf_skb_load_bytes` to the stack.
    fn load_bytes(&mut self) {
        if self.st.kind(Reg::R6) != Kind::Ctx || (1..5).any(|r| self.st.pinned[r]) {
            return;
        }
        let slot = self.rng.below(SLOTS);
        let off = self.rng.below(200) as i32;
        let len = 1 + self.rng.below(8) as i32;
        self.put(mov(Reg::R1, Reg::R6));
        self.put(mov_imm(Reg::R2, off));
        self.stack_pointer(Reg::R3, slot);
        self.put(mov_imm(Reg::R4, len));
        self.put(Insn::Call(CallTarget::Helper(helper::SKB_LOAD_BYTES)));
        let bits = ((1u16 << len) - 1) as u8;
        let before = match self.st.stack[slot] {
            Slot::Bytes(init) => init,
            Slot::Spilled(Kind::Scalar) => 0xff,
            Slot::Spilled(_) => 0,
        };
        self.st.stack[slot] = Slot::Bytes(before | bits);
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// `bpf_skb_store_bytes`, `bpf_xdp_adjust_head` or `bpf_xdp_adjust_tail`: packet pointers are gone after it.
    fn change_packet(&mut self) {
        if self.st.kind(Reg::R6) != Kind::Ctx || (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        if self.flavor == Flavor::Xdp {
            let delta = self.rng.between(-24, 24) as i32;
            let id = self.rng.pick(&[helper::XDP_ADJUST_HEAD, helper::XDP_ADJUST_TAIL]);
            self.put(mov(Reg::R1, Reg::R6));
            self.put(mov_imm(Reg::R2, delta));
            self.put(Insn::Call(CallTarget::Helper(id)));
        } else {
            let whole = self.whole_slots();
            if whole.is_empty() {
                return;
            }
            let slot = self.rng.pick(&whole);
            let off = self.rng.below(120) as i32;
            let len = 1 + self.rng.below(8) as i32;
            self.put(mov(Reg::R1, Reg::R6));
            self.put(mov_imm(Reg::R2, off));
            self.stack_pointer(Reg::R3, slot);
            self.put(mov_imm(Reg::R4, len));
            self.put(mov_imm(Reg::R5, 0));
            self.put(Insn::Call(CallTarget::Helper(helper::SKB_STORE_BYTES)));
        }
        self.st.forget_packet();
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// Slots whose eight bytes are all initialised numbers.
    pub(super) fn whole_slots(&self) -> Vec<usize> {
        (0..SLOTS)
            .filter(|&s| {
                matches!(self.st.stack[s], Slot::Bytes(0xff) | Slot::Spilled(Kind::Scalar))
            })
            .collect()
    }

    pub(super) fn stack_pointer(&mut self, dst: Reg, slot: usize) {
        self.put(mov(dst, Reg::R10));
        let src = Src::Imm(slot_off(slot).into());
        self.put(Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src });
    }

    pub(super) fn and_imm(&mut self, dst: Reg, imm: i32) {
        let op = AluOp::And;
        self.put(Insn::Alu { width: Width::W64, op, dst, src: Src::Imm(imm) });
    }

    /// `data + n <= data_end`, then accesses within.
    fn bounds_check(&mut self) {
        let bases = self.st.holding(|k| k == Kind::Ctx);
        let free: Vec<Reg> =
            self.st.writable().into_iter().filter(|r| self.st.kind(*r) != Kind::Ctx).collect();
        if bases.is_empty() || free.len() < 3 {
            return;
        }
        let first = self.rng.below(free.len());
        let pick = |n: usize| free[(first + n) % free.len()];
        let (data, end, limit) = (pick(0), pick(1), pick(2));
        let base = self.rng.pick(&bases);
        let (data_off, end_off) = match self.flavor {
            Flavor::Xdp => (ctx::XDP_DATA, ctx::XDP_DATA_END),
            Flavor::SchedCls | Flavor::SocketFilter => (ctx::SKB_DATA, ctx::SKB_DATA_END),
        };
        let before = self.st.clone();
        let size = Size::W;
        self.put(Insn::Load { size, signed: false, dst: data, src: base, off: data_off });
        self.put(Insn::Load { size, signed: false, dst: end, src: base, off: end_off });
        // A variable part first, at times.
        if let Some(var) = self.scalar().filter(|r| *r != data && *r != end && *r != limit)
            && self.rng.chance(30)
        {
            self.put(mov(limit, var));
            self.and_imm(limit, 15);
            let src = Src::Reg(limit);
            self.put(Insn::Alu { width: Width::W64, op: AluOp::Add, dst: data, src });
        }
        let len = self.rng.pick(&[1u16, 2, 4, 8, 14, 20, 34, 40, 54, 64, 100]);
        self.put(mov(limit, data));
        let src = Src::Imm(len.into());
        self.put(Insn::Alu { width: Width::W64, op: AluOp::Add, dst: limit, src });
        let (op, dst, src) =
            if self.rng.chance(50) { (JmpOp::Gt, limit, end) } else { (JmpOp::Lt, end, limit) };
        let jump =
            self.put(Insn::JumpIf { width: Width::W64, op, dst, src: Src::Reg(src), off: 0 });
        for r in [end, limit] {
            self.st.set(r, Kind::None);
        }
        self.st.set(data, Kind::Packet(len));
        for _ in 0..1 + self.rng.below(3) {
            self.access_at(data, len);
        }
        self.land(jump);
        let mut beyond = before;
        for r in [data, end, limit] {
            beyond.set(r, Kind::None);
        }
        self.st = self.st.merged(&beyond);
    }

    /// A load or store through a pointer with `len` bytes behind it.
    pub(super) fn access_at(&mut self, base: Reg, len: u16) {
        let size = self.rng.pick(&SIZES);
        let Some(last) = len.checked_sub(size.bytes() as u16) else { return };
        let off = self.rng.below(usize::from(last) + 1) as i16;
        if self.rng.chance(40) {
            let src = self.source();
            self.put(Insn::Store { size, dst: base, off, src });
        } else if let Some(dst) = self.writable_scalar().filter(|r| *r != base) {
            self.load(size, dst, base, off);
        }
    }

    /// A load of four bytes through a pointer with `len` bytes behind it.
    fn load_at(&mut self, base: Reg, len: u16) {
        if let (Some(dst), 4..) = (self.writable_scalar().filter(|r| *r != base), len) {
            self.load(Size::W, dst, base, 0);
        }
    }

    /// An access through any packet or map value pointer that is at hand.
    pub(crate) fn pointer_access(&mut self) {
        let held = self.st.holding(|k| {
            matches!(k, Kind::Packet(_) | Kind::MapValue(_) | Kind::Key(_) | Kind::Frame(_))
        });
        if held.is_empty() {
            return;
        }
        let base = self.rng.pick(&held);
        match self.st.kind(base) {
            Kind::Packet(len) | Kind::Frame(len) => self.access_at(base, len),
            Kind::Key(len) => self.load_at(base, len),
            Kind::MapValue(len) if self.rng.chance(40) => self.variable_access(base, len),
            Kind::MapValue(len) => self.access_at(base, len),
            Kind::None | Kind::Scalar | Kind::Ctx => {}
        }
    }

    /// `base + (number & mask)`, then an access.
    fn variable_access(&mut self, base: Reg, len: u16) {
        let Some(index) = self.writable_scalar().filter(|r| *r != base) else { return };
        let free: Vec<Reg> =
            self.st.writable().into_iter().filter(|r| *r != base && *r != index).collect();
        if free.is_empty() {
            return;
        }
        let ptr = self.rng.pick(&free);
        let room = match len {
            0..=8 => return,
            9..=39 => 7,
            _ => 31,
        };
        match self.rng.below(3) {
            0 => {
                let width = self.width();
                let (op, src) = (AluOp::And, Src::Imm(room));
                self.put(Insn::Alu { width, op, dst: index, src });
            }
            1 => {
                let (op, src) = (AluOp::Rsh, Src::Imm(if room == 31 { 59 } else { 61 }));
                self.put(Insn::Alu { width: Width::W64, op, dst: index, src });
            }
            _ => {
                // Bounded by a comparison: 0 if it is too large.
                let (width, op) = (Width::W64, JmpOp::Le);
                let src = Src::Imm(room);
                let jump = self.put(Insn::JumpIf { width, op, dst: index, src, off: 0 });
                self.put(mov_imm(index, 0));
                self.land(jump);
            }
        }
        self.put(mov(ptr, base));
        let src = Src::Reg(index);
        self.put(Insn::Alu { width: Width::W64, op: AluOp::Add, dst: ptr, src });
        let left = len - room as u16;
        self.st.set(ptr, Kind::None);
        self.access_at(ptr, left);
        if self.st.kind(ptr) == Kind::None {
            self.st.set(ptr, Kind::MapValue(left));
        }
    }

    /// A byte of two adjacent slots, at a masked offset.
    pub(crate) fn stack_variable(&mut self) {
        let whole = self.whole_slots();
        let pairs: Vec<usize> =
            whole.iter().copied().filter(|s| whole.contains(&(s + 1))).collect();
        let Some(index) = self.writable_scalar() else { return };
        let free: Vec<Reg> = self.st.writable().into_iter().filter(|r| *r != index).collect();
        if pairs.is_empty() || free.is_empty() {
            return;
        }
        let (low, ptr) = (self.rng.pick(&pairs) + 1, self.rng.pick(&free));
        self.and_imm(index, 15);
        self.stack_pointer(ptr, low);
        let src = Src::Reg(index);
        self.put(Insn::Alu { width: Width::W64, op: AluOp::Add, dst: ptr, src });
        if self.rng.chance(50) {
            let src = self.source();
            // The pointer itself is no number to store.
            let src = if src == Src::Reg(ptr) { Src::Imm(1) } else { src };
            self.put(Insn::Store { size: Size::B, dst: ptr, off: 0, src });
            self.st.stack[low] = Slot::Bytes(0xff);
            self.st.stack[low - 1] = Slot::Bytes(0xff);
        } else {
            self.put(Insn::Load { size: Size::B, signed: false, dst: index, src: ptr, off: 0 });
        }
        self.st.set(ptr, Kind::None);
    }

    /// Puts a key on the stack and answers its slot.
    fn key(&mut self, map: usize) -> usize {
        let slot = self.rng.below(SLOTS);
        let off = slot_off(slot);
        let size = if MAPS[map].key_size == 8 { Size::DW } else { Size::W };
        let src = match self.scalar() {
            Some(reg) if self.rng.chance(20) => Src::Reg(reg),
            _ => Src::Imm(self.rng.below(6) as i32),
        };
        self.put(Insn::Store { size, dst: Reg::R10, off, src });
        let bits = if size == Size::DW { 0xff } else { 0x0f };
        self.st.stack[slot] = match self.st.stack[slot] {
            Slot::Bytes(init) => Slot::Bytes(init | bits),
            Slot::Spilled(Kind::Scalar) => Slot::Bytes(0xff),
            Slot::Spilled(_) => Slot::Bytes(bits),
        };
        slot
    }

    pub(crate) fn map_lookup(&mut self) {
        if (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        let map = self.rng.below(2);
        let slot = self.key(map);
        self.ld_imm64(Reg::R1, Imm64::MapIdx(map as i32, 0));
        self.stack_pointer(Reg::R2, slot);
        self.put(Insn::Call(CallTarget::Helper(helper::MAP_LOOKUP_ELEM)));
        self.st.after_call();
        let keep = self.rng.chance(60) && !self.st.pinned[9];
        let value = if keep { Reg::R9 } else { Reg::R0 };
        if keep {
            self.put(mov(Reg::R9, Reg::R0));
        }
        let before = self.st.clone();
        let len = MAPS[map].value_size as u16;
        let (width, op) = (Width::W64, JmpOp::Eq);
        let jump = self.put(Insn::JumpIf { width, op, dst: value, src: Src::Imm(0), off: 0 });
        self.st.set(Reg::R9, if keep { Kind::MapValue(len) } else { self.st.kind(Reg::R9) });
        self.st.set(Reg::R0, Kind::MapValue(len));
        for _ in 0..1 + self.rng.below(3) {
            match self.rng.below(3) {
                0 => self.atomic(),
                _ => self.pointer_access(),
            }
        }
        self.land(jump);
        let mut missing = before;
        missing.set(value, Kind::None);
        missing.set(Reg::R0, Kind::None);
        self.st = self.st.merged(&missing);
        if self.st.kind(Reg::R0) == Kind::None {
            self.constant(Reg::R0);
        }
    }

    /// `bpf_map_update_elem` or `bpf_map_delete_elem`.
    pub(crate) fn map_change(&mut self) {
        if (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        let map = self.rng.below(2);
        if self.rng.chance(30) {
            let slot = self.key(map);
            self.ld_imm64(Reg::R1, Imm64::MapIdx(map as i32, 0));
            self.stack_pointer(Reg::R2, slot);
            self.put(Insn::Call(CallTarget::Helper(helper::MAP_DELETE_ELEM)));
        } else {
            // The value is the lowest slots of the stack.
            let slots = MAPS[map].value_size as usize / 8;
            for slot in SLOTS - slots..SLOTS {
                let src = self.source();
                self.put(Insn::Store { size: Size::DW, dst: Reg::R10, off: slot_off(slot), src });
                self.st.stack[slot] = match src {
                    Src::Reg(_) => Slot::Spilled(Kind::Scalar),
                    Src::Imm(_) => Slot::Bytes(0xff),
                };
            }
            let slot = self.key(map);
            // A key within the value is fine: both are only read.
            self.ld_imm64(Reg::R1, Imm64::MapIdx(map as i32, 0));
            self.stack_pointer(Reg::R2, slot);
            self.stack_pointer(Reg::R3, SLOTS - 1);
            let flags = self.rng.pick(&[0, 0, 1, 2]);
            self.put(mov_imm(Reg::R4, flags));
            self.put(Insn::Call(CallTarget::Helper(helper::MAP_UPDATE_ELEM)));
        }
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }

    /// The address of a map's value as a constant.
    pub(crate) fn direct_value(&mut self) {
        let dst = self.target();
        let off = self.rng.below(5) as u32 * 8;
        self.ld_imm64(dst, Imm64::MapIdxValue(2, off));
        let len = MAPS[2].value_size as u16 - off as u16;
        self.st.set(dst, Kind::MapValue(len));
        self.access_at(dst, len);
    }

    /// An atomic operation, a load-acquire or a store-release on the stack or in a map value; or a checksum of stack
    /// bytes.
    pub(crate) fn atomic(&mut self) {
        if self.rng.chance(15) {
            return self.csum_diff();
        }
        let size = self.rng.pick(&[Size::W, Size::DW]);
        let held = self.st.holding(|k| matches!(k, Kind::MapValue(_)));
        let (base, off) = if !held.is_empty() && self.rng.chance(60) {
            let base = self.rng.pick(&held);
            let Kind::MapValue(len) = self.st.kind(base) else { return };
            // Values begin at a multiple of 8, but what a number was added to need not.
            if len % 8 != 0 {
                return;
            }
            (base, self.rng.below(usize::from(len) / 8) as i16 * 8)
        } else {
            let whole = self.whole_slots();
            if whole.is_empty() {
                return;
            }
            let slot = self.rng.pick(&whole);
            self.st.stack[slot] = Slot::Bytes(0xff);
            (Reg::R10, slot_off(slot))
        };
        let Some(src) = self.writable_scalar().filter(|r| *r != base) else { return };
        match self.rng.below(12) {
            0 => {
                self.put(Insn::LoadAcquire { size, dst: src, src: base, off });
            }
            1 => {
                self.put(Insn::StoreRelease { size, dst: base, src, off });
            }
            n => {
                let op = [
                    AtomicOp::Add,
                    AtomicOp::Or,
                    AtomicOp::And,
                    AtomicOp::Xor,
                    AtomicOp::FetchAdd,
                    AtomicOp::FetchOr,
                    AtomicOp::FetchAnd,
                    AtomicOp::FetchXor,
                    AtomicOp::Xchg,
                    AtomicOp::Cmpxchg,
                ][n - 2];
                let compares = op == AtomicOp::Cmpxchg;
                if compares && self.st.kind(Reg::R0) != Kind::Scalar {
                    return;
                }
                self.put(Insn::Atomic { size, op, dst: base, src, off });
            }
        }
    }

    /// `bpf_csum_diff` over stack bytes.
    fn csum_diff(&mut self) {
        let whole = self.whole_slots();
        let has_helper = self.flavor != Flavor::SocketFilter;
        if whole.len() < 2 || !has_helper || (1..6).any(|r| self.st.pinned[r]) {
            return;
        }
        let (from, to) = (self.rng.pick(&whole), self.rng.pick(&whole));
        let seed = self.rng.imm();
        self.stack_pointer(Reg::R1, from);
        self.put(mov_imm(Reg::R2, 8));
        self.stack_pointer(Reg::R3, to);
        self.put(mov_imm(Reg::R4, 8));
        self.put(mov_imm(Reg::R5, seed));
        self.put(Insn::Call(CallTarget::Helper(helper::CSUM_DIFF)));
        self.st.after_call();
        self.st.set(Reg::R0, Kind::Scalar);
    }
}
