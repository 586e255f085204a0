//! Damaged files: a store gives back exactly what was committed, or refuses to open.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Chance, Kept, Records, apply, close, load, on_every_engine, plant, some_batch, tree};
use crate::storage::{Engine as _, OpenError, RedbEngine};

on_every_engine!(damage_is_harmless_or_refused, a_damaged_end_is_not_taken_for_a_crash);

const ROUNDS: usize = 220;

/// A store with some hundred records that were overwritten several times, reopened in between.
fn build<E: Kept>(path: &Path) -> (BTreeMap<String, Vec<u8>>, Records) {
    let mut records = Records::new();
    let mut chance = Chance(31);
    for _ in 0..3 {
        let mut engine = E::open(path);
        for _ in 0..60 {
            let batch = some_batch(&mut chance, 250);
            engine.commit(&batch).unwrap();
            apply(&mut records, &batch);
        }
        close(engine);
    }
    (tree(path), records)
}

/// Flips a bit or cuts the end off one file, and says what it did.
fn harm<E: Kept>(files: &mut BTreeMap<String, Vec<u8>>, chance: &mut Chance) -> String {
    let names: Vec<String> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(name, _)| name.clone()).collect();
    // The log is where the records are: every second harm goes there, the others anywhere.
    let name = match chance.below(2) {
        0 => E::FILE.to_owned(),
        _ => names[chance.below(names.len())].clone(),
    };
    let bytes = files.get_mut(&name).unwrap();
    let place = chance.below(bytes.len());
    if chance.below(4) == 0 {
        bytes.truncate(place);
        format!("{name} cut to {place} bytes")
    } else {
        let bit = chance.below(8);
        bytes[place] ^= 1 << bit;
        format!("{name} with bit {bit} of byte {place} flipped")
    }
}

fn damage_is_harmless_or_refused<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, records) = build::<E>(&dir.path().join("whole"));
    assert!(records.len() > 150);
    let path = dir.path().join("store");
    let mut chance = Chance(32);
    let (mut harmless, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let mut files = whole.clone();
        let harm = harm::<E>(&mut files, &mut chance);
        plant(&path, &files);
        match E::try_open(&path) {
            Ok(mut engine) => {
                assert!(load(&mut engine).unwrap() == records, "round {round}: {harm}: other records");
                if harmless % 4 == 0 {
                    go_on(engine, records.clone(), &path, &format!("round {round}: {harm}"));
                }
                harmless += 1;
            }
            Err(OpenError::Damaged { reason, .. }) => {
                assert!(!reason.is_empty() && !reason.contains('\n'), "round {round}: {harm}: {reason}");
                assert!(tree(&path) == files, "round {round}: {harm}: a refused store has changed");
                refused += 1;
            }
            Err(error) => panic!("round {round}: {harm}: {error}"),
        }
        fs::remove_dir_all(&path).unwrap();
    }
    eprintln!("{ROUNDS} harms: {harmless} harmless, {refused} refused");
    assert!(harmless > 0 && refused > 20, "{harmless} harmless, {refused} refused");
}

/// A store that was opened must also be one that can be written to.
fn go_on<E: Kept>(mut engine: E, mut records: Records, path: &Path, what: &str) {
    let mut chance = Chance(34);
    for _ in 0..3 {
        let batch = some_batch(&mut chance, 250);
        engine.commit(&batch).unwrap_or_else(|error| panic!("{what}: {error}"));
        apply(&mut records, &batch);
    }
    close(engine);
    assert!(load(&mut E::open(path)).unwrap() == records, "{what}: other records after some commits");
}

/// The end of the log is where damage looks like a crash.
fn a_damaged_end_is_not_taken_for_a_crash<E: Kept>() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, _) = build::<E>(&dir.path().join("whole"));
    let log = &whole[E::FILE];
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    let path = dir.path().join("store");
    for back in [0, 1, 10, 50, 100, 1_000] {
        let mut files = whole.clone();
        files.get_mut(E::FILE).unwrap()[end - back] ^= 4;
        plant(&path, &files);
        if let Ok(mut engine) = E::try_open(&path) {
            let found = load(&mut engine).unwrap();
            drop(engine);
            let records = load(&mut E::open(&dir.path().join("whole"))).unwrap();
            assert!(found == records, "{back} bytes before the end: other records");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

/// redb's newest state is what its header names, and a crash leaves a header that it goes back behind where
/// the newest state is not whole.
#[test]
fn a_damaged_header_is_not_taken_for_a_crash() {
    const HEADER_BYTES: usize = 320;
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let mut records = Records::new();
    let mut chance = Chance(33);
    let mut engine = <RedbEngine as Kept>::open(&whole);
    for _ in 0..6 {
        let batch = some_batch(&mut chance, 20);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    drop(engine);
    let files = tree(&whole);
    let path = dir.path().join("store");
    let (mut harmless, mut refused, mut rolled_back) = (0, 0, 0);
    for place in 0..HEADER_BYTES {
        let mut files = files.clone();
        files.get_mut(RedbEngine::FILE).unwrap()[place] ^= 1 << (place % 8);
        plant(&path, &files);
        match RedbEngine::try_open(&path) {
            Ok(mut engine) => {
                assert!(load(&mut engine).unwrap() == records, "byte {place}: other records");
                harmless += 1;
            }
            Err(OpenError::Damaged { reason, .. }) => {
                assert!(tree(&path) == files, "byte {place}: a refused store has changed");
                rolled_back += usize::from(reason.contains("was acknowledged"));
                refused += 1;
            }
            Err(error) => panic!("byte {place}: {error}"),
        }
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(harmless > 0 && refused > 50 && rolled_back > 0, "{harmless}, {refused}, {rolled_back}");
}

/// What redb keeps for itself, its list of free pages above all, is in no record. Damage to it must be found
/// before a commit relies on it.
#[test]
fn damage_to_what_only_redb_reads_is_found_at_the_start() {
    const PAGE_BYTES: usize = 4096;
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let mut records = Records::new();
    let mut chance = Chance(35);
    let mut engine = <RedbEngine as Kept>::open(&whole);
    for _ in 0..8 {
        let batch = some_batch(&mut chance, 12);
        engine.commit(&batch).unwrap();
        apply(&mut records, &batch);
    }
    close(engine);
    let files = tree(&whole);
    let path = dir.path().join("store");
    let (mut harmless, mut refused) = (0, 0);
    for (number, page) in files[RedbEngine::FILE].chunks(PAGE_BYTES).enumerate().skip(1) {
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        for (place, bit) in [(2, 2), (8, 0), (20, 4)] {
            let mut files = files.clone();
            files.get_mut(RedbEngine::FILE).unwrap()[number * PAGE_BYTES + place] ^= 1 << bit;
            plant(&path, &files);
            let what = format!("page {number} with bit {bit} of byte {place} flipped");
            match RedbEngine::try_open(&path) {
                Ok(mut engine) => {
                    assert!(load(&mut engine).unwrap() == records, "{what}: other records");
                    go_on(engine, records.clone(), &path, &what);
                    harmless += 1;
                }
                Err(OpenError::Damaged { .. }) => {
                    assert!(tree(&path) == files, "{what}: a refused store has changed");
                    refused += 1;
                }
                Err(error) => panic!("{what}: {error}"),
            }
            fs::remove_dir_all(&path).unwrap();
        }
    }
    assert!(harmless > 20 && refused > 20, "{harmless} harmless, {refused} refused");
}
