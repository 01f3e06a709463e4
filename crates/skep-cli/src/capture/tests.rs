//! Captures of every kind survive reading and writing; broken ones give an error at the right place.

use super::*;

/// Reads a capture and writes it again, each packet through `change`. Returns packets and output, or the error.
fn rewrite(
    input: &[u8],
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<(u64, Vec<u8>), CaptureError> {
    let mut reader = Reader::new(input)?;
    let (mut packets, mut out) = (0, Vec::new());
    while let Some(item) = reader.next()? {
        match item {
            Item::Other(bytes) => out.extend_from_slice(bytes),
            Item::Packet(packet) => {
                packets += 1;
                assert_eq!(packet.number, packets);
                packet.encode(&change(packet.data), &mut out);
            }
        }
    }
    assert_eq!(reader.position(), input.len() as u64);
    Ok((packets, out))
}

fn copy(data: &[u8]) -> Vec<u8> {
    data.to_vec()
}

/// Builds captures in either byte order.
struct Build {
    endian: Endian,
    out: Vec<u8>,
}

impl Build {
    fn new(endian: Endian) -> Self {
        Self { endian, out: Vec::new() }
    }

    fn u16(mut self, value: u16) -> Self {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        self.out.extend_from_slice(&bytes);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.out.extend_from_slice(&self.endian.put32(value));
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.out.extend_from_slice(bytes);
        self
    }

    fn pcap_header(self, magic: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(1)
    }

    fn pcap_packet(self, original_len: u32, data: &[u8]) -> Self {
        self.u32(7).u32(8).u32(data.len() as u32).u32(original_len).bytes(data)
    }

    fn block(mut self, block: u32, body: impl FnOnce(Build) -> Build) -> Self {
        let body = body(Build::new(self.endian)).out;
        let len = body.len() as u32 + 12;
        self = self.u32(block).u32(len).bytes(&body);
        self.u32(len)
    }

    fn section(self) -> Self {
        self.block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX))
    }

    fn interface(self, link: u16, snap_len: u32) -> Self {
        self.block(1, |b| {
            b.u16(link).u16(0).u32(snap_len).bytes(&[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0])
        })
    }

    fn enhanced(self, interface: u32, original_len: u32, data: &[u8], options: &[u8]) -> Self {
        let padding = [0; 3];
        self.block(6, |b| {
            let b = b.u32(interface).u32(1).u32(2).u32(data.len() as u32).u32(original_len);
            b.bytes(data).bytes(&padding[..data.len().wrapping_neg() & 3]).bytes(options)
        })
    }
}

const ENDIANS: [Endian; 2] = [Endian::Little, Endian::Big];

fn pcap(endian: Endian) -> Vec<u8> {
    Build::new(endian)
        .pcap_header(0xa1b2_c3d4)
        .pcap_packet(5, b"abcde")
        .pcap_packet(0, b"")
        .pcap_packet(100, b"snapped")
        .out
}

fn pcapng(endian: Endian) -> Vec<u8> {
    let b = Build::new(endian).section().interface(1, 6).interface(276, 0);
    // A comment, a hash, the end.
    let options = match endian {
        Endian::Little => *b"\x01\0\x02\0hi\0\0\x03\0\x05\0\x02abcd\0\0\0\0\0\0\0",
        Endian::Big => *b"\0\x01\0\x02hi\0\0\0\x03\0\x05\x02abcd\0\0\0\0\0\0\0",
    };
    b.block(4, |b| b.u32(0))
        .enhanced(0, 5, b"abcde", &options)
        .enhanced(1, 9, b"abcd", b"")
        .block(3, |b| b.u32(5).bytes(b"hello\0\0\0"))
        .block(3, |b| b.u32(50).bytes(b"snappe\0\0"))
        .block(2, |b| b.u16(1).u16(0).u32(1).u32(2).u32(3).u32(3).bytes(b"old\0"))
        .section()
        .interface(1, 0)
        .enhanced(0, 1, b"x", b"")
        .block(0x4000_0001, |b| b.bytes(b"whatever"))
        .out
}

#[test]
fn pcap_of_each_byte_order_and_variant_is_kept() {
    for endian in ENDIANS {
        let input = pcap(endian);
        assert_eq!(rewrite(&input, copy).unwrap(), (3, input));
        let nanoseconds = Build::new(endian).pcap_header(0xa1b2_3c4d).pcap_packet(1, b"n").out;
        assert_eq!(rewrite(&nanoseconds, copy).unwrap(), (1, nanoseconds));
        let extended = Build::new(endian).pcap_header(0xa1b2_cd34).u32(1).u32(2).u32(3).u32(3);
        let extended = extended.bytes(b"12345678abc").out;
        assert_eq!(rewrite(&extended, copy).unwrap(), (1, extended));
    }
}

