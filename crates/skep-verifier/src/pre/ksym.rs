//! Variables and functions of the kernel's whose address a program loads (`check_pseudo_btf_id`).

use crate::env::Env;
use crate::reject::{BtfReject, Reject, RejectKind};
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use skep_abi::insn::{Imm64, Insn};
use skep_btf::{Btf, Kind, TypeId, TypeView};

/// What a load of such an address yields, by slot.
#[derive(Debug, Default)]
pub(crate) struct KsymTable {
    /// By ascending slot.
    entries: Vec<(u32, RegState)>,
}

impl KsymTable {
    /// What the load at a slot yields.
    pub(crate) fn at(&self, idx: u32) -> Option<RegState> {
        let at = self.entries.binary_search_by_key(&idx, |e| e.0).ok()?;
        self.entries.get(at).map(|e| e.1)
    }

    /// Finds all that the program loads.
    pub(super) fn find(insns: &[Insn], env: &dyn Env) -> Result<KsymTable, Reject> {
        let mut table = KsymTable::default();
        for (idx, insn) in (0u32..).zip(insns) {
            if let Insn::LdImm64 { imm: Imm64::BtfId(id, module), .. } = *insn {
                let reg = resolve(id, module, env)
                    .map_err(|why| Reject::new(idx, RejectKind::from(why)))?;
                table.entries.push((idx, reg));
            }
        }
        Ok(table)
    }
}

fn resolve(id: i32, module: i32, env: &dyn Env) -> Result<RegState, BtfReject> {
    let (owner, btf) = if module == 0 {
        (BtfOwner::Kernel, env.kernel_btf().ok_or(BtfReject::NoKernelBtf {})?)
    } else {
        let at = u16::try_from(module).ok();
        let found = at.and_then(|n| Some((BtfOwner::Module(n), env.module_btf(n)?)));
        found.ok_or(BtfReject::NoModuleBtf {})?
    };
    let ty = u32::try_from(id).ok().and_then(|id| btf.type_by_id(TypeId(id)));
    let ty = ty.filter(|t| t.kind() != Kind::Void).ok_or(BtfReject::KsymNoType { id })?;
    let of = match ty.view() {
        // SOUND: nothing of a function may be read.
        TypeView::Func { .. } => return Ok(memory(0)),
        TypeView::Var { ty, .. } => ty,
        _ => return Err(BtfReject::KsymNoVar { id }),
    };
    let object = |flags| {
        let kind = RegKind::Btf(BtfType { btf: owner, id: of.0 });
        RegState { flags, ..RegState::pointer(kind) }
    };
    if is_percpu(btf, ty.id()) {
        return Ok(object(PtrFlags::PERCPU));
    }
    let target = btf.skip_typedefs_and_modifiers(of);
    if target.is_some_and(|t| matches!(t.kind(), Kind::Struct | Kind::Union)) {
        return Ok(object(PtrFlags::NONE));
    }
    match btf.size_of(of).ok().and_then(|s| u32::try_from(s).ok()) {
        Some(size) => Ok(memory(size)),
        None => {
            let name = target.map_or("", |t| t.name()).to_owned();
            Err(BtfReject::KsymNoSize { name })
        }
    }
}

fn memory(size: u32) -> RegState {
    RegState { flags: PtrFlags::RDONLY, ..RegState::pointer(RegKind::Mem(size)) }
}

/// Whether each CPU has its own of the variable.
fn is_percpu(btf: &Btf, var: TypeId) -> bool {
    let section = btf.find_by_name_kind(".data..percpu", Kind::Datasec);
    let section = section.and_then(|s| s.as_datasec());
    section.is_some_and(|s| s.vars.iter().any(|v| v.ty == var))
}
