//! Helpers that send data between sockets. Facts: net/core/sock_map.c, net/core/filter.c.

use super::{ANY, CTX, Helper, KEY, MAP, changes_pkt, judged, pkt_access, proto};
use crate::prog_type::ProgTypes;

const NOTE: &str = "sockets are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(proto(52, "sk_redirect_map", &[CTX, MAP, ANY, ANY]), (4, 14), ProgTypes::SK_SKB, NOTE),
    judged(
        pkt_access(proto(53, "sock_map_update", &[CTX, MAP, KEY, ANY])),
        (4, 14),
        ProgTypes::SOCK_OPS,
        NOTE,
    ),
    judged(proto(60, "msg_redirect_map", &[CTX, MAP, ANY, ANY]), (4, 17), ProgTypes::SK_MSG, NOTE),
    judged(proto(61, "msg_apply_bytes", &[CTX, ANY]), (4, 17), ProgTypes::SK_MSG, NOTE),
    judged(proto(62, "msg_cork_bytes", &[CTX, ANY]), (4, 17), ProgTypes::SK_MSG, NOTE),
    judged(
        changes_pkt(proto(63, "msg_pull_data", &[CTX, ANY, ANY, ANY])),
        (4, 17),
        ProgTypes::SK_MSG,
        NOTE,
    ),
    judged(
        pkt_access(proto(70, "sock_hash_update", &[CTX, MAP, KEY, ANY])),
        (4, 18),
        ProgTypes::SOCK_OPS,
        NOTE,
    ),
    judged(proto(71, "msg_redirect_hash", &[CTX, MAP, KEY, ANY]), (4, 18), ProgTypes::SK_MSG, NOTE),
    judged(proto(72, "sk_redirect_hash", &[CTX, MAP, KEY, ANY]), (4, 18), ProgTypes::SK_SKB, NOTE),
    judged(
        changes_pkt(proto(90, "msg_push_data", &[CTX, ANY, ANY, ANY])),
        (4, 20),
        ProgTypes::SK_MSG,
        NOTE,
    ),
    judged(
        changes_pkt(proto(91, "msg_pop_data", &[CTX, ANY, ANY, ANY])),
        (5, 0),
        ProgTypes::SK_MSG,
        NOTE,
    ),
];
