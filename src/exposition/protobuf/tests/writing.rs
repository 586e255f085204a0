//! What is written, as another decoder of the schema sees it.

use crate::model::{
    self, Bucket, Counts, ExemplarPlace, LabelSet, MetricType, NativeCounts, NativeHistogram, Quantile,
    Stamp, StateSet, Value,
};

use super::super::messages::{BucketSpan, Timestamp};
use super::*;
use crate::model::Label;

const A: [Label<'static>; 1] = [Label { name: "a", value: "1" }];

const BEGAN: Stamp = Stamp(1_500_000_000_250_000_000);

/// [`BEGAN`] in a message.
fn created() -> Timestamp {
    Timestamp { seconds: Some(1_500_000_000), nanos: Some(250_000_000) }
}

/// The metrics that a series is written as.
fn metrics(name: &str, value: &Value, exemplars: &[model::Exemplar]) -> Vec<Metric> {
    let mut message = Vec::new();
    write_metric(&mut message, name, A.into_iter(), value, exemplars, Some(BEGAN));
    let family = MetricFamily::decode(&*message).unwrap();
    assert_eq!(family.encode_to_vec(), message, "the bytes are those of another encoder");
    family.metric
}

fn metric(value: &Value, exemplars: &[model::Exemplar]) -> Metric {
    let mut metrics = metrics("m", value, exemplars);
    assert_eq!(metrics.len(), 1);
    let metric = metrics.remove(0);
    assert_eq!(metric.label, labels(&[("a", "1")]));
    assert_eq!(metric.timestamp_ms, None);
    metric
}

fn histogram_of(value: &model::Histogram, exemplars: &[model::Exemplar]) -> Histogram {
    metric(&Value::Histogram(Box::new(value.clone())), exemplars).histogram.expect("it is one")
}

fn exemplar(place: ExemplarPlace, value: f64) -> model::Exemplar {
    let labels = LabelSet::new([("id", "x")]);
    model::Exemplar { place, labels, value, timestamp: Some(2.5) }
}

fn bucket(upper_bound: f64, cumulative_count: f64) -> Bucket {
    Bucket { upper_bound, cumulative_count }
}

fn with_native(schema: i8, custom_bounds: Vec<f64>, counts: NativeCounts) -> model::Histogram {
    let native = NativeHistogram { schema, zero_threshold: 0.5, custom_bounds, counts, sum: None };
    model::Histogram { native: Some(Box::new(native)), sum: Some(1.0), ..Default::default() }
}

fn spans(spans: &[(i32, u32)]) -> Vec<BucketSpan> {
    let span = |&(offset, length): &(i32, u32)| BucketSpan { offset: Some(offset), length: Some(length) };
    spans.iter().map(span).collect()
}

#[test]
fn a_header_has_all_but_the_metrics() {
    let of = |metric_type| MetricFamily::decode(&*header("m", Some("h"), metric_type, Some("s"))).unwrap();
    for (metric_type, number) in [
        (MetricType::Counter, COUNTER),
        (MetricType::Gauge, GAUGE),
        (MetricType::Summary, SUMMARY),
        (MetricType::Untyped, UNTYPED),
        (MetricType::Histogram, HISTOGRAM),
        (MetricType::GaugeHistogram, GAUGE_HISTOGRAM),
        (MetricType::Info, GAUGE),
        (MetricType::StateSet, GAUGE),
    ] {
        let mut expected = family("m", number, vec![]);
        (expected.help, expected.unit) = (Some(b"h".to_vec()), Some(b"s".to_vec()));
        assert_eq!(of(metric_type), expected);
    }
    let plain = MetricFamily::decode(&*header("m", None, MetricType::Gauge, None)).unwrap();
    assert_eq!(plain, family("m", GAUGE, vec![]));
    assert_eq!((length_prefix(0), length_prefix(300)), (vec![0], vec![0xac, 2]));
}

#[test]
fn simple_values_stand_in_their_fields() {
    assert_eq!(metric(&Value::Gauge(-0.5), &[]), gauge(&[("a", "1")], -0.5));
    assert_eq!(metric(&Value::Info, &[]), gauge(&[("a", "1")], 1.0));
    assert_eq!(metric(&Value::Untyped(2.0), &[]).untyped, Some(Untyped { value: Some(2.0) }));
    let exemplars = [0.5, 1.5].map(|value| exemplar(ExemplarPlace::Series, value));
    let counter = metric(&Value::Counter(3.0), &exemplars).counter.unwrap();
    assert_eq!((counter.value, counter.created_timestamp), (Some(3.0), Some(created())));
    let exemplar = counter.exemplar.unwrap();
    assert_eq!((exemplar.value, exemplar.label), (Some(1.5), labels(&[("id", "x")])));
    assert_eq!(exemplar.timestamp, Some(Timestamp { seconds: Some(2), nanos: Some(500_000_000) }));
}

#[test]
fn a_state_set_is_a_gauge_for_each_state() {
    let states = vec![("on".into(), true), ("off".into(), false)];
    let set = Value::StateSet(Box::new(StateSet { states, defect: None }));
    let expected = [gauge(&[("a", "1"), ("m", "on")], 1.0), gauge(&[("a", "1"), ("m", "off")], 0.0)];
    assert_eq!(metrics("m", &set, &[]), expected);
}

#[test]
fn a_summary_has_its_quantiles_and_what_fits_of_its_count() {
    let summary = |count| {
        let quantiles = vec![Quantile { quantile: 0.5, value: 2.0 }];
        let summary = model::Summary { quantiles, sum: Some(4.0), count: Some(count), defect: None };
        metric(&Value::Summary(Box::new(summary)), &[]).summary.unwrap()
    };
    let written = summary(7.0);
    assert_eq!((written.sample_count, written.sample_sum), (Some(7), Some(4.0)));
    assert_eq!(written.created_timestamp, Some(created()));
    assert_eq!(written.quantile.len(), 1);
    assert_eq!((written.quantile[0].quantile, written.quantile[0].value), (Some(0.5), Some(2.0)));
    assert_eq!(summary(1e30).sample_count, Some(u64::MAX));
}

#[test]
fn classic_buckets_are_cumulative_and_have_their_exemplars() {
    let classic = model::Histogram {
        buckets: vec![bucket(1.0, 2.0), bucket(2.0, 2.5), bucket(f64::INFINITY, 1e30)],
        sum: Some(3.0),
        ..Default::default()
    };
    let exemplars = [
        exemplar(ExemplarPlace::Bucket(1.0), 0.5),
        exemplar(ExemplarPlace::Bucket(1.5), 1.25),
        exemplar(ExemplarPlace::Series, 100.0),
        exemplar(ExemplarPlace::Series, f64::NAN),
    ];
    let written = histogram_of(&classic, &exemplars);
    assert_eq!((written.sample_count, written.sample_count_float), (None, Some(1e30)), "that of +Inf");
    assert_eq!((written.sample_sum, written.created_timestamp), (Some(3.0), Some(created())));
    let counts: Vec<_> = written
        .bucket
        .iter()
        .map(|bucket| (bucket.upper_bound, bucket.cumulative_count, bucket.cumulative_count_float))
        .collect();
    let expected =
        [(Some(1.0), Some(2), None), (Some(2.0), None, Some(2.5)), (Some(f64::INFINITY), None, Some(1e30))];
    assert_eq!(counts, expected);
    let held: Vec<_> =
        written.bucket.iter().map(|bucket| bucket.exemplar.as_ref().and_then(|of| of.value)).collect();
    assert_eq!(held, [Some(0.5), Some(1.25), Some(100.0)]);
    assert!(written.exemplars.is_empty());
    assert_eq!((written.schema, written.zero_threshold), (None, None));
    assert!(written.positive_span.is_empty());
}

#[test]
fn whole_native_counts_are_differences() {
    let counts =
        Counts { count: 20, zero: 4, positive: vec![(-1, 5), (0, 3), (5, 6)], negative: vec![(7, 2)] };
    let mut histogram = with_native(2, vec![], NativeCounts::Integer(counts));
    histogram.buckets = vec![bucket(1.0, 8.0)];
    histogram.count = Some(20.0);
    let exemplars = [exemplar(ExemplarPlace::Series, 0.5), exemplar(ExemplarPlace::Bucket(9.0), 8.0)];
    let written = histogram_of(&histogram, &exemplars);
    assert_eq!((written.sample_count, written.sample_count_float), (Some(20), None));
    assert_eq!((written.schema, written.zero_threshold, written.zero_count), (Some(2), Some(0.5), Some(4)));
    assert_eq!(written.positive_span, spans(&[(-1, 2), (4, 1)]));
    assert_eq!(written.positive_delta, [5, -2, 3]);
    assert_eq!((written.negative_span, written.negative_delta), (spans(&[(7, 1)]), vec![2]));
    assert!(written.positive_count.is_empty() && written.zero_count_float.is_none());
    assert_eq!(written.bucket.len(), 1, "both parts are told");
    assert_eq!(written.exemplars.len(), 2);
}

#[test]
fn a_native_part_with_a_sum_of_its_own_stands_alone() {
    let counts = Counts { count: 5, zero: 0, positive: vec![(0, 5)], negative: vec![] };
    let mut histogram = with_native(2, vec![], NativeCounts::Integer(counts));
    histogram.buckets = vec![bucket(1.0, 8.0), bucket(f64::INFINITY, 8.0)];
    (histogram.count, histogram.sum) = (Some(8.0), Some(9.0));
    histogram.native.as_mut().unwrap().sum = Some(4.5);
    let written = histogram_of(&histogram, &[exemplar(ExemplarPlace::Bucket(1.0), 0.5)]);
    assert_eq!((written.sample_count, written.sample_sum), (Some(5), Some(4.5)));
    assert!(written.bucket.is_empty());
    assert_eq!((written.positive_delta, written.exemplars.len()), (vec![5], 1));
}

#[test]
fn native_counts_that_are_not_whole_or_too_large_stand_in_their_own_fields() {
    let counts = Counts { count: 7.5, zero: 0.5, positive: vec![(1, 7.0)], negative: vec![] };
    let written = histogram_of(&with_native(0, vec![], NativeCounts::Float(counts)), &[]);
    assert_eq!((written.sample_count, written.sample_count_float), (None, Some(7.5)));
    assert_eq!((written.zero_count, written.zero_count_float), (None, Some(0.5)));
    assert_eq!((written.positive_span, written.positive_count), (spans(&[(1, 1)]), vec![7.0]));
    assert!(written.positive_delta.is_empty());
    let counts = Counts { count: u64::MAX, zero: 0, positive: vec![(1, u64::MAX)], negative: vec![] };
    let written = histogram_of(&with_native(0, vec![], NativeCounts::Integer(counts)), &[]);
    assert_eq!((written.sample_count, written.sample_count_float), (None, Some(2_f64.powi(64))));
    assert_eq!(written.positive_count, [2_f64.powi(64)]);
}

#[test]
fn an_empty_native_histogram_is_known_by_a_span_of_nothing() {
    for counts in [NativeCounts::Integer(Counts::default()), NativeCounts::Float(Counts::default())] {
        let mut histogram = with_native(3, vec![], counts);
        histogram.native.as_mut().unwrap().zero_threshold = 0.0;
        let written = histogram_of(&histogram, &[]);
        assert_eq!((written.schema, written.positive_span), (Some(3), spans(&[(0, 0)])));
        assert!(written.negative_span.is_empty());
    }
}

#[test]
fn custom_bounds_are_told_by_classic_buckets() {
    let counts = Counts { count: 7, zero: 0, positive: vec![(0, 2), (2, 5)], negative: vec![] };
    let mut histogram =
        with_native(model::CUSTOM_BUCKETS_SCHEMA, vec![1.0, 2.5], NativeCounts::Integer(counts));
    histogram.count = Some(7.0);
    let written = histogram_of(&histogram, &[]);
    let told: Vec<_> =
        written.bucket.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)).collect();
    let expected = [(Some(1.0), Some(2)), (Some(2.5), Some(2)), (Some(f64::INFINITY), Some(7))];
    assert_eq!(told, expected);
    assert_eq!((written.schema, written.sample_count), (None, Some(7)));
    assert!(written.positive_span.is_empty());
    histogram.buckets = vec![bucket(1.0, 2.0)];
    assert_eq!(histogram_of(&histogram, &[]).bucket.len(), 1, "what there is is told");
}
