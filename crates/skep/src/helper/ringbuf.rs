//! Ring buffers. Facts: kernel/bpf/ringbuf.c.

use super::{
    ANY, ArgType, Callback, DynptrArg, DynptrSort, Helper, IN, MAP, RetType, SIZE0, acquires,
    calls_back, judged, proto, returns,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "ring buffers are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(proto(130, "ringbuf_output", &[MAP, IN, SIZE0, ANY]), (5, 8), ProgTypes::EXTENDED, NOTE),
    judged(
        acquires(returns(
            proto(131, "ringbuf_reserve", &[MAP, ArgType::AllocSize, ANY]),
            RetType::RingbufMemOrNull,
        )),
        (5, 8),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(proto(132, "ringbuf_submit", &[ArgType::RingbufMem, ANY]), RetType::Void),
        (5, 8),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(proto(133, "ringbuf_discard", &[ArgType::RingbufMem, ANY]), RetType::Void),
        (5, 8),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(proto(134, "ringbuf_query", &[MAP, ANY]), (5, 8), ProgTypes::EXTENDED, NOTE),
    judged(
        proto(
            198,
            "ringbuf_reserve_dynptr",
            &[MAP, ANY, ANY, ArgType::Dynptr(DynptrArg::Make(DynptrSort::Ringbuf))],
        ),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(
            proto(
                199,
                "ringbuf_submit_dynptr",
                &[ArgType::Dynptr(DynptrArg::Release(DynptrSort::Ringbuf)), ANY],
            ),
            RetType::Void,
        ),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(
            proto(
                200,
                "ringbuf_discard_dynptr",
                &[ArgType::Dynptr(DynptrArg::Release(DynptrSort::Ringbuf)), ANY],
            ),
            RetType::Void,
        ),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        calls_back(
            proto(209, "user_ringbuf_drain", &[MAP, ArgType::Func, ArgType::StackOrNull, ANY]),
            Callback::UserRingbuf,
        ),
        (6, 1),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
