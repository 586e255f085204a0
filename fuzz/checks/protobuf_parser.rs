//! The check of the fuzz target `protobuf_parser`, shared with the test that replays its corpus: what parses can
//! be written, and what was written reads back as the same.

use std::collections::HashSet;

use tallygate::exposition::protobuf::{header, length_prefix, parse, write_metric};
use tallygate::model::{Families, Label, NameScheme, Value};

/// Parses, writes, parses again and compares, with both schemes of names. Panics where they differ.
pub(crate) fn check(body: &[u8]) {
    for scheme in [NameScheme::Legacy, NameScheme::Utf8] {
        let first = match parse(body, scheme) {
            Ok(families) => families,
            Err(error) => {
                let text = error.to_string();
                assert!(!text.is_empty() && text.len() < 8_192, "{text}");
                continue;
            }
        };
        check_structure(&first, scheme);
        let written = write(&first);
        let second = parse(&written, scheme)
            .unwrap_or_else(|error| panic!("{error} in what was written: {written:x?}"));
        check_structure(&second, scheme);
        assert_eq!(shown(&first), shown(&second));
        assert_eq!(written, write(&second), "writing again gives other bytes");
    }
}

/// What the model promises of families.
fn check_structure(families: &Families<'_>, scheme: NameScheme) {
    let mut names = HashSet::new();
    let mut lines = HashSet::new();
    for family in &families.families {
        assert!(names.insert(&*family.name), "the family {} stands twice", family.name);
        assert!(scheme.is_metric_name(&family.name), "the name {:?}", family.name);
        assert!(!family.series.is_empty(), "the family {} is empty", family.name);
        for series in &family.series {
            assert!(lines.insert(series.line), "two series have the number {}", series.line);
            let mut labels = HashSet::new();
            for label in families.labels_of(series) {
                assert!(labels.insert(label.name), "the label {} stands twice", label.name);
            }
            assert_eq!(family.metric_type, series.value.metric_type());
        }
    }
}

fn write(families: &Families<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for family in &families.families {
        let mut message =
            header(&family.name, family.help.as_deref(), family.metric_type, family.unit.as_deref());
        for series in &family.series {
            let labels = families.labels_of(series).iter();
            let labels = labels.map(|label| Label { name: label.name, value: &label.value });
            let exemplars = series.exemplars.as_ref().map_or(&[][..], |exemplars| exemplars);
            write_metric(&mut message, &family.name, labels, &series.value, exemplars, None);
        }
        body.extend(length_prefix(message.len()));
        body.extend(message);
    }
    body
}

/// Everything that is written, in a form that can be compared: a missing count filled in as the writer does it,
/// without the exemplars of buckets that cannot be told apart.
fn shown(families: &Families<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for family in &families.families {
        lines.push(format!("{} {} {:?} {:?}", family.name, family.metric_type, family.help, family.unit));
        for series in &family.series {
            let mut value = series.value.clone();
            let mut exemplars = series.exemplars.as_ref();
            if let Value::Histogram(histogram) | Value::GaugeHistogram(histogram) = &mut value {
                let infinite = histogram.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
                histogram.count = histogram.count.or(infinite.map(|bucket| bucket.cumulative_count));
                let mut bounds: Vec<f64> =
                    histogram.buckets.iter().map(|bucket| bucket.upper_bound + 0.0).collect();
                bounds.sort_by(f64::total_cmp);
                exemplars = exemplars.filter(|_| bounds.is_sorted_by(|one, next| one < next));
            }
            lines.push(format!("{:?} {value:?} {exemplars:?}", families.labels_of(series)));
        }
    }
    lines
}
