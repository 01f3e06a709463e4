//! [`MapKind`], every map type of Linux 6.18; [`MapType`], what is known of each; [`create`].

use crate::error::CreateError;
use crate::ops::MapOps;
use crate::{MapSpec, array, hash, percpu_array, percpu_hash, prog_array, unsupported};
use skep_abi::Errno;
use std::sync::Arc;

/// What works of a map type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// All that the kernel's does.
    Full,
    /// Not all; says what is missing.
    Partial(&'static str),
    /// Nothing: creation fails with this errno, for this reason.
    No(Errno, &'static str),
}

/// Makes a map whose spec has passed the checks.
pub type CreateFn = fn(&MapSpec) -> Result<Arc<dyn MapOps>, CreateError>;

/// What is known of a map type: one constant next to the type's code.
#[derive(Clone, Copy, Debug)]
pub struct MapType {
    /// Which.
    pub kind: MapKind,
    /// Name as bpftool prints it: `percpu_hash`.
    pub name: &'static str,
    /// Linux version that introduced it, `(major, minor)`.
    pub since: (u16, u16),
    /// `BPF_F_*` creation flags that it takes.
    pub flags: u32,
    /// Checks sizes and flags (`map_alloc_check` of the kernel), without allocating.
    pub alloc_check: fn(&MapSpec) -> Result<(), CreateError>,
    /// Makes one.
    pub create: CreateFn,
    /// What works.
    pub support: Support,
}

macro_rules! map_kinds {
    ($($(#[$doc:meta])* $kind:ident = $num:literal => $descriptor:path;)*) => {
        /// A map type of Linux 6.18 (`enum bpf_map_type`).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u32)]
        pub enum MapKind {
            $($(#[$doc])* $kind = $num,)*
        }

        impl MapKind {
            /// All, by ascending number.
            pub const ALL: &'static [MapKind] = &[$(MapKind::$kind,)*];

            /// The type with a number of `BPF_MAP_TYPE_*`.
            pub const fn from_number(number: u32) -> Option<MapKind> {
                match number { $($num => Some(MapKind::$kind),)* _ => None }
            }

            /// What is known of it.
            pub const fn describe(self) -> &'static MapType {
                match self { $(MapKind::$kind => &$descriptor,)* }
            }
        }

        static MAP_TYPES: &[&MapType] = &[$(&$descriptor,)*];
    };
}

map_kinds! {
    /// Hash table.
    #[doc(alias = "BPF_MAP_TYPE_HASH")]
    Hash = 1 => hash::HASH;
    /// Array.
    #[doc(alias = "BPF_MAP_TYPE_ARRAY")]
    Array = 2 => array::ARRAY;
    /// Array of programs, for tail calls.
    #[doc(alias = "BPF_MAP_TYPE_PROG_ARRAY")]
    ProgArray = 3 => prog_array::PROG_ARRAY;
    /// Array of perf events.
    #[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
    PerfEventArray = 4 => unsupported::PERF_EVENT_ARRAY;
    /// Hash table with a value for each CPU.
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_HASH")]
    PercpuHash = 5 => percpu_hash::PERCPU_HASH;
    /// Array with a value for each CPU.
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_ARRAY")]
    PercpuArray = 6 => percpu_array::PERCPU_ARRAY;
    /// Stack traces.
    #[doc(alias = "BPF_MAP_TYPE_STACK_TRACE")]
    StackTrace = 7 => unsupported::STACK_TRACE;
    /// Array of cgroups.
    #[doc(alias = "BPF_MAP_TYPE_CGROUP_ARRAY")]
    CgroupArray = 8 => unsupported::CGROUP_ARRAY;
    /// Hash table that evicts.
    #[doc(alias = "BPF_MAP_TYPE_LRU_HASH")]
    LruHash = 9 => unsupported::LRU_HASH;
    /// Hash table that evicts, with a value for each CPU.
    #[doc(alias = "BPF_MAP_TYPE_LRU_PERCPU_HASH")]
    LruPercpuHash = 10 => unsupported::LRU_PERCPU_HASH;
    /// Longest prefix match.
    #[doc(alias = "BPF_MAP_TYPE_LPM_TRIE")]
    LpmTrie = 11 => unsupported::LPM_TRIE;
    /// Array of maps.
    #[doc(alias = "BPF_MAP_TYPE_ARRAY_OF_MAPS")]
    ArrayOfMaps = 12 => unsupported::ARRAY_OF_MAPS;
    /// Hash table of maps.
    #[doc(alias = "BPF_MAP_TYPE_HASH_OF_MAPS")]
    HashOfMaps = 13 => unsupported::HASH_OF_MAPS;
    /// Array of network devices.
    #[doc(alias = "BPF_MAP_TYPE_DEVMAP")]
    Devmap = 14 => unsupported::DEVMAP;
    /// Array of sockets.
    #[doc(alias = "BPF_MAP_TYPE_SOCKMAP")]
    Sockmap = 15 => unsupported::SOCKMAP;
    /// CPUs to redirect packets to.
    #[doc(alias = "BPF_MAP_TYPE_CPUMAP")]
    Cpumap = 16 => unsupported::CPUMAP;
    /// AF_XDP sockets.
    #[doc(alias = "BPF_MAP_TYPE_XSKMAP")]
    Xskmap = 17 => unsupported::XSKMAP;
    /// Hash table of sockets.
    #[doc(alias = "BPF_MAP_TYPE_SOCKHASH")]
    Sockhash = 18 => unsupported::SOCKHASH;
    /// Storage of a cgroup's attachment.
    #[doc(alias = "BPF_MAP_TYPE_CGROUP_STORAGE")]
    CgroupStorage = 19 => unsupported::CGROUP_STORAGE;
    /// Sockets of a reuseport group.
    #[doc(alias = "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY")]
    ReuseportSockarray = 20 => unsupported::REUSEPORT_SOCKARRAY;
    /// Storage of a cgroup's attachment, with a value for each CPU.
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE")]
    PercpuCgroupStorage = 21 => unsupported::PERCPU_CGROUP_STORAGE;
    /// First in, first out.
    #[doc(alias = "BPF_MAP_TYPE_QUEUE")]
    Queue = 22 => unsupported::QUEUE;
    /// Last in, first out.
    #[doc(alias = "BPF_MAP_TYPE_STACK")]
    Stack = 23 => unsupported::STACK;
    /// Storage of a socket.
    #[doc(alias = "BPF_MAP_TYPE_SK_STORAGE")]
    SkStorage = 24 => unsupported::SK_STORAGE;
    /// Hash table of network devices.
    #[doc(alias = "BPF_MAP_TYPE_DEVMAP_HASH")]
    DevmapHash = 25 => unsupported::DEVMAP_HASH;
    /// Kernel operations implemented by programs.
    #[doc(alias = "BPF_MAP_TYPE_STRUCT_OPS")]
    StructOps = 26 => unsupported::STRUCT_OPS;
    /// Ring buffer from programs to user space.
    #[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
    Ringbuf = 27 => unsupported::RINGBUF;
    /// Storage of an inode.
    #[doc(alias = "BPF_MAP_TYPE_INODE_STORAGE")]
    InodeStorage = 28 => unsupported::INODE_STORAGE;
    /// Storage of a task.
    #[doc(alias = "BPF_MAP_TYPE_TASK_STORAGE")]
    TaskStorage = 29 => unsupported::TASK_STORAGE;
    /// Bloom filter.
    #[doc(alias = "BPF_MAP_TYPE_BLOOM_FILTER")]
    BloomFilter = 30 => unsupported::BLOOM_FILTER;
    /// Ring buffer from user space to programs.
    #[doc(alias = "BPF_MAP_TYPE_USER_RINGBUF")]
    UserRingbuf = 31 => unsupported::USER_RINGBUF;
    /// Storage of a cgroup.
    #[doc(alias = "BPF_MAP_TYPE_CGRP_STORAGE")]
    CgrpStorage = 32 => unsupported::CGRP_STORAGE;
    /// Memory shared between programs and user space.
    #[doc(alias = "BPF_MAP_TYPE_ARENA")]
    Arena = 33 => unsupported::ARENA;
}

/// All map types of Linux 6.18, supported or not, by ascending number.
pub fn map_types() -> &'static [&'static MapType] {
    MAP_TYPES
}

/// Creates a map (`BPF_MAP_CREATE` after the permission checks, which are the caller's: among them
/// that `BPF_F_ZERO_SEED` needs `CAP_SYS_ADMIN`).
///
/// # Errors
/// The kernel's errno, with the reason: `EINVAL` for an unknown or unsupported type and for sizes and
/// flags that the type does not take, `E2BIG` for sizes above the type's limits, `ENOMEM`.
pub fn create(spec: &MapSpec) -> Result<Arc<dyn MapOps>, CreateError> {
    let Some(kind) = MapKind::from_number(spec.map_type) else {
        return Err(CreateError::invalid(format!("no map type {} in Linux 6.18", spec.map_type)));
    };
    let map_type = kind.describe();
    if let Support::No(errno, note) = map_type.support {
        let name = map_type.name;
        return Err(CreateError::new(
            errno,
            format!("maps of type {name} are unsupported: {note}"),
        ));
    }
    spec.check_common()?;
    (map_type.alloc_check)(spec)?;
    spec.check_name()?;
    (map_type.create)(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_own_descriptor() {
        assert_eq!(MapKind::ALL.len(), map_types().len());
        for (at, (&kind, map_type)) in MapKind::ALL.iter().zip(map_types()).enumerate() {
            assert_eq!(kind as usize, at + 1);
            assert_eq!(map_type.kind, kind);
            assert_eq!(map_type.name, kind.describe().name);
            assert_eq!(MapKind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(MapKind::from_number(0), None);
        assert_eq!(MapKind::from_number(34), None);
    }

    #[test]
    fn the_table_is_the_uapi_enum() {
        for &(name, number) in skep_abi::uapi::BPF_MAP_TYPE_NAMES {
            let wanted = name.strip_prefix("BPF_MAP_TYPE_").map(str::to_lowercase);
            match MapKind::from_number(number) {
                // Two numbers have a second name, deprecated.
                Some(kind) if !name.ends_with("_DEPRECATED") => {
                    assert_eq!(wanted.as_deref(), Some(kind.describe().name));
                }
                Some(_) => {}
                None => {
                    assert!(number == 0 || name == "__MAX_BPF_MAP_TYPE", "{name} has no descriptor")
                }
            }
        }
    }

    #[test]
    fn an_unsupported_type_says_so() {
        for map_type in map_types() {
            let spec = MapSpec { map_type: map_type.kind as u32, ..MapSpec::default() };
            let error = create(&spec).map(drop).expect_err("sizes of zero");
            match map_type.support {
                Support::No(errno, note) => {
                    assert_eq!(error.errno(), errno);
                    assert!(error.to_string().contains(note), "{error}");
                    assert!(error.to_string().contains(map_type.name), "{error}");
                }
                Support::Full | Support::Partial(_) => assert_eq!(error.errno(), Errno::EINVAL),
            }
        }
        let unknown = MapSpec { map_type: 34, ..MapSpec::default() };
        let error = create(&unknown).map(drop).expect_err("no such type");
        assert_eq!(error.to_string(), "no map type 34 in Linux 6.18: EINVAL (Invalid argument)");
    }
}
