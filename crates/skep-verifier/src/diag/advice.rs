//! [`Advice`]: what would make a refused program safe.

use super::{Holds, Origin, RegisterFact, Target};
use crate::reject::{HeldReject, HelperReject, RejectKind};

/// What would help against a refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Compare the register with NULL before it is used.
    CheckNull {
        /// Which.
        reg: u8,
    },
    /// Read the packet pointers anew behind the call that may have moved the packet.
    ReloadPacket {
        /// Slot of the call.
        call: u32,
    },
    /// Compare a pointer that lies so many bytes behind the start of the packet pointer with the packet's end.
    CheckPacketEnd {
        /// Bytes that must be inside.
        bytes: i64,
    },
    /// Keep a number from exceeding what it is used for.
    BoundAbove {
        /// Which register holds it.
        reg: u8,
        /// Bytes of what is accessed, if that is known.
        size: Option<u32>,
    },
    /// Keep a number from being negative.
    BoundBelow {
        /// Which register holds it.
        reg: u8,
    },
    /// Keep a number from being negative and from exceeding what it is used for.
    BoundBoth {
        /// Which register holds it.
        reg: u8,
        /// Bytes of what is accessed, if that is known.
        size: Option<u32>,
    },
    /// Keep the size of memory that is given to a helper within what there is, and above zero.
    BoundSize {
        /// Which register holds it.
        reg: u8,
    },
    /// The place is outside of what is accessed, whatever the program does before.
    StayInside {
        /// Bytes of what is accessed, if that is known.
        size: Option<u32>,
    },
    /// Write all of the stack's bytes before they are read.
    InitialiseStack,
    /// Give the register a value.
    Initialise {
        /// Which.
        reg: u8,
    },
    /// Keep the value over the call, in R6 to R9 or on the stack.
    KeepOverCall {
        /// Which register lost it.
        reg: u8,
        /// Slot of the call.
        call: u32,
    },
    /// It is a number, and a pointer is needed.
    NotAPointer {
        /// Which register.
        reg: u8,
    },
    /// Give the loop an end that can be seen.
    BoundLoop,
    /// Use a helper that this type of program has.
    OtherHelper,
    /// Declare a GPL-compatible licence, or do without the helper.
    Licence,
    /// Use less stack.
    LessStack,
    /// Call less deep.
    CallLessDeep,
    /// Access memory at a multiple of the size.
    Align {
        /// The size, in bytes.
        size: u32,
    },
    /// The map is not to be written by programs.
    WriteElsewhere,
    /// The map is not to be read by programs.
    ReadElsewhere,
    /// Access only whole members that the context has, and write only those that may be.
    ContextMember,
    /// Return a number in a range.
    Return {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Do arithmetic only on pointers that may be moved.
    NoArithmetic,
    /// Remove code that nothing leads to.
    RemoveDeadCode,
    /// End each function with an exit.
    EndWithExit,
    /// Keep addresses to yourself.
    KeepAddress,
    /// Give back what was acquired.
    Release {
        /// Slots of the calls that acquired it.
        acquired: Vec<u32>,
    },
    /// Release the lock first.
    Unlock {
        /// Slot of the call that took it, if the path has one.
        taken: Option<u32>,
    },
    /// Take a lock only when none is held.
    OneLock,
}

fn size_of(to: &Target) -> Option<u32> {
    match to {
        Target::MapValue { size, .. } | Target::MapKey { size, .. } | Target::Memory { size } => {
            Some(*size)
        }
        Target::Stack => Some(512),
        Target::Context(_)
        | Target::Map { .. }
        | Target::Packet { .. }
        | Target::PacketMeta { .. }
        | Target::PacketEnd
        | Target::Other(_) => None,
    }
}

struct Facts<'a>(&'a [RegisterFact]);

impl Facts<'_> {
    fn of(&self, reg: u8) -> Option<&RegisterFact> {
        self.0.iter().find(|f| f.reg == reg)
    }

    fn pointer(&self) -> Option<(&Target, (i64, i64))> {
        self.0.iter().find_map(|f| match &f.holds {
            Holds::Pointer { to, off, .. } => Some((to, *off)),
            Holds::Nothing | Holds::Constant(_) | Holds::Number { .. } => None,
        })
    }

    fn size(&self) -> Option<u32> {
        self.pointer().and_then(|(to, _)| size_of(to))
    }

    fn number(&self) -> Option<&RegisterFact> {
        self.0.iter().find(|f| matches!(f.holds, Holds::Number { .. }))
    }

    /// What helps where a pointer is needed.
    fn wants_pointer(&self, reg: u8) -> Option<Advice> {
        let fact = self.of(reg)?;
        match &fact.holds {
            Holds::Pointer { may_be_null: true, .. } => Some(Advice::CheckNull { reg }),
            Holds::Number { .. } | Holds::Constant(_) => {
                let is_packet = match fact.origin {
                    Origin::ContextField { name, .. } => name.starts_with("data"),
                    _ => false,
                };
                Some(match fact.packet_moved_at {
                    Some(call) if is_packet => Advice::ReloadPacket { call },
                    Some(_) | None => Advice::NotAPointer { reg },
                })
            }
            Holds::Pointer { .. } | Holds::Nothing => None,
        }
    }

    fn unreadable(&self, reg: u8) -> Option<Advice> {
        let fact = self.of(reg)?;
        Some(match (&fact.origin, fact.set_at) {
            (Origin::LostInCall, Some(call)) => Advice::KeepOverCall { reg, call },
            _ => Advice::Initialise { reg },
        })
    }

    /// What helps where a pointer with a variable offset may leave what it points to.
    fn outside(&self, reg: u8) -> Advice {
        let size = self.size();
        match self.of(reg).map(|f| &f.holds) {
            Some(Holds::Pointer { off: (min, max), .. }) if min == max => {
                Advice::StayInside { size }
            }
            Some(Holds::Pointer { off: (min, _), .. }) if *min < 0 => Advice::BoundBelow { reg },
            _ => Advice::BoundAbove { reg, size },
        }
    }
}

