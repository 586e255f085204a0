//! From the records of a store to the committed state, at the start.
//!
//! Every record is looked at once, in key order. What belongs to no living group is stale and is noted
//! for removal; anything else that does not fit together is damage, and the start fails.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::aggregation::{Exemplars, State};
use crate::model::{GroupingKey, Label, MetricType, Stamp};
use crate::storage::{Engine, LoadError};

use super::committed::{Committed, Shared};
use super::family::{Family, FamilyId, Texts};
use super::group::{FamilyInGroup, Group, GroupEntry, GroupId, PushTimes};
use super::layout::PageLayout;
use super::ledger::Ledger;
use super::page::{NO_STATE, Page, SLOTS_PER_PAGE};
use super::record::{
    self, FamilyRecord, GroupRecord, LayoutRecord, PageRecord, PatchRecord, Record, RecordError, RecordKey,
};
use super::slot_set::SlotSet;
use super::staged_group::OWN_PAGES_FROM;
use super::touched::Touched;

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
    /// Families that layouts name and that are not there, made up. Only slots that are vacant may be of these.
    lost: HashMap<FamilyId, Arc<Family>>,
    groups: HashMap<GroupId, RestoredGroup>,
    failures: Vec<(GroupingKey, Stamp)>,
}

struct RestoredGroup {
    key: Arc<GroupingKey>,
    times: PushTimes,
    layouts: Vec<Arc<PageLayout>>,
    pages: Vec<Arc<Page>>,
    /// The stamps of the pages' records.
    stamps: Vec<Stamp>,
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
                    // Written whole the next time, so that a program that does not know patches meets a page of
                    // a newer version, and says so, before it meets the patch.
                    if !record::is_current(value) {
                        self.ledger.patches.restore(group, page, SlotSet::ALL);
                    }
                } else {
                    self.orphan(group, RecordKey::Page(group, page));
                }
            }
            Record::Failure(key, time) => self.failures.push((key, time)),
            Record::Patch(group, page, record) => self.patch(group, page, record)?,
        }
        Ok(())
    }

    fn family(&mut self, id: FamilyId, record: FamilyRecord) {
        self.ledger.next_family = self.ledger.next_family.max(id.0);
        let texts = Texts::new(record.help.as_deref(), record.unit.as_deref());
        let family = Family::new(id, record.name.into(), record.metric_type, texts);
        self.families.insert(id, Arc::new(family));
    }

    fn group(&mut self, id: GroupId, record: &GroupRecord) -> Result<(), RestoreError> {
        self.ledger.next_group = self.ledger.next_group.max(id.0);
        let PushTimes { push_time, last_stamp } = record.times;
        self.ledger.last_stamp = self.ledger.last_stamp.max(last_stamp).max(push_time);
        let key = record::grouping_key(&record.labels)
            .ok_or_else(|| RestoreError::Damaged(format!("group {} has no job", id.0)))?;
        let restored = RestoredGroup {
            key: Arc::new(key),
            times: record.times,
            layouts: Vec::new(),
            pages: Vec::new(),
            stamps: Vec::new(),
        };
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
            // A family whose series were all replaced may be gone, but layouts still tell it by its number.
            self.ledger.next_family = self.ledger.next_family.max(slot.family.0);
            let family = match self.families.get(&slot.family) {
                Some(family) => family,
                None => &*self.lost.entry(slot.family).or_insert_with(|| lost_family(slot.family)),
            };
            let labels = slot.labels.iter().map(|(name, value)| Label { name, value });
            layout.push(family, labels, slot.created);
            self.ledger.last_stamp = self.ledger.last_stamp.max(slot.created);
        }
        restored.layouts.push(Arc::new(layout.without_spare_room()));
        Ok(())
    }

    fn patch(&mut self, group: GroupId, page: usize, record: PatchRecord) -> Result<(), RestoreError> {
        self.ledger.last_stamp = self.ledger.last_stamp.max(record.times.last_stamp);
        if let Some(restored) = self.groups.get_mut(&group) {
            let slots = restored.patch(group, page, record)?;
            self.ledger.patches.restore(group, page, slots);
        } else {
            self.orphan(group, RecordKey::Patch(group, page));
        }
        Ok(())
    }

    fn finish(mut self, shared: &Shared) -> Result<Ledger, RestoreError> {
        let mut committed = Committed::default();
        for (id, restored) in std::mem::take(&mut self.groups) {
            let entry = restored.entry(shared, id, &self.lost)?;
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

/// Stands for a family that is not there.
fn lost_family(id: FamilyId) -> Arc<Family> {
    Arc::new(Family::new(id, "".into(), MetricType::Untyped, Texts::default()))
}

/// Whether this can stand in a slot of a layout.
fn fits(layout: &PageLayout, slot: usize, state: &State) -> bool {
    state.metric_type() == layout.family(slot).metric_type && state.is_sound()
}

/// Whether these can be the exemplars of slots for which `has_slot` is true.
fn exemplars_fit(exemplars: &[(u8, Exemplars)], has_slot: impl Fn(usize) -> bool) -> bool {
    exemplars.is_sorted_by(|(a, _), (b, _)| a < b)
        && exemplars.iter().all(|(slot, exemplars)| has_slot((*slot).into()) && exemplars.is_sound())
}

impl RestoredGroup {
    fn page(&mut self, group: GroupId, page: usize, record: PageRecord) -> Result<(), RestoreError> {
        let PageRecord { times, ages, vacant, exemplars, values } = record;
        let damaged = |what: &str| RestoreError::Damaged(format!("page {page} of group {}: {what}", group.0));
        if page != self.pages.len() {
            return Err(damaged("pages before it are missing"));
        }
        let layout = self.layouts.get(page).ok_or_else(|| damaged("its layout is missing"))?;
        let vacant_fits = vacant.is_sorted_by(|a, b| a < b)
            && vacant.last().is_none_or(|last| usize::from(*last) < layout.len());
        if !vacant_fits || layout.len() != values.len() + vacant.len() {
            return Err(damaged("its values do not fit its layout"));
        }
        let vacant: SlotSet = vacant.into_iter().map(usize::from).collect();
        let mut values = values.into_iter();
        let mut next = |slot| if vacant.contains(slot) { Some(NO_STATE) } else { values.next() };
        let values: Vec<State> = (0..layout.len()).map_while(&mut next).collect();
        let mut restored = Page { layout: Arc::clone(layout), values, vacant, ..Page::default() };
        let has_slot = |slot| slot < layout.len() && !vacant.contains(slot);
        if !restored.held_slots().all(|slot| fits(layout, slot, &restored.values[slot]))
            || !exemplars_fit(&exemplars, has_slot)
        {
            return Err(damaged("its values do not fit its layout"));
        }
        for (slot, exemplars) in &exemplars {
            restored.exemplars.set((*slot).into(), Some(exemplars));
        }
        // Version 1 has the times in the group's record alone.
        let newest = if times == PushTimes::default() { self.times } else { times }.last_stamp;
        restored.touched = Touched::from_ages(&ages, newest, layout.families().len())
            .ok_or_else(|| damaged("its stamps do not fit its layout"))?;
        if times.last_stamp > self.times.last_stamp {
            self.times = times;
        }
        self.pages.push(Arc::new(restored));
        self.stamps.push(times.last_stamp);
        Ok(())
    }

    /// Puts the states of a patch into its page, and gives back which slots these are: none if the page's record is
    /// as new as the patch. Such a patch is replaced or removed when the page is written next.
    fn patch(&mut self, group: GroupId, page: usize, record: PatchRecord) -> Result<SlotSet, RestoreError> {
        let PatchRecord { times, ages, exemplars, slots } = record;
        let damaged = |what: &str| {
            RestoreError::Damaged(format!("the patch of page {page} of group {}: {what}", group.0))
        };
        let Some(stored) = self.pages.get_mut(page) else { return Err(damaged("its page is missing")) };
        let stored = Arc::make_mut(stored);
        let layout = &stored.layout;
        let touched = Touched::from_ages(&ages, times.last_stamp, layout.families().len());
        let slots_fit = slots.is_sorted_by(|(a, _), (b, _)| a < b)
            && slots.iter().all(|(slot, value)| {
                let slot = usize::from(*slot);
                slot < layout.len() && fits(layout, slot, value)
            });
        let is_patched = |slot: usize| slots.iter().any(|(own, _)| usize::from(*own) == slot);
        let Some(touched) = touched.filter(|_| slots_fit && exemplars_fit(&exemplars, is_patched)) else {
            return Err(damaged("it does not fit the page"));
        };
        if times.last_stamp <= self.stamps[page] {
            return Ok(SlotSet::default());
        }
        if slots.iter().any(|(slot, _)| stored.vacant.contains((*slot).into())) {
            return Err(damaged("it has a vacant slot"));
        }
        let patched = slots.iter().map(|(slot, _)| usize::from(*slot)).collect();
        for (slot, value) in slots {
            stored.values[usize::from(slot)] = value;
            stored.exemplars.forget(slot.into());
        }
        for (slot, exemplars) in &exemplars {
            stored.exemplars.set((*slot).into(), Some(exemplars));
        }
        stored.touched = touched;
        if times.last_stamp > self.times.last_stamp {
            self.times = times;
        }
        Ok(patched)
    }

    /// The group with its index rebuilt. Series of families that are `lost` must not be there any more.
    fn entry(
        self,
        shared: &Shared,
        id: GroupId,
        lost: &HashMap<FamilyId, Arc<Family>>,
    ) -> Result<GroupEntry, RestoreError> {
        let damaged = |what: &str| RestoreError::Damaged(format!("group {}: {what}", id.0));
        if self.pages.len() != self.layouts.len() {
            return Err(damaged("a page is missing"));
        }
        let group = Group::new(id, self.key);
        let mut index = group.index.write();
        let mut held: HashMap<FamilyId, FamilyInGroup> = HashMap::new();
        for (number, page) in self.pages.iter().enumerate() {
            let layout = &page.layout;
            for slot in 0..layout.len() {
                let family = layout.family(slot);
                if index.find(&shared.hasher, family.id, &layout.labels(slot)).is_some() {
                    return Err(damaged("a series is there twice"));
                }
                if page.vacant.contains(slot) {
                    continue;
                }
                if lost.contains_key(&family.id) {
                    return Err(damaged("a family is missing"));
                }
                let held = held.entry(family.id).or_insert_with(|| FamilyInGroup::none_of(family));
                held.series += 1;
                held.pages.add(number);
            }
            index.set_layout(&shared.hasher, number, layout);
        }
        let names: HashSet<&str> = held.values().map(|held| &*held.family.name).collect();
        if names.len() < held.len() {
            return Err(damaged("it has two families of one name"));
        }
        for (number, page) in self.pages.iter().enumerate().filter(|(_, page)| page.has_room()) {
            let layout = &page.layout;
            let first = held.get_mut(&layout.family(0).id).filter(|_| layout.families().len() == 1);
            match first.filter(|first| first.series >= OWN_PAGES_FROM) {
                Some(first) => first.own_page = Some(number),
                None => index.shared_page = Some(number),
            }
        }
        for (_, family) in held {
            index.set_family(family);
        }
        drop(index);
        let series = self.pages.iter().map(|page| page.series()).sum();
        let vacant = self.pages.iter().map(|page| page.vacant.len()).sum();
        let (group, times) = (Arc::new(group), self.times);
        Ok(GroupEntry { group, pages: self.pages, series, vacant, times })
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::SystemClock;
    use super::super::options::Options;
    use super::*;
    use crate::aggregation::Contribution;
    use crate::model::{Exemplar, ExemplarPlace, LabelSet};
    use crate::storage::{Batch, MemoryEngine};

    const SLOTS: usize = 40;
    const FAMILY: FamilyId = FamilyId(1);

    fn times(stamp: u64) -> PushTimes {
        PushTimes { push_time: Stamp(stamp), last_stamp: Stamp(stamp) }
    }

    /// A page of gauges that all have this value.
    fn page(slots: usize, value: f64) -> Page {
        let family = Arc::new(Family::new(FAMILY, "g".into(), MetricType::Gauge, Texts::default()));
        let mut layout = PageLayout::default();
        for slot in 0..slots {
            let labels = LabelSet::new([("n", slot.to_string().as_str())]);
            layout.push(&family, labels.iter(), Stamp(1));
        }
        let state = State::new(MetricType::Gauge, &Contribution::Set(value), Stamp(1));
        let touched = Touched::Together(Stamp(1));
        Page { layout: Arc::new(layout), values: vec![state; slots], touched, ..Page::default() }
    }

    /// A store with a group whose page was written with the stamp 5, and a patch of slot `slot` of the
    /// page `number` of group `group`, written with `stamp`.
    fn store(group: u64, number: usize, slot: usize, stamp: u64) -> Batch {
        let key = GroupingKey::new("j", []).unwrap();
        let stored = page(SLOTS, 1.0);
        let mut slots = SlotSet::default();
        slots.insert(slot);
        let mut batch = Batch::default();
        let family = RecordKey::Family(FAMILY, "g".into());
        batch.put(family.encode(), record::encode_family(stored.layout.family(0), &Texts::default()));
        batch.put(RecordKey::Group(GroupId(1)).encode(), record::encode_group(&key, times(4)));
        batch.put(RecordKey::Layout(GroupId(1), 0).encode(), record::encode_layout(&stored.layout));
        batch.put(RecordKey::Page(GroupId(1), 0).encode(), record::encode_page(&stored, times(5)));
        let patch = record::encode_patch(&page(SLOTS + 1, 2.0), &slots, times(stamp));
        batch.put(RecordKey::Patch(GroupId(group), number).encode(), patch);
        batch
    }

    fn restored(batch: &Batch) -> Result<(Shared, Ledger), RestoreError> {
        let mut engine = MemoryEngine::default();
        engine.commit(batch).unwrap();
        let shared = Shared::new(Options::default(), Arc::new(SystemClock));
        let ledger = restore(&shared, &mut engine)?;
        Ok((shared, ledger))
    }

    /// The values of two slots of the group's page, and the stamp of the group's last push.
    fn found(shared: &Shared) -> ([State; 2], Stamp) {
        let committed = shared.committed.read();
        let entry = committed.groups.values().next().unwrap();
        let values = &entry.pages[0].values;
        ([values[0].clone(), values[7].clone()], entry.times.last_stamp)
    }

    fn values(first: f64, seventh: f64) -> [State; 2] {
        [page(1, first).values.remove(0), page(1, seventh).values.remove(0)]
    }

    #[test]
    fn a_patch_is_put_into_its_page_and_stays_known() {
        let (shared, mut ledger) = restored(&store(1, 0, 7, 6)).unwrap();
        assert_eq!(found(&shared), (values(1.0, 2.0), Stamp(6)));
        assert_eq!(ledger.last_stamp, Stamp(6));
        let mut slots = SlotSet::default();
        slots.insert(3);
        let next = ledger.patches.extend(GroupId(1), 0, SLOTS, &slots).unwrap();
        assert_eq!(next.iter().collect::<Vec<_>>(), [3, 7]);
    }

    #[test]
    fn a_patch_that_is_not_newer_than_its_page_changes_nothing_and_is_removed_with_the_page_written_next() {
        let (shared, mut ledger) = restored(&store(1, 0, 7, 5)).unwrap();
        assert_eq!(found(&shared), (values(1.0, 1.0), Stamp(5)));
        assert!(ledger.orphans.is_empty());
        assert!(ledger.patches.remove(GroupId(1), 0));
    }

    #[test]
    fn a_patch_of_a_group_that_is_no_more_is_to_be_removed() {
        let (shared, ledger) = restored(&store(9, 0, 7, 6)).unwrap();
        assert_eq!(found(&shared).0, values(1.0, 1.0));
        assert_eq!(ledger.orphans, [RecordKey::Patch(GroupId(9), 0)]);
        assert_eq!(ledger.next_group, 9);
    }

    #[test]
    fn a_patch_that_does_not_fit_is_damage() {
        for batch in [store(1, 1, 7, 6), store(1, 0, SLOTS, 6)] {
            assert!(restored(&batch).err().unwrap().is_damage());
        }
    }

    #[test]
    fn a_page_of_an_earlier_version_is_written_whole_before_it_is_patched() {
        let mut old = Batch::default();
        let page_key = RecordKey::Page(GroupId(1), 0).encode();
        let patch_key = RecordKey::Patch(GroupId(1), 0).encode();
        for write in store(1, 0, 7, 6).writes().iter().filter(|write| write.key != patch_key) {
            let mut value = write.value.clone().unwrap();
            if write.key == page_key {
                // A record of version 2 is the push times and the states.
                let values = page(SLOTS, 1.0).values;
                value = postcard::to_stdvec(&(2_u8, times(5), values)).unwrap();
            }
            old.put(write.key.clone(), value);
        }
        let (_, mut ledger) = restored(&old).unwrap();
        let mut slots = SlotSet::default();
        slots.insert(3);
        assert_eq!(ledger.patches.extend(GroupId(1), 0, SLOTS, &slots), None);
        ledger.patches.remove(GroupId(1), 0);
        assert_eq!(ledger.patches.extend(GroupId(1), 0, SLOTS, &slots), Some(slots));
    }

    #[test]
    fn patches_come_after_what_they_patch_and_round_trip() {
        let mut slots = SlotSet::default();
        for slot in [0, 31, 39] {
            slots.insert(slot);
        }
        let key = RecordKey::Patch(GroupId(3), 4).encode();
        assert!(key > RecordKey::Page(GroupId(u64::MAX), 9).encode());
        let mut page = page(SLOTS, 3.0);
        let exemplar = Exemplar {
            place: ExemplarPlace::Series,
            labels: LabelSet::new([("trace_id", "t")]),
            value: 1.0,
            timestamp: Some(2.5),
        };
        page.exemplars.absorb(31, MetricType::Gauge, std::slice::from_ref(&exemplar), Stamp(8));
        page.exemplars.absorb(32, MetricType::Gauge, &[exemplar], Stamp(8));
        let read = record::decode(&key, &record::encode_patch(&page, &slots, times(8))).unwrap();
        let slots = [0, 31, 39].map(|slot: u8| (slot, page.values[usize::from(slot)].clone())).to_vec();
        let exemplars = vec![(31, page.exemplars.get(31).unwrap().clone())];
        let expected = PatchRecord { times: times(8), ages: vec![7], exemplars, slots };
        assert_eq!(read, Record::Patch(GroupId(3), 4, expected));
    }

    /// A store with one page, of which these slots are vacant, and no family.
    fn page_store(vacant: &[usize], with_family: bool) -> (Page, Batch) {
        let mut stored = page(SLOTS, 1.0);
        for slot in vacant {
            stored.vacate(*slot);
        }
        let mut batch = Batch::default();
        let key = GroupingKey::new("j", []).unwrap();
        if with_family {
            let family = stored.layout.family(0);
            let record = record::encode_family(family, &Texts::new(Some("Help."), Some("seconds")));
            batch.put(RecordKey::Family(FAMILY, "g".into()).encode(), record);
        }
        batch.put(RecordKey::Group(GroupId(1)).encode(), record::encode_group(&key, times(4)));
        batch.put(RecordKey::Layout(GroupId(1), 0).encode(), record::encode_layout(&stored.layout));
        batch.put(RecordKey::Page(GroupId(1), 0).encode(), record::encode_page(&stored, times(5)));
        (stored, batch)
    }

    #[test]
    fn vacant_slots_stay_vacant_and_stamps_and_texts_are_there_again() {
        let (stored, batch) = page_store(&[0, 7, 39], true);
        let (shared, ledger) = restored(&batch).unwrap();
        let committed = shared.committed.read();
        let entry = committed.groups.values().next().unwrap();
        assert_eq!((entry.series, entry.vacant, committed.series), (SLOTS - 3, 3, SLOTS - 3));
        let page = &entry.pages[0];
        assert_eq!((&page.vacant, &page.values), (&stored.vacant, &stored.values));
        assert_eq!(page.touched.of(0), Stamp(1));
        let family = Arc::clone(page.layout.family(0));
        assert_eq!(family.texts(), Texts::new(Some("Help."), Some("seconds")));
        assert!(entry.group.index.read().holds(&family) && ledger.catalog.latest("g") == Some(FAMILY));
    }

    #[test]
    fn a_family_may_be_missing_only_where_all_of_its_slots_are_vacant() {
        let all: Vec<usize> = (0..SLOTS).collect();
        let (shared, ledger) = restored(&page_store(&all, false).1).unwrap();
        assert_eq!(shared.committed.read().series, 0);
        assert_eq!(ledger.next_family, FAMILY.0);
        assert!(ledger.catalog.latest("g").is_none());
        assert!(restored(&page_store(&all[1..], false).1).err().unwrap().is_damage());
    }
}
