//! The directory of a store: which names are in it, whether it is one, and how it comes into being.
//!
//! Knows nothing of sled's files but that they live in a directory per generation.
//! `docs/storage-format.md` describes the layout.
//!
//! Invariant: a directory that is not a store is never written to.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use twox_hash::XxHash3_128;

use super::disk::Disk;
use super::fault::Fault;
use crate::storage::OpenError;

/// The file whose lock excludes other processes.
pub(super) const LOCK: &str = "LOCK";
/// The file that makes a directory a store, and names its generation.
pub(super) const MARKER: &str = "TALLYGATE";
/// The file that knows the last acknowledged commit.
pub(super) const WITNESS: &str = "ACKED";
/// The directory with the copy that is checked before the store itself is opened.
pub(super) const CHECK: &str = "check";
/// The file that is written to see whether there is room again.
pub(super) const PROBE: &str = "PROBE";

/// The marker while it is written.
const MARKER_NEW: &str = "TALLYGATE.new";
/// What a fresh file system puts into its top directory.
const LOST_AND_FOUND: &str = "lost+found";
/// The format of the directory that this version writes, and the newest that it reads.
const LAYOUT_FORMAT: u32 = 1;

/// What a directory is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none, it is empty, or it holds only what the first moments of a creation leave.
    Vacant,
    /// A store has been begun here; nothing was ever committed to it.
    Unfinished,
    /// A store of this generation.
    Store(u64),
}

/// Looks at a directory without changing it.
pub(super) fn classify(path: &Path) -> Result<Kind, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kind::Vacant),
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if names.iter().any(|name| name == MARKER) {
        let generation = read_marker(&path.join(MARKER)).map_err(|fault| fault.into_open(path))?;
        return Ok(if generation == 0 { Kind::Unfinished } else { Kind::Store(generation) });
    }
    if names.iter().any(|name| name.starts_with("gen-")) && names.iter().any(|name| name == WITNESS) {
        let reason = format!("the file {MARKER} is missing");
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    match names.iter().find(|name| ![LOCK, MARKER_NEW, LOST_AND_FOUND].contains(&name.as_str())) {
        Some(name) => Err(OpenError::NotAStore { path: path.to_owned(), found: name.clone() }),
        None => Ok(Kind::Vacant),
    }
}

/// Creates the directory where there is none, for its owner only.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Takes the lock. It ends with the file, so also when the process is killed.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let name = path.join(LOCK);
    let io = |source| OpenError::Io { path: name.clone(), source };
    let file =
        File::options().write(true).create(true).truncate(false).mode(0o600).open(&name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// The directory with the engine's files of a generation.
pub(super) fn generation_dir(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("gen-{generation}"))
}

/// Replaces the marker durably and as one: after a crash there is the old one or the new one.
pub(super) fn write_marker(path: &Path, generation: u64, disk: &dyn Disk) -> io::Result<()> {
    let new = path.join(MARKER_NEW);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(marker_text(LAYOUT_FORMAT, generation).as_bytes())?;
    disk.sync_file(&new, &file)?;
    fs::rename(&new, path.join(MARKER))?;
    disk.sync_dir(path)
}

/// Makes the directory's own name durable.
pub(super) fn sync_parent(path: &Path, disk: &dyn Disk) -> io::Result<()> {
    disk.sync_dir(fs::canonicalize(path)?.parent().unwrap_or(Path::new("/")))
}

