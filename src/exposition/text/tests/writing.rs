//! What is written, byte for byte.

use crate::model::{Bucket, Histogram, Label, MetricType, Quantile, Summary, Value};

use super::super::{CONTENT_TYPE, write_header, write_series};

fn header(help: Option<&str>, metric_type: MetricType) -> String {
    let mut out = Vec::new();
    write_header(&mut out, "m", help, metric_type);
    String::from_utf8(out).unwrap()
}

fn series(labels: &[(&str, &str)], value: &Value) -> String {
    let mut out = Vec::new();
    write_series(&mut out, "m", labels.iter().map(|&(name, value)| Label { name, value }), value);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_content_type_is_that_of_pushgateway() {
    assert_eq!(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
}

#[test]
fn headers() {
    for (help, metric_type, text) in [
        (None, MetricType::Counter, "# TYPE m counter\n"),
        (Some("text"), MetricType::Gauge, "# HELP m text\n# TYPE m gauge\n"),
        (Some(""), MetricType::Untyped, "# HELP m \n# TYPE m untyped\n"),
        (Some("a\\b\nc\"d"), MetricType::Histogram, "# HELP m a\\\\b\\nc\"d\n# TYPE m histogram\n"),
        (Some("\n\\"), MetricType::Summary, "# HELP m \\n\\\\\n# TYPE m summary\n"),
    ] {
        assert_eq!(header(help, metric_type), text);
    }
}

#[test]
fn simple_values() {
    assert_eq!(series(&[], &Value::Counter(1.0)), "m 1\n");
    assert_eq!(
        series(&[("instance", ""), ("job", "j")], &Value::Gauge(-0.0)),
        "m{instance=\"\",job=\"j\"} 0\n"
    );
    assert_eq!(series(&[("z", "1"), ("a", "2")], &Value::Untyped(1e6)), "m{z=\"1\",a=\"2\"} 1e+06\n");
    assert_eq!(series(&[], &Value::Gauge(f64::NEG_INFINITY)), "m -Inf\n");
}

#[test]
fn label_values_are_escaped() {
    assert_eq!(series(&[("a", "\\ \" \n é\t")], &Value::Gauge(f64::NAN)), "m{a=\"\\\\ \\\" \\n é\t\"} NaN\n");
}

#[test]
fn histograms() {
    let mut histogram = Histogram {
        buckets: vec![
            Bucket { upper_bound: 0.5, cumulative_count: 1.0 },
            Bucket { upper_bound: 1.0, cumulative_count: 2.0 },
        ],
        sum: Some(4.25),
        count: Some(3.0),
        defect: None,
        native: None,
    };
    let with_infinity = "m_bucket{a=\"b\",le=\"0.5\"} 1\nm_bucket{a=\"b\",le=\"1\"} 2\n\
                         m_bucket{a=\"b\",le=\"+Inf\"} 3\nm_sum{a=\"b\"} 4.25\nm_count{a=\"b\"} 3\n";
    assert_eq!(series(&[("a", "b")], &Value::Histogram(Box::new(histogram.clone()))), with_infinity);
    histogram.buckets.push(Bucket { upper_bound: f64::INFINITY, cumulative_count: 3.0 });
    assert_eq!(series(&[("a", "b")], &Value::Histogram(Box::new(histogram.clone()))), with_infinity);
    histogram.count = None;
    assert_eq!(series(&[("a", "b")], &Value::Histogram(Box::new(histogram))), with_infinity);
    assert_eq!(
        series(&[], &Value::Histogram(Box::default())),
        "m_bucket{le=\"+Inf\"} 0\nm_sum 0\nm_count 0\n"
    );
}

#[test]
fn summaries() {
    let summary = Summary {
        quantiles: vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.99, value: f64::NAN }],
        sum: Some(1e-5),
        count: Some(2.0),
        defect: None,
    };
    assert_eq!(
        series(&[("a", "b")], &Value::Summary(Box::new(summary))),
        "m{a=\"b\",quantile=\"0.5\"} 1\nm{a=\"b\",quantile=\"0.99\"} NaN\nm_sum{a=\"b\"} 1e-05\nm_count{a=\"b\"} 2\n"
    );
    assert_eq!(series(&[], &Value::Summary(Box::default())), "m_sum 0\nm_count 0\n");
}
