//! Memory does not grow with the capture.

use crate::support::{example, scratch};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Writes the example capture over and over, until it has `packets` packets.
fn enlarge(path: &Path, packets: u64) {
    use skep_cli::capture::{Item, Reader};
    let input = std::fs::read(example("traffic.pcapng")).unwrap();
    let mut out = BufWriter::new(File::create(path).unwrap());
    let mut written = 0;
    while written < packets {
        let mut reader = Reader::new(input.as_slice()).unwrap();
        while let Some(item) = reader.next().unwrap() {
            let mut record = Vec::new();
            match item {
                Item::Other(bytes) if written == 0 => record.extend_from_slice(bytes),
                Item::Packet(packet) if written < packets => {
                    packet.encode(packet.data, &mut record);
                    written += 1;
                }
                Item::Other(_) | Item::Packet(_) => {}
            }
            out.write_all(&record).unwrap();
        }
    }
    out.flush().unwrap();
}

/// Most memory that a play had at once (`VmHWM`), in KiB.
fn peak_kib(capture: &Path, packets: u64) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(["play", &example("xdplb.bpf.o"), "--prog", "xdplb", "--json", "--pcap"])
        .arg(capture)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap());
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(1));
    }
    let result: serde_json::Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert_eq!(result["packets"]["played"], packets);
    assert!(peak > 0);
    peak
}

#[test]
fn ten_times_the_packets_take_the_same_memory() {
    let dir = scratch("memory");
    let mut peaks = Vec::new();
    for packets in [10_000, 100_000] {
        let capture = dir.join(format!("{packets}.pcapng"));
        enlarge(&capture, packets);
        peaks.push(peak_kib(&capture, packets));
        std::fs::remove_file(&capture).unwrap();
    }
    // The larger capture has 33 MB more.
    assert!(peaks[1] < peaks[0] + 4096, "{peaks:?} KiB");
}
