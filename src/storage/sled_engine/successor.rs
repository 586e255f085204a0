//! The next generation of a store, while it is made beside the one in use.
//!
//! It is filled in steps, each of a bounded number of rows, in the order of the keys: first every row is
//! copied, then every row is compared. Between the steps whatever is committed goes to both generations,
//! whether the copy has come to its keys or not. So up to the key that a step has come to both hold the
//! same rows, and after the last step everywhere. The rows of the journal are rows like the others: what is
//! written as an entry goes to both as an entry, and stands for the same commit in both.
//!
//! Knows nothing of when this is worth while or of what becomes of the old generation. Invariant: nothing
//! in the old generation is written, and nothing depends on the new one before it is [sealed](Successor::seal).

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk};
use super::fault::Fault;
use super::guard::guarded;
use super::handle;
use super::head::Head;
use super::rows::Writing;
use super::{Open, layout, open_files, read};

/// A generation that is not in use yet.
pub(super) struct Successor {
    /// Its number.
    pub(super) generation: u64,
    /// Its directory.
    pub(super) dir: PathBuf,
    /// Its handles.
    pub(super) open: Open,
    phase: Phase,
    /// The least key that the phase has not come to.
    next_key: Vec<u8>,
}

/// What the steps are at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Copying,
    Comparing,
}

impl Successor {
    /// Begins an empty generation in the store's directory, in place of what a crash has left there.
    pub(super) fn begin(store: &Path, generation: u64, cache_bytes: u64) -> Result<Successor, Fault> {
        let dir = layout::generation_dir(store, generation);
        layout::remove(&dir)?;
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let open = match open_files(&dir, cache_bytes) {
            Ok(open) => open,
            Err(fault) => {
                layout::remove(&dir)?;
                return Err(fault);
            }
        };
        Ok(Successor { generation, dir, open, phase: Phase::Copying, next_key: Vec::new() })
    }

    /// Writes what was committed to the old generation, without a sync.
    pub(super) fn mirror(&self, writing: Writing) -> Result<(), Fault> {
        guarded(|| writing.apply(&self.open.db))
    }

    /// Copies or compares rows of about `bytes_max` bytes and syncs what was written. Says whether both
    /// generations now hold the same rows.
    pub(super) fn step(
        &mut self,
        old: &::sled::Db,
        bytes_max: usize,
        disk: &dyn Disk,
    ) -> Result<bool, Fault> {
        let is_at_end = guarded(|| match self.phase {
            Phase::Copying => self.copy(old, bytes_max),
            Phase::Comparing => self.compare(old, bytes_max),
        })?;
        self.sync(disk)?;
        if is_at_end && self.phase == Phase::Copying {
            self.phase = Phase::Comparing;
            self.next_key.clear();
            return Ok(false);
        }
        Ok(is_at_end)
    }

    /// Makes it as good as the generation in use: complete, with this head, and durable with its name.
    pub(super) fn seal(&self, store: &Path, head: Head, disk: &dyn Disk) -> Result<(), Fault> {
        if guarded(|| read::read_head(&self.open.db))? != head {
            return Err(Fault::Damaged("the copy has another head than the store".to_owned()));
        }
        self.sync(disk)?;
        disk::sync_tree(disk, &self.dir)?;
        Ok(disk.sync_dir(store)?)
    }

    fn copy(&mut self, old: &::sled::Db, bytes_max: usize) -> Result<bool, Fault> {
        let mut batch = ::sled::Batch::default();
        let mut bytes = 0;
        let mut found = old.range(self.next_key.as_slice()..);
        let is_at_end = loop {
            if bytes >= bytes_max {
                break false;
            }
            let Some(row) = found.next() else { break true };
            let (key, row) = row.map_err(handle::fault_from)?;
            bytes += key.len() + row.len();
            self.next_key = following(&key);
            batch.insert(key, row);
        };
        self.open.db.apply_batch(batch).map_err(handle::fault_from)?;
        Ok(is_at_end)
    }

    fn compare(&mut self, old: &::sled::Db, bytes_max: usize) -> Result<bool, Fault> {
        let mut bytes = 0;
        let from = self.next_key.clone();
        let (mut expected, mut found) = (old.range(from.as_slice()..), self.open.db.range(from.as_slice()..));
        while bytes < bytes_max {
            let expected = expected.next().transpose().map_err(handle::fault_from)?;
            if expected != found.next().transpose().map_err(handle::fault_from)? {
                return Err(Fault::Damaged("the copy has other rows than the store".to_owned()));
            }
            let Some((key, row)) = expected else { return Ok(true) };
            bytes += key.len() + row.len();
            self.next_key = following(&key);
        }
        Ok(false)
    }

    fn sync(&self, disk: &dyn Disk) -> Result<(), Fault> {
        guarded(|| self.open.db.flush().map_err(handle::fault_from))?;
        Ok(disk.sync_file(&self.dir.join("db"), &self.open.log)?)
    }
}

/// The least key above this one.
fn following(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}
