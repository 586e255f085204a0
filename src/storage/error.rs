//! What can go wrong with a store, one type per operation.

use std::path::PathBuf;

use super::EngineKind;
use super::directory::room::is_out_of_room;

/// Why a store could not be opened. What is in it was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be created, read or written.
    #[error("the store {path} cannot be used: {source}", path = path.display())]
    Io {
        /// The store's directory, or the file in it that failed.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("the store {path} is in use by another process", path = path.display())]
    InUse {
        /// The store's directory.
        path: PathBuf,
    },
    /// The directory holds something else. It is nobody's business to move it aside.
    #[error(
        "{path} is not a store and not empty (it holds {found}); name a directory of its own for the store",
        path = path.display()
    )]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// One of the names in it that are not a store's.
        found: String,
    },
    /// What is there is a store, damaged or incomplete.
    #[error("the store {path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Another engine keeps it.
    #[error("the store {path} is kept by the engine {found}, not by {asked}", path = path.display())]
    OtherEngine {
        /// The store's directory.
        path: PathBuf,
        /// The engine that keeps it.
        found: EngineKind,
        /// The engine that was to open it.
        asked: EngineKind,
    },
    /// It was written by a newer version.
    #[error(
        "the store {path} has format {found}, and this version reads formats up to {supported}",
        path = path.display()
    )]
    NewerFormat {
        /// The store's directory.
        path: PathBuf,
        /// The format of the store.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
}

impl OpenError {
    /// Whether it may pass without anybody changing the store or a flag: there is no room, or another process has not
    /// ended yet.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::InUse { .. } => true,
            Self::Io { .. } => self.is_out_of_room(),
            Self::NotAStore { .. }
            | Self::Damaged { .. }
            | Self::OtherEngine { .. }
            | Self::NewerFormat { .. } => false,
        }
    }

    /// Whether there is no room for what an open writes.
    pub fn is_out_of_room(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_out_of_room(source))
    }
}

/// Why the records of an open store could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store is damaged: the records are not those that were committed.
    #[error("the store {path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Reading failed.
    #[error("the store {path} cannot be read: {reason}", path = path.display())]
    Unreadable {
        /// The store's directory.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
}

/// Why a batch is not known to be durable, or why the store cannot be opened again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Writing or syncing failed: a full disk, a quota, a broken device.
    #[error("writing to the store failed: {reason}")]
    Write {
        /// What the engine or the operating system said.
        reason: String,
    },
    /// An earlier commit failed, and the store has not been opened again since.
    #[error("the store has not recovered from a failed write")]
    NotReopened,
    /// Found when opening again: the store is not what this process has left there.
    #[error("the store is not as it was left: {reason}")]
    Changed {
        /// What does not fit.
        reason: String,
    },
}
