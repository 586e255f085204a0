//! What a start makes of what it finds at the store's path.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tallygate::storage::testing::Chance;

use crate::support::engines::{REDB, SLED, on_every_engine, records_file};
use crate::support::process::{Process, scratch, wait_until};
use crate::support::samples::{value, without_own};
use crate::support::workload::Writer;

on_every_engine!(
    damage_is_harmless_or_refused,
    a_damaged_store_is_set_aside_when_asked,
    a_store_of_the_other_engine_is_refused_and_untouched,
    a_store_removed_while_it_is_in_use_takes_no_more_pushes,
    a_new_store_is_told_from_an_old_one,
);

const HARMS: usize = 64;

/// All files below a directory, by their path in it.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn plant(root: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    let _ = fs::remove_dir_all(root);
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Writes a store with some groups, by two runs of a gateway; returns its files and the scrape.
fn some_store(store: &Path, engine: &str) -> (BTreeMap<PathBuf, Vec<u8>>, String) {
    let mut writers = Writer::crew(8);
    let mut scrape = String::new();
    for _ in 0..2 {
        let gateway = Process::start(store, &[engine]);
        for _ in 0..6 {
            for writer in &mut writers {
                assert_eq!(gateway.post(&writer.path(), &writer.next_push()).status, 200);
            }
        }
        scrape = without_own(&gateway.scrape());
        assert!(gateway.stop().success());
    }
    (tree(store), scrape)
}

/// A start that must fail with this exit code: the log.
fn refused(code: i32, flags: &[&str]) -> String {
    let (status, log) = Process::spawn(Process::command(flags)).err().expect("it is refused");
    assert_eq!(status.code(), Some(code), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

fn flag(store: &Path) -> String {
    format!("--persistence.file={}", store.display())
}

/// Flips a bit of a file or cuts it; says what it did.
fn harm(files: &mut BTreeMap<PathBuf, Vec<u8>>, engine: &str, chance: &mut Chance) -> String {
    let names: Vec<_> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(name, _)| name.clone()).collect();
    // Every second harm goes where the records are.
    let records = records_file(engine);
    let name = if chance.below(2) == 0 { records } else { &names[chance.below(names.len())] };
    let bytes = files.get_mut(name).unwrap();
    // Zeros at the end hold nothing.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
    let place = chance.below(end);
    if chance.below(4) == 0 {
        bytes.truncate(place);
        return format!("{} cut to {place} bytes", name.display());
    }
    bytes[place] ^= 1 << chance.below(8);
    format!("{} with a bit of byte {place} flipped", name.display())
}

fn damage_is_harmless_or_refused(engine: &str) {
    let (_scratch, store) = scratch();
    let (whole, scrape) = some_store(&store, engine);
    let mut chance = Chance(7);
    let (mut harmless, mut refusals) = (0, 0);
    for round in 0..HARMS {
        let mut files = whole.clone();
        let harm = harm(&mut files, engine, &mut chance);
        plant(&store, &files);
        match Process::try_start(&store, &[engine]) {
            Ok(gateway) => {
                assert!(without_own(&gateway.scrape()) == scrape, "round {round}: {harm}: another scrape");
                harmless += 1;
            }
            Err((status, log)) => {
                assert_eq!(status.code(), Some(1), "round {round}: {harm}: {log}");
                assert!(log.contains("is damaged: "), "round {round}: {harm}: {log}");
                assert!(log.contains("; put a backup in its place"), "round {round}: {harm}: {log}");
                assert!(!log.contains("panicked"), "round {round}: {harm}: {log}");
                let mut left = tree(&store);
                // A lock file that was not there is made; that it is empty says it holds nothing.
                left.retain(|name, bytes| files.contains_key(name) || !bytes.is_empty());
                assert!(left == files, "round {round}: {harm}: the refused store has changed");
                refusals += 1;
            }
        }
    }
    eprintln!("{HARMS} harms: {harmless} harmless, {refusals} refused");
    assert!(harmless > 0 && refusals > 10, "{harmless} harmless, {refusals} refused");
}

/// A store whose records were cut in the middle.
fn damaged_store(store: &Path, engine: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, _) = some_store(store, engine);
    let records = files.get_mut(records_file(engine)).unwrap();
    records.truncate(records.len() / 2);
    let end = records.iter().rposition(|byte| *byte != 0).unwrap();
    records.truncate(end / 2);
    plant(store, &files);
    files
}

