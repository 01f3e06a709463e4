//! The format strings of `bpf_trace_printk`, `bpf_trace_vprintk` and `bpf_snprintf`: which are valid, and what they
//! give. Facts: `bpf_bprintf_prepare` in kernel/bpf/helpers.c, lib/vsprintf.c.

use skep_abi::Errno;
use skep_vm::Call;

/// Longest string that `%s` copies, in bytes.
const MAX_STR: usize = 511;

/// One piece of a format.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(Vec<u8>),
    Arg(Spec),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Spec {
    conv: Conv,
    zero: bool,
    left: bool,
    plus: bool,
    space: bool,
    width: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Conv {
    /// `%d`, `%i`, with the argument's bits.
    Signed(u32),
    /// `%u`, `%x`, `%X`.
    Unsigned(u32, Radix),
    Char,
    Str,
    /// `%p` and its kin.
    ///
    /// DEVIATION: the kernel hides pointers behind a hash and names functions; there is nothing to hide
    /// or to name here, so all are printed as `%px`.
    Pointer,
    /// `%pi4`, `%pI4`, `%pi6`, `%pI6`.
    Ip {
        version: u8,
        pretty: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Radix {
    Decimal,
    Hex,
    UpperHex,
}

/// A valid format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Format(Vec<Piece>);

fn is_print(b: u8) -> bool {
    (0x20..0x7f).contains(&b)
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | 0x09..=0x0d)
}

/// End of a conversion that may not run into a letter.
fn is_boundary(b: u8) -> bool {
    b == 0 || is_space(b) || b.is_ascii_punctuation()
}

impl Format {
    /// Parses a format without its NUL, for at most `max_args` arguments.
    ///
    /// # Errors
    /// `EINVAL` for what the kernel does not print, and for too many arguments.
    pub(super) fn parse(fmt: &[u8], max_args: usize) -> Result<Format, Errno> {
        let at = |i: usize| fmt.get(i).copied().unwrap_or(0);
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let (mut i, mut args) = (0, 0);
        while i < fmt.len() {
            let b = fmt[i];
            if !is_print(b) && !is_space(b) && b.is_ascii() {
                return Err(Errno::EINVAL);
            }
            if b != b'%' || at(i + 1) == b'%' {
                text.push(b);
                i += if b == b'%' { 2 } else { 1 };
                continue;
            }
            if args >= max_args {
                return Err(Errno::EINVAL);
            }
            i += 1;
            let flags = i;
            while matches!(at(i), b'0' | b'+' | b'-' | b' ') {
                i += 1;
            }
            let has = |f: u8| fmt[flags..i].contains(&f);
            let (zero, left, plus, space) = (has(b'0'), has(b'-'), has(b'+'), has(b' '));
            let mut width = 0usize;
            while at(i).is_ascii_digit() {
                width = width.saturating_mul(10).saturating_add(usize::from(at(i) - b'0'));
                i += 1;
            }
            let (conv, len) = conversion(&fmt[i.min(fmt.len())..])?;
            i += len;
            args += 1;
            if !text.is_empty() {
                pieces.push(Piece::Text(core::mem::take(&mut text)));
            }
            // The kernel's field width is a 16-bit number.
            let width = width.min(i16::MAX as usize);
            pieces.push(Piece::Arg(Spec { conv, zero, left, plus, space, width }));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Format(pieces))
    }

    /// Prints with these arguments; missing ones are 0.
    pub(super) fn print(&self, call: &mut Call<'_>, args: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut args = args.iter().copied();
        for piece in &self.0 {
            match piece {
                Piece::Text(t) => out.extend_from_slice(t),
                Piece::Arg(spec) => spec.print(call, args.next().unwrap_or(0), &mut out),
            }
        }
        out
    }
}

/// The conversion at the start of `rest`, and how many bytes it takes.
fn conversion(rest: &[u8]) -> Result<(Conv, usize), Errno> {
    let at = |i: usize| rest.get(i).copied().unwrap_or(0);
    match at(0) {
        b'p' => match (at(1), at(2)) {
            (b'k' | b'u', b's') if is_boundary(at(3)) => Ok((Conv::Str, 3)),
            (b'K' | b'x' | b's' | b'S' | b'B', _) => Ok((Conv::Pointer, 2)),
            (next, _) if is_boundary(next) => Ok((Conv::Pointer, 1)),
            (style @ (b'i' | b'I'), version @ (b'4' | b'6')) => {
                Ok((Conv::Ip { version: version - b'0', pretty: style == b'I' }, 3))
            }
            _ => Err(Errno::EINVAL),
        },
        b's' if is_boundary(at(1)) => Ok((Conv::Str, 1)),
        b'c' => Ok((Conv::Char, 1)),
        _ => {
            let longs = if at(0) == b'l' { 1 + usize::from(at(1) == b'l') } else { 0 };
            let bits = if longs == 0 { 32 } else { 64 };
            let conv = match at(longs) {
                b'd' | b'i' => Conv::Signed(bits),
                b'u' => Conv::Unsigned(bits, Radix::Decimal),
                b'x' => Conv::Unsigned(bits, Radix::Hex),
                b'X' => Conv::Unsigned(bits, Radix::UpperHex),
                _ => return Err(Errno::EINVAL),
            };
            Ok((conv, longs + 1))
        }
    }
}

impl Spec {
    fn print(&self, call: &mut Call<'_>, arg: u64, out: &mut Vec<u8>) {
        match self.conv {
            Conv::Signed(bits) => {
                let v = if bits == 32 { i64::from(arg as i32) } else { arg as i64 };
                let sign = match (v < 0, self.plus, self.space) {
                    (true, _, _) => "-",
                    (false, true, _) => "+",
                    (false, false, true) => " ",
                    (false, false, false) => "",
                };
                self.number(sign, &v.unsigned_abs().to_string(), out);
            }
            Conv::Unsigned(bits, radix) => {
                let v = if bits == 32 { u64::from(arg as u32) } else { arg };
                let digits = match radix {
                    Radix::Decimal => format!("{v}"),
                    Radix::Hex => format!("{v:x}"),
                    Radix::UpperHex => format!("{v:X}"),
                };
                self.number("", &digits, out);
            }
            Conv::Char => self.pad(&[arg as u8], out),
            Conv::Str => {
                let text = call.probe_str(arg, MAX_STR).unwrap_or_default();
                self.pad(&text, out);
            }
            Conv::Pointer => {
                let digits = format!("{arg:016x}");
                self.pad(digits.as_bytes(), out);
            }
            Conv::Ip { version, pretty } => {
                let len = if version == 4 { 4 } else { 16 };
                let addr = call.probe_read(arg, len).unwrap_or_else(|| vec![0; len]);
                self.pad(ip(&addr, pretty).as_bytes(), out);
            }
        }
    }

    fn number(&self, sign: &str, digits: &str, out: &mut Vec<u8>) {
        let len = sign.len() + digits.len();
        if self.zero && !self.left {
            out.extend_from_slice(sign.as_bytes());
            out.resize(out.len() + self.width.saturating_sub(len), b'0');
            out.extend_from_slice(digits.as_bytes());
        } else {
            self.pad(format!("{sign}{digits}").as_bytes(), out);
        }
    }

    fn pad(&self, text: &[u8], out: &mut Vec<u8>) {
        let fill = self.width.saturating_sub(text.len());
        if !self.left {
            out.resize(out.len() + fill, b' ');
        }
        out.extend_from_slice(text);
        if self.left {
            out.resize(out.len() + fill, b' ');
        }
    }
}

fn ip(addr: &[u8], pretty: bool) -> String {
    let parts: Vec<String> = match (addr.len(), pretty) {
        (4, true) => addr.iter().map(|b| b.to_string()).collect(),
        (4, false) => addr.iter().map(|b| format!("{b:03}")).collect(),
        _ => addr.chunks(2).map(|w| w.iter().map(|b| format!("{b:02x}")).collect()).collect(),
    };
    match (addr.len(), pretty) {
        (4, _) => parts.join("."),
        (_, true) => parts.join(":"),
        (_, false) => parts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses() {
        let ok = |f: &str| Format::parse(f.as_bytes(), 4).is_ok();
        for good in
            ["", "100%%", "%d %5u %-5lx %08llX", "%s.", "%px %pK %p", "%pI4 %pi6", "%c%c", "é"]
        {
            assert!(ok(good), "{good}");
        }
        for bad in ["%", "%f", "%#x", "%.3s", "%sx", "%hd", "%pI5", "%pU", "%d%d%d%d%d", "\u{1}"] {
            assert!(!ok(bad), "{bad}");
        }
        assert_eq!(Format::parse(b"%d", 0), Err(Errno::EINVAL));
    }

    #[test]
    fn addresses() {
        assert_eq!(ip(&[10, 0, 0, 1], true), "10.0.0.1");
        assert_eq!(ip(&[10, 0, 0, 1], false), "010.000.000.001");
        let six: Vec<u8> = (0..16).collect();
        assert_eq!(ip(&six, true), "0001:0203:0405:0607:0809:0a0b:0c0d:0e0f");
    }
}
