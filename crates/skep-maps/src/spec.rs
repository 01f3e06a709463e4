//! [`MapSpec`]: what a map is created from, and the checks that all types share.

use crate::error::CreateError;
use crate::uapi::*;
use crate::user::AccessMode;

/// What `BPF_MAP_CREATE` is given (`union bpf_attr`, first variant).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MapSpec {
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes.
    pub value_size: u32,
    /// Capacity in elements.
    pub max_entries: u32,
    /// `BPF_F_*` flags.
    pub flags: u32,
    /// NUMA node, with `BPF_F_NUMA_NODE`.
    pub numa_node: u32,
    /// Type-specific extra.
    pub map_extra: u64,
    /// Name, at most 15 bytes of `[A-Za-z0-9_.]`.
    pub name: String,
}

/// `BPF_OBJ_NAME_LEN` without its NUL.
const MAX_NAME_LEN: usize = 15;

impl MapSpec {
    /// What the descriptor that creation returns may do (`BPF_F_RDONLY`, `BPF_F_WRONLY`).
    pub fn access_mode(&self) -> AccessMode {
        if self.has(BPF_F_RDONLY) {
            AccessMode::ReadOnly
        } else if self.has(BPF_F_WRONLY) {
            AccessMode::WriteOnly
        } else {
            AccessMode::ReadWrite
        }
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The node to allocate on, if the creator asks for one (`bpf_map_attr_numa_node`).
    pub(crate) fn asks_for_node(&self) -> bool {
        self.has(BPF_F_NUMA_NODE) && self.numa_node != u32::MAX
    }

    /// Bytes of a value, rounded up to 8: what it takes in memory, and each CPU's part of a per-CPU value.
    pub(crate) fn padded_value_size(&self) -> usize {
        (self.value_size as usize).next_multiple_of(8)
    }

    /// What `map_create` of the kernel checks for every type, in its order.
    pub(crate) fn check_common(&self) -> Result<(), CreateError> {
        // DEVIATION: bloom filters and arenas take a `map_extra`; Skep has neither yet.
        if self.map_extra != 0 {
            return Err(CreateError::invalid("map_extra must be 0 for this map type"));
        }
        if self.has(BPF_F_RDONLY) && self.has(BPF_F_WRONLY) {
            return Err(CreateError::invalid("BPF_F_RDONLY and BPF_F_WRONLY exclude each other"));
        }
        if self.asks_for_node() && !has_numa_node(self.numa_node) {
            return Err(CreateError::invalid(format!("no NUMA node {}", self.numa_node)));
        }
        Ok(())
    }

    pub(crate) fn check_name(&self) -> Result<(), CreateError> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        if self.name.len() > MAX_NAME_LEN || !self.name.bytes().all(is_allowed) {
            return Err(CreateError::invalid(format!(
                "map name {:?}: at most {MAX_NAME_LEN} bytes of A-Z, a-z, 0-9, '_' and '.'",
                self.name
            )));
        }
        Ok(())
    }

    /// Refuses flags outside of `allowed`, and read-only with write-only for programs.
    pub(crate) fn check_flags(&self, allowed: u32) -> Result<(), CreateError> {
        let unknown = self.flags & !allowed;
        if unknown != 0 {
            return Err(CreateError::invalid(format!(
                "map flags {unknown:#x} are not for this map type"
            )));
        }
        if self.has(BPF_F_RDONLY_PROG) && self.has(BPF_F_WRONLY_PROG) {
            return Err(CreateError::invalid(
                "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other",
            ));
        }
        Ok(())
    }
}

/// Whether the host has a NUMA node. Memory is not placed on it: pages go where they are first used,
/// which on a machine of one node is the same.
fn has_numa_node(node: u32) -> bool {
    node == 0
        || (cfg!(target_os = "linux")
            && std::path::Path::new(&format!("/sys/devices/system/node/node{node}")).exists())
}
