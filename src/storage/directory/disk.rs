//! The one place that makes bytes and names durable.
//!
//! Everything that an engine relies on to be synced goes through [`Disk`], so a test can stand in for a
//! machine that loses power or has no room.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes files and directories durable.
pub trait Disk: Debug + Send + Sync {
    /// Returns once the file's bytes and its length are on stable storage.
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()>;

    /// Returns once the names in the directory are on stable storage.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Bytes that may still be written to the file system that a path is on.
    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// The disk of this machine: `fdatasync` for files, `fsync` for directories.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn sync_file(&self, _path: &Path, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Syncs a file of the store that is in use. Fails where somebody has removed it: its bytes would be lost with the
/// process, however often they are synced.
pub(in crate::storage) fn sync_in_use(disk: &dyn Disk, path: &Path, file: &File) -> io::Result<()> {
    disk.sync_file(path, file)?;
    let held = file.metadata()?;
    // Not every file system counts links.
    let is_named =
        || fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()));
    if held.nlink() > 0 || is_named() {
        return Ok(());
    }
    let text = format!("{} was removed while the store was in use", path.display());
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// Syncs every file below a directory, then the directories, the innermost first.
pub(in crate::storage) fn sync_tree(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(disk, &entry.path())?;
        } else {
            disk.sync_file(&entry.path(), &File::open(entry.path())?)?;
        }
    }
    disk.sync_dir(dir)
}
