//! Loss of power: what was acknowledged is there, and nothing half.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Chance, Kept, Records, apply, load, on_every_engine, small_batch, some_batch, tidal_batch};
use crate::storage::testing::{Cut, LosingDisk};
use crate::storage::{Disk as _, Engine};

on_every_engine!(
    no_acknowledged_commit_is_lost_while_the_store_grows_and_shrinks,
    no_acknowledged_commit_is_lost_by_a_store_that_grows_and_shrinks,
    no_acknowledged_commit_is_lost,
    no_acknowledged_small_commit_is_lost,
    no_acknowledged_commit_is_lost_in_a_long_run,
    a_missing_sync_would_be_noticed,
    a_commit_in_flight_is_whole_or_not_there,
    a_failed_sync_is_made_good_when_opened_again
);

/// Makes everything below a directory durable on a disk that did not see it written.
pub(super) fn sync_all(disk: &LosingDisk, dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sync_all(disk, &path);
        } else {
            disk.sync_file(&path, &fs::File::open(&path).unwrap()).unwrap();
        }
    }
    disk.sync_dir(dir).unwrap();
}

/// What a store holds after a cut, or why it is refused.
fn found<E: Kept>(path: &Path, disk: &Arc<LosingDisk>) -> Result<Records, String> {
    let mut engine = E::open_on(path, disk.clone()).map_err(|error| error.to_string())?;
    load(&mut engine).map_err(|error| error.to_string())
}

fn commit_some(engine: &mut impl Engine, records: &mut Records, chance: &mut Chance, most: usize) {
    for _ in 0..=chance.below(most) {
        let batch = some_batch(chance, 60);
        engine.commit(&batch).unwrap();
        apply(records, &batch);
    }
}

/// The power goes again and again, each time on what the last cut has left.
fn no_acknowledged_commit_is_lost<E: Kept>() {
    cut_again_and_again::<E>(45, 21, |engine, records, chance| commit_some(engine, records, chance, 25));
}

/// The same, with small commits only, often more of them than sled's journal holds.
fn no_acknowledged_small_commit_is_lost<E: Kept>() {
    cut_again_and_again::<E>(30, 27, |engine, records, chance| {
        for _ in 0..=chance.below(40) {
            let batch = small_batch(chance, 60);
            engine.commit(&batch).unwrap();
            apply(records, &batch);
        }
    });
}

/// The same, while the files become longer and shorter.
fn no_acknowledged_commit_is_lost_by_a_store_that_grows_and_shrinks<E: Kept>() {
    let mut round = 0;
    cut_again_and_again::<E>(16, 29, |engine, records, chance| {
        for _ in 0..=chance.below(7) {
            let batch = tidal_batch(chance, round);
            engine.commit(&batch).unwrap();
            apply(records, &batch);
            round += 1;
        }
    });
}

fn cut_again_and_again<E: Kept>(
    rounds: usize,
    seed: u64,
    mut commit: impl FnMut(&mut E, &mut Records, &mut Chance),
) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(LosingDisk::default());
    let mut chance = Chance(seed);
    let mut path = dir.path().join("store-0");
    let mut records = Records::new();
    for round in 0..rounds {
        let mut engine = E::open_on(&path, disk.clone()).unwrap();
        assert!(load(&mut engine).unwrap() == records, "round {round}");
        commit(&mut engine, &mut records, &mut chance);
        let cut = if round % 3 == 0 { Cut::LosesAll } else { Cut::LosesSome(chance.next()) };
        let next = dir.path().join(format!("store-{}", round + 1));
        disk.cut(&path, &next, cut).unwrap();
        drop(engine);
        fs::remove_dir_all(&path).unwrap();
        path = next;
    }
    assert!(found::<E>(&path, &disk).unwrap() == records);
}

/// The power goes at many moments of one long run, in which sled cleans and reuses segments of its log.
fn no_acknowledged_commit_is_lost_in_a_long_run<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(LosingDisk::default());
    let mut chance = Chance(24);
    let path = dir.path().join("store");
    let mut records = Records::new();
    let mut engine = E::open_on(&path, disk.clone()).unwrap();
    for round in 0..40 {
        commit_some(&mut engine, &mut records, &mut chance, 25);
        let after = dir.path().join("after");
        disk.cut(&path, &after, Cut::LosesSome(chance.next())).unwrap();
        assert!(found::<E>(&after, &Arc::default()).unwrap() == records, "round {round}");
        fs::remove_dir_all(&after).unwrap();
    }
}

