//! Helpers that format text. Facts: kernel/trace/bpf_trace.c, kernel/bpf/helpers.c.

use super::format::Format;
use super::{Helper, IN, IN_OR_NULL, IN_OUT_OR_NULL, SIZE, SIZE0, STR, gpl, helper_of, proto};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_vm::Call;

/// Arguments after the format of `bpf_trace_printk`.
const TRACE_ARGS: usize = 3;
/// Arguments in an array (`MAX_BPRINTF_VARARGS`).
const MAX_ARGS: usize = 12;
/// Longest message, in bytes (`MAX_BPRINTF_BUF`), with its NUL.
const MAX_MESSAGE: usize = 1024;

pub(super) static HELPERS: &[Helper] = &[
    helper_of(gpl(proto(6, "trace_printk", &[IN, SIZE])), (4, 1), ProgTypes::EXTENDED, |c| {
        trace_printk(c).unwrap_or_else(Errno::to_ret)
    }),
    helper_of(
        gpl(proto(177, "trace_vprintk", &[IN, SIZE, IN_OR_NULL, SIZE0])),
        (5, 16),
        ProgTypes::EXTENDED,
        |c| trace_vprintk(c).unwrap_or_else(Errno::to_ret),
    ),
    helper_of(
        gpl(proto(165, "snprintf", &[IN_OUT_OR_NULL, SIZE0, STR, IN_OR_NULL, SIZE0])),
        (5, 13),
        ProgTypes::EXTENDED,
        |c| snprintf(c).unwrap_or_else(Errno::to_ret),
    ),
];

/// The format in argument 0, up to its NUL, which must be there.
fn format_arg(call: &mut Call<'_>, max_args: usize) -> Result<Format, Errno> {
    let mut fmt = call.mem(0).copy_in();
    let end = fmt.iter().position(|b| *b == 0).ok_or(Errno::EINVAL)?;
    fmt.truncate(end);
    Format::parse(&fmt, max_args)
}

/// The array of arguments in argument `i`.
fn array_arg(call: &mut Call<'_>, i: usize) -> Result<Vec<u64>, Errno> {
    let len = call.scalar(i + 1) as u32 as usize;
    let mem = call.mem(i);
    if !len.is_multiple_of(8) || len > MAX_ARGS * 8 || (len != 0 && mem.is_null()) {
        return Err(Errno::EINVAL);
    }

    let word = |b: &[u8]| b.try_into().map_or(0, u64::from_ne_bytes);
    Ok(mem.copy_in().chunks_exact(8).map(word).collect())
}

/// Prints, and answers how long the text is, without NUL.
fn print(call: &mut Call<'_>, fmt: &Format, args: &[u64]) -> u64 {
    let text = fmt.print(call, args);
    call.printk(&text[..text.len().min(MAX_MESSAGE - 1)]);
    text.len() as u64
}

fn trace_printk(call: &mut Call<'_>) -> Result<u64, Errno> {
    let fmt = format_arg(call, TRACE_ARGS)?;
    let args = [call.scalar(2), call.scalar(3), call.scalar(4)];
    Ok(print(call, &fmt, &args))
}

fn trace_vprintk(call: &mut Call<'_>) -> Result<u64, Errno> {
    let args = array_arg(call, 2)?;
    let fmt = format_arg(call, args.len())?;
    Ok(print(call, &fmt, &args))
}

/// Answers how long the text is with its NUL, even if it did not fit.
fn snprintf(call: &mut Call<'_>) -> Result<u64, Errno> {
    let args = array_arg(call, 3)?;
    let fmt = Format::parse(&call.const_str(2), args.len())?;
    let mut text = fmt.print(call, &args);
    text.push(0);
    let len = text.len();
    let out = call.mem(0);
    if len > out.len() {
        text.truncate(out.len());
        if let Some(last) = text.last_mut() {
            *last = 0;
        }
    }
    out.copy_out(0, &text).map_err(|_| Errno::EFAULT)?;
    Ok(len as u64)
}
