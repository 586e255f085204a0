//! What is written, byte for byte, where it is not what was read.

use crate::exposition::names::Escaping;
use crate::model::{
    Bucket, Counts, Exemplar, ExemplarPlace, Histogram, Label, LabelSet, MetricType, NativeCounts,
    NativeHistogram, Quantile, Summary, Value,
};

use super::super::{Extras, family_name, write_header, write_series};

fn series(labels: &[(&str, &str)], value: &Value, extras: &Extras<'_>) -> String {
    let mut out = Vec::new();
    write_series(&mut out, "m", labels.iter().map(|&(name, value)| Label { name, value }), value, extras);
    String::from_utf8(out).unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "the values are made for it")]
fn plain(value: Value) -> String {
    series(&[], &value, &Extras::default())
}

#[allow(clippy::unnecessary_box_returns, reason = "a value has it so")]
fn histogram(buckets: &[(f64, f64)], sum: f64) -> Box<Histogram> {
    let buckets = buckets.iter();
    let buckets =
        buckets.map(|&(upper_bound, cumulative_count)| Bucket { upper_bound, cumulative_count }).collect();
    Box::new(Histogram { buckets, sum: Some(sum), count: Some(4.0), ..Histogram::default() })
}

#[test]
fn names_of_families_lose_their_suffix() {
    for (name, metric_type, stem) in [
        ("a_total", MetricType::Counter, "a"),
        ("a", MetricType::Counter, "a"),
        ("_total", MetricType::Counter, "_total"),
        ("a_total", MetricType::Gauge, "a_total"),
        ("a_info", MetricType::Info, "a"),
        ("a_info", MetricType::Gauge, "a_info"),
    ] {
        assert_eq!(family_name(name, metric_type), stem);
    }
}

