//! [`BtfBuilder::dedup`]: merges types that mean the same, as linking several objects needs.
//!
//! 1. Numbers and enums are equal if their words are. An enum without values gives way to one of the same name that has them.
//! 2. Structs, which alone may contain themselves, are compared as graphs: a pair that is met again while it is being
//!    compared counts as equal. A forward declaration equals a struct of its name.
//! 3. A forward declaration that is left becomes the one struct of its name, if there is just one.
//! 4. All other types are equal if their words are, after ids in them were replaced by what these became.
//!
//! Variables and data sections are never merged. In effect this is what libbpf's `btf__dedup` does.

use std::collections::HashMap;

use crate::btf::Btf;
use crate::build::{BtfBuilder, IdMap};
use crate::error::BtfError;
use crate::slots::{Slot, slots};
use crate::types::{FwdKind, Kind, Type, TypeId, TypeView};

/// How many pairs of types one comparison of structs may look at.
const MAX_PAIRS: usize = 1 << 20;

/// With how many structs of its shape a struct is compared.
const MAX_GROUP: usize = 1000;
/// How often references are gone through. Each pass merges at least one more level of them; what is left over is right,
/// only larger than need be.
const MAX_PASSES: u32 = 256;

struct Dedup<'a> {
    btf: &'a Btf,
    first: u32,
    /// What each own type became; itself to begin with.
    canon: Vec<u32>,
}

/// What a type is grouped by before it is compared in full: everything but ids.
type Shape = Vec<u32>;

impl<'a> Dedup<'a> {
    /// What a type became, all the way.
    fn find(&self, id: u32) -> u32 {
        let mut at = id;
        // A replacement is never undone, and always leads to a type that was not replaced, so this ends.
        while let Some(&next) = at.checked_sub(self.first).and_then(|i| self.canon.get(i as usize))
            && next != at
        {
            at = next;
        }
        at
    }

    /// Replaces `from` by `to`.
    fn merge(&mut self, from: u32, to: u32) {
        let (from, to) = (self.find(from), self.find(to));
        if from != to
            && let Some(slot) =
                from.checked_sub(self.first).and_then(|i| self.canon.get_mut(i as usize))
        {
            *slot = to;
        }
    }

