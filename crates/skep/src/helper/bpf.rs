//! Helpers that call bpf(2) and look up kernel symbols. Facts: kernel/bpf/syscall.c.

use super::{ANY, Helper, IN, MemAccess, SIZE, SIZE0, aligned, judged, proto, sleeps};
use crate::prog_type::ProgTypes;

const NOTE: &str = "syscall programs cannot call bpf(2) yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(sleeps(proto(166, "sys_bpf", &[ANY, IN, SIZE])), (5, 14), ProgTypes::SYSCALL, NOTE),
    judged(
        sleeps(proto(167, "btf_find_by_name_kind", &[IN, SIZE, ANY, ANY])),
        (5, 14),
        ProgTypes::SYSCALL,
        NOTE,
    ),
    judged(sleeps(proto(168, "sys_close", &[ANY])), (5, 14), ProgTypes::SYSCALL, NOTE),
    judged(
        proto(179, "kallsyms_lookup_name", &[IN, SIZE0, ANY, aligned(MemAccess::Write, 8)]),
        (5, 16),
        ProgTypes::SYSCALL,
        NOTE,
    ),
];
