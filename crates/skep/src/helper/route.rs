//! Helpers about routes, tunnels and devices. Facts: net/core/filter.c.

use super::{
    ANY, CTX, Helper, IN, IN_OR_NULL, IN_OUT, MAP, MemAccess, OUT, SIZE, SIZE0, aligned,
    changes_pkt, gpl, judged, proto,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "there are no routes, tunnels or devices behind a replayed packet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        changes_pkt(proto(13, "clone_redirect", &[CTX, ANY, ANY])),
        (4, 2),
        ProgTypes::TC.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(
        proto(20, "skb_get_tunnel_key", &[CTX, OUT, SIZE, ANY]),
        (4, 3),
        ProgTypes::TC.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(
        proto(21, "skb_set_tunnel_key", &[CTX, IN, SIZE, ANY]),
        (4, 3),
        ProgTypes::TC.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(proto(24, "get_route_realm", &[CTX]), (4, 4), ProgTypes::LWT.with(ProgTypes::TC), NOTE),
    judged(
        proto(29, "skb_get_tunnel_opt", &[CTX, OUT, SIZE]),
        (4, 6),
        ProgTypes::TC.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(
        proto(30, "skb_set_tunnel_opt", &[CTX, IN, SIZE]),
        (4, 6),
        ProgTypes::TC.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(proto(51, "redirect_map", &[MAP, ANY, ANY]), (4, 14), ProgTypes::XDP, NOTE),
    judged(
        proto(66, "skb_get_xfrm_state", &[CTX, ANY, OUT, SIZE, ANY]),
        (4, 18),
        ProgTypes::TC,
        NOTE,
    ),
    judged(
        gpl(proto(69, "fib_lookup", &[CTX, IN_OUT, SIZE, ANY])),
        (4, 18),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(
        changes_pkt(proto(73, "lwt_push_encap", &[CTX, ANY, IN, SIZE])),
        (4, 18),
        ProgTypes::LWT_IN.with(ProgTypes::LWT_XMIT),
        NOTE,
    ),
    judged(
        changes_pkt(proto(74, "lwt_seg6_store_bytes", &[CTX, ANY, IN, SIZE])),
        (4, 18),
        ProgTypes::LWT_SEG6LOCAL,
        NOTE,
    ),
    judged(
        changes_pkt(proto(75, "lwt_seg6_adjust_srh", &[CTX, ANY, ANY])),
        (4, 18),
        ProgTypes::LWT_SEG6LOCAL,
        NOTE,
    ),
    judged(
        changes_pkt(proto(76, "lwt_seg6_action", &[CTX, ANY, IN, SIZE])),
        (4, 18),
        ProgTypes::LWT_SEG6LOCAL,
        NOTE,
    ),
    judged(
        proto(97, "skb_ecn_set_ce", &[CTX]),
        (5, 1),
        ProgTypes::TC.with(ProgTypes::CGROUP_SKB),
        NOTE,
    ),
    judged(
        proto(152, "redirect_neigh", &[ANY, IN_OR_NULL, SIZE0, ANY]),
        (5, 10),
        ProgTypes::TC,
        NOTE,
    ),
    judged(proto(155, "redirect_peer", &[ANY, ANY]), (5, 10), ProgTypes::TC, NOTE),
    judged(
        gpl(proto(163, "check_mtu", &[CTX, ANY, aligned(MemAccess::ReadWrite, 4), ANY, ANY])),
        (5, 12),
        ProgTypes::TC.with(ProgTypes::XDP),
        NOTE,
    ),
    judged(proto(192, "skb_set_tstamp", &[CTX, ANY, ANY]), (5, 18), ProgTypes::TC, NOTE),
];
