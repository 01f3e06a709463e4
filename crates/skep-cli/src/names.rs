//! Names for the disassembler: helpers, and what an object calls its maps and subprograms.

use skep_abi::insn::disasm::Names;
use skep_abi::insn::{CallTarget, Imm64};
use skep_abi::uapi::HELPER_NAMES;
use skep_elf::{Object, ProgramDef};

/// `bpf_` and the helper's name.
fn helper_name(id: i32) -> Option<&'static str> {
    let id = u32::try_from(id).ok()?;
    HELPER_NAMES.iter().find(|(_, number)| *number == id).map(|(name, _)| *name)
}

/// Names of helpers, for a classic filter.
#[derive(Debug)]
pub(crate) struct ClassicNames;

impl Names for ClassicNames {
    fn helper(&self, id: i32) -> Option<&str> {
        helper_name(id)
    }
}

/// Names of helpers, maps and subprograms of an object.
#[derive(Debug)]
pub(crate) struct ObjectNames<'a> {
    pub(crate) object: &'a Object,
    pub(crate) program: &'a ProgramDef,
}

impl ObjectNames<'_> {
    fn subprog(&self, slot: usize, offset: i32) -> Option<&str> {
        let target = i64::try_from(slot).ok()? + 1 + i64::from(offset);
        let found = self.program.subprogs.iter().find(|s| i64::from(s.start) == target)?;
        Some(&found.name)
    }

    fn map(&self, index: i32) -> Option<&str> {
        Some(&self.object.maps.get(usize::try_from(index).ok()?)?.name)
    }
}

impl Names for ObjectNames<'_> {
    fn helper(&self, id: i32) -> Option<&str> {
        helper_name(id)
    }

    fn call(&self, slot: usize, target: CallTarget) -> Option<String> {
        match target {
            CallTarget::Local(offset) => {
                Some(format!("pc{offset:+}#{}", self.subprog(slot, offset)?))
            }
            CallTarget::Helper(_) | CallTarget::Kfunc { .. } => None,
        }
    }

    fn imm64(&self, slot: usize, imm: Imm64) -> Option<String> {
        match imm {
            Imm64::MapIdx(index, _) => Some(format!("map[{}]", self.map(index)?)),
            Imm64::MapIdxValue(index, offset) => {
                Some(format!("map[{}][0]+{offset}", self.map(index)?))
            }
            Imm64::Func(offset, _) => Some(format!("subprog[{}]", self.subprog(slot, offset)?)),
            Imm64::Value(_) | Imm64::MapFd(..) | Imm64::MapValue(..) | Imm64::BtfId(..) => None,
        }
    }
}
