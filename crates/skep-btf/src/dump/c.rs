//! [`c`] and [`vmlinux_h`]: all types of a set as C that compiles.

use core::fmt::Write;

use super::decl::{Printer, is_builtin};
use super::order::{Step, plan};
use crate::btf::Btf;
use crate::error::BtfError;

/// Definitions of all own types that C can express, each after what it needs.
///
/// # Errors
/// [`BtfError`] for types that are nested or chained too deeply, as in a cycle.
pub fn c(btf: &Btf) -> Result<String, BtfError> {
    let mut printer = Printer::new(btf);
    let mut out = String::new();
    for step in plan(btf) {
        match step {
            Step::Declare(id) => out.push_str(&printer.declaration(btf.get(id)?)),
            Step::Define(id) => {
                let ty = btf.get(id)?;
                if is_builtin(ty.name()) {
                    continue;
                }
                out.push_str(&printer.definition(ty)?);
            }
        }
        out.push('\n');
    }
    Ok(out)
}

/// [`c`] as a header that BPF programs include, with relocatable accesses, as `bpftool btf dump … format c` makes it.
///
/// # Errors
/// As [`c`].
pub fn vmlinux_h(btf: &Btf) -> Result<String, BtfError> {
    let body = c(btf)?;
    let mut out = String::with_capacity(body.len() + 512);
    out.push_str("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n");
    out.push_str("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n");
    out.push_str(
        "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n",
    );
    out.push_str("#endif\n\n");
    // Writing to a string cannot fail.
    let _ = out.write_str(&body);
    out.push_str("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n");
    out.push_str("#endif /* __VMLINUX_H__ */\n");
    Ok(out)
}
