//! Reading a whole store: its rows, with its journal applied.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

use super::fault::Fault;
use super::guard::guarded;
use super::handle;
use super::head::Head;
use super::journal::{self, Journaled};
use super::ledger::{Ledger, Tally};
use super::rows::{self, Kind, ROW_FORMAT};
use crate::storage::Visitor;

/// Hands every record to `visit` in ascending order of the keys, and adds up what it meets. Fails where
/// that is not what the heads say; `visit` has then been called for nothing.
pub(super) fn read_all(db: &::sled::Db, visit: &mut Visitor<'_>) -> Result<Ledger, Fault> {
    let (format, head) = rows::read_head(db)?;
    let journal = journal::read(db, head.sequence)?;
    let mut tally = Tally::new(format, head);
    let mut merged = Merged::new(&journal, visit);
    let mut found = db.iter();
    while let Some((key, row)) = guarded(|| found.next().transpose().map_err(handle::fault_from))? {
        match Kind::of(&key) {
            Some(Kind::Head) => {}
            Some(Kind::Record(key)) => {
                let stored = rows::read_record(db, key, &row)?;
                tally.add(key, &stored);
                merged.meet(key, &stored.value);
            }
            Some(Kind::Chunk) => tally.add_chunk(),
            Some(Kind::Entry) if format >= ROW_FORMAT => {}
            Some(Kind::Entry) | None => {
                return Err(Fault::Damaged("it holds a row of an unknown kind".to_owned()));
            }
        }
    }
    merged.end();
    tally.finish(&journal)
}

/// The head of the store, its journal applied, and nothing else of it.
pub(super) fn read_head(db: &::sled::Db) -> Result<Head, Fault> {
    let (_, head) = rows::read_head(db)?;
    Ok(journal::read(db, head.sequence)?.last().map_or(head, |entry| entry.head))
}

/// Records of the rows with those of the journal in their places, in ascending order of the keys.
struct Merged<'j, 'v, 'f> {
    /// What the journal says last of each record that it writes.
    newest: Peekable<btree_map::IntoIter<&'j [u8], Option<&'j [u8]>>>,
    visit: &'v mut Visitor<'f>,
}

impl<'j, 'v, 'f> Merged<'j, 'v, 'f> {
    fn new(journal: &'j [Journaled], visit: &'v mut Visitor<'f>) -> Self {
        let mut newest = BTreeMap::new();
        for write in journal.iter().flat_map(|entry| entry.batch.writes()) {
            newest.insert(write.key.as_slice(), write.value.as_deref());
        }
        Merged { newest: newest.into_iter().peekable(), visit }
    }

    /// Hands over the record of a row, unless the journal has something newer, and all before it.
    fn meet(&mut self, key: &[u8], value: &[u8]) {
        while let Some((key, value)) = self.newest.next_if(|(next, _)| *next < key) {
            self.hand_over(key, value);
        }
        match self.newest.next_if(|(next, _)| *next == key) {
            Some((_, newer)) => self.hand_over(key, newer),
            None => self.hand_over(key, Some(value)),
        }
    }

    /// Hands over what comes after the last row.
    fn end(mut self) {
        while let Some((key, value)) = self.newest.next() {
            self.hand_over(key, value);
        }
    }

    fn hand_over(&mut self, key: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value {
            (self.visit)(key, value);
        }
    }
}
