//! One group as a batch would leave it: what differs from its committed state, or all of it if it is new.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::aggregation::State;
use crate::model::{LabelSet, Stamp};

use super::family::{Family, FamilyId};
use super::group::{FamilyInGroup, Group, GroupEntry, PushTimes};
use super::live_group::LiveGroup;
use super::page::{Page, SLOTS_PER_PAGE, SlotRef};
use super::slot_set::SlotSet;
use super::staged_pages::{StagedPage, StagedPages};
use super::touched::Touched;

/// A family with this many series in one group gets pages of its own there; smaller ones share pages.
pub(crate) const OWN_PAGES_FROM: usize = SLOTS_PER_PAGE / 2;

/// A group as the batch would leave it: what differs from its committed state, or all of it if it is new.
pub(crate) struct StagedGroup {
    pub(crate) group: Arc<Group>,
    pub(crate) is_new: bool,
    pub(crate) pages: StagedPages,
    pub(crate) page_count: usize,
    pub(crate) series: usize,
    /// Slots that hold no series.
    pub(crate) vacant: usize,
    pub(crate) times: PushTimes,
    /// What series that come or go change; `None` as long as there are none, which is nearly always so.
    pub(crate) growth: Option<Box<Growth>>,
}

/// What series that come or go change in their group.
#[derive(Default)]
pub(crate) struct Growth {
    pub(crate) shared_page: Option<usize>,
    pub(crate) families: HashMap<Arc<str>, FamilyInGroup>,
    /// The series that are not in the group's index yet.
    pub(crate) added: HashMap<(FamilyId, LabelSet), SlotRef>,
}

/// A series that gets a slot.
pub(crate) struct NewSeries {
    /// Less those of the grouping key.
    pub(crate) labels: LabelSet,
    pub(crate) state: State,
    pub(crate) created: Stamp,
    /// The last push to its family.
    pub(crate) touched: Stamp,
}

