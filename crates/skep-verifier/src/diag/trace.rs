//! Where a register's content came from: the path is gone back along until the instruction that made it.

use super::{OffsetFact, Origin};
use crate::env::HelperLookup;
use crate::pre::use_def;
use crate::prune::{Step, StepId};
use crate::state::Place;
use crate::walk::Walk;
use skep_abi::insn::{AluOp, CallTarget, Insn, Reg, Src};

/// What was found.
pub(super) struct Found {
    /// Slot of the instruction.
    pub(super) at: Option<u32>,
    pub(super) origin: Origin,
    /// The last call on the way that moved the packet.
    pub(super) packet_moved_at: Option<u32>,
    /// Of a number that was added on the way, the last one.
    pub(super) offset: Option<OffsetFact>,
}

/// What an instruction says of a place that is looked for.
enum Says {
    /// Nothing: go on.
    Nothing,
    /// It is a copy of another place.
    Copy(Place),
    /// It changes the place, maybe by what a register holds; where the old content came from matters still.
    Changes(Option<Place>),
    /// It made it.
    Made(Origin),
}

impl Walk<'_> {
    /// Goes back from the instruction in hand.
    pub(super) fn trace_back(&self, r: Reg) -> Found {
        let place = Place::Reg(self.cur.cur_idx() as u8, r.num());
        let (mut found, moved_by) =
            self.trace_place(place, self.history.before(self.history.last()));
        found.offset = moved_by.map(|(place, at)| {
            let (number, _) = self.trace_place(place, at);
            OffsetFact { set_at: number.at, origin: number.origin }
        });
        found
    }

    /// Goes back from a step; also gives what the place was changed by last, and before which step.
    fn trace_place(&self, mut place: Place, mut at: StepId) -> (Found, Option<(Place, StepId)>) {
        let mut found =
            Found { at: None, origin: Origin::Never, packet_moved_at: None, offset: None };
        let mut moved_by = None;
        while let Some(step) = self.history.get(at) {
            if let Place::Reg(_, 10) = place {
                break;
            }
            let before = self.history.before(at);
            if found.packet_moved_at.is_none() && self.moves_packet(step) {
                found.packet_moved_at = Some(step.idx);
            }
            match self.says(step, place) {
                Says::Nothing => {}
                Says::Copy(from) => {
                    place = from;
                    if let Place::Reg(_, 10) = from {
                        found.at = Some(step.idx);
                    }
                }
                Says::Changes(by) => {
                    found.at = found.at.or(Some(step.idx));
                    moved_by = moved_by.or(by.map(|by| (by, before)));
                }
                Says::Made(origin) => {
                    found.at = Some(step.idx);
                    found.origin = origin;
                    return (found, moved_by);
                }
            }
            at = before;
        }
        found.origin = match place {
            Place::Reg(_, 10) => Origin::StackAddress,
            Place::Reg(0, 1) => Origin::Argument,
            Place::Reg(..) | Place::Slot(..) if found.at.is_some() => Origin::Computed,
            Place::Reg(..) | Place::Slot(..) => Origin::Never,
        };
        (found, moved_by)
    }

    fn moves_packet(&self, step: &Step) -> bool {
        match self.prog.insns.get(step.idx as usize) {
            Some(Insn::Call(CallTarget::Helper(id))) => {
                matches!(self.env.helper(*id), HelperLookup::Known(p) if p.changes_pkt_data)
            }
            _ => false,
        }
    }

    fn says(&self, step: &Step, place: Place) -> Says {
        let Some(insn) = self.prog.insns.get(step.idx as usize) else { return Says::Nothing };
        match place {
            Place::Slot(..) => {
                let is_here = step.stack().is_some_and(|(f, s)| Place::Slot(f, s) == place);
                match insn {
                    Insn::Store { src: Src::Reg(r), .. } if is_here => {
                        Says::Copy(Place::Reg(step.depth, r.num()))
                    }
                    Insn::Store { src: Src::Imm(_), .. } if is_here => Says::Made(Origin::Constant),
                    _ => Says::Nothing,
                }
            }
            Place::Reg(depth, n) if step.depth == depth => self.says_of_register(step, insn, n),
            // Up into the function that called: its arguments.
            Place::Reg(depth, n) if step.depth + 1 == depth && (1..=5).contains(&n) => match insn {
                Insn::Call(CallTarget::Local(_)) => Says::Copy(Place::Reg(step.depth, n)),
                Insn::Call(CallTarget::Helper(_)) => Says::Made(Origin::CallbackArgument),
                _ => Says::Nothing,
            },
            Place::Reg(..) => Says::Nothing,
        }
    }

    fn says_of_register(&self, step: &Step, insn: &Insn, n: u8) -> Says {
        if use_def(insn, &self.prog.kfuncs, self.env).defs >> n & 1 == 0 {
            return Says::Nothing;
        }
        match *insn {
            Insn::Alu { op: AluOp::Mov, src, .. } => match src {
                Src::Reg(r) => Says::Copy(Place::Reg(step.depth, r.num())),
                Src::Imm(_) => Says::Made(Origin::Constant),
            },
            Insn::MovSx { src, .. } | Insn::AddrSpaceCast { src, .. } => {
                Says::Copy(Place::Reg(step.depth, src.num()))
            }
            Insn::Alu { src: Src::Reg(r), .. } => {
                Says::Changes(Some(Place::Reg(step.depth, r.num())))
            }
            Insn::Alu { .. } | Insn::Neg { .. } | Insn::Endian { .. } => Says::Changes(None),
            Insn::LdImm64 { .. } => Says::Made(Origin::Address),
            Insn::Load { .. } | Insn::LoadAcquire { .. } => match step.stack() {
                Some((f, s)) => Says::Copy(Place::Slot(f, s)),
                None => Says::Made(self.origin_of_load(step.idx)),
            },
            Insn::Call(target) if n == 0 => Says::Made(self.origin_of_result(target)),
            Insn::Call(_) => Says::Made(Origin::LostInCall),
            Insn::LdAbs { .. } | Insn::LdInd { .. } if n != 0 => Says::Made(Origin::LostInCall),
            Insn::LdAbs { .. } | Insn::LdInd { .. } | Insn::Atomic { .. } => {
                Says::Made(Origin::Memory)
            }
            Insn::Imm64Hi
            | Insn::Store { .. }
            | Insn::StoreRelease { .. }
            | Insn::Goto { .. }
            | Insn::MayGoto { .. }
            | Insn::JumpIf { .. }
            | Insn::Exit => Says::Nothing,
        }
    }
}
