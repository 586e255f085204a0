//! The departures that `docs/pushgateway-compatibility.md` lists, by topic, and the cases that show them. With
//! `BLESS=1` the tables of cases are written anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::case::{self, Case, Target};

/// Departures that no request shows, and what does show them.
const SHOWN_ELSEWHERE: &[(&str, &str)] = &[
    ("cost of a push", "the benchmark"),
    ("the environment", "tests/it/running.rs"),
    ("the store", "tests/it/store.rs"),
];

const START: &str = "<!-- cases: start -->";
const END: &str = "<!-- cases: end -->";

/// A topic of the compatibility page, with its departures in the order of the page.
struct Topic {
    name: String,
    departures: Vec<String>,
}

/// The topics that the compatibility page has, with the first cells of their tables.
fn topics_of(page: &str) -> Vec<Topic> {
    let (_, section) = page.split_once("## On purpose different").expect("the page has this section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let topics = section.split("\n### ").skip(1).map(|topic| {
        let (name, text) = topic.split_once('\n').unwrap_or((topic, ""));
        let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).skip(2);
        let departures: Vec<String> =
            rows.filter_map(|row| Some(row.split_once(" |")?.0.to_owned())).collect();
        assert!(!departures.is_empty(), "the topic \"{name}\" has no table");
        Topic { name: name.to_owned(), departures }
    });
    let topics: Vec<Topic> = topics.collect();
    assert!(topics.len() > 5, "only {} topics found: is the search broken?", topics.len());
    topics
}

/// What shows a departure: cases by their files and names, or a place of this repository.
fn shown_by(departure: &str, cases: &[Case]) -> String {
    let is_of = |case: &&Case| case.departures.iter().any(|of| of == departure);
    let mut shown: Vec<String> =
        cases.iter().filter(is_of).map(|case| format!("`{}`: {}", case.file, case.name)).collect();
    let elsewhere = SHOWN_ELSEWHERE.iter().filter(|(name, _)| *name == departure);
    shown.extend(elsewhere.map(|(_, place)| (*place).to_owned()));
    assert!(!shown.is_empty(), "no case shows the departure \"{departure}\" of the compatibility page");
    shown.join("; ")
}

/// The departures and their cases, with a table for each topic, as the page shows them.
fn tables_of_cases(topics: &[Topic], cases: &[Case]) -> String {
    let mut tables = String::new();
    for topic in topics {
        let _ = write!(tables, "{}:\n\n| what | shown by |\n| --- | --- |\n", topic.name);
        for departure in &topic.departures {
            let _ = writeln!(tables, "| {departure} | {} |", shown_by(departure, cases));
        }
        tables.push('\n');
    }
    tables.trim_end().to_owned()
}

#[test]
fn departures_stand_in_the_compatibility_page_and_in_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pushgateway-compatibility.md");
    let page = fs::read_to_string(&path).unwrap();
    let topics = topics_of(&page);
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for departure in topics.iter().flat_map(|topic| &topic.departures) {
        assert!(listed.insert(departure), "the departure \"{departure}\" is listed twice");
    }
    for (departure, place) in SHOWN_ELSEWHERE {
        assert!(listed.contains(departure), "{place} shows \"{departure}\", which the page does not list");
    }
    let cases: Vec<Case> = case::sources().iter().map(|source| source.read(Target::Merging)).collect();
    for case in &cases {
        for departure in &case.departures {
            assert!(
                listed.contains(departure.as_str()),
                "[{}] shows the departure \"{departure}\", which the compatibility page does not list",
                case.name
            );
        }
    }
    let tables = tables_of_cases(&topics, &cases);
    let (before, rest) = page.split_once(START).expect("the page has a place for the cases");
    let (shown, after) = rest.split_once(END).expect("the place has an end");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{START}\n\n{tables}\n\n{END}{after}")).unwrap();
        return;
    }
    assert_eq!(shown.trim(), tables, "run with BLESS=1 to write the tables of cases");
}
