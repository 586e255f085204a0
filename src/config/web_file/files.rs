//! The files that settings were read from, and whether they have changed since.
//!
//! Invariant: what a file looked like is noted before it is read, so that a change while it is read is seen
//! afterwards.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes that a file may have.
const BYTES_MAX: u64 = 1 << 20;

/// Files, and what they looked like.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Look)>);

/// What a file looks like; `None` if it is not there. Links are followed, since what a secret is mounted as is one.
type Look = Option<(u64, u64, (i64, i64), (i64, i64))>;

fn look(path: &Path) -> Look {
    let found = fs::metadata(path).ok()?;
    let changed = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.ino(), found.len(), changed.0, changed.1))
}

impl Files {
    /// Reads a file and notes what it looked like. The error names it.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.push((path.to_owned(), look(path)));
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > BYTES_MAX {
                return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
            }
            Ok(bytes)
        };
        read()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))
    }

    /// Whether every file looks as it did.
    pub(super) fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, before)| look(path) == *before)
    }

    /// Watches those of `others`, too, from what they look like now.
    pub(super) fn add_all(&mut self, others: &Self) {
        for (path, _) in &others.0 {
            if !self.0.iter().any(|(own, _)| own == path) {
                self.0.push((path.clone(), look(path)));
            }
        }
    }
}
