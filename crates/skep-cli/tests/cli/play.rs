//! `skep play` on the examples: counts that `tshark`, `tcpdump` and the live kernel give for the same capture.

use crate::support::{example, map, play, scratch, tool};
use std::collections::BTreeMap;

const TRAFFIC: &str = "traffic.pcapng";

/// Packets and bytes by IP protocol number, as tshark counts them (see `tshark_agrees`).
const BY_PROTOCOL: [(u64, u64, u64); 12] = [
    (1, 70, 37490),
    (2, 2, 108),
    (4, 4, 304),
    (6, 500, 188_933),
    (17, 140, 48115),
    (47, 6, 384),
    (58, 111, 42814),
    (89, 6, 384),
    (103, 4, 256),
    (112, 4, 256),
    (132, 2, 128),
    (253, 4, 256),
];

const NAMES: [(&str, u64); 19] = [
    ("IP_HOPOPTS", 0),
    ("IP_ICMP", 1),
    ("IP_IGMP", 2),
    ("IP_IPIP", 4),
    ("IP_TCP", 6),
    ("IP_UDP", 17),
    ("IP_IPV6", 41),
    ("IP_ROUTING", 43),
    ("IP_FRAGMENT", 44),
    ("IP_GRE", 47),
    ("IP_ESP", 50),
    ("IP_AH", 51),
    ("IP_ICMPV6", 58),
    ("IP_NONE", 59),
    ("IP_DSTOPTS", 60),
    ("IP_OSPF", 89),
    ("IP_PIM", 103),
    ("IP_VRRP", 112),
    ("IP_SCTP", 132),
];

fn verdicts(result: &serde_json::Value) -> BTreeMap<String, u64> {
    let verdicts = result["verdicts"].as_object().expect("verdicts");
    verdicts.iter().map(|(k, v)| (k.clone(), v["packets"].as_u64().expect("packets"))).collect()
}

fn expected<const N: usize>(verdicts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    verdicts.map(|(k, v)| (k.to_owned(), v)).into()
}

/// Value of each key of an array, summed over CPUs.
fn array(result: &serde_json::Value, name: &str) -> Vec<u64> {
    let elements = map(result, name)["elements"].as_array().expect("elements");
    let value = |e: &serde_json::Value| e.get("sum").or(e.get("value")).and_then(|v| v.as_u64());
    elements.iter().map(|e| value(e).expect("number")).collect()
}

#[test]
fn ipproto_counts_what_tshark_counts() {
    let result = play("ipproto.bpf.o", TRAFFIC, &[]);
    assert_eq!(result["packets"]["played"], 859);
    assert_eq!(result["packets"]["skipped"], serde_json::json!({}));
    assert_eq!(verdicts(&result), expected([("XDP_PASS", 859)]));
    assert_eq!(array(&result, "totals"), [859, 319_704]);
    // IPv4, IPv6, ARP, other, malformed.
    assert_eq!(array(&result, "kinds"), [457, 396, 6, 0, 0]);

    let mut counted = Vec::new();
    for element in map(&result, "protocols")["elements"].as_array().unwrap() {
        let number = match &element["key"] {
            serde_json::Value::String(name) => NAMES.iter().find(|(n, _)| n == name).unwrap().1,
            number => number.as_u64().unwrap(),
        };
        let sum = &element["sum"];
        counted.push((number, sum["packets"].as_u64().unwrap(), sum["bytes"].as_u64().unwrap()));
    }
    counted.sort_unstable();
    assert_eq!(counted, BY_PROTOCOL);
}

