//! Accesses through the pointer to a map itself, which to the kernel is one of its objects (`check_ptr_to_map_access`).

use super::btf::access::untrusted_memory;
use super::btf::member::{Flexible, Found, Span, find};
use super::{Direction, MemAccess, UNKNOWN};
use crate::pre::MapId;
use crate::reject::BtfReject;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Walk, unsupported};
use skep_abi::uapi::*;
use skep_btf::Kind;

/// The kernel's structure for maps of a type.
fn struct_of(map_type: u32) -> Option<&'static str> {
    Some(match map_type {
        BPF_MAP_TYPE_HASH
        | BPF_MAP_TYPE_PERCPU_HASH
        | BPF_MAP_TYPE_LRU_HASH
        | BPF_MAP_TYPE_LRU_PERCPU_HASH
        | BPF_MAP_TYPE_HASH_OF_MAPS => "bpf_htab",
        BPF_MAP_TYPE_ARRAY
        | BPF_MAP_TYPE_PERCPU_ARRAY
        | BPF_MAP_TYPE_PROG_ARRAY
        | BPF_MAP_TYPE_PERF_EVENT_ARRAY
        | BPF_MAP_TYPE_CGROUP_ARRAY
        | BPF_MAP_TYPE_ARRAY_OF_MAPS => "bpf_array",
        BPF_MAP_TYPE_STACK_TRACE => "bpf_stack_map",
        BPF_MAP_TYPE_LPM_TRIE => "lpm_trie",
        BPF_MAP_TYPE_DEVMAP | BPF_MAP_TYPE_DEVMAP_HASH => "bpf_dtab",
        BPF_MAP_TYPE_SOCKMAP => "bpf_stab",
        BPF_MAP_TYPE_SOCKHASH => "bpf_shtab",
        BPF_MAP_TYPE_CPUMAP => "bpf_cpu_map",
        BPF_MAP_TYPE_XSKMAP => "xsk_map",
        BPF_MAP_TYPE_CGROUP_STORAGE | BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE => {
            "bpf_cgroup_storage_map"
        }
        BPF_MAP_TYPE_REUSEPORT_SOCKARRAY => "reuseport_array",
        BPF_MAP_TYPE_QUEUE | BPF_MAP_TYPE_STACK => "bpf_queue_stack",
        BPF_MAP_TYPE_SK_STORAGE
        | BPF_MAP_TYPE_INODE_STORAGE
        | BPF_MAP_TYPE_TASK_STORAGE
        | BPF_MAP_TYPE_CGRP_STORAGE => "bpf_local_storage_map",
        BPF_MAP_TYPE_STRUCT_OPS => "bpf_struct_ops_map",
        BPF_MAP_TYPE_RINGBUF | BPF_MAP_TYPE_USER_RINGBUF => "bpf_ringbuf_map",
        BPF_MAP_TYPE_BLOOM_FILTER => "bpf_bloom_filter",
        BPF_MAP_TYPE_ARENA => "bpf_arena",
        _ => return None,
    })
}

impl Walk<'_> {
    /// Judges a load through a map pointer and gives what it yields.
    // SOUND: nothing keeps what a map's members point to, so such pointers are of the old sort. Skep's own maps are no
    // such structures; a program that reads them is not run.
    pub(super) fn check_map_object(
        &mut self,
        map: MapId,
        a: MemAccess,
        dir: Direction,
    ) -> Res<RegState> {
        let map_type = self.map(map)?.map_type;
        let Some(name) = struct_of(map_type) else {
            return Err(BtfReject::NoMapStruct { map_type }.into());
        };
        let (reg, off) = (a.base.num(), a.off);
        if !self.rights.allow_ptr_leaks {
            return Err(BtfReject::NeedsPerfmon { name: name.into() }.into());
        }
        if off < 0 {
            return Err(BtfReject::MapNegativeOff { reg, name, off }.into());
        }
        if dir.is_write() {
            return Err(BtfReject::MapOnlyRead { name }.into());
        }
        let kernel = self.env.kernel_btf();
        let found = kernel.and_then(|b| b.find_by_name_kind(name, Kind::Struct));
        let (Some(kernel), Some(ty), Ok(off)) = (kernel, found, u32::try_from(off)) else {
            return Err(unsupported(format!("reads of a map's own structure (struct {name})")));
        };
        let at = Span { off, size: a.size.bytes() };
        Ok(match find(kernel, ty.id(), at, Flexible::Yes)? {
            Found::Scalar => UNKNOWN,
            Found::LeafPointer => untrusted_memory(),
            Found::Pointer { to, flags, .. } => {
                let kind = RegKind::Btf(BtfType { btf: BtfOwner::Kernel, id: to.0 });
                RegState { flags: flags.without(PtrFlags::RCU), ..RegState::pointer(kind) }
            }
        })
    }
}
