//! The names that families have taken: their own and those of their samples.
//!
//! A family may take five of them and its name may be long, so none of them is put together.

use std::collections::HashSet;

/// Every suffix that a family may claim.
const SUFFIXES: [&str; 8] = ["_bucket", "_count", "_created", "_gcount", "_gsum", "_info", "_sum", "_total"];

/// Names, each as what stands before its suffix, and that suffix; empty if it has none of [`SUFFIXES`].
#[derive(Default)]
pub(super) struct Taken<'a>(HashSet<(&'a str, &'static str)>);

impl<'a> Taken<'a> {
    /// Whether a name is taken.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(&split(name))
    }

    /// Takes a family's name, and that name with each of these suffixes of [`SUFFIXES`]. If one of them is taken
    /// already, the error is its suffix.
    pub(super) fn take(&mut self, name: &'a str, suffixes: &[&'static str]) -> Result<(), &'static str> {
        if !self.0.insert(split(name)) {
            return Err("");
        }
        // What has a suffix is split at its last underscore, so these need not be put together first.
        match suffixes.iter().find(|suffix| !self.0.insert((name, suffix))) {
            Some(suffix) => Err(suffix),
            None => Ok(()),
        }
    }
}

fn split(name: &str) -> (&str, &'static str) {
    let suffix = name.rfind('_').map_or("", |at| &name[at..]);
    match SUFFIXES.into_iter().find(|own| *own == suffix) {
        Some(suffix) => (&name[..name.len() - suffix.len()], suffix),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::claimed_suffixes;
    use super::*;
    use crate::model::MetricType;

    const TYPES: [MetricType; 8] = [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::Summary,
        MetricType::Untyped,
        MetricType::GaugeHistogram,
        MetricType::Info,
        MetricType::StateSet,
    ];

    #[test]
    fn every_suffix_that_is_claimed_is_known_and_begins_with_its_only_underscore() {
        for suffix in TYPES.into_iter().flat_map(claimed_suffixes) {
            assert!(SUFFIXES.contains(suffix), "{suffix}");
            assert_eq!(suffix.rfind('_'), Some(0), "{suffix}");
        }
    }

    #[test]
    fn names_are_taken_as_if_they_were_put_together() {
        let names = ["a", "a_total", "a_total_total", "a_count", "_total", "a_", "a_x", "a_bucket_sum", "b"];
        for (first, second) in names.iter().flat_map(|first| names.map(|second| (*first, second))) {
            for (one, other) in TYPES.into_iter().flat_map(|one| TYPES.map(|other| (one, other))) {
                let all = |name: &str, metric_type| -> Vec<String> {
                    let suffixes = std::iter::once(&"").chain(claimed_suffixes(metric_type));
                    suffixes.map(|suffix| format!("{name}{suffix}")).collect()
                };
                let (of_first, of_second) = (all(first, one), all(second, other));
                let mut taken = Taken::default();
                assert_eq!(taken.take(first, claimed_suffixes(one)), Ok(()));
                for name in &of_second {
                    assert_eq!(taken.contains(name), of_first.contains(name), "{name} beside {first} {one}");
                }
                let clash = of_second.iter().find(|name| of_first.contains(name));
                let result = taken.take(second, claimed_suffixes(other));
                let found = result.err().map(|suffix| format!("{second}{suffix}"));
                assert_eq!(found.as_ref(), clash, "{second} {other} beside {first} {one}");
            }
        }
    }
}
