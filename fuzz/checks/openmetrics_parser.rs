//! The check of the fuzz target `openmetrics_parser`, shared with the test that replays its corpus: what parses can be
//! written, and what was written reads back and is written as the same.

use std::collections::HashSet;

use tallygate::exposition::names::Escaping;
use tallygate::exposition::openmetrics::{
    EOF, Extras, claimed_suffixes, family_name, parse_up_to, write_header, write_series,
};
use tallygate::model::{Families, Label, MetricType, NameScheme, Value};

/// Parses, writes, parses again and compares. Panics where they differ.
pub(crate) fn check(body: &[u8]) {
    let _ = parse_up_to(body, NameScheme::Legacy, 3);
    let Ok(first) = parse_up_to(body, NameScheme::Utf8, usize::MAX) else { return };
    check_structure(&first);
    if is_written_otherwise(&first) {
        return;
    }
    let written = write(&first);
    let second = parse_up_to(&written, NameScheme::Utf8, usize::MAX).unwrap_or_else(|error| {
        panic!("{error} in what was written:\n{}", String::from_utf8_lossy(&written))
    });
    check_structure(&second);
    assert_eq!(written, write(&second), "writing again gives other bytes");
}

/// What the model promises of families.
fn check_structure(families: &Families<'_>) {
    let mut names = HashSet::new();
    for family in &families.families {
        let stem = family_name(&family.name, family.metric_type);
        for suffix in std::iter::once(&"").chain(claimed_suffixes(family.metric_type)) {
            assert!(names.insert(format!("{stem}{suffix}")), "the name {stem}{suffix} is taken twice");
        }
        assert!(!family.series.is_empty(), "the family {} is empty", family.name);
        for series in &family.series {
            let mut labels = HashSet::new();
            for label in families.labels_of(series) {
                assert!(labels.insert(label.name), "the label {} stands twice", label.name);
            }
            assert_eq!(family.metric_type, series.value.metric_type());
        }
    }
}

/// Whether a body says what is not written, or something else is written in its place: counts that are no whole
/// numbers, sums that may not be; a family or series that has nothing else; labels that are made up for a line of
/// their own.
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
