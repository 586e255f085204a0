//! Which slots of a page may differ from its whole record in the store: what patch records are made of.
//!
//! The invariant: a slot in which a page's record in the store may differ from what is committed is in the
//! page's set here, and a page has a set here if the store may hold a patch of it. It holds because a patch and
//! the record that it patches are never written in one batch; whoever writes the page's whole record removes the
//! patch in the same batch; and what is written later, or again after a failed commit, is always written whole.
//! So a patch in the store is always newer than the page's record beside it.

use std::collections::HashMap;

use hashbrown::DefaultHashBuilder;

use super::group::GroupId;
use super::slot_set::SlotSet;

/// A page with fewer slots is written whole: its record is hardly longer than what each record costs.
const PATCHED_PAGE_MIN: usize = 32;

/// A patch holds at most one of so many slots of its page. With more it would be rewritten at nearly the cost of the
/// page, and with fewer the page would be rewritten too often: like this a patch is a sixteenth of it on average.
const SLOTS_PER_PATCHED_SLOT: usize = 8;

/// The slots in which the whole records of pages may differ, for those pages alone that have any.
#[derive(Debug, Default)]
pub(crate) struct Patches(HashMap<(GroupId, usize), SlotSet, DefaultHashBuilder>);

impl Patches {
    /// Notes that these slots of a page of so many are to be written, and gives back what a patch must hold then;
    /// `None`, and nothing noted, if the page is to be written whole.
    pub(crate) fn extend(
        &mut self,
        group: GroupId,
        page: usize,
        slots: usize,
        changed: &SlotSet,
    ) -> Option<SlotSet> {
        if slots < PATCHED_PAGE_MIN {
            return None;
        }
        let known = self.0.get(&(group, page)).copied().unwrap_or_default();
        let patched = known.with(changed);
        if patched.len() * SLOTS_PER_PATCHED_SLOT > slots {
            return None;
        }
        self.0.insert((group, page), patched);
        Some(patched)
    }

    /// Notes what a store holds.
    pub(crate) fn restore(&mut self, group: GroupId, page: usize, slots: SlotSet) {
        self.0.insert((group, page), slots);
    }

    /// Forgets a page, because it is written whole or is gone. True if the store may hold a patch of it.
    pub(crate) fn remove(&mut self, group: GroupId, page: usize) -> bool {
        self.0.remove(&(group, page)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::SLOTS_PER_PAGE;
    use super::*;

    fn set(slots: &[usize]) -> SlotSet {
        slots.iter().copied().collect()
    }

    #[test]
    fn a_patch_gathers_slots_until_they_are_too_many() {
        let (mut patches, group) = (Patches::default(), GroupId(1));
        for first in 0..4 {
            let expected: Vec<usize> = (0..=first).collect();
            assert_eq!(patches.extend(group, 2, 32, &set(&[first])), Some(set(&expected)));
        }
        assert_eq!(patches.extend(group, 2, 32, &set(&[3])), Some(set(&[0, 1, 2, 3])));
        assert_eq!(patches.extend(group, 2, 32, &set(&[4])), None);
        assert!(patches.remove(group, 2));
        assert!(!patches.remove(group, 2));
        assert_eq!(patches.extend(group, 2, 32, &set(&[4])), Some(set(&[4])));
    }

    #[test]
    fn small_pages_and_those_of_which_nothing_is_known_to_be_stored_are_written_whole() {
        let (mut patches, group) = (Patches::default(), GroupId(1));
        assert_eq!(patches.extend(group, 0, PATCHED_PAGE_MIN - 1, &set(&[1])), None);
        patches.restore(group, 1, SlotSet::ALL);
        assert_eq!(patches.extend(group, 1, SLOTS_PER_PAGE, &set(&[1])), None);
    }
}