fn a_damaged_store_is_set_aside_when_asked(engine: &str) {
    let (scratch, store) = scratch();
    let files = damaged_store(&store, engine);
    let log = refused(1, &[&flag(&store), engine]);
    assert!(log.contains("is damaged") && log.contains(store.to_str().unwrap()), "{log}");
    let gateway = Process::start(&store, &[engine, "--persistence.on-damage=quarantine"]);
    assert!(gateway.log().contains("was set aside"), "{}", gateway.log());
    assert!(!gateway.log().contains("put a backup"), "what it advises is done: {}", gateway.log());
    assert!(!gateway.scrape().contains("own_total"));
    assert_eq!(gateway.post("/metrics/job/new", "m 1\n").status, 200);
    gateway.kill();
    let aside = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("store.damaged-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(tree(&aside[0]) == files, "what is set aside is as it was");
    // A sound store stays where it is.
    let gateway = Process::start(&store, &[engine, "--persistence.on-damage=quarantine"]);
    assert_eq!(value(&gateway.scrape(), "m{instance=\"\",job=\"new\"}"), 1.0);
}

/// The marker of a store whose format is not known yet, with a right check sum.
fn marker_of_format(format: u32) -> String {
    let body = format!("tallygate store\nformat {format}\ngeneration 1\n");
    let check = twox_hash::XxHash3_128::oneshot(body.as_bytes());
    format!("{body}check {check:032x}\n")
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_untouched() {
    let (_scratch, store) = scratch();
    let (mut files, scrape) = some_store(&store, SLED);
    let marker = files[Path::new("TALLYGATE")].clone();
    assert_eq!(marker, marker_of_format(1).into_bytes(), "this test writes markers as the store does");
    files.insert("TALLYGATE".into(), marker_of_format(99).into_bytes());
    plant(&store, &files);
    for more in ["--persistence.on-damage=refuse", "--persistence.on-damage=quarantine"] {
        let log = refused(1, &[&flag(&store), more]);
        assert!(log.contains("has format 99, and this version reads formats up to 2"), "{log}");
        assert!(tree(&store) == files);
    }
    files.insert("TALLYGATE".into(), marker);
    plant(&store, &files);
    assert_eq!(without_own(&Process::start(&store, &[]).scrape()), scrape);
}

/// A store is opened by the engine that made it, and the refusal says by which flag.
fn a_store_of_the_other_engine_is_refused_and_untouched(engine: &str) {
    let other = if engine == SLED { REDB } else { SLED };
    let (_scratch, store) = scratch();
    let (files, scrape) = some_store(&store, engine);
    for more in ["--persistence.on-damage=refuse", "--persistence.on-damage=quarantine"] {
        let log = refused(1, &[&flag(&store), other, more]);
        assert!(
            log.contains("is kept by the engine") && log.contains(&format!("{engine} opens it")),
            "{log}"
        );
        assert!(tree(&store) == files);
    }
    assert_eq!(without_own(&Process::start(&store, &[engine]).scrape()), scrape);
}

#[test]
fn a_store_in_use_is_refused_and_its_owner_not_disturbed() {
    let (_scratch, store) = scratch();
    let first = Process::start(&store, &[]);
    assert_eq!(first.post("/metrics/job/j", "m 1\n").status, 200);
    for more in ["--persistence.on-damage=refuse", "--persistence.on-damage=quarantine"] {
        let log = refused(75, &[&flag(&store), more]);
        assert!(log.contains("is in use by another process; stop that process"), "{log}");
    }
    assert_eq!(first.post("/metrics/job/j", "m 1\n").status, 200);
    first.kill();
    let second = Process::start(&store, &[]);
    assert_eq!(value(&second.scrape(), "m{instance=\"\",job=\"j\"}"), 2.0);
}

/// What is acknowledged must be found at the next start, so nothing is once somebody has removed the store.
fn a_store_removed_while_it_is_in_use_takes_no_more_pushes(engine: &str) {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[engine]);
    assert_eq!(gateway.post("/metrics/job/j", "m 1\n").status, 200);
    fs::remove_dir_all(&store).unwrap();
    let scrape = without_own(&gateway.scrape());
    for _ in 0..2 {
        let answer = gateway.post("/metrics/job/j", "m 1\n");
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    wait_until("the log says why", || gateway.log().contains("was removed while the store was in use"));
    assert_eq!(gateway.get("/-/ready").status, 503);
    assert_eq!(without_own(&gateway.scrape()), scrape, "what was stored is still shown");
    assert_eq!(gateway.stop().code(), Some(75), "not everything is written");
    assert!(!store.exists(), "no other store is made");
}

/// A path that is mistyped looks like any start otherwise.
fn a_new_store_is_told_from_an_old_one(engine: &str) {
    const NEW: &str = "there was no store; a new one was made";
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[engine]);
    assert!(gateway.log().contains(NEW), "{}", gateway.log());
    gateway.kill();
    let gateway = Process::start(&store, &[engine]);
    assert!(!gateway.log().contains(NEW), "{}", gateway.log());
}

#[test]
fn a_foreign_directory_is_refused_and_untouched() {
    let (_scratch, store) = scratch();
    fs::create_dir(&store).unwrap();
    fs::write(store.join("letter.txt"), "dear all").unwrap();
    let before = tree(&store);
    for more in ["--persistence.on-damage=refuse", "--persistence.on-damage=quarantine"] {
        let log = refused(1, &[&flag(&store), more]);
        assert!(log.contains("not a store") && log.contains("letter.txt"), "{log}");
        assert!(log.contains("--persistence.file"), "{log}");
        assert!(tree(&store) == before);
    }
}

#[test]
fn a_store_that_cannot_be_created_names_the_flag() {
    let (scratch, _) = scratch();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let log = refused(1, &[&flag(&file.join("below"))]);
    assert!(log.contains("--persistence.file") && log.contains("file/below"), "{log}");
    let log = refused(1, &[&flag(Path::new("/proc/no-such-place/store"))]);
    assert!(log.contains("--persistence.file"), "{log}");
}

#[test]
fn a_regular_file_is_left_alone_and_the_store_goes_beside_it() {
    let (scratch, store) = scratch();
    fs::write(&store, "an old store").unwrap();
    for count in 1..3 {
        let gateway = Process::start(&store, &[]);
        assert!(gateway.log().contains("level=warn") && gateway.log().contains("is a regular file"));
        assert_eq!(gateway.post("/metrics/job/j", "m 1\n").status, 200);
        assert_eq!(value(&gateway.scrape(), "m{instance=\"\",job=\"j\"}"), f64::from(count));
        gateway.kill();
    }
    assert_eq!(fs::read(&store).unwrap(), b"an old store");
    let beside = scratch.path().join("store.tallygate");
    assert_eq!(fs::metadata(beside).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn without_a_path_nothing_is_kept_and_the_log_says_so() {
    let (scratch, _) = scratch();
    let mut command = Process::command(&["--persistence.file="]);
    command.current_dir(scratch.path());
    let gateway = Process::spawn(command).unwrap();
    assert!(gateway.log().contains("nothing is kept"), "{}", gateway.log());
    assert_eq!(gateway.post("/metrics/job/j", "m 1\n").status, 200);
    assert!(gateway.scrape().contains("m{"));
    assert!(gateway.stop().success());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let log = refused(1, &["--persistence.file=", "--persistence.durability=always"]);
    assert!(log.contains("--persistence.file is empty"), "{log}");
}

#[test]
fn by_default_the_store_is_in_the_working_directory() {
    let (scratch, _) = scratch();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
    command.arg("--web.listen-address=127.0.0.1:0").current_dir(scratch.path());
    let gateway = Process::spawn(command).unwrap();
    assert_eq!(gateway.post("/metrics/job/j", "m 1\n").status, 200);
    gateway.kill();
    assert!(scratch.path().join("tallygate.sled/TALLYGATE").is_file());
    let gateway = Process::start(&scratch.path().join("tallygate.sled"), &[]);
    assert!(gateway.scrape().contains("m{"));
}
