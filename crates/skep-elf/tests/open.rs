//! What opening an object gives: maps, programs, relocations, externs, for the objects in `fixtures`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use skep_abi::insn::RawInsn;
use skep_abi::uapi::*;
use skep_elf::{
    AttachTarget, Endian, EndianPolicy, ExternValue, MapDef, MapInit, MapKind, MapSlot, Object,
    OpenOptions, Pinning, ProgramDef,
};

const FEATURES: &[u8] = include_bytes!("fixtures/features.bpf.o");
const FEATURES_BE: &[u8] = include_bytes!("fixtures/features.be.bpf.o");
const TARGET: &[u8] = include_bytes!("fixtures/target.bpf.o");
const LEGACY: &[u8] = include_bytes!("fixtures/legacy.bpf.o");
const KCONFIG: &str = "# a comment\nCONFIG_YES=y\nCONFIG_MODULE=m\nCONFIG_TEXT=\"longer than it fits\"\nCONFIG_NUMBER=0x10\n";

fn with_target<T>(run: impl FnOnce(OpenOptions<'_>) -> T) -> T {
    let target = Object::open("target", TARGET, &OpenOptions::default()).unwrap();
    run(OpenOptions {
        target_btf: target.btf.as_deref(),
        kconfig: Some(KCONFIG),
        ..OpenOptions::default()
    })
}

fn features() -> Object {
    with_target(|options| Object::open("features_of_mine", FEATURES, &options)).unwrap()
}

fn map<'a>(object: &'a Object, name: &str) -> (usize, &'a MapDef) {
    let index = object.maps.iter().position(|m| m.symbol == name);
    let index = index.unwrap_or_else(|| panic!("no map {name}"));
    (index, &object.maps[index])
}

fn program<'a>(object: &'a Object, name: &str) -> &'a ProgramDef {
    object.program(name).unwrap_or_else(|| panic!("no program {name}"))
}

/// Instructions that load a map's address or one in its value: slot, map, offset in the value.
fn loads(program: &ProgramDef, src: u8) -> Vec<(usize, i32, i32)> {
    let pairs = program.insns.windows(2).enumerate();
    pairs
        .filter(|(_, w)| w[0].code == 0x18 && w[0].src == src)
        .map(|(i, w)| (i, w[0].imm, w[1].imm))
        .collect()
}

#[test]
fn the_same_bytes_give_the_same_object() {
    let (a, b) = (features(), features());
    assert_eq!(a.maps, b.maps);
    assert_eq!(a.programs, b.programs);
    assert_eq!(a.sections, b.sections);
    assert_eq!(a.externs, b.externs);
    let bytes = |o: &Object| o.btf.as_ref().unwrap().to_bytes(skep_btf::ByteOrder::HOST);
    assert_eq!(bytes(&a), bytes(&b));
}

#[test]
fn licence_and_version_are_read() {
    assert_eq!(features().license, "Dual MIT/GPL");
    assert_eq!(features().kernel_version, 0);
    let legacy = Object::open("legacy", LEGACY, &OpenOptions::default()).unwrap();
    assert_eq!(legacy.license, "GPL");
    assert_eq!(legacy.kernel_version, 0x060c00);
}

#[test]
fn maps_are_in_libbpfs_order_and_have_its_names() {
    let object = features();
    let names: Vec<_> = object.maps.iter().map(|m| (m.name.as_str(), m.kind)).collect();
    assert_eq!(
        names,
        [
            // By their offset in the section, which is the order in which clang met them.
            ("second", MapKind::User),
            ("first", MapKind::User),
            ("outer", MapKind::User),
            ("calls", MapKind::User),
            ("counts", MapKind::User),
            ("events_of_a_lon", MapKind::User),
            ("features.rodata", MapKind::Rodata),
            ("features.data", MapKind::Data),
            (".data.custom", MapKind::Data),
            ("features.bss", MapKind::Bss),
            ("feature.kconfig", MapKind::Kconfig),
        ]
    );
}

