//! Where the records of a batch go: into the batch that is written now, or into the notes of what is to be
//! written later.

use std::collections::HashSet;

use hashbrown::DefaultHashBuilder;

use crate::storage::Batch;

use super::committed::Shared;
use super::ledger::Ledger;
use super::publish::Sink;
use super::record::RecordKey;

/// A set of records. Hashed with a seed, since whoever pushes chooses the labels of failures.
pub(crate) type RecordKeys = HashSet<RecordKey, DefaultHashBuilder>;

/// What records there may be as of some moment: the largest numbers handed out until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    group: u64,
    family: u64,
    /// Whether there were failure times; they have no numbers.
    failures: bool,
}

impl Numbers {
    /// What there may be now.
    pub(crate) fn of(ledger: &Ledger, shared: &Shared) -> Self {
        let failures = shared.failures.lock().any_may_be_stored();
        Self { group: ledger.next_group, family: ledger.next_family, failures }
    }

    /// Whether a record of this key may have been written by that moment.
    fn may_include(self, key: &RecordKey) -> bool {
        match key {
            RecordKey::Family(family, _) => family.0 <= self.family,
            RecordKey::Group(group)
            | RecordKey::Layout(group, _)
            | RecordKey::Page(group, _)
            | RecordKey::Patch(group, _) => group.0 <= self.group,
            RecordKey::Failure(_) => self.failures,
        }
    }
}

/// Makes the batch that is written now.
#[derive(Default)]
pub(crate) struct Writes {
    pub(crate) batch: Batch,
    /// The keys of the batch's records.
    pub(crate) keys: RecordKeys,
}

impl Writes {
    /// Nothing yet, with room for so many records.
    pub(crate) fn with_capacity(records: usize) -> Self {
        let keys = RecordKeys::with_capacity_and_hasher(records, DefaultHashBuilder::default());
        Self { batch: Batch::default(), keys }
    }

    /// Adds a record's new value, or its removal, unless the batch has the record already.
    pub(crate) fn add_unless_there(&mut self, key: RecordKey, value: Option<Vec<u8>>) {
        let encoded = key.encode();
        if !self.keys.insert(key) {
            return;
        }
        match value {
            Some(value) => self.batch.put(encoded, value),
            None => self.batch.remove(encoded),
        }
    }
}

impl Sink for Writes {
    const TAKES_PATCHES: bool = true;

    fn put(&mut self, key: RecordKey, value: impl FnOnce() -> Vec<u8>) {
        self.add_unless_there(key, Some(value()));
    }

    fn remove(&mut self, key: RecordKey) {
        self.add_unless_there(key, None);
    }
}

/// Notes what is to be written later. What came and went in between is forgotten, so that the notes do not
/// grow with everything that ever was.
pub(crate) struct Notes<'n> {
    pub(crate) unwritten: &'n mut RecordKeys,
    /// What the store may hold.
    pub(crate) stored: Numbers,
}

impl Sink for Notes<'_> {
    /// Several pushes would gather in one patch, and the page's own record may not be in the store yet.
    const TAKES_PATCHES: bool = false;

    fn put(&mut self, key: RecordKey, _: impl FnOnce() -> Vec<u8>) {
        self.unwritten.insert(key);
    }

    fn remove(&mut self, key: RecordKey) {
        if self.stored.may_include(&key) {
            self.unwritten.insert(key);
        } else {
            self.unwritten.remove(&key);
        }
    }
}
