//! `.BTF.ext`: records larger than known are read, broken ones are refused with the place.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use skep_btf::build::BtfBuilder;
use skep_btf::ext::{BtfExt, CoreReloKind};
use skep_btf::{Btf, TypeId};

fn strings() -> (Btf, u32) {
    let mut b = BtfBuilder::new();
    let off = b.add_str("xdp");
    (b.build().unwrap(), off)
}

/// A section with one part each of func_info, line_info and core_relo, given as words.
fn section(func: &[u32], line: &[u32], core: &[u32]) -> Vec<u8> {
    let len = |part: &[u32]| part.len() as u32 * 4;
    let mut out = 0xeb9fu16.to_le_bytes().to_vec();
    out.extend([1, 0]);
    let header = [32, 0, len(func), len(func), len(line), len(func) + len(line), len(core)];
    for word in header.iter().chain(func).chain(line).chain(core) {
        out.extend(word.to_le_bytes());
    }
    out
}

#[test]
fn larger_records_are_read() {
    let (btf, xdp) = strings();
    let data = section(
        &[12, xdp, 2, 0, 7, 99, 64, 8, 99],
        &[16, xdp, 1, 8, xdp, xdp, 5 << 10 | 3],
        &[16, xdp, 1, 16, 4, xdp, 2],
    );
    let ext = BtfExt::parse(&data, &btf).unwrap();
    let funcs = ext.func_info_of("xdp");
    assert_eq!(funcs.len(), 2);
    assert_eq!((funcs[1].insn_off, funcs[1].type_id), (64, TypeId(8)));
    let line = ext.line_info_of("xdp")[0];
    assert_eq!((line.line(), line.column()), (5, 3));
    assert_eq!(ext.core_relo_of("xdp")[0].kind, CoreReloKind::FieldExists);
    assert!(ext.core_relo_of("tc").is_empty());
    for len in 0..data.len() {
        assert!(BtfExt::parse(&data[..len], &btf).is_err(), "{len} of {} bytes", data.len());
    }
}

#[test]
fn errors_name_the_part() {
    let (btf, xdp) = strings();
    let error = |func: &[u32], core: &[u32]| {
        BtfExt::parse(&section(func, &[], core), &btf).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[4, xdp, 1, 0, 1], &[]),
        "BTF: func_info record size 4 is not a multiple of 4 that is at least 8"
    );
    assert_eq!(
        error(&[8, 999, 1, 0, 1], &[]),
        "BTF: func_info section refers to a string at offset 999, which does not exist"
    );
    assert_eq!(
        error(&[8, xdp, 0], &[]),
        "BTF: func_info section has an entry with no records at offset 4"
    );
    assert_eq!(
        error(&[8, xdp, u32::MAX, 0, 1], &[]),
        "BTF: func_info section ends in the middle of a record at offset 20"
    );
    assert_eq!(
        error(&[], &[16, xdp, 1, 0, 1, xdp, 13]),
        "BTF: core_relo section has a relocation of unknown kind 13"
    );
}
