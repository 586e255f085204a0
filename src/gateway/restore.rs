//! From the records of a store to the committed state, at the start.
//!
//! Every record is looked at once, in key order. What belongs to no living group is stale and is noted
//! for removal; anything else that does not fit together is damage, and the start fails.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Label;
use crate::model::{GroupingKey, Stamp};
use crate::storage::{Engine, LoadError};

use super::committed::{Committed, Shared};
use super::family::{Family, FamilyId};
use super::group::{FamilyInGroup, Group, GroupEntry, GroupId, PushTimes};
use super::layout::PageLayout;
use super::ledger::Ledger;
use super::page::{Page, SLOTS_PER_PAGE};
use super::record::{
    self, FamilyRecord, GroupRecord, LayoutRecord, PageRecord, Record, RecordError, RecordKey,
};
use super::staging::OWN_PAGES_FROM;

/// Why the records of a store do not make a state.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The engine could not hand over its records.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A record was written by a newer version of the program.
    #[error("{0}; start the version that wrote it, or a newer one")]
    Newer(String),
    /// Records do not fit together.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl RestoreError {
    /// Whether the store is damaged, as against unreadable or too new.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Load(LoadError::Damaged { .. }) | Self::Damaged(_) => true,
            Self::Load(LoadError::Unreadable { .. }) | Self::Newer(_) => false,
        }
    }
}

impl From<RecordError> for RestoreError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Newer { .. } => Self::Newer(error.to_string()),
            RecordError::Malformed { .. } => Self::Damaged(error.to_string()),
        }
    }
}

