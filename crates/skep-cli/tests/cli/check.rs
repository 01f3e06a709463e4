//! `skep check`, `skep disasm` and `skep features`.

use crate::support::{example, scratch, skep};
use serde_json::Value;
use std::fs;

/// Those that need no kernel types.
const OBJECTS: [&str; 5] =
    ["ipproto.bpf.o", "portfilter.bpf.o", "sizes.bpf.o", "xdplb.bpf.o", "dns-or-http.cbpf"];

fn check(args: &[&str]) -> (i32, Value, String) {
    let (code, stdout, stderr) = skep(&[&["check", "--json"], args].concat());
    (code, serde_json::from_str(&stdout).expect("is JSON"), stderr)
}

#[test]
fn the_examples_are_accepted() {
    let objects = OBJECTS.map(example);
    let (code, all, stderr) = check(&objects.each_ref().map(String::as_str));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let names = all.as_array().unwrap().iter().map(|one| one["program"].as_str().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "ipproto",
            "portfilter",
            "sizes_filter",
            "xdplb_ipv4",
            "xdplb_ipv6",
            "xdplb",
            "dns-or-http"
        ]
    );
    for one in all.as_array().unwrap() {
        assert_eq!(one["verdict"], "accepted", "{one}");
        assert!(one["processed"].as_u64() >= Some(1) && one["time_ns"].as_u64() > Some(0), "{one}");
        assert!(one.get("reason").is_none() && one.get("log").is_none(), "{one}");
    }

    let (code, stdout, _) = skep(&["check", &example("ipproto.bpf.o")]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("object") && stdout.contains("accepted"), "{stdout}");
}

