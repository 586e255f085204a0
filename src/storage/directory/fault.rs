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

/// The error of the operating system that a text tells of, where it has it as `{:?}` shows it. Engines copy such errors
/// and unwrap them, and then the text is all that is left.
pub(in crate::storage) fn os_error_in(text: &str) -> Option<io::Error> {
    let (_, code) = text.split_once("Os { code: ")?;
    let (code, _) = code.split_once(',')?;
    code.parse().ok().map(io::Error::from_raw_os_error)
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

fn newer(found: u32) -> String {
    format!("it now has the newer format {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_operating_system_is_found_in_a_text() {
        let full = io::Error::from_raw_os_error(28);
        let copied = io::Error::new(full.kind(), format!("{full:?}"));
        let unwrapped = format!("called `Result::unwrap()` on an `Err` value: Io({full:?})");
        for text in [copied.to_string(), unwrapped] {
            let found = os_error_in(&text).expect(&text);
            assert_eq!(
                (found.raw_os_error(), found.kind()),
                (Some(28), io::ErrorKind::StorageFull),
                "{text}"
            );
        }
        for text in ["", "failed to fill buffer", "Os { code: ", "Os { code: x, kind: Other }"] {
            assert!(os_error_in(text).is_none(), "{text}");
        }
    }
}
