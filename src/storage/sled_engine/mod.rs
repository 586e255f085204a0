//! The engine on sled 0.34.7, with what sled leaves undone done around it.
//!
//! * **Durable.** sled's `flush` ends in `sync_file_range`, which promises nothing after a loss of power.
//!   So a commit is one batch, a flush, and an `fdatasync` of the log through a file handle of our own.
//!   Only then is it `Ok`.
//! * **Cheap while small.** A small commit is one row, an entry of the [journal], which sled writes in one
//!   round; a larger one, or one that finds the journal full, brings the rows of all records up to date.
//! * **Checked.** Every commit carries a [head] that adds up all records, and a [witness]
//!   beside the engine's files knows the last acknowledged commit. What does not fit both is refused, and
//!   found out [on a copy](check).
//! * **Excluded.** The directory has a [lock](layout) of our own, taken before sled looks at its files.
//! * **Recovering.** sled never gets over a failed write. After one the handle is not asked again;
//!   [`Engine::reopen`] lets go of it, waits for room, opens anew and reads whether the batch in doubt has
//!   landed.
//! * **In proportion.** Where the files are many times as large as the records, [compaction] copies them
//!   while the store is in use.
//!
//! It knows nothing of what a record means, and all records live in one tree: two trees tear.
//!
//! `docs/storage-format.md` describes what is on disk.

mod check;
mod compaction;
mod handle;
mod journal;
mod ledger;
mod read;
mod retire;
mod rows;
mod successor;

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use check::Sound;
pub use compaction::CompactionOptions;
use compaction::Compactor;
pub use journal::JournalOptions;
use ledger::Ledger;
use rows::Writing;

use super::directory::disk::{self, Disk, SystemDisk};
use super::directory::fault::{self, Fault};
use super::directory::guard::{self, guarded};
use super::directory::head::{self, Head};
use super::directory::layout::{self, Kind, Marker};
use super::directory::room::{allocated_bytes, is_out_of_room, probe, write_again};
use super::directory::witness::{self, Witness};
use super::{Batch, CommitError, Compaction, Engine, EngineKind, LoadError, OpenError, Visitor};

/// How long a handle may take to let go of its files.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// What can be chosen about an engine.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// Bytes of records that sled keeps in memory; less than 16 MiB is raised to it, more than 64 MiB
    /// lowered.
    pub cache_bytes: u64,
    /// What makes files durable; tests put a disk here that loses power.
    pub disk: Arc<dyn Disk>,
    /// When the store is copied because it takes too much room.
    pub compaction: CompactionOptions,
    /// When a small commit is an entry of the journal.
    pub journal: JournalOptions,
}

impl Default for SledOptions {
    fn default() -> Self {
        SledOptions {
            cache_bytes: 16 << 20,
            disk: Arc::new(SystemDisk),
            compaction: CompactionOptions::default(),
            journal: JournalOptions::default(),
        }
    }
}

/// A store in a directory, on sled. The promises stand in the module's text.
pub struct SledEngine {
    path: PathBuf,
    /// The number of the generation in use: the one that the marker names.
    generation: u64,
    /// Its directory.
    dir: PathBuf,
    compaction: CompactionOptions,
    compactor: Compactor,
    journal: JournalOptions,
    cache_bytes: u64,
    disk: Arc<dyn Disk>,
    witness: Witness,
    ledger: Ledger,
    /// `None` only after a failure, while it cannot be opened again.
    open: Option<Open>,
    failure: Option<Failure>,
    /// Last, so that the lock outlives everything else. Whoever removes a generation has it too.
    lock: Arc<File>,
}

/// sled's handle, and ours on the file of its log. Ours was opened before any write, so it sees every
/// write error.
struct Open {
    db: ::sled::Db,
    log: File,
}

impl Open {
    /// Bytes that the log takes on disk.
    fn log_bytes(&self) -> u64 {
        self.log.metadata().map_or(0, |metadata| metadata.blocks() * 512)
    }
}

/// A commit of which it is not known whether it landed.
#[derive(Clone, Copy)]
struct Failure {
    before: Head,
    after: Head,
    /// Whether it was the sync that failed. The kernel may then take pages for clean that never reached the
    /// disk.
    at_sync: bool,
}

