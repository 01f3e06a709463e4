//! Formats of `bpf_snprintf` and the like, as far as they are known before the program runs.

/// Every conversion is one that the kernel knows, and there is an argument for it (`bpf_bprintf_prepare`).
pub(super) fn check_format(text: &[u8], args: u64) -> bool {
    let mut rest = text;
    let mut used = 0u64;
    while let Some((&c, after)) = rest.split_first() {
        rest = after;
        if c.is_ascii() && !is_text(c) {
            return false;
        }
        if c != b'%' {
            continue;
        }
        if let Some(after) = rest.strip_prefix(b"%") {
            rest = after;
            continue;
        }
        if used >= args {
            return false;
        }
        match conversion(rest) {
            Some(after) => rest = after,
            None => return false,
        }
        used += 1;
    }
    true
}

/// What the kernel lets through: printable characters and white space.
fn is_text(c: u8) -> bool {
    c.is_ascii_graphic() || is_space(c)
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The text ends here, or goes on with what cannot belong to the conversion.
fn is_end(rest: &[u8]) -> bool {
    rest.first().is_none_or(|c| is_space(*c) || c.is_ascii_punctuation())
}

/// The text behind a conversion whose `%` was read.
fn conversion(text: &[u8]) -> Option<&[u8]> {
    let skip = |t: &[u8], f: fn(&u8) -> bool| t.iter().take_while(|c| f(c)).count();
    let text = text.get(skip(text, |c| matches!(c, b'0' | b'+' | b'-' | b' '))..)?;
    let text = match text.first() {
        Some(b'1'..=b'9') => text.get(skip(text, u8::is_ascii_digit)..)?,
        _ => text,
    };
    let (&c, rest) = text.split_first()?;
    match c {
        b'p' => pointer(rest),
        b's' => is_end(rest).then_some(rest),
        b'c' => Some(rest),
        _ => {
            let long = text.strip_prefix(b"ll").or_else(|| text.strip_prefix(b"l"));
            let (&c, rest) = long.unwrap_or(text).split_first()?;
            matches!(c, b'i' | b'd' | b'u' | b'x' | b'X').then_some(rest)
        }
    }
}

/// The text behind a `%p` and what belongs to it.
fn pointer(rest: &[u8]) -> Option<&[u8]> {
    if is_end(rest) {
        return Some(rest);
    }
    match rest {
        [b'k' | b'u', b's', after @ ..] => is_end(after).then_some(after),
        [b'K' | b'x' | b's' | b'S' | b'B', after @ ..] | [b'i' | b'I', b'4' | b'6', after @ ..] => {
            Some(after)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::check_format;

    #[test]
    fn formats() {
        let good: &[(&str, u64)] = &[
            ("", 0),
            ("100%% é", 0),
            ("%d %08lx %-5lld|%c%s.", 5),
            ("%p %px %pK %pks, %pus\n", 5),
            ("%pi4 %pI6 %pB", 3),
            ("%d", 2),
        ];
        for (text, args) in good {
            assert!(check_format(text.as_bytes(), *args), "{text}");
        }
        let bad: &[(&str, u64)] =
            &[("%d", 0), ("%", 1), ("\x07", 0), ("%sx", 1), ("%pi5", 1), ("%q", 1), ("%lc", 1)];
        for (text, args) in bad {
            assert!(!check_format(text.as_bytes(), *args), "{text}");
        }
    }
}
