//! The rules that the suite proves: each line of `tests/conformance/rules.txt` has a case that names it, or a test
//! where no request can show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::case::{self, Target};

/// The rules by their names, each with the tests that stand beside it.
fn rules() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/rules.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut rules = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, tests) = rule(line).unwrap_or_else(|| panic!("this is no rule: {line}"));
        assert!(rules.insert(name.clone(), tests).is_none(), "the rule {name} is there twice");
    }
    assert!(rules.len() > 100, "only {rules:?} found: is the search broken?");
    rules
}

/// `NAME: what holds.` or `NAME [test, test]: what holds.`
fn rule(line: &str) -> Option<(String, Vec<String>)> {
    let (head, text) = line.split_once(": ")?;
    let (name, tests) = head.split_once(" [").unwrap_or((head, "]"));
    let tests = tests.strip_suffix(']')?.split(", ").filter(|test| !test.is_empty());
    let is_name = !name.is_empty() && !name.contains([' ', ',', '[', ']']);
    (is_name && text.ends_with('.')).then(|| (name.to_owned(), tests.map(str::to_owned).collect()))
}

/// The source of all tests of this crate.
fn sources_of_tests(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources_of_tests(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_rule_has_a_case_or_a_test() {
    let rules = rules();
    let mut proven: BTreeSet<String> = BTreeSet::new();
    for source in case::sources() {
        // A rule holds for this gateway, in one of its modes at least.
        let ours = [Target::Replacing, Target::Merging].map(|target| source.read(target));
        for case in ours.into_iter().filter(|case| case.applies) {
            for rule in case.rules {
                let (file, name) = (&case.file, &case.name);
                assert!(
                    rules.contains_key(&rule),
                    "{file}: [{name}] names the rule {rule}, which is unknown"
                );
                proven.insert(rule);
            }
        }
    }
    let sources = sources_of_tests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    for (rule, tests) in &rules {
        for test in tests {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "{rule} names the test {test}, which is not there"
            );
        }
        assert!(proven.contains(rule) || !tests.is_empty(), "no case and no test proves the rule {rule}");
    }
}

#[test]
fn every_case_proves_something() {
    for source in case::sources() {
        let case = source.read(Target::Merging);
        let proves = !case.rules.is_empty() || !case.departures.is_empty();
        assert!(proves, "{}: [{}] names neither a rule nor a departure", case.file, case.name);
    }
}

#[test]
fn a_rule_is_a_name_and_a_sentence() {
    assert_eq!(rule("1/a: It is so."), Some(("1/a".to_owned(), Vec::new())));
    let tests = vec!["f".to_owned(), "g".to_owned()];
    assert_eq!(rule("1/a [f, g]: It is so."), Some(("1/a".to_owned(), tests)));
    assert_eq!(rule("1/a It is so."), None);
    assert_eq!(rule("1/a: It is so"), None);
    assert_eq!(rule("1/a [f: It is so."), None);
    assert_eq!(rule("a b: It is so."), None);
}
