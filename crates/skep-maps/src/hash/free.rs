//! Lists of free elements: stacks without locks, one for each CPU slot and purpose.
//!
//! A head is the first element with a tag that changes at each push, so that a pop that was delayed
//! cannot mistake a head for the one that it read (the ABA problem). Links are the elements' own.

use super::chain::{Elem, NIL};

/// What free lists are made of.
pub(super) trait Memory {
    /// A list's head.
    type List: Copy;
    /// Loads a head, with acquire.
    fn head(&self, list: Self::List) -> u64;
    /// Replaces a head, with acquire and release; the head as it is, if it is not `from`.
    fn exchange_head(&self, list: Self::List, from: u64, to: u64) -> Result<(), u64>;
    /// The element after a free one, relaxed.
    fn next_free(&self, elem: Elem) -> Elem;
    /// Sets the element after a free one, with release: a reader of a chain may still come by.
    fn set_next_free(&self, elem: Elem, next: Elem);
}

fn pack(tag: u32, elem: Elem) -> u64 {
    u64::from(tag) << 32 | u64::from(elem)
}

fn unpack(head: u64) -> (u32, Elem) {
    ((head >> 32) as u32, head as u32)
}

/// Takes an element.
pub(super) fn pop<M: Memory>(memory: &M, list: M::List) -> Option<Elem> {
    let mut head = memory.head(list);
    loop {
        let (tag, elem) = unpack(head);
        if elem == NIL {
            return None;
        }
        // If another thread takes `elem` meanwhile, this is garbage and the exchange fails.
        let next = memory.next_free(elem);
        match memory.exchange_head(list, head, pack(tag, next)) {
            Ok(()) => return Some(elem),
            Err(now) => head = now,
        }
    }
}

/// Gives an element back.
pub(super) fn push<M: Memory>(memory: &M, list: M::List, elem: Elem) {
    let mut head = memory.head(list);
    loop {
        let (tag, first) = unpack(head);
        memory.set_next_free(elem, first);
        match memory.exchange_head(list, head, pack(tag.wrapping_add(1), elem)) {
            Ok(()) => return,
            Err(now) => head = now,
        }
    }
}
