//! A disk that loses power.
//!
//! [`LosingDisk`] remembers what was synced: a file's bytes by its inode, a directory's names by its
//! path. [`LosingDisk::cut`] writes what a machine may find after a loss of power: what was synced for
//! certain, of the rest as much as chance let through. Names and bytes are lost independently of each
//! other, and bytes by blocks of 4 KiB, as the page cache writes them. A length that has changed is found as it
//! was, as it is, or between the two: file systems write a long file in parts, and some (btrfs) shorten it in
//! parts. What an engine syncs past the [`Disk`], as sled does, is not known here and counts as not synced.
//!
//! It holds the files in memory: for stores of a few megabytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Chance, unless_gone};
use crate::storage::Disk;

const BLOCK_BYTES: usize = 4096;

/// What was not synced when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it is lost.
    LosesAll,
    /// Each block, each length and each directory's names are lost or there, by chance with this seed.
    LosesSome(u64),
}

/// A disk that knows what was synced.
#[derive(Debug, Default)]
pub struct LosingDisk {
    lies: AtomicBool,
    refuses: AtomicBool,
    synced: Mutex<Synced>,
}

#[derive(Debug, Default)]
struct Synced {
    /// Bytes of a file, by inode.
    bytes: HashMap<u64, Vec<u8>>,
    /// Names in a directory with their inodes, by the directory's path.
    names: BTreeMap<PathBuf, BTreeMap<String, u64>>,
}

impl LosingDisk {
    /// From now on a sync does nothing and claims to have worked. A test that does not notice it tests
    /// nothing.
    pub fn lie(&self) {
        self.lies.store(true, Ordering::SeqCst);
    }

    /// From now on every sync fails, and nothing more becomes durable.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    /// Ends [`refuse`](Self::refuse).
    pub fn obey(&self) {
        self.refuses.store(false, Ordering::SeqCst);
    }

    /// Writes to `to` what is found of the directory `from` if the power goes now. Nothing is remembered
    /// of what is found.
    pub fn peek(&self, from: &Path, to: &Path, cut: Cut) -> io::Result<()> {
        let synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(to)?;
        restore(&synced, &mut Dice::new(cut), &fs::canonicalize(from)?, to)
    }

    /// Whether a sync is to be done, or why it fails.
    fn obeys(&self) -> io::Result<bool> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(io::Error::other("the test says so"));
        }
        Ok(!self.lies.load(Ordering::SeqCst))
    }

    /// Writes to `to` what is found of the directory `from` after the power has gone now.
    pub fn cut(&self, from: &Path, to: &Path, cut: Cut) -> io::Result<()> {
        self.peek(from, to, cut)?;
        // What is found after a cut is on the disk.
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        note_all(&mut synced, &fs::canonicalize(to)?)
    }
}

impl Disk for LosingDisk {
    fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        if self.obeys()? {
            // Read by the path: the handle may be for writing only.
            let bytes = fs::read(path)?;
            let inode = file.metadata()?.ino();
            self.synced.lock().unwrap_or_else(PoisonError::into_inner).bytes.insert(inode, bytes);
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.obeys()? {
            let path = fs::canonicalize(path)?;
            let names = names_in(&path)?;
            self.synced.lock().unwrap_or_else(PoisonError::into_inner).names.insert(path, names);
        }
        Ok(())
    }
}

fn restore(synced: &Synced, dice: &mut Dice, from: &Path, to: &Path) -> io::Result<()> {
    let now = names_in(from).unwrap_or_default();
    let before = synced.names.get(from).cloned().unwrap_or_default();
    // Each name is as it was synced or as it is now.
    let all: BTreeSet<&String> = now.keys().chain(before.keys()).collect();
    for name in all {
        let inode = if now.get(name) == before.get(name) || !dice.survives() {
            before.get(name)
        } else {
            now.get(name)
        };
        let Some(inode) = inode else { continue };
        let (source, target) = (from.join(name), to.join(name));
        // A directory that was removed comes back where its removal was not synced.
        if source.is_dir() || synced.names.contains_key(&source) {
            fs::create_dir_all(&target)?;
            restore(synced, dice, &source, &target)?;
            continue;
        }
        let old = synced.bytes.get(inode).cloned().unwrap_or_default();
        let current = if now.get(name) == Some(inode) { unless_gone(fs::read(&source))? } else { None };
        let new = current.unwrap_or_else(|| old.clone());
        fs::write(&target, mix(&old, &new, dice))?;
    }
    Ok(())
}

fn note_all(synced: &mut Synced, dir: &Path) -> io::Result<()> {
    let names = names_in(dir)?;
    for (name, inode) in &names {
        let path = dir.join(name);
        if path.is_dir() {
            note_all(synced, &path)?;
        } else {
            synced.bytes.insert(*inode, fs::read(&path)?);
        }
    }
    synced.names.insert(dir.to_owned(), names);
    Ok(())
}

/// The bytes of a file of which `old` was synced and `new` was written.
fn mix(old: &[u8], new: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut found = old.to_vec();
    found.resize(dice.length(old.len(), new.len()), 0);
    for (number, block) in new.chunks(BLOCK_BYTES).enumerate() {
        let start = number * BLOCK_BYTES;
        let end = (start + block.len()).min(found.len());
        if start < end && dice.survives() {
            found[start..end].copy_from_slice(&block[..end - start]);
        }
    }
    found
}

fn names_in(dir: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(metadata) = unless_gone(entry.metadata())? {
            names.insert(entry.file_name().to_string_lossy().into_owned(), metadata.ino());
        }
    }
    Ok(names)
}

/// What becomes of each part of what was not synced.
struct Dice {
    /// `None` where all is lost.
    chance: Option<Chance>,
}

impl Dice {
    fn new(cut: Cut) -> Dice {
        match cut {
            Cut::LosesAll => Dice { chance: None },
            Cut::LosesSome(seed) => Dice { chance: Some(Chance(seed)) },
        }
    }

    fn survives(&mut self) -> bool {
        self.chance.as_mut().is_some_and(|chance| chance.next() & 1 == 1)
    }

    /// The length that is found of a file that had one and has another.
    fn length(&mut self, old: usize, new: usize) -> usize {
        if !self.survives() {
            return old;
        }
        let blocks = old.abs_diff(new) / BLOCK_BYTES;
        if blocks == 0 || self.survives() {
            return new;
        }
        old.min(new) + self.chance.as_mut().map_or(0, |chance| chance.below(blocks)) * BLOCK_BYTES
    }
}
