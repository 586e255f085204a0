//! Tests of the contract over all engines, and of what only an engine with files can do wrong.

mod compaction;
mod contract;
mod damage;
mod full_disk;
mod journal;
mod opening;
mod power_cut;
mod shrinking;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    Batch, Disk, Engine, EngineKind, LoadError, OpenError, RedbEngine, RedbOptions, SledEngine, SledOptions,
    SystemDisk,
};
use crate::storage::testing::{Chance, unless_gone};

/// An engine that keeps its records in files.
trait Kept: Engine + Sized + 'static {
    /// Which it is.
    const KIND: EngineKind;
    /// The file with the records, in the directory of the store's first generation.
    const FILE: &'static str;
    /// The newest format of its rows.
    const ROW_FORMAT: u32;

    /// Opens the store, with a disk of the test's.
    fn open_on(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError>;

    /// Writes a row into the files of a generation past the engine.
    fn put_row(generation: &Path, key: &[u8], row: &[u8]);

    /// Makes files that hold no row at all.
    fn make_empty(generation: &Path);

    /// Opens or creates the store.
    fn try_open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(path, Arc::new(SystemDisk))
    }

    /// Opens a store that must be sound, or creates it.
    fn open(path: &Path) -> Self {
        Self::try_open(path).unwrap()
    }
}

impl Kept for SledEngine {
    const KIND: EngineKind = EngineKind::Sled;
    const FILE: &'static str = "gen-1/db";
    const ROW_FORMAT: u32 = 2;

    fn open_on(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        SledEngine::open(path, &SledOptions { disk, ..SledOptions::default() })
    }

    fn put_row(generation: &Path, key: &[u8], row: &[u8]) {
        let db = open_sled(generation);
        db.insert(key, row).unwrap();
        db.flush().unwrap();
    }

    fn make_empty(generation: &Path) {
        open_sled(generation).flush().unwrap();
    }
}

impl Kept for RedbEngine {
    const KIND: EngineKind = EngineKind::Redb;
    const FILE: &'static str = "gen-1/redb";
    const ROW_FORMAT: u32 = 1;

    fn open_on(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        RedbEngine::open(path, &RedbOptions { disk, ..RedbOptions::default() })
    }

    fn put_row(generation: &Path, key: &[u8], row: &[u8]) {
        let db = ::redb::Database::open(generation.join("redb")).unwrap();
        let writing = db.begin_write().unwrap();
        let rows = ::redb::TableDefinition::<&[u8], &[u8]>::new("rows");
        writing.open_table(rows).unwrap().insert(key, row).unwrap();
        writing.commit().unwrap();
    }

    fn make_empty(generation: &Path) {
        drop(::redb::Database::create(generation.join("redb")).unwrap());
    }
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

/// Makes tests of functions that are generic over the engine.
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod on_sled {
            $(#[test]
            fn $test() {
                super::$test::<crate::storage::SledEngine>();
            })+
        }

        mod on_redb {
            $(#[test]
            fn $test() {
                super::$test::<crate::storage::RedbEngine>();
            })+
        }
    };
}
use on_every_engine;

/// The records that a store must hold.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A disk that says how much room there is.
#[derive(Debug)]
struct Narrow(AtomicUsize);

impl Disk for Narrow {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        SystemDisk.sync_file(path, file)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }

    fn available_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst) as u64)
    }
}

fn key(number: usize) -> Vec<u8> {
    format!("node/page/{number:06}").into_bytes()
}

/// A batch like the gateway's, small or large, one as often as the other.
fn some_batch(chance: &mut Chance, keys: usize) -> Batch {
    if chance.below(2) == 0 { small_batch(chance, keys) } else { large_batch(chance, keys) }
}

/// A few short pages, some of them removed; sled puts such a batch into its journal.
fn small_batch(chance: &mut Chance, keys: usize) -> Batch {
    let first = chance.below(keys);
    let mut batch = Batch::default();
    for number in first..=first + chance.below(3) {
        if chance.below(6) == 0 {
            batch.remove(key(number % keys));
        } else {
            let length = chance.below(1_200);
            batch.put(key(number % keys), chance.bytes(length));
        }
    }
    batch
}

/// Pages of about 3 KB, mostly overwritten, a few long ones, a few removed.
fn large_batch(chance: &mut Chance, keys: usize) -> Batch {
    let mut numbers: Vec<usize> = (0..=chance.below(12)).map(|_| chance.below(keys)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut batch = Batch::default();
    for number in numbers {
        match chance.below(20) {
            0 => batch.remove(key(number)),
            1 => {
                let length = chance.below(60_000);
                batch.put(key(number), chance.bytes(length));
            }
            _ => {
                let length = 2_500 + chance.below(1_000);
                batch.put(key(number), chance.bytes(length));
            }
        }
    }
    batch
}

/// The batch of a round in which much comes, or most of it goes again: files become longer and shorter.
fn tidal_batch(chance: &mut Chance, round: usize) -> Batch {
    let mut batch = Batch::default();
    for number in 0..150 {
        match round % 4 {
            0 | 1 => batch.put(key(round * 150 + number), chance.bytes(3_000)),
            _ => batch.remove(key((round - 2) * 150 + number)),
        }
    }
    batch.put(b"round".to_vec(), round.to_le_bytes().to_vec());
    batch
}

fn apply(records: &mut Records, batch: &Batch) {
    for write in batch.writes() {
        match &write.value {
            Some(value) => records.insert(write.key.clone(), value.clone()),
            None => records.remove(&write.key),
        };
    }
}

fn load(engine: &mut dyn Engine) -> Result<Records, LoadError> {
    let mut records = Records::new();
    let mut last: Option<Vec<u8>> = None;
    engine.load(&mut |key, value| {
        assert!(last.as_deref().is_none_or(|last| last < key), "keys ascend");
        last = Some(key.to_vec());
        assert!(records.insert(key.to_vec(), value.to_vec()).is_none(), "each record comes once");
    })?;
    Ok(records)
}

fn close(engine: impl Engine) {
    Box::new(engine).close().unwrap();
}

/// All files below a directory with their bytes. What goes while this looks, as a generation does that is being
/// removed, is left out.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in unless_gone(fs::read_dir(next)).unwrap().into_iter().flatten() {
            let Some(path) = unless_gone(entry).unwrap().map(|entry| entry.path()) else { continue };
            let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                files.insert(name + "/", Vec::new());
                open.push(path);
            } else if let Some(bytes) = unless_gone(fs::read(&path)).unwrap() {
                files.insert(name, bytes);
            }
        }
    }
    files
}

/// Writes a [`tree`] back.
fn plant(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        if let Some(name) = name.strip_suffix('/') {
            fs::create_dir_all(dir.join(name)).unwrap();
        } else {
            fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
}
