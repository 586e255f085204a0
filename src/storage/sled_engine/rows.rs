//! Records as rows of the tree, and the ledger that adds them up.
//!
//! A record is one row, or, where its value is long, one row and further rows with the rest of the value.
//! sled moves a leaf that outgrows a quarter of a segment into a file of its own under `blobs/`, which it
//! neither syncs nor removes in step with its log, so a loss of power could take it back alone. Rows are
//! kept so short that no leaf gets there.
//!
//! Invariant: the ledger's head equals the head row of the state it describes.

use std::collections::HashMap;

use twox_hash::XxHash3_128;

use super::fault::Fault;
use super::guard::guarded;
use super::handle;
use super::head::{Head, HeadError, ROW_FORMAT, record_hash};
use crate::storage::{Batch, Visitor};

/// Bytes of a value that one row holds. A leaf holds at most 17 rows; 18 rows of this length and of the
/// longest key stay below a quarter of [`SEGMENT_BYTES`](super::handle::SEGMENT_BYTES).
pub(super) const CHUNK_BYTES: usize = 12 * 1024;

/// The key of the head row.
const HEAD_KEY: [u8; 1] = [0];
/// The first byte of the key of a record's first row; the record's key follows.
const RECORD: u8 = 1;
/// The first byte of the key of a further row; the hash of the record's key and the row's number follow.
const CHUNK: u8 = 2;

/// What is remembered of every record: enough to take it out of the sum and out of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    hash: u128,
    /// How many further rows the record has.
    chunks: u32,
    /// Bytes of its key and its value.
    bytes: u64,
}

impl Entry {
    fn of(key: &[u8], value: &[u8]) -> Entry {
        Entry {
            hash: record_hash(key, value),
            chunks: further_rows(value.len()),
            bytes: (key.len() + value.len()) as u64,
        }
    }
}

/// The records of a committed state, in 48 bytes each.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    head: Head,
    entries: HashMap<u128, Entry>,
    live_bytes: u64,
}

/// A batch ready to be written, and what it makes of the ledger.
pub(super) struct Staged {
    rows: ::sled::Batch,
    head: Head,
    changes: Vec<(u128, Option<Entry>)>,
}

impl Staged {
    /// The rows to write, the head row among them.
    pub(super) fn take_rows(&mut self) -> ::sled::Batch {
        std::mem::take(&mut self.rows)
    }

    /// The head of the store once the batch has landed.
    pub(super) fn head(&self) -> Head {
        self.head
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

    /// Works out what to write for a batch. Changes nothing here: the batch may fail.
    pub(super) fn stage(&self, batch: &Batch) -> Staged {
        let mut staged = Staged {
            rows: ::sled::Batch::default(),
            head: Head { sequence: self.head.sequence + 1, ..self.head },
            changes: Vec::with_capacity(batch.len()),
        };
        for write in batch.writes() {
            let id = XxHash3_128::oneshot(&write.key);
            let old = self.entries.get(&id).copied();
            let new = write.value.as_deref().map(|value| Entry::of(&write.key, value));
            staged.exchange(old, new);
            if let Some(value) = &write.value {
                staged.put_rows(&write.key, id, value);
            } else if old.is_some() {
                staged.rows.remove(record_key(&write.key));
            }
            let kept = new.map_or(0, |entry| entry.chunks);
            for number in kept..old.map_or(0, |entry| entry.chunks) {
                staged.rows.remove(chunk_key(id, number));
            }
            staged.changes.push((id, new));
        }
        staged.rows.insert(&HEAD_KEY, staged.head.encode().as_slice());
        staged
    }

    /// Takes over what a batch that landed has made of the store.
    pub(super) fn apply(&mut self, staged: Staged) {
        self.head = staged.head;
        for (id, entry) in staged.changes {
            self.live_bytes += entry.map_or(0, |entry| entry.bytes);
            let old = match entry {
                Some(entry) => self.entries.insert(id, entry),
                None => self.entries.remove(&id),
            };
            self.live_bytes -= old.map_or(0, |entry| entry.bytes);
        }
    }
}

impl Staged {
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

