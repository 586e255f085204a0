//! The ledger: what is remembered of the records, and what a batch makes of it.
//!
//! It decides what a commit writes: one entry of the journal where that will do, and otherwise the rows of
//! its records, together with those that the journal is ahead of.
//!
//! Invariant: the ledger's head equals the head of the state it describes, the journal included.

use std::collections::{HashMap, HashSet};

use hashbrown::DefaultHashBuilder;

use super::fault::Fault;
use super::head::{Head, record_hash};
use super::journal::{self, Journaled, SLOTS};
use super::rows::{self, ROW_FORMAT, Stored, Writing};
use crate::storage::Batch;

/// What is remembered of every record: enough to take it out of the sum and out of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    hash: u128,
    /// How many further rows a value of its length has.
    chunks: u32,
    /// Bytes of its key and its value.
    bytes: u64,
}

impl Entry {
    fn of(key: &[u8], value: &[u8]) -> Entry {
        Entry {
            hash: record_hash(key, value),
            chunks: rows::further_rows(value.len()),
            bytes: (key.len() + value.len()) as u64,
        }
    }
}

/// A record that the journal is ahead of its rows with.
#[derive(Clone, Debug)]
struct Pending {
    key: Vec<u8>,
    /// What the journal says last.
    value: Option<Vec<u8>>,
    /// How many further rows it has in the tree; nothing where it has no row there.
    stored: Option<u32>,
}

/// The records of a committed state, in 48 bytes each, and what of it is in the journal alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    head: Head,
    /// By the hash of the record's key.
    entries: HashMap<u128, Entry, DefaultHashBuilder>,
    live_bytes: u64,
    /// The sequence of the head row.
    in_rows: u64,
    /// Whether the rows are of a format that has no journal. The next commit writes those of this version.
    is_old: bool,
    pending: HashMap<u128, Pending, DefaultHashBuilder>,
}

/// What a batch makes of the ledger.
pub(super) struct Change {
    head: Head,
    entries: Vec<(u128, Option<Entry>)>,
    is_journaled: bool,
}

impl Change {
    /// The head of the store once the batch has landed.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    fn exchange(&mut self, old: Option<Entry>, new: Option<Entry>) {
        if let Some(old) = old {
            self.head.records -= 1;
            self.head.sum = self.head.sum.wrapping_sub(old.hash);
        }
        if let Some(new) = new {
            self.head.records += 1;
            self.head.sum = self.head.sum.wrapping_add(new.hash);
        }
    }
}

impl Ledger {
    /// The head of the state described.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Bytes of the keys and values of all records.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Works out what to write for a batch. Changes nothing here: the batch may fail. `may_journal` says
    /// whether an entry of the journal will do where there is a slot for it.
    pub(super) fn stage(&self, batch: &Batch, may_journal: bool) -> (Writing, Change) {
        let mut change = self.change(batch);
        if may_journal
            && self.has_free_slot()
            && let Some(entry) = journal::encode(change.head, batch)
        {
            change.is_journaled = true;
            return (Writing::Entry(journal::slot_of(change.head.sequence), entry), change);
        }
        (Writing::Rows(self.rows(batch, &change)), change)
    }

    /// What brings the rows up to date with the journal, where it is ahead of them. It commits nothing: the
    /// head stays the same.
    pub(super) fn fold(&self) -> Option<Writing> {
        let change = Change { head: self.head, entries: Vec::new(), is_journaled: false };
        (!self.pending.is_empty()).then(|| Writing::Rows(self.rows(&Batch::default(), &change)))
    }

    /// Notes that the rows have been brought up to date.
    pub(super) fn note_folded(&mut self) {
        self.pending.clear();
        self.in_rows = self.head.sequence;
        self.is_old = false;
    }

    /// Takes over what a batch that landed has made of the store.
    pub(super) fn apply(&mut self, change: Change, batch: &Batch) {
        self.head = change.head;
        if change.is_journaled {
            self.note_pending(&change, batch);
        } else {
            self.note_folded();
        }
        for (id, entry) in change.entries {
            self.live_bytes += entry.map_or(0, |entry| entry.bytes);
            let old = match entry {
                Some(entry) => self.entries.insert(id, entry),
                None => self.entries.remove(&id),
            };
            self.live_bytes -= old.map_or(0, |entry| entry.bytes);
        }
    }

