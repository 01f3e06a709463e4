//! Queues, stacks and bloom filters. Facts: kernel/bpf/helpers.c.

use super::{ANY, ArgType, Helper, MAP, VALUE, judged, pkt_access, proto};
use crate::prog_type::ProgTypes;

const NOTE: &str = "queues, stacks and bloom filters are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        pkt_access(proto(87, "map_push_elem", &[MAP, VALUE, ANY])),
        (4, 20),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(88, "map_pop_elem", &[MAP, ArgType::UninitMapValue]),
        (4, 20),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(89, "map_peek_elem", &[MAP, ArgType::UninitMapValue]),
        (4, 20),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
