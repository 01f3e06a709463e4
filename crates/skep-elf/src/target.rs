//! [`Target`]: the kernel's types and those of its modules, searched together.

use std::collections::HashMap;

use skep_btf::{Btf, Kind, Type, TypeId};

use crate::options::OpenOptions;

/// The target's types, and the modules that were referred to so far.
pub(crate) struct Target<'a> {
    pub(crate) kernel: Option<&'a Btf>,
    modules: &'a [(&'a str, &'a Btf)],
    /// Number from 1 of each module that is referred to, by its place in `modules`.
    used: HashMap<usize, u32>,
    names: Vec<String>,
}

/// A type of the target.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) ty: Type<'a>,
    /// Place in the list of modules; `None` for the kernel.
    module: Option<usize>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(options: &OpenOptions<'a>) -> Target<'a> {
        Target {
            kernel: options.target_btf,
            modules: options.target_modules,
            used: HashMap::new(),
            names: Vec::new(),
        }
    }

    /// Finds a type in the kernel or else in the first module that has it.
    pub(crate) fn find(&self, name: &str, kind: Kind) -> Option<Found<'a>> {
        let kernel = self.kernel?;
        if let Some(ty) = kernel.find_by_name_kind(name, kind) {
            return Some(Found { btf: kernel, ty, module: None });
        }
        self.modules.iter().enumerate().find_map(|(index, &(_, btf))| {
            let ty = btf.find_by_name_kind(name, kind)?;
            let own = ty.id() >= btf.first_own_id() && ty.id() != TypeId::VOID;
            own.then_some(Found { btf, ty, module: Some(index) })
        })
    }

    /// The number by which the object refers to the module of a type: 0 is the kernel.
    pub(crate) fn refer(&mut self, found: &Found<'_>) -> u32 {
        let Some(index) = found.module else { return 0 };
        *self.used.entry(index).or_insert_with(|| {
            let name = self.modules.get(index).map_or("", |(name, _)| name);
            self.names.push(name.to_owned());
            u32::try_from(self.names.len()).unwrap_or(u32::MAX)
        })
    }

    /// Names of the modules that are referred to.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }
}
