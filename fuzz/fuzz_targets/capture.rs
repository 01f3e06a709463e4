//! Captures from any bytes: reading never panics, and what was read is read the same again after it was written,
//! unchanged, cut and grown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep_cli::capture::{Item, Reader};

/// Link type, original length and data of each packet, and the capture written again with data changed by `change`.
type Read = (Vec<(u32, u32, Vec<u8>)>, Vec<u8>);

fn read(input: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> (Read, bool) {
    let (mut packets, mut out) = (Vec::new(), Vec::new());
    let Ok(mut reader) = Reader::new(input) else { return ((packets, out), false) };
    loop {
        match reader.next() {
            Ok(Some(Item::Other(bytes))) => out.extend_from_slice(bytes),
            Ok(Some(Item::Packet(packet))) => {
                packet.encode(&change(packet.data), &mut out);
                packets.push((packet.link_type.0, packet.original_len, packet.data.to_vec()));
            }
            Ok(None) => return ((packets, out), true),
            Err(error) => {
                assert!(error.offset <= input.len() as u64);
                assert!(!error.to_string().is_empty());
                return ((packets, out), false);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let ((packets, copy), _) = read(data, <[u8]>::to_vec);
    if copy.is_empty() {
        return;
    }
    let ((again, copy_of_copy), whole) = read(&copy, <[u8]>::to_vec);
    assert!(whole);
    assert_eq!(packets, again);
    assert_eq!(copy, copy_of_copy);

    let cut = |data: &[u8]| data[..data.len() / 2].to_vec();
    let grown = |data: &[u8]| [data, b"grown"].concat();
    for change in [&cut as &dyn Fn(&[u8]) -> Vec<u8>, &grown] {
        let ((_, changed), _) = read(data, change);
        let ((after, _), whole) = read(&changed, <[u8]>::to_vec);
        assert!(whole);
        assert_eq!(after.len(), packets.len());
        for (before, after) in packets.iter().zip(&after) {
            assert_eq!((before.0, change(&before.2)), (after.0, after.2.clone()));
        }
    }
});
