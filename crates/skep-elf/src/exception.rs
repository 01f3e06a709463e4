//! Exception callbacks: `__exception_cb(name)` on an entry program names a subprogram that nothing calls and that must be
//! in the program all the same.

use std::collections::HashMap;

use skep_btf::{Btf, FuncLinkage, TypeView};

use crate::code::Func;
use crate::error::ElfError;

const PREFIX: &str = "exception_callback:";

/// What the tags say: program name to callback name.
pub(crate) struct Callbacks<'a> {
    names: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Callbacks<'a> {
    /// Reads the tags.
    pub(crate) fn new(btf: Option<&'a Btf>) -> Result<Callbacks<'a>, ElfError> {
        let mut names: HashMap<&str, Vec<&str>> = HashMap::new();
        for ty in btf.iter().flat_map(|btf| btf.own_types()) {
            let TypeView::DeclTag { target, component: None } = ty.view() else { continue };
            let Some(callback) = ty.name().strip_prefix(PREFIX) else { continue };
            let tagged = ty.btf().type_by_id(target);
            match tagged.map(|t| (t.name(), t.view())) {
                Some((name, TypeView::Func { linkage: FuncLinkage::Global, .. })) => {
                    names.entry(name).or_default().push(callback);
                }
                _ => {
                    return Err(ElfError::new(format!(
                        "tag '{PREFIX}{callback}' is not on an entry program"
                    )));
                }
            }
        }
        Ok(Callbacks { names })
    }

    /// The subprogram to append to a program. With several tags none is: the verifier refuses that.
    pub(crate) fn of(
        &self,
        program: &str,
        funcs: &[Func],
        text: Option<usize>,
    ) -> Result<Option<usize>, ElfError> {
        let Some([name]) = self.names.get(program).map(Vec::as_slice) else { return Ok(None) };
        let fail = |m: &str| Err(ElfError::new(format!("exception callback '{name}' {m}")));
        if name.is_empty() {
            return fail("has no name");
        }
        let found = funcs.iter().position(|f| Some(f.section) == text && f.name == *name);
        match found.and_then(|i| Some((i, funcs.get(i)?))) {
            None => fail("is not a function of .text"),
            Some((_, f)) if !f.global || f.hidden => {
                fail("is static or hidden; it must be a global function")
            }
            Some((i, _)) => Ok(Some(i)),
        }
    }
}