    fn put_rows(&mut self, key: &[u8], id: u128, value: &[u8]) {
        let (first, rest) = value.split_at(value.len().min(CHUNK_BYTES));
        let mut row = Vec::with_capacity(4 + first.len());
        row.extend_from_slice(&further_rows(value.len()).to_le_bytes());
        row.extend_from_slice(first);
        self.rows.insert(record_key(key), row);
        for (number, chunk) in (0..).zip(rest.chunks(CHUNK_BYTES)) {
            self.rows.insert(chunk_key(id, number), chunk);
        }
    }
}

/// The rows of a store without a record, to be written when it is created.
pub(super) fn first_rows() -> ::sled::Batch {
    let mut rows = ::sled::Batch::default();
    rows.insert(&HEAD_KEY, Head::default().encode().as_slice());
    rows
}

/// Hands every record to `visit` in ascending order of the keys, and adds up what it meets. Fails where
/// that is not what the head says; `visit` has then been called for nothing.
pub(super) fn read_all(db: &::sled::Db, visit: &mut Visitor<'_>) -> Result<Ledger, Fault> {
    let mut head = None;
    let mut found = Head::default();
    let mut entries = HashMap::new();
    let mut live_bytes = 0;
    let (mut chunks_named, mut chunks_met) = (0_u64, 0_u64);
    let mut rows = db.iter();
    while let Some((key, row)) = guarded(|| rows.next().transpose().map_err(handle::fault_from))? {
        match key.split_first() {
            Some((&0, [])) => head = Some(decode_head(&row)?),
            Some((&RECORD, key)) => {
                let (value, id, entry) = read_record(db, key, &row)?;
                visit(key, &value);
                found.records += 1;
                found.sum = found.sum.wrapping_add(entry.hash);
                chunks_named += u64::from(entry.chunks);
                live_bytes += entry.bytes;
                entries.insert(id, entry);
            }
            Some((&CHUNK, _)) => chunks_met += 1,
            _ => return Err(Fault::Damaged("it holds a row of an unknown kind".to_owned())),
        }
    }
    let head = head.ok_or_else(no_head)?;
    found.sequence = head.sequence;
    if found != head || chunks_named != chunks_met {
        return Err(Fault::Damaged(format!(
            "{} records were committed and {} were found, or their contents differ",
            head.records, found.records
        )));
    }
    Ok(Ledger { head, entries, live_bytes })
}

/// The head row alone.
pub(super) fn read_head(db: &::sled::Db) -> Result<Head, Fault> {
    let row = db.get(HEAD_KEY).map_err(handle::fault_from)?;
    decode_head(&row.ok_or_else(no_head)?)
}

fn read_record(db: &::sled::Db, key: &[u8], row: &[u8]) -> Result<(Vec<u8>, u128, Entry), Fault> {
    let short = || Fault::Damaged("a record is cut short".to_owned());
    let (chunks, first) = row.split_first_chunk::<4>().ok_or_else(short)?;
    let chunks = u32::from_le_bytes(*chunks);
    let id = XxHash3_128::oneshot(key);
    let mut value = first.to_vec();
    for number in 0..chunks {
        let chunk = guarded(|| db.get(chunk_key(id, number)).map_err(handle::fault_from))?;
        value.extend_from_slice(&chunk.ok_or_else(short)?);
    }
    let entry = Entry { chunks, ..Entry::of(key, &value) };
    Ok((value, id, entry))
}

fn decode_head(row: &[u8]) -> Result<Head, Fault> {
    Head::decode(row).map_err(|error| match error {
        HeadError::Damaged => Fault::Damaged("its head record is unreadable".to_owned()),
        HeadError::Newer(found) => Fault::Newer { found, supported: ROW_FORMAT },
    })
}

fn no_head() -> Fault {
    Fault::Damaged("it has lost its head record; nothing that was committed can be found".to_owned())
}

fn record_key(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(RECORD);
    row.extend_from_slice(key);
    row
}

fn chunk_key(id: u128, number: u32) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + 16 + 4);
    row.push(CHUNK);
    row.extend_from_slice(&id.to_be_bytes());
    row.extend_from_slice(&number.to_be_bytes());
    row
}

fn further_rows(value_bytes: usize) -> u32 {
    let rows = value_bytes.div_ceil(CHUNK_BYTES).saturating_sub(1);
    u32::try_from(rows).expect("a value that fits into memory has fewer than 2^32 chunks")
}
