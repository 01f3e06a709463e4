//! [`OpenOptions`]: what an object is opened against.
//!
//! Nothing is taken from the running system by itself: the caller decides, so that opening is
//! deterministic.

use skep_btf::Btf;

/// What to do with an object of the other byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EndianPolicy {
    /// Accept only the byte order of the host.
    #[default]
    Host,
    /// Convert instructions and BTF to the byte order of the host, for reading the object. The initial bytes of global
    /// data stay as in the file, so what uses them is for a machine of the other order to run.
    Convert,
}

/// What the kernel that an object is opened for can do; values of the virtual `LINUX_*` externs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostFeatures {
    /// `LINUX_KERNEL_VERSION`, as `KERNEL_VERSION(a, b, c)` packs it.
    pub kernel_version: u32,
    /// `LINUX_HAS_BPF_COOKIE`.
    pub bpf_cookie: bool,
    /// `LINUX_HAS_SYSCALL_WRAPPER`.
    pub syscall_wrapper: bool,
}

impl Default for HostFeatures {
    /// Linux 6.18, the reference.
    fn default() -> HostFeatures {
        HostFeatures { kernel_version: 0x0006_1200, bpf_cookie: true, syscall_wrapper: true }
    }
}

/// Address of a kernel symbol by name, as `/proc/kallsyms` lists it.
pub type KsymLookup<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// What an object is opened against. The default is an empty system: no BTF, no configuration, no symbols.
#[derive(Clone, Copy, Default)]
pub struct OpenOptions<'a> {
    /// Types of the kernel that the object is for: target of CO-RE relocations, typed ksyms and struct_ops.
    /// Without it an object that needs one of these is refused.
    pub target_btf: Option<&'a Btf>,
    /// Types of the kernel's modules (name, split BTF), searched after `target_btf`.
    pub target_modules: &'a [(&'a str, &'a Btf)],
    /// Kernel configuration (`CONFIG_X=y` lines), for `.kconfig` externs.
    pub kconfig: Option<&'a str>,
    /// Addresses of kernel symbols (as `/proc/kallsyms`), for untyped ksyms.
    pub ksym_addr: Option<KsymLookup<'a>>,
    /// What the kernel can do.
    pub host: HostFeatures,
    /// What to do with the other byte order.
    pub endian: EndianPolicy,
}

impl core::fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("target_btf", &self.target_btf.is_some())
            .field("target_modules", &self.target_modules.len())
            .field("kconfig", &self.kconfig.is_some())
            .field("ksym_addr", &self.ksym_addr.is_some())
            .field("host", &self.host)
            .field("endian", &self.endian)
            .finish()
    }
}
