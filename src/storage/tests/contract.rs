//! The contract, run over every engine, with and without failures.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use proptest::prelude::*;

use super::{Chance, Kept, Records, apply, close, key, load, on_every_engine, some_batch};
use crate::storage::testing::{FailingEngine, Fate, Freezer, FrozenEngine};
use crate::storage::{Batch, CommitError, Disk, Engine, MemoryEngine, RedbEngine, SledEngine, SystemDisk};

on_every_engine!(
    an_engine_with_files_fulfils_the_contract,
    long_and_short_values_replace_each_other,
    dropping_an_engine_loses_nothing,
    a_commit_syncs_its_file_once,
);

/// What every engine must do, whatever it keeps its records in.
pub(super) fn fulfils_the_contract(engine: &mut dyn Engine) {
    assert_eq!(load(engine).unwrap(), Records::new());
    let mut records = Records::new();
    let mut chance = Chance(1);
    for _ in 0..40 {
        let batch = some_batch(&mut chance, 30);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    let mut batch = Batch::default();
    batch.put(vec![0], vec![]);
    batch.put(vec![255; 256], vec![7; 100_000]);
    batch.remove(b"never there".to_vec());
    engine.commit(&batch).unwrap();
    apply(&mut records, &batch);
    engine.commit(&Batch::default()).unwrap();
    engine.reopen().unwrap();
    assert_eq!(load(engine).unwrap(), records);
}

#[test]
fn memory_fulfils_the_contract() {
    fulfils_the_contract(&mut MemoryEngine::default());
}

fn an_engine_with_files_fulfils_the_contract<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = E::open(&dir.path().join("store"));
    fulfils_the_contract(&mut engine);
    assert!(engine.stored_bytes() > 100_000);
}

#[test]
fn frozen_and_failing_engines_fulfil_it_while_they_behave() {
    fulfils_the_contract(&mut FrozenEngine::new(MemoryEngine::default(), Freezer::default()));
    fulfils_the_contract(&mut FailingEngine::new(
        MemoryEngine::default(),
        || Fate::Succeeds,
        || Fate::Succeeds,
    ));
}

#[test]
fn a_frozen_commit_waits_and_then_lands() {
    let freezer = Freezer::default();
    let mut engine = FrozenEngine::new(MemoryEngine::default(), freezer.clone());
    freezer.freeze();
    let mut batch = Batch::default();
    batch.put(key(1), vec![1]);
    let committer = thread::spawn(move || {
        engine.commit(&batch).unwrap();
        load(&mut engine).unwrap()
    });
    freezer.wait_until_blocked();
    assert!(!committer.is_finished());
    freezer.thaw();
    assert_eq!(committer.join().unwrap().len(), 1);
}

fn long_and_short_values_replace_each_other<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    let mut chance = Chance(2);
    for length in [0, 1, 12_287, 12_288, 12_289, 24_576, 24_577, 1_000_000, 5, 50_000, 30_000, 0] {
        let mut engine = E::open(&path);
        assert_eq!(load(&mut engine).unwrap(), records);
        let mut batch = Batch::default();
        batch.put(key(1), chance.bytes(length));
        batch.put(key(100 + length), chance.bytes(length));
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        close(engine);
    }
    let mut engine = E::open(&path);
    let mut batch = Batch::default();
    for key in records.keys() {
        batch.remove(key.clone());
    }
    engine.commit(&batch).unwrap();
    close(engine);
    assert_eq!(load(&mut E::open(&path)).unwrap(), Records::new());
}

/// What sled puts into files of its own is not made durable, so nothing may get there.
#[test]
fn no_leaf_grows_into_a_blob() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut engine = <SledEngine as Kept>::open(&path);
    let mut chance = Chance(3);
    for round in 0..120 {
        let mut batch = Batch::default();
        for number in round * 5..round * 5 + 40 {
            let mut key = key(number);
            key.resize(256, b'.');
            batch.put(key, chance.bytes([12_288, 40_000, 300][number % 3]));
        }
        engine.commit(&batch).unwrap();
    }
    assert_eq!(std::fs::read_dir(path.join("gen-1/blobs")).unwrap().count(), 0);
}

fn dropping_an_engine_loses_nothing<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut records = Records::new();
    let mut chance = Chance(4);
    for _ in 0..5 {
        let mut engine = E::open(&path);
        assert_eq!(load(&mut engine).unwrap(), records);
        for _ in 0..10 {
            let batch = some_batch(&mut chance, 50);
            engine.commit(&batch).unwrap();
            apply(&mut records, &batch);
        }
    }
    assert_eq!(load(&mut E::open(&path)).unwrap(), records);
}

/// Counts the syncs of files.
#[derive(Debug, Default)]
struct Counting(Mutex<Vec<PathBuf>>);

impl Disk for Counting {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.0.lock().unwrap().push(path.to_owned());
        SystemDisk.sync_file(path, file)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }
}

/// One sync is what a commit costs; redb syncs once more when it makes its file longer, which is rare.
fn a_commit_syncs_its_file_once<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let disk = Arc::new(Counting::default());
    let mut engine = E::open_on(&path, disk.clone()).unwrap();
    let mut chance = Chance(5);
    let mut more = 0;
    for _ in 0..80 {
        disk.0.lock().unwrap().clear();
        let length = std::fs::metadata(path.join(E::FILE)).unwrap().len();
        engine.commit(&some_batch(&mut chance, 50)).unwrap();
        let has_grown = std::fs::metadata(path.join(E::FILE)).unwrap().len() > length;
        let synced = disk.0.lock().unwrap();
        assert!(synced.iter().all(|synced| *synced == path.join(E::FILE)), "{synced:?}");
        assert!(synced.len() == 1 || (synced.len() == 2 && has_grown), "{synced:?}");
        more += synced.len() - 1;
    }
    assert!(more <= 2, "{more} more syncs in 80 commits");
}

/// Commits with failures in between; a doubtful batch is settled by writing its records anew.
pub(super) fn survives_failures(inner: impl Engine + 'static, seed: u64) -> (Box<dyn Engine>, Records) {
    let (mut commits, mut reopens) = (Chance(seed), Chance(seed + 1));
    let mut engine = FailingEngine::new(
        inner,
        move || [Fate::Succeeds, Fate::Succeeds, Fate::FailsBefore, Fate::FailsAfter][commits.below(4)],
        move || [Fate::Succeeds, Fate::FailsBefore][reopens.below(2)],
    );
    let mut records = load(&mut engine).unwrap();
    let mut chance = Chance(seed + 2);
    for _ in 0..30 {
        let batch = some_batch(&mut chance, 20);
        apply(&mut records, &batch);
        while engine.commit(&batch).is_err() {
            assert!(matches!(engine.commit(&batch), Err(CommitError::NotReopened)));
            while engine.reopen().is_err() {}
        }
    }
    (Box::new(engine.into_inner()), records)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn memory_survives_failures(seed in any::<u32>()) {
        let (mut engine, records) = survives_failures(MemoryEngine::default(), seed.into());
        prop_assert_eq!(load(&mut *engine).unwrap(), records);
    }

    #[test]
    fn sled_survives_failures(seed in any::<u32>()) {
        an_engine_with_files_survives_failures::<SledEngine>(seed.into());
    }

    #[test]
    fn redb_survives_failures(seed in any::<u32>()) {
        an_engine_with_files_survives_failures::<RedbEngine>(seed.into());
    }
}

fn an_engine_with_files_survives_failures<E: Kept>(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (engine, records) = survives_failures(E::open(&path), seed);
    engine.close().unwrap();
    assert_eq!(load(&mut E::open(&path)).unwrap(), records);
}
