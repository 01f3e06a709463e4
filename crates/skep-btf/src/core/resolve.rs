//! [`Relocator`]: computes what a relocation's instruction must hold, by asking every candidate.

use std::collections::HashMap;

use super::compat::{Side, resolve};
use super::spec::{self, Spec};
use super::{Budget, CoreError};
use crate::btf::Btf;
use crate::ext::{CoreRelo, CoreReloKind};
use crate::parse::ByteOrder;
use crate::types::{TypeId, TypeView};

/// The result of a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resolution {
    /// The value that the program's own types give, hence what the instruction holds now.
    pub orig: u64,
    /// The value that the target's types give; `None` where the target has no such thing, and the
    /// instruction must never run.
    pub new: Option<u64>,
    /// Whether the instruction must hold `orig` now. Compilers may choose another way for bitfields.
    pub check_orig: bool,
    /// What a load or store at this place accesses.
    pub access: MemAccess,
}

/// Sizes of a field, for loads and stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemAccess {
    /// The size stays as it is.
    Same,
    /// A plain load or store of the first size in bytes must become one of the second.
    Resize {
        /// In the program's types.
        orig: u32,
        /// In the target's types.
        new: u32,
    },
    /// The size differs in a way that a load cannot make good (a signed number, say).
    Mismatch,
}

/// What one side gives.
#[derive(Clone, Copy, Default)]
struct Value {
    value: u64,
    /// Size of the field in bytes and its type, where a load's size depends on it.
    field: Option<(u32, TypeId)>,
    /// Whether the compiler can only have come to the same value.
    certain: bool,
}

/// Resolves relocations of one program's BTF against a target.
///
/// Candidates are found once for each root type. Once a relocation has matched some of them, only those
/// are asked for later relocations of the same root type, as in libbpf, so the order of relocations matters.
pub struct Relocator<'a> {
    local: &'a Btf,
    kernel: &'a Btf,
    modules: &'a [&'a Btf],
    found: HashMap<TypeId, Vec<Side<'a>>>,
}

impl<'a> Relocator<'a> {
    /// `modules` are split BTF on `kernel`; they are asked for types that the kernel does not have.
    pub fn new(local: &'a Btf, kernel: &'a Btf, modules: &'a [&'a Btf]) -> Relocator<'a> {
        Relocator { local, kernel, modules, found: HashMap::new() }
    }

    /// Computes the result of a relocation.
    ///
    /// # Errors
    /// [`CoreError`] where the relocation is malformed, or candidates contradict each other. A target that lacks
    /// what is asked for is no error.
    pub fn resolve(&mut self, relo: &CoreRelo) -> Result<Resolution, CoreError> {
        let root = self.local.get(relo.type_id)?;
        let local = spec::parse(self.local, relo)?;
        if relo.kind == CoreReloKind::TypeIdLocal {
            let id = u64::from(relo.type_id.0);
            return Ok(Resolution {
                orig: id,
                new: Some(id),
                // Ids change when objects are linked.
                check_orig: false,
                access: MemAccess::Same,
            });
        }
        if root.is_anon() {
            return Err(CoreError::Anonymous { root: relo.type_id, kind: relo.kind });
        }
        let (kernel, modules) = (self.kernel, self.modules);
        let candidates = self.found.entry(relo.type_id).or_insert_with(|| {
            let main = spec::candidates(root, kernel);
            if !main.is_empty() {
                return main;
            }
            modules.iter().flat_map(|module| spec::candidates(root, module)).collect()
        });

        let mut budget = Budget::new();
        let mut chosen: Option<(Resolution, u32)> = None;
        let mut matched = Vec::new();
        for &candidate in candidates.iter() {
            let Some(target) = spec::find(&local, relo.kind, candidate, &mut budget)? else {
                continue;
            };
            let result = combine(relo.kind, &local, Some(&target))?;
            match chosen {
                None => chosen = Some((result, target.bit_offset)),
                Some((_, bits)) if bits != target.bit_offset => {
                    return Err(CoreError::AmbiguousOffset {
                        name: root.name().to_owned(),
                        first_bits: bits,
                        other_bits: target.bit_offset,
                    });
                }
                Some((first, _)) if first.new != result.new => {
                    return Err(CoreError::AmbiguousValue {
                        name: root.name().to_owned(),
                        first: first.new,
                        other: result.new,
                    });
                }
                Some(_) => {}
            }
            matched.push(candidate);
        }
        match chosen {
            Some((result, _)) => {
                *candidates = matched;
                Ok(result)
            }
            None => combine(relo.kind, &local, None),
        }
    }
}

