//! The C dump of the running kernel's types compiles for BPF, and every struct has its size and offsets.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says why it is skipped or fails"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use skep_btf::{Btf, Kind, dump};

const CLANG: &str = "clang-19";

/// The kernel's BTF, if that and a compiler are there.
fn vmlinux() -> Option<Btf> {
    let must = std::env::var_os("CI").is_some();
    if let Err(error) = Command::new(CLANG).arg("--version").output() {
        assert!(!must, "{CLANG}: {error}");
        println!("skipped: {CLANG}: {error}");
        return None;
    }
    match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(data) => Some(Btf::parse(&data).unwrap()),
        Err(error) => {
            assert!(!must, "/sys/kernel/btf/vmlinux: {error}");
            println!("skipped: /sys/kernel/btf/vmlinux: {error}");
            None
        }
    }
}

/// Compiles C for BPF; panics with the compiler's words if it fails.
fn compile(dir: &Path, name: &str) {
    let out = Command::new(CLANG)
        .args(["-target", "bpf", "-O1", "-Wall", "-Werror", "-Wno-unused", "-ferror-limit=40"])
        // The kernel itself has members without a type or with a misplaced one.
        .args(["-Wno-visibility", "-Wno-missing-declarations", "-c", name, "-o", "out.o"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[test]
fn every_struct_keeps_its_layout() {
    let Some(btf) = vmlinux() else { return };
    let dir = std::env::temp_dir().join(format!("skep-dump-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("vmlinux.h"), dump::vmlinux_h(&btf).unwrap()).unwrap();

    let mut tags: HashMap<&str, u32> = HashMap::new();
    for ty in btf.types().filter(|t| t.kind().is_composite() || t.kind().is_enum()) {
        *tags.entry(ty.name()).or_default() += 1;
    }
    let mut text = "#include \"vmlinux.h\"\n".to_owned();
    let mut asserts = 0;
    for ty in btf.types().filter(|t| tags.get(t.name()) == Some(&1) && !t.is_anon()) {
        let Some(fields) = ty.as_composite() else { continue };
        let word = if ty.kind() == Kind::Struct { "struct" } else { "union" };
        let name = ty.name();
        // `va_list` is one pointer for BPF and more on other machines.
        let has_va_list = fields
            .members
            .iter()
            .any(|m| btf.type_by_id(m.ty).is_some_and(|t| t.name() == "va_list"));
        if has_va_list {
            continue;
        }
        writeln!(text, "_Static_assert(sizeof({word} {name}) == {}, \"size\");", fields.size)
            .unwrap();
        asserts += 1;
        for m in fields.members.iter().filter(|m| m.bitfield_bits == 0 && is_identifier(m.name)) {
            writeln!(
                text,
                "_Static_assert(__builtin_offsetof({word} {name}, {}) == {}, \"offset\");",
                m.name,
                m.bit_offset / 8
            )
            .unwrap();
            asserts += 1;
        }
    }
    std::fs::write(dir.join("check.c"), text).unwrap();
    compile(&dir, "check.c");
    assert!(asserts > 10_000, "{asserts} assertions");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The raw dump is bpftool's, byte for byte.
#[test]
fn raw_equals_bpftool() {
    let Some(btf) = vmlinux() else { return };
    let run =
        Command::new("bpftool").args(["btf", "dump", "file", "/sys/kernel/btf/vmlinux"]).output();
    let Ok(theirs) = run else {
        println!("skipped: no bpftool");
        return;
    };
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let mut ours = String::new();
    dump::raw(&btf, &mut ours).unwrap();
    for (a, b) in ours.lines().zip(theirs.lines()) {
        assert_eq!(a, b);
    }
    assert_eq!(ours.len(), theirs.len());
}
