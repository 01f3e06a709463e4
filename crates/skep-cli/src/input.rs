//! [`Input`]: what the user names on the command line, opened: an object file or a classic filter.

use crate::args::TargetArgs;
use crate::failure::{Chain, Failure, FailureKind};
use skep_abi::insn::cbpf::{self, SockFilter};
use skep_abi::insn::{CallTarget, Imm64, Insn, decode};
use skep_btf::Btf;
use skep_elf::{Object, OpenOptions, ProgramDef};
use std::path::Path;

/// Where the running kernel has its types.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Something that holds programs.
#[derive(Debug)]
pub(crate) enum Input {
    /// An object file.
    Object(Object),
    /// A classic filter, for packets that begin with an Ethernet header.
    Classic(Vec<SockFilter>),
}

impl Input {
    /// Opens a file as what its content says it is.
    pub(crate) fn open(path: &Path, target: &TargetArgs) -> Result<Self, Failure> {
        let bytes =
            std::fs::read(path).map_err(|err| Failure::file(FailureKind::File, path, &err))?;
        if bytes.starts_with(b"\x7fELF") {
            return open_object(path, &bytes, target).map(Self::Object);
        }
        let classic = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_whitespace();
        if !bytes.is_empty() && bytes.iter().all(classic) {
            let filter = cbpf::parse(&String::from_utf8_lossy(&bytes))
                .map_err(|err| Failure::file(FailureKind::Load, path, &err))?;
            return Ok(Self::Classic(filter));
        }
        Err(Failure::new(
            FailureKind::Load,
            format!(
                "{}: neither an ELF object nor a classic filter as printed by `tcpdump -ddd`",
                path.display()
            ),
        ))
    }
}

impl Input {
    /// Whether a program refers to types of the kernel: by what it attaches to, its variables, or its functions.
    pub(crate) fn uses_kernel_types(&self) -> bool {
        let Input::Object(object) = self else { return false };
        let uses = |program: &ProgramDef| {
            let insns = decode(&program.insns).unwrap_or_default();
            program.attach_btf_id != 0
                || insns.iter().any(|insn| {
                    matches!(
                        insn,
                        Insn::Call(CallTarget::Kfunc { .. })
                            | Insn::LdImm64 { imm: Imm64::BtfId(..), .. }
                    )
                })
        };
        object.programs.iter().any(uses)
    }
}

/// The kernel's types: those that are named, or the running kernel's, if it has them.
pub(crate) fn kernel_btf(target: &TargetArgs) -> Result<Option<Btf>, Failure> {
    match &target.btf {
        Some(path) => read_btf(path).map(Some),
        None if Path::new(KERNEL_BTF).exists() => read_btf(Path::new(KERNEL_BTF)).map(Some),
        None => Ok(None),
    }
}

/// Opens an object. Most need neither target BTF nor a configuration, and the kernel's BTF is large: the running
/// kernel's are read only when the object does.
fn open_object(path: &Path, bytes: &[u8], target: &TargetArgs) -> Result<Object, Failure> {
    let name = object_name(path);
    let open = |btf: Option<&Btf>, kconfig: Option<&str>| {
        let options = OpenOptions { target_btf: btf, kconfig, ..OpenOptions::default() };
        Object::open(&name, bytes, &options)
    };
    let load = |err| Failure::file(FailureKind::Load, path, &err);
    let named_btf = target.btf.as_deref().map(read_btf).transpose()?;
    let named_kconfig = target.kconfig.as_deref().map(read_text).transpose()?;
    let first = match open(named_btf.as_ref(), named_kconfig.as_deref()) {
        Ok(object) => return Ok(object),
        Err(err) => err,
    };
    let kernel_btf = Path::new(KERNEL_BTF);
    let btf = match named_btf {
        Some(btf) => Some(btf),
        None if kernel_btf.exists() => Some(read_btf(kernel_btf)?),
        None => None,
    };
    let kconfig = named_kconfig.or_else(running_kconfig);
    let hint = match (&btf, &kconfig) {
        (None, _) => {
            format!(" (there is no {KERNEL_BTF}: name the types of the target with --btf)")
        }
        (Some(_), None) if first.section() == Some(".kconfig") => {
            " (no configuration of the running kernel below /boot: name one with --kconfig)".into()
        }
        (Some(_), _) => String::new(),
    };
    open(btf.as_ref(), kconfig.as_deref()).map_err(|err| match hint.as_str() {
        "" => load(err),
        hint => Failure::new(FailureKind::Load, format!("{}: {err}{hint}", path.display())),
    })
}

/// The running kernel's configuration, where the distribution keeps it as text.
fn running_kconfig() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    std::fs::read_to_string(Path::new("/boot").join(format!("config-{}", release.trim()))).ok()
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|err| Failure::file(FailureKind::File, path, &err))
}

/// Types from a file as the kernel shows them, without an ELF file around.
fn read_btf(path: &Path) -> Result<Btf, Failure> {
    let bytes = std::fs::read(path).map_err(|err| Failure::file(FailureKind::File, path, &err))?;
    Btf::parse(&bytes).map_err(|err| Failure::file(FailureKind::File, path, &err))
}

/// The file name up to its first dot, as libbpf names an object.
pub(crate) fn object_name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().to_owned()
}

/// The program that was asked for, or the only one.
pub(crate) fn choose<'a>(
    object: &'a Object,
    path: &Path,
    wanted: Option<&str>,
) -> Result<&'a ProgramDef, Failure> {
    let fail =
        |text: String| Failure::new(FailureKind::Usage, format!("{}: {text}", path.display()));
    let list = || {
        let each = object.programs.iter().map(|p| format!("  {} ({})", p.name, p.section));
        each.collect::<Vec<_>>().join("\n")
    };
    match (wanted, object.programs.as_slice()) {
        (_, []) => Err(Failure::new(
            FailureKind::Load,
            format!("{}: the object holds no program", path.display()),
        )),
        (Some(name), _) => object
            .program(name)
            .ok_or_else(|| fail(format!("there is no program {name:?}; there are:\n{}", list()))),
        (None, [only]) => Ok(only),
        (None, _) => Err(fail(format!("holds several programs, choose with --prog:\n{}", list()))),
    }
}

/// The cause of a failure as text, for results that go on.
pub(crate) fn cause(err: &(dyn std::error::Error + 'static)) -> String {
    Chain(err).to_string()
}
