//! struct_ops maps fitted to the kernel's structure: members are found by name, plain ones copied, function pointers
//! noted, and each program told which member it implements.

use std::collections::HashMap;

use skep_abi::uapi::BPF_PROG_TYPE_STRUCT_OPS;
use skep_btf::{Btf, Composite, Kind, Member, TypeId, TypeView};

use crate::code;
use crate::error::ElfError;
use crate::maps::SitedMap;
use crate::model::{KernStructOps, ProgramDef, StructOpsDef};
use crate::target::{Found, Target};

/// Prefix of the structure that holds the kernel's data next to the user's.
const VALUE_PREFIX: &str = "bpf_struct_ops_";
/// Largest structure that is fitted.
const MAX_SIZE: u32 = 1 << 20;

/// Fits all maps that are created, if there is a target; then settles which struct_ops programs are loaded: those of a
/// map that is created, and those of no map.
pub(crate) fn fit(
    maps: &mut [SitedMap],
    programs: &mut [ProgramDef],
    btf: Option<&Btf>,
    target: &mut Target<'_>,
) -> Result<(), ElfError> {
    if let (Some(btf), true) = (btf, target.kernel.is_some()) {
        for sited in maps.iter_mut().filter(|m| m.map.autocreate) {
            if let Some(ops) = &mut sited.map.struct_ops {
                let kernel = fit_one(ops, programs, btf, target)
                    .map_err(|e| e.of_symbol(&sited.map.symbol))?;
                // Both are below MAX_SIZE.
                sited.map.value_size = u32::try_from(kernel.value.len()).unwrap_or(u32::MAX);
                ops.kernel = Some(kernel);
            }
        }
    }
    // Whether one of the maps that a program is in is created.
    let mut used: HashMap<usize, bool> = HashMap::new();
    for sited in maps.iter() {
        for member in sited.map.struct_ops.iter().flat_map(|ops| &ops.members) {
            *used.entry(member.program).or_default() |= sited.map.autocreate;
        }
    }
    for (index, program) in programs.iter_mut().enumerate() {
        if program.prog_type == BPF_PROG_TYPE_STRUCT_OPS
            && let Some(created) = used.get(&index)
        {
            program.autoload = *created;
        }
    }
    Ok(())
}

/// The kernel's structures.
struct Kernel<'a> {
    found: Found<'a>,
    ty: TypeId,
    def: Composite<'a>,
    value: TypeId,
    value_size: u32,
    /// Offset of the structure in the value in bytes.
    data_off: u64,
}

fn find<'a>(name: &str, target: &Target<'a>) -> Result<Kernel<'a>, ElfError> {
    let value_name = format!("{VALUE_PREFIX}{name}");
    let missing = |name: &str| ElfError::new(format!("struct {name} is not in the target's BTF"));
    let found = target.find(&value_name, Kind::Struct).ok_or_else(|| missing(&value_name))?;
    let inner = found.btf.find_by_name_kind(name, Kind::Struct).ok_or_else(|| missing(name))?;
    let (TypeView::Struct(value), TypeView::Struct(def)) = (found.ty.view(), inner.view()) else {
        return Err(missing(name));
    };
    let data = value.members.iter().find(|m| m.ty == inner.id()).ok_or_else(|| {
        ElfError::new(format!("struct {value_name} of the target does not hold a struct {name}"))
    })?;
    if value.size > MAX_SIZE {
        return Err(ElfError::new(format!(
            "struct {value_name} of the target has {} bytes, {MAX_SIZE} is the limit",
            value.size
        )));
    }
    Ok(Kernel {
        found,
        ty: inner.id(),
        def,
        value: found.ty.id(),
        value_size: value.size,
        data_off: u64::from(data.bit_offset) / 8,
    })
}

