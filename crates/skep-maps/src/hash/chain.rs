//! The chain of one bucket: how readers walk it without a lock while writers change it.
//!
//! Elements are type-stable: an element that leaves a chain may be reused at once for another key, in
//! this bucket or another. A reader that stands on such an element would read a key that is being
//! written, or wander off into another chain or a free list. So each bucket has a **version**, which
//! a writer raises *after* it unlinked an element and *before* the element can be reused:
//!
//! - a reader that starts after the raise cannot reach the element, which was unlinked before;
//! - a reader that started before it and meets anything of the reuse sees the raised version when it
//!   checks at the end, drops what it found, and starts again.
//!
//! An unchanged version means that every element that the reader met was in this chain and kept its key
//! for the whole walk. Insertion at the head does not raise the version: it misleads no reader.
//! A replaced element's successor takes its place in the chain, rather than the head, so that there is
//! no moment at which a reader that is past the head could miss a key that is always there.
//! Readers take no lock and wait for nobody; one starts again only because a writer got on.
//!
//! The algorithm is generic over [`Memory`], for the region and for the loom model.

use crate::sync::pause;

/// Number of an element, from 1; [`NIL`] is none.
pub(super) type Elem = u32;

/// No element.
pub(super) const NIL: Elem = 0;

/// A word that names an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    /// The bucket's first.
    Head(u32),
    /// The one after an element.
    Next(Elem),
}

/// What chains are made of.
pub(super) trait Memory {
    /// Loads a link, with acquire.
    fn link(&self, at: Link) -> Elem;
    /// Stores a link, with release.
    fn set_link(&self, at: Link, to: Elem);
    /// Loads a bucket's version, with acquire.
    fn version(&self, bucket: u32) -> u64;
    /// Adds one to a bucket's version, with release; the caller holds the bucket's lock.
    fn raise_version(&self, bucket: u32);
    /// An acquire fence, then the bucket's version, relaxed.
    fn version_after(&self, bucket: u32) -> u64;
}

/// Runs `body`, which reads the chain of `bucket`, until no element left the chain meanwhile.
pub(super) fn read<M: Memory, R>(memory: &M, bucket: u32, mut body: impl FnMut() -> R) -> R {
    loop {
        let before = memory.version(bucket);
        let result = body();
        if memory.version_after(bucket) == before {
            return result;
        }
        pause();
    }
}

/// Finds an element of the chain and the link that names it. Valid within [`read`] or under the lock.
pub(super) fn find<M: Memory>(
    memory: &M,
    bucket: u32,
    is_match: impl Fn(Elem) -> bool,
) -> Option<(Link, Elem)> {
    let mut link = Link::Head(bucket);
    loop {
        let elem = memory.link(link);
        if elem == NIL {
            return None;
        }
        if is_match(elem) {
            return Some((link, elem));
        }
        link = Link::Next(elem);
    }
}

/// Puts an initialised element at the head. Under the lock.
pub(super) fn insert<M: Memory>(memory: &M, bucket: u32, elem: Elem) {
    memory.set_link(Link::Next(elem), memory.link(Link::Head(bucket)));
    memory.set_link(Link::Head(bucket), elem);
}

/// Puts an initialised element in the place of `old`, which `link` names. Under the lock; afterwards
/// `old` may be reused.
pub(super) fn replace<M: Memory>(memory: &M, bucket: u32, link: Link, old: Elem, new: Elem) {
    memory.set_link(Link::Next(new), memory.link(Link::Next(old)));
    memory.set_link(link, new);
    memory.raise_version(bucket);
}

/// Takes `old`, which `link` names, out. Under the lock; afterwards it may be reused.
pub(super) fn remove<M: Memory>(memory: &M, bucket: u32, link: Link, old: Elem) {
    memory.set_link(link, memory.link(Link::Next(old)));
    memory.raise_version(bucket);
}