impl SledEngine {
    /// Opens the store at `path`, or creates one where there is nothing or an empty directory. A directory
    /// that is in use, damaged, of a newer version or not a store is refused, and what is in it stays as it
    /// is.
    pub fn open(path: &Path, options: &SledOptions) -> Result<SledEngine, OpenError> {
        let (lock, kind) = layout::enter(path, EngineKind::Sled)?;
        match kind {
            Kind::Vacant | Kind::Unfinished => create(path, options, lock),
            Kind::Store(generation) => open_existing(path, generation, options, lock),
        }
        .map_err(|fault| fault.into_open(path))
    }

    /// Whether the log is short enough for what a journal adds to it.
    fn may_journal(&self) -> bool {
        let in_proportion = self.ledger.live_bytes().saturating_mul(self.journal.times_live);
        let log_bytes_max = self.journal.log_bytes_min.max(in_proportion);
        self.open.as_ref().is_some_and(|open| open.log_bytes() <= log_bytes_max)
    }

    fn write(&mut self, writing: Writing, after: Head) -> Result<(), CommitError> {
        let before = self.ledger.head();
        let open = self.open.as_ref().ok_or(CommitError::NotReopened)?;
        let written = guarded(|| {
            writing.apply(&open.db)?;
            open.db.flush().map_err(handle::fault_from)
        });
        if let Err(fault) = written {
            self.failure = Some(Failure { before, after, at_sync: false });
            return Err(CommitError::Write { reason: fault.reason() });
        }
        let synced = disk::sync_in_use(&*self.disk, &self.dir.join("db"), &open.log);
        if let Err(error) = synced.and_then(|()| self.witness.record(after)) {
            self.failure = Some(Failure { before, after, at_sync: true });
            return Err(CommitError::Write { reason: error.to_string() });
        }
        Ok(())
    }

    fn recover(&mut self, failure: Failure) -> Result<(), Fault> {
        self.settle_marker()?;
        if let Some(open) = self.open.take() {
            handle::release(open.db, RELEASE_WAIT)?;
        }
        probe(&self.path.join(layout::PROBE))?;
        if failure.at_sync {
            write_again(&self.dir.join("db"))?;
        }
        let opened = match open_files(&self.dir, self.cache_bytes) {
            Err(Fault::Damaged(_)) => {
                handle::remove_all_snapshots(&self.dir)?;
                open_files(&self.dir, self.cache_bytes)?
            }
            other => other?,
        };
        let open = self.open.insert(opened);
        let ledger = read::read_all(&open.db, &mut |_, _| {})?;
        let head = ledger.head();
        witness::settle(head, failure.before, failure.after)?;
        self.failure = Some(Failure { at_sync: true, ..failure });
        disk::sync_tree(&*self.disk, &self.dir)?;
        self.witness.record(head)?;
        self.witness.sync(&*self.disk)?;
        self.ledger = ledger;
        Ok(())
    }
}

impl Engine for SledEngine {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        let open = self.open.as_ref().ok_or_else(|| LoadError::Unreadable {
            path: self.path.clone(),
            reason: CommitError::NotReopened.to_string(),
        })?;
        let ledger = read::read_all(&open.db, visit).map_err(|fault| fault.into_load(&self.path))?;
        if ledger.head() != self.ledger.head() {
            let reason = "it has changed since it was opened".to_owned();
            return Err(LoadError::Damaged { path: self.path.clone(), reason });
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if self.failure.is_some() {
            return Err(CommitError::NotReopened);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let (writing, change) = self.ledger.stage(batch, self.may_journal());
        let mirrored = self.compactor.is_running().then(|| writing.clone());
        if let Err(error) = self.write(writing, change.head()) {
            self.end_compaction("the store has failed");
            return Err(error);
        }
        self.ledger.apply(change, batch);
        self.mirror(mirrored);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        let Some(failure) = self.failure else { return Ok(()) };
        self.recover(failure).map_err(Fault::into_reopen)?;
        self.failure = None;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        allocated_bytes(&self.path)
    }

    fn compact_step(&mut self) -> Result<Compaction, CommitError> {
        self.compact()
    }

    fn close(mut self: Box<Self>) -> Result<(), CommitError> {
        let failed = |error: io::Error| CommitError::Write { reason: error.to_string() };
        self.close_compaction();
        if let Some(open) = self.open.take() {
            handle::release(open.db, RELEASE_WAIT).map_err(failed)?;
        }
        if self.failure.is_some() {
            return Err(CommitError::NotReopened);
        }
        self.witness.sync(&*self.disk).map_err(failed)
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            // Whoever needs to know has called `close`; a handle that hangs keeps sled's own lock.
            let _ended = handle::release(open.db, RELEASE_WAIT);
        }
        self.compactor.forsake();
        self.compactor.wait();
    }
}

