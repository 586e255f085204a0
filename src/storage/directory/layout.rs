//! The directory of a store: which names are in it, whether it is one, and how it comes into being.
//!
//! Knows nothing of an engine's files but that they live in a directory per generation.
//! `docs/storage-format.md` describes the layout.
//!
//! Invariant: a directory that is not a store is never written to.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use twox_hash::XxHash3_128;

use super::disk::{Disk, sync_tree};
use super::fault::Fault;
use crate::storage::{EngineKind, OpenError};

/// The file whose lock excludes other processes.
pub(in crate::storage) const LOCK: &str = "LOCK";
/// The file that makes a directory a store, and names its generation.
pub(in crate::storage) const MARKER: &str = "TALLYGATE";
/// The file that knows the last acknowledged commit.
pub(in crate::storage) const WITNESS: &str = "ACKED";
/// The directory with the copy that is checked before the store itself is opened.
pub(in crate::storage) const CHECK: &str = "check";
/// The file that is written to see whether there is room again.
pub(in crate::storage) const PROBE: &str = "PROBE";

/// The marker while it is written.
const MARKER_NEW: &str = "TALLYGATE.new";
/// What a fresh file system puts into its top directory.
const LOST_AND_FOUND: &str = "lost+found";
/// The newest format of the directory that this version reads and writes. In format 1, which stores of sled
/// have, the marker does not name the engine; since format 2 it does.
const LAYOUT_FORMAT: u32 = 2;

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Marker {
    /// The engine that keeps the store.
    pub(in crate::storage) engine: EngineKind,
    /// The generation in use; 0 while the store is being created.
    pub(in crate::storage) generation: u64,
}

/// What a directory is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::storage) enum Kind {
    /// There is none, it is empty, or it holds only what the first moments of a creation leave.
    Vacant,
    /// A store has been begun here; nothing was ever committed to it.
    Unfinished,
    /// A store of this generation.
    Store(u64),
}

/// Takes the directory for a process that opens it as a store of this engine, creates it where there is none,
/// and says what it is. Other processes are kept out for as long as the lock lives.
pub(in crate::storage) fn enter(path: &Path, engine: EngineKind) -> Result<(File, Kind), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if classify(path, engine)? == Kind::Vacant {
        create_dir(path).map_err(io)?;
    }
    let lock = lock(path)?;
    let kind = classify(path, engine)?;
    remove_leftovers(path).map_err(io)?;
    Ok((lock, kind))
}