    fn ty(&self, id: u32) -> Option<Type<'a>> {
        self.btf.type_by_id(TypeId(id))
    }

    /// Words of a type without those that `skip` names. String offsets of equal strings are equal in a builder.
    fn shape(&self, ty: Type<'a>, with_ids: bool) -> Shape {
        let mut words = ty.words().to_vec();
        for (at, slot) in slots(ty.kind(), words.len()) {
            if let Some(word) = words.get_mut(at)
                && slot == Slot::Id
            {
                *word = if with_ids { self.find(*word) } else { 0 };
            }
        }
        words
    }

    fn merge_plain(&mut self) {
        let mut seen: HashMap<Shape, u32> = HashMap::new();
        let mut full_enums: HashMap<(u32, u32), u32> = HashMap::new();
        let mut open_enums = Vec::new();
        for ty in self.btf.types() {
            let id = ty.id().0;
            match ty.kind() {
                Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 | Kind::Fwd => {}
                _ => continue,
            }
            if ty.kind().is_enum() && !ty.is_anon() {
                let key = (ty.name_off(), ty.size_or_type());
                if ty.vlen() == 0 {
                    open_enums.push((id, key));
                } else {
                    full_enums.entry(key).or_insert(id);
                }
            }
            let first = *seen.entry(self.shape(ty, true)).or_insert(id);
            self.merge(id, first);
        }
        for (id, key) in open_enums {
            if let Some(&full) = full_enums.get(&key) {
                self.merge(id, full);
            }
        }
    }

    fn merge_composites(&mut self) {
        let mut groups: HashMap<Shape, Vec<u32>> = HashMap::new();
        for ty in self.btf.types().filter(|t| t.kind().is_composite()) {
            let id = ty.id().0;
            if self.find(id) != id {
                continue;
            }
            let group = groups.entry(self.shape(ty, false)).or_default();
            let pairs = group.iter().take(MAX_GROUP).find_map(|&other| self.same_graph(id, other));
            let Some(pairs) = pairs else {
                group.push(id);
                continue;
            };
            for (a, b) in pairs {
                self.merge_pair(a, b);
            }
        }
    }

    /// Records that two types that were compared are the same; what has more to say stays.
    fn merge_pair(&mut self, a: u32, b: u32) {
        let (Some(ta), Some(tb)) = (self.ty(a), self.ty(b)) else { return };
        match (ta.kind(), tb.kind()) {
            (ka, kb) if ka.is_composite() && kb.is_composite() => self.merge(a, b),
            (Kind::Fwd, _) => self.merge(a, b),
            (_, Kind::Fwd) => self.merge(b, a),
            (ka, kb) if ka.is_enum() && kb.is_enum() && ta.vlen() == 0 => self.merge(a, b),
            (ka, kb) if ka.is_enum() && kb.is_enum() => self.merge(b, a),
            _ => {}
        }
    }

    /// Compares two structs and all that they refer to. Gives the pairs that must be the same for that.
    fn same_graph(&self, a: u32, b: u32) -> Option<Vec<(u32, u32)>> {
        let mut assumed: HashMap<u32, u32> = HashMap::new();
        let mut pairs = Vec::new();
        let mut todo = vec![(a, b)];
        while let Some((a, b)) = todo.pop() {
            let (a, b) = (self.find(a), self.find(b));
            if a == b {
                continue;
            }
            match assumed.get(&a) {
                Some(&with) if with == b => continue,
                Some(_) => return None,
                None => {}
            }
            if pairs.len() >= MAX_PAIRS {
                return None;
            }
            assumed.insert(a, b);
            pairs.push((a, b));
            let (ta, tb) = (self.ty(a)?, self.ty(b)?);
            if stands_for(ta, tb) || stands_for(tb, ta) {
                continue;
            }
            if ta.kind() != tb.kind() || self.shape(ta, false) != self.shape(tb, false) {
                return None;
            }
            // Sections and variables are never the same, nor are two different numbers.
            if matches!(ta.kind(), Kind::Var | Kind::Datasec | Kind::Int | Kind::Float | Kind::Fwd)
                || ta.kind().is_enum()
            {
                return None;
            }
            let ids = slots(ta.kind(), ta.words().len()).filter(|(_, slot)| *slot == Slot::Id);
            for (at, _) in ids {
                todo.push((*ta.words().get(at)?, *tb.words().get(at)?));
            }
        }
        Some(pairs)
    }

    fn resolve_forwards(&mut self) {
        let mut named: HashMap<(u32, Kind), Option<u32>> = HashMap::new();
        for ty in self.btf.types().filter(|t| t.kind().is_composite() && !t.is_anon()) {
            let id = self.find(ty.id().0);
            named
                .entry((ty.name_off(), ty.kind()))
                .and_modify(|one| *one = one.filter(|&known| known == id))
                .or_insert(Some(id));
        }
        for ty in self.btf.own_types() {
            if let TypeView::Fwd(kind) = ty.view()
                && let Some(&Some(id)) = named.get(&(ty.name_off(), kind_of(kind)))
            {
                self.merge(ty.id().0, id);
            }
        }
    }

    /// Merges what refers to merged types, until nothing changes any more.
    fn merge_references(&mut self) {
        for _ in 0..MAX_PASSES {
            let mut seen: HashMap<Shape, u32> = HashMap::new();
            let mut changed = false;
            for ty in self.btf.types() {
                let id = ty.id().0;
                let is_merged_by_words = matches!(
                    ty.kind(),
                    Kind::Ptr
                        | Kind::Array
                        | Kind::Typedef
                        | Kind::Volatile
                        | Kind::Const
                        | Kind::Restrict
                        | Kind::Func
                        | Kind::FuncProto
                        | Kind::DeclTag
                        | Kind::TypeTag
                );
                if !is_merged_by_words || self.find(id) != id {
                    continue;
                }
                let first = *seen.entry(self.shape(ty, true)).or_insert(id);
                if first != id {
                    self.merge(id, first);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }
}

fn kind_of(kind: FwdKind) -> Kind {
    match kind {
        FwdKind::Struct => Kind::Struct,
        FwdKind::Union => Kind::Union,
    }
}

/// Whether `a` is a declaration of what `b` defines.
fn stands_for(a: Type<'_>, b: Type<'_>) -> bool {
    let same_name = a.name_off() == b.name_off() && !a.is_anon();
    match a.view() {
        TypeView::Fwd(kind) => same_name && b.kind() == kind_of(kind),
        TypeView::Enum(e) | TypeView::Enum64(e) => {
            same_name
                && e.values.is_empty()
                && b.kind().is_enum()
                && a.size_or_type() == b.size_or_type()
        }
        _ => false,
    }
}

impl BtfBuilder {
    /// Merges equal types. Gives the smaller set, and what became of each id.
    ///
    /// # Errors
    /// [`BtfError`] if a type refers to one that was never added.
    pub fn dedup(self) -> Result<(BtfBuilder, IdMap), BtfError> {
        let base = self.base.clone();
        let btf = self.build()?;
        let first = btf.first_own_id().0;
        let mut dedup = Dedup { btf: &btf, first, canon: (first..btf.next_id()).collect() };
        dedup.merge_plain();
        dedup.merge_composites();
        dedup.resolve_forwards();
        dedup.merge_references();

        let mut next = first;
        let mut numbers = vec![0; dedup.canon.len()];
        for (number, id) in numbers.iter_mut().zip(first..) {
            if dedup.find(id) == id {
                *number = next;
                next += 1;
            }
        }
        let number_of = |id: u32| match dedup.find(id).checked_sub(first) {
            None => dedup.find(id),
            Some(index) => numbers.get(index as usize).copied().unwrap_or(0),
        };
        let mut out = base.map_or_else(BtfBuilder::new, BtfBuilder::with_base);
        out.set_byte_order(btf.byte_order());
        for ty in btf.own_types().filter(|t| dedup.find(t.id().0) == t.id().0) {
            let mut words = ty.words().to_vec();
            for (at, slot) in slots(ty.kind(), words.len()) {
                let Some(word) = words.get_mut(at) else { continue };
                *word = match slot {
                    Slot::Id => number_of(*word),
                    Slot::Str => out.add_str(btf.str_at(*word).unwrap_or("")),
                };
            }
            out.add_words(&words);
        }
        let map = IdMap::new(first, (first..btf.next_id()).map(number_of).collect());
        Ok((out, map))
    }
}