/// The example with its first call of `bpf_map_lookup_elem` made a call of helper 9, `bpf_skb_store_bytes`.
fn broken_object() -> String {
    let mut object = fs::read(example("ipproto.bpf.o")).unwrap();
    let call = [0x85, 0, 0, 0, 1, 0, 0, 0];
    let at = object.windows(8).position(|bytes| bytes == call).expect("calls a helper");
    object[at + 4] = 9;
    let path = scratch("rejected").join(format!("broken-{}.bpf.o", std::process::id()));
    fs::write(&path, object).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_rejection_names_the_source_line() {
    let object = broken_object();
    let (code, all, stderr) = check(&[&object, &example("sizes.bpf.o")]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let (broken, good) = (&all[0], &all[1]);
    assert_eq!((&broken["verdict"], &good["verdict"]), (&"rejected".into(), &"accepted".into()));
    assert!(
        broken["reason"].as_str().unwrap().contains("cannot use helper bpf_skb_store_bytes#9"),
        "{broken}"
    );
    assert_eq!(broken["errno"], "EINVAL");
    assert!(broken["diagnosis"]["at"]["line"].as_u64() > Some(0), "{broken}");
    assert!(
        broken["diagnosis"]["at"]["file"].as_str().unwrap().ends_with("ipproto.bpf.c"),
        "{broken}"
    );
    assert!(
        broken["diagnosis"]["at"]["source"].as_str().unwrap().contains("bpf_map_lookup_elem"),
        "{broken}"
    );
    assert!(
        broken["diagnosis"]["at"]["text"]
            .as_str()
            .unwrap()
            .starts_with("(85) call bpf_skb_store_bytes#9"),
        "{broken}"
    );

    // The same for people, after the table.
    let (code, stdout, stderr) = skep(&["check", &object]);
    assert_eq!(code, 1);
    assert!(stdout.contains("rejected (EINVAL)"), "{stdout}");
    for text in ["error: ", "broken-", "program ipproto", "--> ", "ipproto.bpf.c:", "instruction "]
    {
        assert!(stderr.contains(text), "{text:?} is not in: {stderr}");
    }

    // And when it is to be played.
    let capture = example("traffic.pcapng");
    let (code, stdout, stderr) = skep(&["play", &object, "--pcap", &capture]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("program ipproto: rejected: "), "{stderr}");
}

#[test]
fn the_log_is_the_kernels() {
    let object = example("sizes.bpf.o");
    let (code, stdout, _) = skep(&["check", "--log-level", "2", &object]);
    assert_eq!(code, 0);
    for text in ["R1=ctx()", "processed "] {
        assert!(stdout.contains(text), "{text:?} is not in: {stdout}");
    }
    let (_, all, _) = check(&["--log-level", "2", &object]);
    assert!(all[0]["log"].as_str().unwrap().contains("processed "));
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let (code, all, stderr) = check(&["/nowhere/a.o", &example("sizes.bpf.o")]);
    assert_eq!(code, 3);
    assert!(stderr.contains("/nowhere/a.o"), "{stderr}");
    assert_eq!(all[0]["program"], "sizes_filter");
}

#[test]
fn disassembly_has_lines_names_and_labels() {
    let (code, stdout, stderr) = skep(&["disasm", &example("sizes.bpf.o")]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for text in [
        "sizes_filter (socket):",
        "   0: (bf) r6 = r1",
        "; struct log2 log = {.left = skb->len}; @ sizes.bpf.c:",
        "call bpf_loop#181",
        "= map[sizes]",
        "= map[sizes.bss][0]+0",
        "= subprog[halve]",
        "\nhalve:\n",
        "= *(u8 *)skb[0]",
    ] {
        assert!(stdout.contains(text), "{text:?} is not in: {stdout}");
    }
    let (_, stdout, _) = skep(&["disasm", &example("xdplb.bpf.o"), "--prog", "xdplb"]);
    assert!(stdout.starts_with("xdplb (xdp):") && !stdout.contains("xdplb_ipv4 (xdp):"));
}

#[test]
fn disassembly_of_a_classic_filter_has_both_forms() {
    let (code, stdout, _) = skep(&["disasm", &example("dns-or-http.cbpf")]);
    assert_eq!(code, 0);
    for text in ["classic:", "(000) ldh      [12]", "translated:", "= *(u16 *)skb[12]"] {
        assert!(stdout.contains(text), "{text:?} is not in: {stdout}");
    }
}

#[test]
fn features_list_what_there_is() {
    let (code, stdout, _) = skep(&["features", "--json"]);
    assert_eq!(code, 0);
    let sections: Value = serde_json::from_str(&stdout).unwrap();
    let find = |title: &str, name: &str| {
        let section = sections.as_array().unwrap().iter().find(|s| s["title"] == title).unwrap();
        section["features"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap().clone()
    };
    assert_ne!(find("Map types", "percpu_hash")["support"], "no");
    assert_eq!(find("Program types", "xdp")["number"], 6);
    let missing = find("Program types", "kprobe");
    assert_eq!(missing["support"], "no");
    assert!(missing["note"].as_str().unwrap().contains("EINVAL"), "{missing}");

    let (code, stdout, _) = skep(&["features"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("percpu_hash"), "{stdout}");
}

/// A kernel's types in a file: `struct sk_buff` with `len` at byte 4.
fn target_btf() -> String {
    use skep_btf::build::{BtfBuilder, NewMember};
    use skep_btf::{ByteOrder, Int};
    let mut btf = BtfBuilder::new();
    let int = Int { size: 4, bits: 32, bit_offset: 0, encoding: 0 };
    let int = btf.add_int("unsigned int", int);
    let member = |name, bit_offset| NewMember { name, ty: int, bit_offset, bitfield_bits: 0 };
    btf.add_struct("sk_buff", 8, &[member("before", 0), member("len", 32)]);
    btf.add_struct("net_device", 4, &[member("no_such_field", 0)]);
    let order = if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
    let path = scratch("target_btf").join("kernel.btf");
    fs::write(&path, btf.build().unwrap().to_bytes(order)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn facts(more: &[&str]) -> Vec<u64> {
    let result = crate::support::play("core.bpf.o", "traffic.pcapng", more);
    let elements = crate::support::map(&result, "facts")["elements"].as_array().unwrap();
    elements.iter().map(|element| element["value"].as_u64().unwrap()).collect()
}

#[test]
fn types_of_the_target_decide_about_offsets() {
    assert_eq!(facts(&["--btf", &target_btf()]), [4, 1, 859]);
    if std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        let [len, imagined, packets] = facts(&[])[..] else { panic!("three facts") };
        assert!(len > 8);
        assert_eq!((imagined, packets), (0, 859));
    }
}

#[test]
fn types_of_the_target_that_are_none() {
    let object = example("core.bpf.o");
    for (btf, code, says) in [
        ("/nowhere/kernel.btf".to_owned(), 3, "No such file"),
        (example("raw-ip.pcap"), 3, "raw-ip.pcap"),
    ] {
        let (actual, _, stderr) = skep(&["check", &object, "--btf", &btf]);
        assert_eq!(actual, code);
        assert!(stderr.contains(&btf) && stderr.contains(says), "{stderr}");
    }
}
