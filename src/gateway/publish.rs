//! From staged to committed: as records for the store, and then as the state that everybody sees.

use std::sync::Arc;

use crate::model::GroupingKey;

use super::committed::{Committed, Shared};
use super::family::Family;
use super::group::{Group, GroupEntry};
use super::ledger::Ledger;
use super::page::Page;
use super::patches::Patches;
use super::record::{self, RecordKey};
use super::staged_group::StagedGroup;
use super::staged_pages::StagedPage;
use super::staging::{StagedFamily, StagedFate, Staging};

/// Takes the records that a batch changes.
pub(crate) trait Sink {
    /// Whether a page may be written as a patch: only where it is written at once.
    const TAKES_PATCHES: bool;

    /// A record gets a new value; `value` makes it, where it is needed.
    fn put(&mut self, key: RecordKey, value: impl FnOnce() -> Vec<u8>);

    /// A record goes.
    fn remove(&mut self, key: RecordKey);
}

/// Hands each record that the batch changes to `sink`, once, and notes what becomes of patches.
pub(crate) fn records(shared: &Shared, ledger: &mut Ledger, staging: &Staging, sink: &mut impl Sink) {
    for (name, staged) in &staging.families {
        if staging.outlives_batch(staged) {
            family_records(ledger, name, staged, sink);
        }
    }
    for ended in staging.ended.iter().filter(|ended| ledger.live.contains_key(ended)) {
        sink.remove(RecordKey::Group(*ended));
    }
    for fate in staging.groups.values() {
        if let StagedFate::Lives(staged) = fate {
            group_records(&mut ledger.patches, staged, sink);
        }
    }
    let failures = shared.failures.lock();
    for key in &staging.forgotten_failures {
        if failures.get(key).is_some() {
            sink.remove(RecordKey::Failure(Arc::clone(key)));
        }
    }
}

fn family_records(ledger: &Ledger, name: &Arc<str>, staged: &StagedFamily, sink: &mut impl Sink) {
    if staged.is_new {
        if let Some(replaced) = ledger.catalog.latest(name) {
            sink.remove(RecordKey::Family(replaced, Arc::clone(name)));
        }
    } else if staged.texts.is_empty() {
        return;
    }
    let mut texts = staged.family.texts();
    texts.update(staged.texts.clone());
    let key = RecordKey::Family(staged.family.id, Arc::clone(name));
    sink.put(key, || record::encode_family(&staged.family, &texts));
}

fn group_records<S: Sink>(patches: &mut Patches, staged: &StagedGroup, sink: &mut S) {
    let id = staged.group.id;
    // The times are in the pages' records, too.
    if staged.is_new || staged.pages.is_empty() {
        sink.put(RecordKey::Group(id), || record::encode_group(&staged.group.key, staged.times));
    }
    for (number, page) in staged.pages.iter() {
        if page.layout_changed {
            sink.put(RecordKey::Layout(id, number), || record::encode_layout(&page.page.layout));
        }
        page_record(patches, staged, number, page, sink);
    }
}

/// The record of a page's values, or a patch of it where few slots have changed.
fn page_record<S: Sink>(
    patches: &mut Patches,
    staged: &StagedGroup,
    number: usize,
    StagedPage { page, layout_changed, vacancy_changed, changed }: &StagedPage,
    sink: &mut S,
) {
    let id = staged.group.id;
    let patch = if S::TAKES_PATCHES && !layout_changed && !vacancy_changed {
        patches.extend(id, number, page.values.len(), changed)
    } else {
        None
    };
    if let Some(slots) = patch {
        sink.put(RecordKey::Patch(id, number), || record::encode_patch(page, &slots, staged.times));
        return;
    }
    sink.put(RecordKey::Page(id, number), || record::encode_page(page, staged.times));
    if patches.remove(id, number) {
        sink.remove(RecordKey::Patch(id, number));
    }
}

/// The value of a record by the committed state; `None` if there is no such record.
pub(crate) fn committed_record(shared: &Shared, ledger: &Ledger, key: &RecordKey) -> Option<Vec<u8>> {
    let committed = shared.committed.read();
    let entry = |id| committed.groups.get(ledger.live.get(id)?);
    match key {
        RecordKey::Family(id, name) => ledger
            .catalog
            .family(name)
            .filter(|family| family.id == *id)
            .map(|family| record::encode_family(family, &family.texts())),
        RecordKey::Group(id) => entry(id).map(|entry| record::encode_group(&entry.group.key, entry.times)),
        RecordKey::Layout(id, page) => {
            entry(id).and_then(|entry| entry.pages.get(*page)).map(|page| record::encode_layout(&page.layout))
        }
        RecordKey::Page(id, page) => {
            entry(id).and_then(|entry| Some(record::encode_page(entry.pages.get(*page)?, entry.times)))
        }
        // What is written later is written whole.
        RecordKey::Patch(..) => None,
        RecordKey::Failure(key) => {
            shared.failures.lock().get(key).map(|time| record::encode_failure(key, time))
        }
    }
}