#[test]
fn a_definition_in_btf_says_everything() {
    let object = features();
    let (_, counts) = map(&object, "counts");
    assert_eq!(counts.map_type, BPF_MAP_TYPE_HASH);
    assert_eq!((counts.key_size, counts.value_size, counts.max_entries), (4, 16, 64));
    assert_eq!(counts.pinning, Pinning::ByName);
    let btf = object.btf.as_ref().unwrap();
    let value = btf.type_by_id(skep_btf::TypeId(counts.btf_value_type_id)).unwrap();
    assert_eq!(value.name(), "value");
    // A ring is rounded up to a power of two of pages.
    let (_, events) = map(&object, "events_of_a_long_name");
    assert_eq!((events.map_type, events.max_entries), (BPF_MAP_TYPE_RINGBUF, 8192));
}

#[test]
fn maps_start_with_the_elements_of_their_initialiser() {
    let object = features();
    let (first, second) = (map(&object, "first").0, map(&object, "second").0);
    let (_, outer) = map(&object, "outer");
    assert_eq!(
        outer.init,
        MapInit::Slots(vec![(1, MapSlot::Map(second)), (3, MapSlot::Map(first))])
    );
    let inner = outer.inner.as_deref().unwrap();
    assert_eq!((inner.map_type, inner.key_size, inner.value_size), (BPF_MAP_TYPE_ARRAY, 4, 8));
    assert_eq!(outer.value_size, 4);
    let tail = object.programs.iter().position(|p| p.name == "tail").unwrap();
    let (_, calls) = map(&object, "calls");
    assert_eq!(calls.init, MapInit::Slots(vec![(2, MapSlot::Program(tail))]));
}

#[test]
fn global_data_becomes_maps_with_contents() {
    let object = features();
    let (_, data) = map(&object, ".data");
    assert_eq!(data.init, MapInit::Bytes(5u32.to_ne_bytes().to_vec()));
    assert_eq!((data.map_type, data.max_entries), (BPF_MAP_TYPE_ARRAY, 1));
    assert_eq!(data.flags, BPF_F_MMAPABLE);
    let (_, custom) = map(&object, ".data.custom");
    assert_eq!(custom.init, MapInit::Bytes(9u32.to_ne_bytes().to_vec()));
    let (_, rodata) = map(&object, ".rodata");
    assert_eq!(rodata.init, MapInit::Bytes(7u32.to_ne_bytes().to_vec()));
    assert_eq!(rodata.flags, BPF_F_RDONLY_PROG | BPF_F_MMAPABLE);
    let (_, bss) = map(&object, ".bss");
    assert_eq!((bss.value_size, &bss.init), (8, &MapInit::None));
}

#[test]
fn configuration_values_have_libbpfs_places() {
    let object = features();
    let (_, kconfig) = map(&object, ".kconfig");
    // By alignment from large to small, then by size, then by name.
    let mut expected = Vec::new();
    expected.extend(0x10u64.to_ne_bytes());
    expected.extend(2u32.to_ne_bytes()); // CONFIG_MODULE=m
    expected.extend(0x0006_1200u32.to_ne_bytes()); // LINUX_KERNEL_VERSION
    expected.extend([1]); // CONFIG_YES
    expected.extend(b"longer \0"); // cut, with its NUL
    assert_eq!(kconfig.init, MapInit::Bytes(expected));
    let value = |name: &str| object.externs.iter().find(|e| e.name == name).unwrap().value;
    assert_eq!(value("CONFIG_YES"), ExternValue::KconfigOffset(16));
    assert_eq!(value("missing_kfunc"), ExternValue::Unresolved);
    assert_eq!(value("missing_symbol"), ExternValue::Unresolved);
}

#[test]
fn a_strong_value_that_is_not_configured_is_named() {
    let error = with_target(|options| {
        Object::open("f", FEATURES, &OpenOptions { kconfig: None, ..options }).unwrap_err()
    });
    assert_eq!((error.section(), error.symbol()), (Some(".kconfig"), Some("CONFIG_YES")));
    let bad = "CONFIG_YES=17\n";
    let error = with_target(|options| {
        Object::open("f", FEATURES, &OpenOptions { kconfig: Some(bad), ..options }).unwrap_err()
    });
    assert!(error.message().contains("17"), "{error}");
}

