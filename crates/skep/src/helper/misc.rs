//! Helpers that say where a program runs, and randomness. Facts: kernel/bpf/helpers.c.

use super::{Helper, fastcall, helper_of, proto};
use crate::prog_type::ProgTypes;

const ALL: ProgTypes = ProgTypes::EXTENDED;

pub(super) static HELPERS: &[Helper] = &[
    helper_of(proto(7, "get_prandom_u32", &[]), (4, 1), ALL, |c| u64::from(c.random())),
    helper_of(fastcall(proto(8, "get_smp_processor_id", &[])), (4, 1), ALL, |c| {
        u64::from(c.slot().index())
    }),
    // There is one node: memory is the process's.
    helper_of(proto(42, "get_numa_node_id", &[]), (4, 10), ALL, |_| 0),
];
