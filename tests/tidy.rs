//! The house keeps its floor plan: which module may import which, and a few habits that no linter looks
//! after.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the sources must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, the lowest first. A module imports from lower floors only, never from a neighbour on its
/// own.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &["exposition", "aggregation", "storage", "telemetry", "net"],
    &["gateway"],
    &["http"],
    &["config"],
    &["app"],
    &["main", "lib"],
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];

const LINE_CHARS_MAX: usize = 120;
/// A line with a string in it may be longer: an example of input is read best in one piece.
const STRING_LINE_CHARS_MAX: usize = 170;

struct Source {
    path: PathBuf,
    text: String,
}

/// Every Rust file of the project.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in ["src", "tests", "benches", "fuzz/checks", "fuzz/fuzz_targets"] {
        collect(&root.join(directory), &mut found);
    }
    assert!(found.len() > 20, "only {} files found: is the search broken?", found.len());
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    // Not every directory named is there.
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path, text });
        }
    }
}

/// The top-level module that a file belongs to, if it is below `src`.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

fn floor_of(module: &str) -> usize {
    FLOORS
        .iter()
        .position(|floor| floor.contains(&module))
        .unwrap_or_else(|| panic!("module {module} is on no floor: add it to FLOORS in tests/tidy.rs"))
}

/// The code of a text: without comments, and with string literals left in.
fn code(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.split(" // ").next().unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The top-level modules that a file names, by `crate::x` and `use crate::{x, y}`; in main by
/// `tallygate::`.
fn imports(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut names = BTreeSet::new();
    for root in ["crate::", "tallygate::"] {
        for (start, _) in code.match_indices(root) {
            // `$crate::`, or a longer word that ends so.
            if code[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                continue;
            }
            let rest = &code[start + root.len()..];
            match rest.strip_prefix('{') {
                Some(list) => names.extend(first_words(list)),
                None => names.extend(word(rest)),
            }
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each item of a list in braces, whose opening brace is already read.
fn first_words(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut words) = (0, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.extend(word(std::mem::take(&mut item).trim_start())),
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    words.extend(word(item.trim_start()));
    words
}

/// Which module imports which.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::<_, BTreeSet<_>>::new();
    for source in sources() {
        let Some(module) = module_of(&source.path) else { continue };
        let known = |name: &String| FLOORS.iter().any(|floor| floor.contains(&name.as_str()));
        arrows
            .entry(module.clone())
            .or_default()
            .extend(imports(&source.text).into_iter().filter(known).filter(|name| *name != module));
    }
    arrows
}

#[test]
fn modules_import_from_lower_floors_only() {
    let arrows = arrows();
    for (from, targets) in &arrows {
        for to in targets {
            assert!(
                floor_of(to) < floor_of(from),
                "{from} (floor {}) imports {to} (floor {}); allowed are lower floors only",
                floor_of(from),
                floor_of(to)
            );
        }
    }
    // The search does find arrows: these stand for as long as the house does.
    for (from, to) in
        [("telemetry", "model"), ("config", "net"), ("config", "gateway"), ("gateway", "aggregation")]
    {
        assert!(arrows[from].contains(to), "no arrow from {from} to {to}: is the search broken?");
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use crate::a::X;\nuse crate::{b::{Y, Z}, c, d as e};\n// crate::no\n\
                let x = crate::f::g();\nuse crate::{\n    h,\n};";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "d", "f", "h"]);
}

#[test]
fn every_file_opens_with_what_it_is() {
    // `tests.rs` and `tests/` within `src` say by their place what they are.
    let is_test_module = |path: &Path| {
        module_of(path).is_some() && path.iter().any(|part| part == "tests" || part == "tests.rs")
    };
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! ") && !is_test_module(&source.path))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "these do not open with //!: {silent:?}");
}

#[test]
fn no_file_has_an_empty_name() {
    for source in sources() {
        for part in source.path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap() {
            let name = part.to_str().unwrap().trim_end_matches(".rs");
            let words: Vec<_> = name.split('_').collect();
            let empty = EMPTY_NAMES.iter().find(|empty| words.contains(*empty));
            assert_eq!(empty, None, "{} has a name that says nothing", source.path.display());
        }
    }
}

#[test]
fn lines_are_short_and_nothing_is_left_over() {
    // Put together here, so that this file does not find itself.
    let left_over =
        [concat!("to", "do!("), concat!("db", "g!("), concat!("unimple", "mented!("), concat!("TO", "DO")];
    let mut faults = Vec::new();
    for source in sources() {
        for (line, number) in source.text.lines().zip(1..) {
            let place = format!("{}:{number}", source.path.display());
            let is_string = line.contains('"') && !line.trim_start().starts_with("//");
            let max = if is_string { STRING_LINE_CHARS_MAX } else { LINE_CHARS_MAX };
            if line.chars().count() > max {
                faults.push(format!("{place} is longer than {max} characters"));
            }
            faults.extend(
                left_over
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{place} has a {word}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
