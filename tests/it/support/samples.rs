//! Picking lines and values out of a scrape.

use std::collections::BTreeMap;

/// The lines that do not belong to families with one of these prefixes.
fn without(body: &str, prefixes: &[&str]) -> String {
    let is_kept = |line: &&str| {
        let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        !prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    body.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect()
}

/// A scrape less the gateway's own metrics.
pub fn without_own(body: &str) -> String {
    without(body, &["tallygate_", "pushgateway_", "process_"])
}

/// A scrape less the two push times.
pub fn without_push_times(body: &str) -> String {
    without(body, &["push_time_seconds", "push_failure_time_seconds"])
}

/// All samples of a scrape, by their text up to the value.
pub fn samples(body: &str) -> BTreeMap<&str, f64> {
    body.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}

/// The value of one series, written as in the scrape; 0 if it is not there.
pub fn value(body: &str, series: &str) -> f64 {
    samples(body).get(series).copied().unwrap_or(0.0)
}
