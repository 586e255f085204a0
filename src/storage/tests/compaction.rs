//! Compaction: whatever happens in the course of it, the records are those that were committed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::full_disk::{SmallDisk, fill};
use super::{Chance, Narrow, Records, apply, close, key, load, plant, small_batch, some_batch, tree};
use crate::storage::testing::{Cut, LosingDisk};
use crate::storage::{
    Batch, CommitError, Compaction, CompactionOptions, Disk, Engine, LoadError, OpenError, SledEngine,
    SledOptions, SystemDisk, Visitor,
};

/// Compacts all the time, in many small steps.
const EAGER: CompactionOptions =
    CompactionOptions { log_bytes_min: 0, times_live: 0, step_bytes: 20_000, pause: Duration::ZERO };

/// A disk that syncs nothing: for copies that are only looked at.
#[derive(Debug)]
struct NoDisk;

impl Disk for NoDisk {
    fn sync_file(&self, _: &Path, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn open_eager(path: &Path, disk: Arc<dyn Disk>) -> SledEngine {
    SledEngine::open(path, &SledOptions { disk, compaction: EAGER, ..SledOptions::default() }).unwrap()
}

/// Opens and never compacts.
fn open_lazy(path: &Path) -> Result<SledEngine, OpenError> {
    SledEngine::open(path, &SledOptions { disk: Arc::new(NoDisk), ..SledOptions::default() })
}

fn generations(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter(|name| name.starts_with("gen-")).collect();
    found.sort();
    found
}

/// Commits a random batch and notes what it makes of the records.
fn commit_one(engine: &mut dyn Engine, records: &mut Records, chance: &mut Chance, keys: usize) {
    let batch = some_batch(chance, keys);
    engine.commit(&batch).unwrap();
    apply(records, &batch);
}

/// Steps until a compaction has ended, and says how.
fn run_to_end(engine: &mut SledEngine) -> Compaction {
    for _ in 0..10_000 {
        match engine.compact_step().unwrap() {
            // An earlier generation is still being removed.
            Compaction::Idle => std::thread::sleep(Duration::from_millis(1)),
            Compaction::UnderWay => {}
            end @ (Compaction::Done | Compaction::GivenUp) => return end,
        }
    }
    panic!("it does not end");
}

/// A closed store with some records, as its files. Its journal is ahead of its rows.
fn build(scratch: &Path) -> (BTreeMap<String, Vec<u8>>, Records) {
    let path = scratch.join("built");
    let mut chance = Chance(50);
    let mut records = Records::new();
    let mut engine = open_lazy(&path).unwrap();
    for _ in 0..12 {
        commit_one(&mut engine, &mut records, &mut chance, 25);
    }
    let last = small_batch(&mut chance, 25);
    engine.commit(&last).unwrap();
    apply(&mut records, &last);
    close(engine);
    let files = tree(&path);
    fs::remove_dir_all(&path).unwrap();
    (files, records)
}

fn one_page() -> Batch {
    let mut batch = Batch::default();
    batch.put(key(0), vec![7; 3_000]);
    batch
}

/// An engine that does some steps after each commit.
struct Stepping {
    inner: SledEngine,
    steps: usize,
    done: usize,
}

impl Stepping {
    fn open(path: &Path, steps: usize) -> Stepping {
        Stepping { inner: open_eager(path, Arc::new(SystemDisk)), steps, done: 0 }
    }
}

impl Engine for Stepping {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        self.inner.load(visit)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.inner.commit(batch)?;
        for _ in 0..self.steps {
            self.done += usize::from(self.inner.compact_step()? == Compaction::Done);
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        self.inner.reopen()
    }

    fn stored_bytes(&self) -> u64 {
        self.inner.stored_bytes()
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Box::new(self.inner).close()
    }
}

#[test]
fn a_compacting_engine_fulfils_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    for steps in [1, 3, 50] {
        let path = dir.path().join(format!("store-{steps}"));
        let mut engine = Stepping::open(&path, steps);
        super::contract::fulfils_the_contract(&mut engine);
        assert!(engine.done > 0, "{steps} steps after each commit end no compaction");
        let records = load(&mut engine).unwrap();
        drop(engine);
        assert!(load(&mut open_lazy(&path).unwrap()).unwrap() == records);
        assert_eq!(generations(&path).len(), 1, "the start removes what is left");
    }
}

#[test]
fn a_compacting_engine_survives_failures() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..4 {
        let path = dir.path().join(format!("store-{seed}"));
        let (engine, records) = super::contract::survives_failures(Stepping::open(&path, 4), seed);
        engine.close().unwrap();
        assert!(load(&mut open_lazy(&path).unwrap()).unwrap() == records, "seed {seed}");
    }
}

