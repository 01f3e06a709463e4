//! Which helpers work on which types of maps (`check_map_func_compatibility`), asked from both sides.

use crate::env::{HelperProto, MapProps};
use crate::pre::MapId;
use crate::reject::{HelperReject, RejectKind};
use crate::walk::{Res, Stop, Walk};
use skep_abi::uapi::*;

impl Walk<'_> {
    /// The helper does not change what programs may only read (`record_func_map`).
    // SOUND: what is constant to the verifier must be so for the program's own helper calls too.
    #[expect(non_upper_case_globals, reason = "names are the uapi's own")]
    pub(super) fn check_map_writable(&self, id: MapId, proto: &HelperProto) -> Res<()> {
        let changes = matches!(
            proto.id.cast_unsigned(),
            BPF_FUNC_map_update_elem
                | BPF_FUNC_map_delete_elem
                | BPF_FUNC_map_push_elem
                | BPF_FUNC_map_pop_elem
        );
        if changes && self.map(id)?.flags & BPF_F_RDONLY_PROG != 0 {
            return Err(RejectKind::MapReadOnly {}.into());
        }
        Ok(())
    }

    /// A tail call goes through a program array (`record_func_key`).
    pub(super) fn check_tail_call_map(&self, map: Option<MapId>) -> Res<()> {
        let map = self.map(map.ok_or(Stop::Bug("a tail call without a map"))?)?;
        if map.map_type == BPF_MAP_TYPE_PROG_ARRAY {
            return Ok(());
        }
        Err(RejectKind::TailCallMap {}.into())
    }

    /// The helper works on this type of map.
    #[expect(non_upper_case_globals, reason = "names are the uapi's own")]
    pub(super) fn check_map_call(&self, id: MapId, proto: &HelperProto) -> Res<()> {
        let map = self.map(id)?;
        let func = proto.id.cast_unsigned();
        let is_update = matches!(func, BPF_FUNC_map_update_elem | BPF_FUNC_map_delete_elem);
        let is_sock = matches!(map.map_type, BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH);
        let ok = if is_sock && is_update {
            if !self.may_update_sock_map(func) {
                // The kernel says both.
                let inner = Box::new(map_func(map, proto));
                return Err(HelperReject::SockMapUpdate { inner }.into());
            }
            true
        } else {
            map_allows(map.map_type, func)
        };
        if ok && func_allows(map.map_type, func) {
            return Ok(());
        }
        Err(map_func(map, proto).into())
    }

    /// No socket is locked where the program runs (`may_update_sockmap`).
    fn may_update_sock_map(&self, func: u32) -> bool {
        match self.props.prog_type {
            BPF_PROG_TYPE_TRACING => self.req.expected_attach_type == BPF_TRACE_ITER,
            BPF_PROG_TYPE_SOCK_OPS => func == BPF_FUNC_map_delete_elem,
            BPF_PROG_TYPE_SOCKET_FILTER
            | BPF_PROG_TYPE_SCHED_CLS
            | BPF_PROG_TYPE_SCHED_ACT
            | BPF_PROG_TYPE_XDP
            | BPF_PROG_TYPE_SK_REUSEPORT
            | BPF_PROG_TYPE_FLOW_DISSECTOR
            | BPF_PROG_TYPE_SK_LOOKUP => true,
            _ => false,
        }
    }
}

fn map_func(map: &MapProps, proto: &HelperProto) -> RejectKind {
    RejectKind::MapFunc { map_type: map.map_type, name: proto.name, id: proto.id }
}

