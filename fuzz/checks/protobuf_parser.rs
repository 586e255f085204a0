//! The check of the fuzz target `protobuf_parser`, shared with the test that replays its corpus: what parses can
//! be written, and what was written reads back as the same.

use std::collections::HashSet;

use tallygate::exposition::protobuf::{parse, parse_up_to, write_families};
use tallygate::model::{Families, NameScheme, Value};

use crate::families::{self, FEW};

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
        if let Ok(few) = parse_up_to(body, scheme, FEW) {
            families::check_limited(&few, &first);
        }
        let written = write_families(&first);
        let second = parse(&written, scheme)
            .unwrap_or_else(|error| panic!("{error} in what was written: {written:x?}"));
        check_structure(&second, scheme);
        assert_eq!(shown(&first), shown(&second));
        assert_eq!(written, write_families(&second), "writing again gives other bytes");
    }
}

/// What the model promises of families.
fn check_structure(families: &Families<'_>, scheme: NameScheme) {
    let mut names = HashSet::new();
    let mut lines = HashSet::new();
    families::check(families, |family| {
        assert!(names.insert(family.name.to_string()), "the family {} stands twice", family.name);
        assert!(scheme.is_metric_name(&family.name), "the name {:?}", family.name);
        for series in &family.series {
            assert!(lines.insert(series.line), "two series have the number {}", series.line);
        }
    });
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
                // A bound that is no number is not even its own.
                let are_told_apart =
                    bounds.is_sorted_by(|one, next| one < next) && bounds.iter().all(|bound| !bound.is_nan());
                exemplars = exemplars.filter(|_| are_told_apart);
            }
            lines.push(format!("{:?} {value:?} {exemplars:?}", families.labels_of(series)));
        }
    }
    lines
}
