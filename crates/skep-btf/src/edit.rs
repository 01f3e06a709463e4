//! What a loader changes in an object's types so that a kernel takes them: externs become definitions.
//!
//! Neighbour: `build`, which sets data sections and the linkage of functions. The rules are libbpf's.

use std::sync::OnceLock;

use crate::btf::Btf;
use crate::error::{BtfError, TypeFault};
use crate::types::{Kind, TypeId, VarLinkage};

impl Btf {
    /// Where an own type of a kind starts in the words.
    fn own(&self, id: TypeId, kind: Kind, rule: &'static str) -> Result<usize, BtfError> {
        if self.get(id)?.kind() != kind || id < self.first_own_id() {
            return Err(self.type_error(id, TypeFault::Rule(rule)));
        }
        let start = self.starts.get((id.0 - self.start_id) as usize).copied();
        Ok(start.unwrap_or(0) as usize)
    }

    /// Sets type and linkage of a variable.
    ///
    /// # Errors
    /// [`BtfError`] if `id` is not a variable of this set (not its base's), or there is no type `ty`.
    pub fn set_var(&mut self, id: TypeId, ty: TypeId, linkage: VarLinkage) -> Result<(), BtfError> {
        self.get(ty)?;
        let start = self.own(id, Kind::Var, "is not an own variable")?;
        if let Some([to_type, to_linkage]) = self.words.get_mut(start + 2..start + 4) {
            *to_type = ty.0;
            *to_linkage = linkage.raw();
        }
        Ok(())
    }

    /// Adds a variable after the last type.
    ///
    /// # Errors
    /// [`BtfError`] if there is no type `ty`, the name holds a NUL byte, or there is no room for more.
    pub fn push_var(
        &mut self,
        name: &str,
        ty: TypeId,
        linkage: VarLinkage,
    ) -> Result<TypeId, BtfError> {
        self.get(ty)?;
        let id = TypeId(self.next_id());
        let full = || self.type_error(id, TypeFault::Overflow);
        let name_off = self.str_end();
        let start = u32::try_from(self.words.len()).map_err(|_| full())?;
        let end = u64::from(name_off) + name.len() as u64 + 1;
        if name.contains('\0') || end > u64::from(u32::MAX) || id.0 == u32::MAX {
            return Err(full());
        }
        let mut strs = core::mem::take(&mut self.strs).into_string();
        strs.push_str(name);
        strs.push('\0');
        self.strs = strs.into_boxed_str();
        self.starts.push(start);
        self.words.extend([name_off, (Kind::Var as u32) << 24, ty.0, linkage.raw()]);
        // What was found by name before does not know the new one.
        self.by_name = OnceLock::new();
        self.by_essential = OnceLock::new();
        self.allocated = OnceLock::new();
        Ok(id)
    }

    /// Gives the parameters of a prototype that have none a name; `name_off` is an offset in the strings. A last parameter
    /// without a type (`...`) stays as it is.
    ///
    /// # Errors
    /// [`BtfError`] if `id` is not a prototype of this set (not its base's).
    pub fn name_params(&mut self, id: TypeId, name_off: u32) -> Result<(), BtfError> {
        let start = self.own(id, Kind::FuncProto, "is not an own prototype")?;
        let count = usize::from(self.get(id)?.vlen());
        for param in 0..count {
            let at = start + 3 + param * 2;
            if let Some([name, ty]) = self.words.get_mut(at..at + 2)
                && *name == 0
                && *ty != 0
            {
                *name = name_off;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::build::BtfBuilder;
    use crate::{Int, Kind, TypeId, TypeView, VarLinkage};

    #[test]
    fn variables_are_changed_and_added() {
        let mut builder = BtfBuilder::new();
        let int = builder.add_int("int", Int { size: 4, bits: 32, bit_offset: 0, encoding: 1 });
        let proto = builder.add_func_proto(int, &[("", int), ("given", int), ("", TypeId::VOID)]);
        let var = builder.add_var("v", TypeId::VOID, VarLinkage::Extern);
        let mut btf = builder.build().unwrap();
        assert!(btf.find_by_name("dummy").is_none());
        btf.set_var(var, int, VarLinkage::Global).unwrap();
        let dummy = btf.push_var("dummy", int, VarLinkage::Global).unwrap();
        let view = btf.get(var).unwrap().view();
        assert!(matches!(view, TypeView::Var { ty, linkage: VarLinkage::Global } if ty == int));
        assert_eq!(btf.find_by_name("dummy").map(|t| t.id()), Some(dummy));
        btf.name_params(proto, btf.get(dummy).unwrap().name_off()).unwrap();
        let TypeView::FuncProto(p) = btf.get(proto).unwrap().view() else { panic!("no prototype") };
        let names: Vec<_> = p.params.iter().map(|p| p.name).collect();
        assert_eq!(names, ["dummy", "given", ""]);
        // Kinds are checked.
        assert!(btf.set_var(int, int, VarLinkage::Global).is_err());
        assert!(btf.name_params(var, 0).is_err());
        assert!(btf.push_var("a\0b", int, VarLinkage::Global).is_err());
        // And it reads back.
        let again = crate::Btf::parse(&btf.to_bytes(crate::ByteOrder::HOST)).unwrap();
        assert_eq!(again.find_by_name_kind("dummy", Kind::Var).map(|t| t.id()), Some(dummy));
    }
}
