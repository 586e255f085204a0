//! A group as a batch would leave it, for reading.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::aggregation::State;
use crate::model::{Label, LabelSet};

use super::family::{Family, FamilyId};
use super::group::{FamilyInGroup, Group, GroupEntry};
use super::page::{Page, SlotRef};
use super::staged_group::{Growth, StagedGroup};

/// A group as the batch would leave it: staged, committed, or committed with staged changes.
#[derive(Clone, Copy)]
pub(crate) struct LiveGroup<'s> {
    /// What is committed of it, unless it is new.
    entry: Option<&'s GroupEntry>,
    staged: Option<&'s StagedGroup>,
}

impl<'s> LiveGroup<'s> {
    /// A group that the batch has not touched.
    pub(super) fn committed(entry: &'s GroupEntry) -> Self {
        Self { entry: Some(entry), staged: None }
    }

    /// A group that the batch has changed, or begun if `entry` is none.
    pub(super) fn staged(staged: &'s StagedGroup, entry: Option<&'s GroupEntry>) -> Self {
        Self { entry, staged: Some(staged) }
    }

    pub(crate) fn group(&self) -> &'s Arc<Group> {
        match (self.staged, self.entry) {
            (Some(staged), _) => &staged.group,
            (None, Some(entry)) => &entry.group,
            (None, None) => unreachable!("a live group is staged or committed"),
        }
    }

    fn growth(&self) -> Option<&'s Growth> {
        self.staged.and_then(|staged| staged.growth.as_deref())
    }

    /// How many series it has.
    pub(crate) fn series(&self) -> usize {
        self.staged.map_or_else(|| self.entry.map_or(0, |entry| entry.series), |staged| staged.series)
    }

    /// How many slots it has that hold no series.
    pub(crate) fn vacant(&self) -> usize {
        self.staged.map_or_else(|| self.entry.map_or(0, |entry| entry.vacant), |staged| staged.vacant)
    }

    /// How many pages it has.
    pub(crate) fn pages(&self) -> usize {
        self.staged
            .map_or_else(|| self.entry.map_or(0, |entry| entry.pages.len()), |staged| staged.page_count)
    }

    /// The family of this name, if the group has series of it.
    pub(crate) fn family(&self, name: &str) -> Option<Arc<Family>> {
        self.held(name, |held| Arc::clone(&held.family))
    }

    /// The family of this name with the pages that its series are on, if it has any.
    pub(crate) fn family_with_pages(&self, name: &str) -> Option<(FamilyId, Vec<usize>)> {
        self.held(name, |held| (held.family.id, held.pages.iter().collect()))
    }

    /// Whether it has series of this family.
    pub(crate) fn holds(&self, family: &Family) -> bool {
        self.held(&family.name, |held| held.family.id) == Some(family.id)
    }

    fn held<T>(&self, name: &str, read: impl Fn(&FamilyInGroup) -> T) -> Option<T> {
        let read = |held: &FamilyInGroup| (held.series > 0).then(|| read(held));
        if let Some(held) = self.growth().and_then(|growth| growth.families.get(name)) {
            return read(held);
        }
        read(self.entry?.group.index.read().family(name)?)
    }

    /// The slot of a series, vacant or not, given its labels less those of the grouping key.
    pub(crate) fn find(
        &self,
        hasher: &DefaultHashBuilder,
        family: FamilyId,
        labels: &LabelSet,
    ) -> Option<SlotRef> {
        if let Some(growth) = self.growth()
            && let Some(slot) = growth.added.get(&(family, labels.clone()))
        {
            return Some(*slot);
        }
        let index = self.entry?.group.index.read();
        index.find(hasher, family, &labels.iter())
    }

    /// One of its pages.
    pub(crate) fn page(&self, number: usize) -> &'s Page {
        if let Some(page) = self.staged.and_then(|staged| staged.pages.get(number)) {
            return &page.page;
        }
        let entry = self.entry.expect("a page that is not staged is a committed one");
        &entry.pages[number]
    }

    /// The state in a slot.
    pub(crate) fn state(&self, slot: SlotRef) -> &'s State {
        &self.page(slot.page()).values[slot.slot()]
    }

    /// Whether a slot holds no series just now.
    pub(crate) fn is_vacant(&self, slot: SlotRef) -> bool {
        self.page(slot.page()).vacant.contains(slot.slot())
    }

    /// The family and labels (less those of the grouping key) of a slot.
    pub(crate) fn identity(&self, slot: SlotRef) -> (&'s Arc<Family>, LabelSet) {
        let layout = &self.page(slot.page()).layout;
        let labels = layout.labels(slot.slot()).map(|Label { name, value }| (name, value));
        (layout.family(slot.slot()), LabelSet::new(labels))
    }
}