/// Puts the two sides together.
fn combine(
    kind: CoreReloKind,
    local: &Spec<'_>,
    target: Option<&Spec<'_>>,
) -> Result<Resolution, CoreError> {
    // The program's own side always has what it asks for.
    let orig = evaluate(kind, Some(local))?.unwrap_or_default();
    let new = evaluate(kind, target)?;
    let access = match (orig.field, new.and_then(|n| n.field), target) {
        (Some((orig, orig_ty)), Some((new, new_ty)), Some(target)) if orig != new => {
            let same_meaning =
                match (resolve(local.btf, orig_ty)?.view(), resolve(target.btf, new_ty)?.view()) {
                    // Pointers are 64 bits for programs, whatever they are for the kernel.
                    (TypeView::Ptr(_), TypeView::Ptr(_)) => true,
                    // Loads zero-extend.
                    (TypeView::Int(a), TypeView::Int(b)) => {
                        !is_plain_signed(a) && !is_plain_signed(b)
                    }
                    _ => false,
                };
            if same_meaning { MemAccess::Resize { orig, new } } else { MemAccess::Mismatch }
        }
        _ => MemAccess::Same,
    };
    Ok(Resolution { orig: orig.value, new: new.map(|n| n.value), check_orig: orig.certain, access })
}

/// libbpf asks whether the encoding is SIGNED and nothing else.
fn is_plain_signed(int: crate::types::Int) -> bool {
    int.encoding == crate::types::Int::SIGNED
}

/// The value on one side; `None` asks for the instruction to be poisoned.
fn evaluate(kind: CoreReloKind, spec: Option<&Spec<'_>>) -> Result<Option<Value>, CoreError> {
    let plain = |value| Ok(Some(Value { value, field: None, certain: true }));
    match (kind, spec) {
        (
            CoreReloKind::FieldExists
            | CoreReloKind::TypeExists
            | CoreReloKind::TypeMatches
            | CoreReloKind::EnumvalExists,
            spec,
        ) => plain(u64::from(spec.is_some())),
        // Unlike fields, missing types have an id and a size, zero.
        (CoreReloKind::TypeIdLocal | CoreReloKind::TypeIdTarget | CoreReloKind::TypeSize, None) => {
            plain(0)
        }
        (_, None) => Ok(None),
        (CoreReloKind::TypeIdLocal | CoreReloKind::TypeIdTarget, Some(spec)) => {
            Ok(Some(Value { value: u64::from(spec.root.0), field: None, certain: false }))
        }
        (CoreReloKind::TypeSize, Some(spec)) => plain(spec.btf.size_of(spec.root)?),
        (CoreReloKind::EnumvalValue, Some(spec)) => plain(enum_value(spec)?),
        (
            CoreReloKind::FieldByteOffset
            | CoreReloKind::FieldByteSize
            | CoreReloKind::FieldSigned
            | CoreReloKind::FieldLshiftU64
            | CoreReloKind::FieldRshiftU64,
            Some(spec),
        ) => field_value(kind, spec).map(Some),
    }
}

fn enum_value(spec: &Spec<'_>) -> Result<u64, CoreError> {
    let acc = spec.path.first().ok_or(CoreError::TooDeep)?;
    let e = spec.btf.get(acc.ty)?.as_enum().ok_or(CoreError::TooDeep)?;
    let value = e.values.get(acc.index as usize).ok_or(CoreError::TooDeep)?.value;
    // Values of 32 bits are sign-extended, whatever the enum's sign: so are immediates.
    let wide = spec.btf.get(acc.ty)?.kind() == crate::types::Kind::Enum64;
    Ok(if wide { value } else { i64::from(value as i32) as u64 })
}

