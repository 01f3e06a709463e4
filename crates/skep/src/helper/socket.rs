//! Helpers on sockets. Facts: net/core/filter.c.

use super::{
    ANY, ArgType, CTX, Helper, IN, KEY, MAP, Nullable, OUT, RetType, SIZE, SIZE0, SOCK,
    SOCK_OR_NULL, SOCK_RELEASE, SockRet, acquires, attached, judged, object, passes, pkt_access,
    proto, returns,
};
use crate::prog_type::ProgTypes;
use skep_abi::uapi::{
    BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_SETSOCKOPT, BPF_LSM_CGROUP,
    BPF_TRACE_ITER,
};

const NOTE: &str = "sockets are not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        proto(46, "get_socket_cookie", &[CTX]),
        (4, 12),
        ProgTypes::TC
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::CGROUP_SOCK)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::CGROUP_SOCK_ADDR),
        NOTE,
    ),
    judged(
        proto(46, "get_socket_cookie", &[SOCK_OR_NULL]),
        (4, 12),
        ProgTypes::BTF_TYPED.with(ProgTypes::SK_REUSEPORT).with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        proto(47, "get_socket_uid", &[CTX]),
        (4, 12),
        ProgTypes::TC
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SK_SKB),
        NOTE,
    ),
    judged(
        proto(49, "setsockopt", &[CTX, ANY, ANY, IN, SIZE]),
        (4, 13),
        ProgTypes::SOCK_OPS.with(ProgTypes::CGROUP_SOCK_ADDR),
        NOTE,
    ),
    judged(
        proto(49, "setsockopt", &[SOCK, ANY, ANY, IN, SIZE]),
        (4, 13),
        ProgTypes::STRUCT_OPS,
        NOTE,
    ),
    attached(
        judged(
            proto(49, "setsockopt", &[SOCK, ANY, ANY, IN, SIZE]),
            (4, 13),
            ProgTypes::CGROUP_SOCKOPT,
            NOTE,
        ),
        &[BPF_CGROUP_SETSOCKOPT],
    ),
    attached(
        judged(
            proto(49, "setsockopt", &[SOCK, ANY, ANY, IN, SIZE]),
            (4, 13),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_ITER],
    ),
    attached(
        judged(
            proto(57, "getsockopt", &[SOCK, ANY, ANY, OUT, SIZE]),
            (4, 15),
            ProgTypes::TRACING,
            NOTE,
        ),
        &[BPF_TRACE_ITER],
    ),
    attached(
        judged(proto(49, "setsockopt", &[SOCK, ANY, ANY, IN, SIZE]), (4, 13), ProgTypes::LSM, NOTE),
        &[BPF_LSM_CGROUP],
    ),
    judged(
        proto(57, "getsockopt", &[CTX, ANY, ANY, OUT, SIZE]),
        (4, 15),
        ProgTypes::SOCK_OPS.with(ProgTypes::CGROUP_SOCK_ADDR),
        NOTE,
    ),
    judged(
        proto(57, "getsockopt", &[SOCK, ANY, ANY, OUT, SIZE]),
        (4, 15),
        ProgTypes::STRUCT_OPS,
        NOTE,
    ),
    attached(
        judged(
            proto(57, "getsockopt", &[SOCK, ANY, ANY, OUT, SIZE]),
            (4, 15),
            ProgTypes::CGROUP_SOCKOPT,
            NOTE,
        ),
        &[BPF_CGROUP_SETSOCKOPT],
    ),
    attached(
        judged(
            proto(57, "getsockopt", &[SOCK, ANY, ANY, OUT, SIZE]),
            (4, 15),
            ProgTypes::LSM,
            NOTE,
        ),
        &[BPF_LSM_CGROUP],
    ),
    judged(proto(59, "sock_ops_cb_flags_set", &[CTX, ANY]), (4, 16), ProgTypes::SOCK_OPS, NOTE),
    attached(
        judged(proto(64, "bind", &[CTX, IN, SIZE]), (4, 17), ProgTypes::CGROUP_SOCK_ADDR, NOTE),
        &[BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT],
    ),
    judged(
        proto(82, "sk_select_reuseport", &[CTX, MAP, KEY, ANY]),
        (4, 19),
        ProgTypes::SK_REUSEPORT,
        NOTE,
    ),
    judged(
        acquires(returns(
            pkt_access(proto(84, "sk_lookup_tcp", &[CTX, IN, SIZE0, ANY, ANY])),
            RetType::SockOrNull(SockRet::Full),
        )),
        (4, 20),
        ProgTypes::TC.with(ProgTypes::XDP).with(ProgTypes::CGROUP_SKB).with(ProgTypes::SK_SKB),
        NOTE,
    ),
    judged(
        acquires(returns(
            proto(84, "sk_lookup_tcp", &[CTX, IN, SIZE0, ANY, ANY]),
            RetType::SockOrNull(SockRet::Full),
        )),
        (4, 20),
        ProgTypes::CGROUP_SOCK_ADDR,
        NOTE,
    ),
    judged(
        acquires(returns(
            pkt_access(proto(85, "sk_lookup_udp", &[CTX, IN, SIZE0, ANY, ANY])),
            RetType::SockOrNull(SockRet::Full),
        )),
        (4, 20),
        ProgTypes::TC.with(ProgTypes::XDP).with(ProgTypes::CGROUP_SKB).with(ProgTypes::SK_SKB),
        NOTE,
    ),
    judged(
        acquires(returns(
            proto(85, "sk_lookup_udp", &[CTX, IN, SIZE0, ANY, ANY]),
            RetType::SockOrNull(SockRet::Full),
        )),
        (4, 20),
        ProgTypes::CGROUP_SOCK_ADDR,
        NOTE,
    ),
    judged(
        proto(86, "sk_release", &[SOCK_RELEASE]),
        (4, 20),
        ProgTypes::TC
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::SK_LOOKUP),
        NOTE,
    ),
    judged(
        passes(returns(
            proto(95, "sk_fullsock", &[ArgType::SockCommon]),
            RetType::SockOrNull(SockRet::Full),
        )),
        (5, 1),
        ProgTypes::TC.with(ProgTypes::CGROUP_SKB),
        NOTE,
    ),
    judged(
        passes(returns(
            proto(96, "tcp_sock", &[ArgType::SockCommon]),
            RetType::SockOrNull(SockRet::Tcp),
        )),
        (5, 1),
        ProgTypes::TC
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::CGROUP_SOCKOPT),
        NOTE,
    ),
    judged(
        returns(
            proto(98, "get_listener_sock", &[ArgType::SockCommon]),
            RetType::SockOrNull(SockRet::Full),
        ),
        (5, 1),
        ProgTypes::TC.with(ProgTypes::CGROUP_SKB),
        NOTE,
    ),
    judged(
        acquires(returns(
            pkt_access(proto(99, "skc_lookup_tcp", &[CTX, IN, SIZE0, ANY, ANY])),
            RetType::SockOrNull(SockRet::Common),
        )),
        (5, 2),
        ProgTypes::TC.with(ProgTypes::XDP).with(ProgTypes::CGROUP_SKB).with(ProgTypes::SK_SKB),
        NOTE,
    ),
    judged(
        acquires(returns(
            proto(99, "skc_lookup_tcp", &[CTX, IN, SIZE0, ANY, ANY]),
            RetType::SockOrNull(SockRet::Common),
        )),
        (5, 2),
        ProgTypes::CGROUP_SOCK_ADDR,
        NOTE,
    ),
    judged(
        proto(122, "get_netns_cookie", &[ArgType::CtxOrNull]),
        (5, 7),
        ProgTypes::TC
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::CGROUP_SOCK)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::CGROUP_SOCKOPT),
        NOTE,
    ),
    judged(proto(124, "sk_assign", &[CTX, SOCK, ANY]), (5, 7), ProgTypes::TC, NOTE),
    judged(
        proto(124, "sk_assign", &[CTX, ArgType::Socket(Nullable::Yes), ANY]),
        (5, 7),
        ProgTypes::SK_LOOKUP,
        NOTE,
    ),
    judged(
        passes(returns(proto(136, "skc_to_tcp6_sock", &[SOCK]), RetType::BtfOrNull("tcp6_sock"))),
        (5, 9),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        passes(returns(proto(137, "skc_to_tcp_sock", &[SOCK]), RetType::BtfOrNull("tcp_sock"))),
        (5, 9),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        passes(returns(
            proto(138, "skc_to_tcp_timewait_sock", &[SOCK]),
            RetType::BtfOrNull("tcp_timewait_sock"),
        )),
        (5, 9),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        passes(returns(
            proto(139, "skc_to_tcp_request_sock", &[SOCK]),
            RetType::BtfOrNull("tcp_request_sock"),
        )),
        (5, 9),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        passes(returns(proto(140, "skc_to_udp6_sock", &[SOCK]), RetType::BtfOrNull("udp6_sock"))),
        (5, 9),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        returns(proto(162, "sock_from_file", &[object("file")]), RetType::BtfOrNull("socket")),
        (5, 11),
        ProgTypes::BTF_TYPED.with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        returns(proto(178, "skc_to_unix_sock", &[SOCK]), RetType::BtfOrNull("unix_sock")),
        (5, 16),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        passes(returns(
            proto(196, "skc_to_mptcp_sock", &[ArgType::SockCommon]),
            RetType::BtfOrNull("mptcp_sock"),
        )),
        (5, 19),
        ProgTypes::LWT
            .with(ProgTypes::TC)
            .with(ProgTypes::BTF_TYPED)
            .with(ProgTypes::SOCKET_FILTER)
            .with(ProgTypes::XDP)
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_SKB)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::FLOW_DISSECTOR)
            .with(ProgTypes::SK_LOOKUP)
            .with(ProgTypes::SYSCALL),
        NOTE,
    ),
];
