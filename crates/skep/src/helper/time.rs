//! Helpers that read clocks. Facts: kernel/bpf/helpers.c.

use super::{Helper, helper_of, proto};
use crate::prog_type::ProgTypes;
use crate::support::Support;
use skep_vm::{Call, Clock};

const ALL: ProgTypes = ProgTypes::EXTENDED;
/// Tracing's helpers do not have the coarse clock.
const COARSE: ProgTypes = ProgTypes::EXTENDED
    .without(ProgTypes::PROBES)
    .without(ProgTypes::BTF_TYPED)
    .without(ProgTypes::SYSCALL)
    .without(ProgTypes::LIRC_MODE2)
    .without(ProgTypes::CGROUP_DEVICE)
    .without(ProgTypes::CGROUP_SOCKOPT)
    .without(ProgTypes::NETFILTER);
/// Nanoseconds of a jiffy at `CONFIG_HZ=250`.
const JIFFY_NS: u64 = 4_000_000;
/// What the kernel's counter starts with, so that it wraps around soon: `INITIAL_JIFFIES`, five minutes below.
const INITIAL_JIFFIES: u64 = (-300i32 * 250) as u32 as u64;

pub(super) static HELPERS: &[Helper] = &[
    helper_of(proto(5, "ktime_get_ns", &[]), (4, 1), ALL, |c| c.clock_ns(Clock::Monotonic)),
    helper_of(proto(125, "ktime_get_boot_ns", &[]), (5, 8), ALL, |c| c.clock_ns(Clock::Boottime)),
    helper_of(proto(160, "ktime_get_coarse_ns", &[]), (5, 11), COARSE, |c| {
        c.clock_ns(Clock::MonotonicCoarse)
    }),
    helper_of(proto(208, "ktime_get_tai_ns", &[]), (6, 1), ALL, |c| c.clock_ns(Clock::Tai)),
    Helper {
        support: Support::Partial("counts at 250 a second since boot, as CONFIG_HZ=250 does"),
        ..helper_of(proto(118, "jiffies64", &[]), (5, 5), ALL, jiffies64)
    },
];

fn jiffies64(call: &mut Call<'_>) -> u64 {
    INITIAL_JIFFIES.wrapping_add(call.clock_ns(Clock::Monotonic) / JIFFY_NS)
}
