//! What goes wrong below the contract, before it is known which operation it spoils.

use std::io;
use std::path::Path;

use crate::storage::{CommitError, LoadError, OpenError};

/// A cause, without the path and the operation.
#[derive(Debug)]
pub(in crate::storage) enum Fault {
    /// The operating system refused something.
    Io(io::Error),
    /// The bytes are not what was committed.
    Damaged(String),
    /// A newer version wrote the store.
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
}

impl Fault {
    /// What happened, for a message that names the operation itself.
    pub(in crate::storage) fn reason(self) -> String {
        match self {
            Fault::Io(error) => error.to_string(),
            Fault::Damaged(reason) => reason,
            Fault::Newer { found, .. } => newer(found),
        }
    }

    /// As the error of an open.
    pub(in crate::storage) fn into_open(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Fault::Io(source) => OpenError::Io { path, source },
            Fault::Damaged(reason) => OpenError::Damaged { path, reason },
            Fault::Newer { found, supported } => OpenError::NewerFormat { path, found, supported },
        }
    }

    /// As the error of a load.
    pub(in crate::storage) fn into_load(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Fault::Io(source) => LoadError::Unreadable { path, reason: source.to_string() },
            Fault::Damaged(reason) => LoadError::Damaged { path, reason },
            Fault::Newer { found, .. } => LoadError::Damaged { path, reason: newer(found) },
        }
    }

    /// As the error of opening again: what the system refuses may pass, the rest is for good.
    pub(in crate::storage) fn into_reopen(self) -> CommitError {
        match self {
            Fault::Io(source) => CommitError::Write { reason: source.to_string() },
            Fault::Damaged(reason) => CommitError::Changed { reason },
            Fault::Newer { found, .. } => CommitError::Changed { reason: newer(found) },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

fn newer(found: u32) -> String {
    format!("it now has the newer format {found}")
}