    fn has_free_slot(&self) -> bool {
        !self.is_old && self.head.sequence - self.in_rows < u64::from(SLOTS)
    }

    fn change(&self, batch: &Batch) -> Change {
        let head = Head { sequence: self.head.sequence + 1, ..self.head };
        let entries = Vec::with_capacity(batch.len());
        let mut change = Change { head, entries, is_journaled: false };
        for write in batch.writes() {
            let id = rows::id(&write.key);
            let new = write.value.as_deref().map(|value| Entry::of(&write.key, value));
            change.exchange(self.entries.get(&id).copied(), new);
            change.entries.push((id, new));
        }
        change
    }

    /// The rows of the batch, of what is pending beside it, and the head.
    fn rows(&self, batch: &Batch, change: &Change) -> ::sled::Batch {
        let mut rows = ::sled::Batch::default();
        if !self.pending.is_empty() {
            let in_batch: HashSet<u128> = change.entries.iter().map(|(id, _)| *id).collect();
            for (id, pending) in self.pending.iter().filter(|(id, _)| !in_batch.contains(id)) {
                rows::put_record(&mut rows, &pending.key, *id, pending.value.as_deref(), pending.stored);
            }
        }
        for (write, (id, _)) in batch.writes().iter().zip(&change.entries) {
            rows::put_record(&mut rows, &write.key, *id, write.value.as_deref(), self.stored(*id));
        }
        rows::put_head(&mut rows, change.head);
        rows
    }

    /// How many further rows a record has in the tree; nothing where it has no row there.
    fn stored(&self, id: u128) -> Option<u32> {
        match self.pending.get(&id) {
            Some(pending) => pending.stored,
            None => self.entries.get(&id).map(|entry| entry.chunks),
        }
    }

    fn note_pending(&mut self, change: &Change, batch: &Batch) {
        for (write, (id, _)) in batch.writes().iter().zip(&change.entries) {
            let stored = self.stored(*id);
            self.pending.insert(*id, Pending { key: write.key.clone(), value: write.value.clone(), stored });
        }
    }
}

/// A ledger in the making, while the rows of a store are read.
pub(super) struct Tally {
    ledger: Ledger,
    found: Head,
    chunks_named: u64,
    chunks_met: u64,
}

impl Tally {
    /// One that has met no record of a store with this head row.
    pub(super) fn new(format: u32, head: Head) -> Tally {
        let is_old = format < ROW_FORMAT;
        let ledger = Ledger { head, in_rows: head.sequence, is_old, ..Ledger::default() };
        let found = Head { sequence: head.sequence, ..Head::default() };
        Tally { ledger, found, chunks_named: 0, chunks_met: 0 }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, key: &[u8], stored: &Stored) {
        let entry = Entry { chunks: stored.chunks, ..Entry::of(key, &stored.value) };
        self.found.records += 1;
        self.found.sum = self.found.sum.wrapping_add(entry.hash);
        self.chunks_named += u64::from(entry.chunks);
        self.ledger.live_bytes += entry.bytes;
        self.ledger.entries.insert(rows::id(key), entry);
    }

    /// Adds a further row of some record.
    pub(super) fn add_chunk(&mut self) {
        self.chunks_met += 1;
    }

    /// The ledger of the rows with the journal applied. Fails where either is not what its heads say.
    pub(super) fn finish(self, journal: &[Journaled]) -> Result<Ledger, Fault> {
        let mut ledger = self.ledger;
        if self.found != ledger.head || self.chunks_named != self.chunks_met {
            return Err(Fault::Damaged(format!(
                "{} records were committed and {} were found, or their contents differ",
                ledger.head.records, self.found.records
            )));
        }
        for Journaled { head, batch } in journal {
            let change = Change { is_journaled: true, ..ledger.change(batch) };
            if change.head != *head {
                let reason = format!("commit {} of its journal does not fit its records", head.sequence);
                return Err(Fault::Damaged(reason));
            }
            ledger.apply(change, batch);
        }
        Ok(ledger)
    }
}
