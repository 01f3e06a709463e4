//! [`NameIndex`]: from a name to the ids of types that have it, as chains in two flat tables.

use crate::btf::Btf;
use crate::types::TypeId;

/// Chains of own ids of a set by the hash of a name. Ids in a chain ascend.
#[derive(Debug)]
pub(crate) struct NameIndex {
    /// First id of each chain, 0 for none; a power of two of them.
    heads: Vec<u32>,
    /// The next id in the chain, by id less `start_id`.
    next: Vec<u32>,
    start_id: u32,
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl NameIndex {
    /// Indexes all named types of `btf` that are not its base's by `key` of their name.
    pub(crate) fn build(btf: &Btf, key: impl Fn(&str) -> &str) -> NameIndex {
        let count = btf.starts.len();
        let mut index = NameIndex {
            heads: vec![0; count.next_power_of_two()],
            next: vec![0; count],
            start_id: btf.start_id,
        };
        for id in (btf.start_id..btf.next_id()).rev() {
            let name = btf.type_by_id(TypeId(id)).map_or("", |t| t.name());
            if name.is_empty() {
                continue;
            }
            let slot = index.slot(key(name));
            if let (Some(head), Some(next)) =
                (index.heads.get_mut(slot), index.next.get_mut((id - btf.start_id) as usize))
            {
                *next = *head;
                *head = id;
            }
        }
        index
    }

    fn slot(&self, name: &str) -> usize {
        let h = hash(name);
        ((h ^ (h >> 32)) as usize) & (self.heads.len() - 1)
    }

    /// Ids whose key may be `name`: the caller compares.
    pub(crate) fn candidates(&self, name: &str) -> impl Iterator<Item = TypeId> + '_ {
        let first = self.heads.get(self.slot(name)).copied().unwrap_or(0);
        let some = |id: u32| (id != 0).then_some(TypeId(id));
        core::iter::successors(some(first), move |id| {
            some(self.next.get((id.0 - self.start_id) as usize).copied().unwrap_or(0))
        })
    }
}