/// Begins a store, and gives the empty directory of its first generation. Until [`finish`] the directory is a
/// store that was never finished.
pub(in crate::storage) fn begin(path: &Path, engine: EngineKind, disk: &dyn Disk) -> io::Result<PathBuf> {
    write_marker(path, Marker { engine, generation: 0 }, disk)?;
    let dir = generation_dir(path, 1);
    remove(&dir)?;
    DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

/// Makes durable what [`begin`] has begun and the engine has filled: from here on the directory is a store.
pub(in crate::storage) fn finish(path: &Path, engine: EngineKind, disk: &dyn Disk) -> io::Result<()> {
    sync_tree(disk, &generation_dir(path, 1))?;
    write_marker(path, Marker { engine, generation: 1 }, disk)?;
    disk.sync_dir(fs::canonicalize(path)?.parent().unwrap_or(Path::new("/")))?;
    // A path that is mistyped, or a file system that is not mounted, would look like any other start.
    tracing::info!(path = %path.display(), %engine, "there was no store; a new one was made");
    Ok(())
}

/// Looks at a directory without changing it. A store that another engine keeps is an error; what was only
/// begun may be begun anew by any engine.
pub(in crate::storage) fn classify(path: &Path, asked: EngineKind) -> Result<Kind, OpenError> {
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
        let marker = read_marker(&path.join(MARKER)).map_err(|fault| fault.into_open(path))?;
        return match marker {
            Marker { generation: 0, .. } => Ok(Kind::Unfinished),
            Marker { engine, generation } if engine == asked => Ok(Kind::Store(generation)),
            Marker { engine: found, .. } => {
                Err(OpenError::OtherEngine { path: path.to_owned(), found, asked })
            }
        };
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
fn create_dir(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Takes the lock. It ends with the file, so also when the process is killed.
fn lock(path: &Path) -> Result<File, OpenError> {
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
pub(in crate::storage) fn generation_dir(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("gen-{generation}"))
}

/// Replaces the marker durably and as one: after a crash there is the old one or the new one.
pub(in crate::storage) fn write_marker(path: &Path, marker: Marker, disk: &dyn Disk) -> io::Result<()> {
    let new = path.join(MARKER_NEW);
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(marker_text(marker).as_bytes())?;
    disk.sync_file(&new, &file)?;
    fs::rename(&new, path.join(MARKER))?;
    disk.sync_dir(path)
}

/// Removes what only an opening or reopening process needs: a killed one leaves it behind.
fn remove_leftovers(path: &Path) -> io::Result<()> {
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

/// Removes what a crash during a compaction has left: all generations but the one in use. What cannot be
/// removed takes room and does no other harm.
pub(in crate::storage) fn remove_other_generations(path: &Path, in_use: u64) {
    if let Err(error) = try_remove_other_generations(path, in_use) {
        tracing::warn!(err = %error, "cannot remove an unused copy of the store");
    }
}

fn try_remove_other_generations(path: &Path, in_use: u64) -> io::Result<()> {
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
pub(in crate::storage) fn remove(dir: &Path) -> io::Result<()> {
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

fn marker_text(marker: Marker) -> String {
    let Marker { engine, generation } = marker;
    sealed(&match engine {
        EngineKind::Sled => format!("tallygate store\nformat 1\ngeneration {generation}\n"),
        EngineKind::Redb => {
            format!("tallygate store\nformat {LAYOUT_FORMAT}\ngeneration {generation}\nengine {engine}\n")
        }
    })
}

/// The text with its check.
fn sealed(body: &str) -> String {
    format!("{body}check {check:032x}\n", check = XxHash3_128::oneshot(body.as_bytes()))
}

pub(in crate::storage) fn read_marker(path: &Path) -> Result<Marker, Fault> {
    let unreadable = || Fault::Damaged(format!("the file {MARKER} is unreadable"));
    let bytes = fs::read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (body, _) = text.split_once("check ").ok_or_else(unreadable)?;
    if text != sealed(body) {
        return Err(unreadable());
    }
    let field = |name: &str| body.lines().find_map(|line| line.strip_prefix(name));
    let format: u32 = field("format ").and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    if format > LAYOUT_FORMAT {
        return Err(Fault::Newer { found: format, supported: LAYOUT_FORMAT });
    }
    let engine = if format == 1 {
        EngineKind::Sled
    } else {
        field("engine ").and_then(EngineKind::from_name).ok_or_else(unreadable)?
    };
    let generation = field("generation ").and_then(|text| text.parse().ok()).ok_or_else(unreadable)?;
    Ok(Marker { engine, generation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::directory::disk::SystemDisk;

    #[test]
    fn every_flipped_bit_of_a_marker_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(MARKER);
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            let good = marker_text(Marker { engine, generation: 1 }).into_bytes();
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
    }

    #[test]
    fn a_marker_of_a_newer_version_is_told_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER), sealed("tallygate store\nformat 3\n")).unwrap();
        let error = classify(dir.path(), EngineKind::Sled).unwrap_err();
        assert!(matches!(error, OpenError::NewerFormat { found: 3, supported: 2, .. }), "{error}");
    }

    /// Stores from before there was a choice of engines have such a marker.
    #[test]
    fn a_marker_without_an_engine_is_one_of_sled() {
        let dir = tempfile::tempdir().unwrap();
        let body = "tallygate store\nformat 1\ngeneration 4\n";
        fs::write(dir.path().join(MARKER), sealed(body)).unwrap();
        let sled = Marker { engine: EngineKind::Sled, generation: 4 };
        assert_eq!(read_marker(&dir.path().join(MARKER)).unwrap(), sled);
        assert_eq!(marker_text(sled), sealed(body));
    }

    #[test]
    fn a_store_is_opened_by_its_own_engine_only() {
        for (engine, other) in [(EngineKind::Sled, EngineKind::Redb), (EngineKind::Redb, EngineKind::Sled)] {
            let dir = tempfile::tempdir().unwrap();
            write_marker(dir.path(), Marker { engine, generation: 0 }, &SystemDisk).unwrap();
            assert_eq!(classify(dir.path(), other).unwrap(), Kind::Unfinished);
            write_marker(dir.path(), Marker { engine, generation: 2 }, &SystemDisk).unwrap();
            assert_eq!(classify(dir.path(), engine).unwrap(), Kind::Store(2));
            let error = classify(dir.path(), other).unwrap_err();
            assert!(
                matches!(error, OpenError::OtherEngine { found, asked, .. } if (found, asked) == (engine, other))
            );
        }
    }

    #[test]
    fn a_directory_is_known_for_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(classify(&dir.path().join("absent"), EngineKind::Sled).unwrap(), Kind::Vacant);
        assert_eq!(classify(dir.path(), EngineKind::Sled).unwrap(), Kind::Vacant);
        fs::create_dir(dir.path().join(LOST_AND_FOUND)).unwrap();
        fs::write(dir.path().join(LOCK), "").unwrap();
        assert_eq!(classify(dir.path(), EngineKind::Sled).unwrap(), Kind::Vacant);
        write_marker(dir.path(), Marker { engine: EngineKind::Sled, generation: 0 }, &SystemDisk).unwrap();
        assert_eq!(classify(dir.path(), EngineKind::Sled).unwrap(), Kind::Unfinished);
        write_marker(dir.path(), Marker { engine: EngineKind::Sled, generation: 3 }, &SystemDisk).unwrap();
        assert_eq!(classify(dir.path(), EngineKind::Sled).unwrap(), Kind::Store(3));
        fs::remove_file(dir.path().join(MARKER)).unwrap();
        fs::write(dir.path().join(WITNESS), "").unwrap();
        fs::create_dir(dir.path().join("gen-1")).unwrap();
        assert!(matches!(classify(dir.path(), EngineKind::Sled), Err(OpenError::Damaged { .. })));
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
