//! What is refused, and how that is said: each error names its place.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use skep_elf::{ElfError, Object, OpenOptions};

const LEGACY: &[u8] = include_bytes!("fixtures/legacy.bpf.o");
const FEATURES: &[u8] = include_bytes!("fixtures/features.bpf.o");

fn open(bytes: &[u8]) -> Result<Object, ElfError> {
    Object::open("test", bytes, &OpenOptions::default())
}

/// Offset in the file of a section's header.
fn header_of(bytes: &[u8], name: &str) -> usize {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()) as usize;
    let quad = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (start, count, strings) = (word(0x28), half(0x3c), half(0x3e));
    let names = word(start + strings * 64 + 0x18);
    (0..count)
        .map(|i| start + i * 64)
        .find(|&h| bytes[names + quad(h)..].starts_with(format!("{name}\0").as_bytes()))
        .unwrap_or_else(|| panic!("no section {name}"))
}

/// Offset in the file of a section's data.
fn data_of(bytes: &[u8], name: &str) -> usize {
    let at = header_of(bytes, name) + 0x18;
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    for bytes in [LEGACY, FEATURES] {
        for len in (0..bytes.len()).step_by(7) {
            let error = open(&bytes[..len]).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn headers_of_other_files_are_refused() {
    assert!(open(b"#!/bin/sh\n").unwrap_err().message().contains("not an ELF file"));
    let with = |at: usize, value: u8| {
        let mut bytes = LEGACY.to_vec();
        bytes[at] = value;
        open(&bytes).unwrap_err().to_string()
    };
    assert!(with(4, 1).contains("64-bit"));
    assert!(with(5, 3).contains("byte order"));
    assert!(with(0x10, 3).contains("ET_REL"));
    assert!(with(0x12, 62).contains("EM_BPF"));
}

#[test]
fn a_section_beyond_the_file_is_named() {
    let mut bytes = LEGACY.to_vec();
    let size = header_of(&bytes, "maps") + 0x20;
    bytes[size..size + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = open(&bytes).unwrap_err();
    assert_eq!(error.section(), Some("maps"), "{error}");
}

#[test]
fn a_relocation_at_no_instruction_is_named() {
    let mut bytes = LEGACY.to_vec();
    let rel = data_of(&bytes, ".relsocket");
    bytes[rel] = 3;
    let error = open(&bytes).unwrap_err();
    assert_eq!((error.section(), error.offset()), (Some("socket"), Some(3)), "{error}");
    let mut bytes = LEGACY.to_vec();
    bytes[rel + 12..rel + 16].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    let error = open(&bytes).unwrap_err();
    assert!(error.message().contains("symbol 4294967280"), "{error}");
}

#[test]
fn a_relocation_of_the_wrong_instruction_is_named() {
    let mut bytes = LEGACY.to_vec();
    let rel = data_of(&bytes, ".relsocket");
    bytes[rel..rel + 8].copy_from_slice(&0u64.to_le_bytes());
    let error = open(&bytes).unwrap_err();
    assert_eq!((error.program(), error.symbol()), (Some("filter"), Some("two")), "{error}");
    assert!(error.message().contains("0x18"), "{error}");
}

#[test]
fn corrupt_types_are_refused() {
    let mut bytes = LEGACY.to_vec();
    let btf = data_of(&bytes, ".BTF");
    bytes[btf] ^= 0xff;
    let error = open(&bytes).unwrap_err();
    assert_eq!(error.section(), Some(".BTF"), "{error}");
    // A type that refers to itself, and one that refers to nowhere.
    for ty in [1u32, 0x00ff_ffff] {
        let mut bytes = LEGACY.to_vec();
        let first = btf + 24;
        bytes[first + 8..first + 12].copy_from_slice(&ty.to_le_bytes());
        // Refused or not: no panic, and an error says where.
        if let Err(error) = open(&bytes) {
            assert!(error.section().is_some(), "{error}");
        }
    }
}

#[test]
fn a_legacy_map_with_unknown_fields_is_named() {
    let mut bytes = LEGACY.to_vec();
    let size = header_of(&bytes, "maps") + 0x20;
    bytes[size..size + 8].copy_from_slice(&41u64.to_le_bytes());
    let error = open(&bytes).unwrap_err();
    assert_eq!(error.section(), Some("maps"));
    assert!(error.message().contains("41 bytes for 2 maps"), "{error}");
}

#[test]
fn flipped_bits_never_panic() {
    // A fixed sequence, so that a failure can be repeated; the fuzz target goes further.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for bytes in [LEGACY, FEATURES] {
        for _ in 0..3000 {
            let mut changed = bytes.to_vec();
            for _ in 0..1 + next() % 4 {
                let at = next() % changed.len();
                changed[at] ^= 1 << (next() % 8);
            }
            if let Err(error) = open(&changed) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}
