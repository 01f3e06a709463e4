//! [`Host`]: the running kernel, as far as objects depend on it, and objects opened for it.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use skep_btf::Btf;
use skep_elf::{ElfError, HostFeatures, Object, OpenOptions};

/// The running kernel, as far as objects depend on it.
pub(crate) struct Host {
    btf: Arc<Btf>,
    kconfig: String,
    symbols: HashMap<String, u64>,
    features: HostFeatures,
}

impl Host {
    /// Reads types, configuration and symbols.
    pub(crate) fn read() -> Result<Host, String> {
        let read = |path: &str| fs::read(path).map_err(|e| format!("{path}: {e}"));
        let btf = Btf::parse(&read("/sys/kernel/btf/vmlinux")?).map_err(|e| e.to_string())?;
        let btf = Arc::new(btf);
        let release = String::from_utf8_lossy(&read("/proc/sys/kernel/osrelease")?).into_owned();
        let boot = format!("/boot/config-{}", release.trim());
        let kconfig = match fs::read_to_string(&boot) {
            Ok(text) => text,
            Err(_) => {
                let out = Command::new("zcat").arg("/proc/config.gz").output();
                let out = out.map_err(|e| format!("zcat /proc/config.gz: {e}"))?;
                String::from_utf8_lossy(&out.stdout).into_owned()
            }
        };
        let kallsyms = String::from_utf8_lossy(&read("/proc/kallsyms")?).into_owned();
        let symbols: HashMap<String, u64> = kallsyms
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let addr = u64::from_str_radix(words.next()?, 16).ok()?;
                Some((words.nth(1)?.to_owned(), addr))
            })
            .collect();
        let mut version =
            release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        let mut next = || version.next().unwrap_or(0u32);
        let kernel_version = next() << 16 | next() << 8 | next().min(255);
        // libbpf finds the wrapper by putting a probe on it.
        let probes = fs::exists("/sys/bus/event_source/devices/kprobe").unwrap_or(false);
        let syscall_wrapper = probes && symbols.contains_key("__x64_sys_bpf");
        let features = HostFeatures { kernel_version, syscall_wrapper, ..HostFeatures::default() };
        Ok(Host { btf, kconfig, symbols, features })
    }

    /// The kernel's types.
    pub(crate) fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Opens an object; the error as text.
    pub(crate) fn open(&self, name: &str, bytes: &[u8]) -> Result<Object, String> {
        self.with_options(|options| Object::open(name, bytes, options))
    }

    /// Links objects; the error as text.
    #[cfg(feature = "oracle")]
    pub(crate) fn link(&self, name: &str, inputs: &[(&str, &[u8])]) -> Result<Object, String> {
        self.with_options(|options| skep_elf::link(name, inputs, options))
    }

    fn with_options(
        &self,
        run: impl FnOnce(&OpenOptions<'_>) -> Result<Object, ElfError>,
    ) -> Result<Object, String> {
        let lookup = |name: &str| self.symbols.get(name).copied();
        let options = OpenOptions {
            target_btf: Some(&self.btf),
            kconfig: Some(&self.kconfig),
            ksym_addr: Some(&lookup),
            host: self.features,
            ..OpenOptions::default()
        };
        run(&options).map_err(|e| e.to_string())
    }
}
