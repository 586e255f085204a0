//! What a snapshot shows of a page, and how to tell later whether it is still the same.

use std::sync::{Arc, Weak};

use crate::model::{GroupingKey, Label, Value};

use super::family::Family;
use super::group::GroupId;
use super::page::Page;
use super::slot_set::SlotSet;
use super::snapshot::SeriesView;

/// The pages of one group of a snapshot.
pub(crate) struct GroupPages<'s> {
    /// The group; its number is never used again.
    pub(crate) id: GroupId,
    key: &'s GroupingKey,
    pages: &'s [Arc<Page>],
}

impl<'s> GroupPages<'s> {
    pub(super) fn new(id: GroupId, key: &'s GroupingKey, pages: &'s [Arc<Page>]) -> Self {
        Self { id, key, pages }
    }

    /// Its pages. Pages are only ever added behind the others, and so are slots to a page: at one place
    /// there is the same page in every snapshot in which the group is.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = PageView<'s>> + use<'s> {
        let key = self.key;
        self.pages.iter().map(move |page| PageView { key, page })
    }
}

/// A page of a snapshot.
#[derive(Clone, Copy)]
pub(crate) struct PageView<'s> {
    key: &'s GroupingKey,
    page: &'s Arc<Page>,
}

/// Remembers a version of a page without keeping its values or its labels.
#[derive(Debug)]
pub(crate) struct PageVersion(Weak<Page>);

impl<'s> PageView<'s> {
    /// How many slots it has, vacant ones among them. In a slot there is never another series than the one that it
    /// was made for.
    pub(crate) fn slots(&self) -> usize {
        self.page.values.len()
    }

    /// The slots that hold no series just now. What stands in them must not be shown.
    pub(crate) fn vacant(&self) -> SlotSet {
        self.page.vacant
    }

    /// Which version this is.
    pub(crate) fn version(&self) -> PageVersion {
        PageVersion(Arc::downgrade(self.page))
    }

    /// Whether it is this version. What is remembered keeps its address from being used again.
    pub(crate) fn is(&self, version: &PageVersion) -> bool {
        std::ptr::eq(version.0.as_ptr(), Arc::as_ptr(self.page))
    }

    /// The families that have series on it.
    pub(crate) fn families(&self) -> &'s [Arc<Family>] {
        self.page.layout.families()
    }

    /// The index in [`Self::families`] of the family of a slot.
    pub(crate) fn family_index(&self, slot: usize) -> usize {
        self.page.layout.family_index(slot)
    }

    /// The labels of a slot, by name, less those of the group and less `instance=""`.
    pub(crate) fn own_labels(
        &self,
        slot: usize,
    ) -> impl ExactSizeIterator<Item = Label<'s>> + Clone + use<'s> {
        self.page.layout.labels(slot)
    }

    /// The series in a slot.
    pub(crate) fn at(&self, slot: usize) -> SeriesView<'s> {
        SeriesView::of_page(self.key, self.page, slot)
    }

    /// The value in a slot, as it is exposed.
    pub(crate) fn value(&self, slot: usize) -> Value {
        self.page.values[slot].expose()
    }
}