impl StagedGroup {
    /// A group that holds nothing yet.
    pub(crate) fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            is_new: true,
            pages: StagedPages::default(),
            page_count: 0,
            series: 0,
            vacant: 0,
            times: PushTimes::default(),
            growth: None,
        }
    }

    /// A committed group, not changed yet.
    pub(crate) fn of(entry: &GroupEntry) -> Self {
        Self {
            is_new: false,
            page_count: entry.pages.len(),
            series: entry.series,
            vacant: entry.vacant,
            times: entry.times,
            ..Self::new(Arc::clone(&entry.group))
        }
    }

    /// Whether it has series of a family.
    pub(crate) fn holds(&self, family: &Family) -> bool {
        match self.growth.as_ref().and_then(|growth| growth.families.get(&family.name)) {
            Some(held) => held.family.id == family.id && held.series > 0,
            None => !self.is_new && self.group.index.read().holds(family),
        }
    }

    /// The families of a new group.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        let growth = self.growth.iter();
        growth.flat_map(|growth| growth.families.values()).map(|held| Arc::clone(&held.family)).collect()
    }

    /// What series that come or go change, to be added to.
    fn growth_mut(&mut self) -> &mut Growth {
        self.growth.get_or_insert_with(|| {
            let shared_page = if self.is_new { None } else { self.group.index.read().shared_page };
            Box::new(Growth { shared_page, ..Growth::default() })
        })
    }

    /// What the group holds of a family, to be changed.
    fn held_mut(&mut self, family: &Arc<Family>) -> &mut FamilyInGroup {
        let (is_new, group) = (self.is_new, Arc::clone(&self.group));
        let held = match self.growth_mut().families.entry(Arc::clone(&family.name)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                let committed = if is_new { None } else { group.index.read().family(&family.name).cloned() };
                place.insert(committed.unwrap_or_else(|| FamilyInGroup::none_of(family)))
            }
        };
        if held.family.id != family.id {
            debug_assert_eq!(held.series, 0, "a name has one family at a time");
            *held = FamilyInGroup::none_of(family);
        }
        held
    }

    /// The staged version of a page, made from the committed one by `copy` if it is not staged yet.
    pub(crate) fn page_mut(
        &mut self,
        entry: Option<&GroupEntry>,
        number: usize,
        copy: impl FnOnce(&Page) -> Page,
    ) -> &mut StagedPage {
        self.pages.get_or_insert_with(number, || {
            let committed = entry.and_then(|entry| entry.pages.get(number));
            committed.map_or_else(Page::default, |page| copy(page))
        })
    }

    /// Adds a series that is not in the group, and gives back its slot.
    pub(crate) fn add(
        &mut self,
        entry: Option<&GroupEntry>,
        family: &Arc<Family>,
        new: NewSeries,
    ) -> SlotRef {
        let NewSeries { labels, state, created, touched } = new;
        let at = self.page_with_room(entry, family);
        let StagedPage { page, layout_changed, .. } = self.page_mut(entry, at, Page::clone);
        Arc::make_mut(&mut page.layout).push(family, labels.iter(), created);
        page.values.push(state);
        *layout_changed = true;
        let slot = SlotRef::new(at, page.values.len() - 1);
        page.touch(std::iter::once(slot.slot()), touched);
        let held = self.held_mut(family);
        held.series += 1;
        held.pages.add(at);
        self.growth_mut().added.insert((family.id, labels), slot);
        self.series += 1;
        slot
    }

    /// The page that takes the next series of a family: its own if it is large, else the shared one.
    fn page_with_room(&mut self, entry: Option<&GroupEntry>, family: &Arc<Family>) -> usize {
        let held = self.held_mut(family);
        let (is_large, own_page) = (held.series >= OWN_PAGES_FROM, held.own_page);
        let open = if is_large { own_page } else { self.growth_mut().shared_page };
        if let Some(page) = open
            && self.page_mut(entry, page, Page::clone).page.has_room()
        {
            return page;
        }
        let page = self.page_count;
        self.page_count += 1;
        if is_large {
            self.held_mut(family).own_page = Some(page);
        } else {
            self.growth_mut().shared_page = Some(page);
        }
        page
    }

    /// Counts series that were begun in slots that were vacant, and gives back the families that the group had no
    /// series of before.
    pub(crate) fn hold_again(&mut self, begun: &[SlotRef]) -> Vec<Arc<Family>> {
        let mut held_again = Vec::new();
        for slot in begun {
            let staged = self.pages.get(slot.page()).expect("it was begun on a staged page");
            let family = Arc::clone(staged.page.layout.family(slot.slot()));
            let held = self.held_mut(&family);
            held.series += 1;
            held.pages.add(slot.page());
            if held.series == 1 {
                held_again.push(family);
            }
        }
        self.series += begun.len();
        self.vacant -= begun.len();
        held_again
    }

    /// Takes out the series in some slots of a page.
    pub(crate) fn vacate(
        &mut self,
        entry: Option<&GroupEntry>,
        page: usize,
        slots: &SlotSet,
        copy: impl FnOnce(&Page) -> Page,
    ) {
        let staged = self.page_mut(entry, page, copy);
        slots.iter().for_each(|slot| staged.page.vacate(slot));
        staged.vacancy_changed = true;
        let layout = Arc::clone(&staged.page.layout);
        for slot in slots.iter() {
            self.held_mut(layout.family(slot)).series -= 1;
        }
        self.series -= slots.len();
        self.vacant += slots.len();
    }

    /// Takes over all series of another incarnation of the group.
    pub(crate) fn take_over(&mut self, old: LiveGroup<'_>) {
        let mut touched: HashMap<FamilyId, Stamp> = HashMap::new();
        for number in 0..old.pages() {
            let page = old.page(number);
            for slot in page.held_slots() {
                let family = page.layout.family(slot);
                let last = page.touched.of(page.layout.family_index(slot));
                let newest = touched.entry(family.id).or_default();
                *newest = last.max(*newest);
                let labels = page.layout.labels(slot).map(|label| (label.name, label.value));
                let new = NewSeries {
                    labels: LabelSet::new(labels),
                    state: page.values[slot].clone(),
                    created: page.layout.created(slot),
                    touched: last,
                };
                let at = self.add(None, family, new);
                let exemplars = page.exemplars.get(slot);
                self.page_mut(None, at.page(), Page::clone).page.exemplars.set(at.slot(), exemplars);
            }
        }
        for StagedPage { page, .. } in self.pages.values_mut() {
            let of = |family: &Arc<Family>| touched.get(&family.id).copied().unwrap_or_default();
            page.touched = Touched::each(page.layout.families().iter().map(of).collect());
        }
    }
}
