//! [`check`]: whether the kernel would take a filter.

use super::{
    AD_OFF, AluOp, Ancillary, CbpfError, CbpfErrorKind, Flavor, LoadSize, MAX_INSNS, Op, Operand,
    SCRATCH_WORDS, SECCOMP_DATA_SIZE, SockFilter,
};

/// Validates a filter as the kernel does when it is attached.
///
/// # Errors
///
/// The first reason for which the kernel answers `EINVAL`: opcodes, constants and jumps first, then scratch words
/// that may be read before they are written, then what seccomp forbids.
///
/// Source: `bpf_check_classic` and `seccomp_check_filter` of Linux 6.18.
pub fn check(filter: &[SockFilter], flavor: Flavor) -> Result<(), CbpfError> {
    let fail = |insn, kind| Err(CbpfError { insn, kind });
    if filter.is_empty() {
        return fail(0, CbpfErrorKind::Empty);
    }
    if filter.len() > MAX_INSNS {
        return fail(MAX_INSNS, CbpfErrorKind::TooLong(filter.len()));
    }
    for (at, insn) in filter.iter().enumerate() {
        check_insn(filter.len(), at, insn).map_err(|kind| CbpfError { insn: at, kind })?;
    }
    let last = filter.len() - 1;
    if !matches!(filter.last().and_then(|f| Op::of(f.code)), Some(Op::RetK | Op::RetA)) {
        return fail(last, CbpfErrorKind::NoReturn);
    }
    check_scratch(filter)?;
    match flavor {
        Flavor::Socket => Ok(()),
        Flavor::Seccomp => filter.iter().enumerate().try_for_each(|(at, insn)| {
            check_seccomp(insn).map_err(|kind| CbpfError { insn: at, kind })
        }),
    }
}

/// Index of the instruction to which a jump over `skip` instructions leads.
fn target(len: usize, at: usize, skip: u32) -> Result<usize, CbpfErrorKind> {
    let target = at as u64 + 1 + u64::from(skip);
    match usize::try_from(target) {
        Ok(index) if index < len => Ok(index),
        Ok(_) | Err(_) => Err(CbpfErrorKind::JumpTarget(target)),
    }
}

fn check_insn(len: usize, at: usize, insn: &SockFilter) -> Result<(), CbpfErrorKind> {
    let op = Op::of(insn.code).ok_or(CbpfErrorKind::Opcode(insn.code))?;
    match op {
        Op::Alu(AluOp::Div | AluOp::Mod, Operand::K) if insn.k == 0 => {
            Err(CbpfErrorKind::DivisionByZero)
        }
        Op::Alu(AluOp::Lsh | AluOp::Rsh, Operand::K) if insn.k >= 32 => {
            Err(CbpfErrorKind::Shift(insn.k))
        }
        Op::LdMem | Op::LdxMem | Op::St | Op::Stx if insn.k >= SCRATCH_WORDS => {
            Err(CbpfErrorKind::ScratchIndex(insn.k))
        }
        Op::Ja => target(len, at, insn.k).map(|_| ()),
        Op::Jump(..) => {
            target(len, at, insn.jt.into())?;
            target(len, at, insn.jf.into()).map(|_| ())
        }
        Op::LdAbs(_) if insn.k >= AD_OFF && Ancillary::at(insn.k).is_none() => {
            Err(CbpfErrorKind::AncillaryOffset(insn.k))
        }
        Op::LdAbs(_)
        | Op::LdInd(_)
        | Op::LdLen
        | Op::LdImm
        | Op::LdMem
        | Op::LdxImm
        | Op::LdxMem
        | Op::LdxLen
        | Op::LdxMsh
        | Op::St
        | Op::Stx
        | Op::Alu(..)
        | Op::Neg
        | Op::RetK
        | Op::RetA
        | Op::Tax
        | Op::Txa => Ok(()),
    }
}

/// Every scratch word must be written on every path before it is read. Jumps go forwards only, so one pass is enough.
fn check_scratch(filter: &[SockFilter]) -> Result<(), CbpfError> {
    // Bit k of an entry: M[k] is written on every path that arrives there by a jump.
    let mut arriving = vec![u16::MAX; filter.len()];
    let mut written = 0u16;
    for (at, insn) in filter.iter().enumerate() {
        written &= arriving.get(at).copied().unwrap_or(u16::MAX);
        let bit = 1u16 << (insn.k % SCRATCH_WORDS);
        let skips: &[u32] = match Op::of(insn.code) {
            Some(Op::St | Op::Stx) => {
                written |= bit;
                continue;
            }
            Some(Op::LdMem | Op::LdxMem) if written & bit == 0 => {
                return Err(CbpfError { insn: at, kind: CbpfErrorKind::ScratchUnwritten(insn.k) });
            }
            Some(Op::Ja) => &[insn.k],
            Some(Op::Jump(..)) => &[insn.jt.into(), insn.jf.into()],
            // After a `ret` too: the kernel goes on with what the `ret` had.
            Some(_) | None => continue,
        };
        for &skip in skips {
            if let Some(mask) =
                target(filter.len(), at, skip).ok().and_then(|index| arriving.get_mut(index))
            {
                *mask &= written;
            }
        }
        // Nothing falls through a jump.
        written = u16::MAX;
    }
    Ok(())
}

fn check_seccomp(insn: &SockFilter) -> Result<(), CbpfErrorKind> {
    let op = Op::of(insn.code).ok_or(CbpfErrorKind::Opcode(insn.code))?;
    match op {
        Op::LdAbs(LoadSize::W) if insn.k >= SECCOMP_DATA_SIZE || !insn.k.is_multiple_of(4) => {
            Err(CbpfErrorKind::SeccompOffset(insn.k))
        }
        Op::LdAbs(LoadSize::H | LoadSize::B)
        | Op::LdInd(_)
        | Op::LdxMsh
        | Op::Alu(AluOp::Mod, _) => Err(CbpfErrorKind::NotInSeccomp(insn.code)),
        Op::LdAbs(LoadSize::W)
        | Op::LdLen
        | Op::LdImm
        | Op::LdMem
        | Op::LdxImm
        | Op::LdxMem
        | Op::LdxLen
        | Op::St
        | Op::Stx
        | Op::Alu(..)
        | Op::Neg
        | Op::Ja
        | Op::Jump(..)
        | Op::RetK
        | Op::RetA
        | Op::Tax
        | Op::Txa => Ok(()),
    }
}
