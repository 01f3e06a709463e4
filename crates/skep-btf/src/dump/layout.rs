//! [`Layouts`]: what it takes for C to lay a struct out as BTF says: `packed`, `aligned` and unnamed bitfields as padding.
//!
//! Alignments are those that the printed C has, not those of the original source, which BTF does not keep.

use std::collections::HashMap;

use crate::btf::Btf;
use crate::types::{Composite, Kind, TypeId, TypeView};

/// How a struct or union is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Alignment of the printed type in bytes.
    pub(super) align: u64,
    /// Needs `__attribute__((packed))`.
    pub(super) packed: bool,
    /// Needs `__attribute__((aligned(N)))`.
    pub(super) aligned: Option<u64>,
}

const PLAIN: Layout = Layout { align: 1, packed: false, aligned: None };

/// How deep types are followed.
const MAX_DEPTH: u32 = 128;

/// Layouts that were computed.
pub(super) struct Layouts<'a> {
    btf: &'a Btf,
    known: HashMap<TypeId, Layout>,
}

fn round_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to.max(1)).saturating_mul(to.max(1))
}

/// Where C puts the next member, in bits. `unit` is the size of a bitfield's type in bits.
fn natural_place(at: u64, bits: u64, unit: u64, align: u64, packed: bool) -> u64 {
    match (bits, packed) {
        (0, true) => round_up(at, 8),
        (0, false) => round_up(at, align * 8),
        (_, true) => at,
        (_, false) if at % unit + bits > unit => round_up(at, unit),
        (_, false) => at,
    }
}

impl<'a> Layouts<'a> {
    pub(super) fn new(btf: &'a Btf) -> Layouts<'a> {
        Layouts { btf, known: HashMap::new() }
    }

    /// Alignment of a printed type in bytes; 1 for what has none.
    pub(super) fn align_of(&mut self, id: TypeId) -> u64 {
        self.align_at(id, 0)
    }

    fn align_at(&mut self, mut id: TypeId, depth: u32) -> u64 {
        for _ in 0..MAX_DEPTH {
            let Some(ty) = self.btf.type_by_id(id) else { return 1 };
            id = match ty.view() {
                TypeView::Int(int) => return scalar_align(int.size),
                TypeView::Float(size) => return scalar_align(size),
                TypeView::Enum(e) | TypeView::Enum64(e) => return scalar_align(e.size),
                TypeView::Ptr(_) => return u64::from(self.btf.pointer_size()),
                TypeView::Struct(_) | TypeView::Union(_) => {
                    return self.layout_at(id, depth).align;
                }
                TypeView::Array(array) => array.elem,
                TypeView::Typedef(next)
                | TypeView::Volatile(next)
                | TypeView::Const(next)
                | TypeView::Restrict(next)
                | TypeView::TypeTag(next) => next,
                TypeView::Void
                | TypeView::Fwd(_)
                | TypeView::Func { .. }
                | TypeView::FuncProto(_)
                | TypeView::Var { .. }
                | TypeView::Datasec(_)
                | TypeView::DeclTag { .. } => return 1,
            };
        }
        1
    }

    /// How a struct or union is printed.
    pub(super) fn layout(&mut self, id: TypeId) -> Layout {
        self.layout_at(id, 0)
    }

    fn layout_at(&mut self, id: TypeId, depth: u32) -> Layout {
        if let Some(&layout) = self.known.get(&id) {
            return layout;
        }
        let Some(ty) = self.btf.type_by_id(id) else { return PLAIN };
        let Some(fields) = ty.as_composite() else { return PLAIN };
        if depth >= MAX_DEPTH {
            return PLAIN;
        }
        // A struct that contains itself, which no compiler makes, finds this.
        self.known.insert(id, PLAIN);
        let layout = if ty.kind() == Kind::Struct {
            self.struct_layout(fields, depth)
        } else {
            self.union_layout(fields, depth)
        };
        self.known.insert(id, layout);
        layout
    }

    fn struct_layout(&mut self, fields: Composite<'_>, depth: u32) -> Layout {
        let mut align = 1;
        let mut packed = false;
        let mut end = 0;
        for m in fields.members.iter() {
            let member_align = self.align_at(m.ty, depth + 1);
            align = align.max(member_align);
            let (at, bits) = (u64::from(m.bit_offset), u64::from(m.bitfield_bits));
            if bits == 0 {
                packed |= at % (member_align * 8) != 0;
                end = end.max(at.saturating_add(self.bits_of(m.ty)));
            } else {
                let unit = self.bits_of(m.ty).max(1);
                packed |= at % unit + bits > unit;
                end = end.max(at + bits);
            }
        }
        packed |= u64::from(fields.size) % align != 0;
        packed |= round_up(end, align * 8) > u64::from(fields.size) * 8;
        Layout { align: if packed { 1 } else { align }, packed, aligned: None }
    }

    fn union_layout(&mut self, fields: Composite<'_>, depth: u32) -> Layout {
        let mut align = 1;
        let mut bytes = 0;
        for m in fields.members.iter() {
            align = align.max(self.align_at(m.ty, depth + 1));
            let bits = match m.bitfield_bits {
                0 => self.bits_of(m.ty),
                bits => u64::from(bits),
            };
            bytes = bytes.max(bits.div_ceil(8));
        }
        let size = u64::from(fields.size);
        let packed = size % align != 0 || round_up(bytes, align) > size;
        if packed {
            align = 1;
        }
        // A union that is larger than its members was aligned by hand.
        let aligned = (0..16)
            .map(|n| 1u64 << n)
            .find(|&n| n >= align && round_up(bytes, n) == size)
            .filter(|&n| n != align);
        Layout { align: aligned.unwrap_or(align), packed, aligned }
    }

    fn bits_of(&self, id: TypeId) -> u64 {
        self.btf.size_of(id).unwrap_or(0).saturating_mul(8)
    }

    /// Where padding is needed before each member of a struct and at its end: `(from, to)` in bits, one more than there are members.
    pub(super) fn padding(&mut self, id: TypeId, fields: Composite<'_>) -> Vec<(u64, u64)> {
        let layout = self.layout(id);
        let mut at = 0u64;
        let mut out = Vec::with_capacity(fields.members.len() + 1);
        for m in fields.members.iter() {
            let (want, bits) = (u64::from(m.bit_offset), u64::from(m.bitfield_bits));
            let size = self.bits_of(m.ty);
            let align = self.align_of(m.ty);
            let natural = natural_place(at, bits, size.max(1), align, layout.packed);
            out.push(if natural == want || want < at { (at, at) } else { (at, want) });
            at = want.saturating_add(if bits == 0 { size } else { bits });
        }
        let size = u64::from(fields.size) * 8;
        let natural = round_up(at, layout.align * 8);
        out.push(if natural >= size { (at, at) } else { (at, size) });
        out
    }
}

fn scalar_align(size: u32) -> u64 {
    match size {
        0 | 1 => 1,
        2 => 2,
        3 | 4 => 4,
        5..=8 => 8,
        _ => 16,
    }
}
