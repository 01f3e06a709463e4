//! What `skep` says, and with which exit code, about input that is wrong.

use crate::support::{example, play_raw, scratch, skep};
use std::fs;

#[track_caller]
fn fails(args: &[&str], code: i32, says: &[&str]) -> String {
    let (actual, stdout, stderr) = skep(args);
    assert_eq!(actual, code, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    for text in says {
        assert!(stderr.contains(text), "{text:?} is not in: {stderr}");
    }
    stdout
}

#[test]
fn objects_that_are_none() {
    let dir = scratch("objects");
    let capture = example("traffic.pcapng");
    let file = |name: &str, content: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for command in ["play", "disasm", "check"] {
        let run = |object: &str, code, says: &[&str]| {
            let mut args = vec![command, object];
            if command == "play" {
                args.extend(["--pcap", &capture]);
            }
            fails(&args, code, says);
        };
        run("/nowhere/a.bpf.o", 3, &["/nowhere/a.bpf.o", "No such file"]);
        run(&file("text", b"hello"), 1, &["text", "neither an ELF object nor a classic filter"]);
        run(&file("empty", b""), 1, &["empty", "neither an ELF object"]);
        run(&file("short.o", b"\x7fELF\x02\x01\x01"), 1, &["short.o"]);
        run(&file("zeroes.o", &[b"\x7fELF".as_slice(), &[0; 100]].concat()), 1, &["zeroes.o"]);
        run(&file("bad.cbpf", b"2\n40 0 0 12\n"), 1, &["bad.cbpf"]);
        run(&file("long.cbpf", b"1\n40 0 0 99999999999999\n"), 1, &["long.cbpf"]);
        let whole = fs::read(example("xdplb.bpf.o")).unwrap();
        run(&file("cut.o", &whole[..whole.len() / 2]), 1, &["cut.o"]);
    }
}

#[test]
fn programs_that_are_not_there() {
    let (object, capture) = (example("xdplb.bpf.o"), example("traffic.pcapng"));
    fails(
        &["play", &object, "--pcap", &capture],
        2,
        &["several programs", "--prog", "xdplb_ipv4 (xdp)", "xdplb_ipv6 (xdp)"],
    );
    fails(&["play", &object, "--pcap", &capture, "--prog", "nat"], 2, &["\"nat\"", "xdplb_ipv4"]);
    fails(&["disasm", &object, "--prog", "nat"], 2, &["\"nat\""]);
}

#[test]
fn command_lines_that_are_wrong() {
    for args in [
        vec![],
        vec!["fly"],
        vec!["play"],
        vec!["play", "x.o"],
        vec!["check"],
        vec!["play", "x.o", "--pcap", "y", "--repeat", "0"],
        vec!["check", "x.o", "--log-level", "3"],
    ] {
        assert_eq!(skep(&args).0, 2, "{args:?}");
    }
}

#[test]
fn captures_that_are_none() {
    let dir = scratch("captures");
    let object = example("ipproto.bpf.o");
    let file = |name: &str, content: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = |capture: &str, says: &[&str]| fails(&["play", &object, "--pcap", capture], 3, says);
    run("/nowhere/a.pcap", &["/nowhere/a.pcap", "No such file"]);
    run(dir.to_str().unwrap(), &["captures"]);
    run(&file("empty.pcap", b""), &["empty.pcap", "empty"]);
    run(&file("text.pcap", b"hello, world"), &["neither a pcap nor a pcapng", "68 65 6c 6c"]);
    run(&file("a.pcap.gz", b"\x1f\x8b\x08\0\0\0\0"), &["gzip"]);
    run(&object, &["neither a pcap nor a pcapng", "7f 45 4c 46"]);
}

#[test]
fn a_damaged_capture_is_played_up_to_the_damage() {
    let dir = scratch("damaged");
    let whole = fs::read(example("traffic.pcapng")).unwrap();
    let path = dir.join("cut.pcapng");
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let (code, stdout, stderr) = play_raw("ipproto.bpf.o", path.to_str().unwrap(), &[]);
    assert_eq!(code, 3);
    for text in ["cut.pcapng", "packet 859", "at byte ", "the file ends within a block"] {
        assert!(stderr.contains(text), "{stderr}");
    }
    let result: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(result["packets"]["played"], 858);
    assert!(result["error"].as_str().unwrap().contains("packet 859"));

    // The same for people.
    let stdout = fails(
        &["play", &example("ipproto.bpf.o"), "--pcap", path.to_str().unwrap()],
        3,
        &["packet 859"],
    );
    assert!(stdout.contains("858 packets"), "{stdout}");
}

#[test]
fn link_types_that_do_not_suit() {
    for object in ["ipproto.bpf.o", "portfilter.bpf.o", "sizes.bpf.o", "dns-or-http.cbpf"] {
        let (object, capture) = (example(object), example("raw-ip.pcap"));
        let args = ["play", &object, "--pcap", &capture];
        fails(&args, 4, &["raw-ip.pcap", "RAW (101)", "Ethernet"]);
    }
}

#[test]
fn interfaces_of_another_link_type_are_left_out() {
    let dir = scratch("interfaces");
    let ethernet = fs::read(example("traffic.pcapng")).unwrap();
    // The link type of the only interface: its block follows the section header.
    let section_len = u32::from_le_bytes(ethernet[4..8].try_into().unwrap()) as usize;
    let mut cooked = ethernet.clone();
    cooked[section_len + 8] = 113;
    let reason = "link type LINUX_SLL (113), but the program expects Ethernet frames";

    let both = dir.join("both.pcapng");
    fs::write(&both, [ethernet, cooked.clone()].concat()).unwrap();
    let result = crate::support::play("ipproto.bpf.o", both.to_str().unwrap(), &[]);
    assert_eq!(result["packets"]["played"], 859);
    assert_eq!(result["packets"]["skipped"], serde_json::json!({ reason: 859 }));

    let only = dir.join("only.pcapng");
    fs::write(&only, cooked).unwrap();
    let only = only.to_str().unwrap();
    fails(&["play", &example("ipproto.bpf.o"), "--pcap", only], 4, &["only.pcapng", reason]);
}

#[test]
fn packets_shorter_than_an_ethernet_header_are_left_out() {
    let dir = scratch("short");
    let path = dir.join("short.pcap");
    let mut capture = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0".to_vec();
    for len in [0_u32, 1, 13, 14, 60] {
        capture.extend([0; 8]);
        capture.extend(len.to_le_bytes());
        capture.extend(len.to_le_bytes());
        capture.extend(vec![0; len as usize]);
    }
    fs::write(&path, &capture).unwrap();
    for (object, more) in [
        ("ipproto.bpf.o", vec![]),
        ("portfilter.bpf.o", vec![]),
        ("sizes.bpf.o", vec![]),
        ("xdplb.bpf.o", vec!["--prog", "xdplb"]),
        ("dns-or-http.cbpf", vec![]),
    ] {
        let result = crate::support::play(object, path.to_str().unwrap(), &more);
        assert_eq!(result["packets"]["played"], 2, "{object}");
        let reason = "shorter than an Ethernet header (14 bytes)";
        assert_eq!(result["packets"]["skipped"], serde_json::json!({ reason: 3 }), "{object}");
    }
}

#[test]
fn output_that_cannot_be_written() {
    let dir = scratch("output");
    let (object, capture) = (example("ipproto.bpf.o"), example("traffic.pcapng"));
    fails(
        &["play", &object, "--pcap", &capture, "--out", "/nowhere/out.pcap"],
        3,
        &["/nowhere/out.pcap", "No such file"],
    );
    // Not over what is being read.
    let copy = dir.join("copy.pcapng");
    fs::copy(&capture, &copy).unwrap();
    let copy = copy.to_str().unwrap();
    fails(&["play", &object, "--pcap", copy, "--out", copy], 2, &["copy.pcapng", "same file"]);
    assert_eq!(fs::read(copy).unwrap(), fs::read(&capture).unwrap());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(["disasm", &example("xdplb.bpf.o")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn kernel_configuration_is_named_or_missed() {
    let dir = scratch("kconfig");
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/../skep-elf/tests/fixtures/features.bpf.o")
        .to_owned();
    let config = dir.join("config");
    fs::write(&config, "CONFIG_OTHER=y\n").unwrap();
    let config = config.to_str().unwrap();
    fails(&["disasm", &object, "--kconfig", config], 1, &[".kconfig", "CONFIG_YES"]);
    fails(&["disasm", &object, "--kconfig", "/nonexistent"], 3, &["/nonexistent"]);
    fs::write(config, "CONFIG_YES=y\n").unwrap();
    let (_, _, stderr) = skep(&["disasm", &object, "--kconfig", config]);
    assert!(!stderr.contains("CONFIG_YES"), "{stderr}");
}
