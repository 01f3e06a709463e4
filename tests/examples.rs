//! The committed examples: objects and the packets of the capture.

use std::path::PathBuf;

use skep_cli::capture::{Item, Reader};

/// Content of a file under `examples/`.
///
/// # Panics
/// If it cannot be read.
pub fn read(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The packets of `traffic.pcapng`, from the link header on.
///
/// # Panics
/// If the capture is damaged.
pub fn packets() -> Vec<Vec<u8>> {
    let capture = read("traffic.pcapng");
    let mut reader = Reader::new(capture.as_slice()).unwrap_or_else(|e| panic!("{e}"));
    let mut packets = Vec::new();
    while let Some(item) = reader.next().unwrap_or_else(|e| panic!("{e}")) {
        if let Item::Packet(packet) = item {
            packets.push(packet.data.to_vec());
        }
    }
    packets
}
