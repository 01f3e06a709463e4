//! [`Whole`]: an entry program with the subprograms that it reaches appended, calls made relative.
//!
//! The order is libbpf's, which decides instruction numbers: a subprogram is appended when the first call or address
//! of it is met, then its own calls are followed at once, and then the caller goes on.

use std::collections::HashMap;

use skep_abi::insn::RawInsn;

use crate::code::{self, Func, Reloc, Target};
use crate::error::ElfError;

/// Most instructions that all programs of an object may have together.
pub(crate) const MAX_TOTAL_INSNS: usize = 1 << 23;
/// `BPF_PSEUDO_FUNC`.
const PSEUDO_FUNC: u8 = 4;

/// A function in a whole program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Index of the function.
    pub(crate) func: usize,
    /// First slot in the whole.
    pub(crate) start: usize,
}

/// A program with its subprograms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole {
    pub(crate) insns: Vec<RawInsn>,
    /// By ascending start; the first is the entry.
    pub(crate) parts: Vec<Part>,
}

/// A function whose calls are being followed.
struct Frame {
    part: Part,
    next: usize,
}

/// The functions of an object, for appending.
pub(crate) struct Functions<'a> {
    pub(crate) funcs: &'a [Func],
    pub(crate) text: Option<usize>,
    /// Instructions that may still be made.
    pub(crate) budget: usize,
}

impl Functions<'_> {
    /// Makes a whole of an entry program, and of `extra` (an exception callback) if nothing calls that.
    pub(crate) fn whole(&mut self, entry: usize, extra: Option<usize>) -> Result<Whole, ElfError> {
        let mut whole = Whole::default();
        let mut placed = HashMap::new();
        self.follow(&mut whole, &mut placed, entry)?;
        if let Some(extra) = extra
            && !placed.contains_key(&extra)
        {
            self.follow(&mut whole, &mut placed, extra)?;
        }
        Ok(whole)
    }

    fn place(
        &mut self,
        whole: &mut Whole,
        placed: &mut HashMap<usize, usize>,
        func: usize,
    ) -> Result<Part, ElfError> {
        let part = Part { func, start: whole.insns.len() };
        let insns = self.funcs.get(func).map_or(&[][..], |f| &f.insns);
        self.budget = self.budget.checked_sub(insns.len()).ok_or_else(|| {
            ElfError::new(format!(
                "the object's programs have more than {MAX_TOTAL_INSNS} instructions with their subprograms"
            ))
        })?;
        whole.insns.extend_from_slice(insns);
        whole.parts.push(part);
        placed.insert(func, part.start);
        Ok(part)
    }

    fn follow(
        &mut self,
        whole: &mut Whole,
        placed: &mut HashMap<usize, usize>,
        entry: usize,
    ) -> Result<(), ElfError> {
        let part = self.place(whole, placed, entry)?;
        // A stack of our own: the depth is the object's choice.
        let mut stack = vec![Frame { part, next: 0 }];
        while let Some(frame) = stack.last_mut() {
            let Part { func: index, start } = frame.part;
            let slot = frame.next;
            let Some(func) = self.funcs.get(index).filter(|f| slot < f.insns.len()) else {
                stack.pop();
                continue;
            };
            frame.next += 1;
            let at = start + slot;
            let Some(insn) = whole.insns.get(at).copied() else { continue };
            let Some(callee) = self.callee(func, slot, insn).map_err(|e| {
                e.in_program(&func.name).at((func.sec_slot as u64).saturating_add(slot as u64) * 8)
            })?
            else {
                continue;
            };
            let callee_start = match placed.get(&callee) {
                Some(start) => *start,
                None => {
                    let part = self.place(whole, placed, callee)?;
                    stack.push(Frame { part, next: 0 });
                    part.start
                }
            };
            // Both are below the budget, so the difference fits.
            let distance = callee_start as i64 - at as i64 - 1;
            if let Some(insn) = whole.insns.get_mut(at) {
                insn.imm = distance as i32;
                if code::is_ld_imm64(*insn) {
                    insn.src = PSEUDO_FUNC;
                }
            }
        }
        Ok(())
    }

    /// The subprogram that an instruction calls or takes the address of.
    fn callee(&self, func: &Func, slot: usize, insn: RawInsn) -> Result<Option<usize>, ElfError> {
        let reloc = func
            .relocs
            .binary_search_by_key(&slot, |r| r.slot)
            .ok()
            .and_then(|i| func.relocs.get(i))
            .map(|r: &Reloc| r.target);
        // All in bytes of .text; the sums are of a checked 64-bit value and 32-bit ones.
        let byte = match reloc {
            Some(Target::Call(offset)) => i128::from(offset) + (i128::from(insn.imm) + 1) * 8,
            Some(Target::FuncAddr(offset)) => i128::from(offset) + i128::from(insn.imm),
            Some(Target::ExternCall(_)) => return Ok(None),
            Some(Target::Map(_) | Target::Data(..) | Target::ExternLoad(_)) => return Ok(None),
            None if code::is_ld_imm64(insn) && insn.src == PSEUDO_FUNC => {
                return Err(ElfError::new("address of a subprogram without a relocation"));
            }
            None if code::is_local_call(insn) => {
                if self.text != Some(func.section) {
                    return Err(ElfError::new(
                        "call without a relocation; subprograms of an entry program are in .text",
                    ));
                }
                (func.sec_slot as i128 + slot as i128 + i128::from(insn.imm) + 1) * 8
            }
            None => return Ok(None),
        };
        let found = self
            .text
            .zip(usize::try_from(byte / 8).ok())
            .and_then(|(text, target)| code::find(self.funcs, text, target));
        let missing =
            || ElfError::new(format!("call of byte {byte:#x} of .text, where no function begins"));
        let callee = found.ok_or_else(missing)?;
        let begins = self.funcs.get(callee).is_some_and(|f| f.sec_slot as i128 * 8 == byte);
        if begins { Ok(Some(callee)) } else { Err(missing()) }
    }
}
