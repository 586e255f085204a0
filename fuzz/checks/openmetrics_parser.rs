//! The check of the fuzz target `openmetrics_parser`, shared with the test that replays its corpus: what parses can be
//! written, and what was written reads back and is written as the same.

use std::collections::HashSet;

use tallygate::exposition::ReadLimits;
use tallygate::exposition::names::Escaping;
use tallygate::exposition::openmetrics::{
    EOF, Extras, claimed_suffixes, family_name, parse_up_to, write_header, write_series,
};
use tallygate::model::{Families, Label, MetricType, NameScheme, Value};

use crate::families::{self, FEW};

/// Parses, writes, parses again and compares. Panics where they differ.
pub(crate) fn check(body: &[u8]) {
    let _ = parse_up_to(body, NameScheme::Legacy, FEW);
    let Ok(first) = parse_up_to(body, NameScheme::Utf8, ReadLimits::NONE) else { return };
    check_structure(&first);
    if let Ok(few) = parse_up_to(body, NameScheme::Utf8, FEW) {
        families::check_limited(&few, &first);
    }
    if is_written_otherwise(&first) {
        return;
    }
    let written = write(&first);
    let second = parse_up_to(&written, NameScheme::Utf8, ReadLimits::NONE).unwrap_or_else(|error| {
        panic!("{error} in what was written:\n{}", String::from_utf8_lossy(&written))
    });
    check_structure(&second);
    assert_eq!(written, write(&second), "writing again gives other bytes");
}

/// What the model promises of families.
fn check_structure(families: &Families<'_>) {
    let mut names = HashSet::new();
    families::check(families, |family| {
        let stem = family_name(&family.name, family.metric_type);
        for suffix in std::iter::once(&"").chain(claimed_suffixes(family.metric_type)) {
            assert!(names.insert(format!("{stem}{suffix}")), "the name {stem}{suffix} is taken twice");
        }
    });
}

/// Whether a body says what is not written, or something else is written in its place: counts that are no whole
/// numbers, counters and sums that may not be; a family or series that has nothing else; labels that are made up for
/// a line of their own.
fn is_written_otherwise(families: &Families<'_>) -> bool {
    families.families.iter().any(|family| {
        let has_bound_label = |label: &str| match family.metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => label == "le",
            MetricType::Summary => label == "quantile",
            MetricType::StateSet => label == family.name,
            _ => false,
        };
        family.series.iter().any(|series| {
            let is_left_out = |sum: Option<f64>| sum.is_some_and(|sum| sum < 0.0 || sum.is_nan());
            let value_differs = match &series.value {
                Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
                    is_left_out(histogram.sum)
                        || histogram.buckets.iter().any(|bucket| bucket.cumulative_count.is_nan())
                }
                Value::Summary(summary) => is_left_out(summary.sum),
                Value::Counter(value) => is_left_out(Some(*value)),
                _ => false,
            };
            let labels = families.labels_of(series);
            value_differs || labels.iter().any(|label| has_bound_label(label.name))
        })
    })
}

fn write(families: &Families<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for family in &families.families {
        let name = family_name(&family.name, family.metric_type);
        write_header(&mut out, name, family.help.as_deref(), family.metric_type, family.unit.as_deref());
        for series in &family.series {
            let labels = families.labels_of(series);
            let labels = labels.iter().map(|label| Label { name: label.name, value: &label.value });
            let exemplars = series.exemplars.as_ref().map_or(&[][..], |exemplars| exemplars);
            let extras = Extras { exemplars, created: None, escaping: Escaping::AllowUtf8 };
            write_series(&mut out, name, labels, &series.value, &extras);
        }
    }
    out.extend_from_slice(EOF);
    out
}
