//! Objects from any bytes: opening never panics, gives the same result twice, and what it gives is consistent. Linking
//! with itself and with a known object never panics.
//!
//! Seeds: the objects in `examples` and `crates/skep-elf/tests/fixtures`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use skep_btf::Btf;
use skep_elf::{EndianPolicy, MapInit, MapSlot, Object, OpenOptions, link};

const KNOWN: &[u8] = include_bytes!("../../crates/skep-elf/tests/fixtures/link_b.bpf.o");
const TARGET: &[u8] = include_bytes!("../../crates/skep-elf/tests/fixtures/target.bpf.o");

fn target() -> &'static Btf {
    static BTF: OnceLock<Object> = OnceLock::new();
    let object = BTF.get_or_init(|| Object::open("target", TARGET, &OpenOptions::default()).unwrap());
    object.btf.as_deref().unwrap()
}

fuzz_target!(|data: &[u8]| {
    let symbols = |name: &str| name.starts_with('b').then_some(0x1234);
    let options = OpenOptions {
        target_btf: Some(target()),
        kconfig: Some("CONFIG_YES=y\nCONFIG_MODULE=m\nCONFIG_TEXT=\"text\"\nCONFIG_NUMBER=7\n"),
        ksym_addr: Some(&symbols),
        endian: EndianPolicy::Convert,
        ..OpenOptions::default()
    };
    match Object::open("fuzz", data, &options) {
        Ok(object) => {
            consistent(&object);
            let again = Object::open("fuzz", data, &options).unwrap();
            assert_eq!(object.maps, again.maps);
            assert_eq!(object.programs, again.programs);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(linked) = link("linked", &[("fuzz", data), ("known", KNOWN)], &options) {
        consistent(&linked);
    }
    let _ = link("linked", &[("fuzz", data), ("again", data)], &options);
});

fn consistent(object: &Object) {
    let count = |btf: &Btf| btf.next_id();
    for program in &object.programs {
        let len = program.insns.len() as u32;
        let total: u32 = program.subprogs.iter().map(|s| s.len).sum();
        assert_eq!(total, len);
        assert!(program.unresolved.is_some() || len > 0);
        assert!(program.func_info.iter().all(|f| f.insn_off < len));
        assert!(program.line_info.iter().all(|l| l.insn_off < len));
    }
    for map in &object.maps {
        assert!(map.name.len() <= 15);
        if let Some(btf) = &object.btf {
            assert!(map.btf_key_type_id < count(btf) && map.btf_value_type_id < count(btf));
        }
        if let MapInit::Slots(slots) = &map.init {
            for (_, slot) in slots {
                match slot {
                    MapSlot::Map(index) => assert!(*index < object.maps.len()),
                    MapSlot::Program(index) => assert!(*index < object.programs.len()),
                }
            }
        }
    }
}
