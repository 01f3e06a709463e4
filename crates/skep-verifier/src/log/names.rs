//! [`Names`]: what instructions refer to, as the log writes it.

use crate::env::{Env, HelperLookup};
use crate::pre::KfuncTable;
use skep_abi::insn::{CallTarget, Imm64, Insn, disasm};
use std::collections::BTreeMap;

/// Names of what a program calls.
#[derive(Debug, Default)]
pub(crate) struct Names {
    helpers: BTreeMap<i32, String>,
    /// Kernel functions, by id and index of their BTF.
    kfuncs: BTreeMap<(i32, i16), String>,
}

impl Names {
    pub(crate) fn of(insns: &[Insn], kfuncs: &KfuncTable, env: &dyn Env) -> Names {
        let mut helpers = BTreeMap::new();
        let mut named = BTreeMap::new();
        for insn in insns {
            if let Insn::Call(CallTarget::Kfunc { btf_id, btf_fd_idx }) = *insn
                && let Some(k) = kfuncs.get(btf_id, btf_fd_idx)
            {
                named.insert((btf_id, btf_fd_idx), format!("{}#{btf_id}", k.name));
            }
            if let Insn::Call(CallTarget::Helper(id)) = insn {
                let name = match env.helper(*id) {
                    HelperLookup::Known(p) => p.name,
                    HelperLookup::NotAllowed(n)
                    | HelperLookup::NotHere(n)
                    | HelperLookup::Unsupported(n) => n,
                    HelperLookup::Unknown => continue,
                };
                helpers.insert(*id, format!("bpf_{name}"));
            }
        }
        Names { helpers, kfuncs: named }
    }
}

impl disasm::Names for Names {
    fn helper(&self, id: i32) -> Option<&str> {
        self.helpers.get(&id).map(String::as_str)
    }

    fn call(&self, _slot: usize, target: CallTarget) -> Option<String> {
        match target {
            CallTarget::Kfunc { btf_id, btf_fd_idx } => {
                self.kfuncs.get(&(btf_id, btf_fd_idx)).cloned()
            }
            CallTarget::Helper(_) | CallTarget::Local(_) => None,
        }
    }

    /// Addresses are hidden, as the kernel hides them from the unprivileged: nothing has one before the program is linked.
    fn imm64(&self, _slot: usize, imm: Imm64) -> Option<String> {
        let shown = match imm {
            Imm64::Value(value) => value,
            Imm64::Func(off, hi) => {
                u64::from(off.cast_unsigned()) | u64::from(hi.cast_unsigned()) << 32
            }
            Imm64::MapFd(..)
            | Imm64::MapValue(..)
            | Imm64::BtfId(..)
            | Imm64::MapIdx(..)
            | Imm64::MapIdxValue(..) => 0,
        };

        Some(format!("{shown:#x}"))
    }
}
