//! A redb store that is copied when it is opened: whatever happens meanwhile, the records are those that were
//! committed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    Chance, Kept as _, Narrow, Records, apply, close, key, load, plant, power_cut, some_batch, tree,
};
use crate::storage::testing::{Cut, LosingDisk};
use crate::storage::{Batch, Disk, Engine, OpenError, Proportion, RedbEngine, RedbOptions, SystemDisk};

/// Every store is out of proportion.
const EAGER: Proportion = Proportion { file_bytes_min: 0, times_live: 0 };

fn open_eager(path: &Path, disk: Arc<dyn Disk>) -> Result<RedbEngine, OpenError> {
    RedbEngine::open(path, &RedbOptions { disk, proportion: EAGER, ..RedbOptions::default() })
}

fn lazy(path: &Path) -> RedbEngine {
    <RedbEngine as super::Kept>::open(path)
}

fn generations(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter(|name| name.starts_with("gen-")).collect();
    found.sort();
    found
}

/// A store with some records, not closed.
fn some_store(path: &Path) -> Records {
    let mut engine = lazy(path);
    let mut records = Records::new();
    let mut chance = Chance(61);
    for _ in 0..12 {
        let batch = some_batch(&mut chance, 25);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    records
}

#[test]
fn a_store_out_of_proportion_shrinks_at_its_next_open_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let proportion = Proportion { file_bytes_min: 1 << 20, times_live: 6 };
    let options = RedbOptions { proportion, ..RedbOptions::default() };
    let open = || RedbEngine::open(&path, &options).unwrap();
    let mut engine = open();
    let mut chance = Chance(62);
    for first in (0..1_000).step_by(100) {
        let mut batch = Batch::default();
        (first..first + 100).for_each(|number| batch.put(key(number), chance.bytes(3_000)));
        engine.commit(&batch).unwrap();
    }
    close(engine);
    let mut engine = open();
    assert_eq!(generations(&path), ["gen-1"], "it is in proportion");
    let mut records = load(&mut engine).unwrap();
    for first in (0..960).step_by(20) {
        let mut batch = Batch::default();
        (first..first + 20).for_each(|number| batch.remove(key(number)));
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    let before = engine.stored_bytes();
    close(engine);
    let mut engine = open();
    assert_eq!(generations(&path), ["gen-2"]);
    assert!(engine.stored_bytes() < before / 3, "{} of {before} bytes", engine.stored_bytes());
    assert!(load(&mut engine).unwrap() == records);
    let batch = some_batch(&mut chance, 50);
    engine.commit(&batch).unwrap();
    apply(&mut records, &batch);
    close(engine);
    let mut engine = open();
    assert_eq!(generations(&path), ["gen-2"], "it is in proportion again");
    assert!(load(&mut engine).unwrap() == records);
}

/// A disk that, before and after every sync, looks at what a kill and a loss of power would leave.
#[derive(Debug)]
struct Watched {
    disk: LosingDisk,
    store: PathBuf,
    copy: PathBuf,
    records: Records,
    looks: AtomicUsize,
    /// How often the copy was in use.
    in_second: AtomicUsize,
}

impl Watched {
    fn look(&self, at: &Path) {
        let number = self.looks.fetch_add(1, Ordering::SeqCst);
        plant(&self.copy, &tree(&self.store));
        self.check(&format!("killed at {}, look {number}", at.display()));
        for cut in [Cut::LosesAll, Cut::LosesSome(number as u64)] {
            self.disk.peek(&self.store, &self.copy, cut).unwrap();
            self.check(&format!("{cut:?} at {}, look {number}", at.display()));
        }
    }

    fn check(&self, what: &str) {
        let mut engine = RedbEngine::try_open(&self.copy).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(load(&mut engine).unwrap() == self.records, "{what}: other records");
        drop(engine);
        let generations = generations(&self.copy);
        assert_eq!(generations.len(), 1, "{what}: the start removes what is left");
        self.in_second.fetch_add(usize::from(generations[0] == "gen-2"), Ordering::SeqCst);
        fs::remove_dir_all(&self.copy).unwrap();
    }
}

impl Disk for Watched {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.look(path);
        self.disk.sync_file(path, file)?;
        self.look(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.look(path);
        self.disk.sync_dir(path)?;
        self.look(path);
        Ok(())
    }
}

#[test]
fn a_kill_or_a_cut_at_any_moment_leaves_one_sound_generation() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let records = some_store(&store);
    let disk = Arc::new(Watched {
        disk: LosingDisk::default(),
        store: store.clone(),
        copy: dir.path().join("copy"),
        records: records.clone(),
        looks: AtomicUsize::new(0),
        in_second: AtomicUsize::new(0),
    });
    power_cut::sync_all(&disk.disk, &store);
    let mut engine = open_eager(&store, disk.clone()).unwrap();
    assert_eq!(generations(&store), ["gen-2"]);
    assert!(load(&mut engine).unwrap() == records);
    let (looks, in_second) = (disk.looks.load(Ordering::SeqCst), disk.in_second.load(Ordering::SeqCst));
    eprintln!("{looks} looks at three losses each; in {in_second} of them the copy was in use");
    assert!(looks > 20 && in_second > 3 && in_second < looks * 3);
}

/// A disk of which one sync fails, the one with this number.
#[derive(Debug)]
struct FailsOnce(AtomicUsize);

impl FailsOnce {
    fn pass(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("the test says so")),
            _ => Ok(()),
        }
    }
}

impl Disk for FailsOnce {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.pass().and_then(|()| SystemDisk.sync_file(path, file))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass().and_then(|()| SystemDisk.sync_dir(path))
    }
}

#[test]
fn a_sync_that_fails_spoils_the_copy_or_the_start_and_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let records = some_store(&whole);
    let files = tree(&whole);
    let store = dir.path().join("store");
    let (mut failed, mut given_up) = (0, 0);
    for number in 0.. {
        plant(&store, &files);
        let disk = Arc::new(FailsOnce(AtomicUsize::new(number)));
        match open_eager(&store, disk.clone()) {
            Ok(mut engine) => {
                assert!(load(&mut engine).unwrap() == records, "sync {number} failed");
                given_up += usize::from(generations(&store) == ["gen-1"]);
            }
            Err(error) => {
                assert!(matches!(error, OpenError::Io { .. }), "sync {number}: {error}");
                failed += 1;
            }
        }
        let mut engine = lazy(&store);
        assert!(load(&mut engine).unwrap() == records, "sync {number} failed, opened again");
        assert_eq!(generations(&store).len(), 1);
        drop(engine);
        fs::remove_dir_all(&store).unwrap();
        if disk.0.load(Ordering::SeqCst) < usize::MAX / 2 {
            break;
        }
        assert!(number < 200, "it never ends");
    }
    assert!(failed > 2 && given_up > 2, "{failed} starts failed, {given_up} copies were given up");
}

#[test]
fn without_room_for_both_the_store_is_used_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let records = some_store(&store);
    let mut engine = open_eager(&store, Arc::new(Narrow(AtomicUsize::new(10 << 20)))).unwrap();
    assert_eq!(generations(&store), ["gen-1"]);
    assert!(load(&mut engine).unwrap() == records);
}
