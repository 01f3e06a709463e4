//! [`State`]: what registers and stack hold while a program is being written.

use skep_abi::insn::Reg;

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nothing that may be read.
    None,
    /// A number.
    Scalar,
    /// The context.
    Ctx,
    /// Packet memory with this many bytes proved to be there.
    Packet(u16),
    /// A map value with this many bytes from here on.
    MapValue(u16),
    /// A map's key, in a callback, which is only read.
    Key(u16),
    /// This many initialised bytes of a caller's stack.
    Frame(u16),
}

/// What eight bytes of stack hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// Bytes of numbers; those with a set bit are initialised.
    Bytes(u8),
    /// A whole register.
    Spilled(Kind),
}

/// Stack slots in use, counted down from R10.
pub(crate) const SLOTS: usize = 12;

/// Registers and stack of one frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) regs: [Kind; 10],
    pub(crate) stack: [Slot; SLOTS],
    /// Registers that must keep what they hold: loop counters, the context in R6.
    pub(crate) pinned: [bool; 10],
}

impl State {
    pub(crate) const fn new() -> State {
        State { regs: [Kind::None; 10], stack: [Slot::Bytes(0); SLOTS], pinned: [false; 10] }
    }

    pub(crate) fn set(&mut self, reg: Reg, kind: Kind) {
        if let Some(r) = self.regs.get_mut(reg.index()) {
            *r = kind;
        }
    }

    pub(crate) fn kind(&self, reg: Reg) -> Kind {
        self.regs.get(reg.index()).copied().unwrap_or(Kind::None)
    }

    /// Registers that hold what `want` asks for.
    pub(crate) fn holding(&self, want: impl Fn(Kind) -> bool) -> Vec<Reg> {
        let nums = 0..self.regs.len() as u8;
        nums.filter_map(Reg::new).filter(|r| want(self.kind(*r))).collect()
    }

    /// Registers that may be overwritten.
    pub(crate) fn writable(&self) -> Vec<Reg> {
        let nums = 0..self.regs.len() as u8;
        nums.filter_map(Reg::new).filter(|r| !self.pinned[r.index()]).collect()
    }

    /// What a call leaves of R0 to R5.
    pub(crate) fn after_call(&mut self) {
        for r in &mut self.regs[..6] {
            *r = Kind::None;
        }
    }

    /// Packet pointers are gone, in registers and on the stack.
    pub(crate) fn forget_packet(&mut self) {
        for r in &mut self.regs {
            if matches!(r, Kind::Packet(_)) {
                *r = Kind::None;
            }
        }
        for s in &mut self.stack {
            if matches!(s, Slot::Spilled(Kind::Packet(_))) {
                *s = Slot::Bytes(0);
            }
        }
    }

    /// What holds on both of two ways that meet.
    pub(crate) fn merged(&self, other: &State) -> State {
        let mut out = self.clone();
        for (a, b) in out.regs.iter_mut().zip(other.regs) {
            *a = both(*a, b);
        }
        for (a, b) in out.stack.iter_mut().zip(other.stack) {
            *a = match (*a, b) {
                (Slot::Bytes(x), Slot::Bytes(y)) => Slot::Bytes(x & y),
                (Slot::Spilled(x), Slot::Spilled(y)) if both(x, y) != Kind::None => {
                    Slot::Spilled(both(x, y))
                }
                (Slot::Bytes(_) | Slot::Spilled(_), Slot::Bytes(_) | Slot::Spilled(_)) => {
                    Slot::Bytes(0)
                }
            };
        }
        out
    }
}

fn both(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Packet(x), Kind::Packet(y)) => Kind::Packet(x.min(y)),
        (Kind::MapValue(x), Kind::MapValue(y)) => Kind::MapValue(x.min(y)),
        (Kind::Frame(x), Kind::Frame(y)) => Kind::Frame(x.min(y)),
        (a, b) if a == b => a,
        _ => Kind::None,
    }
}
