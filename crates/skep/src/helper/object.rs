//! Locks, timers, kernel pointers in maps, and variables that each CPU has. Facts: kernel/bpf/helpers.c.

use super::{
    ANY, ArgType, Callback, Helper, MAP, RetType, acquires, calls_back, gpl, judged, proto, returns,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "objects in map values are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        returns(proto(93, "spin_lock", &[ArgType::SpinLock]), RetType::Void),
        (5, 1),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(proto(94, "spin_unlock", &[ArgType::SpinLock]), RetType::Void),
        (5, 1),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(proto(153, "per_cpu_ptr", &[ArgType::PercpuBtf, ANY]), RetType::PercpuOrNull),
        (5, 10),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(proto(154, "this_cpu_ptr", &[ArgType::PercpuBtf]), RetType::Percpu),
        (5, 10),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(proto(169, "timer_init", &[ArgType::Timer, MAP, ANY])),
        (5, 15),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        calls_back(
            gpl(proto(170, "timer_set_callback", &[ArgType::Timer, ArgType::Func])),
            Callback::Timer,
        ),
        (5, 15),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(proto(171, "timer_start", &[ArgType::Timer, ANY, ANY])),
        (5, 15),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(gpl(proto(172, "timer_cancel", &[ArgType::Timer])), (5, 15), ProgTypes::EXTENDED, NOTE),
    judged(
        acquires(returns(
            proto(194, "kptr_xchg", &[ArgType::KptrDest, ArgType::KptrSource]),
            RetType::KptrOrNull,
        )),
        (5, 19),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