#[test]
fn a_store_out_of_proportion_shrinks_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let compaction = CompactionOptions { log_bytes_min: 8 << 20, ..CompactionOptions::default() };
    let options = SledOptions { disk: Arc::new(NoDisk), compaction, ..SledOptions::default() };
    let mut engine = SledEngine::open(&path, &options).unwrap();
    let mut chance = Chance(51);
    let mut records = Records::new();
    for first in (0..4_000).step_by(200) {
        let mut batch = Batch::default();
        for number in first..first + 200 {
            batch.put(key(number), chance.bytes(3_000));
        }
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        assert_eq!(engine.compact_step().unwrap(), Compaction::Idle, "it is in proportion");
    }
    let before = engine.stored_bytes();
    for first in (0..3_800).step_by(100) {
        let mut batch = Batch::default();
        (first..first + 100).for_each(|number| batch.remove(key(number)));
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    assert_eq!(run_to_end(&mut engine), Compaction::Done);
    assert_eq!(engine.compact_step().unwrap(), Compaction::Idle, "it is in proportion again");
    commit_one(&mut engine, &mut records, &mut chance, 4_000);
    close(engine);
    assert_eq!(generations(&path), ["gen-2"]);
    let mut engine = SledEngine::open(&path, &options).unwrap();
    let after = engine.stored_bytes();
    assert!(before > 16 << 20 && after < 4 << 20, "{before} bytes before, {after} after");
    assert!(load(&mut engine).unwrap() == records);
}

/// What must be found in a store: what was acknowledged, or with it what is being committed.
#[derive(Clone, Default)]
struct Expected {
    acknowledged: Records,
    in_flight: Option<Records>,
}

/// A disk that looks, before and after each sync, at what a kill and a loss of power would leave just then.
#[derive(Debug)]
struct Watched {
    disk: LosingDisk,
    store: PathBuf,
    scratch: PathBuf,
    expected: Mutex<ExpectedNow>,
    looks: AtomicUsize,
    /// How often each generation was found in use.
    found: Mutex<BTreeMap<String, usize>>,
}

#[derive(Default)]
struct ExpectedNow(Expected);

impl std::fmt::Debug for ExpectedNow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExpectedNow")
    }
}

impl Watched {
    fn expect(&self, acknowledged: &Records, in_flight: Option<&Records>) {
        let expected = Expected { acknowledged: acknowledged.clone(), in_flight: in_flight.cloned() };
        self.expected.lock().unwrap().0 = expected;
    }

    fn commit_one(&self, engine: &mut dyn Engine, records: &mut Records, chance: &mut Chance) {
        let batch = some_batch(chance, 25);
        let mut next = records.clone();
        apply(&mut next, &batch);
        self.expect(records, Some(&next));
        engine.commit(&batch).unwrap();
        *records = next;
        self.expect(records, None);
    }

    fn look(&self, at: &str) {
        let number = self.looks.fetch_add(1, Ordering::SeqCst);
        let copy = self.scratch.join("copy");
        plant(&copy, &tree(&self.store));
        self.check(&copy, &format!("killed {at}, look {number}"));
        for cut in [Cut::LosesAll, Cut::LosesSome(number as u64)] {
            self.disk.peek(&self.store, &copy, cut).unwrap();
            self.check(&copy, &format!("{cut:?} {at}, look {number}"));
        }
    }

