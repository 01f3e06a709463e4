//! [`KernelMap`]: a map of the live kernel.

use super::prog::KernelBtf;
use super::sys::{Attr, bpf, bpf_fd};
use skep_abi::Errno;
use skep_maps::MapSpec;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP_ELEM: u32 = 1;
const MAP_UPDATE_ELEM: u32 = 2;
const MAP_DELETE_ELEM: u32 = 3;
const MAP_GET_NEXT_KEY: u32 = 4;
const MAP_LOOKUP_AND_DELETE_ELEM: u32 = 21;
const MAP_FREEZE: u32 = 22;

/// A map of the live kernel; the descriptor is closed on drop.
#[derive(Debug)]
pub struct KernelMap {
    fd: OwnedFd,
    /// Bytes of a value as user space sees it.
    user_value_size: usize,
    key_size: usize,
}

/// Types of a map's elements, and the template of a map of maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapTypes<'a> {
    /// Where the types are.
    pub btf: Option<&'a KernelBtf>,
    /// Type of the key, with `btf`.
    pub key_id: u32,
    /// Type of the value, with `btf`.
    pub value_id: u32,
    /// Type of the value in the kernel's own BTF, for struct_ops; 0 otherwise.
    pub kernel_value_id: u32,
    /// A map like those that the map will hold.
    pub inner: Option<&'a KernelMap>,
}

impl KernelMap {
    /// `BPF_MAP_CREATE`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create(spec: &MapSpec) -> Result<KernelMap, Errno> {
        KernelMap::create_with(spec, &MapTypes::default())
    }

    /// `BPF_MAP_CREATE`, with what the specification does not say.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create_with(spec: &MapSpec, types: &MapTypes<'_>) -> Result<KernelMap, Errno> {
        let mut attr = Attr::new();
        attr.set_u32(0, spec.map_type);
        attr.set_u32(4, spec.key_size);
        attr.set_u32(8, spec.value_size);
        attr.set_u32(12, spec.max_entries);
        attr.set_u32(16, spec.flags);
        attr.set_u32(24, spec.numa_node);
        attr.set_name(28, &spec.name);
        attr.set_u64(64, spec.map_extra);
        if let Some(inner) = types.inner {
            attr.set_u32(20, inner.fd() as u32);
        }
        if let Some(btf) = types.btf {
            attr.set_u32(48, btf.fd.as_raw_fd() as u32);
            attr.set_u32(52, types.key_id);
            attr.set_u32(56, types.value_id);
        }
        attr.set_u32(60, types.kernel_value_id);
        let fd = bpf_fd(MAP_CREATE, &mut attr)?;
        let value_size = spec.value_size as usize;
        // The per-CPU types: PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE.
        let user_value_size = match spec.map_type {
            5 | 6 | 10 | 21 => value_size.next_multiple_of(8) * possible_cpus(),
            _ => value_size,
        };
        Ok(KernelMap { fd, user_value_size, key_size: spec.key_size as usize })
    }

    /// The descriptor, for instructions and fd arrays.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn attr<'a>(&self, key: Option<&'a [u8]>) -> Attr<'a> {
        let mut attr = Attr::new();
        attr.set_u32(0, self.fd() as u32);
        if let Some(key) = key {
            assert!(key.len() >= self.key_size, "key of {} bytes", key.len());
            attr.set_slice(8, key);
        }
        attr
    }

    /// `BPF_MAP_LOOKUP_ELEM`: the value, all CPUs of it for per-CPU types.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        self.read_value(MAP_LOOKUP_ELEM, key, flags)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lookup_and_delete(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        self.read_value(MAP_LOOKUP_AND_DELETE_ELEM, key, flags)
    }

    fn read_value(&self, cmd: u32, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        // Never empty: programs arrays and the like still copy four bytes of id.
        let mut value = vec![0; self.user_value_size.max(8)];
        let mut attr = self.attr(Some(key));
        attr.set_slice_mut(16, &mut value);
        attr.set_u64(24, flags);
        bpf(cmd, &mut attr)?;
        value.truncate(self.user_value_size);
        Ok(value)
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Panics
    /// When the value is shorter than the kernel will read.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        assert!(value.len() >= self.user_value_size, "value of {} bytes", value.len());
        let mut attr = self.attr(Some(key));
        attr.set_slice(16, value);
        attr.set_u64(24, flags);
        bpf(MAP_UPDATE_ELEM, &mut attr).map(drop)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        bpf(MAP_DELETE_ELEM, &mut self.attr(Some(key))).map(drop)
    }

    /// `BPF_MAP_GET_NEXT_KEY`: the key after `key`, or the first.
    ///
    /// # Errors
    /// The kernel's; `ENOENT` after the last.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        let mut next = vec![0; self.key_size.max(1)];
        let mut attr = self.attr(key);
        attr.set_slice_mut(16, &mut next);
        bpf(MAP_GET_NEXT_KEY, &mut attr)?;
        next.truncate(self.key_size);
        Ok(next)
    }

    /// `BPF_MAP_FREEZE`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self) -> Result<(), Errno> {
        bpf(MAP_FREEZE, &mut self.attr(None)).map(drop)
    }
}

/// How many CPUs the kernel lays per-CPU values out for.
pub fn possible_cpus() -> usize {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<usize>().ok());
    last.map_or(1, |n| n + 1)
}
