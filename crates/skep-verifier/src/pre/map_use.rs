//! Which programs may use which maps at all (`check_map_prog_compatibility`).

use crate::env::MapProps;
use crate::reject::FieldReject;
use skep_abi::uapi::*;
use skep_btf::fields::FieldKind;

/// A program of a type may name the map.
pub(super) fn check(map: &MapProps, prog_type: u32, may_sleep: bool) -> Result<(), FieldReject> {
    let has = |kinds: &[FieldKind]| map.fields.iter().any(|f| kinds.contains(&f.kind));
    let is_tracing = matches!(
        prog_type,
        BPF_PROG_TYPE_KPROBE
            | BPF_PROG_TYPE_TRACEPOINT
            | BPF_PROG_TYPE_PERF_EVENT
            | BPF_PROG_TYPE_RAW_TRACEPOINT
            | BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE
    );
    let refuse =
        |who: &'static str, what: &'static str| Err(FieldReject::MapNotForProg { who, what });
    if is_tracing && has(&[FieldKind::ListHead, FieldKind::RbRoot]) {
        return refuse("tracing", "bpf_{list_head,rb_root}");
    }
    if has(&[FieldKind::SpinLock, FieldKind::ResSpinLock]) {
        if prog_type == BPF_PROG_TYPE_SOCKET_FILTER {
            return refuse("socket filter", "bpf_spin_lock");
        }
        if is_tracing {
            return refuse("tracing", "bpf_spin_lock");
        }
    }
    if is_tracing && has(&[FieldKind::Timer]) {
        return refuse("tracing", "bpf_timer");
    }
    if is_tracing && has(&[FieldKind::Workqueue]) {
        return refuse("tracing", "bpf_wq");
    }
    if map.map_type == BPF_MAP_TYPE_STRUCT_OPS {
        return Err(FieldReject::StructOpsMap {});
    }
    let is_fit_to_sleep = matches!(
        map.map_type,
        BPF_MAP_TYPE_HASH
            | BPF_MAP_TYPE_LRU_HASH
            | BPF_MAP_TYPE_ARRAY
            | BPF_MAP_TYPE_PERCPU_HASH
            | BPF_MAP_TYPE_PERCPU_ARRAY
            | BPF_MAP_TYPE_LRU_PERCPU_HASH
            | BPF_MAP_TYPE_ARRAY_OF_MAPS
            | BPF_MAP_TYPE_HASH_OF_MAPS
            | BPF_MAP_TYPE_RINGBUF
            | BPF_MAP_TYPE_USER_RINGBUF
            | BPF_MAP_TYPE_INODE_STORAGE
            | BPF_MAP_TYPE_SK_STORAGE
            | BPF_MAP_TYPE_TASK_STORAGE
            | BPF_MAP_TYPE_CGRP_STORAGE
            | BPF_MAP_TYPE_QUEUE
            | BPF_MAP_TYPE_STACK
            | BPF_MAP_TYPE_ARENA
    );
    if may_sleep && !is_fit_to_sleep {
        return Err(FieldReject::MapNotForSleepers {});
    }
    Ok(())
}