/// What would help against a reason, given what the registers held. Not every reason has a remedy that is known.
///
/// `locked_at` is the slot of the call that took the lock that is held.
pub(super) fn advise(
    kind: &RejectKind,
    registers: &[RegisterFact],
    locked_at: Option<u32>,
) -> Option<Advice> {
    let facts = Facts(registers);
    Some(match kind {
        RejectKind::InvalidMemAccess { reg, .. } | RejectKind::ArgType { reg, .. } => {
            return facts.wants_pointer(*reg);
        }
        RejectKind::PointerMaybeNull { reg, .. } => Advice::CheckNull { reg: *reg },
        RejectKind::Helper(reason) => return of_helper(reason),
        RejectKind::NotReadable { reg } => return facts.unreadable(*reg),
        RejectKind::PacketBounds { off, size, .. } => {
            Advice::CheckPacketEnd { bytes: off.saturating_add_unsigned(*size) }
        }
        RejectKind::PacketAtEnd { .. } => Advice::CheckPacketEnd { bytes: 1 },
        RejectKind::MinNegative { reg } => Advice::BoundBelow { reg: *reg },
        RejectKind::MinOutside { reg, .. } | RejectKind::MaxOutside { reg, .. } => {
            facts.outside(*reg)
        }
        RejectKind::Unbounded { reg }
        | RejectKind::StackUnbounded { reg, .. }
        | RejectKind::StackBoundsVar { reg, .. } => {
            Advice::BoundAbove { reg: *reg, size: facts.size() }
        }
        RejectKind::SizeUnbounded { reg }
        | RejectKind::SizeNegative { reg }
        | RejectKind::SizeZero { reg, .. } => Advice::BoundSize { reg: *reg },
        RejectKind::PointerUnbounded { .. } => {
            Advice::BoundBoth { reg: facts.number()?.reg, size: facts.size() }
        }
        RejectKind::MapValueBounds { mem_size, .. } | RejectKind::MapKeyBounds { mem_size, .. } => {
            Advice::StayInside { size: Some(*mem_size) }
        }
        RejectKind::DirectValueOff { value_size, .. } => {
            Advice::StayInside { size: Some(*value_size) }
        }
        RejectKind::StackBounds { .. } => Advice::StayInside { size: Some(512) },
        RejectKind::StackInvalidRead { .. }
        | RejectKind::StackIndirect { .. }
        | RejectKind::StackIndirectVar { .. } => Advice::InitialiseStack,
        RejectKind::BackEdge { .. }
        | RejectKind::InfiniteLoop { .. }
        | RejectKind::TooComplex { .. }
        | RejectKind::TooManyPending { .. } => Advice::BoundLoop,
        RejectKind::HelperNotAllowed { .. } | RejectKind::HelperUnknown { .. } => {
            Advice::OtherHelper
        }
        RejectKind::HelperGpl {} => Advice::Licence,
        RejectKind::StackDepth { .. } | RejectKind::TailCallStack { .. } => Advice::LessStack,
        RejectKind::CallDepth { .. } | RejectKind::CallChain { .. } => Advice::CallLessDeep,
        RejectKind::Misaligned { size, .. } => Advice::Align { size: *size },
        RejectKind::MapWriteForbidden { .. } | RejectKind::MapReadOnly {} => Advice::WriteElsewhere,
        RejectKind::MapReadForbidden { .. } => Advice::ReadElsewhere,
        RejectKind::CtxAccess { .. } => Advice::ContextMember,
        RejectKind::CallbackRange { range } | RejectKind::ReturnRange { range, .. } => {
            let (min, max) = range.wanted();
            Advice::Return { min, max }
        }
        RejectKind::PointerArithmetic { .. }
        | RejectKind::PointerArithmetic32 { .. }
        | RejectKind::PointerKind { .. }
        | RejectKind::PointerBitwise { .. }
        | RejectKind::PointerOperator { .. } => Advice::NoArithmetic,
        RejectKind::Unreachable { .. } => Advice::RemoveDeadCode,
        RejectKind::LastInsn {} => Advice::EndWithExit,
        RejectKind::LeakIntoMap { .. }
        | RejectKind::LeakIntoCtx { .. }
        | RejectKind::LeakIntoPacket { .. }
        | RejectKind::LeakIntoMem { .. }
        | RejectKind::LeakIntoHelper { .. }
        | RejectKind::LeakReturn { .. } => Advice::KeepAddress,
        RejectKind::Held(reason) => return of_held(reason, locked_at),
        // The rest says what to do itself, or is no mistake of the program's author.
        _ => return None,
    })
}

fn of_helper(reason: &HelperReject) -> Option<Advice> {
    match reason {
        HelperReject::PossiblyNull { arg } => Some(Advice::CheckNull { reg: *arg }),
        _ => None,
    }
}

fn of_held(reason: &HeldReject, locked_at: Option<u32>) -> Option<Advice> {
    match reason {
        HeldReject::Unreleased { leaks, .. } => {
            Some(Advice::Release { acquired: leaks.acquired().collect() })
        }
        HeldReject::InLock { .. } | HeldReject::CallInLock {} => {
            Some(Advice::Unlock { taken: locked_at })
        }
        HeldReject::TwoLocks {} | HeldReject::SameLock {} => Some(Advice::OneLock),
        _ => None,
    }
}
