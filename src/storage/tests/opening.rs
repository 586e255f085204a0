//! Opening: what is let in, what is refused, and what a refusal leaves behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::{
    Chance, Kept, Records, apply, close, key, load, on_every_engine, plant, some_batch, tidal_batch, tree,
};
use crate::storage::testing::LosingDisk;
use crate::storage::{
    Batch, CommitError, Disk, Engine, EngineKind, OpenError, RedbEngine, SledEngine, quarantine,
};

on_every_engine!(
    a_store_of_another_engine_is_refused_as_such,
    a_store_is_created_with_its_parents_and_for_its_owner_only,
    a_second_opener_is_told_that_it_is_in_use,
    a_foreign_directory_is_refused_by_name,
    a_path_that_cannot_be_a_directory_is_named,
    a_killed_open_is_no_hindrance,
    a_killed_creation_is_begun_again,
    a_store_that_lost_a_file_is_damaged_and_not_new,
    an_empty_engine_beside_a_marker_is_a_loss,
    a_store_put_back_to_an_earlier_state_is_damaged,
    a_damaged_store_can_be_put_aside,
    rows_of_a_newer_version_are_refused_as_such,
    a_store_that_changed_while_it_was_closed_to_us_is_not_taken_back
);

/// Opens what must be refused, and checks that nothing in it has changed.
fn refused<E: Kept>(path: &Path) -> OpenError {
    let before = tree(path);
    let error = E::try_open(path).err().expect("it is refused");
    assert!(tree(path) == before, "a refused directory is left as it is");
    error
}

/// A closed store with some records.
fn some_store<E: Kept>(path: &Path) -> Records {
    let mut engine = E::open(path);
    let mut records = Records::new();
    let mut chance = Chance(11);
    for _ in 0..20 {
        let batch = some_batch(&mut chance, 40);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    close(engine);
    records
}

fn a_store_is_created_with_its_parents_and_for_its_owner_only<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/store");
    close(E::open(&path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("gen-1")).unwrap().permissions().mode() & 0o777, 0o700);
}

fn a_second_opener_is_told_that_it_is_in_use<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let first = E::open(&path);
    let error = E::try_open(&path).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    close(first);
    close(E::open(&path));
}

fn a_foreign_directory_is_refused_by_name<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "dear all").unwrap();
    let error = refused::<E>(dir.path());
    assert!(matches!(&error, OpenError::NotAStore { found, .. } if found == "letter.txt"), "{error}");
}

