//! What goes wrong below the contract, before it is known which operation it spoils.

use std::io;
use std::path::Path;

use crate::storage::{CommitError, LoadError, OpenError};

/// A cause, without the path and the operation.
#[derive(Debug)]
pub(super) enum Fault {
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
    /// Sorts sled's errors: what the operating system said is no damage; what sled found in the bytes is.
    pub(super) fn from_sled(error: ::sled::Error) -> Fault {
        match error {
            ::sled::Error::Io(error) if error.raw_os_error().is_some() || is_lock(&error) => Fault::Io(error),
            ::sled::Error::Io(error) => Fault::Damaged(format!("reading it ends early: {error}")),
            ::sled::Error::Corruption { .. } => Fault::Damaged("a checksum does not fit".to_owned()),
            other @ (::sled::Error::CollectionNotFound(_)
            | ::sled::Error::Unsupported(_)
            | ::sled::Error::ReportableBug(_)) => Fault::Damaged(other.to_string()),
        }
    }

    /// What happened, for a message that names the operation itself.
    pub(super) fn reason(self) -> String {
        match self {
            Fault::Io(error) => error.to_string(),
            Fault::Damaged(reason) => reason,
            Fault::Newer { found, .. } => newer(found),
        }
    }

    /// As the error of an open.
    pub(super) fn into_open(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Fault::Io(source) => OpenError::Io { path, source },
            Fault::Damaged(reason) => OpenError::Damaged { path, reason },
            Fault::Newer { found, supported } => OpenError::NewerFormat { path, found, supported },
        }
    }

    /// As the error of a load.
    pub(super) fn into_load(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Fault::Io(source) => LoadError::Unreadable { path, reason: source.to_string() },
            Fault::Damaged(reason) => LoadError::Damaged { path, reason },
            Fault::Newer { found, .. } => LoadError::Damaged { path, reason: newer(found) },
        }
    }

    /// As the error of opening again: what the system refuses may pass, the rest is for good.
    pub(super) fn into_reopen(self) -> CommitError {
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

/// sled wraps the refusal of its own lock into an error without an errno.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}

fn newer(found: u32) -> String {
    format!("it now has the newer format {found}")
}
