//! [`Diagnosis`]: what a person must know of a refusal beside the reason, as facts: what the registers in question held,
//! where that came from, and what would make the program safe.
//!
//! - `trace`: where a register's content came from, found by going back along the path;
//! - `advice`: what would help.
//!
//! How it reads is up to whoever shows it.

mod advice;
mod trace;

pub use advice::Advice;

use crate::pre::{MapTable, use_def};
use crate::reject::RejectKind;
use crate::state::held::{HeldItem, HeldKind};
use crate::state::{PacketRange, RegKind, RegState};
use crate::walk::{Access, Walk};
use skep_abi::insn::{CallTarget, Insn, Reg};

/// Facts about a refusal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnosis {
    /// The registers that the reason is about.
    pub registers: Vec<RegisterFact>,
    /// What would make the program safe, where that is known.
    pub advice: Option<Advice>,
}

/// What a register held, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterFact {
    /// Register number.
    pub reg: u8,
    /// In the notation of the log; empty if it held nothing.
    pub state: String,
    /// What it held.
    pub holds: Holds,
    /// Slot of the instruction that gave it its content, if the path has one; moves and spills are looked through.
    pub set_at: Option<u32>,
    /// How that instruction did so.
    pub origin: Origin,
    /// Of a pointer whose offset varies: where the number came from that was added to it last.
    pub offset: Option<OffsetFact>,
    /// The last call behind `set_at` after which pointers into the packet are no longer valid.
    pub packet_moved_at: Option<u32>,
}

/// Where a number came from that a pointer was moved by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetFact {
    /// Slot of the instruction that made it, if the path has one.
    pub set_at: Option<u32>,
    /// How that instruction did so.
    pub origin: Origin,
}

/// What a register holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Nothing that may be read.
    Nothing,
    /// One number.
    Constant(i64),
    /// A number in a range, signed and unsigned.
    Number {
        /// Signed minimum and maximum.
        signed: (i64, i64),
        /// Unsigned minimum and maximum.
        unsigned: (u64, u64),
    },
    /// An address.
    Pointer {
        /// What it points to.
        to: Target,
        /// Whether it may be NULL.
        may_be_null: bool,
        /// Smallest and largest offset from the start of that, in bytes.
        off: (i64, i64),
    },
}

/// What a pointer points to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The context, by the name of its structure.
    Context(&'static str),
    /// A map.
    Map {
        /// Its name.
        name: String,
    },
    /// A value of a map.
    MapValue {
        /// The map's name.
        name: String,
        /// Size of a value in bytes.
        size: u32,
    },
    /// A key of a map, in a callback.
    MapKey {
        /// The map's name.
        name: String,
        /// Size of a key in bytes.
        size: u32,
    },
    /// The top of a function's stack.
    Stack,
    /// The packet.
    Packet {
        /// Bytes from the start of the pointer's variable part that are known to be in the packet.
        checked: u16,
    },
    /// The metadata before the packet.
    PacketMeta {
        /// As for the packet.
        checked: u16,
    },
    /// The end of the packet.
    PacketEnd,
    /// Memory of a known size.
    Memory {
        /// In bytes.
        size: u32,
    },
    /// Anything else, as the log names its type.
    Other(String),
}

/// How an instruction gave a register its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It never did: the path has no such instruction.
    Never,
    /// The program was started with it.
    Argument,
    /// The callback was called with it.
    CallbackArgument,
    /// Read from a field of the context.
    ContextField {
        /// The field's name; empty if it has none.
        name: &'static str,
        /// Its offset in bytes.
        off: u32,
    },
    /// The result of a helper.
    Helper {
        /// Without prefix.
        name: &'static str,
    },
    /// The result of a function that is not looked into.
    Function,
    /// Lost in a call, as R1 to R5 are.
    LostInCall,
    /// A constant.
    Constant,
    /// The address of a map, a value or a function.
    Address,
    /// An address on the stack.
    StackAddress,
    /// Read from memory.
    Memory,
    /// Computed.
    Computed,
}

impl Diagnosis {
    /// Of a reason that has nothing to do with registers.
    pub(crate) fn of(kind: &RejectKind) -> Diagnosis {
        Diagnosis { registers: Vec::new(), advice: advice::advise(kind, &[], None) }
    }
}

fn bounds_off(r: &RegState) -> (i64, i64) {
    let off = i64::from(r.off);
    (r.num.smin().saturating_add(off), r.num.smax().saturating_add(off))
}

fn checked(range: PacketRange) -> u16 {
    match range {
        PacketRange::Bytes(n) => n,
        PacketRange::AtEnd | PacketRange::BeyondEnd => 0,
    }
}

