//! Objects to compare: the kernel's BPF self-tests, built here, and those in Debian packages.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use skep_btf::{Btf, dump};

use crate::say;

/// How many compilers run at once.
const JOBS: usize = 2;
const CLANG: &str = "clang-19";
/// Debian packages that hold prebuilt objects.
#[cfg(feature = "oracle")]
const PACKAGES: &[&str] = &[
    "udev-hid-bpf",
    "ir-keytable",
    "suricata",
    "opensnitch",
    "opensnitch-ebpf-modules",
    "xdp-tools",
    "libxdp1",
];

/// What building gave.
pub(crate) struct Built {
    /// The objects, by name.
    pub(crate) objects: Vec<PathBuf>,
    /// Sources that do not compile, with the first error.
    pub(crate) failed: Vec<(String, String)>,
}

/// Builds all programs of the self-tests; keeps what is there.
pub(crate) fn selftests(source: &Path, work: &Path) -> Result<Built, Box<dyn Error>> {
    let include = work.join("include");
    let out = work.join("selftests");
    fs::create_dir_all(include.join("bpf"))?;
    fs::create_dir_all(&out)?;
    headers(source, &include)?;
    let tests = source.join("tools/testing/selftests/bpf");
    let mut sources: Vec<PathBuf> = fs::read_dir(tests.join("progs"))?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "c"))
        .collect();
    sources.sort();
    say(&format!("building {} objects in {}", sources.len(), out.display()));
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some(file) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = compile(file, source, &include, &out)
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push((stem(file), error));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort();
    Ok(Built { objects: objects_in(&out)?, failed })
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or(String::new(), |s| s.to_string_lossy().into_owned())
}

/// All `.o` files below a directory.
pub(crate) fn objects_in(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut out = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_symlink() {
                continue;
            } else if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "o") {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// `vmlinux.h` of the running kernel, libbpf's headers and the generated helper definitions.
fn headers(source: &Path, include: &Path) -> Result<(), Box<dyn Error>> {
    let vmlinux = include.join("vmlinux.h");
    if !vmlinux.exists() {
        let btf = Btf::parse(&fs::read("/sys/kernel/btf/vmlinux")?)?;
        // The guard tells libbpf's headers which names to use; the pragma makes accesses relocatable.
        let text = format!(
            "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\
             #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n\
             {}\n#pragma clang attribute pop\n#endif\n",
            dump::c(&btf)?
        );
        fs::write(&vmlinux, text)?;
    }
    for entry in fs::read_dir(source.join("tools/lib/bpf"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name()
            && path.extension().is_some_and(|e| e == "h")
        {
            fs::copy(&path, include.join("bpf").join(name))?;
        }
    }
    let definitions = include.join("bpf/bpf_helper_defs.h");
    if !definitions.exists() {
        let script = source.join("scripts/bpf_doc.py");
        if !script.exists() {
            return Err(format!(
                "{} is missing: extract it from the kernel's archive",
                script.display()
            )
            .into());
        }
        let script = script.to_string_lossy().into_owned();
        let uapi = source.join("tools/include/uapi/linux/bpf.h").to_string_lossy().into_owned();
        fs::write(&definitions, output("python3", &[&script, "--header", "--file", &uapi])?)?;
    }
    Ok(())
}

fn output(program: &str, args: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output();
    let out = out.map_err(|e| format!("{program}: {e}"))?;
    if !out.status.success() {
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(format!("{program} {}: {error}", args.join(" ")).into());
    }
    Ok(out.stdout)
}

/// Compiles one self-test as its Makefile does.
fn compile(file: &Path, source: &Path, include: &Path, out: &Path) -> Result<(), String> {
    let object = out.join(stem(file)).with_extension("bpf.o");
    if object.exists() {
        return Ok(());
    }
    let tests = source.join("tools/testing/selftests/bpf");
    let partial = object.with_extension("partial");
    let mut command = Command::new("nice");
    command
        .args([CLANG, "-g", "-w", "-O2", "-target", "bpf", "-mcpu=v3", "-mlittle-endian"])
        .args(["-D__TARGET_ARCH_x86", "-DENABLE_ATOMICS_TESTS", "-std=gnu11"])
        .args(["-fno-strict-aliasing", "-Wno-compare-distinct-pointer-types"])
        .arg("-I")
        .arg(include)
        .arg("-I")
        .arg(&tests)
        .arg("-I")
        .arg(tests.join("progs"))
        .arg("-I")
        .arg(source.join("tools/include/uapi"))
        .args(["-idirafter", "/usr/include/x86_64-linux-gnu", "-idirafter", "/usr/include"])
        .arg("-c")
        .arg(file)
        .arg("-o")
        .arg(&partial)
        .stdin(Stdio::null());
    let result = command.output().map_err(|e| format!("{CLANG}: {e}"))?;
    if !result.status.success() {
        let text = String::from_utf8_lossy(&result.stderr).into_owned();
        let line = text.lines().find(|l| l.contains("error:")).unwrap_or(&text).to_owned();
        return Err(line);
    }
    fs::rename(&partial, &object).map_err(|e| e.to_string())
}

/// Downloads the packages and finds the objects in them; also the packages that this Debian does not have.
#[cfg(feature = "oracle")]
pub(super) fn packages(work: &Path) -> Result<Built, Box<dyn Error>> {
    let dir = work.join("debs");
    fs::create_dir_all(&dir)?;
    let mut failed = Vec::new();
    for package in PACKAGES {
        let root = dir.join(package);
        if root.exists() {
            continue;
        }
        let done = Command::new("apt-get")
            .args(["--quiet", "--quiet", "download", package])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .output()?;
        let prefix = format!("{package}_");
        let file = fs::read_dir(&dir)?.filter_map(|e| Some(e.ok()?.path())).find(|p| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned());
            name.is_some_and(|n| n.starts_with(&prefix) && n.ends_with(".deb"))
        });
        match file {
            Some(file) if done.status.success() => {
                let status = Command::new("dpkg-deb").arg("-x").arg(&file).arg(&root).status()?;
                if !status.success() {
                    failed.push(((*package).to_owned(), format!("dpkg-deb: {status}")));
                }
            }
            _ => failed.push(((*package).to_owned(), "not in this Debian".to_owned())),
        }
    }
    Ok(Built { objects: objects_in(&dir)?, failed })
}
