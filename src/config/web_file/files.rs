//! The files that settings were read from: what was in them, and whether they have changed since.
//!
//! Invariants: what a file looked like is noted before it is read, so that a change while it is read is seen
//! afterwards; what was in it is kept as a digest only, since there are keys among them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes that a file may have.
const BYTES_MAX: u64 = 1 << 20;

/// Files, what they looked like, and what was in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Vec<Seen>);

/// A file when it was last looked at.
#[derive(Clone, Debug)]
struct Seen {
    path: PathBuf,
    look: Look,
    /// The digest of what was read; `None` if it could not be, or was not asked for.
    content: Option<Content>,
}

/// SHA-256.
type Content = [u8; 32];

/// What a file looks like; `None` if it is not there. Links are followed, since what a secret is mounted as is one.
type Look = Option<(u64, u64, (i64, i64), (i64, i64))>;

fn look(path: &Path) -> Look {
    let found = fs::metadata(path).ok()?;
    let changed = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.ino(), found.len(), changed.0, changed.1))
}

impl Files {
    /// Reads a file and notes it. The error names it.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let look = look(path);
        let outcome = read(path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
        });
        let content = outcome.as_ref().ok().map(|bytes| digest(bytes));
        self.0.push(Seen { path: path.to_owned(), look, content });
        outcome
    }

    /// Whether every file looks as it did.
    pub(super) fn are_unchanged(&self) -> bool {
        self.0.iter().all(|seen| look(&seen.path) == seen.look)
    }

    /// Whether the same files were read in both, with the same bytes in them.
    pub(super) fn hold_the_same_as(&self, others: &Self) -> bool {
        let read =
            |files: &Self| files.0.iter().map(|seen| (seen.path.clone(), seen.content)).collect::<Vec<_>>();
        read(self) == read(others)
    }

    /// Watches those of `others`, too, from what they look like now.
    pub(super) fn add_all(&mut self, others: &Self) {
        for Seen { path, .. } in &others.0 {
            if !self.0.iter().any(|own| own.path == *path) {
                self.0.push(Seen { path: path.clone(), look: look(path), content: None });
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn digest(bytes: &[u8]) -> Content {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
