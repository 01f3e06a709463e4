//! Values of `.kconfig` externs: from kernel configuration text, and the virtual `LINUX_*` ones.

use crate::error::ElfError;
use crate::externs::{ConfigPlace, ConfigType, Extern, Origin, kconfig_size};
use crate::layout::KCONFIG;
use crate::model::ExternValue;
use crate::options::OpenOptions;

/// Most bytes that the `.kconfig` map may have.
const MAX_SIZE: u32 = 1 << 24;

/// Resolves all configuration externs and gives the contents of the `.kconfig` map; `None` if there are none.
pub(crate) fn resolve(
    externs: &mut [Extern],
    options: &OpenOptions<'_>,
) -> Result<Option<Vec<u8>>, ElfError> {
    let size = kconfig_size(externs);
    if size == 0 {
        return Ok(None);
    }
    if size > MAX_SIZE {
        return Err(ElfError::new(format!("{size} bytes, at most {MAX_SIZE} are supported"))
            .in_section(KCONFIG));
    }
    let mut data = vec![0; size as usize];
    for ext in externs.iter_mut() {
        if let Origin::Config(ty, place) = ext.kind
            && !ext.name.starts_with("CONFIG_")
        {
            let number = match ext.name.as_str() {
                "LINUX_KERNEL_VERSION" => u64::from(options.host.kernel_version),
                "LINUX_HAS_BPF_COOKIE" => u64::from(options.host.bpf_cookie),
                "LINUX_HAS_SYSCALL_WRAPPER" => u64::from(options.host.syscall_wrapper),
                name if name.starts_with("LINUX_") && ext.weak => 0,
                _ => {
                    return Err(ElfError::new(
                        "unknown virtual configuration value; known are CONFIG_*, LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE and LINUX_HAS_SYSCALL_WRAPPER",
                    )
                    .in_section(KCONFIG)
                    .of_symbol(&ext.name));
                }
            };
            set_number(&mut data, ty, place, number).map_err(|e| located(e, &ext.name))?;
            ext.value = Some(ExternValue::KconfigOffset(place.offset));
        }
    }
    for line in options.kconfig.unwrap_or("").lines() {
        if line.starts_with("CONFIG_") {
            process_line(externs, &mut data, line)?;
        }
    }
    // What is weak and not configured stays zero, at its place.
    for ext in externs.iter().filter(|e| matches!(e.kind, Origin::Config(..))) {
        if ext.value.is_none() && !ext.weak {
            return Err(ElfError::new(
                "not in the kernel configuration; mark it __weak if 0 will do",
            )
            .in_section(KCONFIG)
            .of_symbol(&ext.name));
        }
    }
    Ok(Some(data))
}

fn located(error: ElfError, name: &str) -> ElfError {
    error.in_section(KCONFIG).of_symbol(name)
}

fn process_line(externs: &mut [Extern], data: &mut [u8], line: &str) -> Result<(), ElfError> {
    let (name, value) = line.split_once('=').filter(|(_, v)| !v.is_empty()).ok_or_else(|| {
        ElfError::new(format!("kernel configuration line '{line}' is not of the form NAME=value"))
    })?;
    let Some(ext) = externs.iter_mut().find(|e| e.name == name && e.value.is_none()) else {
        return Ok(());
    };
    let Origin::Config(ty, place) = ext.kind else { return Ok(()) };
    let result = match value.as_bytes().first() {
        Some(letter @ (b'y' | b'n' | b'm')) => set_letter(data, ty, place, *letter),
        Some(b'"') => set_text(data, ty, place, value),
        _ => match parse_number(value) {
            Some(number) if matches!(ty, ConfigType::Int { .. } | ConfigType::Char { .. }) => {
                set_number(data, ty, place, number)
            }
            Some(_) => Err(ElfError::new(format!("value {value} needs an integer type"))),
            None => Err(ElfError::new(format!("value {value} is no integer"))),
        },
    };
    result.map_err(|e| located(e, name))?;
    ext.value = Some(ExternValue::KconfigOffset(place.offset));
    Ok(())
}

fn slot(data: &mut [u8], place: ConfigPlace) -> &mut [u8] {
    let start = place.offset as usize;
    // The place is inside by construction; an empty slice would only lose the value.
    data.get_mut(start..start.saturating_add(place.size as usize)).unwrap_or_default()
}

fn put(data: &mut [u8], place: ConfigPlace, value: u64) {
    let slot = slot(data, place);
    let bytes = value.to_ne_bytes();
    let len = slot.len().min(8);
    let from = if cfg!(target_endian = "big") { 8 - len } else { 0 };
    for (to, byte) in slot.iter_mut().zip(bytes.iter().skip(from)) {
        *to = *byte;
    }
}

fn set_letter(
    data: &mut [u8],
    ty: ConfigType,
    place: ConfigPlace,
    letter: u8,
) -> Result<(), ElfError> {
    let value = match (ty, letter) {
        (ConfigType::Bool, b'm') => {
            return Err(ElfError::new("value m needs the type enum libbpf_tristate or char"));
        }
        (ConfigType::Bool, _) => u64::from(letter == b'y'),
        // enum libbpf_tristate: no, yes, module.
        (ConfigType::Tristate, b'y') => 1,
        (ConfigType::Tristate, b'm') => 2,
        (ConfigType::Tristate, _) => 0,
        (ConfigType::Char { .. }, _) => u64::from(letter),
        (ConfigType::Int { .. } | ConfigType::Text, _) => {
            return Err(ElfError::new(format!(
                "value {} needs the type bool, char or enum libbpf_tristate",
                letter as char
            )));
        }
    };
    put(data, place, value);
    Ok(())
}

fn set_text(
    data: &mut [u8],
    ty: ConfigType,
    place: ConfigPlace,
    value: &str,
) -> Result<(), ElfError> {
    if ty != ConfigType::Text {
        return Err(ElfError::new(format!("value {value} needs an array of char")));
    }
    let text = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .ok_or_else(|| ElfError::new(format!("value {value} has no closing quote")))?;
    let slot = slot(data, place);
    // One byte is kept for the NUL; a longer text is cut, as libbpf does.
    let room = slot.len().saturating_sub(1);
    for (to, byte) in slot.iter_mut().take(room).zip(text.bytes()) {
        *to = byte;
    }
    Ok(())
}

fn set_number(
    data: &mut [u8],
    ty: ConfigType,
    place: ConfigPlace,
    value: u64,
) -> Result<(), ElfError> {
    let signed = match ty {
        ConfigType::Bool if value > 1 => {
            return Err(ElfError::new(format!("value {value} is no bool")));
        }
        ConfigType::Bool => false,
        ConfigType::Char { signed } | ConfigType::Int { signed } => signed,
        ConfigType::Tristate | ConfigType::Text => {
            return Err(ElfError::new(format!("value {value} needs an integer, char or bool")));
        }
    };
    let bits = place.size.saturating_mul(8);
    let fits = if bits >= 64 {
        true
    } else if signed {
        value.wrapping_add(1 << (bits - 1)) < 1 << bits
    } else {
        value >> bits == 0
    };
    if !fits {
        return Err(ElfError::new(format!("value {value} does not fit {} bytes", place.size)));
    }
    put(data, place, value);
    Ok(())
}

/// As `strtoull` with base 0: decimal, `0x` and octal, with an optional sign.
fn parse_number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower, 8)
    } else {
        lower.parse()
    };
    let value = value.ok().filter(|_| !digits.starts_with(['+', '-']))?;
    Some(if negative { value.wrapping_neg() } else { value })
}