fn fit_one(
    ops: &mut StructOpsDef,
    programs: &mut [ProgramDef],
    btf: &Btf,
    target: &mut Target<'_>,
) -> Result<KernStructOps, ElfError> {
    let kernel = find(&ops.type_name, target)?;
    let mut out = KernStructOps {
        type_id: kernel.ty.0,
        value_type_id: kernel.value.0,
        module: target.refer(&kernel.found),
        value: vec![0; kernel.value_size as usize],
        programs: Vec::new(),
    };
    let Some(TypeView::Struct(local)) = btf.type_by_id(TypeId(ops.btf_type_id)).map(|t| t.view())
    else {
        return Err(ElfError::new("type is no struct"));
    };
    for (index, member) in (0u32..).zip(local.members.iter()) {
        let fail = |m: &str| ElfError::new(format!("member '{}' {m}", member.name));
        let program = ops.members.iter().position(|m| m.index == index);
        let bytes =
            member_bytes(btf, &ops.data, member).ok_or_else(|| fail("is not in the data"))?;
        let theirs = kernel.def.members.iter().enumerate().find(|(_, m)| m.name == member.name);
        let Some((their_index, theirs)) = theirs else {
            // A member that this kernel lacks may be there if it is zero. A function pointer is zero in the file, so a
            // program for it is dropped, and not loaded unless another map has it.
            if bytes.iter().any(|&b| b != 0) {
                return Err(fail("is set, but the target's struct does not have it"));
            }
            if let Some(at) = program {
                let dropped = ops.members.remove(at);
                if let Some(program) = programs.get_mut(dropped.program) {
                    program.autoload = false;
                }
            }
            continue;
        };
        if member.bitfield_bits != 0 || theirs.bitfield_bits != 0 {
            return Err(fail("is a bitfield, which is not supported"));
        }
        let their_off = kernel.data_off + u64::from(theirs.bit_offset) / 8;
        let ours = btf.skip_typedefs_and_modifiers(member.ty);
        let their_ty = kernel.found.btf.skip_typedefs_and_modifiers(theirs.ty);
        let (Some(ours), Some(their_ty)) = (ours, their_ty) else {
            return Err(fail("has no type"));
        };
        if ours.kind() != their_ty.kind() {
            return Err(fail("is of another kind in the target"));
        }
        if ours.kind() == Kind::Ptr {
            let Some(at) = program else { continue };
            let prog = ops.members.get(at).map_or(usize::MAX, |m| m.program);
            if !is_func_ptr(kernel.found.btf, their_ty.view()) {
                return Err(fail("is not a function pointer in the target"));
            }
            let def = programs.get_mut(prog).ok_or_else(|| fail("is no program"))?;
            assign(def, &kernel, their_index).map_err(|e| fail(e.message()))?;
            let off = u32::try_from(their_off).map_err(|_| fail("is too far in"))?;
            out.programs.push((off, prog));
            continue;
        }
        let their_size = kernel.found.btf.size_of(their_ty.id()).ok();
        if their_size != Some(bytes.len() as u64) {
            return Err(fail("has another size in the target"));
        }
        let to = usize::try_from(their_off)
            .ok()
            .and_then(|start| out.value.get_mut(start..start.checked_add(bytes.len())?))
            .ok_or_else(|| fail("crosses the end of the target's struct"))?;
        to.copy_from_slice(bytes);
    }
    Ok(out)
}

fn member_bytes<'a>(btf: &Btf, data: &'a [u8], member: Member<'_>) -> Option<&'a [u8]> {
    let size = btf.size_of(member.ty).ok()?;
    code::range(data, u64::from(member.bit_offset) / 8, size)
}

fn is_func_ptr(btf: &Btf, view: TypeView<'_>) -> bool {
    let TypeView::Ptr(target) = view else { return false };
    btf.skip_typedefs_and_modifiers(target).is_some_and(|t| t.kind() == Kind::FuncProto)
}

/// Tells a program which member of which structure it implements; it may be used again only for the same.
fn assign(def: &mut ProgramDef, kernel: &Kernel<'_>, member: usize) -> Result<(), ElfError> {
    let member = u32::try_from(member).unwrap_or(u32::MAX);
    if def.attach_btf_id == 0 {
        def.attach_btf_id = kernel.ty.0;
        def.expected_attach_type = member;
    } else if def.attach_btf_id != kernel.ty.0 || def.expected_attach_type != member {
        return Err(ElfError::new(format!(
            "is set to program '{}', which implements another member already",
            def.name
        )));
    }
    Ok(())
}