/// The power goes while the files become longer and shorter.
fn no_acknowledged_commit_is_lost_while_the_store_grows_and_shrinks<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(LosingDisk::default());
    let mut chance = Chance(26);
    let path = dir.path().join("store");
    let after = dir.path().join("after");
    let mut records = Records::new();
    let mut engine = E::open_on(&path, disk.clone()).unwrap();
    let mut lengths = BTreeSet::new();
    for round in 0..40 {
        let batch = tidal_batch(&mut chance, round);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        lengths.insert(fs::metadata(path.join(E::FILE)).unwrap().len());
        disk.cut(&path, &after, Cut::LosesSome(chance.next())).unwrap();
        assert!(found::<E>(&after, &Arc::default()).unwrap() == records, "round {round}");
        fs::remove_dir_all(&after).unwrap();
    }
    assert!(lengths.len() > 1, "{lengths:?}");
}

/// The proof that the tests above would see a commit without its sync.
fn a_missing_sync_would_be_noticed<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let mut chance = Chance(25);
    let mut lost = 0;
    for round in 0..6 {
        let disk = Arc::new(LosingDisk::default());
        let path = dir.path().join(format!("store-{round}"));
        let mut engine = E::open_on(&path, disk.clone()).unwrap();
        let mut records = Records::new();
        commit_some(&mut engine, &mut records, &mut chance, 10);
        disk.lie();
        commit_some(&mut engine, &mut records, &mut chance, 10);
        let after = dir.path().join(format!("after-{round}"));
        let cut = if round % 2 == 0 { Cut::LosesAll } else { Cut::LosesSome(chance.next()) };
        disk.cut(&path, &after, cut).unwrap();
        lost += usize::from(found::<E>(&after, &disk).as_ref() != Ok(&records));
    }
    assert!(lost >= 3, "{lost} of 6 losses were seen");
}

/// The same, in the middle of a commit: the batch in flight is there, whole, or not at all.
fn a_commit_in_flight_is_whole_or_not_there<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let mut chance = Chance(22);
    let mut landed = [0, 0];
    for round in 0..30 {
        let path = dir.path().join(format!("store-{round}"));
        let disk = Arc::new(LosingDisk::default());
        let mut engine = E::open_on(&path, disk.clone()).unwrap();
        let mut before = Records::new();
        for _ in 0..8 {
            let batch = some_batch(&mut chance, 40);
            engine.commit(&batch).unwrap();
            apply(&mut before, &batch);
        }
        let batch = some_batch(&mut chance, 40);
        let mut after = before.clone();
        apply(&mut after, &batch);
        disk.refuse();
        engine.commit(&batch).unwrap_err();
        let cut_off = dir.path().join("cut-off");
        disk.cut(&path, &cut_off, Cut::LosesSome(chance.next())).unwrap();
        drop(engine);
        let mut engine = E::try_open(&cut_off).unwrap();
        let records = load(&mut engine).unwrap();
        assert!(records == before || records == after, "round {round}");
        landed[usize::from(records == after)] += 1;
        drop(engine);
        fs::remove_dir_all(&cut_off).unwrap();
    }
    assert!(landed[0] > 0, "some batches in flight are lost: {landed:?}");
}

/// A sync that fails leaves the batch in doubt; opening again settles it and makes it durable.
fn a_failed_sync_is_made_good_when_opened_again<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let disk = Arc::new(LosingDisk::default());
    let mut engine = E::open_on(&path, disk.clone()).unwrap();
    let mut chance = Chance(23);
    let mut records = Records::new();
    for round in 0..10 {
        let batch = some_batch(&mut chance, 30);
        disk.refuse();
        engine.commit(&batch).unwrap_err();
        engine.commit(&batch).unwrap_err();
        engine.reopen().unwrap_err();
        disk.obey();
        engine.reopen().unwrap();
        let cut_off = dir.path().join("cut-off");
        disk.cut(&path, &cut_off, Cut::LosesAll).unwrap();
        let durable = load(&mut E::try_open(&cut_off).unwrap()).unwrap();
        fs::remove_dir_all(&cut_off).unwrap();
        assert_eq!(load(&mut engine).unwrap(), durable, "round {round}: what is shown is durable");
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
        assert_eq!(load(&mut engine).unwrap(), records, "round {round}");
    }
}
