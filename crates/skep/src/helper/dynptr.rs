//! Dynptrs. Facts: kernel/bpf/helpers.c.

use super::{
    ANY, ArgType, DYNPTR, DynptrArg, DynptrSort, Helper, IN, OUT, RetType, SIZE0, judged, passes,
    proto, returns,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "dynptrs are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        proto(
            197,
            "dynptr_from_mem",
            &[OUT, SIZE0, ANY, ArgType::Dynptr(DynptrArg::Make(DynptrSort::Local))],
        ),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(201, "dynptr_read", &[OUT, SIZE0, DYNPTR, ANY, ANY]),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(202, "dynptr_write", &[DYNPTR, ANY, IN, SIZE0, ANY]),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        passes(returns(
            proto(203, "dynptr_data", &[DYNPTR, ANY, ArgType::AllocSize]),
            RetType::DynptrMemOrNull,
        )),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
