//! [`MapSpec`]: what a map is created from.

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