/// Removes what only an opening or reopening process needs: a killed one leaves it behind.
pub(super) fn remove_leftovers(path: &Path) -> io::Result<()> {
    for result in [
        fs::remove_dir_all(path.join(CHECK)),
        fs::remove_file(path.join(PROBE)),
        fs::remove_file(path.join(MARKER_NEW)),
    ] {
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes what a crash during a compaction has left: all generations but the one in use.
pub(super) fn remove_other_generations(path: &Path, in_use: u64) -> io::Result<()> {
    let in_use = generation_dir(path, in_use);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("gen-") && entry.path() != in_use {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory, or whatever a loss of power has left under its name, where it is there.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(dir),
        Ok(_) => fs::remove_file(dir),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Renames a store aside, so that a new one can begin in its place, and says where it is now:
/// `<path>.damaged-<seconds since 1970>`, with a number behind it where that is taken.
///
/// Where the path is a symbolic link, the link is renamed: what it leads to stays where it is.
pub fn quarantine(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let name = path.file_name().ok_or_else(|| io::Error::other("a file system's root cannot be renamed"))?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    for number in 0_u32.. {
        let mut aside = name.to_owned();
        aside.push(format!(".damaged-{seconds}"));
        if number > 0 {
            aside.push(format!("-{number}"));
        }
        let aside = path.with_file_name(aside);
        if aside.symlink_metadata().is_ok() {
            continue;
        }
        fs::rename(&path, &aside)?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        return Ok(aside);
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name to rename it to is taken"))
}

fn marker_text(format: u32, generation: u64) -> String {
    let body = format!("tallygate store\nformat {format}\ngeneration {generation}\n");
    let check = XxHash3_128::oneshot(body.as_bytes());
    format!("{body}check {check:032x}\n")
}

pub(super) fn read_marker(path: &Path) -> Result<u64, Fault> {
    let unreadable = || Fault::Damaged(format!("the file {MARKER} is unreadable"));
    let bytes = fs::read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (body, check) = text.split_once("check ").ok_or_else(unreadable)?;
    if check != format!("{:032x}\n", XxHash3_128::oneshot(body.as_bytes())) {
        return Err(unreadable());
    }
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
    let format: u32 = field("format ").and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    if format > LAYOUT_FORMAT {
        return Err(Fault::Newer { found: format, supported: LAYOUT_FORMAT });
    }
    field("generation ").and_then(|text| text.parse().ok()).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sled_engine::disk::SystemDisk;

    #[test]
    fn every_flipped_bit_of_a_marker_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(MARKER);
        let good = marker_text(LAYOUT_FORMAT, 1).into_bytes();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &bad).unwrap();
            assert!(matches!(read_marker(&file), Err(Fault::Damaged(_))), "bit {bit}");
        }
        for length in 0..good.len() {
            fs::write(&file, &good[..length]).unwrap();
            assert!(matches!(read_marker(&file), Err(Fault::Damaged(_))), "length {length}");
        }
    }

    #[test]
    fn a_marker_of_a_newer_version_is_told_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER), marker_text(2, 1)).unwrap();
        let error = classify(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    }

    #[test]
    fn a_directory_is_known_for_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(classify(&dir.path().join("absent")).unwrap(), Kind::Vacant);
        assert_eq!(classify(dir.path()).unwrap(), Kind::Vacant);
        fs::create_dir(dir.path().join(LOST_AND_FOUND)).unwrap();
        fs::write(dir.path().join(LOCK), "").unwrap();
        assert_eq!(classify(dir.path()).unwrap(), Kind::Vacant);
        write_marker(dir.path(), 0, &SystemDisk).unwrap();
        assert_eq!(classify(dir.path()).unwrap(), Kind::Unfinished);
        write_marker(dir.path(), 3, &SystemDisk).unwrap();
        assert_eq!(classify(dir.path()).unwrap(), Kind::Store(3));
        fs::remove_file(dir.path().join(MARKER)).unwrap();
        fs::write(dir.path().join(WITNESS), "").unwrap();
        fs::create_dir(dir.path().join("gen-1")).unwrap();
        assert!(matches!(classify(dir.path()), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn a_quarantined_store_keeps_its_files_under_a_free_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let mut asides = Vec::new();
        for round in 0..3 {
            fs::create_dir(&store).unwrap();
            fs::write(store.join("file"), [round]).unwrap();
            asides.push(quarantine(&store).unwrap());
            assert!(!store.exists());
        }
        std::os::unix::fs::symlink(&asides[0], &store).unwrap();
        let link = quarantine(&store).unwrap();
        assert_eq!(fs::read(link.join("file")).unwrap(), [0]);
        assert!(store.symlink_metadata().is_err());
        for (round, aside) in (0..).zip(&asides) {
            assert!(aside.file_name().unwrap().to_string_lossy().starts_with("store.damaged-"));
            assert_eq!(fs::read(aside.join("file")).unwrap(), [round]);
        }
    }
}
