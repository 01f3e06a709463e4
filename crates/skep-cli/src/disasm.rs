//! `skep disasm`: the instructions of an object, in the kernel's notation, between the lines they come from.

use crate::args::DisasmArgs;
use crate::failure::{Failure, FailureKind};
use crate::input::{self, Input};
use crate::names::{ClassicNames, ObjectNames};
use crate::output::Out;
use skep_abi::insn::disasm::disasm;
use skep_abi::insn::{Insn, RawInsn, cbpf, decode};
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
