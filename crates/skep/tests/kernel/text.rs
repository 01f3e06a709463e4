//! Helpers on strings and formats.

use crate::both::{SCHED_CLS, TestMap, XDP, case};

/// A value of `len` bytes that starts with `text`.
fn padded(text: &[u8], len: usize) -> Vec<u8> {
    let mut v = text.to_vec();
    v.resize(len, 0);
    v
}

#[test]
fn numbers() {
    let texts: &[&str] = &[
        "0",
        "1",
        "-1",
        "+1",
        "42abc",
        "  42",
        "\t\n-42 ",
        "0x1f",
        "0X1F",
        "0x",
        "0xg",
        "017",
        "08",
        "019",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "-",
        " ",
        "abc",
        "- 1",
        "--1",
        "ff",
        "-0",
        "-0x10",
        "000000000000000000000000000000000000000000000000000000000000000000001",
    ];
    for helper in [105, 106] {
        for text in texts {
            for flags in [0, 8, 10, 16, 2, 7, 32, 42] {
                case(
                    SCHED_CLS,
                    &format!(
                        "r1 = map[idx:0][0]+0\nr2 = {}\nr3 = {flags}\nr4 = map[idx:1][0]+0\ncall {helper}\nexit",
                        text.len()
                    ),
                )
                .map(TestMap::value(&padded(text.as_bytes(), 80)))
                .map(TestMap::value(&[0x55; 8]))
                .check();
            }
        }
    }
}

#[test]
fn strncmp() {
    for (a, b) in [
        ("", ""),
        ("a", "a"),
        ("a", "b"),
        ("b", "a"),
        ("ab", "a"),
        ("a", "ab"),
        ("\u{7f}", "é"),
        ("abc", "abd"),
    ] {
        for len in [1, 2, 3, 8] {
            case(
                XDP,
                &format!("r1 = map[idx:0][0]+0\nr2 = {len}\nr3 = map[idx:1][0]+0\ncall 182\nexit"),
            )
            .map(TestMap::value(&padded(a.as_bytes(), 8)))
            .map(TestMap::rodata(&padded(b.as_bytes(), 8)))
            .check();
        }
    }
    // The second string must be a constant.
    case(XDP, "r1 = map[idx:0][0]+0\nr2 = 8\nr3 = map[idx:0][0]+0\ncall 182\nexit")
        .map(TestMap::value(&[0; 8]))
        .check();
}

const FORMATS: &[&str] = &[
    "",
    "plain",
    "100%%",
    "%d",
    "%5d|",
    "%-5d|",
    "%05d|",
    "%+d % d",
    "%i %u %x",
    "%X %lx %llX",
    "%ld %lld",
    "%lu",
    "%08x",
    "%-8x|",
    "%c%c%c",
    "%3c|",
    "%10d %-10d|",
    "%f",
    "%",
    "%#x",
    "%.3d",
    "%hd",
    "%hhx",
    "%5",
    "%d%d%d",
    "%d%d%d%d",
    "\u{1}",
    "é",
    "%pI5",
    "%pU",
    "%sx",
    "tab\tnewline\n",
    "%px",
    "%0+5d|",
    "%+05d|",
    "%s",
    "%s.",
    "%pks",
    "%l",
    "%lc",
    "% 5d|",
    "%1000d",
];

#[test]
fn snprintf() {
    for fmt in FORMATS {
        for room in [0, 1, 4, 32] {
            for count in [0usize, 1, 3] {
                let out = if room == 0 { "r1 = 0" } else { "r1 = map[idx:0][0]+0" };
                let args = if count == 0 { "r4 = 0" } else { "r4 = map[idx:1][0]+0" };
                // Arguments that are also valid, if empty, strings: addresses that cannot be read.
                case(
                    SCHED_CLS,
                    &format!(
                        "{out}\nr2 = {room}\nr3 = map[idx:2][0]+0\n{args}\nr5 = {}\ncall 165\nexit",
                        count * 8
                    ),
                )
                .map(TestMap::value(&[0xee; 32]))
                .map(TestMap::value(&[[0x41; 8], [0xff; 8], [5, 0, 0, 0, 0, 0, 0, 0x80]].concat()))
                .map(TestMap::rodata(&padded(fmt.as_bytes(), 64)))
                .check_early();
            }
        }
    }
}

#[test]
fn snprintf_of_strings_and_addresses() {
    // The arguments are built on the stack: an address of a map value, then numbers.
    for fmt in [
        "%s", "[%8s]", "[%-8s]", "%s %d", "%pI4", "%pi4", "%pI6", "%pi6", "%pI4 %x", "%s%s", "%pks",
    ] {
        case(
            XDP,

                "r1 = map[idx:1][0]+0\n*(u64 *)(r10 - 16) = r1\nr1 = 77\n*(u64 *)(r10 - 8) = r1\n\
                 r1 = map[idx:0][0]+0\nr2 = 48\nr3 = map[idx:2][0]+0\nr4 = r10\nr4 += -16\nr5 = 16\ncall 165\nexit"
            ,
        )
        .map(TestMap::value(&[0xee; 48]))
        .map(TestMap::value(&padded(b"abc", 16)))
        .map(TestMap::rodata(&padded(fmt.as_bytes(), 16)))
        .check_early();
    }
}

/// Pointers are printed differently, but as long.
#[test]
fn pointers() {
    for fmt in ["%p%d", "%p%%", "%p", "%pK|", "%20p|", "%p %p", "%pd"] {
        let text = "r1 = map[idx:0][0]+0\nr2 = 16\nr3 = 5\nr4 = -1\nr5 = 7\ncall 6\nexit";
        case(XDP, text).map(TestMap::value(&padded(fmt.as_bytes(), 16))).check();
    }
}

#[test]
fn trace_printk() {
    for fmt in FORMATS {
        // With and without its NUL, on the stack by way of a map value.
        for len in [fmt.len(), fmt.len() + 1, fmt.len() + 2] {
            if len == 0 {
                continue;
            }
            case(
                XDP,
                &format!(
                    "r1 = map[idx:0][0]+0\nr2 = {len}\nr3 = 65\nr4 = -1\nr5 = 0x12345678\ncall 6\nexit"
                ),
            )
            .map(TestMap::value(&padded(fmt.as_bytes(), 64)))
            .check();
        }
    }
}

#[test]
fn trace_vprintk() {
    for fmt in FORMATS {
        for size in [0, 8, 12, 24, 96, 104] {
            let args = if size == 0 { "r3 = 0" } else { "r3 = map[idx:1][0]+0" };
            case(
                XDP,
                &format!(
                    "r1 = map[idx:0][0]+0\nr2 = {}\n{args}\nr4 = {size}\ncall 177\nexit",
                    fmt.len() + 1
                ),
            )
            .map(TestMap::value(&padded(fmt.as_bytes(), 64)))
            .map(TestMap::value(&[0x41; 104]))
            .check();
        }
    }
}

#[test]
fn probe_read() {
    for helper in [113, 115] {
        for len in [0, 1, 3, 4, 8] {
            for source in ["r3 = map[idx:1][0]+0", "r3 = 0", "r3 = -1"] {
                case(
                    XDP,
                    &format!("r1 = map[idx:0][0]+0\nr2 = {len}\n{source}\ncall {helper}\nexit"),
                )
                .map(TestMap::value(&[0xee; 8]))
                .map(TestMap::value(b"abc\0defg"))
                .check();
            }
        }
    }
}
