//! [`raw`]: one type a line in the notation of `bpftool btf dump`.

use core::fmt::{self, Write};

use crate::btf::Btf;
use crate::types::{Enum, FuncLinkage, FwdKind, Int, Type, TypeView, VarLinkage};

/// Writes the own types of a set: `[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED`, members indented below.
///
/// # Errors
/// Only those of `out`.
pub fn raw(btf: &Btf, out: &mut dyn Write) -> fmt::Result {
    btf.own_types().try_for_each(|ty| one(ty, out))
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "(anon)" } else { name }
}

fn one(ty: Type<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "[{}] {} '{}'", ty.id(), ty.kind(), shown(ty.name()))?;
    match ty.view() {
        TypeView::Void => {}
        TypeView::Int(int) => write!(
            out,
            " size={} bits_offset={} nr_bits={} encoding={}",
            int.size,
            int.bit_offset,
            int.bits,
            encoding(int)
        )?,
        TypeView::Ptr(to)
        | TypeView::Typedef(to)
        | TypeView::Volatile(to)
        | TypeView::Const(to)
        | TypeView::Restrict(to)
        | TypeView::TypeTag(to) => write!(out, " type_id={to}")?,
        TypeView::Array(array) => write!(
            out,
            " type_id={} index_type_id={} nr_elems={}",
            array.elem, array.index, array.nelems
        )?,
        TypeView::Struct(fields) | TypeView::Union(fields) => {
            write!(out, " size={} vlen={}", fields.size, fields.members.len())?;
            for m in fields.members.iter() {
                let name = shown(m.name);
                write!(out, "\n\t'{name}' type_id={} bits_offset={}", m.ty, m.bit_offset)?;
                if m.bitfield_bits != 0 {
                    write!(out, " bitfield_size={}", m.bitfield_bits)?;
                }
            }
        }
        TypeView::Enum(e) => values(e, false, out)?,
        TypeView::Enum64(e) => values(e, true, out)?,
        TypeView::Fwd(kind) => write!(
            out,
            " fwd_kind={}",
            match kind {
                FwdKind::Struct => "struct",
                FwdKind::Union => "union",
            }
        )?,
        TypeView::Func { proto, linkage } => {
            write!(out, " type_id={proto} linkage=")?;
            match linkage {
                FuncLinkage::Static => write!(out, "static")?,
                FuncLinkage::Global => write!(out, "global")?,
                FuncLinkage::Extern => write!(out, "extern")?,
                FuncLinkage::Other(_) => write!(out, "(unknown)")?,
            }
        }
        TypeView::FuncProto(proto) => {
            write!(out, " ret_type_id={} vlen={}", proto.ret, proto.params.len())?;
            for p in proto.params.iter() {
                write!(out, "\n\t'{}' type_id={}", shown(p.name), p.ty)?;
            }
        }
        TypeView::Var { ty, linkage } => {
            write!(out, " type_id={ty}, linkage=")?;
            match linkage {
                VarLinkage::Static => write!(out, "static")?,
                VarLinkage::Global => write!(out, "global")?,
                VarLinkage::Extern => write!(out, "extern")?,
                VarLinkage::Other(_) => write!(out, "(unknown)")?,
            }
        }
        TypeView::Datasec(sec) => {
            write!(out, " size={} vlen={}", sec.size, sec.vars.len())?;
            for var in sec.vars.iter() {
                write!(out, "\n\ttype_id={} offset={} size={}", var.ty, var.offset, var.size)?;
                if let Some(target) = ty.btf().type_by_id(var.ty) {
                    write!(out, " ({} '{}')", target.kind(), shown(target.name()))?;
                }
            }
        }
        TypeView::Float(size) => write!(out, " size={size}")?,
        TypeView::DeclTag { target, component } => {
            write!(out, " type_id={target} component_idx=")?;
            match component {
                Some(index) => write!(out, "{index}")?,
                None => write!(out, "-1")?,
            }
        }
    }
    writeln!(out)
}

fn encoding(int: Int) -> &'static str {
    match int.encoding {
        0 => "(none)",
        Int::SIGNED => "SIGNED",
        Int::CHAR => "CHAR",
        Int::BOOL => "BOOL",
        _ => "UNKN",
    }
}

fn values(e: Enum<'_>, wide: bool, out: &mut dyn Write) -> fmt::Result {
    let sign = if e.signed { "SIGNED" } else { "UNSIGNED" };
    write!(out, " encoding={sign} size={} vlen={}", e.size, e.values.len())?;
    for v in e.values.iter() {
        match (wide, e.signed) {
            (false, true) => write!(out, "\n\t'{}' val={}", v.name, v.value as i64)?,
            (false, false) => write!(out, "\n\t'{}' val={}", v.name, v.value)?,
            (true, true) => write!(out, "\n\t'{}' val={}LL", v.name, v.value as i64)?,
            (true, false) => write!(out, "\n\t'{}' val={}ULL", v.name, v.value)?,
        }
    }
    Ok(())
}
