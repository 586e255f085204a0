//! Pages: where the values of a group's series stand.
//!
//! A page is immutable once published; a change makes a new version of that page, and of no other.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use crate::aggregation::State;
use crate::model::{Label, Stamp};

use super::family::FamilyId;
use super::layout::PageLayout;
use super::page_exemplars::PageExemplars;
use super::slot_set::SlotSet;
use super::touched::Touched;

/// How many values a page holds at most: a push of one sample rewrites one page, so it must be small, and a
/// record for each page is kept, so it must not be tiny.
pub(crate) const SLOTS_PER_PAGE: usize = 128;

/// A page whose values or labels take this many bytes takes no more series, so that large histograms and
/// long labels do not make the pushes to their neighbours dear.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// What stands in a vacant slot: something that takes no room.
pub(crate) const NO_STATE: State = State::Info;

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) layout: Arc<PageLayout>,
    /// One for each slot of the layout; that of a vacant one means nothing.
    pub(crate) values: Vec<State>,
    /// Slots whose series were replaced and have not come again. The slot stays theirs: a series that comes again
    /// gets it back.
    pub(crate) vacant: SlotSet,
    /// Which push came last to each family.
    pub(crate) touched: Touched,
    pub(crate) exemplars: PageExemplars,
}

impl Page {
    /// The slots that hold a series, in ascending order.
    pub(crate) fn held_slots(&self) -> impl Iterator<Item = usize> {
        (0..self.values.len()).filter(|slot| !self.vacant.contains(*slot))
    }

    /// How many series it holds.
    pub(crate) fn series(&self) -> usize {
        self.values.len() - self.vacant.len()
    }

    /// Whether it holds a series of a family, given by its index in the layout.
    pub(crate) fn holds_family(&self, family: usize) -> bool {
        self.vacant.is_empty() || self.held_slots().any(|slot| self.layout.family_index(slot) == family)
    }

    /// Notes a push to the series in these slots.
    pub(crate) fn touch(&mut self, slots: impl Iterator<Item = usize>, stamp: Stamp) {
        let Self { layout, values, touched, .. } = self;
        let slots: SlotSet = slots.collect();
        if slots.len() == values.len() {
            // The layout, which is in no cache of the processor where there are many pages, is not needed.
            *touched = Touched::Together(stamp);
            return;
        }
        touched.touch(layout.families().len(), slots.iter().map(|slot| layout.family_index(slot)), stamp);
    }

    /// Takes out the series in a slot.
    pub(crate) fn vacate(&mut self, slot: usize) {
        self.values[slot] = NO_STATE;
        self.vacant.insert(slot);
        self.exemplars.forget(slot);
    }

    /// Makes a slot hold a series that begins with this state.
    pub(crate) fn begin(&mut self, slot: usize, state: State, created: Stamp) {
        self.values[slot] = state;
        self.vacant.remove(slot);
        Arc::make_mut(&mut self.layout).set_created(slot, created);
    }

    /// Whether it takes another series.
    pub(crate) fn has_room(&self) -> bool {
        self.layout.len() < SLOTS_PER_PAGE
            && self.layout.weight() < PAGE_BYTES_MAX
            && self.values.iter().map(State::weight).sum::<usize>() + self.exemplars.weight() < PAGE_BYTES_MAX
    }

    /// Gives back room for more that it has taken while it grew, since it is kept for long.
    pub(crate) fn give_back_spare_room(&mut self) {
        self.layout = Arc::new(self.layout.without_spare_room());
        let mut values = Vec::with_capacity(self.values.len());
        values.append(&mut self.values);
        self.values = values;
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
    use super::super::family::{Family, Texts};
    use super::*;
    use crate::model::{LabelSet, MetricType};

    #[test]
    fn a_push_touches_the_families_of_its_slots_and_no_others() {
        let families = [1, 2, 3].map(|id| {
            let name = format!("family_{id}").into();
            Arc::new(Family::new(FamilyId(id), name, MetricType::Info, Texts::default()))
        });
        let mut page = Page::default();
        for slot in 0..7 {
            let labels = LabelSet::new([("l", &*slot.to_string())]);
            Arc::make_mut(&mut page.layout).push(&families[slot % 3], labels.iter(), Stamp(1));
            page.values.push(NO_STATE);
        }
        let stamps = |page: &Page| [0, 1, 2].map(|family| page.touched.of(family).0);
        for (stamp, slots, expected) in [
            (2, vec![0, 1, 2, 3, 4, 5, 6], [2, 2, 2]),
            (3, vec![6, 1], [3, 3, 2]),
            (4, vec![2], [3, 3, 4]),
            // As many as there are, and not all of them.
            (5, vec![0, 0, 3, 3, 6, 6, 6], [5, 3, 4]),
            (6, vec![6, 5, 4, 3, 2, 1, 0], [6, 6, 6]),
        ] {
            page.touch(slots.into_iter(), Stamp(stamp));
            assert_eq!(stamps(&page), expected, "push {stamp}");
        }
    }

    #[test]
    fn a_slot_reference_keeps_page_and_slot() {
        let slot = SlotRef::new(70_000, 127);
        assert_eq!((slot.page(), slot.slot()), (70_000, 127));
    }
}
