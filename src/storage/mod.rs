//! Keeping records: the contract that every storage engine fulfils, and the engines.
//!
//! An engine sees keys, bytes and batches. It knows nothing of metrics, of groups or of what a key means.
//!
//! # The contract
//!
//! * One owner. All calls come from one thread at a time; an engine needs no locks of its own. Nobody else
//!   writes the store while it is open: an engine that keeps files takes a lock that excludes other
//!   processes, and refuses to open where it cannot.
//! * [`Engine::load`] comes first, once, before any commit. It hands over every record, once, in ascending
//!   bytewise order of the keys. What it hands over is exactly what the commits that returned `Ok` have left;
//!   where the engine can see that it is not (a checksum, a count, a missing file), it fails and
//!   leaves the store as it is.
//! * A key has 1 to 256 bytes. A value may have any length.
//! * [`Engine::commit`] applies a batch as one: after a crash at any moment either all of its writes are
//!   there or none. When it returns `Ok` the batch outlives a loss of power. Within a batch each key
//!   stands at most once.
//! * After a failed commit the batch is in doubt: it may be there, whole, or not. The engine then refuses
//!   every further commit until [`Engine::reopen`] has succeeded. The owner settles the doubt by
//!   writing the records in doubt anew.
//! * [`Engine::reopen`] may be called any number of times; it fails for as long as the cause stands (a
//!   disk is full, say), and it fails for good where the store is not what this process has left.
//! * [`Engine::compact_step`] may be called at any time between the other calls. It does a small part of
//!   whatever keeps the store's files in proportion to its records. It changes no record, and what was
//!   committed stays as durable as it was at every moment of it. Its owner calls it after each commit, and
//!   again soon while it answers that there is more to do.
//! * [`Engine::close`] releases the store. Dropping an engine without it is what a crash does: nothing
//!   that was committed is lost.

mod batch;
mod directory;
mod error;
mod kind;
mod memory;
mod redb_engine;
mod sled_engine;
pub mod testing;

pub use batch::{Batch, Write};
pub use directory::disk::{Disk, SystemDisk};
pub use directory::layout::quarantine;
pub use error::{CommitError, LoadError, OpenError};
pub use kind::EngineKind;
pub use memory::{MemoryEngine, NoEngine};
pub use redb_engine::{Proportion, RedbEngine, RedbOptions};
pub use sled_engine::{CompactionOptions, JournalOptions, SledEngine, SledOptions};

/// What [`Engine::load`] calls for each record, with its key and value.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) + 'v;

/// What a step of a compaction has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// There is nothing to do now.
    Idle,
    /// There is more to do.
    UnderWay,
    /// The store is compacted.
    Done,
    /// It has failed, or there is no room for it. The store is as it was, and it is tried again later.
    GivenUp,
}

/// A store of records. The promises stand in the [module's text](self).
pub trait Engine: Send {
    /// Hands every record to `visit`, in ascending order of the keys.
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError>;

    /// Applies the batch atomically and makes it durable.
    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError>;

    /// Opens the store again after a failed commit.
    fn reopen(&mut self) -> Result<(), CommitError>;

    /// Bytes that the store takes on disk; 0 where it has none.
    fn stored_bytes(&self) -> u64;

    /// Whether anything that is committed outlives the engine. Where not, its owner need not commit at the
    /// end.
    fn is_lasting(&self) -> bool {
        true
    }

    /// Does a small part of a compaction, where one is due or under way. An error is a failure of the
    /// store, as one of a commit is: [`reopen`](Self::reopen) comes next.
    fn compact_step(&mut self) -> Result<Compaction, CommitError> {
        Ok(Compaction::Idle)
    }

    /// Releases the store.
    fn close(self: Box<Self>) -> Result<(), CommitError>;
}

#[cfg(test)]
mod tests;
