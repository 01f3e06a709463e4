//! Why an object was not loaded, for people: the reason, the source line and the instruction it is about.

use crate::explain::Explanation;
use crate::failure::{Failure, FailureKind};
use crate::names::ObjectNames;
use serde::Serialize;
use skep::{LoadError, LoadErrorKind};
use skep_abi::Errno;
use skep_abi::insn::disasm::disasm;
use skep_abi::insn::{RawInsn, decode};
use skep_elf::{Object, ProgramDef};
use skep_verifier::VerifyError;
use std::path::Path;

/// Where in a program something is.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Slot of the instruction.
    pub(crate) insn: u32,
    /// The instruction, in the kernel's notation.
    pub(crate) text: Option<String>,
    /// Source file.
    pub(crate) file: Option<String>,
    /// Line number in it.
    pub(crate) line: Option<u32>,
    /// Text of the line.
    pub(crate) source: Option<String>,
}

/// The place of a slot of a program, as far as the object tells.
pub(crate) fn place(object: Option<&Object>, name: &str, insn: u32) -> Place {
    let found = object.and_then(|object| Some((object, object.program(name)?)));
    let Some((object, program)) = found else {
        return Place { insn, text: None, file: None, line: None, source: None };
    };
    let line = program.line_info.iter().rev().find(|line| line.insn_off <= insn);
    let string = |off| object.btf.as_ref().and_then(|btf| btf.str_at(off)).map(str::to_owned);
    Place {
        insn,
        text: instruction(object, program, insn),
        file: line.and_then(|line| string(line.file_name_off)),
        line: line.map(|line| line.line()),
        source: line.and_then(|line| string(line.line_off)).map(|text| text.trim().to_owned()),
    }
}

fn instruction(object: &Object, program: &ProgramDef, slot: u32) -> Option<String> {
    let slot = usize::try_from(slot).ok()?;
    let raw: &[RawInsn] = &program.insns;
    let insns = decode(raw).ok()?;
    Some(disasm(slot, insns.get(slot)?, &ObjectNames { object, program }).to_string())
}

/// `EINVAL`, or the number of an errno without a name.
pub(crate) fn errno_name(errno: Errno) -> String {
    errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned)
}

/// The failure that a load ended in.
pub(crate) fn failure(path: &Path, object: Option<&Object>, err: &LoadError) -> Failure {
    let path = path.display();
    match &err.kind {
        LoadErrorKind::Verify { error, .. } => match error.as_ref() {
            VerifyError::Rejected(reject) => {
                let explanation = Explanation::new(reject, object, &err.name);
                let text = format!("{path}: program {}: {explanation}", err.name);
                Failure::new(FailureKind::Load, text)
            }
            VerifyError::Internal(_) => Failure::new(FailureKind::Bug, format!("{path}: {err}")),
        },
        LoadErrorKind::Link(_) => Failure::new(FailureKind::Bug, format!("{path}: {err}")),
        LoadErrorKind::Map(_)
        | LoadErrorKind::MapFields(_)
        | LoadErrorKind::MapSpecial { .. }
        | LoadErrorKind::MapContent(_)
        | LoadErrorKind::MapSlot { .. }
        | LoadErrorKind::ProgType { .. }
        | LoadErrorKind::AttachTarget { .. }
        | LoadErrorKind::NoCode { .. }
        | LoadErrorKind::NotPermitted
        | LoadErrorKind::NoProgram => Failure::new(FailureKind::Load, format!("{path}: {err}")),
    }
}