    fn check(&self, copy: &Path, what: &str) {
        let expected = self.expected.lock().unwrap().0.clone();
        let mut engine = open_lazy(copy).unwrap_or_else(|error| panic!("{what}: {error}"));
        let records = load(&mut engine).unwrap();
        let is_expected = records == expected.acknowledged || Some(&records) == expected.in_flight.as_ref();
        assert!(is_expected, "{what}: other records");
        drop(engine);
        let generations = generations(copy);
        assert_eq!(generations.len(), 1, "{what}: the start removes what is left");
        *self.found.lock().unwrap().entry(generations[0].clone()).or_default() += 1;
        fs::remove_dir_all(copy).unwrap();
    }
}

impl Disk for Watched {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.look(&format!("before the sync of {}", path.display()));
        self.disk.sync_file(path, file)?;
        self.look(&format!("after the sync of {}", path.display()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.look(&format!("before the sync of {}", path.display()));
        self.disk.sync_dir(path)?;
        self.look(&format!("after the sync of {}", path.display()));
        Ok(())
    }
}

#[test]
fn a_kill_or_a_cut_at_any_moment_leaves_one_sound_generation() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let disk = LosingDisk::default();
    let mut chance = Chance(52);
    let (files, mut records) = build(dir.path());
    plant(&store, &files);
    super::power_cut::sync_all(&disk, &store);
    let disk = Arc::new(Watched {
        disk,
        store: store.clone(),
        scratch: dir.path().to_owned(),
        expected: Mutex::default(),
        looks: AtomicUsize::new(0),
        found: Mutex::default(),
    });
    disk.expect(&records, None);
    let mut engine = open_eager(&store, disk.clone());
    loop {
        let step = engine.compact_step().unwrap();
        assert_ne!(step, Compaction::GivenUp);
        disk.look("between two steps");
        disk.commit_one(&mut engine, &mut records, &mut chance);
        if step == Compaction::Done {
            break;
        }
    }
    for _ in 0..3 {
        disk.look("after the compaction");
        disk.commit_one(&mut engine, &mut records, &mut chance);
    }
    close(engine);
    let found = disk.found.lock().unwrap().clone();
    eprintln!("{} looks at three losses each; in use were {found:?}", disk.looks.load(Ordering::SeqCst));
    assert!(found["gen-1"] > 50 && found["gen-2"] > 10, "{found:?}");
}

/// A disk whose syncs fail from one of them on, so many of them. It counts the syncs from when it is
/// armed, and looks at what a loss of power leaves at the first failure.
#[derive(Debug, Default)]
struct Breaking {
    disk: LosingDisk,
    /// Syncs until the first failure, and from it to the last one.
    until: AtomicUsize,
    fails: AtomicUsize,
}

impl Breaking {
    fn arm(&self, until: usize, fails: usize) {
        self.until.store(until, Ordering::SeqCst);
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn breaks(&self) -> io::Result<()> {
        let count_down = |counter: &AtomicUsize| {
            let less = |count: usize| count.checked_sub(1);
            counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
        };
        if !count_down(&self.until) && count_down(&self.fails) {
            return Err(io::Error::other("the test says so"));
        }
        Ok(())
    }
}

impl Disk for Breaking {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.breaks()?;
        self.disk.sync_file(path, file)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.breaks()?;
        self.disk.sync_dir(path)
    }
}

/// What became of a compaction on a disk that breaks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    done: usize,
    given_up: usize,
    /// Commits after which the store had to be opened again.
    outages: usize,
    /// Steps after which it had to be: one that was about to begin the copy, or one that replaced the marker.
    outages_of_folds: usize,
    outages_of_switches: usize,
}

