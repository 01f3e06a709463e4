//! [`Engine`]: a loaded program with its maps, ready to be given packets.

use super::maps::Shown;
use super::verdict::PacketProgram;
use crate::args::{ChecksArgs, PlayArgs};
use crate::diagnostic;
use crate::failure::{Failure, FailureKind};
use crate::input::{self, Input};
use skep::{LoadOptions, Loaded, Program, RunError, System};
use skep_abi::insn::cbpf::Flavor;
use skep_vm::{Mode, Runtime};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A program to play through.
#[derive(Debug)]
pub(crate) struct Engine {
    system: System,
    program: Arc<Program>,
    packets: PacketProgram,
    /// Maps; none for a classic filter.
    loaded: Option<Loaded>,
}

/// What came of one packet.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The program's return value.
    pub(crate) value: u32,
    /// The packet as the program left it.
    pub(crate) data: Vec<u8>,
    /// Time that all its runs took, making the packet's context included.
    pub(crate) time: Duration,
}

/// Why there is no outcome.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// The packet is not one that programs of this type run on.
    Skipped(String),
    /// The program was stopped, which a verified program never should be.
    Stopped(String),
}

impl Engine {
    /// Loads what the command line names.
    pub(crate) fn load(input: &Input, args: &PlayArgs) -> Result<Self, Failure> {
        let system = system(&args.checks);
        let path = &args.object;
        let (program, loaded) = match input {
            Input::Object(object) => {
                let chosen = input::choose(object, path, args.prog.as_deref())?;
                let options = LoadOptions { only: Some(&chosen.name), ..LoadOptions::default() };
                let fail = |err| diagnostic::failure(path, Some(object), &err);
                // Loading maps and programs that cannot take packets would be in vain.
                check_type(chosen.prog_type).map_err(|failure| {
                    failure.about(format_args!("{}: program {}", path.display(), chosen.name))
                })?;
                let loaded = system.load_object(object, &options).map_err(fail)?;
                let Some(program) = loaded.program(&chosen.name).cloned() else {
                    let text = format!("{}: program {} is gone", path.display(), chosen.name);
                    return Err(Failure::new(FailureKind::Bug, text));
                };
                (program, Some(loaded))
            }
            Input::Classic(filter) => {
                let name = input::object_name(path);
                let program = system
                    .load_classic(&name, filter, Flavor::Socket)
                    .map_err(|err| diagnostic::failure(path, None, &err))?;
                (program, None)
            }
        };
        let packets = check_type(program.prog_type())?;
        Ok(Self { system, program, packets, loaded })
    }

    /// Name of the program.
    pub(crate) fn name(&self) -> &str {
        self.program.name()
    }

    /// Type of the program, as bpftool prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        self.program.type_name()
    }

    /// What the program's return values mean.
    pub(crate) fn packets(&self) -> PacketProgram {
        self.packets
    }

    /// How its runs are checked.
    pub(crate) fn mode(&self) -> Mode {
        self.system.mode()
    }

    /// Runs the program on a packet, `repeat` times, each time on the packet as captured.
    pub(crate) fn run(
        &self,
        data: &[u8],
        repeat: u32,
        runtime: &mut Runtime<'_>,
    ) -> Result<Outcome, NotRun> {
        let start = Instant::now();
        let mut result = self.program.run_frame(data, runtime);
        for _ in 1..repeat {
            result = result.and_then(|_| self.program.run_frame(data, runtime));
        }
        match result {
            Ok(result) => {
                Ok(Outcome { value: result.retval, data: result.frame, time: start.elapsed() })
            }
            Err(RunError::Refused { reason, .. }) => Err(NotRun::Skipped(reason.to_owned())),
            Err(RunError::Trap(trap)) => Err(NotRun::Stopped(trap.to_string())),
        }
    }

    /// The maps, in the object's order.
    pub(crate) fn maps(&self) -> Vec<Shown<'_>> {
        let Some(loaded) = &self.loaded else { return Vec::new() };
        let btf = loaded.btf().map(AsRef::as_ref);
        let maps = loaded.maps().iter();
        maps.map(|map| Shown { def: &map.def, ops: map.map.as_ref(), btf }).collect()
    }
}

/// A subsystem as the command line wants it.
pub(crate) fn system(checks: &ChecksArgs) -> System {
    match checks.mode() {
        Mode::Trusted => System::new(),
        Mode::Checked => System::with_checks(),
    }
}

fn check_type(prog_type: u32) -> Result<PacketProgram, Failure> {
    PacketProgram::from_type(prog_type).ok_or_else(|| {
        let text = "the program does not take packets: only socket filters, tc and XDP programs do";
        Failure::new(FailureKind::Usage, text)
    })
}
