//! [`Names`]: the C name of each type. A second type of the same name gets `___2`, as in bpftool's dump.

use std::collections::HashMap;

use crate::btf::Btf;
use crate::types::{FwdKind, Kind, Type, TypeId, TypeView};

/// Names that were handed out.
pub(super) struct Names {
    /// Uses of each struct, union and enum tag.
    tags: HashMap<String, u32>,
    /// Uses of each typedef name and enumerator.
    idents: HashMap<String, u32>,
    given: HashMap<TypeId, String>,
}

/// A name that C takes: what is no identifier character becomes an underscore.
pub(super) fn clean(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

fn unique(used: &mut HashMap<String, u32>, name: &str) -> String {
    let name = clean(name);
    loop {
        let count = used.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            return name;
        }
        let numbered = format!("{name}___{count}");
        // Only a name that is itself numbered could be taken already.
        if !used.contains_key(&numbered) {
            used.insert(numbered.clone(), 1);
            return numbered;
        }
    }
}

impl Names {
    pub(super) fn new() -> Names {
        Names { tags: HashMap::new(), idents: HashMap::new(), given: HashMap::new() }
    }

    /// The name of a struct, union, enum, typedef or forward declaration.
    pub(super) fn of(&mut self, ty: Type<'_>) -> String {
        let ty = definition_of(ty).unwrap_or(ty);
        if let Some(name) = self.given.get(&ty.id()) {
            return name.clone();
        }
        let used = if ty.kind() == Kind::Typedef { &mut self.idents } else { &mut self.tags };
        let name = unique(used, ty.name());
        self.given.insert(ty.id(), name.clone());
        name
    }

    /// The name of an enumerator.
    pub(super) fn enumerator(&mut self, name: &str) -> String {
        unique(&mut self.idents, name)
    }
}

/// The struct or union that a forward declaration stands for, if the set has it.
pub(super) fn definition_of(ty: Type<'_>) -> Option<Type<'_>> {
    let TypeView::Fwd(kind) = ty.view() else { return None };
    let kind = match kind {
        FwdKind::Struct => Kind::Struct,
        FwdKind::Union => Kind::Union,
    };
    let btf: &Btf = ty.btf();
    btf.find_by_name_kind(ty.name(), kind)
}
