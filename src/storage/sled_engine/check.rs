//! Checking a store without touching it.
//!
//! Opening sled rewrites its files: it clears the end of the log, wipes segments that do not fit, cuts
//! the file, writes a snapshot. On damaged files that destroys what could still be saved. So a copy is
//! opened first and read to its end, and the store itself only once the copy has proved sound. The copy
//! is made with the file system's help where it has any (reflinks), is not synced, and is removed at
//! once.
//!
//! Invariant: nothing outside the directory of the copy is written.

use std::fs;
use std::io;
use std::path::Path;

use super::fault::Fault;
use super::handle;
use super::head::Head;
use super::read::read_all;
use super::witness::compare;

/// What a check has found in a sound store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// It opens as it stands.
    AsItStands,
    /// It opens without its snapshots: one is damaged, and the log that it sums up is whole.
    WithoutSnapshots,
}

/// Opens a copy, at `copy`, of the engine's files in `dir`, reads it to its end, and compares it with
/// what the witness has seen. The copy is gone afterwards.
pub(super) fn check(dir: &Path, copy: &Path, seen: Head, cache_bytes: u64) -> Result<Sound, Fault> {
    let result = match check_copy(dir, copy, Sound::AsItStands, seen, cache_bytes) {
        Err(Fault::Damaged(reason)) => {
            check_copy(dir, copy, Sound::WithoutSnapshots, seen, cache_bytes).map_err(|fault| match fault {
                // What was wrong first says more.
                Fault::Damaged(_) => Fault::Damaged(reason),
                other => other,
            })
        }
        other => other,
    };
    remove(copy)?;
    result
}

fn check_copy(dir: &Path, copy: &Path, way: Sound, seen: Head, cache_bytes: u64) -> Result<Sound, Fault> {
    remove(copy)?;
    copy_files(dir, copy, way == Sound::AsItStands)?;
    handle::fill_last_segment(copy)?;
    let db = handle::open(copy, cache_bytes)?;
    let head = read_all(&db, &mut |_, _| {}).map(|ledger| ledger.head());
    handle::release(db, super::RELEASE_WAIT)?;
    compare(seen, head?)?;
    Ok(way)
}

fn copy_files(from: &Path, to: &Path, snapshots: bool) -> Result<(), Fault> {
    fs::create_dir(to)?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::Damaged("the directory of its generation is missing".to_owned()));
        }
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &to.join(&name), snapshots)?;
        } else if !text.starts_with("snap.") || (snapshots && !text.ends_with(".generating")) {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

fn remove(copy: &Path) -> io::Result<()> {
    match fs::remove_dir_all(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
