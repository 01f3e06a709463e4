//! Program types of control groups. The verifier judges them; there are no control groups to run them in.
//! Facts: net/core/filter.c, kernel/bpf/cgroup.c.

use super::field::{bytes, narrow, number, pointer, socket, whole, wide_bytes, writable};
use super::{AttachRule, ProgType, ProgTypes, Variant, judged, packets, skb_fields};
use skep_abi::uapi::*;
use skep_verifier::env::{
    CtxField, CtxFieldKind, CtxWrite, Narrow, Nullable, PacketAccess, SockRet,
};

const NOTE: &str = "judged, but not run: there are no control groups";
const BOOL: (i64, i64) = (0, 1);

pub(super) static CGROUP_SKB: ProgType = ProgType {
    attach: AttachRule::OneOf(&[BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS]),
    variants: &[Variant::returns(&[BPF_CGROUP_INET_EGRESS], (0, 3))],
    ..packets(
        judged(
            BPF_PROG_TYPE_CGROUP_SKB,
            "cgroup_skb",
            ProgTypes::CGROUP_SKB,
            (4, 10),
            skb_fields::layout(skb_fields::CGROUP_SKB),
            NOTE,
        )
        .returns(BOOL),
        PacketAccess::Read,
    )
};

/// The fields of `struct bpf_sock` that its creation and its first use have in common.
const FAMILY: CtxField = narrow(number("family", 4), Narrow::Start);
const TYPE: CtxField = narrow(number("type", 8), Narrow::Start);
const PROTOCOL: CtxField = narrow(number("protocol", 12), Narrow::Start);
const SRC_PORT: CtxField = narrow(number("src_port", 44), Narrow::Start);
const DST_PORT: CtxField = narrow(number("dst_port", 48), Narrow::LowHalf);
const DST_IP4: CtxField = bytes("dst_ip4", 52, 4);
const DST_IP6: CtxField = bytes("dst_ip6", 56, 16);
const STATE: CtxField = narrow(number("state", 72), Narrow::Start);
const RX_QUEUE: CtxField = narrow(number("rx_queue_mapping", 76), Narrow::Start);

static SOCK_CREATE: &[CtxField] = &[
    writable(whole("bound_dev_if", 0), CtxWrite::Whole),
    FAMILY,
    TYPE,
    PROTOCOL,
    writable(whole("mark", 16), CtxWrite::Whole),
    writable(whole("priority", 20), CtxWrite::Whole),
    DST_PORT,
    DST_IP4,
    DST_IP6,
    STATE,
    RX_QUEUE,
];

static SOCK_BIND4: &[CtxField] = &[
    FAMILY,
    TYPE,
    PROTOCOL,
    bytes("src_ip4", 24, 4),
    SRC_PORT,
    DST_PORT,
    DST_IP4,
    DST_IP6,
    STATE,
    RX_QUEUE,
];

static SOCK_BIND6: &[CtxField] = &[
    FAMILY,
    TYPE,
    PROTOCOL,
    bytes("src_ip6", 28, 16),
    SRC_PORT,
    DST_PORT,
    DST_IP4,
    DST_IP6,
    STATE,
    RX_QUEUE,
];

pub(super) static CGROUP_SOCK: ProgType = ProgType {
    attach: AttachRule::OneOfOr(
        &[
            BPF_CGROUP_INET_SOCK_CREATE,
            BPF_CGROUP_INET_SOCK_RELEASE,
            BPF_CGROUP_INET4_POST_BIND,
            BPF_CGROUP_INET6_POST_BIND,
        ],
        BPF_CGROUP_INET_SOCK_CREATE,
    ),
    variants: &[
        Variant::fields(&[BPF_CGROUP_INET4_POST_BIND], SOCK_BIND4),
        Variant::fields(&[BPF_CGROUP_INET6_POST_BIND], SOCK_BIND6),
    ],
    ..judged(
        BPF_PROG_TYPE_CGROUP_SOCK,
        "cgroup_sock",
        ProgTypes::CGROUP_SOCK,
        (4, 10),
        super::layout("bpf_sock", 80, SOCK_CREATE),
        NOTE,
    )
    .returns(BOOL)
};

