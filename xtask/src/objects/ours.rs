//! Facts as `skep-elf` gives them, opened for the running kernel.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use skep_btf::Btf;
use skep_elf::{ElfError, HostFeatures, MapDef, MapInit, MapKind, MapSlot, Object, OpenOptions};

use super::facts::{Code, Facts, MapFacts, ProgFacts};

/// The running kernel, as far as objects depend on it.
pub(super) struct Host {
    btf: Btf,
    kconfig: String,
    symbols: HashMap<String, u64>,
    features: HostFeatures,
}

impl Host {
    /// Reads types, configuration and symbols.
    pub(super) fn read() -> Result<Host, String> {
        let read = |path: &str| fs::read(path).map_err(|e| format!("{path}: {e}"));
        let btf = Btf::parse(&read("/sys/kernel/btf/vmlinux")?).map_err(|e| e.to_string())?;
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

    /// Opens an object; the error as text.
    pub(super) fn open(&self, name: &str, bytes: &[u8]) -> Result<Object, String> {
        self.with_options(|options| Object::open(name, bytes, options))
    }

    /// Links objects; the error as text.
    pub(super) fn link(&self, name: &str, inputs: &[(&str, &[u8])]) -> Result<Object, String> {
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

/// The facts of an object.
pub(super) fn facts(object: &Object) -> Facts {
    Facts {
        license: object.license.clone(),
        types: None,
        programs: object
            .programs
            .iter()
            .map(|p| ProgFacts {
                name: p.name.clone(),
                section: p.section.strip_prefix('?').unwrap_or(&p.section).to_owned(),
                prog_type: p.prog_type,
                attach_type: p.expected_attach_type,
                autoload: p.autoload,
                code: p.unresolved.is_none().then(|| Code {
                    insns: p.insns.clone(),
                    func_info: p.func_info.iter().map(|f| [f.insn_off, f.type_id]).collect(),
                    line_info: p
                        .line_info
                        .iter()
                        .map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col])
                        .collect(),
                }),
            })
            .collect(),
        maps: object.maps.iter().map(map_facts).collect(),
    }
}

fn numbers(map: &MapDef) -> [u32; 8] {
    [
        map.map_type,
        map.key_size,
        map.value_size,
        map.max_entries,
        map.flags,
        map.numa_node,
        map.btf_key_type_id,
        map.btf_value_type_id,
    ]
}

fn map_facts(map: &MapDef) -> MapFacts {
    // libbpf shows the section's name for custom .data and .rodata sections.
    let custom = matches!(map.kind, MapKind::Data | MapKind::Rodata)
        && !matches!(map.symbol.as_str(), ".data" | ".rodata");
    let by_source = custom || matches!(map.kind, MapKind::User | MapKind::StructOps);
    let contents = match &map.init {
        MapInit::Bytes(bytes) => Some(bytes.clone()),
        MapInit::None if map.kind == MapKind::Bss => Some(vec![0; map.value_size as usize]),
        MapInit::None | MapInit::Slots(_) => None,
    };
    let inner_slots = match &map.init {
        MapInit::Slots(slots) => slots
            .iter()
            .filter_map(|(key, slot)| match slot {
                MapSlot::Map(index) => Some((*key, *index)),
                MapSlot::Program(_) => None,
            })
            .collect(),
        MapInit::None | MapInit::Bytes(_) => Vec::new(),
    };
    MapFacts {
        name: if by_source { map.symbol.clone() } else { map.name.clone() },
        numbers: numbers(map),
        extra: map.map_extra,
        autocreate: map.autocreate,
        pinned: map.pinning != skep_elf::Pinning::None,
        inner: map.inner.as_deref().map(numbers),
        contents,
        inner_slots,
    }
}
