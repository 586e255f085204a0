//! The witness: a small file beside the engine's files that knows the last acknowledged commit.
//!
//! A damaged end of sled's log reads like a write that was cut by a crash: sled drops it and gives back
//! an earlier state that is consistent in itself. The witness tells the two apart. It is written after
//! each commit is durable and is itself not synced, so it costs no wait; after a loss of power it may be
//! older than the store, which is no fault. It is never newer: a store that is behind its witness has
//! lost acknowledged commits.
//!
//! Invariant: what the witness says was durable in the engine before it was written here.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::fault::Fault;
use super::head::{HEAD_BYTES, Head, HeadError};

/// The format of the witness, which is the same for every engine.
const WITNESS_FORMAT: u32 = 1;

/// Two slots, in different blocks: a write that is cut spoils only the slot it goes to.
const SLOT_BYTES: usize = 4096;

/// The open witness.
#[derive(Debug)]
pub(in crate::storage) struct Witness {
    path: PathBuf,
    file: File,
}

impl Witness {
    /// Writes a new witness that has seen nothing, and syncs it.
    pub(in crate::storage) fn create(path: &Path, disk: &dyn Disk) -> io::Result<Witness> {
        let file =
            File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all_at(&[0; 2 * SLOT_BYTES], 0)?;
        let witness = Witness { path: path.to_owned(), file };
        witness.record(Head::default())?;
        witness.sync(disk)?;
        Ok(witness)
    }

    /// Opens the witness of an existing store and reads what it has seen.
    pub(in crate::storage) fn open(path: &Path) -> Result<(Witness, Head), Fault> {
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(lost("is missing")),
            Err(error) => return Err(Fault::Io(error)),
        };
        let mut bytes = Vec::new();
        (&mut file).take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?;
        let mut newest: Option<Head> = None;
        for slot in bytes.chunks(SLOT_BYTES) {
            match Head::decode(slot.get(..HEAD_BYTES).unwrap_or_default(), WITNESS_FORMAT) {
                Ok((_, head)) if newest.is_none_or(|newest| newest.sequence < head.sequence) => {
                    newest = Some(head);
                }
                Ok(_) | Err(HeadError::Damaged) => {}
                Err(HeadError::Newer(found)) => {
                    return Err(Fault::Newer { found, supported: WITNESS_FORMAT });
                }
            }
        }
        let head = newest.ok_or_else(|| lost("is unreadable"))?;
        Ok((Witness { path: path.to_owned(), file }, head))
    }

    /// Notes a commit that is durable.
    pub(in crate::storage) fn record(&self, head: Head) -> io::Result<()> {
        let slot = (head.sequence % 2) * SLOT_BYTES as u64;
        self.file.write_all_at(&head.encode(WITNESS_FORMAT), slot)
    }

    /// Makes the last note durable.
    pub(in crate::storage) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.sync_file(&self.path, &self.file)
    }
}

/// Whether a store with this head can be the one that the witness has seen.
pub(in crate::storage) fn compare(seen: Head, store: Head) -> Result<(), Fault> {
    if store.sequence < seen.sequence {
        return Err(Fault::Damaged(format!(
            "commit {} was acknowledged, and the newest that can be read is {}",
            seen.sequence, store.sequence
        )));
    }
    if store.sequence == seen.sequence && store != seen {
        return Err(Fault::Damaged(format!("commit {} is not the one that was acknowledged", seen.sequence)));
    }
    Ok(())
}

/// Whether a store that was read again after a commit in doubt holds what was there before it or after it.
pub(in crate::storage) fn settle(found: Head, before: Head, after: Head) -> Result<(), Fault> {
    if found == before || found == after {
        return Ok(());
    }
    let (left, there) = (before.sequence, found.sequence);
    Err(Fault::Damaged(format!("commit {left} was left and commit {there} is there")))
}

fn lost(what: &str) -> Fault {
    Fault::Damaged(format!("the file {} {what}", super::layout::WITNESS))
}
