//! The engine on redb 4, with what redb leaves undone done around it.
//!
//! * **Durable.** A commit is one transaction, whose sync goes through the engine's [`Disk`]. Only then is it
//!   `Ok`.
//! * **Checked.** Every transaction carries a [head](crate::storage::directory::head) that adds up all
//!   records, and a witness beside the engine's file knows the last acknowledged commit: redb takes a damaged
//!   newest state for one that a crash has cut, and goes back to the one before. What does not fit both is
//!   refused. redb repairs a file when it opens it, so that is found out through an
//!   [overlay](backend::Overlay) that keeps redb's writes in memory.
//! * **Excluded.** The directory has a lock of our own, taken before redb looks at its file.
//! * **Recovering.** redb never gets over a failed write. After one the handle is not asked again;
//!   [`Engine::reopen`] lets go of it without a further write, waits for room, opens anew and reads whether
//!   the batch in doubt has landed.
//! * **In proportion.** A file that is many times as large as the records is [copied](shrink) when it is
//!   opened.
//!
//! It knows nothing of what a record means. `docs/storage-format.md` describes what is on disk.

mod backend;
mod handle;
mod rows;
mod shrink;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handle::Open;
use rows::Found;
pub use shrink::Proportion;

use super::directory::disk::{self, Disk, SystemDisk};
use super::directory::fault::Fault;
use super::directory::guard::guarded;
use super::directory::head::Head;
use super::directory::layout::{self, Kind, Marker};
use super::directory::room::{allocated_bytes, probe, write_again};
use super::directory::witness::{self, Witness};
use super::{Batch, CommitError, Engine, EngineKind, LoadError, OpenError, Visitor};

/// The name of redb's file in the directory of a generation.
const FILE: &str = "redb";

/// What can be chosen about an engine.
#[derive(Clone, Debug)]
pub struct RedbOptions {
    /// Bytes of its file that redb keeps in memory; less than 1 MiB is raised to it.
    pub cache_bytes: u64,
    /// What makes files durable; tests put a disk here that loses power.
    pub disk: Arc<dyn Disk>,
    /// When the store is copied because it takes too much room.
    pub proportion: Proportion,
}

impl Default for RedbOptions {
    fn default() -> Self {
        RedbOptions { cache_bytes: 32 << 20, disk: Arc::new(SystemDisk), proportion: Proportion::default() }
    }
}

/// A store in a directory, on redb. The promises stand in the module's text.
pub struct RedbEngine {
    path: PathBuf,
    /// The directory of the generation in use.
    dir: PathBuf,
    cache_bytes: usize,
    disk: Arc<dyn Disk>,
    witness: Witness,
    head: Head,
    /// `None` only after a failure, while it cannot be opened again.
    open: Option<Open>,
    failure: Option<Failure>,
    /// Last, so that the lock outlives everything else.
    _lock: File,
}

/// A commit of which it is not known whether it landed.
#[derive(Clone, Copy)]
struct Failure {
    before: Head,
    after: Head,
}

impl RedbEngine {
    /// Opens the store at `path`, or creates one where there is nothing or an empty directory. A directory
    /// that is in use, damaged, of another engine, of a newer version or not a store is refused, and what is
    /// in it stays as it is.
    pub fn open(path: &Path, options: &RedbOptions) -> Result<RedbEngine, OpenError> {
        let (lock, kind) = layout::enter(path, EngineKind::Redb)?;
        match kind {
            Kind::Vacant | Kind::Unfinished => create(path, options, lock),
            Kind::Store(generation) => open_existing(path, generation, options, lock),
        }
        .map_err(|fault| fault.into_open(path))
    }

    /// Writes the batch and syncs it; notes what is in doubt where that fails.
    fn write(&mut self, batch: &Batch) -> Result<Head, Fault> {
        let before = self.head;
        let Some(open) = &self.open else {
            return Err(Fault::Io(io::Error::other(CommitError::NotReopened.to_string())));
        };
        self.failure = Some(Failure { before, after: before });
        let after = guarded(|| {
            let (writing, after) = rows::stage(open.db(), batch, before)?;
            self.failure = Some(Failure { before, after });
            writing.commit().map_err(handle::fault_from)?;
            Ok(after)
        })?;
        self.witness.record(after)?;
        self.failure = None;
        Ok(after)
    }

