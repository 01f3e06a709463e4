//! Registers and stack slots in the notation of 6.18's log (`print_verifier_state`).

use super::precision::Masks;
use crate::domain::LogNum;
use crate::env::Env;
use crate::pre::{MapId, MapTable};
use crate::state::ptr::{BtfOwner, BtfType, DynptrKind};
use crate::state::stack::IterState;
use crate::state::{
    ByteKind, Frame, Held, PacketRange, PtrFlags, RegKind, RegState, Shift, SlotObject, StackSlot,
};
use core::fmt::{self, Display as _};
use skep_btf::TypeId;

/// What gives numbers their names.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) maps: &'a MapTable,
    pub(crate) env: &'a dyn Env,
}

impl<'a> Known<'a> {
    fn type_name(self, ty: BtfType) -> &'a str {
        let btf = match ty.btf {
            BtfOwner::Kernel => self.env.kernel_btf(),
            BtfOwner::Module(at) => self.env.module_btf(at),
            BtfOwner::Program => self.env.btf(),
            BtfOwner::Target => self.env.target().map(|t| &*t.btf),
        };
        btf.and_then(|b| b.type_by_id(TypeId(ty.id))).map_or("", |t| t.name())
    }
}

/// One register as the log shows it.
pub(crate) struct RegText<'a> {
    pub(crate) reg: &'a RegState,
    /// Whether a proof depends on its number.
    pub(crate) is_precise: bool,
    /// Frame whose register it is.
    pub(crate) frame: u8,
    pub(crate) known: Known<'a>,
}

/// Writes `a=1,b=2`: puts a comma between attributes.
struct Attrs<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    sep: &'static str,
}

impl Attrs<'_, '_> {
    fn put(&mut self, args: fmt::Arguments<'_>) -> fmt::Result {
        self.f.write_str(self.sep)?;
        self.sep = ",";
        self.f.write_fmt(args)
    }
}

fn signed(v: i64) -> LogNum {
    LogNum::Signed(v as u64)
}

impl fmt::Display for RegText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = self.reg;
        if r.is_scalar() {
            if self.is_precise {
                f.write_str("P")?;
            }
            if let Some(v) = r.num.const_value() {
                return LogNum::Signed(v).fmt(f);
            }
        }
        r.type_text().fmt(f)?;
        if let RegKind::Stack(n) = r.kind {
            if n != self.frame {
                write!(f, "[{n}]")?;
            }
            if let Some(v) = r.num.const_value() {
                return signed((v as i64).wrapping_add(r.off.into())).fmt(f);
            }
        }
        match r.kind {
            RegKind::Arena => return Ok(()),
            RegKind::Btf(ty) => f.write_str(self.known.type_name(ty))?,
            _ => {}
        }
        f.write_str("(")?;
        let mut attrs = Attrs { f, sep: "" };
        self.attrs(&mut attrs)?;
        attrs.f.write_str(")")
    }
}

impl RegText<'_> {
    fn map(&self) -> Option<MapId> {
        match self.reg.kind {
            RegKind::Map(m) | RegKind::MapValue(m) | RegKind::MapKey(m) => Some(m),
            RegKind::NotInit
            | RegKind::Scalar
            | RegKind::Ctx
            | RegKind::Stack(_)
            | RegKind::Packet(_)
            | RegKind::PacketMeta(_)
            | RegKind::PacketEnd
            | RegKind::Func(_)
            | RegKind::FlowKeys
            | RegKind::Socket(_)
            | RegKind::TpBuffer
            | RegKind::Mem(_)
            | RegKind::Buf
            | RegKind::Arena
            | RegKind::Btf(_)
            | RegKind::Dynptr(_) => None,
        }
    }

    fn attrs(&self, a: &mut Attrs<'_, '_>) -> fmt::Result {
        let r = self.reg;
        if r.id != 0 {
            a.put(format_args!("id={}", r.id))?;
            if r.shift != Shift::None {
                write!(a.f, "{:+}", r.off)?;
            }
        }
        if r.ref_id != 0 {
            a.put(format_args!("ref_obj_id={}", r.ref_id))?;
        }
        if r.flags.has(PtrFlags::NON_OWN) {
            a.put(format_args!("non_own_ref"))?;
        }
        if let Some(m) = self.map().and_then(|m| self.known.maps.get(m)) {
            if !m.props.name.is_empty() {
                a.put(format_args!("map={}", m.props.name))?;
            }
            a.put(format_args!("ks={},vs={}", m.props.key_size, m.props.value_size))?;
        }
        if !r.is_scalar() && r.off != 0 {
            a.put(format_args!("off={}", signed(r.off.into())))?;
        }
        match r.kind.packet_range() {
            Some(PacketRange::Bytes(n)) => a.put(format_args!("r={n}"))?,
            Some(PacketRange::AtEnd) => a.put(format_args!("r=0xffffffffffffffff"))?,
            Some(PacketRange::BeyondEnd) => a.put(format_args!("r=0xfffffffffffffffe"))?,
            None => {}
        }
        match r.kind {
            RegKind::Mem(size) => a.put(format_args!("sz={}", LogNum::Unsigned(size.into())))?,
            RegKind::Dynptr(kind) => a.put(format_args!("type={}", dynptr(kind)))?,
            _ => {}
        }
        match r.num.const_value() {
            Some(0) => Ok(()),
            Some(v) => a.put(format_args!("imm={}", LogNum::Signed(v))),
            None => {
                let fields = r.num.log_fields().to_string();
                if fields.is_empty() { Ok(()) } else { a.put(format_args!("{fields}")) }
            }
        }
    }
}

