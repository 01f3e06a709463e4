//! `skep disasm`: the instructions of an object, in the kernel's notation, between the lines they come from.

use crate::args::DisasmArgs;
use crate::failure::{Failure, FailureKind};
use crate::input::{self, Input};
use crate::output::Out;
use skep_abi::insn::disasm::{Names, disasm};
use skep_abi::insn::{CallTarget, Imm64, Insn, RawInsn, cbpf, decode};
use skep_abi::uapi::HELPER_NAMES;
use skep_elf::{Object, ProgramDef};

pub(crate) fn run(args: &DisasmArgs, out: &mut Out) -> Result<(), Failure> {
    match Input::open(&args.object, &args.target)? {
        Input::Object(object) => {
            let only = match &args.prog {
                Some(name) => Some(input::choose(&object, &args.object, Some(name))?),
                None => None,
            };
            for program in only.map_or(object.programs.as_slice(), core::slice::from_ref) {
                print_program(&object, program, out)
                    .map_err(|failure| failure.about(args.object.display()))?;
            }
            Ok(())
        }
        Input::Classic(filter) => {
            out.line("classic:")?;
            out.line(cbpf::image_program(&filter))?;
            let raw = cbpf::translate(&filter, cbpf::Flavor::Socket)
                .map_err(|err| Failure::file(FailureKind::Load, &args.object, &err))?;
            out.line("translated:")?;
            for (slot, insn) in decoded(&raw)?.iter().enumerate() {
                if *insn != Insn::Imm64Hi {
                    out.line(format_args!("{slot:4}: {}", disasm(slot, insn, &ClassicNames)))?;
                }
            }
            Ok(())
        }
    }
}

fn decoded(raw: &[RawInsn]) -> Result<Vec<Insn>, Failure> {
    decode(raw).map_err(|err| Failure::new(FailureKind::Load, input::cause(&err)))
}

fn print_program(object: &Object, program: &ProgramDef, out: &mut Out) -> Result<(), Failure> {
    let insns = decoded(&program.insns)
        .map_err(|failure| failure.about(format_args!("program {}", program.name)))?;
    let names = ObjectNames { object, program };
    out.line(format_args!("{} ({}):", program.name, program.section))?;

    let mut lines = program.line_info.iter().peekable();
    for (slot, insn) in insns.iter().enumerate() {
        if let Some(subprog) =
            program.subprogs.iter().find(|s| s.start as usize == slot && slot > 0)
        {
            out.line(format_args!("{}:", subprog.name))?;
        }
        while let Some(line) = lines.next_if(|line| line.insn_off as usize <= slot) {
            let text =
                |off| object.btf.as_ref().and_then(|btf| btf.str_at(off)).unwrap_or_default();
            out.line(format_args!(
                "; {} @ {}:{}",
                text(line.line_off).trim(),
                text(line.file_name_off).rsplit('/').next().unwrap_or_default(),
                line.line()
            ))?;
        }
        if *insn != Insn::Imm64Hi {
            out.line(format_args!("{slot:4}: {}", disasm(slot, insn, &names)))?;
        }
    }
    out.line("")
}

/// `bpf_` and the helper's name.
fn helper_name(id: i32) -> Option<&'static str> {
    let id = u32::try_from(id).ok()?;
    HELPER_NAMES.iter().find(|(_, number)| *number == id).map(|(name, _)| *name)
}

/// Names of helpers, for a classic filter.
struct ClassicNames;

impl Names for ClassicNames {
    fn helper(&self, id: i32) -> Option<&str> {
        helper_name(id)
    }
}

/// Names of helpers, maps and subprograms of an object.
struct ObjectNames<'a> {
    object: &'a Object,
    program: &'a ProgramDef,
}

impl ObjectNames<'_> {
    fn subprog(&self, slot: usize, offset: i32) -> Option<&str> {
        let target = i64::try_from(slot).ok()? + 1 + i64::from(offset);
        let found = self.program.subprogs.iter().find(|s| i64::from(s.start) == target)?;
        Some(&found.name)
    }

    fn map(&self, index: i32) -> Option<&str> {
        Some(&self.object.maps.get(usize::try_from(index).ok()?)?.name)
    }
}

impl Names for ObjectNames<'_> {
    fn helper(&self, id: i32) -> Option<&str> {
        helper_name(id)
    }

    fn call(&self, slot: usize, target: CallTarget) -> Option<String> {
        match target {
            CallTarget::Local(offset) => {
                Some(format!("pc{offset:+}#{}", self.subprog(slot, offset)?))
            }
            CallTarget::Helper(_) | CallTarget::Kfunc { .. } => None,
        }
    }

    fn imm64(&self, slot: usize, imm: Imm64) -> Option<String> {
        match imm {
            Imm64::MapIdx(index, _) => Some(format!("map[{}]", self.map(index)?)),
            Imm64::MapIdxValue(index, offset) => {
                Some(format!("map[{}][0]+{offset}", self.map(index)?))
            }
            Imm64::Func(offset, _) => Some(format!("subprog[{}]", self.subprog(slot, offset)?)),
            Imm64::Value(_) | Imm64::MapFd(..) | Imm64::MapValue(..) | Imm64::BtfId(..) => None,
        }
    }
}
