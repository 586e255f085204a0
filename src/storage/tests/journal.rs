//! sled's journal: whatever is in it, in the rows, or in both, the records are those that were committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    Chance, Kept as _, Records, apply, close, key, large_batch, load, open_sled, plant, small_batch, tree,
};
use crate::storage::directory::head::{Head, HeadError};
use crate::storage::{Batch, Engine as _, JournalOptions, OpenError, SledEngine, SledOptions};

/// How many commits the journal holds.
const SLOTS: usize = 16;

/// The raw rows of a closed store in its first generation.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(path: &Path) -> Rows {
    let db = open_sled(&path.join("gen-1"));
    db.iter().map(|row| row.map(|(key, row)| (key.to_vec(), row.to_vec())).unwrap()).collect()
}

/// Writes rows past the engine, and removes those that are `None`.
fn put_rows(path: &Path, rows: &[(Vec<u8>, Option<Vec<u8>>)]) {
    let db = open_sled(&path.join("gen-1"));
    for (key, row) in rows {
        match row {
            Some(row) => db.insert(key, row.as_slice()).map(|_| ()).unwrap(),
            None => db.remove(key).map(|_| ()).unwrap(),
        }
    }
    db.flush().unwrap();
}

/// The sequence of the head row, and those of all entries of the journal, in order.
fn sequences(rows: &Rows) -> (u64, Vec<u64>) {
    let sequence = |bytes: &[u8]| Head::decode(&bytes[..52], 2).unwrap().1.sequence;
    let mut entries: Vec<u64> =
        rows.iter().filter(|(key, _)| key[0] == 3).map(|(_, row)| sequence(row)).collect();
    entries.sort_unstable();
    (sequence(&rows[&vec![0]]), entries)
}

fn chunks(rows: &Rows) -> usize {
    rows.keys().filter(|key| key[0] == 2).count()
}

fn open(path: &Path) -> SledEngine {
    <SledEngine as super::Kept>::open(path)
}

fn commit(path: &Path, batches: &[Batch], records: &mut Records) {
    let mut engine = open(path);
    assert!(load(&mut engine).unwrap() == *records);
    for batch in batches {
        engine.commit(batch).unwrap();
        apply(records, batch);
        assert!(load(&mut engine).unwrap() == *records);
    }
    close(engine);
}

fn put(number: usize, length: usize) -> Batch {
    let mut batch = Batch::default();
    batch.put(key(number), vec![u8::try_from(number % 251).unwrap(); length]);
    batch
}

fn remove(number: usize) -> Batch {
    let mut batch = Batch::default();
    batch.remove(key(number));
    batch
}

/// A batch that is too long for the journal.
fn long(number: usize) -> Batch {
    put(number, 5_000)
}

/// A store of which the rows are at commit 2 and the journal holds commits 3 to 7; 1 is stale.
fn some_store(path: &Path) -> Records {
    let mut records = Records::new();
    let batches = [put(1, 10), long(2), put(3, 30), put(1, 11), remove(2), put(4, 0), put(2, 20)];
    commit(path, &batches, &mut records);
    assert_eq!(sequences(&rows(path)), (2, vec![1, 3, 4, 5, 6, 7]));
    records
}

fn assert_refused(path: &Path, reason: &str) {
    let error = SledEngine::try_open(path).err().expect("it is refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn every_small_commit_is_one_entry_until_the_journal_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    for sequence in 1..=40_u64 {
        commit(&path, &[put(usize::try_from(sequence).unwrap() % 7, 100)], &mut records);
        // Every seventeenth commit finds the journal full.
        let in_rows = sequence / 17 * 17;
        let (head, entries) = sequences(&rows(&path));
        assert_eq!(head, in_rows, "commit {sequence}");
        let ahead: Vec<u64> = entries.into_iter().filter(|entry| *entry > in_rows).collect();
        assert_eq!(ahead, (in_rows + 1..=sequence).collect::<Vec<_>>());
    }
}

#[test]
fn commits_of_all_sizes_equal_a_model_after_each_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stale, mut ahead, mut folds) = (0, 0, 0);
    for (seed, large_of_ten) in [(71, 1), (72, 5)] {
        let path = dir.path().join(format!("store-{seed}"));
        let mut chance = Chance(seed);
        let mut records = Records::new();
        let mut in_rows = 0;
        for round in 0..40 {
            let batch = if chance.below(10) < large_of_ten {
                large_batch(&mut chance, 20)
            } else {
                small_batch(&mut chance, 20)
            };
            let mut engine = open(&path);
            assert!(load(&mut engine).unwrap() == records, "round {round}");
            engine.commit(&batch).unwrap();
            apply(&mut records, &batch);
            assert!(load(&mut engine).unwrap() == records, "round {round}");
            if round % 2 == 0 {
                close(engine);
            } else {
                drop(engine);
            }
            let (head, entries) = sequences(&rows(&path));
            stale += usize::from(entries.iter().any(|entry| *entry <= head));
            ahead += usize::from(entries.iter().any(|entry| *entry > head));
            folds += usize::from(head > in_rows);
            in_rows = head;
        }
        assert!(load(&mut open(&path)).unwrap() == records);
    }
    assert!(stale > 20 && ahead > 40 && folds > 20, "{stale} stale, {ahead} ahead, {folds} folds");
}