    fn recover(&mut self, failure: Failure) -> Result<(), Fault> {
        self.open = None;
        probe(&self.path.join(layout::PROBE))?;
        // It may have been the sync that failed; the kernel then takes pages for clean that never reached the
        // disk.
        write_again(&self.dir.join(FILE))?;
        let found = handle::check(&self.dir, self.cache_bytes, &mut |_, _| {})?;
        witness::settle(found.head, failure.before, failure.after)?;
        let open = Open::begin(&self.dir, self.cache_bytes, &self.disk)?;
        disk::sync_tree(&*self.disk, &self.dir)?;
        self.witness.record(found.head)?;
        self.witness.sync(&*self.disk)?;
        self.open = Some(open);
        self.head = found.head;
        Ok(())
    }
}

impl Engine for RedbEngine {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        let open = self.open.as_ref().ok_or_else(|| LoadError::Unreadable {
            path: self.path.clone(),
            reason: CommitError::NotReopened.to_string(),
        })?;
        let found =
            guarded(|| rows::read_all(open.db(), visit)).map_err(|fault| fault.into_load(&self.path))?;
        if found.head != self.head {
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
        self.head = self.write(batch).map_err(|fault| CommitError::Write { reason: fault.reason() })?;
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

    fn close(mut self: Box<Self>) -> Result<(), CommitError> {
        if self.failure.is_some() {
            return Err(CommitError::NotReopened);
        }
        if let Some(open) = self.open.take() {
            open.close();
        }
        self.witness.sync(&*self.disk).map_err(|error| CommitError::Write { reason: error.to_string() })
    }
}

fn create(path: &Path, options: &RedbOptions, lock: File) -> Result<RedbEngine, Fault> {
    let disk = &*options.disk;
    let dir = layout::begin(path, EngineKind::Redb, disk)?;
    let open = Open::begin(&dir, cache_bytes(options), &options.disk)?;
    guarded(|| rows::write_first(open.db()))?;
    let witness = Witness::create(&path.join(layout::WITNESS), disk)?;
    layout::finish(path, EngineKind::Redb, disk)?;
    Ok(assemble(path, 1, options, witness, Head::default(), open, lock))
}

fn open_existing(
    path: &Path,
    generation: u64,
    options: &RedbOptions,
    lock: File,
) -> Result<RedbEngine, Fault> {
    let dir = layout::generation_dir(path, generation);
    let (witness, seen) = Witness::open(&path.join(layout::WITNESS))?;
    let found = handle::check(&dir, cache_bytes(options), &mut |_, _| {})?;
    witness::compare(seen, found.head)?;
    let open = Open::begin(&dir, cache_bytes(options), &options.disk)?;
    // What a killed process has written may still be in the page cache alone, and is about to be shown to
    // the world. So may be the name of the marker.
    disk::sync_tree(&*options.disk, &dir)?;
    options.disk.sync_dir(path)?;
    witness.record(found.head)?;
    let (generation, open) = in_proportion(path, generation, open, found, options)?;
    layout::remove_other_generations(path, generation);
    Ok(assemble(path, generation, options, witness, found.head, open, lock))
}

/// The generation to use: the open one, or, where its file is out of proportion, a copy of it.
fn in_proportion(
    path: &Path,
    generation: u64,
    open: Open,
    found: Found,
    options: &RedbOptions,
) -> Result<(u64, Open), Fault> {
    if !options.proportion.is_exceeded(&layout::generation_dir(path, generation), found.live_bytes) {
        return Ok((generation, open));
    }
    let Found { live_bytes, .. } = found;
    tracing::info!(live_bytes, "the store takes too much room; copying it");
    if let Err(fault) = shrink::copy(path, generation, &open, found, options) {
        tracing::warn!(err = fault.reason(), "copying the store is given up; the store is as it was");
        return Ok((generation, open));
    }
    shrink::switch(path, generation, &options.disk)?;
    drop(open);
    let next = generation + 1;
    let open = Open::begin(&layout::generation_dir(path, next), cache_bytes(options), &options.disk)?;
    Ok((next, open))
}

fn assemble(
    path: &Path,
    generation: u64,
    options: &RedbOptions,
    witness: Witness,
    head: Head,
    open: Open,
    lock: File,
) -> RedbEngine {
    RedbEngine {
        path: path.to_owned(),
        dir: layout::generation_dir(path, generation),
        cache_bytes: cache_bytes(options),
        disk: Arc::clone(&options.disk),
        witness,
        head,
        open: Some(open),
        failure: None,
        _lock: lock,
    }
}

fn marker(generation: u64) -> Marker {
    Marker { engine: EngineKind::Redb, generation }
}

fn cache_bytes(options: &RedbOptions) -> usize {
    usize::try_from(options.cache_bytes).unwrap_or(usize::MAX).max(1 << 20)
}