#[test]
fn section_names_decide_what_a_program_is() {
    let object = features();
    let entry = program(&object, "entry");
    assert_eq!((entry.prog_type, entry.section.as_str()), (BPF_PROG_TYPE_SCHED_CLS, "tc"));
    let tail = program(&object, "tail");
    assert_eq!(tail.section, "tc");
    assert_eq!(entry.section_offset, tail.section_offset + u64::from(tail.subprogs[0].len) * 8);
    let core = program(&object, "core");
    assert_eq!((core.prog_type, core.expected_attach_type), (BPF_PROG_TYPE_XDP, BPF_XDP));
    assert_eq!(core.flags, BPF_F_XDP_HAS_FRAGS);
    let configured = program(&object, "configured");
    assert_eq!(configured.prog_type, BPF_PROG_TYPE_TRACING);
    assert_eq!(configured.expected_attach_type, BPF_TRACE_FENTRY);
    assert_eq!(configured.flags, BPF_F_SLEEPABLE);
    assert_eq!(configured.attach_to, AttachTarget::Named("do_nothing".to_owned()));
    let later = program(&object, "not_by_default");
    assert!(!later.autoload && later.section == "?kprobe/later");
    assert_eq!(later.prog_type, BPF_PROG_TYPE_KPROBE);
    assert_eq!(program(&object, "unknown").prog_type, BPF_PROG_TYPE_UNSPEC);
}

#[test]
fn subprograms_are_appended_when_they_are_first_reached() {
    let object = features();
    let entry = program(&object, "entry");
    let names: Vec<_> = entry.subprogs.iter().map(|s| s.name.as_str()).collect();
    // Depth first, in the order of the calls; the callback where its address is taken.
    assert_eq!(names, ["entry", "global_sub", "middle", "leaf", "each", "hidden_sub"]);
    let starts: Vec<_> = entry.subprogs.iter().map(|s| s.start).collect();
    assert!(starts.is_sorted());
    assert_eq!(entry.subprogs.iter().map(|s| s.len).sum::<u32>() as usize, entry.insns.len());
    // Each local call and each address of a function leads to the start of a subprogram.
    let mut calls = 0;
    for (at, insn) in entry.insns.iter().enumerate() {
        let local = (insn.code, insn.src) == (0x85, 1) || (insn.code, insn.src) == (0x18, 4);
        if local {
            let to = at as i32 + 1 + insn.imm;
            assert!(starts.contains(&(to as u32)), "slot {at} leads to {to}");
            calls += 1;
        }
    }
    assert!(calls >= 6, "only {calls}");
    // Records follow their functions.
    let funcs: Vec<_> = entry.func_info.iter().map(|f| f.insn_off).collect();
    assert_eq!(funcs, starts);
    assert!(entry.line_info.is_sorted_by_key(|l| l.insn_off));
    assert!(starts.iter().all(|s| entry.line_info.iter().any(|l| l.insn_off == *s)));
    // The same subprogram is elsewhere in another program.
    let names: Vec<_> = program(&object, "tail").subprogs.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["tail", "middle", "leaf"]);
}

#[test]
fn references_to_maps_are_indices() {
    let object = features();
    let entry = program(&object, "entry");
    let maps: Vec<_> = loads(entry, 5).iter().map(|(_, map, _)| *map as usize).collect();
    let expected: Vec<_> = ["counts", "events_of_a_long_name", "outer", "calls"]
        .iter()
        .map(|name| map(&object, name).0)
        .collect();
    assert_eq!(maps, expected);
    let values: Vec<_> = loads(entry, 6).iter().map(|(_, map, _)| *map as usize).collect();
    for name in [".data", ".data.custom", ".rodata", ".bss"] {
        assert!(values.contains(&map(&object, name).0), "no reference to {name}");
    }
    // No descriptor is left.
    assert!(loads(entry, 1).is_empty() && loads(entry, 2).is_empty());
}

