//! The examples on the live kernel and on Skep: the same capture, packet by packet; equal verdicts,
//! equal packets, and in the end equal maps.

use std::collections::BTreeMap;

use skep::{LoadOptions, Loaded, RunError, System, TestRun};
use skep_elf::{MapDef, Object, OpenOptions};
use skep_host::kernel::{self, KernelMap};
use skep_maps::MapOps;
use skep_tests::examples::{self, packets};
use skep_tests::{has_live_kernel, native::Native};

type Dump = BTreeMap<Vec<u8>, Vec<u8>>;

/// What of a value must be equal. The time at the end of a connection is left out. Values of per-CPU
/// maps are added up, since the two callers need not run on the same CPU: the examples hold nothing
/// but 64-bit counters in them.
fn normalised(def: &MapDef, value: &[u8]) -> Vec<u8> {
    if def.symbol == "connections" {
        return value[..value.len() - 8].to_vec();
    }
    const PERCPU_HASH: u32 = skep_abi::uapi::BPF_MAP_TYPE_PERCPU_HASH;
    const PERCPU_ARRAY: u32 = skep_abi::uapi::BPF_MAP_TYPE_PERCPU_ARRAY;
    if !matches!(def.map_type, PERCPU_HASH | PERCPU_ARRAY) {
        return value.to_vec();
    }
    let words = (def.value_size as usize).div_ceil(8);
    let mut sums = vec![0u64; words];
    for (i, word) in value.chunks_exact(8).enumerate() {
        let word = u64::from_ne_bytes(word.try_into().expect("eight bytes"));
        sums[i % words] = sums[i % words].wrapping_add(word);
    }
    sums.iter().flat_map(|w| w.to_ne_bytes()).collect()
}

fn is_readable(def: &MapDef) -> bool {
    def.map_type != skep_abi::uapi::BPF_MAP_TYPE_PROG_ARRAY
}

fn dump_kernel(def: &MapDef, map: &KernelMap) -> Dump {
    let mut dump = Dump::new();
    let mut key = None;
    while let Ok(next) = map.next_key(key.as_deref()) {
        let value = map.lookup(&next, 0).expect("a listed key");
        dump.insert(next.clone(), normalised(def, &value));
        key = Some(next);
    }
    dump
}

fn dump_skep(def: &MapDef, map: &dyn MapOps) -> Dump {
    let mut dump = Dump::new();
    let mut key: Option<Vec<u8>> = None;
    let mut next = vec![0; def.key_size as usize];
    while map.next_key(key.as_deref(), &mut next).is_ok() {
        let mut value = vec![0; map.user_value_size()];
        map.user_lookup(&next, &mut value, 0).expect("a listed key");
        dump.insert(next.clone(), normalised(def, &value));
        key = Some(next.clone());
    }
    dump
}

fn assert_equal_maps(object: &Object, native: &Native, loaded: &Loaded) {
    for (i, def) in object.maps.iter().enumerate().filter(|(_, def)| is_readable(def)) {
        let kernel = dump_kernel(def, &native.maps[i]);
        let skep = dump_skep(def, &*loaded.maps()[i].map);
        assert_eq!(kernel.len(), skep.len(), "elements of map '{}'", def.symbol);
        for (key, value) in &kernel {
            assert_eq!(Some(value), skep.get(key), "map '{}', key {key:x?}", def.symbol);
        }
    }
}

/// Plays the capture through one program on both, twice over, so that what the first round left in
/// the maps matters to the second.
fn compare(file: &str, program: &str) {
    if !has_live_kernel() {
        return;
    }
    let name = file.split('.').next().unwrap_or(file);
    let object = Object::open(name, &examples::read(file), &OpenOptions::default()).expect("opens");
    let native = Native::load(&object).unwrap_or_else(|e| panic!("live kernel: {e}"));
    let system = System::with_checks();
    let loaded = system
        .load_object(&object, &LoadOptions::default())
        .unwrap_or_else(|e| panic!("Skep: {e}"));
    let index = object.programs.iter().position(|p| p.name == program).expect("the program");
    let ours = loaded.program(program).expect("the program");
    let packets = packets();
    assert!(packets.len() > 500, "only {} packets", packets.len());
    for (number, packet) in packets.iter().chain(&packets).enumerate() {
        let kernel = native.programs[index].test_run(&kernel::TestRun {
            data: packet,
            data_out_size: 16384,
            ..kernel::TestRun::default()
        });
        let run = TestRun { data_in: packet, ..TestRun::default() };
        match (kernel, system.test_run(ours, &run)) {
            (Ok(kernel), Ok(skep)) => {
                assert_eq!(kernel.retval, skep.retval, "verdict on packet {number}");
                assert_eq!(kernel.data, skep.data_out, "packet {number} afterwards");
            }
            (Err(kernel), Err(RunError::Refused { errno, .. })) => {
                assert_eq!(kernel, errno, "refusal of packet {number}");
            }
            (kernel, skep) => panic!("packet {number}: kernel {kernel:?}, Skep {skep:?}"),
        }
    }
    assert_equal_maps(&object, &native, &loaded);
}

#[test]
fn ipproto() {
    compare("ipproto.bpf.o", "ipproto");
}

#[test]
fn portfilter() {
    compare("portfilter.bpf.o", "portfilter");
}

#[test]
fn sizes() {
    compare("sizes.bpf.o", "sizes_filter");
}

#[test]
fn xdplb() {
    compare("xdplb.bpf.o", "xdplb");
}

/// The same classic filter as eBPF on both, attached to nothing: its verdict on each packet.
#[test]
fn classic() {
    if !has_live_kernel() {
        return;
    }
    let text = String::from_utf8(examples::read("dns-or-http.cbpf")).expect("text");
    let filter = skep_abi::insn::cbpf::parse(&text).expect("a filter");
    let insns = skep_abi::insn::cbpf::translate(&filter, skep_abi::insn::cbpf::Flavor::Socket)
        .expect("translates");
    // A scheduler classifier sees packets from the link header on, as `tcpdump` does.
    let prog_type = skep_abi::uapi::BPF_PROG_TYPE_SCHED_CLS;
    let native = kernel::KernelProg::load(&kernel::LoadAttr {
        prog_type,
        insns: &insns,
        ..kernel::LoadAttr::default()
    })
    .unwrap_or_else(|e| panic!("live kernel: {e}"));
    let system = System::with_checks();
    let ours = system
        .load_raw(&skep::RawProgram { prog_type, insns, ..skep::RawProgram::default() })
        .unwrap_or_else(|e| panic!("Skep: {e}"));
    let mut accepted = 0;
    for (number, packet) in packets().iter().enumerate() {
        let kernel = native
            .test_run(&kernel::TestRun { data: packet, ..kernel::TestRun::default() })
            .expect("runs natively");
        let run = TestRun { data_in: packet, ..TestRun::default() };
        let skep = system.test_run(&ours, &run).expect("runs on Skep");
        assert_eq!(kernel.retval, skep.retval, "verdict on packet {number}");
        accepted += usize::from(skep.retval != 0);
    }
    assert!((100..700).contains(&accepted), "{accepted} packets accepted");
}