#[test]
fn old_versions_have_their_lengths_swapped() {
    let capture = |minor, first, second| {
        let header = Build::new(Endian::Little).u32(0xa1b2_c3d4).u16(2).u16(minor);
        let header = header.u32(0).u32(0).u32(65535).u32(1);
        header.u32(7).u32(8).u32(first).u32(second).bytes(b"abc").out
    };
    for (minor, first, second) in [(4, 3, 9), (3, 3, 9), (3, 9, 3), (2, 9, 3), (0, 9, 3)] {
        let input = capture(minor, first, second);
        let mut reader = Reader::new(input.as_slice()).unwrap();
        reader.next().unwrap();
        let Some(Item::Packet(packet)) = reader.next().unwrap() else { panic!("no packet") };
        assert_eq!((packet.data, packet.original_len), (b"abc".as_slice(), 9));
        assert_eq!(rewrite(&input, copy).unwrap(), (1, input));
    }
}

#[test]
fn pcapng_of_each_byte_order_is_kept() {
    for endian in ENDIANS {
        let input = pcapng(endian);
        assert_eq!(rewrite(&input, copy).unwrap(), (6, input));
    }
    let mut mixed = pcapng(Endian::Little);
    mixed.extend(pcapng(Endian::Big));
    assert_eq!(rewrite(&mixed, copy).unwrap(), (12, mixed));
}

#[test]
fn packets_say_what_they_are() {
    for endian in ENDIANS {
        let input = pcapng(endian);
        let mut reader = Reader::new(input.as_slice()).unwrap();
        assert_eq!(reader.link_type(), None);
        let mut seen = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            if let Item::Packet(p) = item {
                seen.push((p.link_type.0, p.original_len, p.is_snapped(), p.data.to_vec()));
            }
        }
        let expected: [(u32, u32, bool, &[u8]); 6] = [
            (1, 5, false, b"abcde"),
            (276, 9, true, b"abcd"),
            (1, 5, false, b"hello"),
            (1, 50, true, b"snappe"),
            (276, 3, false, b"old"),
            (1, 1, false, b"x"),
        ];
        assert_eq!(seen, expected.map(|(l, o, s, d)| (l, o, s, d.to_vec())));
    }
    assert_eq!(
        Reader::new(pcap(Endian::Big).as_slice()).unwrap().link_type(),
        Some(LinkType::ETHERNET)
    );
}

#[test]
fn changed_packets_keep_everything_else() {
    let grow = |data: &[u8]| [data, b"+++"].concat();
    for endian in ENDIANS {
        let expected = Build::new(endian)
            .pcap_header(0xa1b2_c3d4)
            .pcap_packet(8, b"abcde+++")
            .pcap_packet(3, b"+++")
            .pcap_packet(103, b"snapped+++")
            .out;
        assert_eq!(rewrite(&pcap(endian), grow).unwrap(), (3, expected));

        let output = rewrite(&pcapng(endian), grow).unwrap().1;
        let mut reader = Reader::new(output.as_slice()).unwrap();
        let mut seen = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            if let Item::Packet(p) = item {
                seen.push((p.link_type.0, p.original_len, p.data.to_vec()));
            }
        }
        let expected: [(u32, u32, &[u8]); 6] = [
            (1, 8, b"abcde+++"),
            (276, 12, b"abcd+++"),
            (1, 8, b"hello+++"),
            (1, 53, b"snappe+++"),
            (276, 6, b"old+++"),
            (1, 4, b"x+++"),
        ];
        assert_eq!(seen, expected.map(|(l, o, d)| (l, o, d.to_vec())));
        // The comment stays, the hash goes.
        let holds = |what: &[u8]| output.windows(what.len()).any(|w| w == what);
        assert!(holds(b"hi\0\0") && !holds(b"\x02abcd"));
    }
}

#[test]
fn a_capture_cut_anywhere_is_an_error_or_ends_between_records() {
    for endian in ENDIANS {
        for input in [pcap(endian), pcapng(endian)] {
            let mut clean = 0;
            for cut in 0..input.len() {
                match rewrite(&input[..cut], copy) {
                    Ok((_, output)) => {
                        assert_eq!(output, input[..cut]);
                        clean += 1;
                    }
                    Err(err) => {
                        assert!(
                            matches!(
                                err.kind,
                                CaptureErrorKind::Truncated { .. } | CaptureErrorKind::Empty
                            ),
                            "{err}"
                        );
                        assert!(err.offset <= cut as u64);
                    }
                }
            }
            // After the header and all but the last record.
            assert_eq!(clean, if input == pcap(endian) { 3 } else { 12 });
        }
    }
}

