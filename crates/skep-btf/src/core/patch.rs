//! [`patch`]: writes the result of a relocation into its instruction.

use skep_abi::insn::RawInsn;

use super::{CoreError, MemAccess, Resolution};

/// The helper that a poisoned instruction calls. It does not exist, and reads "bad relo" in hexadecimal: `0xbad2310`.
pub const POISON_HELPER: i32 = 195_896_080;

// Instruction classes and modes (RFC 9669, section 3).
const CLASS_MASK: u8 = 0x07;
const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const ALU64: u8 = 7;
const SOURCE_REG: u8 = 0x08;
const SIZE_MASK: u8 = 0x18;
const MODE_MASK: u8 = 0xe0;
const LD_IMM64: u8 = 0x18;
const CALL: u8 = 0x85;

/// Patches the instruction at `slot` of a program.
///
/// Immediates of arithmetic, offsets of loads and stores (and their size), and the value of a 64-bit immediate load
/// can be patched. A result without a value turns the instruction into a call of [`POISON_HELPER`], which the
/// verifier refuses where it can be reached.
///
/// # Errors
/// [`CoreError`] where the instruction is of another form, or does not hold what its own types give.
pub fn patch(insns: &mut [RawInsn], slot: usize, result: &Resolution) -> Result<(), CoreError> {
    let Some((insn, rest)) = insns.get_mut(slot..).and_then(<[RawInsn]>::split_first_mut) else {
        return Err(CoreError::Insn { slot, code: 0, reason: "is past the end of the program" });
    };
    let bad = |code, reason| CoreError::Insn { slot, code, reason };
    let Some(new) = result.new else {
        poison(insn, rest);
        return Ok(());
    };
    let check = |found: u64| {
        if result.check_orig && found != result.orig {
            return Err(CoreError::UnexpectedValue { slot, found, expected: result.orig });
        }
        Ok(())
    };
    match insn.code & CLASS_MASK {
        ALU | ALU64 => {
            if insn.code & SOURCE_REG != 0 {
                return Err(bad(insn.code, "has no immediate to relocate"));
            }
            check(i64::from(insn.imm) as u64)?;
            insn.imm = new as i32;
        }
        LDX | ST | STX => {
            check(i64::from(insn.off) as u64)?;
            let off =
                i16::try_from(new).map_err(|_| CoreError::OffsetTooBig { slot, offset: new })?;
            match result.access {
                MemAccess::Same => {}
                MemAccess::Mismatch => {
                    poison(insn, rest);
                    return Ok(());
                }
                MemAccess::Resize { orig, new } => {
                    let found = size_of_code(insn.code);
                    if found != orig {
                        return Err(CoreError::AccessSize { slot, found, expected: orig });
                    }
                    let size =
                        code_of_size(new).ok_or(CoreError::TargetSize { slot, size: new })?;
                    insn.code = insn.code & (MODE_MASK | CLASS_MASK) | size;
                }
            }
            insn.off = off;
        }
        LD => {
            let Some(second) = rest.first_mut().filter(|second| {
                let zero = RawInsn { imm: second.imm, ..RawInsn::default() };
                insn.code == LD_IMM64 && insn.src == 0 && insn.off == 0 && **second == zero
            }) else {
                return Err(bad(insn.code, "is not a plain 64-bit immediate load"));
            };
            check(u64::from(insn.imm as u32) | u64::from(second.imm as u32) << 32)?;
            insn.imm = new as u32 as i32;
            second.imm = (new >> 32) as u32 as i32;
        }
        _ => return Err(bad(insn.code, "cannot be relocated")),
    }
    Ok(())
}

/// Replaces an instruction, and the second half of a 64-bit immediate load.
fn poison(insn: &mut RawInsn, rest: &mut [RawInsn]) {
    let call = RawInsn { code: CALL, dst: 0, src: 0, off: 0, imm: POISON_HELPER };
    if insn.code == LD_IMM64
        && let Some(second) = rest.first_mut()
    {
        *second = call;
    }
    *insn = call;
}

/// Bytes that a load or store accesses.
fn size_of_code(code: u8) -> u32 {
    match code & SIZE_MASK {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn code_of_size(bytes: u32) -> Option<u8> {
    Some(match bytes {
        1 => 0x10,
        2 => 0x08,
        4 => 0x00,
        8 => 0x18,
        _ => return None,
    })
}