/// Runs a compaction with commits between its steps, on a disk of which the syncs from number `until` on
/// fail. At each failure the power goes, as far as a copy of the store knows.
fn run_on_a_breaking_disk(store: &Path, records: &mut Records, break_at: (usize, usize)) -> Ends {
    let (until, fails) = break_at;
    let disk = Arc::new(Breaking::default());
    super::power_cut::sync_all(&disk.disk, store);
    let mut engine = open_eager(store, disk.clone());
    let mut chance = Chance(until as u64);
    let mut ends = Ends::default();
    disk.arm(until, fails);
    while ends.done == 0 {
        match engine.compact_step() {
            Ok(Compaction::Done) => ends.done += 1,
            Ok(Compaction::GivenUp) => {
                ends.given_up += 1;
                assert!(ends.given_up < 5, "it is given up without a cause: {ends:?}");
            }
            Ok(Compaction::UnderWay) => {}
            Ok(Compaction::Idle) => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => {
                match generations(store).len() {
                    1 => ends.outages_of_folds += 1,
                    _ => ends.outages_of_switches += 1,
                }
                recover(&mut engine, &disk, store, &[records]);
            }
        }
        let batch = some_batch(&mut chance, 25);
        let before = records.clone();
        apply(records, &batch);
        if engine.commit(&batch).is_err() {
            ends.outages += 1;
            recover(&mut engine, &disk, store, &[&before, records]);
            engine.commit(&batch).unwrap();
        }
    }
    disk.arm(0, 0);
    close(engine);
    ends
}

/// Sees that nothing is lost if the power goes now, then mends the disk and opens the store again.
fn recover(engine: &mut SledEngine, disk: &Breaking, store: &Path, possible: &[&Records]) {
    assert!(matches!(engine.commit(&one_page()), Err(CommitError::NotReopened)));
    let step = engine.compact_step().unwrap();
    assert!(
        matches!(step, Compaction::Idle | Compaction::GivenUp),
        "nothing is copied in an outage: {step:?}"
    );
    let copy = store.with_extension("copy");
    for cut in [Cut::LosesAll, Cut::LosesSome(1), Cut::LosesSome(2)] {
        disk.disk.peek(store, &copy, cut).unwrap();
        let found = load(&mut open_lazy(&copy).unwrap()).unwrap();
        assert!(possible.contains(&&found), "{cut:?}: other records");
        fs::remove_dir_all(&copy).unwrap();
    }
    disk.arm(0, 0);
    engine.reopen().unwrap();
    let found = load(engine).unwrap();
    assert!(possible.contains(&&found));
    // What is committed now is found after the next loss of power, or after a kill: the marker names the
    // generation in use.
    let (mut put, mut remove) = (Batch::default(), Batch::default());
    put.put(b"committed after the outage".to_vec(), vec![1]);
    remove.remove(b"committed after the outage".to_vec());
    engine.commit(&put).unwrap();
    let mut expected = found;
    apply(&mut expected, &put);
    for cut in [Some(Cut::LosesAll), None] {
        match cut {
            Some(cut) => disk.disk.peek(store, &copy, cut).unwrap(),
            None => plant(&copy, &tree(store)),
        }
        assert!(load(&mut open_lazy(&copy).unwrap()).unwrap() == expected, "{cut:?}: other records");
        fs::remove_dir_all(&copy).unwrap();
    }
    engine.commit(&remove).unwrap();
}