#[test]
fn a_capture_with_any_byte_changed_does_not_panic() {
    for endian in ENDIANS {
        for input in [pcap(endian), pcapng(endian)] {
            for at in 0..input.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, input[at] ^ 1, input[at].wrapping_add(4)] {
                    let mut broken = input.clone();
                    broken[at] = value;
                    // Either is fine; what was read must also be readable when written.
                    if let Ok((packets, output)) = rewrite(&broken, copy) {
                        assert_eq!(rewrite(&output, copy).unwrap(), (packets, output));
                    }
                }
            }
        }
    }
}

#[track_caller]
fn error_of(input: &[u8]) -> String {
    rewrite(input, copy).expect_err("should not be readable").to_string()
}

#[test]
fn errors_name_the_packet_and_the_place() {
    let e = Endian::Little;
    let header = || Build::new(e).pcap_header(0xa1b2_c3d4);
    let section = || Build::new(e).section().interface(1, 0);
    for (input, expected) in [
        (vec![], "the file is empty"),
        (b"\xd4\xc3".to_vec(), "the file ends within the file header: 2 of 24 bytes"),
        (
            b"\x7fELF....".to_vec(),
            "neither a pcap nor a pcapng capture: it begins with 7f 45 4c 46",
        ),
        (b"\x1f\x8b\x08\0".to_vec(), "compressed by gzip: decompress it first"),
        (
            Build::new(e).u32(0xa1b2_c3d4).u16(3).u16(9).bytes(&[0; 16]).out,
            "version 3.9 of the capture format is unknown",
        ),
        (
            header().pcap_packet(3, b"abc").u32(0).u32(0).u32(300_000).u32(300_000).out,
            "packet 2, at byte 43: captured length of 300000 bytes, above the largest possible (262144)",
        ),
        (
            header().u32(0).u32(0).u32(30).u32(30).bytes(b"abc").out,
            "packet 1, at byte 24: the file ends within a packet's data: 3 of 30 bytes",
        ),
        (
            section().enhanced(3, 1, b"x", b"").out,
            "packet 1, at byte 60: interface 3, but the section has described 1",
        ),
        (
            Build::new(e).section().block(3, |b| b.u32(0)).out,
            "packet 1, at byte 28: interface 0, but the section has described 0",
        ),
        (
            section().block(6, |b| b.u32(0).u32(0).u32(0).u32(9).u32(9).bytes(b"abcd")).out,
            "packet 1, at byte 60: captured length of 9 bytes, but the block has 4",
        ),
        (
            section().u32(6).u32(16).u32(0).u32(16).out,
            "packet 1, at byte 60: block of type 0x6 states a length of 16 bytes, expected at least 32 for a packet",
        ),
        (
            section().u32(77).u32(18).bytes(&[0; 10]).out,
            "packet 1, at byte 60: block of type 0x4d states a length of 18 bytes, expected a multiple of 4",
        ),
        (
            section().u32(77).u32(0xffff_fff0).out,
            "packet 1, at byte 60: block of type 0x4d states a length of 4294967280 bytes, expected at most 128 MiB",
        ),
        (
            section().u32(77).u32(12).u32(16).out,
            "packet 1, at byte 60: block of type 0x4d states a length of 12 bytes at its start and 16 at its end",
        ),
        (
            section().bytes(&SECTION).u32(28).u32(1).bytes(&[0; 16]).out,
            "packet 1, at byte 60: section with byte-order magic 01 00 00 00, expected 1a 2b 3c 4d or the reverse",
        ),
    ] {
        assert_eq!(error_of(&input), expected);
    }
}

const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

#[test]
fn a_stated_length_is_not_believed_before_the_data_is_there() {
    // 128 MiB stated, a few bytes there: the buffer grows with the data only.
    let input = Build::new(Endian::Little).section().u32(5).u32(128 << 20).bytes(b"few").out;
    let mut reader = Reader::new(input.as_slice()).unwrap();
    reader.next().unwrap();
    assert!(reader.next().is_err());
    let Format::Pcapng(state) = &reader.format else { panic!("is a pcapng") };
    assert!(state.capacity() < 4096);
}

#[test]
fn the_example_captures_are_kept() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/");
    for (name, packets) in [("traffic.pcapng", 859), ("raw-ip.pcap", 10)] {
        let input = std::fs::read(format!("{examples}{name}")).unwrap();
        let (seen, output) = rewrite(&input, copy).unwrap();
        assert_eq!(seen, packets, "{name}");
        assert!(output == input, "{name} changed");
    }
}
