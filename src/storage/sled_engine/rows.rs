//! The rows of the tree: what kinds there are, and a record as rows.
//!
//! A record is one row, or, where its value is long, one row and further rows with the rest of the value.
//! sled moves a leaf that outgrows a quarter of a segment into a file of its own under `blobs/`, which it
//! neither syncs nor removes in step with its log, so a loss of power could take it back alone. Rows are
//! kept so short that no leaf gets there.

use twox_hash::XxHash3_128;

use super::fault::Fault;
use super::guard::guarded;
use super::handle;
use super::head::{Head, HeadError};

/// The format of the rows that this version writes, and the newest that it reads. In format 1 there is no
/// journal.
pub(super) const ROW_FORMAT: u32 = 2;

/// Bytes of a value that one row holds. A leaf holds at most 17 rows; 18 rows of this length and of the
/// longest key stay below a quarter of [`SEGMENT_BYTES`](super::handle::SEGMENT_BYTES).
pub(super) const CHUNK_BYTES: usize = 12 * 1024;

/// The key of the head row.
const HEAD_KEY: [u8; 1] = [0];
/// The first byte of the key of a record's first row; the record's key follows.
const RECORD: u8 = 1;
/// The first byte of the key of a further row; the hash of the record's key and the row's number follow.
const CHUNK: u8 = 2;
/// The first byte of the key of an entry of the journal; its slot follows.
const JOURNAL: u8 = 3;

/// What a row is, by its key.
pub(super) enum Kind<'k> {
    /// The head.
    Head,
    /// The first row of the record with this key.
    Record(&'k [u8]),
    /// A further row of some record.
    Chunk,
    /// An entry of the journal.
    Entry,
}

impl Kind<'_> {
    /// The kind of the row with this key.
    pub(super) fn of(key: &[u8]) -> Option<Kind<'_>> {
        match key {
            [0] => Some(Kind::Head),
            [RECORD, key @ ..] => Some(Kind::Record(key)),
            [CHUNK, ..] => Some(Kind::Chunk),
            [JOURNAL, slot] if *slot < super::journal::SLOTS => Some(Kind::Entry),
            _ => None,
        }
    }
}

/// What one commit writes to the tree. It is there as a whole or not at all.
#[derive(Clone, Debug)]
pub(super) enum Writing {
    /// One row: an entry of the journal, into this slot.
    Entry(u8, Vec<u8>),
    /// The rows of records, and the head row.
    Rows(::sled::Batch),
}

impl Writing {
    /// Writes it, without a sync.
    pub(super) fn apply(self, db: &::sled::Db) -> Result<(), Fault> {
        match self {
            Writing::Entry(slot, entry) => db.insert(slot_key(slot), entry).map(|_| ()),
            Writing::Rows(rows) => db.apply_batch(rows),
        }
        .map_err(handle::fault_from)
    }
}

/// A record as its rows hold it.
pub(super) struct Stored {
    /// Its value.
    pub(super) value: Vec<u8>,
    /// How many further rows it has.
    pub(super) chunks: u32,
}

/// The hash that stands for a record's key.
pub(super) fn id(key: &[u8]) -> u128 {
    XxHash3_128::oneshot(key)
}

/// The rows of a store without a record, to be written when it is created.
pub(super) fn first() -> ::sled::Batch {
    let mut rows = ::sled::Batch::default();
    put_head(&mut rows, Head::default());
    rows
}

/// Adds the head row.
pub(super) fn put_head(rows: &mut ::sled::Batch, head: Head) {
    rows.insert(&HEAD_KEY, head.encode(ROW_FORMAT).as_slice());
}

/// Adds what makes the rows of a record those of this value, or what removes them. `stored` is how many
/// further rows it has in the tree, and nothing where it has no row there.
pub(super) fn put_record(
    rows: &mut ::sled::Batch,
    key: &[u8],
    id: u128,
    value: Option<&[u8]>,
    stored: Option<u32>,
) {
    match value {
        Some(value) => put_value(rows, key, id, value),
        None if stored.is_some() => rows.remove(record_key(key)),
        None => {}
    }
    let kept = value.map_or(0, |value| further_rows(value.len()));
    for number in kept..stored.unwrap_or(0) {
        rows.remove(chunk_key(id, number));
    }
}

/// The head row, with its format.
pub(super) fn read_head(db: &::sled::Db) -> Result<(u32, Head), Fault> {
    let row = guarded(|| db.get(HEAD_KEY).map_err(handle::fault_from))?;
    let row = row.ok_or_else(|| {
        Fault::Damaged("it has lost its head record; nothing that was committed can be found".to_owned())
    })?;
    Head::decode(&row, ROW_FORMAT).map_err(|error| match error {
        HeadError::Damaged => Fault::Damaged("its head record is unreadable".to_owned()),
        HeadError::Newer(found) => Fault::Newer { found, supported: ROW_FORMAT },
    })
}

/// The record with this key, of which `row` is the first row.
pub(super) fn read_record(db: &::sled::Db, key: &[u8], row: &[u8]) -> Result<Stored, Fault> {
    let short = || Fault::Damaged("a record is cut short".to_owned());
    let (chunks, first) = row.split_first_chunk::<4>().ok_or_else(short)?;
    let chunks = u32::from_le_bytes(*chunks);
    let mut value = first.to_vec();
    if chunks > 0 {
        let id = id(key);
        for number in 0..chunks {
            let chunk = guarded(|| db.get(chunk_key(id, number)).map_err(handle::fault_from))?;
            value.extend_from_slice(&chunk.ok_or_else(short)?);
        }
    }
    Ok(Stored { value, chunks })
}

/// How many further rows a value of this length needs.
pub(super) fn further_rows(value_bytes: usize) -> u32 {
    let rows = value_bytes.div_ceil(CHUNK_BYTES).saturating_sub(1);
    u32::try_from(rows).expect("a value that fits into memory has fewer than 2^32 chunks")
}

/// The key of an entry of the journal.
pub(super) fn slot_key(slot: u8) -> [u8; 2] {
    [JOURNAL, slot]
}

fn put_value(rows: &mut ::sled::Batch, key: &[u8], id: u128, value: &[u8]) {
    let (first, rest) = value.split_at(value.len().min(CHUNK_BYTES));
    let mut row = Vec::with_capacity(4 + first.len());
    row.extend_from_slice(&further_rows(value.len()).to_le_bytes());
    row.extend_from_slice(first);
    rows.insert(record_key(key), row);
    for (number, chunk) in (0..).zip(rest.chunks(CHUNK_BYTES)) {
        rows.insert(chunk_key(id, number), chunk);
    }
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
