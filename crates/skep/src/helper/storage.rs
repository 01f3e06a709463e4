//! Storage that belongs to a socket, task, inode or control group. Facts: kernel/bpf/bpf_*_storage.c,
//! net/core/bpf_sk_storage.c.

use super::{
    ANY, Allowed, ArgType, CTX, Helper, MAP, RetType, SOCK, allowed, attached, judged,
    object_or_null, proto, returns,
};
use crate::prog_type::ProgTypes;
use skep_abi::uapi::BPF_LSM_CGROUP;

const NOTE: &str = "local storage is not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        returns(proto(81, "get_local_storage", &[MAP, ANY]), RetType::MapValue),
        (4, 19),
        ProgTypes::CGROUP_SKB
            .with(ProgTypes::CGROUP_SOCK)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::CGROUP_DEVICE)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::CGROUP_SYSCTL)
            .with(ProgTypes::CGROUP_SOCKOPT),
        NOTE,
    ),
    attached(
        judged(
            returns(proto(81, "get_local_storage", &[MAP, ANY]), RetType::MapValue),
            (4, 19),
            ProgTypes::LSM,
            NOTE,
        ),
        &[BPF_LSM_CGROUP],
    ),
    judged(
        returns(
            proto(107, "sk_storage_get", &[MAP, CTX, ArgType::MapValueOrNull, ANY]),
            RetType::MapValueOrNull,
        ),
        (5, 2),
        ProgTypes::CGROUP_SOCK,
        NOTE,
    ),
    allowed(
        judged(
            returns(
                proto(
                    107,
                    "sk_storage_get",
                    &[MAP, object_or_null("sock_common"), ArgType::MapValueOrNull, ANY],
                ),
                RetType::MapValueOrNull,
            ),
            (5, 2),
            ProgTypes::TRACING.with(ProgTypes::SYSCALL),
            NOTE,
        ),
        Allowed::SockStorage,
    ),
    judged(
        returns(
            proto(107, "sk_storage_get", &[MAP, SOCK, ArgType::MapValueOrNull, ANY]),
            RetType::MapValueOrNull,
        ),
        (5, 2),
        ProgTypes::TC
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::CGROUP_SOCKOPT)
            .with(ProgTypes::STRUCT_OPS)
            .with(ProgTypes::LSM),
        NOTE,
    ),
    allowed(
        judged(
            proto(108, "sk_storage_delete", &[MAP, object_or_null("sock_common")]),
            (5, 2),
            ProgTypes::TRACING.with(ProgTypes::SYSCALL),
            NOTE,
        ),
        Allowed::SockStorage,
    ),
    judged(
        proto(108, "sk_storage_delete", &[MAP, SOCK]),
        (5, 2),
        ProgTypes::TC
            .with(ProgTypes::CGROUP_SKB)
            .with(ProgTypes::SOCK_OPS)
            .with(ProgTypes::SK_MSG)
            .with(ProgTypes::CGROUP_SOCK_ADDR)
            .with(ProgTypes::CGROUP_SOCKOPT)
            .with(ProgTypes::STRUCT_OPS)
            .with(ProgTypes::LSM),
        NOTE,
    ),
    judged(
        returns(
            proto(
                145,
                "inode_storage_get",
                &[MAP, object_or_null("inode"), ArgType::MapValueOrNull, ANY],
            ),
            RetType::MapValueOrNull,
        ),
        (5, 10),
        ProgTypes::LSM,
        NOTE,
    ),
    judged(
        proto(146, "inode_storage_delete", &[MAP, object_or_null("inode")]),
        (5, 10),
        ProgTypes::LSM,
        NOTE,
    ),
    judged(
        returns(
            proto(
                156,
                "task_storage_get",
                &[MAP, object_or_null("task_struct"), ArgType::MapValueOrNull, ANY],
            ),
            RetType::MapValueOrNull,
        ),
        (5, 11),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(157, "task_storage_delete", &[MAP, object_or_null("task_struct")]),
        (5, 11),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        returns(
            proto(
                210,
                "cgrp_storage_get",
                &[MAP, object_or_null("cgroup"), ArgType::MapValueOrNull, ANY],
            ),
            RetType::MapValueOrNull,
        ),
        (6, 2),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(211, "cgrp_storage_delete", &[MAP, object_or_null("cgroup")]),
        (6, 2),
        ProgTypes::EXTENDED,
        NOTE,
    ),
];