fn a_path_that_cannot_be_a_directory_is_named<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = E::try_open(&path).err().unwrap();
        assert!(matches!(&error, OpenError::Io { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

fn a_killed_open_is_no_hindrance<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let records = some_store::<E>(&path);
    for name in ["snap.0000000000000000.generating", "snap.00000000FFFFFFFF.generating"] {
        fs::write(path.join("gen-1").join(name), "half").unwrap();
    }
    fs::create_dir(path.join("check")).unwrap();
    fs::write(path.join("check/db"), "half").unwrap();
    fs::write(path.join("PROBE"), "half").unwrap();
    assert_eq!(load(&mut E::open(&path)).unwrap(), records);
    assert!(!path.join("check").exists());
}

/// Fails when the engine's own files are to be synced: the marker is there by then, and no more.
#[derive(Debug)]
struct StopsAtMarker;

impl Disk for StopsAtMarker {
    fn sync_file(&self, path: &Path, _file: &File) -> io::Result<()> {
        if path.ends_with("TALLYGATE.new") { Ok(()) } else { Err(io::Error::other("stops here")) }
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn a_killed_creation_is_begun_again<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    close(E::open(&whole));
    let mut files = tree(&whole);
    // The marker of a store that was begun names no generation yet.
    let begun = dir.path().join("begun");
    E::open_on(&begun, Arc::new(StopsAtMarker)).err().expect("the disk stops");
    let marker = fs::read(begun.join("TALLYGATE")).unwrap();
    files.insert("TALLYGATE".to_owned(), marker);
    for missing in [None, Some("gen-1/conf"), Some(E::FILE), Some("ACKED"), Some("LOCK")] {
        let path = dir.path().join("store");
        let mut files = files.clone();
        missing.map(|name| files.remove(name));
        plant(&path, &files);
        let mut engine = E::open(&path);
        assert_eq!(load(&mut engine).unwrap(), Records::new());
        close(engine);
        close(E::open(&path));
        fs::remove_dir_all(&path).unwrap();
    }
}

fn a_store_that_lost_a_file_is_damaged_and_not_new<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    some_store::<E>(&whole);
    let files = tree(&whole);
    for missing in ["TALLYGATE", "ACKED", E::FILE, "gen-1/"] {
        let path = dir.path().join("store");
        let mut files = files.clone();
        files.retain(|name, _| !name.starts_with(missing));
        plant(&path, &files);
        let error = refused::<E>(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{missing}: {error}");
        fs::remove_dir_all(&path).unwrap();
    }
}

fn an_empty_engine_beside_a_marker_is_a_loss<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store::<E>(&path);
    let fresh = dir.path().join("fresh");
    fs::create_dir(&fresh).unwrap();
    E::make_empty(&fresh);
    fs::remove_dir_all(path.join("gen-1")).unwrap();
    fs::rename(&fresh, path.join("gen-1")).unwrap();
    let error = refused::<E>(&path);
    assert!(error.to_string().contains("lost its head record"), "{error}");
}

fn a_store_put_back_to_an_earlier_state_is_damaged<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store::<E>(&path);
    let before = tree(&path.join("gen-1"));
    let mut engine = E::open(&path);
    let mut batch = Batch::default();
    batch.put(key(1), vec![1]);
    engine.commit(&batch).unwrap();
    close(engine);
    fs::remove_dir_all(path.join("gen-1")).unwrap();
    plant(&path.join("gen-1"), &before);
    let error = refused::<E>(&path);
    assert!(error.to_string().contains("was acknowledged"), "{error}");
}

fn a_damaged_store_can_be_put_aside<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store::<E>(&path);
    fs::write(path.join(E::FILE), "").unwrap();
    let before = tree(&path);
    let error = refused::<E>(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let aside = quarantine(&path).unwrap();
    assert!(tree(&aside) == before);
    assert_eq!(load(&mut E::open(&path)).unwrap(), Records::new());
}

/// Only sled has snapshots.
#[test]
fn a_damaged_snapshot_is_done_without() {
    type E = SledEngine;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = some_store::<E>(&path);
    // sled writes its snapshot when it opens what it finds.
    close(<E as Kept>::open(&path));
    for round in 0..3 {
        let mut harmed = 0;
        for entry in fs::read_dir(path.join("gen-1")).unwrap() {
            let file = entry.unwrap().path();
            if file.file_name().unwrap().to_string_lossy().starts_with("snap.") {
                let mut bytes = fs::read(&file).unwrap();
                bytes[round] ^= 1;
                fs::write(&file, bytes).unwrap();
                harmed += 1;
            }
        }
        assert!(harmed > 0, "sled has written a snapshot");
        let mut engine = <E as Kept>::open(&path);
        assert!(load(&mut engine).unwrap() == records, "round {round}");
        let mut batch = Batch::default();
        batch.put(key(round), vec![1; 10]);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        close(engine);
        close(<E as Kept>::open(&path));
    }
}

/// Only sled gives segments back while it is open: the power may go when the file is half as short.
#[test]
fn a_free_segment_at_the_end_that_is_there_in_part_does_no_harm() {
    type E = SledEngine;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut engine = <E as Kept>::open(&path);
    let mut records = Records::new();
    let mut chance = Chance(28);
    let mut longer = Vec::new();
    for round in 0.. {
        assert!(round < 400, "the file has become shorter");
        let batch = tidal_batch(&mut chance, round);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        let now = fs::read(path.join(E::FILE)).unwrap();
        if now.len() < longer.len() {
            break;
        }
        longer = now;
    }
    close(engine);
    let store = tree(&path);
    let length = store[E::FILE].len();
    assert!(length < longer.len(), "{length} of {} bytes", longer.len());
    for further in [1, 19, 20, 21, 100, 4096, 5_000, 300_000] {
        let mut found = store.clone();
        found.get_mut(E::FILE).unwrap().extend(&longer[length..longer.len().min(length + further)]);
        let found_at = dir.path().join("found");
        plant(&found_at, &found);
        let mut engine = <E as Kept>::open(&found_at);
        assert!(load(&mut engine).unwrap() == records, "{further} bytes");
        let mut batch = Batch::default();
        batch.put(key(0), vec![1; 10]);
        engine.commit(&batch).unwrap();
        close(engine);
        close(<E as Kept>::open(&found_at));
        fs::remove_dir_all(&found_at).unwrap();
    }
}

/// A head as a later version may write it: another format, another length, a check at the end.
fn later_head() -> Vec<u8> {
    let mut head = 3_u32.to_le_bytes().to_vec();
    head.extend_from_slice(b"what a later version needs");
    let check = twox_hash::XxHash3_128::oneshot(&head);
    head.extend_from_slice(&check.to_le_bytes());
    head
}

fn rows_of_a_newer_version_are_refused_as_such<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store::<E>(&path);
    E::put_row(&path.join("gen-1"), &[0], &later_head());
    let error = refused::<E>(&path);
    let OpenError::NewerFormat { found: 3, supported, .. } = error else { panic!("{error}") };
    assert_eq!(supported, E::ROW_FORMAT);
}

fn a_store_that_changed_while_it_was_closed_to_us_is_not_taken_back<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store::<E>(&path);
    let before = tree(&path.join("gen-1"));
    let disk = Arc::new(LosingDisk::default());
    let mut engine = E::open_on(&path, disk.clone()).unwrap();
    let mut batch = Batch::default();
    batch.put(key(1), vec![1]);
    engine.commit(&batch).unwrap();
    engine.commit(&batch).unwrap();
    disk.refuse();
    engine.commit(&batch).unwrap_err();
    disk.obey();
    fs::rename(path.join("gen-1"), dir.path().join("gone")).unwrap();
    plant(&path.join("gen-1"), &before);
    for _ in 0..2 {
        let error = engine.reopen().unwrap_err();
        assert!(matches!(error, CommitError::Changed { .. }), "{error}");
        assert!(matches!(engine.commit(&batch), Err(CommitError::NotReopened)));
    }
}

/// Each engine refuses the other's store, says whose it is, and leaves it alone.
fn a_store_of_another_engine_is_refused_as_such<E: Kept>() {
    fn check<Other: Kept>(path: &Path, own: EngineKind) {
        let error = refused::<Other>(path);
        let is_told = matches!(
            error,
            OpenError::OtherEngine { found, asked, .. } if found == own && asked == Other::KIND
        );
        assert!(is_told, "{error}");
        assert!(error.to_string().contains(&format!("is kept by the engine {own}, not by {}", Other::KIND)));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let records = some_store::<E>(&path);
    match E::KIND {
        EngineKind::Sled => check::<RedbEngine>(&path, E::KIND),
        EngineKind::Redb => check::<SledEngine>(&path, E::KIND),
    }
    assert_eq!(load(&mut E::open(&path)).unwrap(), records);
}
