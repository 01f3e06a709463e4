//! Helpers on TCP headers and cookies. Facts: net/core/filter.c, net/ipv4/bpf_tcp_ca.c.

use super::{
    ANY, CTX, Helper, IN, IN_OUT, MemAccess, SIZE, SIZE0, SOCK, changes_pkt, fixed, gpl, judged,
    object, pkt_access, proto,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "sockets are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        gpl(pkt_access(proto(100, "tcp_check_syncookie", &[SOCK, IN, SIZE, IN, SIZE]))),
        (5, 2),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        gpl(pkt_access(proto(110, "tcp_gen_syncookie", &[SOCK, IN, SIZE, IN, SIZE]))),
        (5, 3),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        proto(116, "tcp_send_ack", &[object("tcp_sock"), ANY]),
        (5, 5),
        ProgTypes::STRUCT_OPS,
        NOTE,
    ),
    judged(
        proto(142, "load_hdr_opt", &[CTX, IN_OUT, SIZE, ANY]),
        (5, 10),
        ProgTypes::SOCK_OPS,
        NOTE,
    ),
    judged(
        changes_pkt(proto(143, "store_hdr_opt", &[CTX, IN, SIZE, ANY])),
        (5, 10),
        ProgTypes::SOCK_OPS,
        NOTE,
    ),
    judged(proto(144, "reserve_hdr_opt", &[CTX, ANY, ANY]), (5, 10), ProgTypes::SOCK_OPS, NOTE),
    judged(
        gpl(pkt_access(proto(
            204,
            "tcp_raw_gen_syncookie_ipv4",
            &[fixed(MemAccess::Read, 20), IN, SIZE0],
        ))),
        (6, 0),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        gpl(pkt_access(proto(
            205,
            "tcp_raw_gen_syncookie_ipv6",
            &[fixed(MemAccess::Read, 40), IN, SIZE0],
        ))),
        (6, 0),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        gpl(pkt_access(proto(
            206,
            "tcp_raw_check_syncookie_ipv4",
            &[fixed(MemAccess::Read, 20), fixed(MemAccess::Read, 20)],
        ))),
        (6, 0),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        gpl(pkt_access(proto(
            207,
            "tcp_raw_check_syncookie_ipv6",
            &[fixed(MemAccess::Read, 40), fixed(MemAccess::Read, 20)],
        ))),
        (6, 0),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
];
