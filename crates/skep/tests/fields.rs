//! Maps with members that only the kernel may touch are refused, not treated as plain memory.

use skep::{LoadErrorKind, LoadOptions, System};
use skep_abi::Errno;
use skep_abi::uapi::BPF_MAP_TYPE_ARRAY;
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::{Int, TypeId};
use skep_elf::{Endian, MapDef, MapInit, MapKind, Object, Pinning};
use std::sync::Arc;

fn map(value: TypeId, value_size: u32) -> MapDef {
    MapDef {
        name: "locks".into(),
        symbol: "locks".into(),
        kind: MapKind::User,
        map_type: BPF_MAP_TYPE_ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags: 0,
        numa_node: 0,
        map_extra: 0,
        btf_key_type_id: 0,
        btf_value_type_id: value.0,
        pinning: Pinning::None,
        inner: None,
        init: MapInit::None,
        autocreate: true,
        struct_ops: None,
    }
}

/// An object with one map, whose value is an `int` and then a struct of that name and size.
fn object(special: &str, size: u32) -> Object {
    let mut b = BtfBuilder::new();
    let int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };
    let int = b.add_int("int", int);
    let special = b.add_struct(special, size, &[]);
    let value = b.add_struct(
        "value",
        8 + size,
        &[
            NewMember { name: "count", ty: int, bit_offset: 0, bitfield_bits: 0 },
            NewMember { name: "it", ty: special, bit_offset: 64, bitfield_bits: 0 },
        ],
    );
    Object {
        name: "test".into(),
        license: "GPL".into(),
        kernel_version: 0,
        endian: Endian::Little,
        maps: vec![map(value, 8 + size)],
        programs: Vec::new(),
        sections: Vec::new(),
        externs: Vec::new(),
        btf: Some(Arc::new(b.build().expect("valid types"))),
        modules: Vec::new(),
    }
}

#[test]
fn special_members_are_refused_by_name() {
    for (name, size) in [("bpf_spin_lock", 4), ("bpf_timer", 16), ("bpf_wq", 16)] {
        let err = System::new().load_object(&object(name, size), &LoadOptions::default());
        let err = err.unwrap_err();
        assert!(matches!(err.kind, LoadErrorKind::MapSpecial { offset: 8, .. }), "{err}");
        assert_eq!(err.errno(), Errno::EOPNOTSUPP);
        let text = format!("map 'locks': its value has a {name} at offset 8: unsupported");
        assert_eq!(err.to_string(), text);
    }
}

#[test]
fn a_broken_special_member_is_the_kernels_error() {
    let mut object = object("bpf_spin_lock", 4);
    object.maps[0].value_size = 8;
    let err = System::new().load_object(&object, &LoadOptions::default()).unwrap_err();
    assert!(matches!(err.kind, LoadErrorKind::MapFields(_)), "{err}");
    assert_eq!(err.errno(), Errno::EFAULT);
}

#[test]
fn another_struct_is_plain_memory() {
    let object = object("spin_lock", 4);
    assert!(System::new().load_object(&object, &LoadOptions::default()).is_ok());
}