/// Fills the committed state from the engine's records.
pub(crate) fn restore(shared: &Shared, engine: &mut dyn Engine) -> Result<Ledger, RestoreError> {
    let mut restorer = Restorer::default();
    let mut failed = None;
    engine.load(&mut |key, value| {
        if failed.is_none() {
            failed = restorer.record(key, value).err();
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => restorer.finish(shared),
    }
}

#[derive(Default)]
struct Restorer {
    ledger: Ledger,
    families: HashMap<FamilyId, Arc<Family>>,
    groups: HashMap<GroupId, RestoredGroup>,
    failures: Vec<(GroupingKey, Stamp)>,
}

struct RestoredGroup {
    key: Arc<GroupingKey>,
    times: PushTimes,
    layouts: Vec<Arc<PageLayout>>,
    pages: Vec<Arc<Page>>,
}

impl Restorer {
    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        match record::decode(key, value)? {
            Record::Family(id, record) => self.family(id, record),
            Record::Group(id, record) => self.group(id, &record)?,
            Record::Layout(group, page, record) => self.layout(group, page, &record)?,
            Record::Page(group, page, record) => {
                self.ledger.last_stamp = self.ledger.last_stamp.max(record.times.last_stamp);
                if let Some(restored) = self.groups.get_mut(&group) {
                    restored.page(group, page, record)?;
                } else {
                    self.orphan(group, RecordKey::Page(group, page));
                }
            }
            Record::Failure(key, time) => self.failures.push((key, time)),
        }
        Ok(())
    }

    fn family(&mut self, id: FamilyId, record: FamilyRecord) {
        self.ledger.next_family = self.ledger.next_family.max(id.0);
        let help = record.help.map(Arc::from);
        let family = Family::new(id, record.name.into(), record.metric_type, help);
        self.families.insert(id, Arc::new(family));
    }

    fn group(&mut self, id: GroupId, record: &GroupRecord) -> Result<(), RestoreError> {
        self.ledger.next_group = self.ledger.next_group.max(id.0);
        let PushTimes { push_time, last_stamp } = record.times;
        self.ledger.last_stamp = self.ledger.last_stamp.max(last_stamp).max(push_time);
        let key = record::grouping_key(&record.labels)
            .ok_or_else(|| RestoreError::Damaged(format!("group {} has no job", id.0)))?;
        let restored =
            RestoredGroup { key: Arc::new(key), times: record.times, layouts: Vec::new(), pages: Vec::new() };
        self.groups.insert(id, restored);
        Ok(())
    }

    /// Notes a record of a group that is no more. Its number must not be used again all the same.
    fn orphan(&mut self, group: GroupId, key: RecordKey) {
        self.ledger.next_group = self.ledger.next_group.max(group.0);
        self.ledger.orphans.push(key);
    }

    fn layout(&mut self, group: GroupId, page: usize, record: &LayoutRecord) -> Result<(), RestoreError> {
        let damaged = |what: &str| RestoreError::Damaged(format!("page {page} of group {}: {what}", group.0));
        let Some(restored) = self.groups.get_mut(&group) else {
            self.orphan(group, RecordKey::Layout(group, page));
            return Ok(());
        };
        if page != restored.layouts.len() {
            return Err(damaged("pages before it are missing"));
        }
        if record.slots.is_empty() || record.slots.len() > SLOTS_PER_PAGE {
            return Err(damaged("it has an impossible number of series"));
        }
        let mut layout = PageLayout::default();
        for slot in &record.slots {
            let family = self.families.get(&slot.family).ok_or_else(|| damaged("a family is missing"))?;
            let labels = slot.labels.iter().map(|(name, value)| Label { name, value });
            layout.push(family, labels, slot.created);
            self.ledger.last_stamp = self.ledger.last_stamp.max(slot.created);
        }
        restored.layouts.push(Arc::new(layout.without_spare_room()));
        Ok(())
    }

    fn finish(mut self, shared: &Shared) -> Result<Ledger, RestoreError> {
        let mut committed = Committed::default();
        for (id, restored) in std::mem::take(&mut self.groups) {
            let entry = restored.entry(shared, id)?;
            for held in entry.group.index.read().families() {
                if let Some(other) = self.ledger.catalog.latest(&held.family.name)
                    && other != held.family.id
                {
                    let name = &held.family.name;
                    return Err(RestoreError::Damaged(format!("the family {name} is there twice")));
                }
                self.ledger.catalog.hold(&held.family, id);
                self.families.remove(&held.family.id);
            }
            self.ledger.add_group(&entry.group);
            if let Some(twin) = committed.insert(entry) {
                let key = &twin.group.key;
                return Err(RestoreError::Damaged(format!("the group {key} is there twice")));
            }
        }
        // The families that are left are held by nobody.
        for (id, family) in self.families {
            self.ledger.orphans.push(RecordKey::Family(id, Arc::clone(&family.name)));
        }
        self.failures.sort_by_key(|(_, time)| *time);
        for (key, time) in self.failures {
            let is_alone = !committed.groups.contains_key(&key);
            shared.failures.lock().restore(&Arc::new(key), time, is_alone);
        }
        *shared.committed.write() = committed;
        Ok(self.ledger)
    }
}

impl RestoredGroup {
    fn page(&mut self, group: GroupId, page: usize, record: PageRecord) -> Result<(), RestoreError> {
        let PageRecord { times, values } = record;
        let damaged = |what: &str| RestoreError::Damaged(format!("page {page} of group {}: {what}", group.0));
        if page != self.pages.len() {
            return Err(damaged("pages before it are missing"));
        }
        let layout = self.layouts.get(page).ok_or_else(|| damaged("its layout is missing"))?;
        let fits = layout.len() == values.len()
            && values.iter().enumerate().all(|(slot, value)| {
                value.metric_type() == layout.family(slot).metric_type && value.is_sound()
            });
        if !fits {
            return Err(damaged("its values do not fit its layout"));
        }
        if times.last_stamp > self.times.last_stamp {
            self.times = times;
        }
        self.pages.push(Arc::new(Page { layout: Arc::clone(layout), values }));
        Ok(())
    }

    /// The group with its index rebuilt.
    fn entry(self, shared: &Shared, id: GroupId) -> Result<GroupEntry, RestoreError> {
        if self.pages.len() != self.layouts.len() {
            return Err(RestoreError::Damaged(format!("group {}: a page is missing", id.0)));
        }
        let group = Group::new(id, self.key);
        let mut index = group.index.write();
        let mut held: HashMap<FamilyId, FamilyInGroup> = HashMap::new();
        for (number, layout) in self.layouts.iter().enumerate() {
            for slot in 0..layout.len() {
                let family = layout.family(slot);
                if index.find(&shared.hasher, family.id, &layout.labels(slot)).is_some() {
                    return Err(RestoreError::Damaged(format!("group {}: a series is there twice", id.0)));
                }
                let family = held.entry(family.id).or_insert_with(|| FamilyInGroup {
                    family: Arc::clone(family),
                    series: 0,
                    own_page: None,
                });
                family.series += 1;
            }
            index.set_layout(&shared.hasher, number, layout);
        }
        for (number, page) in self.pages.iter().enumerate().filter(|(_, page)| page.has_room()) {
            let layout = &page.layout;
            let first = held.get_mut(&layout.family(0).id).expect("counted just before");
            if layout.families().len() == 1 && first.series >= OWN_PAGES_FROM {
                first.own_page = Some(number);
            } else {
                index.shared_page = Some(number);
            }
        }
        for (_, family) in held {
            index.set_family(family);
        }
        drop(index);
        let series = self.pages.iter().map(|page| page.values.len()).sum();
        Ok(GroupEntry { group: Arc::new(group), pages: self.pages, series, times: self.times })
    }
}
