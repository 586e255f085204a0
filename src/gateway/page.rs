//! Pages: where the values of a group's series stand, and who they are.
//!
//! A page is immutable once published; a change makes a new version of that page, and of no other.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use crate::aggregation::State;
use crate::model::{Label, Stamp};

use super::family::{Family, FamilyId};

/// How many values a page holds at most: a push of one sample rewrites one page, so it must be small, and a
/// record for each page is kept, so it must not be tiny.
pub(crate) const SLOTS_PER_PAGE: usize = 128;

/// A page whose values or labels take this many bytes takes no more series, so that large histograms and
/// long labels do not make the pushes to their neighbours dear.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Where a series' value stands within its group: a page and a slot in it, in one word, because
/// there is one for each series in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotRef(u32);

impl SlotRef {
    /// The largest number of pages that a group can have.
    pub(crate) const PAGES_MAX: usize = (u32::MAX as usize + 1) / SLOTS_PER_PAGE;

    pub(crate) fn new(page: usize, slot: usize) -> Self {
        debug_assert!(page < Self::PAGES_MAX && slot < SLOTS_PER_PAGE);
        Self(u32::try_from(page * SLOTS_PER_PAGE + slot).expect("pages per group are limited"))
    }

    pub(crate) fn page(self) -> usize {
        self.0 as usize / SLOTS_PER_PAGE
    }

    pub(crate) fn slot(self) -> usize {
        self.0 as usize % SLOTS_PER_PAGE
    }
}

/// A version of a page: the values, and the layout that says whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) layout: Arc<PageLayout>,
    /// One for each slot of the layout.
    pub(crate) values: Vec<State>,
}

impl Page {
    /// Whether it takes another series.
    pub(crate) fn has_room(&self) -> bool {
        self.layout.len() < SLOTS_PER_PAGE
            && self.layout.text.len() < PAGE_BYTES_MAX
            && self.values.iter().map(State::weight).sum::<usize>() < PAGE_BYTES_MAX
    }
}

/// The identities of the series of one page: family and labels, written once when a series first appears.
///
/// All names and values stand in one text, piece after piece, so that a series costs a few words and not a
/// few allocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageLayout {
    /// The families that have series here, in order of appearance.
    families: Vec<Arc<Family>>,
    /// Label names and values of all slots: name, value, name, value, ...
    text: String,
    /// Where each piece of `text` ends.
    ends: Vec<u32>,
    slots: Vec<SlotIdentity>,
}

#[derive(Clone, Copy, Debug)]
struct SlotIdentity {
    /// Into `families`.
    family: u32,
    /// One past its last piece in `ends`; its first is where the slot before ends.
    pieces_end: u32,
    created: Stamp,
}

impl PageLayout {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The families that have series on this page.
    pub(crate) fn families(&self) -> &[Arc<Family>] {
        &self.families
    }

    /// The index in [`Self::families`] of the family of a slot.
    pub(crate) fn family_index(&self, slot: usize) -> usize {
        self.slots[slot].family as usize
    }

    pub(crate) fn family(&self, slot: usize) -> &Arc<Family> {
        &self.families[self.family_index(slot)]
    }

    /// When the series in this slot was first pushed.
    pub(crate) fn created(&self, slot: usize) -> Stamp {
        self.slots[slot].created
    }

    /// The labels of a slot, by name, less those of the grouping key.
    pub(crate) fn labels(&self, slot: usize) -> impl ExactSizeIterator<Item = Label<'_>> + Clone {
        let first = if slot == 0 { 0 } else { self.slots[slot - 1].pieces_end as usize };
        let end = self.slots[slot].pieces_end as usize;
        (first..end).step_by(2).map(|piece| Label { name: self.piece(piece), value: self.piece(piece + 1) })
    }

    /// Adds a series; the caller makes sure that the page has room.
    pub(crate) fn push<'a>(
        &mut self,
        family: &Arc<Family>,
        labels: impl Iterator<Item = Label<'a>>,
        created: Stamp,
    ) {
        debug_assert!(self.len() < SLOTS_PER_PAGE);
        let known = self.families.iter().position(|own| Arc::ptr_eq(own, family));
        let family = known.unwrap_or_else(|| {
            self.families.push(Arc::clone(family));
            self.families.len() - 1
        });
        for label in labels {
            self.push_piece(label.name);
            self.push_piece(label.value);
        }
        self.slots.push(SlotIdentity {
            family: u32::try_from(family).expect("at most one family for each slot"),
            pieces_end: u32::try_from(self.ends.len()).expect("labels of a page are limited"),
            created,
        });
    }

    fn push_piece(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.ends.push(u32::try_from(self.text.len()).expect("label texts of a page are limited"));
    }

    fn piece(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }
}

/// The hash under which a series is found in its group.
pub(crate) fn series_hash<'a>(
    hasher: &impl BuildHasher,
    family: FamilyId,
    labels: impl Iterator<Item = Label<'a>>,
) -> u64 {
    let mut state = hasher.build_hasher();
    family.hash(&mut state);
    for label in labels {
        label.hash(&mut state);
    }
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LabelSet, MetricType};

    fn family(id: u64, name: &str) -> Arc<Family> {
        Arc::new(Family::new(FamilyId(id), name.into(), MetricType::Counter, None))
    }

    #[test]
    fn a_slot_reference_keeps_page_and_slot() {
        let slot = SlotRef::new(70_000, 127);
        assert_eq!((slot.page(), slot.slot()), (70_000, 127));
    }

    #[test]
    fn a_layout_gives_back_what_was_pushed() {
        let (a, b) = (family(1, "a"), family(2, "b"));
        let (none, two) = (LabelSet::default(), LabelSet::new([("x", "1"), ("y", "ü")]));
        let mut layout = PageLayout::default();
        layout.push(&a, none.iter(), Stamp(1));
        layout.push(&b, two.iter(), Stamp(2));
        layout.push(&a, two.iter(), Stamp(3));

        assert_eq!(layout.len(), 3);
        assert_eq!(layout.families().len(), 2);
        assert_eq!(layout.labels(0).len(), 0);
        assert_eq!(layout.labels(1).collect::<Vec<_>>(), two.iter().collect::<Vec<_>>());
        assert_eq!(layout.labels(2).collect::<Vec<_>>(), two.iter().collect::<Vec<_>>());
        assert_eq!(layout.family(1).name, b.name);
        assert_eq!(layout.family(2).name, a.name);
        assert_eq!(layout.created(2), Stamp(3));
    }
}