fn holds(r: &RegState, maps: &MapTable, ctx: &'static str) -> Holds {
    let map = |id| maps.get(id).map(|e| &e.props);
    let name = |id| map(id).map_or(String::new(), |m| m.name.clone());
    let to = match r.kind {
        RegKind::NotInit => return Holds::Nothing,
        RegKind::Scalar => {
            return match r.num.const_value() {
                Some(v) => Holds::Constant(v as i64),
                None => Holds::Number {
                    signed: (r.num.smin(), r.num.smax()),
                    unsigned: (r.num.umin(), r.num.umax()),
                },
            };
        }
        RegKind::Ctx => Target::Context(ctx),
        RegKind::Map(id) => Target::Map { name: name(id) },
        RegKind::MapValue(id) => {
            Target::MapValue { name: name(id), size: map(id).map_or(0, |m| m.value_size) }
        }
        RegKind::MapKey(id) => {
            Target::MapKey { name: name(id), size: map(id).map_or(0, |m| m.key_size) }
        }
        RegKind::Stack(_) => Target::Stack,
        RegKind::Packet(range) => Target::Packet { checked: checked(range) },
        RegKind::PacketMeta(range) => Target::PacketMeta { checked: checked(range) },
        RegKind::PacketEnd => Target::PacketEnd,
        RegKind::Mem(size) => Target::Memory { size },
        RegKind::Func(_)
        | RegKind::FlowKeys
        | RegKind::Socket(_)
        | RegKind::TpBuffer
        | RegKind::Buf
        | RegKind::Arena
        | RegKind::Btf(_)
        | RegKind::Dynptr(_) => Target::Other(r.kind.name().to_owned()),
    };
    Holds::Pointer { to, may_be_null: r.may_be_null(), off: bounds_off(r) }
}

/// Whether a message speaks of a register.
fn mentions(message: &str, reg: u8) -> bool {
    let name = format!("R{reg}");
    let is_word = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit());
    message.match_indices(&name).any(|(at, _)| message.get(at + name.len()..).is_some_and(is_word))
}

impl Walk<'_> {
    /// What there is to say of the refusal of the instruction in hand.
    pub(crate) fn diagnose(&self, kind: &RejectKind) -> Diagnosis {
        let insn = self.insn();
        let uses = use_def(&insn, &self.prog.kfuncs, self.env).uses;
        let message = kind.to_string();
        let mentioned = |r: &Reg| mentions(&message, r.num());
        let all = || (0..Reg::COUNT as u8).filter_map(Reg::new).filter(|r| *r != Reg::R10);
        let mut shown: Vec<Reg> = all().filter(mentioned).collect();
        // Of a call only the arguments that the message names: it has many.
        if shown.is_empty() && !matches!(insn, Insn::Call(_) | Insn::Exit) {
            shown = all().filter(|r| uses >> r.num() & 1 != 0).collect();
        }
        let registers: Vec<RegisterFact> =
            shown.into_iter().map(|r| self.register_fact(r)).collect();
        let is_lock = |item: &&HeldItem| match item.kind {
            HeldKind::Lock | HeldKind::ResLock | HeldKind::ResLockIrq => true,
            HeldKind::Ref | HeldKind::Irq => false,
        };
        let lock = self.cur.held.items.iter().rev().find(is_lock);
        let advice = advice::advise(kind, &registers, lock.map(|l| l.insn_idx));
        Diagnosis { registers, advice }
    }

    fn register_fact(&self, r: Reg) -> RegisterFact {
        let reg = self.cur.reg(r);
        let found = self.trace_back(r);
        let varies = reg.is_pointer() && reg.num.const_value().is_none();
        RegisterFact {
            offset: found.offset.filter(|_| varies),
            reg: r.num(),
            state: if reg.kind == RegKind::NotInit { String::new() } else { self.reg_text(r) },
            holds: holds(reg, &self.prog.maps, self.props.ctx.name),
            set_at: found.at,
            origin: found.origin,
            packet_moved_at: found.packet_moved_at,
        }
    }

    /// What a load from memory gives.
    fn origin_of_load(&self, idx: u32) -> Origin {
        let access = self.facts.get(idx as usize).map(|f| f.access);
        let Some(Access::Ctx(off)) = access else { return Origin::Memory };
        let field = self.props.ctx.fields.iter().find(|f| (f.off..f.off + f.size).contains(&off));
        Origin::ContextField { name: field.map_or("", |f| f.name), off }
    }

    fn origin_of_result(&self, target: CallTarget) -> Origin {
        match target {
            CallTarget::Helper(id) => match self.env.helper(id) {
                crate::env::HelperLookup::Known(p) => Origin::Helper { name: p.name },
                _ => Origin::Function,
            },
            CallTarget::Local(_) | CallTarget::Kfunc { .. } => Origin::Function,
        }
    }
}