fn create(path: &Path, options: &SledOptions, lock: File) -> Result<SledEngine, Fault> {
    let disk = &*options.disk;
    let dir = layout::begin(path, EngineKind::Sled, disk)?;
    let open = open_files(&dir, cache_bytes(options))?;
    guarded(|| {
        open.db.apply_batch(rows::first()).map_err(handle::fault_from)?;
        open.db.flush().map_err(handle::fault_from)
    })?;
    let witness = Witness::create(&path.join(layout::WITNESS), disk)?;
    layout::finish(path, EngineKind::Sled, disk)?;
    Ok(assemble(path, 1, options, witness, Ledger::default(), open, lock))
}

fn open_existing(
    path: &Path,
    generation: u64,
    options: &SledOptions,
    lock: File,
) -> Result<SledEngine, Fault> {
    let dir = layout::generation_dir(path, generation);
    let (witness, seen) = Witness::open(&path.join(layout::WITNESS))?;
    let cache = cache_bytes(options);
    match check::check(&dir, &path.join(layout::CHECK), seen, cache) {
        Ok(Sound::AsItStands) => {}
        Ok(Sound::WithoutSnapshots) => handle::remove_all_snapshots(&dir)?,
        // A start must not fail for want of room for a copy; the store is checked all the same.
        Err(Fault::Io(error)) if is_out_of_room(&error) => {
            tracing::warn!("no room to check the store on a copy; it is checked in place");
        }
        Err(fault) => return Err(fault),
    }
    handle::fill_last_segment(&dir)?;
    let open = open_files(&dir, cache)?;
    let ledger = read::read_all(&open.db, &mut |_, _| {})?;
    witness::compare(seen, ledger.head())?;
    // What a killed process has written may still be in the page cache alone, and is about to be shown to
    // the world.
    disk::sync_tree(&*options.disk, &dir)?;
    // So may be the name of the marker: until it is durable, the generation before this one must stay.
    options.disk.sync_dir(path)?;
    witness.record(ledger.head())?;
    layout::remove_other_generations(path, generation);
    Ok(assemble(path, generation, options, witness, ledger, open, lock))
}

fn assemble(
    path: &Path,
    generation: u64,
    options: &SledOptions,
    witness: Witness,
    ledger: Ledger,
    open: Open,
    lock: File,
) -> SledEngine {
    SledEngine {
        path: path.to_owned(),
        generation,
        dir: layout::generation_dir(path, generation),
        compaction: options.compaction,
        compactor: Compactor::default(),
        journal: options.journal,
        cache_bytes: cache_bytes(options),
        disk: Arc::clone(&options.disk),
        witness,
        ledger,
        open: Some(open),
        failure: None,
        lock: Arc::new(lock),
    }
}

fn open_files(dir: &Path, cache_bytes: u64) -> Result<Open, Fault> {
    handle::remove_half_snapshots(dir)?;
    let db = handle::open(dir, cache_bytes)?;
    let log = File::options().read(true).write(true).open(dir.join("db"))?;
    Ok(Open { db, log })
}

fn marker(generation: u64) -> Marker {
    Marker { engine: EngineKind::Sled, generation }
}

fn cache_bytes(options: &SledOptions) -> u64 {
    options.cache_bytes.clamp(16 << 20, 64 << 20)
}