#[test]
fn tshark_agrees() {
    let fields = [
        "frame.cap_len",
        "frame.protocols",
        "ip.proto",
        "ipv6.nxt",
        "ipv6.hopopts.nxt",
        "ipv6.routing.nxt",
        "ipv6.fraghdr.nxt",
        "ipv6.dstopts.nxt",
    ];
    let capture = example(TRAFFIC);
    let mut args = vec!["-r", &capture, "-T", "fields", "-o", "ip.defragment:FALSE"];
    args.extend(["-o", "ipv6.defragment:FALSE"]);
    args.extend(fields.iter().flat_map(|field| ["-e", field]));
    let Some(text) = tool("tshark", &args) else { return };

    let mut counts = BTreeMap::<u64, (u64, u64)>::new();
    for line in text.lines() {
        let columns = line.split('\t').collect::<Vec<_>>();
        let numbers =
            |column: usize| columns[column].split(',').filter_map(|n| n.parse::<u64>().ok());
        let protocol = match columns[1].split(':').find(|p| ["ip", "ipv6", "arp"].contains(p)) {
            Some("ip") => numbers(2).next().unwrap(),
            Some("ipv6") => {
                // What follows the extension headers.
                let mut ext = BTreeMap::from([
                    (0, numbers(4)),
                    (43, numbers(5)),
                    (44, numbers(6)),
                    (60, numbers(7)),
                ]);
                let mut next = numbers(3).next().unwrap();
                while let Some(after) = ext.get_mut(&next).and_then(|values| values.next()) {
                    next = after;
                }
                next
            }
            _ => continue,
        };
        let count = counts.entry(protocol).or_default();
        *count = (count.0 + 1, count.1 + columns[0].parse::<u64>().unwrap());
    }
    let counts = counts.into_iter().map(|(protocol, (n, bytes))| (protocol, n, bytes));
    assert_eq!(counts.collect::<Vec<_>>(), BY_PROTOCOL);
}

/// Verdicts and counters as `BPF_PROG_TEST_RUN` of Linux 6.18 gives them.
#[test]
fn portfilter_drops_what_the_kernel_drops() {
    let result = play("portfilter.bpf.o", TRAFFIC, &[]);
    assert_eq!(verdicts(&result), expected([("TC_ACT_OK", 667), ("TC_ACT_SHOT", 192)]));
    let elements = map(&result, "dropped")["elements"].as_array().unwrap();
    assert_eq!(elements.iter().map(|e| e["value"].as_u64().unwrap()).sum::<u64>(), 192);
}

#[test]
fn xdplb_forwards_what_the_kernel_forwards() {
    let result = play("xdplb.bpf.o", TRAFFIC, &["--prog", "xdplb"]);
    assert_eq!(verdicts(&result), expected([("XDP_PASS", 603), ("XDP_TX", 256)]));
    assert_eq!(array(&result, "stats"), [859, 6, 0, 597, 20, 93, 160, 0, 76, 69, 0, 0, 0, 0]);
    let printk = result["printk"]["lines"].as_array().unwrap();
    assert_eq!(printk[0]["text"], "configured 6 VIPs, 7 backends");
    assert_eq!(printk.len() as u64 + result["printk"]["left_out"].as_u64().unwrap(), 94);
}

#[test]
fn what_passes_is_written_as_the_program_left_it() {
    let out = scratch("written").join("out.pcapng");
    let out = out.to_str().unwrap();
    let result = play("xdplb.bpf.o", TRAFFIC, &["--prog", "xdplb", "--out", out]);
    assert_eq!(result["packets"]["written"], 859);
    // Nothing is dropped, so that packets keep their numbers; tunnels grow, NAT keeps every checksum right.
    let again = play("ipproto.bpf.o", out, &[]);
    assert_eq!(again["packets"]["played"], 859);
    let tunnelled = |result: &serde_json::Value, key: &str| {
        let elements = map(result, "protocols")["elements"].as_array().unwrap();
        let found = elements.iter().find(|e| e["key"] == key);
        found.map_or(0, |e| e["sum"]["packets"].as_u64().unwrap())
    };
    assert_eq!(tunnelled(&again, "IP_IPIP") + tunnelled(&again, "IP_IPV6"), 4 + 76);

    let checks = ["ip", "tcp", "udp"].map(|p| format!("{p}.check_checksum:TRUE"));
    let mut args = vec!["-r", out];
    args.extend(checks.iter().flat_map(|check| ["-o", check.as_str()]));
    args.extend([
        "-Y",
        "ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0",
    ]);
    args.extend(["-T", "fields", "-e", "frame.number", "-e", "frame.protocols"]);
    let Some(bad) = tool("tshark", &args) else { return };
    args[1] = "INPUT";
    let input = example(TRAFFIC);
    args[1] = &input;
    // The input has none but those of the hand-made packets, which are not to a VIP's ports.
    assert_eq!(bad, tool("tshark", &args).unwrap_or_default());
}

