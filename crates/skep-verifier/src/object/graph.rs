//! Lists and trees: roots in map values and allocated objects, nodes in allocated objects.
//!
//! A node that was put in is no longer the program's: its pointers become *non-owning*, good only while the lock of
//! the root is held. Source of the rules: Documentation/bpf/graph_ds_impl.rst.

use crate::reject::FieldReject;
use crate::state::ptr::{BtfOwner, BtfType};
use crate::state::{PtrFlags, RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_btf::fields::{Field, FieldKind};

/// A root that a call was given, and what hangs on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    /// Head of a list, or root of a tree.
    kind: FieldKind,
    /// Type of the objects.
    value: BtfType,
    /// Offset of the node in them, in bytes.
    node_off: u32,
}

/// How a call uses the node that it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NodeUse {
    /// Puts it in: it must be owned.
    Insert,
    /// It is in, or may be: it must be owned or not be owned by anyone else.
    Member,
}

impl Walk<'_> {
    /// Whether the register points to an object that the program allocated and may look at through this very pointer.
    fn is_plain_object(reg: &RegState) -> bool {
        matches!(reg.kind, RegKind::Btf(_)) && reg.flags == PtrFlags::ALLOC
    }

    /// Fixed offset of a pointer in what it points into.
    fn member_offset(&self, r: Reg, name: &'static str) -> Res<i64> {
        let reg = self.cur.reg(r);
        let Some(var) = reg.num.const_value() else {
            return Err(FieldReject::RootVariable { reg: r.num(), name }.into());
        };
        Ok(i64::from(reg.off).wrapping_add(var as i64))
    }

    /// The register points to a list's head or a tree's root whose lock is held
    /// (`__process_kf_arg_ptr_to_graph_root`).
    pub(crate) fn check_root(&self, r: Reg, kind: FieldKind) -> Res<Root> {
        let reg = *self.cur.reg(r);
        let arg = usize::from(r.num()).saturating_sub(1);
        let is_value = matches!(reg.kind, RegKind::MapValue(_)) && reg.flags == PtrFlags::NONE;
        if !is_value && !Self::is_plain_object(&reg) {
            return Err(FieldReject::NotValueOrObject { arg }.into());
        }
        if !is_value && reg.ref_id == 0 {
            return Err(FieldReject::NotReferenced {}.into());
        }
        let name = kind.name();
        let off = self.member_offset(r, name)?;
        let fields = self.prog.records.of_reg(&self.prog.maps, &reg);
        let at = |f: &&Field| f.kind == kind && i64::from(f.offset) == off;
        let Some(field) = fields.iter().find(at) else {
            return Err(FieldReject::NotAtOffset { name, off }.into());
        };
        self.check_allocation_locked(&reg, field)?;
        let target = field.target.ok_or(Stop::Bug("a root of nothing"))?;
        let value = self.field_target(&reg, field)?;
        Ok(Root { kind, value, node_off: target.node_offset })
    }

    /// The register points to a node that belongs with a root (`__process_kf_arg_ptr_to_graph_node`); gives the type
    /// of its object.
    pub(crate) fn check_node(&self, r: Reg, root: Root, how: NodeUse, func: &str) -> Res<BtfType> {
        let reg = *self.cur.reg(r);
        let arg = usize::from(r.num()).saturating_sub(1);
        match how {
            NodeUse::Insert => {
                if !Self::is_plain_object(&reg) {
                    return Err(FieldReject::NotObject { arg }.into());
                }
                if reg.ref_id == 0 {
                    return Err(FieldReject::NotReferenced {}.into());
                }
            }
            NodeUse::Member => {
                let func = || func.to_owned();
                // SOUND: the kernel takes NULL for a node if the node is at the start of its object, and one that
                // an RCU read section no longer keeps.
                let is_gone = reg.may_be_null() || reg.flags.has(PtrFlags::UNTRUSTED);
                if is_gone || (!is_non_owning(&reg) && reg.ref_id == 0) {
                    return Err(FieldReject::NodeUnowned { func: func() }.into());
                }
                if self.is_in_locked_callback() {
                    return Err(FieldReject::NodeInCallback { func: func() }.into());
                }
            }
        }
        let node =
            if root.kind == FieldKind::ListHead { FieldKind::ListNode } else { FieldKind::RbNode };
        let off = self.member_offset(r, node.name())?;
        let fields = self.prog.records.of_reg(&self.prog.maps, &reg);
        if !fields.iter().any(|f| f.kind == node && i64::from(f.offset) == off) {
            return Err(FieldReject::NotAtOffset { name: node.name(), off }.into());
        }
        let RegKind::Btf(have) = reg.kind else { return Err(Stop::Bug("a node in no object")) };
        let (at, name) = (root.node_off, self.btf_name(root.value)?.to_owned());
        if self.canonical_type(have) != self.canonical_type(root.value) {
            let have = self.btf_name(have)?.to_owned();
            let (root, node) = (root.kind.name(), node.name());
            return Err(FieldReject::NodeStruct { root, node, at, name, off, have }.into());
        }
        if off != i64::from(at) {
            return Err(FieldReject::NodeOffset { off, node: node.name(), at, name }.into());
        }
        Ok(have)
    }

    /// The register points to an object with a reference count (`KF_ARG_PTR_TO_REFCOUNTED_KPTR`); gives its type, and
    /// whether the program owns it through this pointer.
    pub(crate) fn check_refcounted(&self, r: Reg) -> Res<(BtfType, bool)> {
        let reg = self.cur.reg(r);
        let arg = usize::from(r.num()).saturating_sub(1);
        let RegKind::Btf(ty) = reg.kind else { return Err(FieldReject::NotRef { arg }.into()) };
        // SOUND: what an RCU read section no longer keeps has no count that could be raised.
        if !reg.flags.has(PtrFlags::ALLOC) || reg.flags.has(PtrFlags::UNTRUSTED) {
            return Err(FieldReject::NotRef { arg }.into());
        }
        let fields = self.prog.records.of_reg(&self.prog.maps, reg);
        if !fields.iter().any(|f| f.kind == FieldKind::Refcount) {
            return Err(FieldReject::NoRefcount { arg }.into());
        }
        Ok((ty, !is_non_owning(reg) && reg.ref_id != 0))
    }

    /// A pointer to a node on a root (`mark_reg_graph_node`).
    pub(crate) fn node_pointer(&self, root: Root) -> RegState {
        let off = i32::try_from(root.node_off).unwrap_or(i32::MAX);
        RegState { flags: PtrFlags::ALLOC, off, ..RegState::pointer(RegKind::Btf(root.value)) }
    }

    /// The same pointer, good only while the lock is held (`ref_set_non_owning`).
    // SOUND: an object with a reference count is freed after a grace period, so the pointer stays readable in an RCU
    // read section even when the node is taken out meanwhile.
    pub(crate) fn non_owning(&self, reg: RegState) -> RegState {
        let counted = match reg.kind {
            RegKind::Btf(ty) if ty.btf == BtfOwner::Program => {
                self.prog.records.of(ty.id).iter().any(|f| f.kind == FieldKind::Refcount)
            }
            _ => false,
        };
        let flags = reg.flags.with(PtrFlags::NON_OWN);
        let flags = if counted { flags.with(PtrFlags::RCU) } else { flags };
        RegState { flags, ref_id: 0, ..reg }
    }

    /// A node was put in: the program owns it no longer (`ref_convert_owning_non_owning`).
    pub(crate) fn mark_inserted(&mut self, ref_id: u32, object: BtfType) {
        self.mark_ref_forgotten(ref_id);
        let example = RegState { flags: PtrFlags::NONE, ..RegState::pointer(RegKind::Btf(object)) };
        let flags = self.non_owning(example).flags;
        self.cur.update_regs(
            |r| r.ref_id == ref_id,
            |r| {
                r.ref_id = 0;
                r.flags = r.flags.with(flags);
            },
        );
    }
}

/// Whether the pointer is good only while a lock is held (`type_is_non_owning_ref`).
pub(crate) fn is_non_owning(reg: &RegState) -> bool {
    matches!(reg.kind, RegKind::Btf(_)) && reg.flags.has(PtrFlags::ALLOC.with(PtrFlags::NON_OWN))
}