/// The map's side: types that are not here take whatever a helper does not refuse.
// SOUND: of those that are not here, all have keys and values that lookups, updates and deletions work on.
#[expect(non_upper_case_globals, reason = "names are the uapi's own")]
fn map_allows(map_type: u32, func: u32) -> bool {
    match map_type {
        BPF_MAP_TYPE_PROG_ARRAY => func == BPF_FUNC_tail_call,
        BPF_MAP_TYPE_PERF_EVENT_ARRAY => matches!(
            func,
            BPF_FUNC_perf_event_read
                | BPF_FUNC_perf_event_output
                | BPF_FUNC_skb_output
                | BPF_FUNC_perf_event_read_value
                | BPF_FUNC_xdp_output
        ),
        BPF_MAP_TYPE_RINGBUF => is_ringbuf_func(func),
        BPF_MAP_TYPE_USER_RINGBUF => func == BPF_FUNC_user_ringbuf_drain,
        BPF_MAP_TYPE_STACK_TRACE => func == BPF_FUNC_get_stackid,
        BPF_MAP_TYPE_CGROUP_ARRAY => {
            matches!(func, BPF_FUNC_skb_under_cgroup | BPF_FUNC_current_task_under_cgroup)
        }
        BPF_MAP_TYPE_CGROUP_STORAGE | BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE => {
            func == BPF_FUNC_get_local_storage
        }
        BPF_MAP_TYPE_DEVMAP | BPF_MAP_TYPE_DEVMAP_HASH | BPF_MAP_TYPE_XSKMAP => {
            matches!(func, BPF_FUNC_redirect_map | BPF_FUNC_map_lookup_elem)
        }
        BPF_MAP_TYPE_CPUMAP => func == BPF_FUNC_redirect_map,
        BPF_MAP_TYPE_ARRAY_OF_MAPS | BPF_MAP_TYPE_HASH_OF_MAPS => func == BPF_FUNC_map_lookup_elem,
        BPF_MAP_TYPE_SOCKMAP => matches!(
            func,
            BPF_FUNC_sk_redirect_map
                | BPF_FUNC_sock_map_update
                | BPF_FUNC_msg_redirect_map
                | BPF_FUNC_sk_select_reuseport
                | BPF_FUNC_map_lookup_elem
        ),
        BPF_MAP_TYPE_SOCKHASH => matches!(
            func,
            BPF_FUNC_sk_redirect_hash
                | BPF_FUNC_sock_hash_update
                | BPF_FUNC_msg_redirect_hash
                | BPF_FUNC_sk_select_reuseport
                | BPF_FUNC_map_lookup_elem
        ),
        BPF_MAP_TYPE_REUSEPORT_SOCKARRAY => func == BPF_FUNC_sk_select_reuseport,
        BPF_MAP_TYPE_QUEUE | BPF_MAP_TYPE_STACK => {
            matches!(func, BPF_FUNC_map_peek_elem | BPF_FUNC_map_pop_elem | BPF_FUNC_map_push_elem)
        }
        BPF_MAP_TYPE_SK_STORAGE => matches!(
            func,
            BPF_FUNC_sk_storage_get | BPF_FUNC_sk_storage_delete | BPF_FUNC_kptr_xchg
        ),
        BPF_MAP_TYPE_INODE_STORAGE => matches!(
            func,
            BPF_FUNC_inode_storage_get | BPF_FUNC_inode_storage_delete | BPF_FUNC_kptr_xchg
        ),
        BPF_MAP_TYPE_TASK_STORAGE => matches!(
            func,
            BPF_FUNC_task_storage_get | BPF_FUNC_task_storage_delete | BPF_FUNC_kptr_xchg
        ),
        BPF_MAP_TYPE_CGRP_STORAGE => matches!(
            func,
            BPF_FUNC_cgrp_storage_get | BPF_FUNC_cgrp_storage_delete | BPF_FUNC_kptr_xchg
        ),
        BPF_MAP_TYPE_BLOOM_FILTER => {
            matches!(func, BPF_FUNC_map_peek_elem | BPF_FUNC_map_push_elem)
        }
        _ => true,
    }
}