#[test]
fn a_sync_that_fails_spoils_the_copy_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (files, built) = build(dir.path());
    let store = dir.path().join("store");
    // Once, or until somebody mends the disk.
    for fails in [1, usize::MAX] {
        let mut total = Ends::default();
        for until in 0.. {
            plant(&store, &files);
            let mut records = built.clone();
            let ends = run_on_a_breaking_disk(&store, &mut records, (until, fails));
            assert!(load(&mut open_lazy(&store).unwrap()).unwrap() == records, "{fails} from {until}");
            assert_eq!(generations(&store).len(), 1);
            fs::remove_dir_all(&store).unwrap();
            total.done += ends.done;
            total.given_up += ends.given_up;
            total.outages += ends.outages;
            total.outages_of_folds += ends.outages_of_folds;
            total.outages_of_switches += ends.outages_of_switches;
            if ends == (Ends { done: 1, ..Ends::default() }) {
                break;
            }
        }
        eprintln!("{fails} failures in a row: {total:?}");
        assert!(total.given_up > 10 && total.outages > 5, "{total:?}");
        // The journal goes into the rows of the store itself before anything is copied.
        assert!(total.outages_of_folds > 0, "{total:?}");
        // Only where the marker can neither be replaced nor put back must the store be opened again.
        assert_eq!(total.outages_of_switches > 0, fails > 1, "{total:?}");
    }
}

#[test]
fn without_room_for_both_nothing_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let disk = Arc::new(Narrow(AtomicUsize::new(8 << 20)));
    let mut engine = open_eager(&path, disk.clone());
    let mut records = Records::new();
    let mut chance = Chance(53);
    commit_one(&mut engine, &mut records, &mut chance, 25);
    for _ in 0..3 {
        assert_eq!(engine.compact_step().unwrap(), Compaction::GivenUp);
        assert_eq!(generations(&path), ["gen-1"]);
    }
    disk.0.store(1 << 30, Ordering::SeqCst);
    assert_eq!(engine.compact_step().unwrap(), Compaction::UnderWay);
    assert_eq!(generations(&path), ["gen-1", "gen-2"]);
    // The room goes to somebody else in the course of it.
    disk.0.store(8 << 20, Ordering::SeqCst);
    assert_eq!(engine.compact_step().unwrap(), Compaction::GivenUp);
    commit_one(&mut engine, &mut records, &mut chance, 25);
    disk.0.store(1 << 30, Ordering::SeqCst);
    assert_eq!(run_to_end(&mut engine), Compaction::Done);
    commit_one(&mut engine, &mut records, &mut chance, 25);
    close(engine);
    assert_eq!(generations(&path), ["gen-2"]);
    assert!(load(&mut open_lazy(&path).unwrap()).unwrap() == records);
}

#[test]
fn after_a_compaction_there_is_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let compaction = CompactionOptions { pause: Duration::from_hours(1), ..EAGER };
    let options = SledOptions { disk: Arc::new(NoDisk), compaction, ..SledOptions::default() };
    let mut engine = SledEngine::open(&dir.path().join("store"), &options).unwrap();
    engine.commit(&one_page()).unwrap();
    assert_eq!(run_to_end(&mut engine), Compaction::Done);
    for _ in 0..3 {
        engine.commit(&one_page()).unwrap();
        assert_eq!(engine.compact_step().unwrap(), Compaction::Idle);
    }
}

/// The copy fills the disk, which it does not know beforehand where there is a quota, say.
#[test]
fn a_copy_that_fills_the_disk_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::mount(&dir.path().join("disk"), 40 << 20) else {
        eprintln!("skipped: no small file system can be mounted here (root is needed)");
        return;
    };
    let path = small.0.join("store");
    let compaction = CompactionOptions { step_bytes: 500_000, ..EAGER };
    let disk = Arc::new(Narrow(AtomicUsize::new(1 << 40)));
    let options = SledOptions { disk, compaction, ..SledOptions::default() };
    let mut engine = SledEngine::open(&path, &options).unwrap();
    let mut records = Records::new();
    let mut chance = Chance(54);
    for first in (0..3_000).step_by(100) {
        let mut batch = Batch::default();
        (first..first + 100).for_each(|number| batch.put(key(number), chance.bytes(3_000)));
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    let ballast = small.0.join("ballast");
    fill(&ballast);
    let length = fs::metadata(&ballast).unwrap().len();
    File::options().write(true).open(&ballast).unwrap().set_len(length - (6 << 20)).unwrap();
    for _ in 0..3 {
        assert_eq!(run_to_end(&mut engine), Compaction::GivenUp);
    }
    while generations(&path).len() > 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    commit_one(&mut engine, &mut records, &mut chance, 3_000);
    assert!(load(&mut engine).unwrap() == records);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(run_to_end(&mut engine), Compaction::Done);
    commit_one(&mut engine, &mut records, &mut chance, 3_000);
    close(engine);
    assert!(load(&mut open_lazy(&path).unwrap()).unwrap() == records);
}

