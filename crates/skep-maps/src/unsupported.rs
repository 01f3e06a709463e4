//! Map types that Linux 6.18 has and Skep does not yet: what is known of them, and the reason.

use crate::MapSpec;
use crate::error::CreateError;
use crate::kind::{MapKind, MapType, Support};
use crate::ops::MapOps;
use skep_abi::Errno;
use std::sync::Arc;

/// What the kernel answers for a map type that it was built without.
const ERRNO: Errno = Errno::EINVAL;

const fn missing(
    kind: MapKind,
    name: &'static str,
    since: (u16, u16),
    note: &'static str,
) -> MapType {
    MapType { kind, name, since, flags: 0, alloc_check, create, support: Support::No(ERRNO, note) }
}

fn refusal(spec: &MapSpec) -> CreateError {
    CreateError::new(ERRNO, format!("maps of type {} are unsupported", spec.map_type))
}

fn alloc_check(spec: &MapSpec) -> Result<(), CreateError> {
    Err(refusal(spec))
}

fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    Err(refusal(spec))
}

pub(crate) const PERF_EVENT_ARRAY: MapType = missing(
    MapKind::PerfEventArray,
    "perf_event_array",
    (4, 3),
    "perf events are not implemented yet",
);
pub(crate) const STACK_TRACE: MapType =
    missing(MapKind::StackTrace, "stack_trace", (4, 6), "stack traces are not implemented yet");
pub(crate) const CGROUP_ARRAY: MapType =
    missing(MapKind::CgroupArray, "cgroup_array", (4, 8), "cgroups are not implemented yet");
pub(crate) const LRU_HASH: MapType =
    missing(MapKind::LruHash, "lru_hash", (4, 10), "eviction is not implemented yet");
pub(crate) const LRU_PERCPU_HASH: MapType =
    missing(MapKind::LruPercpuHash, "lru_percpu_hash", (4, 10), "eviction is not implemented yet");
pub(crate) const LPM_TRIE: MapType =
    missing(MapKind::LpmTrie, "lpm_trie", (4, 11), "tries are not implemented yet");
pub(crate) const ARRAY_OF_MAPS: MapType =
    missing(MapKind::ArrayOfMaps, "array_of_maps", (4, 12), "maps in maps are not implemented yet");
pub(crate) const HASH_OF_MAPS: MapType =
    missing(MapKind::HashOfMaps, "hash_of_maps", (4, 12), "maps in maps are not implemented yet");
pub(crate) const DEVMAP: MapType =
    missing(MapKind::Devmap, "devmap", (4, 14), "redirection to devices is not implemented yet");
pub(crate) const SOCKMAP: MapType =
    missing(MapKind::Sockmap, "sockmap", (4, 14), "socket maps are not implemented yet");
pub(crate) const CPUMAP: MapType =
    missing(MapKind::Cpumap, "cpumap", (4, 15), "redirection to CPUs is not implemented yet");
pub(crate) const XSKMAP: MapType =
    missing(MapKind::Xskmap, "xskmap", (4, 18), "AF_XDP sockets are not implemented yet");
pub(crate) const SOCKHASH: MapType =
    missing(MapKind::Sockhash, "sockhash", (4, 18), "socket maps are not implemented yet");
pub(crate) const CGROUP_STORAGE: MapType =
    missing(MapKind::CgroupStorage, "cgroup_storage", (4, 19), "cgroups are not implemented yet");
pub(crate) const REUSEPORT_SOCKARRAY: MapType = missing(
    MapKind::ReuseportSockarray,
    "reuseport_sockarray",
    (4, 19),
    "reuseport groups are not implemented yet",
);
pub(crate) const PERCPU_CGROUP_STORAGE: MapType = missing(
    MapKind::PercpuCgroupStorage,
    "percpu_cgroup_storage",
    (4, 20),
    "cgroups are not implemented yet",
);
pub(crate) const QUEUE: MapType =
    missing(MapKind::Queue, "queue", (4, 20), "queues are not implemented yet");
pub(crate) const STACK: MapType =
    missing(MapKind::Stack, "stack", (4, 20), "stacks are not implemented yet");
pub(crate) const SK_STORAGE: MapType =
    missing(MapKind::SkStorage, "sk_storage", (5, 2), "local storage is not implemented yet");
pub(crate) const DEVMAP_HASH: MapType = missing(
    MapKind::DevmapHash,
    "devmap_hash",
    (5, 4),
    "redirection to devices is not implemented yet",
);
pub(crate) const STRUCT_OPS: MapType =
    missing(MapKind::StructOps, "struct_ops", (5, 6), "struct_ops is not implemented yet");
pub(crate) const RINGBUF: MapType =
    missing(MapKind::Ringbuf, "ringbuf", (5, 8), "ring buffers are not implemented yet");
pub(crate) const INODE_STORAGE: MapType = missing(
    MapKind::InodeStorage,
    "inode_storage",
    (5, 10),
    "local storage is not implemented yet",
);
pub(crate) const TASK_STORAGE: MapType =
    missing(MapKind::TaskStorage, "task_storage", (5, 11), "local storage is not implemented yet");
pub(crate) const BLOOM_FILTER: MapType =
    missing(MapKind::BloomFilter, "bloom_filter", (5, 16), "bloom filters are not implemented yet");
pub(crate) const USER_RINGBUF: MapType =
    missing(MapKind::UserRingbuf, "user_ringbuf", (6, 1), "ring buffers are not implemented yet");
pub(crate) const CGRP_STORAGE: MapType =
    missing(MapKind::CgrpStorage, "cgrp_storage", (6, 2), "local storage is not implemented yet");
pub(crate) const ARENA: MapType =
    missing(MapKind::Arena, "arena", (6, 9), "arenas are not implemented yet");
