//! Opening: what is let in, what is refused, and what a refusal leaves behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::{Chance, Records, apply, close, key, load, open, options_with, plant, some_batch, tree};
use crate::storage::testing::LosingDisk;
use crate::storage::{Batch, CommitError, Disk, Engine, OpenError, SledEngine, SledOptions, quarantine};

/// Opens what must be refused, and checks that nothing in it has changed.
fn refused(path: &Path) -> OpenError {
    let before = tree(path);
    let error = SledEngine::open(path, &SledOptions::default()).err().expect("it is refused");
    assert!(tree(path) == before, "a refused directory is left as it is");
    error
}

/// A closed store with some records.
fn some_store(path: &Path) -> Records {
    let mut engine = open(path);
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

#[test]
fn a_store_is_created_with_its_parents_and_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/store");
    close(open(&path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("gen-1")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_opener_is_told_that_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let first = open(&path);
    let error = SledEngine::open(&path, &SledOptions::default()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    close(first);
    close(open(&path));
}

#[test]
fn a_foreign_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "dear all").unwrap();
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::NotAStore { found, .. } if found == "letter.txt"), "{error}");
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = SledEngine::open(&path, &SledOptions::default()).err().unwrap();
        assert!(matches!(&error, OpenError::Io { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_killed_open_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let records = some_store(&path);
    for name in ["snap.0000000000000000.generating", "snap.00000000FFFFFFFF.generating"] {
        fs::write(path.join("gen-1").join(name), "half").unwrap();
    }
    fs::create_dir(path.join("check")).unwrap();
    fs::write(path.join("check/db"), "half").unwrap();
    fs::write(path.join("PROBE"), "half").unwrap();
    assert_eq!(load(&mut open(&path)).unwrap(), records);
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

#[test]
fn a_killed_creation_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    close(open(&whole));
    let mut files = tree(&whole);
    // The marker of a store that was begun names no generation yet.
    let begun = dir.path().join("begun");
    let stops = SledOptions { disk: Arc::new(StopsAtMarker), ..SledOptions::default() };
    SledEngine::open(&begun, &stops).err().expect("the disk stops");
    let marker = fs::read(begun.join("TALLYGATE")).unwrap();
    files.insert("TALLYGATE".to_owned(), marker);
    for missing in [None, Some("gen-1/conf"), Some("gen-1/db"), Some("ACKED"), Some("LOCK")] {
        let path = dir.path().join("store");
        let mut files = files.clone();
        missing.map(|name| files.remove(name));
        plant(&path, &files);
        let mut engine = open(&path);
        assert_eq!(load(&mut engine).unwrap(), Records::new());
        close(engine);
        close(open(&path));
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_store_that_lost_a_file_is_damaged_and_not_new() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    some_store(&whole);
    let files = tree(&whole);
    for missing in ["TALLYGATE", "ACKED", "gen-1/db", "gen-1/"] {
        let path = dir.path().join("store");
        let mut files = files.clone();
        files.retain(|name, _| !name.starts_with(missing));
        plant(&path, &files);
        let error = refused(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{missing}: {error}");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn an_empty_engine_beside_a_marker_is_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store(&path);
    let fresh = dir.path().join("fresh");
    ::sled::Config::new().path(&fresh).segment_size(1 << 20).open().unwrap().flush().unwrap();
    fs::remove_dir_all(path.join("gen-1")).unwrap();
    fs::rename(&fresh, path.join("gen-1")).unwrap();
    let error = refused(&path);
    assert!(error.to_string().contains("lost its head record"), "{error}");
}

#[test]
fn a_store_put_back_to_an_earlier_state_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store(&path);
    let before = tree(&path.join("gen-1"));
    let mut engine = open(&path);
    let mut batch = Batch::default();
    batch.put(key(1), vec![1]);
    engine.commit(&batch).unwrap();
    close(engine);
    fs::remove_dir_all(path.join("gen-1")).unwrap();
    plant(&path.join("gen-1"), &before);
    let error = refused(&path);
    assert!(error.to_string().contains("was acknowledged"), "{error}");
}

#[test]
fn a_damaged_store_can_be_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store(&path);
    fs::write(path.join("gen-1/db"), "").unwrap();
    let before = tree(&path);
    let error = refused(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let aside = quarantine(&path).unwrap();
    assert!(tree(&aside) == before);
    assert_eq!(load(&mut open(&path)).unwrap(), Records::new());
}

#[test]
fn a_damaged_snapshot_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = some_store(&path);
    // sled writes its snapshot when it opens what it finds.
    close(open(&path));
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
        let mut engine = open(&path);
        assert!(load(&mut engine).unwrap() == records, "round {round}");
        let mut batch = Batch::default();
        batch.put(key(round), vec![1; 10]);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        close(engine);
        close(open(&path));
    }
}

/// A head as a later version may write it: another format, another length, a check at the end.
fn later_head() -> Vec<u8> {
    let mut head = 2_u32.to_le_bytes().to_vec();
    head.extend_from_slice(b"what a later version needs");
    let check = twox_hash::XxHash3_128::oneshot(&head);
    head.extend_from_slice(&check.to_le_bytes());
    head
}

/// sled's handle on a store that was just closed. sled lets go of its lock a moment after the handle is
/// gone.
fn open_sled(path: &Path) -> ::sled::Db {
    loop {
        match ::sled::Config::new().path(path).segment_size(1 << 20).open() {
            Ok(db) => return db,
            Err(error) => assert!(error.to_string().contains("could not acquire lock"), "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn rows_of_a_newer_version_are_refused_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store(&path);
    let db = open_sled(&path.join("gen-1"));
    db.insert([0], later_head()).unwrap();
    db.flush().unwrap();
    drop(db);
    let error = refused(&path);
    assert!(matches!(error, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn a_store_that_changed_while_it_was_closed_to_us_is_not_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    some_store(&path);
    let before = tree(&path.join("gen-1"));
    let disk = Arc::new(LosingDisk::default());
    let mut engine = SledEngine::open(&path, &options_with(disk.clone())).unwrap();
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
