//! Replays the fuzzers' corpora: what a fuzzer once found or started from stays checked in every test run.

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks/families.rs"]
mod families;
#[path = "../fuzz/checks/openmetrics_parser.rs"]
mod openmetrics_parser;
#[path = "../fuzz/checks/path_parser.rs"]
mod path_parser;
#[path = "../fuzz/checks/protobuf_parser.rs"]
mod protobuf_parser;
#[path = "../fuzz/checks/snappy_body.rs"]
mod snappy_body;
#[path = "../fuzz/checks/text_parser.rs"]
mod text_parser;
#[path = "../fuzz/checks/web_config.rs"]
mod web_config;

#[test]
fn the_text_parser_survives_its_corpus() {
    let replayed = replay("text_parser", text_parser::check);
    assert!(replayed >= 40, "only {replayed} files of the corpus were found");
}

#[test]
fn the_openmetrics_parser_survives_its_corpus() {
    let replayed = replay("openmetrics_parser", openmetrics_parser::check);
    assert!(replayed >= 25, "only {replayed} files of the corpus were found");
}

#[test]
fn the_path_parser_survives_its_corpus() {
    let replayed = replay("path_parser", path_parser::check);
    assert!(replayed >= 30, "only {replayed} files of the corpus were found");
}

#[test]
fn the_protobuf_parser_survives_its_corpus() {
    let replayed = replay("protobuf_parser", protobuf_parser::check);
    assert!(replayed >= 25, "only {replayed} files of the corpus were found");
}

#[test]
fn the_inflating_of_snappy_bodies_survives_its_corpus() {
    let replayed = replay("snappy_body", snappy_body::check);
    assert!(replayed >= 10, "only {replayed} files of the corpus were found");
}

#[test]
fn the_web_configuration_survives_its_corpus() {
    let replayed = replay("web_config", web_config::check);
    assert!(replayed >= 25, "only {replayed} files of the corpus were found");
}

/// Runs the check on every file of a target's corpus and says how many there were.
fn replay(target: &str, check: impl Fn(&[u8])) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut replayed = 0;
    for entry in entries {
        let path = entry.expect("a corpus can be listed").path();
        // Shown only when the check fails: which file it was.
        println!("{}", path.display());
        check(&fs::read(&path).expect("a corpus file can be read"));
        replayed += 1;
    }
    replayed
}