static DEVICE_FIELDS: &[CtxField] =
    &[number("access_type", 0), whole("major", 4), whole("minor", 8)];

pub(super) static CGROUP_DEVICE: ProgType = judged(
    BPF_PROG_TYPE_CGROUP_DEVICE,
    "cgroup_device",
    ProgTypes::CGROUP_DEVICE,
    (4, 15),
    super::layout("bpf_cgroup_dev_ctx", 12, DEVICE_FIELDS),
    NOTE,
)
.returns(BOOL);

const USER_FAMILY: CtxField = whole("user_family", 0);
const USER_IP4: CtxField = writable(number("user_ip4", 4), CtxWrite::Whole);
const USER_IP6: CtxField = writable(wide_bytes("user_ip6", 8, 16), CtxWrite::Words);
const USER_PORT: CtxField = writable(number("user_port", 24), CtxWrite::Whole);
const ADDR_FAMILY: CtxField = whole("family", 28);
const ADDR_TYPE: CtxField = whole("type", 32);
const ADDR_PROTOCOL: CtxField = whole("protocol", 36);
const MSG_IP4: CtxField = writable(number("msg_src_ip4", 40), CtxWrite::Whole);
const MSG_IP6: CtxField = writable(wide_bytes("msg_src_ip6", 44, 16), CtxWrite::Words);
const ADDR_SK: CtxField = socket("sk", 64, SockRet::Full, Nullable::No);

static ADDR4: &[CtxField] =
    &[USER_FAMILY, USER_IP4, USER_PORT, ADDR_FAMILY, ADDR_TYPE, ADDR_PROTOCOL, ADDR_SK];
static ADDR4_MSG: &[CtxField] =
    &[USER_FAMILY, USER_IP4, USER_PORT, ADDR_FAMILY, ADDR_TYPE, ADDR_PROTOCOL, MSG_IP4, ADDR_SK];
static ADDR6: &[CtxField] =
    &[USER_FAMILY, USER_IP6, USER_PORT, ADDR_FAMILY, ADDR_TYPE, ADDR_PROTOCOL, ADDR_SK];
static ADDR6_MSG: &[CtxField] =
    &[USER_FAMILY, USER_IP6, USER_PORT, ADDR_FAMILY, ADDR_TYPE, ADDR_PROTOCOL, MSG_IP6, ADDR_SK];
static ADDR_UNIX: &[CtxField] =
    &[USER_FAMILY, USER_PORT, ADDR_FAMILY, ADDR_TYPE, ADDR_PROTOCOL, ADDR_SK];

