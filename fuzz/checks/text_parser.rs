//! The check of the fuzz target `text_parser`, shared with the test that replays its corpus: what parses can be
//! written, and what was written reads back as the same.

use std::collections::HashSet;

use tallygate::exposition::ReadLimits;
use tallygate::exposition::text::{ParseError, parse_up_to, write_header, write_series};
use tallygate::model::{Bucket, Families, Label, MetricType, NameScheme, Value};

use crate::families::{self, FEW};

/// Parses, writes, parses again and compares. Panics where they differ.
pub(crate) fn check(body: &[u8]) {
    let limited = parse_up_to(body, NameScheme::Utf8, FEW);
    let Ok(first) = parse(body) else {
        // What is read no further need not be right.
        assert!(limited.is_err() || limited.is_ok_and(|few| few.series_count() > FEW.series_max));
        return;
    };
    if let Ok(few) = limited {
        families::check_limited(&few, &first);
    }
    check_structure(&first);
    if derived_names_collide(&first) {
        return;
    }
    let written = write(&first);
    let second = parse(&written).unwrap_or_else(|error| {
        panic!("{error} in what was written:\n{}", String::from_utf8_lossy(&written))
    });
    check_structure(&second);
    assert_eq!(shown(&first), shown(&second));
    assert_eq!(written, write(&second), "writing again gives other bytes");
}

fn parse(body: &[u8]) -> Result<Families<'_>, ParseError> {
    parse_up_to(body, NameScheme::Utf8, ReadLimits::NONE)
}

/// What the model promises of families.
fn check_structure(families: &Families<'_>) {
    let mut names = HashSet::new();
    families::check(families, |family| {
        assert!(names.insert(family.name.to_string()), "the family {} stands twice", family.name);
    });
}

/// Whether a family has the name of a line of another one: written one after the other they would mix. (A gateway
/// refuses such a push.)
fn derived_names_collide(families: &Families<'_>) -> bool {
    let names: HashSet<&str> = families.families.iter().map(|family| &*family.name).collect();
    families.families.iter().any(|family| match family.metric_type {
        MetricType::Histogram | MetricType::Summary | MetricType::GaugeHistogram => {
            ["_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| names.contains(format!("{}{suffix}", family.name).as_str()))
        }
        MetricType::Counter
        | MetricType::Gauge
        | MetricType::Untyped
        | MetricType::Info
        | MetricType::StateSet => false,
    })
}

fn write(families: &Families<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for family in &families.families {
        write_header(&mut out, &family.name, family.help.as_deref(), family.metric_type);
        for series in &family.series {
            let labels = families.labels_of(series);
            let labels = labels.iter().map(|label| Label { name: label.name, value: &label.value });
            write_series(&mut out, &family.name, labels, &series.value);
        }
    }
    out
}

/// Everything that is written, in a form that can be compared: what is missing filled in as the writer does it.
fn shown(families: &Families<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for family in &families.families {
        // This format shows it as a histogram.
        let metric_type = match family.metric_type {
            MetricType::GaugeHistogram => MetricType::Histogram,
            metric_type => metric_type,
        };
        lines.push(format!("{} {metric_type} {:?}", family.name, family.help));
        for series in &family.series {
            let labels: Vec<_> = families
                .labels_of(series)
                .iter()
                .map(|label| (label.name.to_string(), label.value.to_string()))
                .collect();
            lines.push(format!("{labels:?} {}", shown_value(&series.value)));
        }
    }
    lines
}

fn shown_value(value: &Value) -> String {
    // Minus zero is written as zero.
    let number = |number: f64| number + 0.0;
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
            format!("{:?}", number(*value))
        }
        Value::Info | Value::StateSet(_) => panic!("text 0.0.4 has no word for them"),
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            let mut buckets = histogram.buckets.clone();
            let infinite = buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY).copied();
            let count = histogram.count.or(infinite.map(|bucket| bucket.cumulative_count)).unwrap_or(0.0);
            if infinite.is_none() {
                buckets.push(Bucket { upper_bound: f64::INFINITY, cumulative_count: count });
            }
            let buckets: Vec<_> = buckets
                .iter()
                .map(|bucket| (number(bucket.upper_bound), number(bucket.cumulative_count)))
                .collect();
            format!("{buckets:?} {:?} {:?}", number(histogram.sum.unwrap_or(0.0)), number(count))
        }
        Value::Summary(summary) => {
            let quantiles: Vec<_> = summary
                .quantiles
                .iter()
                .map(|quantile| (number(quantile.quantile), number(quantile.value)))
                .collect();
            let (sum, count) = (summary.sum.unwrap_or(0.0), summary.count.unwrap_or(0.0));
            format!("{quantiles:?} {:?} {:?}", number(sum), number(count))
        }
    }
}
