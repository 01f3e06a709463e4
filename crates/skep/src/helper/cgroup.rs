//! Helpers about control groups. Facts: kernel/bpf/cgroup.c, net/core/filter.c.

use super::{ANY, CTX, Helper, IN, IN_OUT, MAP, OUT, SIZE, SOCK, attached, judged, proto};
use crate::prog_type::ProgTypes;
use skep_abi::uapi::{
    BPF_CGROUP_DEVICE, BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_BIND,
    BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_SYSCTL, BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP6_SENDMSG,
    BPF_CGROUP_UNIX_CONNECT, BPF_CGROUP_UNIX_SENDMSG, BPF_LSM_CGROUP,
};

const NOTE: &str = "cgroups are not implemented yet";

const BY_ATTACH: ProgTypes =
    ProgTypes::CGROUP_SOCK_ADDR.with(ProgTypes::CGROUP_DEVICE).with(ProgTypes::CGROUP_SYSCTL);

/// Where the result becomes the errno of a system call.
const SETS_RETVAL: &[u32] = &[
    BPF_CGROUP_DEVICE,
    BPF_CGROUP_SYSCTL,
    BPF_CGROUP_INET4_BIND,
    BPF_CGROUP_INET6_BIND,
    BPF_CGROUP_INET4_CONNECT,
    BPF_CGROUP_INET6_CONNECT,
    BPF_CGROUP_UDP4_SENDMSG,
    BPF_CGROUP_UDP6_SENDMSG,
    BPF_CGROUP_UNIX_CONNECT,
    BPF_CGROUP_UNIX_SENDMSG,
];

pub(super) static HELPERS: &[Helper] = &[
    judged(
        proto(17, "get_cgroup_classid", &[CTX]),
        (4, 3),
        ProgTypes::LWT.with(ProgTypes::TC),
        NOTE,
    ),
    judged(
        proto(17, "get_cgroup_classid", &[]),
        (4, 3),
        ProgTypes::EXTENDED.without(ProgTypes::LWT.with(ProgTypes::TC)),
        NOTE,
    ),
    judged(
        proto(33, "skb_under_cgroup", &[CTX, MAP, ANY]),
        (4, 8),
        ProgTypes::LWT.with(ProgTypes::TC),
        NOTE,
    ),
    judged(proto(37, "current_task_under_cgroup", &[MAP, ANY]), (4, 9), ProgTypes::EXTENDED, NOTE),
    judged(
        proto(79, "skb_cgroup_id", &[CTX]),
        (4, 18),
        ProgTypes::TC.with(ProgTypes::CGROUP_SKB),
        NOTE,
    ),
    judged(proto(80, "get_current_cgroup_id", &[]), (4, 18), ProgTypes::EXTENDED, NOTE),
    judged(
        proto(83, "skb_ancestor_cgroup_id", &[CTX, ANY]),
        (4, 19),
        ProgTypes::TC.with(ProgTypes::CGROUP_SKB),
        NOTE,
    ),
    judged(
        proto(101, "sysctl_get_name", &[CTX, IN_OUT, SIZE, ANY]),
        (5, 2),
        ProgTypes::CGROUP_SYSCTL,
        NOTE,
    ),
    judged(
        proto(102, "sysctl_get_current_value", &[CTX, OUT, SIZE]),
        (5, 2),
        ProgTypes::CGROUP_SYSCTL,
        NOTE,
    ),
    judged(
        proto(103, "sysctl_get_new_value", &[CTX, OUT, SIZE]),
        (5, 2),
        ProgTypes::CGROUP_SYSCTL,
        NOTE,
    ),
    judged(
        proto(104, "sysctl_set_new_value", &[CTX, IN, SIZE]),
        (5, 2),
        ProgTypes::CGROUP_SYSCTL,
        NOTE,
    ),
    judged(proto(123, "get_current_ancestor_cgroup_id", &[ANY]), (5, 7), ProgTypes::EXTENDED, NOTE),
    judged(proto(128, "sk_cgroup_id", &[SOCK]), (5, 8), ProgTypes::CGROUP_SKB, NOTE),
    judged(proto(129, "sk_ancestor_cgroup_id", &[SOCK, ANY]), (5, 8), ProgTypes::CGROUP_SKB, NOTE),
    judged(proto(151, "skb_cgroup_classid", &[CTX]), (5, 10), ProgTypes::TC, NOTE),
    judged(
        proto(186, "get_retval", &[]),
        (5, 18),
        ProgTypes::CGROUP_SOCK.with(ProgTypes::CGROUP_SOCKOPT),
        NOTE,
    ),
    attached(judged(proto(186, "get_retval", &[]), (5, 18), BY_ATTACH, NOTE), SETS_RETVAL),
    attached(
        judged(proto(186, "get_retval", &[]), (5, 18), ProgTypes::LSM, NOTE),
        &[BPF_LSM_CGROUP],
    ),
    judged(
        proto(187, "set_retval", &[ANY]),
        (5, 18),
        ProgTypes::CGROUP_SOCK.with(ProgTypes::CGROUP_SOCKOPT),
        NOTE,
    ),
    attached(judged(proto(187, "set_retval", &[ANY]), (5, 18), BY_ATTACH, NOTE), SETS_RETVAL),
    attached(
        judged(proto(187, "set_retval", &[ANY]), (5, 18), ProgTypes::LSM, NOTE),
        &[BPF_LSM_CGROUP],
    ),
];
