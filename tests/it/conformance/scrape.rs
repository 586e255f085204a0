//! Reading what a scrape in text shows, and the groups that it names.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::run::Times;

/// Families that a gateway has of its own.
const OWN: [&str; 5] = ["go_", "process_", "promhttp_", "pushgateway_", "tallygate_"];

/// The times that every group has.
const PUSH_TIMES: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

/// The name that a line is about.
fn subject(line: &str) -> &str {
    line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line)
}

/// Whether a scrape holds exactly these lines, its own families and the push times aside.
pub fn shows(text: &str, expected: &[String]) -> Result<(), String> {
    let is_pushed =
        |line: &&str| !OWN.iter().chain(&PUSH_TIMES).any(|prefix| subject(line).starts_with(prefix));
    let found: Vec<&str> = text.lines().filter(is_pushed).collect();
    if found == *expected {
        return Ok(());
    }
    Err(format!("the scrape shows\n{}\nin the place of\n{}", found.join("\n"), expected.join("\n")))
}

/// Whether a scrape has these lines. In the place of a value, `T` stands for a time, `T=name` for a time that is
/// given this name or has it already, `T>name` for a later one.
pub fn has(text: &str, expected: &[String], times: &mut Times) -> Result<(), String> {
    for line in expected {
        let found = match line.rsplit_once(' ') {
            Some((series, value)) if is_time(value) => time_is(text, series, value, times),
            _ => text.lines().any(|found| found == line),
        };
        if !found {
            return Err(format!("the scrape has no line {line}:\n{text}"));
        }
    }
    Ok(())
}

fn is_time(value: &str) -> bool {
    value == "T" || value.starts_with("T=") || value.starts_with("T>")
}

fn time_is(text: &str, series: &str, expected: &str, times: &mut Times) -> bool {
    let found = text.lines().filter_map(|line| line.rsplit_once(' ')).find(|(found, _)| *found == series);
    let Some(time) = found.and_then(|(_, value)| value.parse::<f64>().ok()) else { return false };
    // After the year 2020, which is before any test.
    let is_a_time = time > 1.6e9;
    is_a_time
        && match (expected.strip_prefix("T="), expected.strip_prefix("T>")) {
            (Some(name), _) => *times.entry(name.to_owned()).or_insert(time) == time,
            (_, Some(name)) => times.get(name).is_some_and(|earlier| time > *earlier),
            (None, None) => true,
        }
}

/// Whether no line of a scrape begins with one of these.
pub fn lacks(text: &str, unwanted: &[String]) -> Result<(), String> {
    let is_unwanted = |line: &&str| unwanted.iter().any(|prefix| line.starts_with(prefix.as_str()));
    match text.lines().find(is_unwanted) {
        Some(line) => Err(format!("the scrape has the line {line}")),
        None => Ok(()),
    }
}

/// The paths that delete the groups of a scrape. An empty `instance` may be one of the group or none, so there
/// are two.
pub fn groups(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in text.lines() {
        let Some(labels) = line.strip_prefix("push_time_seconds{").and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let labels = label_pairs(labels.0);
        for with_empty in [true, false] {
            let mut path = String::from("/metrics");
            let (job, others): (Vec<_>, Vec<_>) = labels.iter().partition(|(name, _)| name == "job");
            for (name, value) in job.into_iter().chain(others) {
                if name == "instance" && value.is_empty() && !with_empty {
                    continue;
                }
                let value = if value.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(value) };
                let _ = write!(path, "/{name}@base64/{value}");
            }
            paths.push(path);
        }
    }
    paths.dedup();
    paths
}

fn label_pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        pairs.push((name.trim_start_matches(',').to_owned(), value));
        rest = &after[end..];
    }
    pairs
}

#[test]
fn the_paths_of_groups_are_read_from_their_push_times() {
    let text = "push_time_seconds{instance=\"\",job=\"a/\\\"b\",x=\"1\"} 5\nother{job=\"c\"} 1\n";
    assert_eq!(
        groups(text),
        [
            "/metrics/job@base64/YS8iYg/instance@base64/=/x@base64/MQ",
            "/metrics/job@base64/YS8iYg/x@base64/MQ"
        ]
    );
}

#[test]
fn times_are_compared_by_name() {
    let mut times = Times::new();
    let line = |text: &str| vec![text.to_owned()];
    assert!(has("t 1.7e9\n", &line("t T=first"), &mut times).is_ok());
    assert!(has("t 1.8e9\n", &line("t T=first"), &mut times).is_err());
    assert!(has("t 1.8e9\n", &line("t T>first"), &mut times).is_ok());
    assert!(has("t 0\n", &line("t T"), &mut times).is_err());
}
