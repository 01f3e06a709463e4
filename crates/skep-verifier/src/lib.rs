//! The BPF verifier: untrusted instructions in, [`VerifiedProg`] out.
//!
//! [`verify`] runs all passes. What a program may use comes through [`env::Env`]; why one was
//! rejected is a [`Reject`], of which the kernel-style log and the diagnostic for people are renderings.
#![forbid(unsafe_code)]

mod call;
mod caps;
pub mod diag;
pub mod domain;
pub mod env;
mod insn;
mod log;
mod mem;
mod object;
mod post;
mod pre;
mod prog;
mod prune;
mod reject;
mod state;
mod walk;

pub use log::{Log, LogLevel};
pub use pre::attach::is_sleepable_hook;
pub use prog::{
    KernelObjects, LineInfo, LoadRequest, Premises, SubprogInfo, VerifiedProg, VerifyStats,
};
pub use reject::{
    BtfReject, Bug, DecodeText, FieldReject, HeldReject, HelperReject, KfuncReject, KptrText,
    Leaks, ObjectReject, OffText, ProgReject, RangeText, Reject, RejectKind, SpecReject,
    VerifyError, WrongObject,
};
pub use state::TypeText;

/// Proves a program safe, or says why it cannot.
///
/// # Errors
/// [`VerifyError::Rejected`] with the slot, the errno and the reason; [`VerifyError::Internal`] when the verifier
/// contradicts itself.
pub fn verify(
    req: &LoadRequest,
    env: &dyn env::Env,
    log: &mut Log,
) -> Result<VerifiedProg, VerifyError> {
    let prog = match pre::prepare(req, env, log) {
        Ok(prog) => prog,
        Err(e) => {
            if let VerifyError::Rejected(r) = &e {
                log.put(format_args!("{r}\n"));
                log.put_stats(&VerifyStats::default(), 0, &[]);
            }
            return Err(e);
        }
    };
    let mut walk = walk::Walk::new(req, env, prog, log);
    let walked = walk.run();
    let result = walked.and_then(|()| {
        let finished = post::finish(&walk, req);
        if let Err(VerifyError::Rejected(r)) = &finished {
            walk.log.put(format_args!("{r}\n"));
        }
        finished
    });
    walk.log_stats();
    result
}