#[test]
fn timestamps_are_kept() {
    let out = scratch("timestamps").join("out.pcapng");
    let out = out.to_str().unwrap();
    play("portfilter.bpf.o", TRAFFIC, &["--out", out]);
    let times =
        |file: &str| tool("tshark", &["-r", file, "-T", "fields", "-e", "frame.time_epoch"]);
    let (Some(input), Some(output)) = (times(&example(TRAFFIC)), times(out)) else { return };
    let input = input.lines().collect::<Vec<_>>();
    assert_eq!(output.lines().count(), 667);
    assert!(output.lines().all(|time| input.contains(&time)));
}

#[test]
fn a_classic_filter_accepts_what_tcpdump_accepts() {
    let result = play("dns-or-http.cbpf", TRAFFIC, &[]);
    assert_eq!(result["prog_type"], "socket_filter");
    let accepted = result["verdicts"]["accepted"]["packets"].as_u64().unwrap();
    let expression = "udp port 53 or tcp port 80 or tcp port 8080";
    assert_eq!(accepted, ACCEPTED);
    assert_eq!(result["verdicts"]["dropped"]["packets"], 859 - ACCEPTED);
    if let Some(text) = tool("tcpdump", &["-n", "-r", &example(TRAFFIC), expression]) {
        assert_eq!(
            text.lines().filter(|line| !line.starts_with([' ', '\t'])).count() as u64,
            ACCEPTED
        );
    }
}

/// Packets that the classic filter's expression matches, by `tcpdump -r`.
const ACCEPTED: u64 = 338;

#[test]
fn a_socket_filter_cuts_what_it_accepts() {
    let out = scratch("cut").join("out.pcapng");
    let result = play("sizes.bpf.o", TRAFFIC, &["--out", out.to_str().unwrap()]);
    assert_eq!(verdicts(&result), expected([("accepted", 859)]));
    assert_eq!(array(&result, "sizes").iter().sum::<u64>(), 859);
    assert_eq!(result["printk"]["lines"].as_array().unwrap().len(), 3);
    // Of each packet at most 96 bytes are left; its length on the wire is known.
    let again = play("ipproto.bpf.o", out.to_str().unwrap(), &[]);
    assert_eq!(again["packets"]["played"], 859);
    assert!(again["packets"]["snapped"].as_u64().unwrap() > 100);
    assert!(array(&again, "totals")[1] <= 859 * 96);
}

#[test]
fn repeating_runs_more_often() {
    let result = play("ipproto.bpf.o", TRAFFIC, &["--repeat", "3"]);
    assert_eq!(result["time"]["runs"], 3 * 859);
    assert_eq!(result["packets"]["played"], 859);
    assert_eq!(array(&result, "totals")[0], 3 * 859);
}

#[test]
fn people_see_names_and_numbers() {
    let (code, text, stderr) =
        crate::support::skep(&["play", &example("ipproto.bpf.o"), "--pcap", &example(TRAFFIC)]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for expected in ["859 packets", "XDP_PASS", "319704", "IP_ICMPV6", "188933", "ns/packet"] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn global_variables_are_read_where_they_are() {
    let result = play("portfilter.bpf.o", TRAFFIC, &[]);
    let variables = &map(&result, "portfilt.bss")["elements"][0]["value"];
    assert_eq!(variables["seen"], 859);
    // As the kernel leaves them.
    let expected = serde_json::json!({"tcp": 318, "udp": 113, "other": 236, "later_fragments": 22});
    assert_eq!(variables["passed"], expected);
    assert_eq!(map(&result, "portfilt.data")["elements"][0]["value"]["pass_mark"], 0x5ee9);
    let blocked = &map(&result, "portfilt.rodata")["elements"][0]["value"]["blocked"];
    assert_eq!(blocked[1], serde_json::json!({"number": 5353, "protocol": 17, "pad": 0}));
}

#[test]
fn checked_runs_see_no_fault_and_the_same_packets() {
    for (object, more) in [
        ("ipproto.bpf.o", vec![]),
        ("portfilter.bpf.o", vec![]),
        ("sizes.bpf.o", vec![]),
        ("xdplb.bpf.o", vec!["--prog", "xdplb"]),
        ("dns-or-http.cbpf", vec![]),
    ] {
        let trusted = play(object, TRAFFIC, &more);
        let checked = play(object, TRAFFIC, &[more, vec!["--checks"]].concat());
        assert_eq!(trusted["verdicts"], checked["verdicts"], "{object}");
    }
}