pub(super) static CGROUP_SOCK_ADDR: ProgType = ProgType {
    attach: AttachRule::OneOf(&[
        BPF_CGROUP_INET4_BIND,
        BPF_CGROUP_INET6_BIND,
        BPF_CGROUP_INET4_CONNECT,
        BPF_CGROUP_INET6_CONNECT,
        BPF_CGROUP_UNIX_CONNECT,
        BPF_CGROUP_INET4_GETPEERNAME,
        BPF_CGROUP_INET6_GETPEERNAME,
        BPF_CGROUP_UNIX_GETPEERNAME,
        BPF_CGROUP_INET4_GETSOCKNAME,
        BPF_CGROUP_INET6_GETSOCKNAME,
        BPF_CGROUP_UNIX_GETSOCKNAME,
        BPF_CGROUP_UDP4_SENDMSG,
        BPF_CGROUP_UDP6_SENDMSG,
        BPF_CGROUP_UNIX_SENDMSG,
        BPF_CGROUP_UDP4_RECVMSG,
        BPF_CGROUP_UDP6_RECVMSG,
        BPF_CGROUP_UNIX_RECVMSG,
    ]),
    variants: &[
        Variant::returns(&[BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND], (0, 3)),
        Variant::returns(
            &[
                BPF_CGROUP_UDP4_RECVMSG,
                BPF_CGROUP_UDP6_RECVMSG,
                BPF_CGROUP_UNIX_RECVMSG,
                BPF_CGROUP_INET4_GETPEERNAME,
                BPF_CGROUP_INET6_GETPEERNAME,
                BPF_CGROUP_UNIX_GETPEERNAME,
                BPF_CGROUP_INET4_GETSOCKNAME,
                BPF_CGROUP_INET6_GETSOCKNAME,
                BPF_CGROUP_UNIX_GETSOCKNAME,
            ],
            (1, 1),
        ),
        Variant::fields(
            &[
                BPF_CGROUP_INET6_BIND,
                BPF_CGROUP_INET6_CONNECT,
                BPF_CGROUP_INET6_GETPEERNAME,
                BPF_CGROUP_INET6_GETSOCKNAME,
                BPF_CGROUP_UDP6_RECVMSG,
            ],
            ADDR6,
        ),
        Variant::fields(&[BPF_CGROUP_UDP4_SENDMSG], ADDR4_MSG),
        Variant::fields(&[BPF_CGROUP_UDP6_SENDMSG], ADDR6_MSG),
        Variant::fields(
            &[
                BPF_CGROUP_UNIX_CONNECT,
                BPF_CGROUP_UNIX_GETPEERNAME,
                BPF_CGROUP_UNIX_GETSOCKNAME,
                BPF_CGROUP_UNIX_SENDMSG,
                BPF_CGROUP_UNIX_RECVMSG,
            ],
            ADDR_UNIX,
        ),
    ],
    ..judged(
        BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
        "cgroup_sock_addr",
        ProgTypes::CGROUP_SOCK_ADDR,
        (4, 17),
        super::layout("bpf_sock_addr", 72, ADDR4),
        NOTE,
    )
    .returns(BOOL)
};

static SYSCTL_FIELDS: &[CtxField] =
    &[number("write", 0), writable(number("file_pos", 4), CtxWrite::Whole)];

pub(super) static CGROUP_SYSCTL: ProgType = judged(
    BPF_PROG_TYPE_CGROUP_SYSCTL,
    "cgroup_sysctl",
    ProgTypes::CGROUP_SYSCTL,
    (5, 2),
    super::layout("bpf_sysctl", 8, SYSCTL_FIELDS),
    NOTE,
)
.returns(BOOL);

const OPT_SK: CtxField = socket("sk", 0, SockRet::Full, Nullable::No);
const OPTVAL: CtxField = pointer("optval", 8, CtxFieldKind::PacketData);
const OPTVAL_END: CtxField = pointer("optval_end", 16, CtxFieldKind::PacketEnd);
const OPTLEN: CtxField = writable(whole("optlen", 32), CtxWrite::Whole);

static GETSOCKOPT: &[CtxField] = &[
    OPT_SK,
    OPTVAL,
    OPTVAL_END,
    whole("level", 24),
    whole("optname", 28),
    OPTLEN,
    writable(whole("retval", 36), CtxWrite::Whole),
];

static SETSOCKOPT: &[CtxField] = &[
    OPT_SK,
    OPTVAL,
    OPTVAL_END,
    writable(whole("level", 24), CtxWrite::Whole),
    writable(whole("optname", 28), CtxWrite::Whole),
    OPTLEN,
];

pub(super) static CGROUP_SOCKOPT: ProgType = ProgType {
    attach: AttachRule::OneOf(&[BPF_CGROUP_SETSOCKOPT, BPF_CGROUP_GETSOCKOPT]),
    variants: &[Variant::fields(&[BPF_CGROUP_SETSOCKOPT], SETSOCKOPT)],
    ..packets(
        judged(
            BPF_PROG_TYPE_CGROUP_SOCKOPT,
            "cgroup_sockopt",
            ProgTypes::CGROUP_SOCKOPT,
            (5, 3),
            super::layout("bpf_sockopt", 40, GETSOCKOPT),
            NOTE,
        )
        .returns(BOOL),
        PacketAccess::OptVal,
    )
};