#[test]
fn a_record_removed_in_the_journal_is_gone_and_may_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    // In the rows; removed in the journal; there again, with another value; removed again.
    for batch in [long(1), remove(1), put(1, 40), remove(1)] {
        commit(&path, &[batch], &mut records);
    }
    assert!(records.is_empty());
    let rows_before = rows(&path);
    assert!(rows_before.keys().any(|key| key[0] == 1), "its row is still there");
    // Never in the rows: put and removed in the journal, and gone with the batch that brings the rows up to date.
    commit(&path, &[put(5, 10), put(6, 10), remove(5)], &mut records);
    let mut batch = long(2);
    batch.remove(key(6));
    commit(&path, &[batch], &mut records);
    let first_rows: Vec<Vec<u8>> = rows(&path).into_keys().filter(|key| key[0] == 1).collect();
    assert_eq!(first_rows, [[&[1][..], &key(2)].concat()]);
}

#[test]
fn a_long_value_replaced_in_the_journal_leaves_no_row_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    commit(&path, &[put(1, 50_000), put(2, 40_000), put(3, 30_000)], &mut records);
    assert_eq!(chunks(&rows(&path)), 4 + 3 + 2);
    commit(&path, &[remove(1), put(2, 7), put(3, 8)], &mut records);
    assert_eq!(chunks(&rows(&path)), 4 + 3 + 2, "the journal is ahead");
    // One of them is written by the batch that brings the rows up to date, the others by the journal's word.
    commit(&path, &[put(3, 13_000)], &mut records);
    assert_eq!(chunks(&rows(&path)), 1);
    assert_eq!(sequences(&rows(&path)).0, 7);
    commit(&path, &[remove(3), put(3, 25_000), long(9)], &mut records);
    assert_eq!(chunks(&rows(&path)), 2);
}

#[test]
fn a_full_journal_goes_into_the_rows_with_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    let batches: Vec<Batch> = (0..=SLOTS).map(|number| put(number, 50)).collect();
    commit(&path, &batches[..SLOTS], &mut records);
    assert_eq!(rows(&path).keys().filter(|key| key[0] == 1).count(), 0);
    commit(&path, &batches[SLOTS..], &mut records);
    let found = rows(&path);
    assert_eq!(found.keys().filter(|key| key[0] == 1).count(), SLOTS + 1);
    assert_eq!(sequences(&found), (17, (1..=16).collect()));
}

/// The log takes its time to become long, so the test moves the bounds.
#[test]
fn a_log_that_is_long_and_out_of_proportion_gets_no_entries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let limited = JournalOptions { log_bytes_min: 0, times_live: 4 };
    let commit = |journal: JournalOptions, batch: &Batch| {
        let options = SledOptions { journal, ..SledOptions::default() };
        let mut engine = SledEngine::open(&path, &options).unwrap();
        engine.commit(batch).unwrap();
        close(engine);
        sequences(&rows(&path)).0
    };
    assert_eq!(commit(limited, &put(1, 10)), 1, "a log of some kilobytes for ten bytes");
    assert_eq!(commit(JournalOptions::default(), &put(1, 20)), 1, "it is short");
    assert_eq!(commit(limited, &put(1, 30)), 3);
    assert_eq!(commit(limited, &put(2, 2_000_000)), 4);
    assert_eq!(commit(limited, &put(1, 40)), 4, "it is in proportion");
}

#[test]
fn a_lost_or_older_entry_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    some_store(&whole);
    let (files, rows) = (tree(&whole), rows(&whole));
    let stale = rows[&vec![3, 1]].clone();
    let entry = |slot: u8| rows[&vec![3, slot]].clone();
    let mut flipped = entry(4);
    flipped[80] ^= 1;
    let harms = [
        (3, None, "its journal lacks commit 3"),
        (5, None, "its journal lacks commit 5"),
        (7, None, "commit 7 was acknowledged, and the newest that can be read is 6"),
        (5, Some(entry(4)), "entry 5 of its journal is unreadable"),
        (4, Some(stale), "entry 4 of its journal is unreadable"),
        (4, Some(flipped), "entry 4 of its journal is unreadable"),
        (4, Some(vec![]), "entry 4 of its journal is unreadable"),
        (8, Some(entry(7)), "entry 8 of its journal is unreadable"),
        (16, Some(entry(7)), "a row of an unknown kind"),
    ];
    for (number, (slot, row, reason)) in harms.into_iter().enumerate() {
        let path = dir.path().join(format!("store-{number}"));
        plant(&path, &files);
        put_rows(&path, &[(vec![3, slot], row)]);
        assert_refused(&path, reason);
    }
}

