//! Damaged files: a store gives back exactly what was committed, or refuses to open.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Chance, Records, apply, close, load, open, plant, some_batch, tree};
use crate::storage::{Engine, OpenError, SledEngine, SledOptions};

const ROUNDS: usize = 220;

/// A store with some hundred records that were overwritten several times, reopened in between.
fn build(path: &Path) -> (BTreeMap<String, Vec<u8>>, Records) {
    let mut records = Records::new();
    let mut chance = Chance(31);
    for _ in 0..3 {
        let mut engine = open(path);
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
fn harm(files: &mut BTreeMap<String, Vec<u8>>, chance: &mut Chance) -> String {
    let names: Vec<String> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(name, _)| name.clone()).collect();
    // The log is where the records are: every second harm goes there, the others anywhere.
    let name = match chance.below(2) {
        0 => "gen-1/db".to_owned(),
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

#[test]
fn damage_is_harmless_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, records) = build(&dir.path().join("whole"));
    assert!(records.len() > 150);
    let path = dir.path().join("store");
    let mut chance = Chance(32);
    let (mut harmless, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let mut files = whole.clone();
        let harm = harm(&mut files, &mut chance);
        plant(&path, &files);
        match SledEngine::open(&path, &SledOptions::default()) {
            Ok(mut engine) => {
                assert!(load(&mut engine).unwrap() == records, "round {round}: {harm}: other records");
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
    assert!(harmless > 0 && refused > 20, "{harmless} harmless, {refused} refused");
}

/// The end of the log is where damage looks like a crash.
#[test]
fn a_damaged_end_is_not_taken_for_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, _) = build(&dir.path().join("whole"));
    let log = &whole["gen-1/db"];
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    let path = dir.path().join("store");
    for back in [0, 1, 10, 50, 100, 1_000] {
        let mut files = whole.clone();
        files.get_mut("gen-1/db").unwrap()[end - back] ^= 4;
        plant(&path, &files);
        if let Ok(mut engine) = SledEngine::open(&path, &SledOptions::default()) {
            let found = load(&mut engine).unwrap();
            drop(engine);
            let records = load(&mut open(&dir.path().join("whole"))).unwrap();
            assert!(found == records, "{back} bytes before the end: other records");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
