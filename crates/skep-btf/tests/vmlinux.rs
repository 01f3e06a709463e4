//! The running kernel's BTF: parsed, indexed, measured against facts that hold on every kernel.
#![expect(clippy::print_stdout, reason = "a skipped test says why")]

use skep_btf::{Btf, Kind, TypeId, TypeView};

/// The kernel's BTF, or `None` with a printed reason.
fn vmlinux() -> Option<Vec<u8>> {
    match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(data) => Some(data),
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("skipped: /sys/kernel/btf/vmlinux: {error}");
            None
        }
        Err(error) => panic!("/sys/kernel/btf/vmlinux: {error}"),
    }
}

#[test]
fn parses_and_finds() {
    let Some(data) = vmlinux() else { return };
    let btf = Btf::parse(&data).unwrap();
    assert!(btf.next_id() > 1000);
    let task = btf.find_by_name_kind("task_struct", Kind::Struct).unwrap();
    let fields = task.as_composite().unwrap();
    assert_eq!(btf.size_of(task.id()).unwrap(), u64::from(fields.size));
    let pid = fields.members.iter().find(|m| m.name == "pid").unwrap();
    let int = btf.skip_typedefs_and_modifiers(pid.ty).unwrap().as_int().unwrap();
    assert!(int.is_signed() && int.size == 4);
    assert_eq!(btf.ids_by_essential_name("task_struct").next(), Some(task.id()));
    assert!(btf.find_by_name("no such type").is_none());
    assert!(btf.type_by_id(TypeId(btf.next_id())).is_none());
    assert!(matches!(btf.type_by_id(TypeId::VOID).unwrap().view(), TypeView::Void));
}

#[test]
fn bytes_survive() {
    let Some(data) = vmlinux() else { return };
    let btf = Btf::parse(&data).unwrap();
    assert!(btf.to_bytes(btf.byte_order()) == data);
}