#[test]
fn what_is_missing_and_weak_becomes_zero_or_poison() {
    let object = features();
    let configured = program(&object, "configured");
    let kconfig = map(&object, ".kconfig").0 as i32;
    let mut offsets: Vec<_> =
        loads(configured, 6).iter().filter(|(_, m, _)| *m == kconfig).map(|l| l.2).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 8, 12, 16, 17]);
    assert!(loads(configured, 0).iter().any(|(_, low, high)| (*low, *high) == (0, 0)));
    let index = object.externs.iter().position(|e| e.name == "missing_kfunc").unwrap() as i32;
    let poison = RawInsn { code: 0x85, dst: 0, src: 0, off: 0, imm: 2_002_000_000 + index };
    assert!(configured.insns.contains(&poison));
}

#[test]
fn instructions_follow_the_targets_layout() {
    let object = features();
    let core = program(&object, "core");
    let offsets: Vec<_> =
        core.insns.iter().filter(|i| i.code & 7 == 1).map(|i| (i.code & 0x18, i.off)).collect();
    // pid moved from 0 to 12; flags from 4 to 8, and from two bytes to four.
    assert!(offsets.contains(&(0x00, 12)), "{offsets:?}");
    assert!(offsets.contains(&(0x00, 8)), "{offsets:?}");
    assert_eq!(offsets.len(), 2);
}

#[test]
fn without_a_target_what_depends_on_it_is_refused() {
    let options = OpenOptions { kconfig: Some(KCONFIG), ..OpenOptions::default() };
    let error = Object::open("f", FEATURES, &options).unwrap_err();
    assert_eq!((error.program(), error.section()), (Some("core"), Some("xdp.frags")));
    assert!(error.message().contains("target BTF"), "{error}");
}

#[test]
fn types_are_fit_for_loading() {
    let object = features();
    let btf = object.btf.as_ref().unwrap();
    skep_btf::validate::types(btf).unwrap();
    let hidden = btf.find_by_name_kind("hidden_sub", skep_btf::Kind::Func).unwrap();
    let view = hidden.view();
    assert!(matches!(
        view,
        skep_btf::TypeView::Func { linkage: skep_btf::FuncLinkage::Static, .. }
    ));
}

#[test]
fn legacy_maps_are_read() {
    let object = Object::open("legacy", LEGACY, &OpenOptions::default()).unwrap();
    let numbers: Vec<_> = object
        .maps
        .iter()
        .map(|m| (m.name.as_str(), m.map_type, m.key_size, m.value_size, m.max_entries, m.flags))
        .collect();
    assert_eq!(
        numbers,
        [("one", BPF_MAP_TYPE_HASH, 4, 8, 16, 1), ("two", BPF_MAP_TYPE_ARRAY, 4, 32, 3, 0)]
    );
    assert_eq!(loads(program(&object, "filter"), 5)[0].1, 1);
}

#[test]
fn the_other_byte_order_is_refused_or_converted() {
    let error = with_target(|options| Object::open("f", FEATURES_BE, &options).unwrap_err());
    assert!(error.message().contains("big-endian"), "{error}");
    let object = with_target(|options| {
        let options = OpenOptions { endian: EndianPolicy::Convert, ..options };
        Object::open("features_of_mine", FEATURES_BE, &options)
    })
    .unwrap();
    assert_eq!(object.endian, Endian::Big);
    let little = features();
    // Same programs: only loads of less than a field differ, and there are none.
    assert_eq!(object.programs.len(), little.programs.len());
    for (a, b) in object.programs.iter().zip(&little.programs) {
        assert_eq!((&a.name, &a.subprogs, &a.func_info), (&b.name, &b.subprogs, &b.func_info));
    }
    assert_eq!(program(&object, "tail").insns, program(&little, "tail").insns);
    let numbers = |o: &Object| {
        o.maps
            .iter()
            .map(|m| (m.name.clone(), m.map_type, m.value_size, m.flags))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&object), numbers(&little));
}
