//! Records as rows of redb's one table, and the head among them.
//!
//! Invariant: every transaction that changes a row writes the head that adds up all rows after it.

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition, TableError, WriteTransaction,
};

use super::handle::fault_from;
use crate::storage::directory::fault::Fault;
use crate::storage::directory::head::{Head, HeadError, record_hash};
use crate::storage::{Batch, Visitor};

/// The format of the rows that this version writes, and the newest that it reads.
const ROW_FORMAT: u32 = 1;

/// The one table.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// The key of the head row.
const HEAD_KEY: &[u8] = &[0];
/// The first byte of the key of a record's row; the record's key follows.
const RECORD: u8 = 1;

/// A committed state, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its head.
    pub(super) head: Head,
    /// Bytes of the keys and values of all records.
    pub(super) live_bytes: u64,
}

/// Hands every record to `visit` in ascending order of the keys, and adds up what it meets. Fails where
/// that is not what the head says; `visit` has then been called for nothing.
pub(super) fn read_all(db: &Database, visit: &mut Visitor<'_>) -> Result<Found, Fault> {
    let reading = db.begin_read().map_err(fault_from)?;
    let table = match reading.open_table(TABLE) {
        Err(TableError::TableDoesNotExist(_)) => return Err(no_head()),
        other => other.map_err(fault_from)?,
    };
    let mut head = None;
    let mut added = Head::default();
    let mut live_bytes = 0;
    for row in table.iter().map_err(fault_from)? {
        let (key, value) = row.map_err(fault_from)?;
        match key.value().split_first() {
            Some((&0, [])) => head = Some(decode_head(value.value())?),
            Some((&RECORD, key)) => {
                visit(key, value.value());
                added.records += 1;
                added.sum = added.sum.wrapping_add(record_hash(key, value.value()));
                live_bytes += (key.len() + value.value().len()) as u64;
            }
            _ => return Err(Fault::Damaged("it holds a row of an unknown kind".to_owned())),
        }
    }
    let head = head.ok_or_else(no_head)?;
    added.sequence = head.sequence;
    if added != head {
        return Err(Fault::Damaged(format!(
            "{} records were committed and {} were found, or their contents differ",
            head.records, added.records
        )));
    }
    Ok(Found { head, live_bytes })
}

/// Begins the transaction of a batch that comes after `head`, and says what the head is once it has landed.
pub(super) fn stage(db: &Database, batch: &Batch, head: Head) -> Result<(WriteTransaction, Head), Fault> {
    let mut after = Head { sequence: head.sequence + 1, ..head };
    let writing = db.begin_write().map_err(fault_from)?;
    let mut table = writing.open_table(TABLE).map_err(fault_from)?;
    for write in batch.writes() {
        let row = record_key(&write.key);
        let old = match &write.value {
            Some(value) => table.insert(row.as_slice(), value.as_slice()),
            None => table.remove(row.as_slice()),
        }
        .map_err(fault_from)?;
        if let Some(old) = old {
            after.records -= 1;
            after.sum = after.sum.wrapping_sub(record_hash(&write.key, old.value()));
        }
        if let Some(value) = &write.value {
            after.records += 1;
            after.sum = after.sum.wrapping_add(record_hash(&write.key, value));
        }
    }
    put_head(&mut table, after)?;
    drop(table);
    Ok((writing, after))
}

/// Writes a state without a record.
pub(super) fn write_first(db: &Database) -> Result<(), Fault> {
    let writing = db.begin_write().map_err(fault_from)?;
    put_head(&mut writing.open_table(TABLE).map_err(fault_from)?, Head::default())?;
    writing.commit().map_err(fault_from)
}

/// Writes all rows of one database to another, which is empty, in transactions of about `step_bytes`.
pub(super) fn copy(from: &Database, to: &Database, step_bytes: usize) -> Result<(), Fault> {
    let reading = from.begin_read().map_err(fault_from)?;
    let rows = reading.open_table(TABLE).map_err(fault_from)?;
    let mut rows = rows.iter().map_err(fault_from)?.peekable();
    while rows.peek().is_some() {
        let writing = to.begin_write().map_err(fault_from)?;
        let mut table = writing.open_table(TABLE).map_err(fault_from)?;
        let mut bytes = 0;
        while bytes < step_bytes
            && let Some(row) = rows.next()
        {
            let (key, value) = row.map_err(fault_from)?;
            bytes += key.value().len() + value.value().len();
            table.insert(key.value(), value.value()).map_err(fault_from)?;
        }
        drop(table);
        writing.commit().map_err(fault_from)?;
    }
    Ok(())
}

fn put_head(table: &mut Table<'_, &'static [u8], &'static [u8]>, head: Head) -> Result<(), Fault> {
    table.insert(HEAD_KEY, head.encode(ROW_FORMAT).as_slice()).map_err(fault_from)?;
    Ok(())
}

fn decode_head(row: &[u8]) -> Result<Head, Fault> {
    let decoded = Head::decode(row, ROW_FORMAT).map(|(_, head)| head);
    decoded.map_err(|error| match error {
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
