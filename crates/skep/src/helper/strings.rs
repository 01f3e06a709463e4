//! Helpers on strings. Facts: kernel/bpf/helpers.c, lib/kstrtox.c.

use super::{ANY, Helper, HelperProto, IN, SIZE, STR, aligned, helper_of, proto};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_verifier::env::{ArgType, MemAccess};
use skep_vm::Call;

const RESULT: ArgType = aligned(MemAccess::Write, 8);

const fn strto(id: i32, name: &'static str) -> HelperProto {
    proto(id, name, &[IN, SIZE, ANY, RESULT])
}

pub(super) static HELPERS: &[Helper] = &[
    helper_of(strto(105, "strtol"), (5, 2), ProgTypes::EXTENDED, strtol),
    helper_of(strto(106, "strtoul"), (5, 2), ProgTypes::EXTENDED, strtoul),
    helper_of(proto(182, "strncmp", &[IN, SIZE, STR]), (5, 17), ProgTypes::EXTENDED, strncmp),
];

/// A number at the start of a text.
struct Parsed {
    negative: bool,
    value: u64,
    /// Bytes of white space, sign, prefix and digits.
    consumed: usize,
}

/// The kernel copies no more than this of the number.
const MAX_DIGITS: usize = 63;
/// Flag bits that hold the base (`BPF_STRTOX_BASE_MASK`).
const BASE_MASK: u64 = 0x1f;

fn parse(text: &[u8], flags: u64) -> Result<Parsed, Errno> {
    if text.is_empty() || flags & !BASE_MASK != 0 || !matches!(flags, 0 | 8 | 10 | 16) {
        return Err(Errno::EINVAL);
    }
    let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0xa0);
    let start = text.iter().position(|b| !space(b)).unwrap_or(text.len());
    let negative = text.get(start) == Some(&b'-');
    let start = start + usize::from(negative);
    let number = &text[start..];
    let number = &number[..number.len().min(MAX_DIGITS)];
    let hex = number.len() >= 2 && number[0] == b'0' && number[1].eq_ignore_ascii_case(&b'x');
    let base = match flags {
        0 if hex && number.get(2).is_some_and(u8::is_ascii_hexdigit) => 16,
        0 if number.first() == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    let prefix = if base == 16 && hex { 2 } else { 0 };
    let mut value = 0u64;
    let mut overflow = false;
    let mut digits = 0;
    for b in &number[prefix..] {
        let Some(digit) = (*b as char).to_digit(base as u32) else { break };
        let next = value.checked_mul(base).and_then(|v| v.checked_add(u64::from(digit)));
        overflow |= next.is_none();
        value = next.unwrap_or(value);
        digits += 1;
    }
    if overflow {
        return Err(Errno::ERANGE);
    }
    if digits == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Parsed { negative, value, consumed: start + prefix + digits })
}

fn finish(call: &mut Call<'_>, result: Result<(u64, usize), Errno>) -> u64 {
    let value = result.map_or(0, |(v, _)| v);
    let stored = call.mem(3).copy_out(0, &value.to_ne_bytes());
    match (result, stored) {
        (Ok((_, consumed)), Ok(())) => consumed as u64,
        (Err(e), _) => e.to_ret(),
        (Ok(_), Err(_)) => Errno::EFAULT.to_ret(),
    }
}

fn strtol(call: &mut Call<'_>) -> u64 {
    let text = call.mem(0).copy_in();
    let result = parse(&text, call.scalar(2)).and_then(|p| {
        let value = if p.negative { p.value.wrapping_neg() } else { p.value } as i64;
        let fits = if p.negative { value <= 0 } else { value >= 0 };
        if fits { Ok((value as u64, p.consumed)) } else { Err(Errno::ERANGE) }
    });
    finish(call, result)
}

fn strtoul(call: &mut Call<'_>) -> u64 {
    let text = call.mem(0).copy_in();
    let result = parse(&text, call.scalar(2))
        .and_then(|p| if p.negative { Err(Errno::EINVAL) } else { Ok((p.value, p.consumed)) });
    finish(call, result)
}

fn strncmp(call: &mut Call<'_>) -> u64 {
    let s2 = call.const_str(2);
    let s1 = call.mem(0).copy_in();
    for (i, &a) in s1.iter().enumerate() {
        let b = s2.get(i).copied().unwrap_or(0);
        if a != b {
            return if a < b { -1i64 as u64 } else { 1 };
        }
        if a == 0 {
            return 0;
        }
    }
    0
}
