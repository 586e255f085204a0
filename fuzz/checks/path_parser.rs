//! The check of the fuzz target `path_parser`, shared with the test that replays its corpus: a path is
//! refused with a text, or it names a group whose own path names the same group.

use tallygate::http::path::parse;
use tallygate::model::is_pushable_label_name;

/// Parses, writes the path of what came out, and parses that. Panics where they differ.
pub(crate) fn check(path: &[u8]) {
    // A request line is text once it reaches the parser.
    let Ok(path) = str::from_utf8(path) else { return };
    let key = match parse(path) {
        Ok(key) => key,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!key.job().is_empty());
    for label in key.iter() {
        assert!(is_pushable_label_name(label.name), "the label name {:?}", label.name);
        assert!(!label.value.is_empty(), "the label {} is empty", label.name);
    }
    let written = key.url_path();
    let is_plain = written.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_plain, "{written:?} cannot stand in a request line");
    let again = parse(&written).unwrap_or_else(|error| panic!("{error}, of {written}, from {path:?}"));
    assert_eq!(again, key, "{written}, from {path:?}");
}
