//! A group: everything that was pushed under one grouping key.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::model::{GroupingKey, Label, Stamp};

use super::family::{Family, FamilyId};
use super::layout::PageLayout;
use super::page::{Page, SlotRef, series_hash};
use super::page_list::PageList;

/// Numbers the groups; never used twice while the store has anything of the first, so that a group that
/// was deleted and pushed again is another one, and what is left of the first is known to be stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct GroupId(pub(crate) u64);

/// What stays the same about a group for as long as it lives, and where its series are found.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) key: Arc<GroupingKey>,
    /// Read by every push to this group while it looks its series up, written only when a series is new.
    pub(crate) index: RwLock<SeriesIndex>,
}

impl Group {
    pub(crate) fn new(id: GroupId, key: Arc<GroupingKey>) -> Self {
        Self { id, key, index: RwLock::default() }
    }
}

/// A group as it is committed: its pages and its times.
#[derive(Clone, Debug)]
pub(crate) struct GroupEntry {
    pub(crate) group: Arc<Group>,
    pub(crate) pages: Vec<Arc<Page>>,
    pub(crate) series: usize,
    /// Slots of its pages that hold no series.
    pub(crate) vacant: usize,
    /// Those of the last push.
    pub(crate) times: PushTimes,
}

/// When a push to a group was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushTimes {
    pub(crate) push_time: Stamp,
    /// The push's stamp, which may be ahead of a clock that stepped back; no two pushes have the same.
    pub(crate) last_stamp: Stamp,
}

/// What a group holds of one family; nothing if all of its series were replaced.
#[derive(Clone, Debug)]
pub(crate) struct FamilyInGroup {
    pub(crate) family: Arc<Family>,
    pub(crate) series: usize,
    /// The pages that its series are on; it may have none left on some of them.
    pub(crate) pages: PageList,
    /// The page that takes its next series, once it is large enough to have pages of its own.
    pub(crate) own_page: Option<usize>,
}

impl FamilyInGroup {
    /// A family that the group holds no series of.
    pub(crate) fn none_of(family: &Arc<Family>) -> Self {
        Self { family: Arc::clone(family), series: 0, pages: PageList::default(), own_page: None }
    }
}

/// Finds the slot of a series in its group, vacant or not.
#[derive(Debug, Default)]
pub(crate) struct SeriesIndex {
    slots: HashTable<SlotRef>,
    layouts: Vec<Arc<PageLayout>>,
    families: Vec<FamilyInGroup>,
    family_places: HashMap<Arc<str>, usize>,
    /// The page that takes the next series of the small families.
    pub(crate) shared_page: Option<usize>,
}

impl SeriesIndex {
    /// What the group holds of the family of this name; perhaps nothing any more.
    pub(crate) fn family(&self, name: &str) -> Option<&FamilyInGroup> {
        self.family_places.get(name).map(|place| &self.families[*place])
    }

    /// Whether the group has series of this family.
    pub(crate) fn holds(&self, family: &Family) -> bool {
        self.family(&family.name).is_some_and(|held| held.family.id == family.id && held.series > 0)
    }

    /// How many families there are.
    pub(crate) fn families_len(&self) -> usize {
        self.families.len()
    }

    /// Takes out one of the families of a group that is no more.
    pub(crate) fn pop_family(&mut self) -> Option<FamilyInGroup> {
        self.families.pop()
    }

    /// What the group holds of each family.
    pub(crate) fn families(&self) -> impl Iterator<Item = &FamilyInGroup> {
        self.families.iter()
    }

    /// The slot of a series, given its family and its labels (by name, less those of the grouping key).
    pub(crate) fn find<'a>(
        &self,
        hasher: &DefaultHashBuilder,
        family: FamilyId,
        labels: &(impl Iterator<Item = Label<'a>> + Clone),
    ) -> Option<SlotRef> {
        let hash = series_hash(hasher, family, labels.clone());
        let is_it = |at: &SlotRef| {
            let layout = &self.layouts[at.page()];
            let own = layout.labels(at.slot());
            // Label by label: the two sides borrow from different places and are of different types.
            layout.family(at.slot()).id == family
                && own.len() == labels.clone().count()
                && own
                    .zip(labels.clone())
                    .all(|(own, label)| own.name == label.name && own.value == label.value)
        };
        self.slots.find(hash, is_it).copied()
    }

    pub(crate) fn layout(&self, page: usize) -> &Arc<PageLayout> {
        &self.layouts[page]
    }

    /// Takes in a new version of a page's layout and indexes the slots that it adds.
    pub(crate) fn set_layout(&mut self, hasher: &DefaultHashBuilder, page: usize, layout: &Arc<PageLayout>) {
        let known = self.layouts.get(page).map_or(0, |old| old.len());
        match self.layouts.get_mut(page) {
            Some(old) => *old = Arc::clone(layout),
            None => self.layouts.push(Arc::clone(layout)),
        }
        debug_assert!(page < self.layouts.len(), "pages are added in order");
        for slot in known..layout.len() {
            let hash = series_hash(hasher, layout.family(slot).id, layout.labels(slot));
            let layouts = &self.layouts;
            let rehash = |at: &SlotRef| {
                let layout = &layouts[at.page()];
                series_hash(hasher, layout.family(at.slot()).id, layout.labels(at.slot()))
            };
            self.slots.insert_unique(hash, SlotRef::new(page, slot), rehash);
        }
    }

    /// Takes in what the group now holds of a family.
    pub(crate) fn set_family(&mut self, family: FamilyInGroup) {
        if let Some(place) = self.family_places.get(&family.family.name) {
            self.families[*place] = family;
        } else {
            self.family_places.insert(Arc::clone(&family.family.name), self.families.len());
            self.families.push(family);
        }
    }
}
