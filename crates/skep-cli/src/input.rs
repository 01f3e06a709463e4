//! [`Input`]: what the user names on the command line, opened: an object file or a classic filter.

use crate::args::TargetArgs;
use crate::failure::{Chain, Failure, FailureKind};
use skep_abi::insn::cbpf::{self, SockFilter};
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

/// Opens an object. Most need no target BTF, and the kernel's is large: it is read only when the object does.
fn open_object(path: &Path, bytes: &[u8], target: &TargetArgs) -> Result<Object, Failure> {
    let name = object_name(path);
    let open_for = |btf: &Path| {
        let btf = read_btf(btf)?;
        let options = OpenOptions { target_btf: Some(&btf), ..OpenOptions::default() };
        Object::open(&name, bytes, &options)
            .map_err(|err| Failure::file(FailureKind::Load, path, &err))
    };
    if let Some(btf) = &target.btf {
        return open_for(btf);
    }
    match Object::open(&name, bytes, &OpenOptions::default()) {
        Ok(object) => Ok(object),
        Err(_) if Path::new(KERNEL_BTF).exists() => open_for(Path::new(KERNEL_BTF)),
        Err(err) => Err(Failure::new(
            FailureKind::Load,
            format!(
                "{}: {err} (there is no {KERNEL_BTF}: name the types of the target with --btf)",
                path.display()
            ),
        )),
    }
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
