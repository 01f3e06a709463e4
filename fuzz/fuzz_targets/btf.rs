//! BTF from any bytes: parsing, checking, printing, decoding values, relocating and linking never panic, and what was
//! parsed is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep_abi::insn::RawInsn;
use skep_btf::build::BtfBuilder;
use skep_btf::core::{Relocator, patch};
use skep_btf::ext::{BtfExt, CoreRelo, CoreReloKind};
use skep_btf::fields::{Scope, fields};
use skep_btf::value::decode;
use skep_btf::{Btf, ByteOrder, dump, validate};

fuzz_target!(|data: &[u8]| {
    let loaded = validate::load(data, None);
    let btf = match Btf::parse(data) {
        Ok(btf) => btf,
        Err(error) => {
            assert!(loaded.is_err());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    read(&btf, data);
    relocate(&btf);
    link(&btf);
});

fn read(btf: &Btf, data: &[u8]) {
    let mut raw = String::new();
    dump::raw(btf, &mut raw).unwrap();
    let again = Btf::parse(&btf.to_bytes(ByteOrder::Big)).unwrap();
    let mut raw_again = String::new();
    dump::raw(&again, &mut raw_again).unwrap();
    assert_eq!(raw, raw_again);
    let _ = dump::c(btf);
    let _ = BtfExt::parse(data, btf);
    for ty in btf.types().take(64) {
        assert!(btf.ids_by_name(ty.name()).any(|id| id == ty.id()) || ty.is_anon());
        let _ = btf.size_of(ty.id());
        if let Ok(value) = decode(btf, ty.id(), data) {
            let _ = format!("{value}{value:#}");
        }
        for scope in [Scope::MapValue, Scope::Allocated] {
            let _ = fields(btf, ty.id(), 4096, scope);
        }
    }
}

fn relocate(btf: &Btf) {
    let mut relocator = Relocator::new(btf, btf, &[]);
    for ty in btf.types().take(16) {
        for kind in (0..13).filter_map(CoreReloKind::from_raw) {
            for access_str_off in [1, 3, 9] {
                let relo = CoreRelo { insn_off: 0, type_id: ty.id(), access_str_off, kind };
                if let Ok(result) = relocator.resolve(&relo) {
                    for code in [0x18, 0x61, 0xb7, 0x85] {
                        let insn = RawInsn { code, ..RawInsn::default() };
                        let _ = patch(&mut [insn, RawInsn::default()], 0, &result);
                    }
                }
            }
        }
    }
}

fn link(btf: &Btf) {
    let mut builder = BtfBuilder::new();
    builder.append(btf).unwrap();
    builder.append(btf).unwrap();
    let before = builder.next_id();
    let (builder, _) = builder.dedup().unwrap();
    assert!(builder.next_id() <= before);
    let once = builder.build().unwrap();
    // What was right alone is right when linked.
    if validate::types(btf).is_ok() {
        let linked = validate::types(&once);
        assert!(linked.is_ok(), "{linked:?}");
    }
}