#[test]
fn headers() {
    let header = |name, help, metric_type, unit| {
        let mut out = Vec::new();
        write_header(&mut out, name, help, metric_type, unit);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(header("m", None, MetricType::Untyped, None), "# TYPE m unknown\n");
    assert_eq!(
        header("m_s", Some("a\\b\nc\"d"), MetricType::Counter, Some("s")),
        "# HELP m_s a\\\\b\\nc\\\"d\n# TYPE m_s counter\n# UNIT m_s s\n"
    );
    assert_eq!(header("m.s", Some(""), MetricType::Gauge, Some("seconds")), "# TYPE \"m.s\" gauge\n");
    assert_eq!(header("m_s", None, MetricType::Info, Some("s")), "# TYPE m_s info\n");
    assert_eq!(header("m_s\n", None, MetricType::Gauge, Some("s\n")), "# TYPE \"m_s\\n\" gauge\n");
}

#[test]
fn created_timestamps_follow_where_they_may() {
    let extras = Extras { created: Some(1_700_000_000.5), ..Extras::default() };
    assert_eq!(
        series(&[("a", "b")], &Value::Counter(1.0), &extras),
        "m_total{a=\"b\"} 1\nm_created{a=\"b\"} 1700000000.5\n"
    );
    assert_eq!(series(&[], &Value::Gauge(1.0), &extras), "m 1\n");
    assert_eq!(series(&[], &Value::Info, &extras), "m_info 1\n");
    assert!(
        series(&[], &Value::Summary(Box::default()), &extras)
            .ends_with("m_count 0\nm_created 1700000000.5\n")
    );
    assert!(series(&[], &Value::Histogram(Box::default()), &extras).ends_with("m_created 1700000000.5\n"));
    assert!(!series(&[], &Value::GaugeHistogram(Box::default()), &extras).contains("created"));
}

#[test]
fn bounds_are_canonical() {
    let bounds = [1e-5, 0.001, 1.0, 100_000.0, 1e6, f64::INFINITY];
    let text = plain(Value::Histogram(histogram(&bounds.map(|bound| (bound, 4.0)), 1.0)));
    for le in ["1e-05", "0.001", "1.0", "100000.0", "1e+06", "+Inf"] {
        assert!(text.contains(&format!("m_bucket{{le=\"{le}\"}} 4\n")), "{text}");
    }
}

#[test]
fn counters_that_may_not_be_are_left_out() {
    for value in [-1.0, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(plain(Value::Counter(value)), "");
        let created = Extras { created: Some(1.0), ..Extras::default() };
        assert_eq!(series(&[], &Value::Counter(value), &created), "");
    }
    assert_eq!(plain(Value::Counter(f64::INFINITY)), "m_total +Inf\n");
}

#[test]
fn sums_that_may_not_be_are_left_out_with_the_count() {
    assert_eq!(
        plain(Value::Histogram(histogram(&[(-1.0, 1.0)], 5.0))),
        "m_bucket{le=\"-1.0\"} 1\nm_bucket{le=\"+Inf\"} 4\n"
    );
    assert_eq!(plain(Value::Histogram(histogram(&[], -5.0))), "m_bucket{le=\"+Inf\"} 4\n");
    assert_eq!(plain(Value::GaugeHistogram(histogram(&[(1.0, 1.0)], -5.0))), {
        "m_bucket{le=\"1.0\"} 1\nm_bucket{le=\"+Inf\"} 4\n"
    });
    assert!(
        plain(Value::GaugeHistogram(histogram(&[(-1.0, 1.0)], -5.0))).ends_with("m_gsum -5\nm_gcount 4\n")
    );
    let summary = |quantile, value, sum| {
        let quantiles = vec![Quantile { quantile, value }];
        Value::Summary(Box::new(Summary { quantiles, sum: Some(sum), count: Some(2.0), defect: None }))
    };
    assert_eq!(plain(summary(0.5, -1.0, -1.0)), "m_count 2\n");
    assert_eq!(plain(summary(0.5, 0.0, 1.0)), "m{quantile=\"0.5\"} 0\nm_sum 1\nm_count 2\n");
}

#[test]
fn counts_are_whole_numbers_and_native_histograms_show_theirs() {
    let mut fractions = histogram(&[(1.0, 1.4), (f64::INFINITY, 2.6)], 1.0);
    fractions.count = Some(2.6);
    assert_eq!(
        plain(Value::Histogram(fractions)),
        "m_bucket{le=\"1.0\"} 1\nm_bucket{le=\"+Inf\"} 3\nm_sum 1\nm_count 3\n"
    );
    let native = NativeHistogram {
        schema: 0,
        zero_threshold: 0.0,
        custom_bounds: Vec::new(),
        counts: NativeCounts::Integer(Counts { count: 7, ..Counts::default() }),
        sum: None,
    };
    let native = Histogram { sum: Some(2.0), native: Some(Box::new(native)), ..Histogram::default() };
    let text = "m_bucket{le=\"+Inf\"} 7\nm_sum 2\nm_count 7\n";
    assert_eq!(plain(Value::Histogram(Box::new(native.clone()))), text);
    let mut out = Vec::new();
    let value = Value::Histogram(Box::new(native));
    crate::exposition::text::write_series(&mut out, "m", std::iter::empty(), &value);
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn exemplars_that_may_not_be_are_left_out() {
    let exemplar = |place, labels: &[(&str, &str)], timestamp| Exemplar {
        place,
        labels: LabelSet::new(labels.iter().copied()),
        value: 0.25,
        timestamp,
    };
    let long = "x".repeat(128);
    let exemplars = [
        exemplar(ExemplarPlace::Series, &[("a.b", "c")], Some(1e9 + 0.25)),
        exemplar(ExemplarPlace::Bucket(1.0), &[("l", &long)], None),
        exemplar(ExemplarPlace::Bucket(f64::INFINITY), &[], None),
    ];
    let extras = Extras { exemplars: &exemplars, ..Extras::default() };
    assert_eq!(series(&[], &Value::Counter(1.0), &extras), "m_total 1 # {a_b=\"c\"} 0.25 1000000000.25\n");
    let quoted = Extras { escaping: Escaping::AllowUtf8, ..extras };
    assert_eq!(
        series(&[], &Value::Counter(1.0), &quoted),
        "m_total 1 # {\"a.b\"=\"c\"} 0.25 1000000000.25\n"
    );
    assert_eq!(series(&[], &Value::Gauge(1.0), &extras), "m 1\n");
    assert_eq!(
        series(&[], &Value::Histogram(histogram(&[(1.0, 1.0)], 1.0)), &extras),
        "m_bucket{le=\"1.0\"} 1\nm_bucket{le=\"+Inf\"} 4 # {} 0.25\nm_sum 1\nm_count 4\n"
    );
    let twice = [exemplar(ExemplarPlace::Series, &[("a.b", "c"), ("a_b", "d")], None)];
    let extras = Extras { exemplars: &twice, ..Extras::default() };
    assert_eq!(series(&[], &Value::Counter(1.0), &extras), "m_total 1\n");
}