/// Size in bytes of a field that one load can read: of an array, the size of an element.
fn load_size(btf: &Btf, id: TypeId) -> Result<u32, CoreError> {
    let mut ty = resolve(btf, id)?;
    for _ in 0..super::MAX_SPEC_LEN {
        let Some(array) = ty.as_array() else { break };
        ty = resolve(btf, array.elem)?;
    }
    u32::try_from(btf.size_of(ty.id())?).map_err(|_| CoreError::TooDeep)
}

fn field_value(kind: CoreReloKind, spec: &Spec<'_>) -> Result<Value, CoreError> {
    let last = spec.path.last().ok_or(CoreError::TooDeep)?;
    let bit_off = spec.bit_offset;
    let Some(member) = spec.last_member() else {
        return match kind {
            CoreReloKind::FieldByteOffset => Ok(Value {
                value: u64::from(bit_off / 8),
                field: Some((load_size(spec.btf, last.ty)?, last.ty)),
                certain: true,
            }),
            CoreReloKind::FieldByteSize => {
                Ok(Value { value: spec.btf.size_of(last.ty)?, field: None, certain: true })
            }
            _ => Err(CoreError::ArrayElement(kind)),
        };
    };
    let ty = resolve(spec.btf, member.ty)?;
    let is_bitfield = member.bitfield_bits != 0;
    let (byte_off, byte_size, bits) = if is_bitfield {
        let bits = u32::from(member.bitfield_bits);
        let (off, size) = bitfield_load(bit_off, bits, ty.stated_size().unwrap_or(0))?;
        (off, u64::from(size), u64::from(bits))
    } else {
        let size = spec.btf.size_of(ty.id())?;
        (bit_off / 8, size, size.wrapping_mul(8))
    };
    let certain = !is_bitfield;
    let value = match kind {
        CoreReloKind::FieldByteOffset => {
            let field =
                if is_bitfield { None } else { Some((load_size(spec.btf, ty.id())?, ty.id())) };
            return Ok(Value { value: u64::from(byte_off), field, certain });
        }
        CoreReloKind::FieldByteSize => byte_size,
        CoreReloKind::FieldSigned => {
            let signed = match ty.view() {
                TypeView::Int(int) => int.is_signed(),
                TypeView::Enum(e) | TypeView::Enum64(e) => e.signed,
                _ => false,
            };
            return Ok(Value { value: u64::from(signed), field: None, certain: true });
        }
        CoreReloKind::FieldLshiftU64 => {
            let start = u64::from(bit_off - byte_off * 8);
            match spec_order(spec) {
                ByteOrder::Little => 64u64.wrapping_sub(start.wrapping_add(bits)),
                ByteOrder::Big => 8u64.wrapping_sub(byte_size).wrapping_mul(8).wrapping_add(start),
            }
        }
        CoreReloKind::FieldRshiftU64 => {
            let value = 64u64.wrapping_sub(bits);
            return Ok(Value { value, field: None, certain: true });
        }
        CoreReloKind::FieldExists
        | CoreReloKind::TypeIdLocal
        | CoreReloKind::TypeIdTarget
        | CoreReloKind::TypeExists
        | CoreReloKind::TypeSize
        | CoreReloKind::EnumvalExists
        | CoreReloKind::EnumvalValue
        | CoreReloKind::TypeMatches => return Err(CoreError::ArrayElement(kind)),
    };
    // Shifts and sizes are 32-bit numbers.
    Ok(Value { value: u64::from(value as u32), field: None, certain })
}

/// Byte order in which the program will run.
fn spec_order(spec: &Spec<'_>) -> ByteOrder {
    spec.btf.byte_order()
}

/// The smallest aligned load that holds a bitfield: offset and size in bytes.
fn bitfield_load(bit_off: u32, bits: u32, storage: u32) -> Result<(u32, u32), CoreError> {
    let too_wide = CoreError::Bitfield { bit_offset: bit_off, bits };
    let mut size = storage;
    if size == 0 {
        return Err(too_wide);
    }
    loop {
        let off = bit_off / 8 / size * size;
        let end = u64::from(bit_off) + u64::from(bits);
        if end - u64::from(off) * 8 <= u64::from(size) * 8 {
            return Ok((off, size));
        }
        if size >= 8 {
            return Err(too_wide);
        }
        size *= 2;
    }
}