#[expect(non_upper_case_globals, reason = "names are the uapi's own")]
fn is_ringbuf_func(func: u32) -> bool {
    matches!(
        func,
        BPF_FUNC_ringbuf_output
            | BPF_FUNC_ringbuf_reserve
            | BPF_FUNC_ringbuf_query
            | BPF_FUNC_ringbuf_reserve_dynptr
            | BPF_FUNC_ringbuf_submit_dynptr
            | BPF_FUNC_ringbuf_discard_dynptr
    )
}

/// The helper's side.
#[expect(non_upper_case_globals, reason = "names are the uapi's own")]
fn func_allows(map_type: u32, func: u32) -> bool {
    let is_sock_map = matches!(map_type, BPF_MAP_TYPE_SOCKMAP | BPF_MAP_TYPE_SOCKHASH);
    let is_queue = matches!(map_type, BPF_MAP_TYPE_QUEUE | BPF_MAP_TYPE_STACK);
    match func {
        BPF_FUNC_tail_call => map_type == BPF_MAP_TYPE_PROG_ARRAY,
        BPF_FUNC_perf_event_read
        | BPF_FUNC_perf_event_output
        | BPF_FUNC_perf_event_read_value
        | BPF_FUNC_skb_output
        | BPF_FUNC_xdp_output => map_type == BPF_MAP_TYPE_PERF_EVENT_ARRAY,
        _ if is_ringbuf_func(func) => map_type == BPF_MAP_TYPE_RINGBUF,
        BPF_FUNC_user_ringbuf_drain => map_type == BPF_MAP_TYPE_USER_RINGBUF,
        BPF_FUNC_get_stackid => map_type == BPF_MAP_TYPE_STACK_TRACE,
        BPF_FUNC_current_task_under_cgroup | BPF_FUNC_skb_under_cgroup => {
            map_type == BPF_MAP_TYPE_CGROUP_ARRAY
        }
        BPF_FUNC_redirect_map => matches!(
            map_type,
            BPF_MAP_TYPE_DEVMAP
                | BPF_MAP_TYPE_DEVMAP_HASH
                | BPF_MAP_TYPE_CPUMAP
                | BPF_MAP_TYPE_XSKMAP
        ),
        BPF_FUNC_sk_redirect_map | BPF_FUNC_msg_redirect_map | BPF_FUNC_sock_map_update => {
            map_type == BPF_MAP_TYPE_SOCKMAP
        }
        BPF_FUNC_sk_redirect_hash | BPF_FUNC_msg_redirect_hash | BPF_FUNC_sock_hash_update => {
            map_type == BPF_MAP_TYPE_SOCKHASH
        }
        BPF_FUNC_get_local_storage => {
            matches!(map_type, BPF_MAP_TYPE_CGROUP_STORAGE | BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE)
        }
        BPF_FUNC_sk_select_reuseport => is_sock_map || map_type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
        BPF_FUNC_map_pop_elem => is_queue,
        BPF_FUNC_map_peek_elem | BPF_FUNC_map_push_elem => {
            is_queue || map_type == BPF_MAP_TYPE_BLOOM_FILTER
        }
        BPF_FUNC_map_lookup_percpu_elem => matches!(
            map_type,
            BPF_MAP_TYPE_PERCPU_ARRAY | BPF_MAP_TYPE_PERCPU_HASH | BPF_MAP_TYPE_LRU_PERCPU_HASH
        ),
        BPF_FUNC_sk_storage_get | BPF_FUNC_sk_storage_delete => map_type == BPF_MAP_TYPE_SK_STORAGE,
        BPF_FUNC_inode_storage_get | BPF_FUNC_inode_storage_delete => {
            map_type == BPF_MAP_TYPE_INODE_STORAGE
        }
        BPF_FUNC_task_storage_get | BPF_FUNC_task_storage_delete => {
            map_type == BPF_MAP_TYPE_TASK_STORAGE
        }
        BPF_FUNC_cgrp_storage_get | BPF_FUNC_cgrp_storage_delete => {
            map_type == BPF_MAP_TYPE_CGRP_STORAGE
        }
        _ => true,
    }
}