/// Which registers and slots of a frame are shown, as bit masks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) regs: u16,
    pub(crate) slots: u64,
}

impl Shown {
    /// All that hold something.
    pub(crate) const ALL: Shown = Shown { regs: u16::MAX, slots: u64::MAX };
}

/// A frame as the log shows it: ` R0=1 R10=fp0 fp-8=0`.
pub(crate) struct FrameText<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) number: u8,
    pub(crate) shown: Shown,
    pub(crate) held: &'a Held,
    /// Numbers that a proof depends on.
    pub(crate) precise: Masks,
    pub(crate) known: Known<'a>,
}

impl FrameText<'_> {
    fn slot(&self, f: &mut fmt::Formatter<'_>, n: usize, slot: &StackSlot) -> fmt::Result {
        let at = (n + 1) * 8;
        match slot.object {
            SlotObject::None | SlotObject::Irq { .. } => {
                write!(f, " fp-{at}={}", bytes(slot))?;
                match slot.spill() {
                    Some(reg) => {
                        let is_precise = self.precise.slots >> (n & 63) & 1 != 0;
                        let (frame, known) = (self.number, self.known);
                        RegText { reg, is_precise, frame, known }.fmt(f)
                    }
                    None => Ok(()),
                }
            }
            SlotObject::Dynptr { kind, is_first: true, .. } => {
                write!(f, " fp-{at}=dynptr_{}(", dynptr(kind))?;
                let mut attrs = Attrs { f, sep: "" };
                for (name, id) in [("id", slot.reg.id), ("ref_id", slot.reg.ref_id)] {
                    if id != 0 {
                        attrs.put(format_args!("{name}={id}"))?;
                    }
                }
                // The kernel takes the mark of a first slot for the number of a dynptr.
                attrs.put(format_args!("dynptr_id=1"))?;
                f.write_str(")")
            }
            SlotObject::Iter { ty, is_first: true, state, depth } => {
                let name = self.known.type_name(ty);
                let name = name.strip_prefix("bpf_iter_").unwrap_or(name);
                let state = match state {
                    IterState::Active => "active",
                    IterState::Drained => "drained",
                };
                let id = slot.reg.ref_id;
                write!(f, " fp-{at}=iter_{name}(ref_id={id},state={state},depth={depth})")
            }
            // Told with the first.
            SlotObject::Dynptr { .. } | SlotObject::Iter { .. } => Ok(()),
        }
    }
}

fn dynptr(kind: DynptrKind) -> &'static str {
    match kind {
        DynptrKind::Local => "local",
        DynptrKind::Ringbuf => "ringbuf",
        DynptrKind::Skb => "skb",
        DynptrKind::Xdp => "xdp",
        DynptrKind::SkbMeta => "skb_meta",
    }
}

impl fmt::Display for FrameText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.number != 0 {
            write!(f, " frame{}:", self.number)?;
        }
        let text = |n: usize, reg| {
            let is_precise = self.precise.regs >> (n & 15) & 1 != 0;
            RegText { reg, is_precise, frame: self.number, known: self.known }
        };
        for (n, reg) in self.frame.regs.iter().enumerate() {
            if reg.kind != RegKind::NotInit && self.shown.regs >> n & 1 != 0 {
                write!(f, " R{n}={}", text(n, reg))?;
            }
        }
        for (n, slot) in self.frame.stack.iter().enumerate() {
            let is_set = slot.bytes.iter().any(|b| *b != ByteKind::Invalid);
            if !is_set || self.shown.slots >> n & 1 == 0 {
                continue;
            }
            self.slot(f, n, slot)?;
        }
        let mut ids = self.held.items.iter().map(|item| item.id).filter(|id| *id != 0);
        if let Some(first) = ids.next() {
            write!(f, " refs={first}")?;
            ids.try_for_each(|id| write!(f, ",{id}"))?;
        }
        if self.frame.callback.is_some() {
            f.write_str(" cb")?;
        }
        Ok(())
    }
}

/// The bytes of a slot from the highest address down, without those of a spill at its lower end.
fn bytes(slot: &StackSlot) -> String {
    slot.bytes
        .iter()
        .rev()
        .take_while(|b| !slot.is_spill() || **b != ByteKind::Spill)
        .map(|b| match b {
            ByteKind::Invalid => '?',
            ByteKind::Spill => 'r',
            ByteKind::Misc => 'm',
            ByteKind::Zero => '0',
            ByteKind::Dynptr => 'd',
            ByteKind::Iter => 'i',
            ByteKind::Irq => 'f',
        })
        .collect()
}
