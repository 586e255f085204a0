//! A full disk: a prompt error, and recovery once there is room.
//!
//! Needs a small file system, which only root can mount; elsewhere the test says that it is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Chance, Kept, Records, apply, key, load, on_every_engine};
use crate::storage::{Batch, CommitError};

on_every_engine!(a_full_disk_is_an_error_and_passes, a_store_opens_where_there_is_no_room_for_a_copy);

/// A tmpfs that ends with it.
pub(super) struct SmallDisk(pub(super) PathBuf);

impl SmallDisk {
    pub(super) fn mount(at: &Path, bytes: usize) -> Option<SmallDisk> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn page_batch(chance: &mut Chance, first: usize) -> Batch {
    let mut batch = Batch::default();
    for number in first..first + 20 {
        batch.put(key(number), chance.bytes(3_000));
    }
    batch
}

fn a_full_disk_is_an_error_and_passes<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), 48 << 20) else {
        eprintln!("skipped: no small file system can be mounted here (root is needed)");
        return;
    };
    let path = disk.0.join("store");
    let mut chance = Chance(41);
    let mut engine = E::open(&path);
    let mut acknowledged = Records::new();
    // An engine that uses its room again needs no more for what it overwrites: half of each batch is new.
    let mut firsts = (0..).step_by(10);
    for _ in 0..4 {
        let ballast = disk.0.join("ballast");
        fill(&ballast);
        let doubtful = loop {
            let batch = page_batch(&mut chance, firsts.next().unwrap());
            let begun = Instant::now();
            match engine.commit(&batch) {
                Ok(()) => apply(&mut acknowledged, &batch),
                Err(error) => {
                    assert!(matches!(error, CommitError::Write { .. }), "{error}");
                    assert!(begun.elapsed() < Duration::from_secs(5), "the error is prompt");
                    break batch;
                }
            }
        };
        assert!(matches!(engine.commit(&doubtful), Err(CommitError::NotReopened)));
        assert!(matches!(engine.reopen(), Err(CommitError::Write { .. })), "there is no room yet");
        fs::remove_file(&ballast).unwrap();
        engine.reopen().unwrap();
        let mut landed = acknowledged.clone();
        apply(&mut landed, &doubtful);
        let found = load(&mut engine).unwrap();
        assert!(found == acknowledged || found == landed, "the batch in doubt is whole or not there");
        engine.commit(&doubtful).unwrap();
        acknowledged = landed;
    }
    Box::new(engine).close().unwrap();
    let mut engine = E::open(&path);
    assert!(load(&mut engine).unwrap() == acknowledged);
    drop(engine);
}

/// A start needs room for a copy of the store, and does without it where there is none.
fn a_store_opens_where_there_is_no_room_for_a_copy<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), 24 << 20) else {
        eprintln!("skipped: no small file system can be mounted here (root is needed)");
        return;
    };
    let path = disk.0.join("store");
    let mut engine = E::open(&path);
    let mut chance = Chance(42);
    let mut records = Records::new();
    for _ in 0..60 {
        let first = chance.below(300);
        let batch = page_batch(&mut chance, first);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    Box::new(engine).close().unwrap();
    let ballast = disk.0.join("ballast");
    fill(&ballast);
    fs::File::options()
        .write(true)
        .open(&ballast)
        .unwrap()
        .set_len(fs::metadata(&ballast).unwrap().len() - 300_000)
        .unwrap();
    let mut engine = E::open(&path);
    assert!(load(&mut engine).unwrap() == records);
    assert!(!path.join("check").exists());
}

/// Writes until nothing more goes in.
pub(super) fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    for block in [1 << 20, 1 << 12] {
        while file.write_all(&vec![1; block]).is_ok() {}
    }
}