/// A slot that holds what it held a round earlier: a state that was committed once, and is no longer.
#[test]
fn an_entry_of_an_earlier_round_in_its_own_slot_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    commit(&path, &(0..SLOTS).map(|number| put(number, 50)).collect::<Vec<_>>(), &mut records);
    let earlier = rows(&path);
    commit(&path, &[long(1), put(2, 60), put(3, 60), put(4, 60)], &mut records);
    assert_eq!(sequences(&rows(&path)).0, 17);
    // Commits 18, 19 and 20 stand in slots 2, 3 and 4.
    for (slot, reason) in [(3, "its journal lacks commit 19"), (4, "commit 20 was acknowledged")] {
        let files = tree(&path);
        let harmed = dir.path().join(format!("harmed-{slot}"));
        plant(&harmed, &files);
        put_rows(&harmed, &[(vec![3, slot], Some(earlier[&vec![3, slot]].clone()))]);
        assert_refused(&harmed, reason);
    }
    assert!(load(&mut open(&path)).unwrap() == records);
}

/// An entry is sound in itself and is of another store, whose records were others.
#[test]
fn an_entry_that_does_not_fit_the_records_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    commit(&path, &[put(1, 1), put(2, 2)], &mut Records::new());
    commit(&other, &[put(7, 1), put(2, 2), put(2, 3)], &mut Records::new());
    put_rows(&path, &[(vec![3, 3], Some(rows(&other)[&vec![3, 3]].clone()))]);
    assert_refused(&path, "commit 3 of its journal does not fit its records");
}

#[test]
fn a_stale_entry_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let records = some_store(&path);
    // Whether it is there or not.
    put_rows(&path, &[(vec![3, 1], None)]);
    assert!(load(&mut open(&path)).unwrap() == records);
    let rows = rows(&path);
    assert_eq!(sequences(&rows), (2, vec![3, 4, 5, 6, 7]));
}

/// Puts a store back to what a version without a journal has left: rows of format 1 and nothing else.
fn make_old(path: &Path) -> PathBuf {
    let (format, head) = Head::decode(&rows(path)[&vec![0]], 2).unwrap();
    assert_eq!(format, 2);
    let mut old = vec![(vec![0], Some(head.encode(1).to_vec()))];
    old.extend((0..16).map(|slot| (vec![3, slot], None)));
    put_rows(path, &old);
    path.to_owned()
}

#[test]
fn a_store_without_a_journal_gets_one_with_its_first_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    commit(&path, &[put(1, 10), long(2)], &mut records);
    make_old(&path);
    assert!(load(&mut open(&path)).unwrap() == records, "it is read");
    let is_old = |path: &Path| Head::decode(&rows(path)[&vec![0]], 2).unwrap().0 == 1;
    assert!(is_old(&path), "opening it leaves it as it is");
    commit(&path, &[put(3, 10)], &mut records);
    assert!(!is_old(&path));
    assert_eq!(sequences(&rows(&path)), (3, vec![]), "the rows say first that there may be a journal");
    commit(&path, &[put(4, 10)], &mut records);
    assert_eq!(sequences(&rows(&path)), (3, vec![4]));
}

#[test]
fn a_store_with_a_journal_is_newer_to_a_version_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    close(open(&path));
    for batch in [None, Some(put(1, 10)), Some(long(2))] {
        commit_if(&path, batch);
        assert_eq!(Head::decode(&rows(&path)[&vec![0]], 1), Err(HeadError::Newer(2)));
    }
}

fn commit_if(path: &Path, batch: Option<Batch>) {
    let mut engine = open(path);
    if let Some(batch) = batch {
        engine.commit(&batch).unwrap();
    }
    close(engine);
}

#[test]
fn rows_of_the_format_without_a_journal_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    commit(&path, &[put(1, 10), long(2)], &mut Records::new());
    let stale = rows(&path)[&vec![3, 1]].clone();
    make_old(&path);
    put_rows(&path, &[(vec![3, 1], Some(stale))]);
    assert_refused(&path, "a row of an unknown kind");
}
