//! Registers and stack slots in the notation of 6.18's log (`print_verifier_state`).

use crate::domain::LogNum;
use crate::pre::{MapId, MapTable};
use crate::state::{ByteKind, Frame, PacketRange, RegKind, RegState, StackSlot};
use core::fmt;

/// One register as the log shows it.
pub(crate) struct RegText<'a> {
    pub(crate) reg: &'a RegState,
    /// Frame whose register it is.
    pub(crate) frame: u8,
    pub(crate) maps: &'a MapTable,
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
            if r.precise {
                f.write_str("P")?;
            }
            if let Some(v) = r.num.const_value() {
                return LogNum::Signed(v).fmt(f);
            }
        }
        write!(f, "{}", r.type_text())?;
        if let RegKind::Stack(n) = r.kind {
            if n != self.frame {
                write!(f, "[{n}]")?;
            }
            if let Some(v) = r.num.const_value() {
                return signed((v as i64).wrapping_add(r.off.into())).fmt(f);
            }
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
            if r.is_shifted {
                write!(a.f, "{:+}", r.off)?;
            }
        }
        if r.ref_id != 0 {
            a.put(format_args!("ref_obj_id={}", r.ref_id))?;
        }
        if let Some(m) = self.map().and_then(|m| self.maps.get(m)) {
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
    pub(crate) maps: &'a MapTable,
}

impl fmt::Display for FrameText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.number != 0 {
            write!(f, " frame{}:", self.number)?;
        }
        let text = |reg| RegText { reg, frame: self.number, maps: self.maps };
        for (n, reg) in self.frame.regs.iter().enumerate() {
            if reg.kind != RegKind::NotInit && self.shown.regs >> n & 1 != 0 {
                write!(f, " R{n}={}", text(reg))?;
            }
        }
        for (n, slot) in self.frame.stack.iter().enumerate() {
            let is_set = slot.bytes.iter().any(|b| *b != ByteKind::Invalid);
            if !is_set || self.shown.slots >> n & 1 == 0 {
                continue;
            }
            write!(f, " fp-{}={}", (n + 1) * 8, bytes(slot))?;
            if let Some(reg) = slot.spill() {
                text(reg).fmt(f)?;
            }
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
