//! [`Program`]: a verified program that can run.

use crate::packet::{Redirect, Skb, SkbView, XdpBuff};
use crate::prog_type::{ProgKind, ProgType};
use crate::system::RunError;
use core::any::Any;
use skep_abi::Errno;
use skep_maps::{ProgCompat, ProgObject};
use skep_verifier::{VerifiedProg, VerifyStats};
use skep_vm::{Context, MemContext, Prog, Runtime, Trap};
use std::sync::Arc;

/// A loaded program.
#[derive(Debug)]
pub struct Program {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kind: &'static ProgType,
    pub(crate) expected_attach_type: u32,
    pub(crate) verified: VerifiedProg,
    pub(crate) code: Arc<Prog>,
    pub(crate) log: String,
}

/// What a program made of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameResult {
    /// The program's answer.
    pub retval: u32,
    /// The frame from its link header, as the program left it.
    pub frame: Vec<u8>,
    /// Where the program asked for it to be sent, if it did.
    pub redirect: Option<Redirect>,
}

impl Program {
    /// Number that no other program of the process has.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type.
    pub fn kind(&self) -> ProgKind {
        self.kind.kind
    }

    /// `BPF_PROG_TYPE_*`; 0 for classic seccomp filters.
    pub fn prog_type(&self) -> u32 {
        self.kind.props.prog_type
    }

    /// Type's name as bpftool prints it.
    pub fn type_name(&self) -> &'static str {
        self.kind.props.name
    }

    /// The verified instructions.
    pub fn verified(&self) -> &VerifiedProg {
        &self.verified
    }

    /// What verification cost.
    pub fn stats(&self) -> VerifyStats {
        self.verified.stats()
    }

    /// The verifier's log, as far as it was asked for at the load.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The program as engines have it.
    pub fn code(&self) -> &Arc<Prog> {
        &self.code
    }

    /// Runs on a context that fits the program's type.
    ///
    /// # Errors
    /// [`Trap`].
    pub(crate) fn run(&self, ctx: &mut dyn Context, rt: &mut Runtime<'_>) -> Result<u32, Trap> {
        skep_vm::run(&self.code, ctx, rt).map(|r0| r0 as u32)
    }

    /// Runs a packet program on an Ethernet frame of any length, as a capture has it. A socket filter sees the frame
    /// from its link header, as on a packet socket.
    ///
    /// # Errors
    /// [`RunError`]: the program is not one for packets, the frame is too short, or the run trapped.
    pub fn run_frame(&self, frame: &[u8], rt: &mut Runtime<'_>) -> Result<FrameResult, RunError> {
        match self.kind() {
            ProgKind::SocketFilter => {
                let mut skb = skb(frame, SkbView::Capture)?;
                let retval = self.run(&mut skb, rt)?;
                // A socket filter cannot change the packet.
                Ok(FrameResult { retval, frame: frame.to_vec(), redirect: None })
            }
            ProgKind::SchedCls | ProgKind::SchedAct => {
                let mut skb = skb(frame, SkbView::Link)?;
                let retval = self.run(&mut skb, rt)?;
                let (frame, redirect) = (skb.to_vec_with_tag(), skb.redirect());
                Ok(FrameResult { retval, frame, redirect })
            }
            ProgKind::Xdp => {
                let mut xdp = XdpBuff::new(frame, 0).map_err(too_short)?;
                let retval = self.run(&mut xdp, rt)?;
                let (frame, redirect) = (xdp.to_vec(), xdp.redirect());
                Ok(FrameResult { retval, frame, redirect })
            }
            ProgKind::Syscall | ProgKind::Judged | ProgKind::Seccomp => {
                Err(RunError::refused(Errno::EINVAL, "the program does not take packets"))
            }
        }
    }

    /// Runs a seccomp filter on `struct seccomp_data`, in host byte order.
    ///
    /// # Errors
    /// [`RunError`]: the program is not a seccomp filter, or the run trapped.
    pub fn run_seccomp(&self, data: &[u8; 64], rt: &mut Runtime<'_>) -> Result<u32, RunError> {
        if self.kind() != ProgKind::Seccomp {
            return Err(RunError::refused(Errno::EINVAL, "the program is not a seccomp filter"));
        }
        Ok(self.run(&mut MemContext::new(data), rt)?)
    }
}

fn too_short(errno: Errno) -> RunError {
    RunError::refused(errno, "the frame is too short for its headers")
}

pub(super) fn skb(frame: &[u8], view: SkbView) -> Result<Skb, RunError> {
    Skb::new(frame, view).map_err(too_short)
}

impl ProgObject for Program {
    fn id(&self) -> u32 {
        self.id
    }

    fn compat(&self) -> ProgCompat {
        compat(self.kind, self.expected_attach_type)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(super) fn compat(kind: &ProgType, expected_attach_type: u32) -> ProgCompat {
    let expected_attach_type = match kind.kind {
        ProgKind::Xdp => expected_attach_type,
        ProgKind::SocketFilter
        | ProgKind::SchedCls
        | ProgKind::SchedAct
        | ProgKind::Syscall
        | ProgKind::Judged
        | ProgKind::Seccomp => 0,
    };
    ProgCompat { prog_type: kind.props.prog_type, expected_attach_type, token: 0 }
}
