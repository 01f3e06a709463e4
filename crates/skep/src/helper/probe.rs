//! Helpers that read memory at any address without faulting. Facts: kernel/trace/bpf_trace.c.
//!
//! What is readable is what the run may touch anyway: Skep has no kernel memory to show.

use super::{ANY, Helper, OUT, SIZE0, gpl, helper_of, proto};
use crate::prog_type::ProgTypes;
use crate::support::Support;
use skep_abi::Errno;
use skep_vm::Call;

/// End of user space's addresses on x86-64.
const USER_SPACE: u64 = 1 << 47;
const NOTE: &str = "reads only memory of the program: its stack, context, packet and maps";

pub(super) static HELPERS: &[Helper] = &[
    Helper {
        support: Support::Partial(NOTE),
        ..helper_of(
            gpl(proto(113, "probe_read_kernel", &[OUT, SIZE0, ANY])),
            (5, 5),
            ProgTypes::EXTENDED,
            probe_read,
        )
    },
    Helper {
        support: Support::Partial(NOTE),
        ..helper_of(
            gpl(proto(115, "probe_read_kernel_str", &[OUT, SIZE0, ANY])),
            (5, 5),
            ProgTypes::EXTENDED,
            probe_read_str,
        )
    },
];

fn probe_read(call: &mut Call<'_>) -> u64 {
    let len = call.mem(0).len();
    match call.probe_read(call.scalar(2), len) {
        Some(data) if call.mem(0).copy_out(0, &data).is_ok() => 0,
        // Nothing to read: the kernel still refuses addresses of user space.
        None if len == 0 && call.scalar(2) >= USER_SPACE => 0,
        _ => {
            call.mem(0).zero();
            refusal(call.scalar(2))
        }
    }
}

/// What the kernel says to an address that it cannot read, or will not, as it is user space's.
fn refusal(addr: u64) -> u64 {
    if addr < USER_SPACE { Errno::ERANGE.to_ret() } else { Errno::EFAULT.to_ret() }
}

/// Answers the length with the NUL; a string that is too long is cut and terminated.
fn probe_read_str(call: &mut Call<'_>) -> u64 {
    let len = call.mem(0).len();
    if len == 0 {
        return 0;
    }
    // One byte at least is read, even where there is only room for the NUL.
    match call.probe_str(call.scalar(2), (len - 1).max(1)) {
        Some(mut text) => {
            text.truncate(len - 1);
            text.push(0);
            match call.mem(0).copy_out(0, &text) {
                Ok(()) => text.len() as u64,
                Err(_) => Errno::EFAULT.to_ret(),
            }
        }
        None => {
            call.mem(0).zero();
            refusal(call.scalar(2))
        }
    }
}
