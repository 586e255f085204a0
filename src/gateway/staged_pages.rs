//! The pages of one group that a batch changes.

use std::sync::Arc;

use crate::aggregation::{Contribution, State};
use crate::model::{Exemplar, Stamp};

use super::page::{Page, SlotRef};
use super::resolve::KnownSeries;
use super::restarts::restarts;
use super::slot_set::SlotSet;

/// Pages by number, in ascending order. Nearly always there is one, so this is a vector.
#[derive(Default)]
pub(crate) struct StagedPages(Vec<(usize, StagedPage)>);

/// A page as the batch would leave it.
pub(crate) struct StagedPage {
    pub(crate) page: Page,
    pub(crate) layout_changed: bool,
    /// Whether other slots are vacant than before.
    pub(crate) vacancy_changed: bool,
    /// The slots whose values are not the committed ones, less those that are new.
    pub(crate) changed: SlotSet,
}

impl StagedPage {
    /// Merges a push into series none of which is in a vacant slot. Gives back how many totals are now beyond what
    /// can be shown.
    pub(crate) fn absorb(&mut self, known: &[KnownSeries], stamp: Stamp) -> usize {
        let mut saturated = 0;
        for KnownSeries { slot, contribution, .. } in known {
            saturated += usize::from(self.absorb_one(slot.slot(), contribution, stamp));
        }
        saturated
    }

    #[inline]
    fn absorb_one(&mut self, slot: usize, contribution: &Contribution, stamp: Stamp) -> bool {
        let absorbed = self.page.values[slot].absorb(contribution, stamp);
        if absorbed.restarted {
            Arc::make_mut(&mut self.page.layout).set_created(slot, stamp);
            self.layout_changed = true;
        }
        self.changed.insert(slot);
        absorbed.saturated
    }

    /// The same where slots may be vacant, or values take the place of those that are there. Vacant slots in which
    /// a series begins are added to `begun`.
    pub(crate) fn put(
        &mut self,
        known: &[KnownSeries],
        replaces: bool,
        stamp: Stamp,
        begun: &mut Vec<SlotRef>,
    ) -> usize {
        let mut saturated = 0;
        for KnownSeries { slot, contribution, .. } in known {
            let at = slot.slot();
            let is_vacant = self.page.vacant.contains(at);
            if is_vacant || replaces {
                let state = State::new(self.page.layout.family(at).metric_type, contribution, stamp);
                self.page.exemplars.forget(at);
                if is_vacant {
                    begun.push(*slot);
                    self.vacancy_changed = true;
                }
                if is_vacant || restarts(&self.page.values[at].expose(), &state.expose()) {
                    self.page.begin(at, state, stamp);
                    self.layout_changed = true;
                } else {
                    self.page.values[at] = state;
                }
            } else {
                saturated += usize::from(self.absorb_one(at, contribution, stamp));
            }
            self.changed.insert(at);
        }
        saturated
    }

    /// Adds exemplars to the series in a slot.
    pub(crate) fn add_exemplars(&mut self, slot: usize, exemplars: &[Exemplar], stamp: Stamp) {
        let metric_type = self.page.layout.family(slot).metric_type;
        self.page.exemplars.absorb(slot, metric_type, exemplars, stamp);
        self.changed.insert(slot);
    }
}

impl StagedPages {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The page of this number, if it is among them.
    pub(crate) fn get(&self, number: usize) -> Option<&StagedPage> {
        self.place(number).ok().map(|place| &self.0[place].1)
    }

    /// The page of this number; `make` makes it if it is not among them yet.
    pub(crate) fn get_or_insert_with(
        &mut self,
        number: usize,
        make: impl FnOnce() -> Page,
    ) -> &mut StagedPage {
        let place = self.place(number).unwrap_or_else(|place| {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            let staged = StagedPage {
                page: make(),
                layout_changed: false,
                vacancy_changed: false,
                changed: SlotSet::default(),
            };
            self.0.insert(place, (number, staged));
            place
        });
        &mut self.0[place].1
    }

    /// The pages, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &StagedPage)> {
        self.0.iter().map(|(number, page)| (*number, page))
    }

    /// The pages, by number.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut StagedPage> {
        self.0.iter_mut().map(|(_, page)| page)
    }

    /// The pages with their numbers, which ascend.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (usize, Page)> {
        self.0.into_iter().map(|(number, staged)| (number, staged.page))
    }

    /// Where the page is, or where it belongs.
    fn place(&self, number: usize) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |(own, _)| *own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_in_order_and_each_is_made_once() {
        let mut pages = StagedPages::default();
        for number in [7, 2, 9, 2, 7] {
            let is_new = pages.get(number).is_none();
            let page = pages.get_or_insert_with(number, Page::default);
            assert_eq!(page.layout_changed, !is_new);
            page.layout_changed = true;
        }
        assert_eq!(pages.len(), 3);
        assert!(pages.get(3).is_none());
        assert_eq!(pages.into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [2, 7, 9]);
    }
}