/// Makes the batch what everybody sees. Gives back the pages that it replaces: dropping them can wait
/// until those who asked have their answers.
pub(crate) fn publish(shared: &Shared, ledger: &mut Ledger, mut staging: Staging) -> Vec<Arc<Page>> {
    if staging.is_empty() {
        return Vec::new();
    }
    for staged in staging.families.values().filter(|staged| staging.outlives_batch(staged)) {
        publish_family(ledger, &staging, staged);
    }
    let mut forsaken = Vec::new();
    for fate in staging.groups.values_mut() {
        if let StagedFate::Lives(staged) = fate {
            let grown = staged.pages.values_mut().filter(|page| page.layout_changed);
            grown.for_each(|page| page.page.give_back_spare_room());
            forsaken.extend(publish_index(shared, staged));
        }
    }
    let mut replaced = Vec::new();
    let mut buried = Vec::new();
    let mut begun = Vec::new();
    let mut committed = shared.committed.write();
    for (key, fate) in staging.groups {
        match fate {
            StagedFate::Lives(staged) if staged.is_new => {
                begun.push(Arc::clone(&staged.group));
                buried.extend(committed.insert(new_entry(staged)));
            }
            StagedFate::Lives(staged) => committed.update(staged, &mut replaced),
            StagedFate::Ends => buried.extend(committed.remove(&key)),
        }
    }
    let mut failures = shared.failures.lock();
    for key in &staging.forgotten_failures {
        failures.remove(key);
    }
    for group in &begun {
        failures.joined(&group.key);
    }
    drop(failures);
    drop(committed);

    for entry in buried {
        ledger.bury_group(entry);
    }
    for group in begun {
        ledger.add_group(&group);
    }
    for (group, family) in forsaken {
        ledger.forsake_family(group, family);
    }
    shared.changed();
    replaced
}

fn publish_family(ledger: &mut Ledger, staging: &Staging, staged: &StagedFamily) {
    for holder in staged.holders.iter().filter(|holder| !staging.ended.contains(holder)) {
        ledger.catalog.hold(&staged.family, *holder);
    }
    if !staged.texts.is_empty() {
        staged.family.update(staged.texts.clone());
    }
}

/// Gives back the families that the group does not hold any more.
fn publish_index(shared: &Shared, staged: &mut StagedGroup) -> Vec<(Arc<Group>, Arc<Family>)> {
    let mut forsaken = Vec::new();
    if staged.growth.is_none() && !staged.pages.iter().any(|(_, page)| page.layout_changed) {
        return forsaken;
    }
    let mut index = staged.group.index.write();
    for (number, page) in staged.pages.iter() {
        if page.layout_changed {
            index.set_layout(&shared.hasher, number, &page.page.layout);
        }
    }
    if let Some(growth) = staged.growth.take() {
        index.shared_page = growth.shared_page;
        for held in growth.families.into_values() {
            if held.series == 0 {
                forsaken.push((Arc::clone(&staged.group), Arc::clone(&held.family)));
            }
            index.set_family(held);
        }
    }
    forsaken
}

fn new_entry(staged: StagedGroup) -> GroupEntry {
    GroupEntry {
        group: staged.group,
        pages: staged.pages.into_iter().map(|(_, page)| Arc::new(page)).collect(),
        series: staged.series,
        vacant: staged.vacant,
        times: staged.times,
    }
}

impl Committed {
    /// Puts in a group; gives back one that had its key.
    pub(crate) fn insert(&mut self, entry: GroupEntry) -> Option<GroupEntry> {
        self.series += entry.series;
        self.pages += entry.pages.len();
        let replaced = self.groups.insert(Arc::clone(&entry.group.key), entry);
        self.take_off(replaced.as_ref());
        replaced
    }

    /// Takes out a group.
    fn remove(&mut self, key: &GroupingKey) -> Option<GroupEntry> {
        let removed = self.groups.remove(key);
        self.take_off(removed.as_ref());
        removed
    }

    fn take_off(&mut self, entry: Option<&GroupEntry>) {
        if let Some(entry) = entry {
            self.series -= entry.series;
            self.pages -= entry.pages.len();
        }
    }

    /// Puts in the new versions of a group's pages; the old ones go to `replaced`.
    fn update(&mut self, staged: StagedGroup, replaced: &mut Vec<Arc<Page>>) {
        let entry = self.groups.get_mut(&staged.group.key).expect("a group that is not new is committed");
        debug_assert_eq!(entry.group.id, staged.group.id);
        self.series = self.series + staged.series - entry.series;
        self.pages += staged.page_count - entry.pages.len();
        entry.series = staged.series;
        entry.vacant = staged.vacant;
        entry.times = staged.times;
        for (number, page) in staged.pages.into_iter() {
            let page = Arc::new(page);
            match entry.pages.get_mut(number) {
                Some(old) => replaced.push(std::mem::replace(old, page)),
                None => entry.pages.push(page),
            }
        }
    }
}