/// What a kill has left is not looked at, whatever has become of it.
#[test]
fn damage_to_what_is_left_over_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (files, records) = build(dir.path());
    let harms: [(&str, &[u8]); 4] =
        [("gen-2/db", b"garbage"), ("gen-2/db", b""), ("gen-2", b"a file"), ("gen-77/conf", b"what?")];
    for (name, bytes) in harms {
        let mut files = files.clone();
        files.insert(name.to_owned(), bytes.to_vec());
        plant(&path, &files);
        let mut engine = open_eager(&path, Arc::new(SystemDisk));
        assert!(load(&mut engine).unwrap() == records, "{name}");
        assert_eq!(generations(&path), ["gen-1"], "{name}");
        assert_eq!(run_to_end(&mut engine), Compaction::Done);
        drop(engine);
        // The old generation, left by a kill just after the switch, is older and harmed.
        plant(&path.join("gen-1"), &BTreeMap::from([(name.replace('/', "-"), bytes.to_vec())]));
        assert!(load(&mut open_lazy(&path).unwrap()).unwrap() == records, "{name}");
        assert_eq!(generations(&path), ["gen-2"], "{name}");
        fs::remove_dir_all(&path).unwrap();
    }
}

/// The store is damaged, and beside it lies what may help: nothing of it is removed.
#[test]
fn a_refused_store_keeps_what_is_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (mut files, _) = build(dir.path());
    let log = files["gen-1/db"].clone();
    files.insert("gen-2/db".to_owned(), log);
    files.insert("gen-1/db".to_owned(), Vec::new());
    files.insert("gen-2/".to_owned(), Vec::new());
    plant(&path, &files);
    let before = tree(&path);
    let error = open_lazy(&path).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(tree(&path) == before);
}

/// A kill between the rename of the marker and its sync: the new generation is in use from the next start
/// on, and must be the one that is found if the power goes then.
#[test]
fn a_marker_that_no_sync_has_seen_is_synced_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (files, mut records) = build(dir.path());
    let store = dir.path().join("store");
    let mut chance = Chance(55);
    let disk = (0..200)
        .find_map(|until| {
            let _nothing_there_at_first = fs::remove_dir_all(&store);
            plant(&store, &files);
            let disk = Arc::new(Breaking::default());
            super::power_cut::sync_all(&disk.disk, &store);
            let mut engine = open_eager(&store, disk.clone());
            disk.arm(until, usize::MAX);
            loop {
                match engine.compact_step() {
                    Ok(Compaction::Idle | Compaction::UnderWay) => {}
                    Ok(Compaction::Done | Compaction::GivenUp) => return None,
                    // A copy was under way: it is not the journal that could not be put into the rows.
                    Err(_) => return (generations(&store).len() > 1).then_some(disk),
                }
            }
        })
        .expect("one sync is that of the marker's name");
    disk.arm(0, 0);
    let mut engine = <SledEngine as super::Kept>::open_on(&store, disk.clone()).unwrap();
    assert_eq!(generations(&store), ["gen-2"]);
    commit_one(&mut engine, &mut records, &mut chance, 25);
    for cut in [Cut::LosesAll, Cut::LosesSome(3), Cut::LosesSome(4)] {
        let copy = dir.path().join("copy");
        disk.disk.peek(&store, &copy, cut).unwrap();
        assert!(load(&mut open_lazy(&copy).unwrap()).unwrap() == records, "{cut:?}");
        fs::remove_dir_all(&copy).unwrap();
    }
}
